"""Operators -> kernels of one GPU, by their kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator
from accelsim.mapping.gpu import attention, gemm, quantise, streaming
from accelsim.mapping.gpu.library import Library, library
from accelsim.mapping.gpu.memory import MemoryPort, port
from accelsim.mapping.gpu.pairs import resolve
from accelsim.mapping.gpu.power import Limit
from accelsim.mapping.gpu.resources import resources
from accelsim.mapping.gpu.steps import beside
from accelsim.mapping.kernel import Kernel, Plan
from accelsim.mapping.plan import Planner
from accelsim.spec.calibration import Conditions
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


class GpuMapper:
    """Maps operators of one chip; an operator that was mapped before gives the same kernel object.

    Args:
        chip: the GPU.
        bits: bits of one element for every format by name; the depth of a tile step follows from it.
        streams: "one" runs kernels one after the other; "graph" starts each as soon as its tensors are there.
        conditions: library, residency and clock of the kernels.
    """

    def __init__(
        self, chip: GpuChip, bits: Mapping[str, float], streams: str = "one", conditions: Conditions | None = None
    ) -> None:
        self.chip, self.bits = chip, bits
        self.resources = resources(chip)
        self._planner = Planner(self.kernel, streams)
        self._conditions = conditions

    @cached_property
    def library(self) -> Library:
        """Whose kernels run here."""
        return library(self.chip, self._conditions)

    @cached_property
    def memory(self) -> MemoryPort:
        """What kernels draw from the memory; only kernels need it, so that closed forms never sample a DRAM."""
        return port(self.chip)

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """All kernels of a phase in execution order, or the first reason why one cannot run."""
        return self._planner.plan(graph)

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator, under sustained load at the clock that the board's power leaves it."""
        made = self._kernel(op)
        if isinstance(made, Infeasible) or self.library.conditions.clock != "sustained":
            return made
        return Limit(self.chip, self.resources).held(made)

    def _kernel(self, op: Operator) -> Kernel | Infeasible:
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
        if op.kind is Kind.QUANTIZE:
            return quantise.kernel(op, self.chip, steps, self.memory, self.library)
        if pair is None:
            return streaming.kernel(op, self.chip, steps, self.memory)
        if op.kind is Kind.ATTENTION:
            return attention.kernel(op, self.chip, pair, steps, self.memory, self.resources)
        return gemm.kernel(
            op, self.chip, pair, steps, self.bits, memory=self.memory, resources=self.resources, library=self.library
        )
