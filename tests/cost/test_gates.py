"""Are the cells of small circuits those that one counts by hand?"""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.cost import gates
from accelsim.cost.gates import Gates


def test_adders_and_multipliers_of_the_textbook() -> None:
    assert gates.adder(32) == Gates(full_adders=32)
    assert gates.multiplier(8, 8) == Gates(full_adders=56, ands=64)
    assert gates.multiplier(4, 8) == gates.multiplier(8, 4) == Gates(full_adders=24, ands=32)
    assert gates.multiplier(1, 8) == Gates(ands=8)
    assert gates.multiplier(0, 8) == Gates()


def test_a_shifter_has_a_row_of_multiplexers_for_each_bit_of_the_distance() -> None:
    assert [gates.shifter(8, distance).muxes for distance in (0, 1, 3, 4, 7, 8)] == [0, 8, 16, 24, 24, 32]


def test_putting_a_number_into_a_wider_window_needs_gates_where_one_source_is_left() -> None:
    assert gates.placing(4, 0, 9) == Gates()
    assert gates.placing(4, 1, 9) == Gates(muxes=3, ands=2)
    assert gates.placing(4, 3, 9) == Gates(muxes=3 + 3, ands=2 + 4)
    assert gates.placing(1, 15, 16) == Gates(ands=2 + 4 + 8 + 16)  # a decoder from 4 bits to 16
    assert gates.placing(8, 8, 8) == Gates(muxes=7 + 6 + 4, ands=1 + 2 + 4 + 8)


def test_leading_bits_are_counted_in_a_tree() -> None:
    assert gates.leading_count(1) == Gates()
    assert gates.leading_count(2) == Gates(ands=1)
    assert gates.leading_count(4) == Gates(ands=3, muxes=1)
    assert gates.leading_count(8) == Gates(ands=7, muxes=4)


def test_a_table_of_constants_needs_no_first_row() -> None:
    assert gates.table(2, 5) == Gates()
    assert gates.table(4, 1) == Gates(muxes=1)
    assert gates.table(16, 8) == Gates(muxes=56)


def test_a_smooth_table_is_split_where_that_pays() -> None:
    cells = catalog.node("45nm").cells
    sizes = [gates.smooth_table(bits, bits + 1).area_m2(cells) for bits in range(16)]
    assert sizes == sorted(sizes)
    assert gates.smooth_table(12, 13).area_m2(cells) < gates.table(1 << 12, 13).area_m2(cells) / 5


def test_circuits_add_up() -> None:
    both = gates.adder(3) + gates.negation(2) * 2
    assert both == Gates(full_adders=3, half_adders=4, xors=4)
    cells = catalog.node("45nm").cells
    assert both.area_m2(cells) == pytest.approx((3 * 4.256 + 4 * 2.66 + 4 * 1.596) * 1e-12)
