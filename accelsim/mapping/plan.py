"""Graph -> plan, whatever makes the kernels: one per operator, in one stream or in as many as the graph allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from accelsim.graph.operator import Graph, Operator
from accelsim.mapping.kernel import Kernel, Plan, Segment, Stage
from accelsim.mapping.order import dependencies
from accelsim.spec.infeasible import Infeasible


class Planner:
    """Plans of one device; an operator object that was planned before gives the same kernel object.

    Args:
        kernel: makes the kernel of an operator, or says why it cannot run.
        streams: "one" runs kernels one after the other; "graph" starts each as soon as its tensors are there.
    """

    def __init__(self, kernel: Callable[[Operator], Kernel | Infeasible], streams: str = "one") -> None:
        self._kernel, self.streams = kernel, streams
        self._kernels: dict[int, tuple[Operator, Kernel]] = {}
        self._made: dict[tuple[int, ...], Segment] = {}

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """All kernels of a phase in execution order, or the first reason why one cannot run."""
        stages = []
        for block in graph.blocks:
            kernels = []
            for op in block.operators:
                kernel = self._known(op)
                if isinstance(kernel, Infeasible):
                    return kernel
                kernels.append(kernel)
            stages.append(Stage(block.name, block.repeat, self._segments(block.operators, kernels)))
        return Plan(graph.phase, tuple(stages))

    def _known(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of an operator object; the operator is kept beside it so that its id stays taken."""
        known = self._kernels.get(id(op))
        if known is None:
            kernel = self._kernel(op)
            if isinstance(kernel, Infeasible):
                return kernel
            known = self._kernels[id(op)] = (op, kernel)
        return known[1]

    def _segments(self, operators: tuple[Operator, ...], kernels: list[Kernel]) -> tuple[Segment, ...]:
        """One stream: each kernel on its own. One stream per chain: all of a block together, by their tensors."""
        if self.streams == "one":
            return tuple(self._made.setdefault((id(kernel),), Segment((kernel,))) for kernel in kernels)
        key = tuple(map(id, kernels))
        if key not in self._made:
            waits = dependencies(operators)
            self._made[key] = Segment(tuple(replace(kernel, after=waits[kernel.name]) for kernel in kernels))
        return (self._made[key],)
