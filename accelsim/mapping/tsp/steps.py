"""Cycles at which something happens again and again: bursts of equal steps at equal distances."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Final

import numpy as np
import numpy.typing as npt

LARGEST: Final = 4_000_000
"""Steps that are written out at most to compare two patterns without a common period."""


@dataclass(frozen=True, slots=True)
class Steps:
    """`bursts` bursts, `period` cycles apart, of `length` steps that are `stride` cycles apart.

    A burst ends before the next one begins.
    """

    first: int
    length: int = 1
    stride: int = 1
    bursts: int = 1
    period: int = 0

    def __post_init__(self) -> None:
        if self.length < 1 or self.bursts < 1 or self.stride < 1:
            raise ValueError(f"{self}: length, stride and bursts must be at least 1")
        if self.bursts > 1 and self.period < (self.length - 1) * self.stride + 1:
            raise ValueError(f"{self}: a burst is longer than the period")

    @property
    def last(self) -> int:
        """The last of them."""
        return self.first + (self.length - 1) * self.stride + (self.bursts - 1) * self.period

    @property
    def count(self) -> int:
        """How many."""
        return self.length * self.bursts

    def moved(self, cycles: int) -> Steps:
        """The same, later by some cycles."""
        return Steps(self.first + cycles, self.length, self.stride, self.bursts, self.period)

    def __iter__(self) -> Iterator[int]:
        for burst in range(self.bursts):
            for step in range(self.length):
                yield self.first + burst * self.period + step * self.stride

    def array(self) -> npt.NDArray[np.int64]:
        """All of them in order."""
        inner = self.stride * np.arange(self.length, dtype=np.int64)
        return (self.first + self.period * np.arange(self.bursts, dtype=np.int64)[:, None] + inner).ravel()

    def flat(self) -> Steps:
        """In one burst, where the bursts continue each other at the same distance."""
        if self.bursts > 1 and (self.length == 1 or self.period == self.length * self.stride):
            stride = self.period if self.length == 1 else self.stride
            return Steps(self.first, self.count, stride)
        return self


def equal(one: Steps, other: Steps) -> bool:
    """Whether two patterns are the same cycles in the same order."""
    if one.count != other.count or one.first != other.first or one.last != other.last:
        return False
    a, b = one.flat(), other.flat()
    if a.bursts == b.bursts == 1:
        return a.count == 1 or a.stride == b.stride
    if (a.length, a.bursts) == (b.length, b.bursts):
        return (a.length == 1 or a.stride == b.stride) and a.period == b.period
    return bool(np.array_equal(one.array(), other.array()))


def meet(one: Steps, other: Steps, held: int = 1, other_held: int = 1) -> int | None:
    """A cycle that both patterns occupy, when each step holds its place for some cycles; None if there is none.

    Args:
        one: a pattern.
        other: another one.
        held: cycles that a step of `one` takes.
        other_held: cycles that a step of `other` takes.
    """
    if one.first > other.last + other_held - 1 or other.first > one.last + held - 1:
        return None
    a, b = one.flat(), other.flat()
    if a.bursts == b.bursts == 1:
        return _meet_flat(a, b, held, other_held)
    if one.count + other.count > LARGEST:
        raise ValueError(f"{one} and {other} are too long to compare without a common stride")
    first, second = one.array(), other.array()
    where = np.searchsorted(second, first - other_held + 1)
    inside = where < second.size
    hit = inside & (second[np.minimum(where, second.size - 1)] < first + held)
    if not hit.any():
        return None
    index = int(np.argmax(hit))
    return int(max(first[index], second[where[index]]))


def _meet_flat(a: Steps, b: Steps, held: int, other_held: int) -> int | None:
    """Two plain progressions: first_a + i stride_a and first_b + j stride_b closer than they hold."""
    for shift in range(1 - other_held, held):  # b's step lies `shift` cycles behind a's
        found = _common(a, b.moved(-shift))
        if found is not None:
            return found + max(shift, 0)
    return None


def _common(a: Steps, b: Steps) -> int | None:
    """The first cycle that is in both progressions."""
    common = gcd(a.stride, b.stride)
    if (b.first - a.first) % common:
        return None
    step = b.stride // common
    inverse = pow(a.stride // common, -1, step) if step > 1 else 0
    index = (b.first - a.first) // common * inverse % step
    cycle = a.first + index * a.stride
    period = a.stride * step
    low = max(a.first, b.first)
    if cycle < low:
        cycle += -(-(low - cycle) // period) * period
    return cycle if cycle <= min(a.last, b.last) else None
