"""Systems of tensor streaming processors as devices: the contract, whole models, and what their figures do."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import pytest

import accelsim
from accelsim import catalog
from accelsim.cost.money import system_usd
from accelsim.devices.tsp import Tsp
from accelsim.engine.runner import Runner
from accelsim.errors import AccelsimError, RequestError
from accelsim.evaluate.operators import single
from accelsim.evaluate.resolve import formats_of
from accelsim.explain import explain
from accelsim.graph.operator import Operator
from accelsim.mapping.kernel import Kernel, Plan, Segment, Stage
from accelsim.mapping.tsp.resources import CONVERT, LOCAL, MXM, SRAM, TURNAROUND
from accelsim.results import Run
from accelsim.spec.infeasible import Infeasible
from accelsim.units import PS_PER_S
from tests.figures import numbers
from tests.mapping.tsp_parts import part, system

OPERATORS: dict[str, dict[str, Any]] = {
    "matmul": {"m": 33, "n": 7000, "k": 9000},
    "attention": {"query": 7, "kv": 300, "heads": 8, "kv_heads": 2, "head_dim": 64, "causal": True},
    "softmax": {"rows": 9, "columns": 1000},
    "layernorm": {"rows": 9, "columns": 1000},
    "gelu": {"elements": 12_345},
    "all_reduce": {"bytes": 16_384, "devices": 8},
}


def device(name: str = "groq-lpu-576", **changes: Any) -> Tsp:
    record = system(name, **changes)
    chip = catalog.part(record)
    return Tsp(record, chip)  # type: ignore[arg-type]


def operator(kind: str, weights: str | None = None, activations: str | None = None, **dims: Any) -> Operator:
    return single(kind, dims, formats_of(system(), weights, activations, None))


def run_kernel(kernel: Kernel, on: Tsp) -> int:
    """Picoseconds of a kernel on the engine."""
    runner = Runner(on.resources)
    runner.run(Plan("test", (Stage("only", 1, (Segment((kernel,)),)),)))
    return runner.now_ps


@pytest.mark.parametrize("name", ["groq-lpu-1", "groq-lpu-8", "groq-lpu-576"])
@pytest.mark.parametrize("kind", OPERATORS)
def test_the_engine_takes_the_cycles_of_the_schedule(kind: str, name: str) -> None:
    """The checked program and the demands of the kernel are the same time, to a picosecond for each phase."""
    if kind == "all_reduce" and name == "groq-lpu-1":
        return
    on = device(name)
    made = on.kernel(operator(kind, **OPERATORS[kind]))
    assert isinstance(made, Kernel)
    clock = on.part.clock.core.frequency_hz
    cycles = run_kernel(made, on) / PS_PER_S * clock
    assert cycles == pytest.approx(made.choice["cycles"], abs=1e-3 * len(made.phases))
    assert made.choice["cycles"] > on.part.timing.turnaround


@pytest.mark.parametrize("formats", [("int8", "int8"), ("int8", "fp16"), ("fp16", "fp16"), ("int4", "int8")])
def test_a_product_of_every_pair_takes_the_cycles_of_its_schedule(formats: tuple[str, str]) -> None:
    on = device("groq-lpu-8")
    for m in (1, 5, 64, 3000):
        made = on.kernel(operator("matmul", *formats, m=m, n=5000, k=3000))
        assert isinstance(made, Kernel)
        cycles = run_kernel(made, on) / PS_PER_S * on.part.clock.core.frequency_hz
        assert cycles == pytest.approx(made.choice["cycles"], abs=0.02)


def test_a_pair_that_cannot_be_converted_is_infeasible_with_a_way_out() -> None:
    found = accelsim.simulate_operator("matmul", on="groq-lpu-1", format="posit16", m=1, n=320, k=320)
    assert found.infeasible is not None
    assert found.infeasible.kind == "unsupported"
    assert any("int8 x int8" in lever for lever in found.infeasible.levers)


def test_conversion_is_named_counted_and_slower() -> None:
    converted = accelsim.simulate_operator("matmul", on="groq-lpu-1", m=1, n=4096, k=4096)
    native = accelsim.simulate_operator("matmul", on="groq-lpu-1", format="fp16", m=1, n=4096, k=4096)
    row = converted.operators.iloc[0]
    assert row["priced_by"].endswith("+convert(int8->fp16)")
    assert row["bound"] == "convert"
    assert native.operators.iloc[0]["bound"] == "sram"
    assert converted.summary["total_time_s"] > 1.5 * native.summary["total_time_s"]
    assert converted.summary["energy_vector_j"] > native.summary["energy_vector_j"]


@pytest.fixture(scope="module")
def claim() -> Run:
    """Llama-2-70B at position 4,095."""
    return accelsim.simulate("llama-2-70b", "groq-lpu-576", prompt=4095, generate=2)


def test_llama_2_70b_on_576_chips(claim: Run) -> None:
    assert claim.request.weights == "int8"
    assert claim.summary["decode_tokens_per_s"] == pytest.approx(300, rel=0.15)


def test_the_breakdown_tells_every_part_and_adds_up(claim: Run) -> None:
    resources = claim.resources.set_index("resource")
    assert resources["limit_s"].sum() == pytest.approx(claim.summary["total_time_s"], rel=1e-9)
    for name in ("chip.sram", "chip.mxm.load", "chip.mxm", "chip.link.local", "chip.link.global", "chip.turnaround"):
        assert resources.loc[name, "busy_s"] > 0
    assert set(claim.operators["bound"]) >= {"convert", "compute", "link", "issue"}


def test_the_fitted_constant_is_less_than_half_of_the_time(claim: Run) -> None:
    before = accelsim.simulate("llama-2-70b", "groq-lpu-576", prompt=4095, generate=1)
    spent = claim.resources.set_index("resource")["limit_s"] - before.resources.set_index("resource")["limit_s"]
    step = claim.summary["decode_time_s"]
    assert spent.sum() == pytest.approx(step, rel=1e-6)
    assert 0.1 < spent[TURNAROUND] / step < 0.5
    assert spent[CONVERT] / step > 0.4


@pytest.mark.parametrize("model", ["llama-2-70b", "mixtral-8x7b", "gpt2-xl", "deepseek-v2-lite", "t5-xxl", "falcon-7b"])
def test_the_roofline_is_a_bound_and_far_away(model: str) -> None:
    event = accelsim.simulate(model, "groq-lpu-576", prompt=100, generate=3, chips="auto")
    closed = accelsim.simulate(model, "groq-lpu-576", prompt=100, generate=3, chips="auto", fidelity="roofline")
    assert event.summary["time_per_output_token_s"] > 10 * closed.summary["time_per_output_token_s"]
    own = event.operators.set_index(["phase", "name"])["time_s"]
    for key, seconds in closed.operators.set_index(["phase", "name"])["time_s"].items():
        assert own[key] >= seconds, key


def test_folding_changes_nothing() -> None:
    folded = accelsim.simulate("llama-2-7b", "groq-lpu-576", prompt=64, generate=4)
    run = accelsim.simulate("llama-2-7b", "groq-lpu-576", prompt=64, generate=4, fold=False)
    same = {key for key in folded.summary if key != "events"}
    assert {k: folded.summary[k] for k in same} == {k: run.summary[k] for k in same}
    assert folded.resources.equals(run.resources)


def test_a_larger_system_costs_no_more_to_simulate() -> None:
    def seconds(name: str, model: str) -> float:
        since = time.process_time()
        accelsim.simulate(model, name, prompt=512, generate=32)
        return time.process_time() - since

    seconds("groq-lpu-8", "gpt2-xl")
    small = min(seconds("groq-lpu-8", "gpt2-xl") for _ in range(2))
    large = min(seconds("groq-lpu-576", "llama-2-70b") for _ in range(2))
    assert large < 2
    assert large < 3 * max(small, 0.1)


def decode_s(model: str = "llama-2-7b", **overrides: Any) -> float:
    options = {key: overrides.pop(key) for key in ("batch", "chips", "prompt") if key in overrides}
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    run = accelsim.simulate(
        model, "groq-lpu-576", overrides=changes, **{"prompt": 300, "generate": 3, **options}
    )  # fmt: skip
    assert run.ok, run.infeasible
    return float(run.summary["time_per_output_token_s"]) + float(run.summary["prefill_time_s"])


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("mxm__planes", (4, 8, 16)), ("mxm__weight_streams", (4, 8, 16, 24)), ("vxm__alus", (8, 16, 32, 64)),
        ("lanes__streams", (24, 32, 64)), ("mem__banks", (1, 2, 4)), ("mem__capacity", ("1.5 MiB", "2.5 MiB", "5 MiB")),
        ("c2c__bandwidth", ("1 GB/s", "14 GB/s", "56 GB/s")), ("count", (64, 576, 1152)),
        ("clock__core__frequency", ("450 MHz", "900 MHz", "1.8 GHz")), ("fabric__global_links", (4, 6, 9)),
    ],
)  # fmt: skip
def test_more_never_hurts(key: str, values: tuple[Any, ...]) -> None:
    times = [decode_s(**{key: value}) for value in values]
    assert all(after <= before * (1 + 1e-9) for before, after in itertools.pairwise(times)), times


def test_half_the_clock_doubles_the_cycles_of_compute() -> None:
    slow, fast = (
        accelsim.simulate_operator(
            "matmul", on="groq-lpu-1", format="fp16", m=512, n=4096, k=4096, overrides={"clock.core.frequency": f}
        ).summary["total_time_s"]
        for f in ("450 MHz", "900 MHz")
    )
    assert slow == pytest.approx(2 * fast, rel=1e-6)


def test_more_sequences_share_weights_as_far_as_planes_are_free() -> None:
    """The gain follows from occupied units: weights stream past once, and vectors pass while they do."""
    one, four, many = (
        accelsim.simulate("llama-2-7b", "groq-lpu-576", batch=b, prompt=100, generate=3, chips="auto")
        for b in (1, 4, 64)
    )
    gain = [run.summary["decode_tokens_per_s"] / one.summary["decode_tokens_per_s"] for run in (four, many)]
    assert 3 < gain[0] < 4
    assert gain[1] < 32  # planes and links are full
    assert set(one.operators.query("phase == 'decode'").sort_values("time_s")["bound"][-2:]) == {"convert"}
    assert "compute" in set(many.operators.query("phase == 'decode'")["bound"])


def test_a_pass_over_several_tokens_costs_what_the_planes_make_it_cost() -> None:
    on = device("groq-lpu-8")
    times = []
    for m in (1, 8, 20, 46):
        made = on.kernel(operator("matmul", m=m, n=8192, k=8192))
        assert isinstance(made, Kernel)
        times.append(run_kernel(made, on))
    assert times[1] < 1.01 * times[0]  # 46 cycles of loading a tile hide 8 vectors of 2 cycles
    assert times[2] < 1.03 * times[0]
    assert times[3] > 1.8 * times[0]


def test_rates_divided_by_a_thousand_set_the_pace() -> None:
    matmul: dict[str, Any] = {"m": 4096, "n": 4096, "k": 4096}
    for path, value, word, kind, dims, format_ in (
        ("c2c.bandwidth", "14 MB/s", "link", "all_reduce", {"bytes": 1 << 20, "devices": 8}, None),
        ("c2c.latency", "240 us", "link", "all_reduce", {"bytes": 1 << 10, "devices": 8}, None),
        ("timing.turnaround", 504_000, "issue", "gelu", {"elements": 4096}, None),
        ("vxm.latency", 4000, "pipeline", "gelu", {"elements": 4096}, None),
        ("peak.1.vector_cycles", 2000, "compute", "matmul", matmul, "fp16"),
        ("convert.0.operations", 64, "convert", "matmul", {**matmul, "m": 1}, None),
    ):
        on = "groq-lpu-8" if word == "link" else "groq-lpu-1"
        found = accelsim.simulate_operator(kind, on=on, format=format_, overrides={path: value}, **dims)
        assert found.operators["bound"].tolist() == [word], path


def told(changes: dict[str, Any]) -> list[Any]:
    """Time, energy, capacity and feasibility of a few runs, and what the silicon costs."""
    found: list[Any] = []
    pairs = (("int8", None), ("fp8_e4m3", None), ("mxfp8_e4m3", None), ("int4_g128", None), ("int4", "int8"))
    for weights, activations in pairs:
        run = accelsim.simulate_operator(
            "matmul", on="groq-lpu-8", format=activations, weights=weights, m=2, n=8192, k=8192, overrides=changes
        )
        found.append((run.ok, run.summary["total_time_s"], run.summary["energy_j"]))
    run = accelsim.simulate("llama-2-7b", "groq-lpu-576", prompt=64, generate=2, chips="auto", overrides=changes)
    figures = ("total_time_s", "energy_j", "power_excess_w", "memory_capacity_bytes")
    found.append((run.ok, *(run.summary[key] for key in figures)))
    found.append((system_usd(catalog.chip("groq-lpu-8", changes)),))
    return [tuple("nan" if isinstance(v, float) and math.isnan(v) else v for v in row) for row in found]


def figure(record: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(record, tuple):
            record = record[int(key)]
        else:
            fields = type(record).model_fields
            record = getattr(record, next(name for name, field in fields.items() if (field.alias or name) == key))
    return record


def test_no_figure_is_dead() -> None:
    usual, dead = told({}), []
    paths = [*((path, part()) for path in numbers(part())), *((path, system()) for path in numbers(system()))]
    for path, record in paths:
        if path == "count":
            continue  # the number of chips is what "auto" finds
        value = figure(record, path)
        for factor in (2, 4, 0.5, 100, 0.01):
            new = max(1, round(value * factor)) if isinstance(value, int) else value * factor
            try:
                if new != value and told({path: new}) != usual:
                    break
            except AccelsimError:
                break  # refused: it counts for feasibility
        else:
            dead.append(path)
    assert dead == []


def test_more_links_than_the_chip_has_are_refused() -> None:
    with pytest.raises(RequestError, match="7 local and 10 global links per chip, and groq-tsp has 16"):
        device(fabric__global_links=10)


def test_chips_are_numbers_or_auto() -> None:
    with pytest.raises(RequestError, match="chips = 0"):
        accelsim.simulate("gpt2", "groq-lpu-576", chips=0)
    with pytest.raises(AccelsimError, match="try 8 or 16"):
        accelsim.simulate("gpt2", "groq-lpu-576", chips=12)
    small = accelsim.simulate("gpt2", "groq-lpu-576", prompt=32, generate=2, chips="auto")
    assert small.summary["memory_capacity_bytes"] == part().capacity_bytes
    assert accelsim.simulate("gpt2", "groq-lpu-576", prompt=32, generate=2, chips=16).ok


def test_what_does_not_fit_says_how_many_chips_or_bits_would_do() -> None:
    found = accelsim.simulate("llama-2-70b", "groq-lpu-576", weights="fp16").infeasible
    assert found is not None
    assert any("chips = 656" in lever for lever in found.levers)
    assert any("bits" in lever for lever in found.levers)
    assert not accelsim.simulate("llama-2-7b", "groq-lpu-1").ok


def test_an_operator_that_no_node_holds_is_infeasible() -> None:
    found = accelsim.simulate_operator("matmul", on="groq-lpu-1", m=1, n=20_000, k=20_000).infeasible
    assert found is not None
    assert found.kind == "capacity"
    assert accelsim.simulate_operator("matmul", on="groq-lpu-8", m=1, n=20_000, k=20_000).ok
    keys = {"query": 1, "kv": 1 << 20, "heads": 32, "kv_heads": 8, "head_dim": 128}
    assert not accelsim.simulate_operator("attention", on="groq-lpu-8", **keys).ok


def test_explain_takes_the_operator_as_its_pass_shares_it() -> None:
    found = explain("llama-2-70b", "o_proj", "groq-lpu-576", prompt=512)
    assert not isinstance(found, Infeasible)
    assert found.choice["way"] == "depth"
    assert found.bound == "convert"
    assert {row.path for row in found.constants} >= {"timing.turnaround", "vxm.alus", "mxm.planes"}
    assert len(found.alternatives) > 1


def test_all_reduce_over_nodes_and_over_too_many() -> None:
    inside = accelsim.simulate_operator("all_reduce", on="groq-lpu-576", bytes=16_384, devices=8)
    across = accelsim.simulate_operator("all_reduce", on="groq-lpu-576", bytes=16_384, devices=64)
    assert across.summary["total_time_s"] > 2 * inside.summary["total_time_s"]
    for devices in (12, 1024):
        found = accelsim.simulate_operator("all_reduce", on="groq-lpu-576", bytes=16_384, devices=devices)
        assert found.infeasible is not None


def test_the_timeline_shows_slices_and_links() -> None:
    run = accelsim.simulate("llama-2-7b", "groq-lpu-576", prompt=32, generate=2)
    assert set(run.timeline["resource"]) >= {SRAM, MXM, CONVERT, LOCAL, TURNAROUND}
    rows = run.timeline[run.timeline["resource"] != "chip.static"]
    assert rows["end_ps"].max() == round(run.summary["total_time_s"] * PS_PER_S)


@pytest.fixture(scope="module", params=["llama-2-7b", "mixtral-8x7b", "deepseek-v2-lite", "t5-xxl", "bert-large"])
def accounts(request: pytest.FixtureRequest) -> Run:
    """Several structures on as many chips as hold them."""
    return accelsim.simulate(request.param, "groq-lpu-576", prompt=50, generate=3, batch=2, chips="auto")


def test_energy_and_timeline_add_up(accounts: Run) -> None:
    summary, resources = accounts.summary, accounts.resources
    assert accounts.phases["energy_j"].sum() == pytest.approx(summary["energy_j"], rel=1e-12)
    assert resources["energy_j"].sum() == pytest.approx(summary["energy_j"], rel=1e-12)
    dynamic = summary["energy_j"] - summary["energy_static_j"]
    assert accounts.operators["energy_j"].sum() == pytest.approx(dynamic, rel=1e-12)
    assert accounts.operators["time_s"].sum() == pytest.approx(summary["total_time_s"], rel=1e-9)
    assert resources["limit_s"].sum() == pytest.approx(summary["total_time_s"], rel=1e-9)
    assert (resources["utilization"] <= 1 + 1e-9).all()
    assert (resources["busy_s"] <= summary["total_time_s"] * (1 + 1e-12)).all()
    rows = accounts.timeline.assign(busy=lambda t: (t["end_ps"] - t["start_ps"]) * t["repeat"])
    for column in ("amount", "energy_j"):
        rows[column] = rows[column] * rows["repeat"]
    sums = rows.groupby("resource")[["busy", "amount", "energy_j"]].sum()
    for name, row in resources.set_index("resource").iterrows():
        if name in sums.index:
            assert sums.loc[name, "busy"] / PS_PER_S == pytest.approx(row["busy_s"], rel=1e-12)
            assert sums.loc[name, "amount"] == row["amount"]
            assert sums.loc[name, "energy_j"] == pytest.approx(row["energy_j"], rel=1e-9)
        else:
            assert row["busy_s"] == row["amount"] == row["energy_j"] == 0


def test_the_part_alone_is_a_system_of_one() -> None:
    alone = accelsim.simulate_operator("matmul", on="groq-tsp", m=1, n=640, k=640)
    one = accelsim.simulate_operator("matmul", on="groq-lpu-1", m=1, n=640, k=640)
    assert alone.summary["total_time_s"] == one.summary["total_time_s"]
