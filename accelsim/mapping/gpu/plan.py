"""Operators -> kernels of one GPU, by their kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator
from accelsim.mapping.gpu import attention, gemm, streaming
from accelsim.mapping.gpu.memory import MemoryPort, port
from accelsim.mapping.gpu.offload import HOST_LINK, HostTier
from accelsim.mapping.gpu.pairs import resolve
from accelsim.mapping.gpu.resources import resources
from accelsim.mapping.gpu.steps import beside
from accelsim.mapping.kernel import Kernel, Plan
from accelsim.mapping.plan import Planner
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


class GpuMapper:
    """Maps operators of one chip; an operator that was mapped before gives the same kernel object.

    Args:
        chip: the GPU.
        bits: bits of one element for every format by name; the depth of a tile step follows from it.
        streams: "one" runs kernels one after the other; "graph" starts each as soon as its tensors are there.
        host: where some tensors are kept, if they are not all in device memory.
    """

    def __init__(
        self, chip: GpuChip, bits: Mapping[str, float], streams: str = "one", host: HostTier | None = None
    ) -> None:
        self.chip, self.bits, self.host = chip, bits, host
        self.resources = resources(chip) | ({HOST_LINK: host.resource} if host else {})
        self._planner = Planner(self.kernel, streams)

    @cached_property
    def memory(self) -> MemoryPort:
        """What kernels draw from the memory; only kernels need it, so that closed forms never sample a DRAM."""
        return port(self.chip)

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """All kernels of a phase in execution order, or the first reason why one cannot run."""
        return self._planner.plan(graph)

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator."""
        kernel = self._kernel(op)
        return kernel if self.host is None or isinstance(kernel, Infeasible) else self.host.fetched(kernel, op)

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
        if pair is None:
            return streaming.kernel(op, self.chip, steps, self.memory)
        if op.kind is Kind.ATTENTION:
            return attention.kernel(op, self.chip, pair, steps, self.memory, self.resources)
        return gemm.kernel(op, self.chip, pair, steps, self.bits, self.memory, self.resources)
