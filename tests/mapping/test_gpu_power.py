"""Runs on GPUs under sustained load stay within the board's limit, and their accounts say where energy went."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim import catalog
from accelsim.devices.gpu import Gpu
from accelsim.energy import by_component_j, total_j
from accelsim.evaluate.gemms import kernels
from accelsim.mapping.gpu.power import energies, known, parted
from accelsim.mapping.kernel import Kernel
from accelsim.spec.calibration import Conditions
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.power import gemm_j
from tests.mapping.operators import Mapped

GPUS = [name for name in catalog.names("arch") if isinstance(catalog.chip(name), GpuChip)]
OPERATORS: dict[str, dict[str, Any]] = {
    "matmul": {"m": 4096, "n": 4096, "k": 4096},
    "attention": {"batch": 1, "query": 4096, "kv": 4096, "heads": 32, "kv_heads": 8, "head_dim": 128, "causal": True},
    "layernorm": {"rows": 8192, "columns": 8192},
}


def run(kind: str, on: Any, **more: Any) -> Any:
    return accelsim.simulate_operator(kind, on=on, **{**OPERATORS[kind], "clock": "sustained", **more})


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("name", GPUS)
def test_no_board_exceeds_its_limit_under_sustained_load(name: str, kind: str) -> None:
    done = run(kind, name)
    assert done.summary["power_excess_w"] == 0
    assert not [text for text in done.warnings if "above the board limit" in text]


@given(st.floats(20, 900), st.sampled_from(tuple(OPERATORS)))
def test_nor_does_a_made_up_one(above_idle_w: float, kind: str) -> None:
    chip = catalog.chip("h100-sxm")
    assert isinstance(chip, GpuChip)
    odd = chip.with_({"power.limit": chip.power.idle_w + above_idle_w})
    done = run(kind, odd)
    assert done.summary["average_power_w"] <= chip.power.idle_w + above_idle_w
    assert done.summary["total_time_s"] >= run(kind, odd, clock="burst").summary["total_time_s"] * (1 - 1e-9)


def test_a_loaded_layer_takes_the_time_of_the_closed_form() -> None:
    shape = {"m": 8192, "n": 4096, "k": 8192}
    made = kernels("h200-sxm", conditions=Conditions(clock="sustained"))
    done = accelsim.simulate_operator("matmul", on="h200-sxm", format="bf16", clock="sustained", **shape)
    assert done.summary["total_time_s"] == pytest.approx(float(made.price(*shape.values()).seconds[0]), rel=0.01)
    assert done.summary["average_power_w"] == pytest.approx(0.988 * 700, rel=0.01)


@pytest.mark.parametrize("shape", [(1, 8192, 8192), (64, 8192, 512), (300, 1000, 9000), (8192, 8192, 8192)])
def test_the_closed_form_prices_the_events_of_the_kernel(shape: tuple[int, int, int]) -> None:
    made = kernels("h200-sxm")
    times = made.price(*shape)
    parts = gemm_j(
        times, made.shapes(*shape), made.machine, made.library.calibration.gemm, energies(made.chip, made.pair)
    )
    done = accelsim.simulate_operator("matmul", on="h200-sxm", format="bf16", **dict(zip("mnk", shape, strict=True)))
    counted = sum(done.summary[f"energy_{name}_j"] for name in ("tensor", "register", "shared", "l2", "memory"))
    assert float(sum(parts)[0]) == pytest.approx(counted, rel=0.02)


def test_the_board_draws_what_its_constants_say_and_the_accounts_add_up() -> None:
    done = run("matmul", "h200-sxm", clock="burst").summary
    listed = sum(done[f"energy_{name}_j"] for name in ("tensor", "vector", "register", "shared", "l2", "memory"))
    constants = catalog.calibration("h200-sxm-trtllm-1.3").power
    assert constants is not None
    assert done["energy_board_j"] == pytest.approx((constants.drawn - 1) * listed, rel=1e-12)
    assert done["energy_j"] == pytest.approx(listed + done["energy_board_j"] + done["energy_static_j"], rel=1e-12)


def test_events_at_a_lower_voltage_cost_less_and_are_as_many() -> None:
    chip = catalog.chip("h200-sxm")
    assert isinstance(chip, GpuChip)
    op = Mapped(chip, "bf16").operator("matmul", **OPERATORS["matmul"])
    device = Gpu(chip, {"bf16": 16})
    cool, loaded = (
        Gpu(chip, {"bf16": 16}, conditions=Conditions(clock=clock)).kernel(op) for clock in ("burst", "sustained")
    )
    assert isinstance(cool, Kernel)
    assert isinstance(loaded, Kernel)
    assert {parted(name)[0]: count for name, count in loaded.events.items()} == dict(cool.events)
    assert {parted(name)[1] for name in loaded.events if name != "memory"} < {state / 1000 for state in range(1, 1000)}
    before, after = (by_component_j(kernel.events, device) for kernel in (cool, loaded))
    assert after["memory"] == before["memory"]
    assert after["tensor"] < before["tensor"]
    assert total_j(loaded.events, device) < total_j(cool.events, device)


def test_power_is_that_of_the_own_board_or_borrowed() -> None:
    names = {}
    for name in ("h200-sxm", "h100-sxm", "a100-sxm-80gb"):
        chip = catalog.chip(name)
        assert isinstance(chip, GpuChip)
        found = known(chip)
        assert found is not None
        names[name] = found
    assert {name: found.own for name, found in names.items()} == {
        "h200-sxm": True, "h100-sxm": False, "a100-sxm-80gb": False,
    }  # fmt: skip
    assert {found.name for found in names.values()} == {"h200-sxm"}
