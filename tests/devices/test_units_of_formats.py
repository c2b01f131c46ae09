"""A matrix unit that nobody has built: its rate is the description's, its energy follows from the formats."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import accelsim
from accelsim import catalog, cost
from accelsim.errors import AccelsimError, DescriptionError
from accelsim.spec.device import GpuChip

H100 = catalog.chip("h100-sxm")
assert isinstance(H100, GpuChip)
MATMUL: dict[str, Any] = {"m": 4096, "n": 4096, "k": 4096}


def with_unit(**row: Any) -> GpuChip:
    raw = copy.deepcopy(H100.raw)
    unit = {"operands": ["flint4", "flint4"], "accumulator": "int32", "rate": "16384 FLOP/clk"}
    raw["peak"].append({**unit, "source": "made for tests", "status": "assumed", **row})
    return GpuChip.model_validate(raw)


def test_a_unit_for_a_format_ends_its_conversion_and_is_priced_by_the_node() -> None:
    formats = {"format": "flint4", "weights": "flint4"}
    widened = accelsim.simulate_operator("matmul", on=H100, **formats, **MATMUL)
    native = accelsim.simulate_operator("matmul", on=with_unit(node="7nm"), **formats, **MATMUL)
    assert "flint4->" in widened.operators.loc[0, "priced_by"].split("fp32->")[0]
    assert "+convert(flint4->" not in native.operators.loc[0, "priced_by"]
    assert native.summary["total_time_s"] < 0.6 * widened.summary["total_time_s"]
    each = cost.of("flint4", "7nm", accumulator="int32").mac_j
    assert native.summary["energy_tensor_j"] == pytest.approx(4096**3 * each, rel=1e-9)
    older = accelsim.simulate_operator("matmul", on=with_unit(node="45nm"), **formats, **MATMUL)
    assert older.summary["energy_tensor_j"] > 2 * native.summary["energy_tensor_j"]


def test_the_priced_energy_of_known_units_is_near_what_their_descriptions_say() -> None:
    dense = {row.operands: row for row in H100.peak if row.sparsity == "dense"}
    for pair in (("bf16", "bf16"), ("fp16", "fp16"), ("int8", "int8")):
        row = dense[pair]
        assert row.energy_j_per_flop is not None
        priced = cost.of(pair[0], "7nm", other=pair[1], accumulator=row.accumulator).mac_j / 2
        assert priced == pytest.approx(row.energy_j_per_flop, rel=0.3)


@pytest.mark.parametrize("row", [{}, {"node": "7nm", "energy": "0.1 pJ/FLOP"}])
def test_a_unit_has_an_energy_or_a_node(row: dict[str, str]) -> None:
    with pytest.raises((DescriptionError, ValueError), match="energy"):
        with_unit(**row)


def test_an_unknown_node_is_named() -> None:
    with pytest.raises(AccelsimError, match="5nm"):
        accelsim.simulate_operator("matmul", on=with_unit(node="5nm"), format="flint4", weights="flint4", **MATMUL)
