"""Arithmetic structures as counts of cells: adders, shifters, counters of leading bits, multipliers, tables.

All are plain combinational circuits, as synthesis makes them without a timing to meet. Widths are bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accelsim.spec.node import Cells


@dataclass(frozen=True, slots=True)
class Gates:
    """How many cells of each sort a circuit takes; `ands` are simple gates of any sort."""

    full_adders: float = 0
    half_adders: float = 0
    muxes: float = 0
    xors: float = 0
    ands: float = 0

    def __add__(self, other: Gates) -> Gates:
        return Gates(
            self.full_adders + other.full_adders,
            self.half_adders + other.half_adders,
            self.muxes + other.muxes,
            self.xors + other.xors,
            self.ands + other.ands,
        )

    def __mul__(self, times: float) -> Gates:
        return Gates(
            self.full_adders * times, self.half_adders * times, self.muxes * times, self.xors * times, self.ands * times
        )

    def area_m2(self, cells: Cells) -> float:
        """Sum of the areas of the cells."""
        return (
            self.full_adders * cells.full_adder_m2
            + self.half_adders * cells.half_adder_m2
            + self.muxes * cells.mux_m2
            + self.xors * cells.xor_m2
            + self.ands * cells.and_m2
        )


NOTHING = Gates()


def total(parts: Iterable[Gates]) -> Gates:
    """The sum of circuits."""
    return sum(parts, NOTHING)


def adder(width: int) -> Gates:
    """Sum or difference of two numbers."""
    return Gates(full_adders=max(width, 0))


def incrementer(width: int) -> Gates:
    """A number plus a bit, as rounding needs it."""
    return Gates(half_adders=max(width, 0))


def negation(width: int) -> Gates:
    """A number or its two's complement."""
    return Gates(xors=max(width, 0)) + incrementer(width)


def selection(width: int, choices: int = 2) -> Gates:
    """One of several numbers."""
    return Gates(muxes=max(width, 0) * max(choices - 1, 0))


def any_of(bits: int) -> Gates:
    """Whether all, none or any of some bits are set."""
    return Gates(ands=max(bits - 1, 0))


def shifter(width: int, distance: int) -> Gates:
    """A number shifted by 0 to `distance` places: a stage of multiplexers for each bit of the distance."""
    return Gates(muxes=max(width, 0) * max(distance, 0).bit_length())


def placing(bits: int, distance: int, window: int) -> Gates:
    """A number put somewhere into a wider window, 0 to `distance` places up; what leaves the window is dropped.

    A stage that shifts by s takes a multiplexer where both sources may be set and a gate where only one may.
    """
    result, width = NOTHING, min(bits, window)
    for stage in range(max(distance, 0).bit_length()):
        step = 1 << stage
        both = max(width - step, 0)
        wider = min(width + step, window)
        result += Gates(muxes=both, ands=min(wider, 2 * width) - both)
        width = wider
    return result


def leading_count(width: int) -> Gates:
    """How many equal bits a number begins with: a tree that joins the counts of halves.

    A node of level k, of ceil(width / 2^k), takes a gate and k - 1 multiplexers.
    """
    result, nodes, level = NOTHING, width, 1
    while nodes > 1:
        nodes = -(-nodes // 2)
        result += Gates(ands=nodes, muxes=nodes * (level - 1))
        level += 1
    return result


def multiplier(first: int, second: int) -> Gates:
    """Product of two numbers: an array of and-gates, and a row of full adders for each row of it but one."""
    if first < 1 or second < 1:
        return NOTHING
    return Gates(ands=first * second, full_adders=(min(first, second) - 1) * max(first, second))


def constant_multiplier(width: int, digits: int) -> Gates:
    """Product with a constant of so many binary digits, a third of which are not zero in signed-digit form."""
    return adder(width) * max(-(-digits // 3) - 1, 0)


def table(levels: int, width: int) -> Gates:
    """Constants by index: a tree of multiplexers whose first row, between constants, is wires and inverters."""
    return Gates(muxes=width * max(levels / 2 - 1, 0))


def smooth_table(bits: int, width: int) -> Gates:
    """A smooth function of a fraction, such as 2^x - 1: one table, or two smaller ones that are added.

    Beyond four bits of argument the table splits (Das Sarma and Matula, faithful bipartite tables): each part is
    indexed by two thirds of the argument.
    """
    if bits <= 4:
        return table(1 << max(bits, 0), width)
    part = -(-2 * bits // 3)
    return table(1 << part, width) * 1.5 + adder(width)  # the second table's entries are about half as wide
