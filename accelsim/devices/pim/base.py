"""What a family of memories with arithmetic of their own offers to the layers above: one kernel, with its account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from types import MappingProxyType
from typing import Any, Protocol

from accelsim.spec.infeasible import Infeasible
from accelsim.units import PS_PER_S

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Spent:
    """What one part of the memory did in a kernel.

    Attributes:
        resource: its name, such as `memory.activate`.
        component: the column of energy that it belongs to, one of `accelsim.energy.COMPONENTS`.
        joules: energy.
        busy_s: time in which it worked; 0 where nothing is known.
        unit: unit of `amount`, "clk", "B" or "ps".
        amount: what it served.
        bytes: bytes that it moved.
        count: equal parts that it stands for.
    """

    resource: str
    component: str
    joules: float
    busy_s: float = 0.0
    unit: str = "clk"
    amount: int = 0
    bytes: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelResult:
    """One kernel that has run.

    Attributes:
        cycles: its time in cycles of the reference clock.
        time_ps: the same in picoseconds.
        bound: what set the pace, a word of `accelsim.results.columns.BOUNDS`.
        priced_by: the rule that mapped and priced it.
        status: the weakest status among the figures used.
        flops: useful arithmetic.
        weight_bytes: operands that lie in the memory for good.
        activation_bytes: operands and results that come and go.
        dram_bytes: what the banks gave and took, padding included.
        used_bytes: memory that the operands take, padding included.
        spent: the account by parts; their energies add up to the whole.
        timeline: makes the rows of `run.timeline`.
        extra: further figures of the summary.
        warnings: what the reader should know.
        roofs: peak rates that bound the kernel.
    """

    cycles: int
    time_ps: int
    bound: str
    priced_by: str
    status: str
    flops: int
    weight_bytes: float
    activation_bytes: float
    dram_bytes: float
    used_bytes: float
    spent: tuple[Spent, ...]
    timeline: Callable[[], Rows]
    extra: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[str, ...] = ()
    roofs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def time_s(self) -> float:
        """Its time in seconds."""
        return self.time_ps / PS_PER_S


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Prepared:
    """An operator that is mapped once and starts many times, wherever the refresh stands.

    Attributes:
        result: its account where it starts at the beginning of a refresh interval.
        tick_ps: a cycle.
        interval: cycles of a refresh interval; 0 where nothing is refreshed.
        cycles: what the units take, and the host behind them, by the cycles since the interval began. All rows are
            closed then, and a refresh that fell due before is over.
    """

    result: KernelResult
    tick_ps: float
    interval: int
    cycles: Callable[[int], tuple[int, int]]
    _known: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def refresh_ps(self) -> int:
        """Starts that lie this far apart are alike; 0 where nothing is refreshed."""
        return round(self.interval * self.tick_ps)

    def time_ps(self, since_ps: int) -> int:
        """Its time from a start `since_ps` after the beginning of a refresh interval."""
        return round(sum(self._cycles(since_ps)) * self.tick_ps)

    def units_ps(self, since_ps: int) -> int:
        """Likewise, without what the host does behind the units."""
        return round(self._cycles(since_ps)[0] * self.tick_ps)

    def _cycles(self, since_ps: int) -> tuple[int, int]:
        since = 0
        if self.interval:  # a refresh that falls between two cycles comes with the later one
            since = min(int(since_ps % self.refresh_ps / self.tick_ps), self.interval - 1)
        found = self._known.get(since)
        if found is None:
            found = self._known[since] = self.cycles(since)
        return found


class KernelDevice(Protocol):
    """The contract of such a family: single operators and command traces."""

    @property
    def native(self) -> str:
        """Name of the format that its units compute in."""
        ...

    @property
    def capacity_bytes(self) -> float:
        """Memory of all parts together."""
        ...

    @property
    def clock_hz(self) -> float:
        """The reference clock."""
        ...

    @property
    def scopes(self) -> tuple[str, ...]:
        """What may be counted; the last one is the default."""
        ...

    @property
    def variants(self) -> Mapping[str, tuple[str, ...]]:
        """By kind of operator, the ways to compute it; the first one is the default."""
        ...

    @property
    def refresh_ps(self) -> int:
        """Interval of refresh in the default scope: starts that lie this far apart are alike; 0 without refresh."""
        ...

    def operator(
        self, kind: str, dims: Mapping[str, int], *, scope: str, variant: str, fidelity: str
    ) -> KernelResult | Infeasible:
        """One operator.

        Args:
            kind: a key of `variants`.
            dims: m, n, k of "matmul"; elements of the others.
            scope: one of `scopes`.
            variant: one of `variants[kind]`.
            fidelity: "event", or "roofline" for the peak rate alone.
        """
        ...

    def prepared(self, kind: str, dims: Mapping[str, int], *, scope: str, variant: str) -> Prepared | Infeasible:
        """One operator for many starts; arguments as for `operator`, whose event result is that of a start at 0."""
        ...

    def trace(self, file: str | PathLike[str], *, scope: str) -> KernelResult:
        """A file of commands.

        Raises:
            RequestError: a line that is no command, with its number.
        """
        ...
