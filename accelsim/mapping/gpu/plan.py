"""Graph -> plan for one GPU: a kernel per operator, one after the other in one stream."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator
from accelsim.mapping.gpu import attention, gemm, streaming
from accelsim.mapping.gpu.pairs import resolve
from accelsim.mapping.gpu.resources import resources
from accelsim.mapping.kernel import Kernel, Plan, Segment, Stage
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


class GpuMapper:
    """Maps operators of one chip; an operator that was mapped before gives the same kernel object.

    Args:
        chip: the GPU.
        bits: bits of one element for every format by name; the depth of a tile step follows from it.
    """

    def __init__(self, chip: GpuChip, bits: Mapping[str, float]) -> None:
        self.chip, self.bits = chip, bits
        self.resources = resources(chip)
        self._segments: dict[int, tuple[Operator, Segment]] = {}

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """All kernels of a phase in execution order, or the first reason why one cannot run."""
        stages = []
        for block in graph.blocks:
            segments = []
            for op in block.operators:
                segment = self._segment(op)
                if isinstance(segment, Infeasible):
                    return segment
                segments.append(segment)
            stages.append(Stage(block.name, block.repeat, tuple(segments)))
        return Plan(graph.phase, tuple(stages))

    def _segment(self, op: Operator) -> Segment | Infeasible:
        known = self._segments.get(id(op))
        if known is not None:
            return known[1]
        kernel = self.kernel(op)
        if isinstance(kernel, Infeasible):
            return kernel
        segment = Segment((kernel,))
        # the operator is kept beside the segment so that its id cannot be used again
        self._segments[id(op)] = (op, segment)
        return segment

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator."""
        if op.kind is Kind.ALL_REDUCE:
            return Infeasible(
                "unsupported",
                "collectives over several GPUs are not supported yet",
                set_by=("chips",),
                levers=("chips = 1",),
            )
        if op.kind not in MATRIX_KINDS:
            return streaming.kernel(op, self.chip)
        first, second = op.operand_formats()
        pair = resolve(self.chip, first.name, second.name)
        if isinstance(pair, Infeasible):
            return pair
        if op.kind is Kind.ATTENTION:
            return attention.kernel(op, self.chip, pair, self.resources)
        return gemm.kernel(op, self.chip, pair, self.bits, self.resources)
