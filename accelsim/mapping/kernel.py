"""The contract between mapping and engine: kernels made of phases of equal steps.

A kernel never says how long it takes. It says what it demands of which resource and what may overlap;
time, waiting and contention come out of the engine, and `accelsim.mapping.flows` prices the same
demands in closed form where nothing contends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Protocol

from accelsim.graph.operator import Operator
from accelsim.mapping.sums import Sums

_EMPTY: Mapping[str, Any] = MappingProxyType({})
PART: Final = "part."
"""Begins the dotted paths under which a kernel quotes figures of the memory that computes, not of its host."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that serves demands at a rate: a unit, a port, a memory.

    Equal units in lock-step (the SMs of a GPU) are one resource with a count.

    Attributes:
        name: hierarchical, such as `chip.sm.tensor`.
        unit: "B" or "clk" (cycles of one of the `count` units).
        rate: units served per second by all of them together.
        count: equal units that it stands for.
        bound: the word for an operator that this resource limits.
        component: the energy component that its traffic belongs to.
    """

    name: str
    unit: str
    rate: float
    count: int
    bound: str
    component: str


@dataclass(frozen=True, slots=True)
class Demand:
    """Work on one resource over a whole phase.

    Attributes:
        resource: name of the resource.
        amount: bytes or unit cycles, all steps together.
        share: the largest fraction of the resource's rate that the phase can draw: the SMs that have a
            tile, or what its bytes in flight allow.
    """

    resource: str
    amount: int
    share: float = 1.0


class Clocked(Protocol):
    """Computing whose demand depends on where the phase starts on a clock of its own, such as that of refresh."""

    @property
    def period_ps(self) -> int:
        """Starts that lie this far apart are alike; at least 1."""
        ...

    def amounts(self, since_ps: int) -> tuple[Demand, ...]:
        """Demands of computing, all steps, on the same resources whatever the start.

        Args:
            since_ps: start of the phase in absolute time, modulo `period_ps`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Equal steps of load, compute and store with staging buffers between load and compute.

    Attributes:
        name: unique in its kernel.
        steps: number of equal steps.
        buffers: steps that may be loaded ahead; with 1 nothing overlaps.
        load: demands of loading, all steps.
        compute: demands of computing, all steps.
        store: demands of storing, all steps; happens `stores` times, evenly.
        stores: results written during the phase.
        latency_s: first byte of a load, once per buffer turn.
        fill: the pipeline starts empty; False continues the phase before without a gap.
        drain: the last result leaves before the phase ends; False lets the next phase overlap it.
        after: phases of the same kernel to wait for; None is the one before, () starts with the kernel.
        most: the largest fraction of a resource's rate that loads and stores draw together, and that this phase and
            others like it do; 1 where nothing is said.
        holds: a memory whose normal accesses stand still while the phase runs. It waits until flows under way
            there have been served; flows and holders that come later wait for its end. Its own flows do not.
        clocked: computes in place of `compute`; asked when the phase starts, which is behind the wait of `holds`.
        priced_by: the rule that made the demands.
    """

    name: str
    steps: int
    buffers: int
    load: tuple[Demand, ...] = ()
    compute: tuple[Demand, ...] = ()
    store: tuple[Demand, ...] = ()
    stores: int = 1
    latency_s: float = 0.0
    fill: bool = True
    drain: bool = True
    after: tuple[str, ...] | None = None
    most: Mapping[str, float] = field(default_factory=lambda: _EMPTY)
    holds: str | None = None
    clocked: Clocked | None = None
    priced_by: str

    def __post_init__(self) -> None:
        if self.steps < 1 or self.buffers < 1 or not 1 <= self.stores <= self.steps:
            raise ValueError(
                f"phase {self.name}: steps ({self.steps}), buffers ({self.buffers}) and stores ({self.stores}) "
                "must be at least 1, and stores at most steps"
            )
        for part, demands in (("load", self.load), ("compute", self.compute), ("store", self.store)):
            names = [demand.resource for demand in demands]
            if len(set(names)) < len(names):
                raise ValueError(f"phase {self.name}: a resource stands twice in {part} ({', '.join(names)})")
        if self.clocked is not None:
            if self.compute:
                raise ValueError(f"phase {self.name}: computes by its clock, so that compute must be empty")
            if self.clocked.period_ps < 1:
                raise ValueError(f"phase {self.name}: a period of {self.clocked.period_ps} ps; it must be at least 1")

    def at(self, since_ps: int) -> Phase:
        """The phase with the demands of a start at this point of its clock; itself if it has none."""
        if self.clocked is None:
            return self
        return replace(self, compute=self.clocked.amounts(since_ps % self.clocked.period_ps), clocked=None)

    def demands(self) -> tuple[Demand, ...]:
        """All demands; those of a clock as at its start."""
        phase = self.at(0)
        return (*phase.load, *phase.compute, *phase.store)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A way to run the operator that was considered: its label and its time alone on an idle chip."""

    label: str
    time_s: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Who computes an operator on a system that has a choice.

    Attributes:
        where: "host" or "pim".
        host_s: time of the host's kernel alone on an idle machine; NaN if it cannot.
        pim_s: that of the units beside the banks, or the least that it takes; NaN if they cannot.
        reason: why they cannot.
    """

    where: str
    host_s: float
    pim_s: float
    reason: str = ""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Kernel:
    """One launch. Compared by identity: the same object runs the same way.

    Attributes:
        name: the operator's name.
        operator: what it computes.
        launch_s: from its stream being free to its first instruction.
        phases: in order; see `Phase.after`.
        events: what energy is charged for, counted once: {"tensor:bf16xbf16:fp32": FLOPs, ...}.
        priced_by: the rule and choice that priced it.
        constants: dotted paths of the chip figures used.
        choice: the chosen tile, split, waves, ... for `explain`.
        alternatives: everything considered, chosen one included.
        after: names of kernels of the same segment to wait for; None is the kernel before.
        placement: what was decided where there was a choice.
        bounds: words for resources that bound this kernel otherwise than their own word says.
        sums: in which parts a product is added; None where the mapping states nothing.
    """

    name: str
    operator: Operator
    launch_s: float
    phases: tuple[Phase, ...]
    events: Mapping[str, int]
    priced_by: str
    constants: tuple[str, ...]
    choice: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    alternatives: tuple[Alternative, ...] = ()
    after: tuple[str, ...] | None = None
    placement: Placement | None = None
    bounds: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    sums: Sums | None = None

    def demand(self, resource: str) -> int:
        """All work of this kernel on one resource."""
        return sum(d.amount for phase in self.phases for d in phase.demands() if d.resource == resource)


@dataclass(frozen=True, eq=False, slots=True)
class Segment:
    """Kernels that may overlap; the machine is empty before the first and after the last."""

    kernels: tuple[Kernel, ...]

    @property
    def periods_ps(self) -> tuple[int, ...]:
        """Periods of the clocks that its times depend on."""
        clocks = (phase.clocked for kernel in self.kernels for phase in kernel.phases)
        return tuple(sorted({clock.period_ps for clock in clocks if clock is not None}))


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """Segments in order, the whole `repeat` times: a group of equal layers."""

    name: str
    repeat: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """All kernels of one phase (prefill, or one decode step) in execution order."""

    phase: str
    stages: tuple[Stage, ...]

    def kernels(self) -> list[tuple[Stage, Kernel]]:
        """Every distinct kernel with its stage."""
        return [(stage, kernel) for stage in self.stages for segment in stage.segments for kernel in segment.kernels]
