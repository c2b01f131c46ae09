"""Graph -> plan for boards of an overlay: one stream of kernels, in the order of the program."""

from __future__ import annotations

from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator
from accelsim.mapping.fpga import attention, linear, vector
from accelsim.mapping.fpga.context import Context
from accelsim.mapping.fpga.fabric import does_not_fit
from accelsim.mapping.fpga.layout import Layout
from accelsim.mapping.fpga.operands import refused
from accelsim.mapping.kernel import Kernel, Plan, Segment, Stage
from accelsim.spec.infeasible import Infeasible


class FpgaMapper:
    """Maps operators; one that was mapped before, in a pass of the same kind, gives the same kernel object.

    Args:
        layout: the boards.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.refusal = layout.refusal() or does_not_fit(layout.part)
        self._segments: dict[tuple[int, Context], tuple[Operator, Segment]] = {}

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """All kernels of a pass in execution order, or the first reason why one cannot run."""
        context = Context.of(graph)
        stages = []
        for block in graph.blocks:
            segments = []
            for op in block.operators:
                known = self._segments.get((id(op), context))
                if known is None:
                    kernel = self.kernel(op, context)
                    if isinstance(kernel, Infeasible):
                        return kernel
                    # the operator is kept beside its segment so that its id stays taken
                    known = self._segments[id(op), context] = (op, Segment((kernel,)))
                segments.append(known[1])
            stages.append(Stage(block.name, block.repeat, tuple(segments)))
        return Plan(graph.phase, tuple(stages))

    def kernel(self, op: Operator, context: Context | None = None) -> Kernel | Infeasible:
        """The kernel of one operator; without a context, as if it stood alone."""
        context = context or Context()
        failure = self.refusal or self.unsupported(op)
        if failure is not None:
            return failure
        if op.kind in (Kind.ATTENTION, Kind.SCORES, Kind.CONTEXT):
            return attention.kernel(op, self.layout, context)
        if op.kind in MATRIX_KINDS:
            return linear.kernel(op, self.layout, context)
        return vector.kernel(op, self.layout, context)

    def unsupported(self, op: Operator) -> Infeasible | None:
        """Why an operator cannot run on these boards."""
        if op.kind is Kind.ALL_REDUCE:
            return Infeasible(
                "unsupported", f"{op.name}: the boards gather the parts of a vector, they do not add vectors up",
                set_by=("topology",), levers=("a product, whose parts are gathered",),
            )  # fmt: skip
        if op.kind not in MATRIX_KINDS:
            return None
        boards = self.layout.boards
        heads = int(op.dims.get("heads", 0))
        if op.kind in (Kind.ATTENTION, Kind.SCORES, Kind.CONTEXT) and heads % boards:
            legal = [str(n) for n in range(1, heads + 1) if heads % n == 0 and n <= max(boards, 8)]
            return Infeasible(
                "unsupported",
                f"{heads} heads do not divide over {boards} boards, which share every layer by heads",
                demand=heads,
                bound=boards,
                set_by=("model", "count"),
                levers=(f"{' or '.join(legal)} boards", f"a model whose heads are a multiple of {boards}"),
            )
        return refused(self.layout.part, op)
