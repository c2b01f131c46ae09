"""What every hardware family offers to the layers above."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from accelsim.graph.counts import Counts
from accelsim.graph.numbers import Number
from accelsim.graph.operator import Graph, Operator
from accelsim.mapping.kernel import Kernel, Plan, Resource
from accelsim.spec.infeasible import Infeasible


class EventCost(NamedTuple):
    """Where the energy of a counted event goes: component, resource, and joules of one event.

    `board_j` is what the board draws on top of them, None where nothing is known of that.
    """

    component: str
    resource: str
    joules: Number
    board_j: Number | None = None


@dataclass(frozen=True, slots=True)
class Priced:
    """One execution of an operator in closed form; figures may be arrays of design points.

    Attributes:
        time_s: the largest of `terms`.
        terms: seconds by a name of `Device.roofline_resources`.
        events: energy counters.
        counts: its arithmetic.
        priced_by: the rule, with the conversion if there is one.
    """

    time_s: Number
    terms: Mapping[str, Number]
    events: Mapping[str, Number]
    counts: Counts
    priced_by: str


@runtime_checkable
class Padding(Protocol):
    """A family whose layouts leave room empty."""

    def padding_bytes(self, graph: Graph) -> tuple[float, float]:
        """Bytes that weights, and keys and values, take beyond their own, because of how they lie."""
        ...


@runtime_checkable
class Placing(Protocol):
    """A device that lays a model out over several memories, so that more counts than the sum of their bytes."""

    def misfit(self, graph: Graph) -> Infeasible | None:
        """Why a model does not lie there, or None.

        Args:
            graph: its first phase, in which every weight occurs.
        """
        ...


@runtime_checkable
class Contextual(Protocol):
    """A device on which an operator's kernel depends on the pass that it belongs to."""

    def kernel_in(self, graph: Graph, op: Operator) -> Kernel | Infeasible:
        """The kernel that a pass has for one of its operators."""
        ...


class Device(Protocol):
    """The contract of a hardware family."""

    family: str

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Resources by name."""
        ...

    @property
    def capacity_bytes(self) -> Number:
        """Memory that weights, KV cache and activations share."""
        ...

    @property
    def idle_w(self) -> Number:
        """Power without work."""
        ...

    @property
    def limit_w(self) -> Number:
        """Board power limit."""
        ...

    @property
    def reference_clock_hz(self) -> Number:
        """The clock whose cycles results are told in."""
        ...

    @property
    def roofline_resources(self) -> Mapping[str, str]:
        """The resource behind each term of the closed form."""
        ...

    @property
    def roofline_constants(self) -> tuple[str, ...]:
        """Figures that the closed form uses, by dotted path."""
        ...

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """Kernels of a phase; an operator object seen before gives the same kernel object."""
        ...

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator."""
        ...

    def roofline(self, op: Operator) -> Priced | Infeasible:
        """One operator in closed form."""
        ...

    def event_cost(self, event: str) -> EventCost:
        """Energy of one counted event."""
        ...

    def roofs(self, events: Iterable[str]) -> Mapping[str, float]:
        """Peak rates that bound work with these counters, as `accelsim.results.Run.roofs` has them."""
        ...

    def status(self, constants: Iterable[str]) -> str:
        """The weakest status among figures, by dotted path; a table's name stands for all its keys."""
        ...

    def constant(self, path: str) -> list[tuple[str, str, str]]:
        """(path, source, status) of a figure, or of every row of a table."""
        ...
