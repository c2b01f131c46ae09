"""Operators -> kernels of one GPU, by their kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from accelsim.graph.operator import COLLECTIVE_KINDS, MATRIX_KINDS, Graph, Kind, Operator
from accelsim.graph.parallel import share
from accelsim.mapping.gpu import attention, collective, gemm, quantise, streaming
from accelsim.mapping.gpu.group import of_all
from accelsim.mapping.gpu.launch import in_stream
from accelsim.mapping.gpu.library import Collectives, Library, collectives, library, row_kernels
from accelsim.mapping.gpu.memory import MemoryPort, port
from accelsim.mapping.gpu.offload import HostTier
from accelsim.mapping.gpu.pairs import resolve
from accelsim.mapping.gpu.power import Limit
from accelsim.mapping.gpu.resources import joined, resources
from accelsim.mapping.gpu.steps import beside
from accelsim.mapping.kernel import Kernel, Plan
from accelsim.mapping.plan import Planner
from accelsim.spec.calibration import Conditions, RowKernels
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


class GpuMapper:
    """Maps operators of one chip; an operator that was mapped before gives the same kernel object.

    Args:
        chip: the GPU.
        bits: bits of one element for every format by name; the depth of a tile step follows from it.
        streams: "one" runs kernels one after the other; "graph" starts each as soon as its tensors are there.
        conditions: library, residency and clock of the kernels.
        devices: GPUs that share every operator; see `accelsim.graph.parallel`.
        host: where some tensors are kept, if they are not all in device memory; of one GPU alone.

    Attributes:
        resources: of all GPUs together, their links where there are several, and the link to a host that keeps tensors.
    """

    def __init__(
        self,
        chip: GpuChip,
        bits: Mapping[str, float],
        streams: str = "one",
        conditions: Conditions | None = None,
        devices: int = 1,
        host: HostTier | None = None,
    ) -> None:
        self.chip, self.bits, self.devices, self.host = chip, bits, devices, host
        self._own = resources(chip) | ({host.resource.name: host.resource} if host else {})
        self.resources = joined(chip, devices) if devices > 1 else self._own
        self._planner = Planner(self.kernel, streams)
        self._conditions = conditions

    @cached_property
    def library(self) -> Library:
        """Whose kernels run here."""
        return library(self.chip, self._conditions)

    @cached_property
    def collectives(self) -> Collectives:
        """What is known of messages between such chips."""
        return collectives(self.chip)

    @cached_property
    def row_kernels(self) -> RowKernels | None:
        """What softmax and norms hold of a row."""
        return row_kernels(self.chip)

    @cached_property
    def memory(self) -> MemoryPort:
        """What kernels draw from the memory; only kernels need it, so that closed forms never sample a DRAM."""
        return port(self.chip)

    @cached_property
    def _limit(self) -> Limit:
        """Of the board of each GPU."""
        return Limit(self.chip, self._own)

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """All kernels of a phase in execution order, or the first reason why one cannot run."""
        return self._planner.plan(graph)

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator, on all GPUs, launched as the conditions say."""
        found = self._captured(share(op, self.devices) if self.devices > 1 else op)
        if isinstance(found, Infeasible):
            return found
        if self.host is not None:
            found = self.host.fetched(found, op)
        if self.library.conditions.clock == "sustained" and op.kind not in COLLECTIVE_KINDS:
            found = self._limit.held(found)
        if self.devices > 1:
            found = of_all(found, op, self.devices)
        return found if self.library.conditions.launch == "graph" else in_stream(found, self.resources)

    def _captured(self, op: Operator) -> Kernel | Infeasible:
        """What one GPU runs, launched from a graph."""
        if op.kind in COLLECTIVE_KINDS:
            return collective.kernel(op, self.chip, self.memory, self.collectives)
        pair = resolve(self.chip, *op.operand_formats()) if op.kind in MATRIX_KINDS else None
        if isinstance(pair, Infeasible):
            return pair
        steps = beside(op, self.chip)
        if isinstance(steps, Infeasible):
            return steps
        if op.kind is Kind.QUANTIZE:
            return quantise.kernel(op, self.chip, steps, self.memory, self.library)
        if pair is None:
            return streaming.kernel(op, self.chip, steps, self.memory, self.row_kernels, self.library)
        if op.kind is Kind.ATTENTION:
            return attention.kernel(
                op, self.chip, pair, steps, memory=self.memory, resources=self._own, library=self.library
            )
        return gemm.kernel(
            op, self.chip, pair, steps, self.bits, memory=self.memory, resources=self._own, library=self.library
        )
