"""Areas of dies and what chips cost."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

import accelsim
from accelsim import catalog
from accelsim.cost import area as areas
from accelsim.cost import money
from accelsim.errors import RequestError
from accelsim.spec.device import GpuChip
from accelsim.validation import area as validation

WITH_DIE = [
    name for name in catalog.names("arch") if isinstance(chip := catalog.chip(name), GpuChip) and chip.die is not None
]


@pytest.fixture(scope="module")
def rows():
    return {(row.die, row.part): row for row in validation.rows()}


def test_totals_of_the_measured_dies_are_within_ten_per_cent(rows):
    assert rows["GA100", "total"].published_mm2 == pytest.approx(822.7, abs=0.1)
    assert rows["Aldebaran", "total"].published_mm2 == pytest.approx(720.0, abs=0.1)
    assert rows["GA100", "total"].met
    assert rows["Aldebaran", "total"].met


def test_every_fitted_constant_follows_from_the_two_dies_alone():
    stated = validation.constants(catalog.process("tsmc-n7").parts)
    for key, value in validation.fitted().items():
        assert stated[key] == pytest.approx(value, rel=2e-3), key


@pytest.mark.parametrize(
    ("die", "error"), [("GA100", 0.061), ("Aldebaran", -0.089), ("GV100", 0.659), ("GA102", -0.058),
                       ("GH100", -0.091), ("AD102", 0.005)]
)  # fmt: skip
def test_errors_of_totals_are_those_of_the_docs(rows, die, error):
    """A change that moves them moves DEVIATIONS.md and docs/area.md, too."""
    assert rows[die, "total"].error == pytest.approx(error, abs=0.002)


def test_parts_add_up_and_are_all_named():
    for name in WITH_DIE:
        found = areas.of(name)
        assert tuple(found.parts_m2) == areas.PARTS
        assert found.total_m2 == pytest.approx(sum(found.parts_m2.values()))
        assert 400e-6 < found.total_m2 < 1400e-6


def test_chips_of_one_die_have_one_area():
    ga100 = {areas.of(name).total_m2 for name in ("a100-sxm-40gb", "a100-sxm-80gb", "a100-pcie-80gb")}
    assert max(ga100) == pytest.approx(min(ga100))
    gh100 = [areas.of(name).total_m2 for name in ("h100-sxm", "h100-pcie", "h200-sxm")]
    assert max(gh100) == pytest.approx(min(gh100))


def test_an_override_moves_its_own_part():
    usual = areas.of("h100-sxm").parts_m2
    for override, moved in (
        ({"l2.capacity": "100 MiB"}, {"L2"}),
        ({"sm.count": 66}, {*areas.CORES, "network"}),
        ({"die.local": "512 KiB"}, {"local memory"}),
        ({"memory.stacks": 8}, {"memory PHY", "memory controller"}),
        ({"die.links": "900 GB/s"}, {"link PHY", "link controller"}),
        ({"die.lanes_fp64": 0}, {"arithmetic"}),
    ):
        chip: Any = accelsim.chip("h100-sxm", override)
        found = areas.of(chip).parts_m2
        assert {name for name in found if found[name] != usual[name]} == moved, override


def test_a_denser_process_is_smaller_but_for_its_phys():
    inventory = areas.inventory("a100-sxm-80gb")
    here, there = (areas.area(replace(inventory, process=catalog.process(name))) for name in ("tsmc-n7", "tsmc-4n"))
    ratio = {name: there.parts_m2[name] / here.parts_m2[name] for name in areas.PARTS}
    assert ratio["issue"] == pytest.approx(90.64 / 145.9)
    assert ratio["L2"] == pytest.approx(0.021 / 0.027)
    assert ratio["memory PHY"] == ratio["link PHY"] == 1


def test_narrower_formats_take_smaller_units():
    node = catalog.node("7nm")
    sizes = [areas.mac_m2(name, node) for name in ("fp16", "bf16", "fp8_e4m3", "fp4_e2m1")]
    assert sizes == sorted(sizes, reverse=True)


def test_what_has_no_die_is_told():
    with pytest.raises(RequestError, match=r"mi300x: its description has no \[die\]"):
        areas.of("mi300x")
    with pytest.raises(RequestError, match=r"no \[die\]"):
        areas.of("ipu-mk2-8")


def test_dies_and_yield_against_hand_calculation():
    assert money.dies_per_wafer(600e-6) == pytest.approx(math.pi * 300**2 / 4 / 600 - math.pi * 300 / math.sqrt(1200))
    assert money.die_yield(600e-6, 0.1) == pytest.approx((1 + 0.6 / 3) ** -3)
    assert money.die_yield(600e-6, 0.0) == 1
    with pytest.raises(RequestError, match="does not fit a wafer"):
        money.dies_per_wafer(60_000e-6)


def test_a_larger_die_costs_more_than_its_share():
    small, large = (
        money.cost(accelsim.chip("a100-sxm-80gb", {"sm.count": count}))
        for count in (54, 108)  # type: ignore[arg-type]
    )
    ratio = large.area.total_m2 / small.area.total_m2
    assert large.parts_usd["die"] / small.parts_usd["die"] > ratio
    assert large.parts_usd["memory"] == small.parts_usd["memory"] == pytest.approx(7 * 80)


def test_memory_and_package():
    hbm, gddr = money.cost("a100-sxm-80gb"), money.cost("a6000")
    assert hbm.parts_usd["interposer"] > 0
    assert gddr.parts_usd["interposer"] == 0
    assert gddr.parts_usd["memory"] == pytest.approx(3.364 * 48)
    assert hbm.total_usd == pytest.approx(sum(hbm.parts_usd.values()))


def test_no_process_is_dead():
    used = {chip.die.process for name in WITH_DIE if isinstance(chip := catalog.chip(name), GpuChip) and chip.die}
    assert used | {"tsmc-n6", catalog.chip("groq-tsp").die.process} == set(catalog.names("processes"))


def test_a_system_costs_as_many_chips_as_it_has_and_a_published_die_is_its_area():
    one = money.cost("groq-lpu-576")
    assert one.area.total_m2 == pytest.approx(25e-3 * 29e-3)
    assert one.parts_usd["memory"] == one.parts_usd["interposer"] == 0
    assert one.parts_usd["die"] == pytest.approx(3984 / (one.dies_per_wafer * one.die_yield))
    assert money.system_usd("groq-lpu-576") == pytest.approx(576 * money.cost("groq-tsp").total_usd)
    assert money.system_usd("h100-sxm", 8) == pytest.approx(8 * money.cost("h100-sxm").total_usd)
