"""Graph -> plan for a system of IPUs: layers in a pipeline over groups of chips, and the way back to the head."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.graph.operator import Block, Graph, Operator, Role
from accelsim.mapping.horizon import Horizon
from accelsim.mapping.ipu.chain import send
from accelsim.mapping.ipu.kernels import Kernels, Where
from accelsim.mapping.ipu.place import Place, heads_by_rule, is_layer, place, sizes
from accelsim.mapping.ipu.resources import Crew, resources
from accelsim.mapping.kernel import Kernel, Plan, Segment, Stage
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import IpuPart, IpuSystem


class IpuMapper:
    """Maps graphs on a system; an operator that was mapped before gives the same kernel object.

    Args:
        system: the chips.
        part: one of them.
        bits: bits of one element by format name.
        horizon: what programs are compiled for; None for single operators.
    """

    def __init__(
        self, system: IpuSystem, part: IpuPart, bits: Mapping[str, float], horizon: Horizon | None = None
    ) -> None:
        self.system, self.part, self.horizon = system, part, horizon
        self.resources = resources(part, system.count)
        self._kernels = Kernels(system, part, bits, horizon.positions if horizon else None)
        self._known: dict[tuple[int, Where], tuple[Operator, Segment]] = {}
        self._place: Place | None = None
        self._sends: dict[tuple[float, int], Segment] = {}

    def heads(self) -> int:
        """Groups with embedding and head."""
        return heads_by_rule(self.horizon.layers, self.system) if self.horizon else 1

    def where(self, op: Operator) -> Where:
        """Where an operator runs that is looked at on its own."""
        head = self.horizon is not None and not op.name.startswith(("layers", "encoder"))
        together = self.system.tensor_parallel * (self.heads() if head else 1)
        return Where(Crew(self.part, self.system.count, together), 0.0, head)

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator."""
        return self._kernels.kernel(op, self.where(op))

    def misfit(self, graph: Graph) -> Infeasible | None:
        """Why a model does not lie on these chips, or None."""
        found = place(sizes(graph, self._kernels.positions), self.system, self.part)
        return found if isinstance(found, Infeasible) else None

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """All kernels of a phase in execution order, or the first reason why one cannot run."""
        layers = sum(block.repeat for block in graph.blocks if is_layer(block))
        found = self._placed(graph, layers)
        if isinstance(found, Infeasible):
            return found
        together = self.system.tensor_parallel
        crew = Crew(self.part, self.system.count, together)
        heads = Crew(self.part, self.system.count, together * found.heads) if layers else crew
        at_head = Where(heads, found.streamed_head, bool(layers))
        size, form = _residual(graph)
        stages: list[Stage] = []
        groups = _Walk(found)
        groups.take(sum(found.layers) - layers)  # an encoder comes first, and has no part in decoding
        for block in graph.blocks:
            for group, repeat in groups.take(block.repeat) if is_layer(block) else [(0, block.repeat)]:
                hops = self.system.hops(groups.at * together, group * together)
                if hops and form is not None:
                    stages.append(Stage(f"send to group {group}", 1, (self._send(size, form, hops, crew),)))
                groups.at = group
                where = Where(crew, found.streamed[group]) if is_layer(block) else at_head
                segments = self._segments(block, where)
                if isinstance(segments, Infeasible):
                    return segments
                stages.append(Stage(block.name, repeat, segments))
        return Plan(graph.phase, tuple(stages))

    def _placed(self, graph: Graph, layers: int) -> Place | Infeasible:
        """Where a phase lies: as the phase before it, unless this one has more layers."""
        if self._place is None or layers > sum(self._place.layers) or not layers:
            found = place(sizes(graph, self._kernels.positions), self.system, self.part)
            if isinstance(found, Infeasible) or not layers:
                return found
            self._place = found
        return self._place

    def _segments(self, block: Block, where: Where) -> tuple[Segment, ...] | Infeasible:
        found = []
        for op in block.operators:
            key = (id(op), where)
            if key not in self._known:
                kernel = self._kernels.kernel(op, where)
                if isinstance(kernel, Infeasible):
                    return kernel
                self._known[key] = (op, Segment((kernel,)))
            found.append(self._known[key][1])
        return tuple(found)

    def _send(self, size: float, form: Format, hops: int, crew: Crew) -> Segment:
        key = (size, hops)
        if key not in self._sends:
            self._sends[key] = Segment((send(size, form, hops, self.system, crew),))
        return self._sends[key]


class _Walk:
    """Layers dealt to groups, one block after the other; `at` is the group that has the activations."""

    def __init__(self, found: Place) -> None:
        self.at = 0
        self._left = list(found.layers)

    def take(self, layers: int) -> list[tuple[int, int]]:
        """(group, layers) of the next so many layers."""
        taken = []
        for group, free in enumerate(self._left):
            mine = min(free, layers)
            if mine:
                taken.append((group, mine))
                self._left[group] -= mine
                layers -= mine
        return taken


def _residual(graph: Graph) -> tuple[float, Format | None]:
    """Bytes and format of the residual stream, which is what groups send each other."""
    for _, op in graph:
        for tensor in op.outputs:
            if tensor.name == "hidden" and tensor.role is Role.ACTIVATION:
                return float(tensor.bytes), tensor.format
    return 0.0, None
