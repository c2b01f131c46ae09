"""No run beats a peak, a roofline or the wall: event mode against what no machine can exceed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.results import Run
from accelsim.spec.device import GpuChip
from tests.physics.models import few_layers
from tests.physics.random_chips import chips, gpu, operators

NOISE = 1e-9
OPERATOR = tuple[str, dict[str, Any]]
FORMATS = st.sampled_from(
    [(None, None), ("fp8_e4m3", "fp8_e4m3"), ("fp16", "int4"), ("mxfp8_e4m3", "mxfp4"), ("fp32", "fp32")]
)


def below_every_peak(run: Run, chip: GpuChip) -> None:
    """Achieved rates of operators, phases and resources."""
    clock = chip.sm.count * chip.clock.sm.frequency_hz
    units = (
        max(row.flops_per_clock for row in chip.peak) + chip.vector.flops_per_clock + chip.vector.special_ops_per_clock
    )
    for frame in (run.operators, run.phases):
        assert (frame["achieved_flops_per_s"] <= clock * units * (1 + NOISE)).all()
        assert (frame["achieved_bytes_per_s"] <= chip.memory.bandwidth_bytes_per_s * (1 + NOISE)).all()
        assert (frame["time_s"] > 0).all()
    assert (run.resources["utilization"] <= 1 + NOISE).all()
    assert (run.resources["busy_s"] <= run.summary["total_time_s"] * (1 + NOISE)).all()


@given(chips(), operators(), FORMATS)
def test_no_operator_beats_a_peak_or_its_roofline(chip: GpuChip, op: OPERATOR, formats: tuple[str, str]) -> None:
    kind, dims = op
    if chip.generation in ("volta", "ampere") and formats[0] == "fp8_e4m3":
        formats = ("fp16", "int4")
    event, closed = (
        accelsim.simulate_operator(kind, on=chip, format=formats[0], weights=formats[1], fidelity=fidelity, **dims)
        for fidelity in ("event", "roofline")
    )
    assert (event.infeasible is None) == (closed.infeasible is None)
    if event.infeasible is not None:
        assert event.infeasible.kind == closed.infeasible.kind  # type: ignore[union-attr]
        return
    below_every_peak(event, chip)
    below_every_peak(closed, chip)
    assert event.summary["total_time_s"] >= closed.summary["total_time_s"] * (1 - NOISE)
    assert event.summary["dram_bytes"] >= closed.summary["dram_bytes"] - 3
    assert event.summary["flops"] == pytest.approx(closed.summary["flops"], rel=1e-12)


MODELS = ("llama-3-8b", "gemma-2-9b", "mixtral-8x7b", "deepseek-v2-lite", "gpt2", "t5-xxl", "bert-base", "falcon-40b")


@given(
    st.sampled_from(MODELS), chips(), st.integers(1, 20), st.integers(1, 300), st.integers(1, 4), st.booleans(),
    st.sampled_from([None, "mxfp4", "int4"]),
)  # fmt: skip
def test_no_model_beats_a_peak_or_the_sum_of_its_rooflines(
    name: str, chip: GpuChip, batch: int, prompt: int, generate: int, fuse: bool, weights: str | None
) -> None:
    model, roomy = few_layers(name, 1), chip.with_({"memory.capacity": "10 TB"})
    options = {"batch": batch, "prompt": prompt, "fuse": fuse, "weights": weights}
    if model.generates:
        options["generate"] = generate
    event, closed = (accelsim.simulate(model, roomy, fidelity=f, **options) for f in ("event", "roofline"))
    assert event.infeasible is None
    below_every_peak(event, roomy)
    floor = closed.operators.set_index(["phase", "name"])["time_s"]
    spent = event.operators.set_index(["phase", "name"])["time_s"]
    assert set(floor.index) == set(spent.index)
    for key, seconds in floor.items():
        assert spent[key] >= seconds * (1 - NOISE), key
    assert event.summary["total_time_s"] >= closed.summary["total_time_s"] * (1 - NOISE)
    # one kernel after the other: the run is as long as its kernels
    assert event.operators["time_s"].sum() == pytest.approx(event.summary["total_time_s"], rel=1e-9)


GROWING = {
    "batch": st.integers(1, 64),
    "prompt": st.integers(1, 1500),
    "generate": st.integers(1, 6),
    "layers": st.integers(1, 6),
}


@pytest.mark.parametrize("what", GROWING)
@given(
    st.data(),
    st.sampled_from(["llama-3-8b", "mixtral-8x7b", "gemma-2-9b"]),
    st.sampled_from(["h100-sxm", "a100-sxm-80gb"]),
)
def test_time_energy_and_traffic_grow_with_work(what: str, data: st.DataObject, name: str, on: str) -> None:
    """Twice the work of any kind never takes less time, energy or bytes."""
    amount = data.draw(GROWING[what])
    options = {"batch": 2, "prompt": 65, "generate": 2, "layers": 1}
    before, after = ({**options, what: amount * factor} for factor in (1, 2))
    small, large = (
        accelsim.simulate(few_layers(name, o.pop("layers")), gpu(on), overrides={"memory.capacity": "10 TB"}, **o)  # type: ignore[arg-type]
        for o in (before, after)
    )
    for figure in ("total_time_s", "energy_j", "dram_bytes", "flops", "peak_memory_bytes"):
        assert large.summary[figure] >= small.summary[figure], figure


@pytest.mark.parametrize("name", ["h100-sxm", "a100-sxm-80gb", "a40"])
def test_halving_the_clock_at_least_doubles_what_is_bound_by_it(name: str) -> None:
    chip = gpu(name)
    slow = chip.with_({"clock.sm.frequency": chip.clock.sm.frequency_hz / 2})
    fixed = chip.timing.launch_s + chip.timing.memory_latency_s  # these do not follow the clock
    times = [
        accelsim.simulate_operator("matmul", m=8192, n=8192, k=8192, on=on).summary["total_time_s"]
        for on in (chip, slow)
    ]
    run = accelsim.simulate_operator("matmul", m=8192, n=8192, k=8192, on=slow)
    assert run.operators["bound"].tolist() == ["compute"]
    # the last results leave through the memory, which does not follow the clock either
    store = 2 * 8192 * 8192 / chip.memory.bandwidth_bytes_per_s
    assert times[1] - fixed >= 2 * (times[0] - fixed - store)
    # a kernel that takes longer sees more of the fall of the clock under load
    assert times[1] <= 2 * times[0] * 1.05


@pytest.mark.parametrize("batch", [1, 16])
def test_decode_is_bound_by_memory_and_prefill_by_arithmetic(batch: int) -> None:
    run = accelsim.simulate(few_layers("llama-2-7b"), "h100-sxm", prompt=2048, generate=2, batch=batch)
    bounds = run.operators.set_index(["phase", "name"])["bound"]
    assert bounds["decode", "layers.mlp.down_proj"] == "memory"
    assert bounds["prefill", "layers.mlp.down_proj"] == "compute"
