"""Graph -> plan for one GPU: a kernel per operator, in one stream or in as many as the graph allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator
from accelsim.mapping.gpu import attention, gemm, streaming
from accelsim.mapping.gpu.memory import MemoryPort, port
from accelsim.mapping.gpu.pairs import resolve
from accelsim.mapping.gpu.resources import resources
from accelsim.mapping.gpu.steps import beside
from accelsim.mapping.kernel import Kernel, Plan, Segment, Stage
from accelsim.mapping.order import dependencies
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


class GpuMapper:
    """Maps operators of one chip; an operator that was mapped before gives the same kernel object.

    Args:
        chip: the GPU.
        bits: bits of one element for every format by name; the depth of a tile step follows from it.
        streams: "one" runs kernels one after the other; "graph" starts each as soon as its tensors are there.
    """

    def __init__(self, chip: GpuChip, bits: Mapping[str, float], streams: str = "one") -> None:
        self.chip, self.bits, self.streams = chip, bits, streams
        self.resources = resources(chip)
        self._kernels: dict[int, tuple[Operator, Kernel]] = {}
        self._made: dict[tuple[int, ...], Segment] = {}

    @cached_property
    def memory(self) -> MemoryPort:
        """What kernels draw from the memory; only kernels need it, so that closed forms never sample a DRAM."""
        return port(self.chip)

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
            kernel = self.kernel(op)
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

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator."""
        if op.kind is Kind.ALL_REDUCE:
            return Infeasible(
                "unsupported",
                "collectives over several GPUs are not supported yet",
                set_by=("chips",),
                levers=("chips = 1",),
            )
        pair = resolve(self.chip, *op.operand_formats()) if op.kind in MATRIX_KINDS else None
        if isinstance(pair, Infeasible):
            return pair
        steps = beside(op, self.chip)
        if isinstance(steps, Infeasible):
            return steps
        if pair is None:
            return streaming.kernel(op, self.chip, steps, self.memory)
        if op.kind is Kind.ATTENTION:
            return attention.kernel(op, self.chip, pair, steps, self.memory, self.resources)
        return gemm.kernel(op, self.chip, pair, steps, self.bits, self.memory, self.resources)
