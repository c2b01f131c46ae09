"""Graph -> plan for a system of tensor streaming processors: one static schedule over all of its chips."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from accelsim.graph.counts import count
from accelsim.graph.operator import MATRIX_KINDS, Block, Graph, Kind, Operator, Role, Tensor
from accelsim.mapping.horizon import Horizon
from accelsim.mapping.kernel import Alternative, Demand, Kernel, Phase, Plan, Segment, Stage
from accelsim.mapping.tsp import exchange
from accelsim.mapping.tsp.layout import Layout, layout, lone
from accelsim.mapping.tsp.operators import Chip, Work
from accelsim.mapping.tsp.pairs import Pair, resolve
from accelsim.mapping.tsp.resources import GLOBAL, SRAM, STREAM, TURNAROUND, resources
from accelsim.mapping.tsp.section import Section
from accelsim.mapping.tsp.split import Splitter, Step, Way
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.tsp import TspPart, TspSystem
from accelsim.timing.tsp import topology

CONSTANTS = ("clock.core.frequency", "lanes", "mem", "timing.turnaround")
ON_PLANES = ("mxm", "peak")
ON_LINKS = ("c2c",)


class TspMapper:
    """Maps graphs onto one system; an operator that was mapped before gives the same kernel object.

    Args:
        system: the chips and how they are joined.
        part: one chip.
        horizon: what the whole run holds; None for single operators.
    """

    def __init__(self, system: TspSystem, part: TspPart, horizon: Horizon | None = None) -> None:
        self.system, self.part, self.horizon = system, part, horizon
        self.resources = resources(system, part)
        self._chip = Chip(part, system.width)
        self._splitter = Splitter(system.width, part.lanes.vector)
        self._kernels: dict[tuple[int, Way], tuple[Operator, Kernel]] = {}
        self._sends: dict[tuple[object, ...], Kernel] = {}
        self._made: dict[tuple[int, ...], Segment] = {}
        self._layout: Layout | Infeasible | None = None

    def layout(self) -> Layout | Infeasible | None:
        """Where the layers of the whole run lie, or why they do not fit; None without a run."""
        if self._layout is None and self.horizon is not None and self.horizon.first is not None:
            self._layout = layout(self.system, self.part, self.horizon)
        return self._layout

    def plan(self, graph: Graph) -> Plan | Infeasible:
        """All kernels of a phase in execution order, node after node."""
        placed = self.layout()
        if isinstance(placed, Infeasible):
            return placed
        segments: dict[str, tuple[Segment, ...]] = {}
        steps = self._splitter.steps(graph)
        for block, parts in steps:
            kernels = [self._known(step) for step in parts]
            failed = next((kernel for kernel in kernels if isinstance(kernel, Infeasible)), None)
            if failed:
                return failed
            segments[block.name] = tuple(self._segment(kernel) for kernel in kernels if isinstance(kernel, Kernel))
        stages = _stages(segments, placed or lone(self.system.width, graph.blocks), graph.blocks)
        return Plan(graph.phase, tuple(self._hand_over(graph, stages)))

    def kernel(self, op: Operator) -> Kernel | Infeasible:
        """The kernel of one operator, shared by the chips of a node."""
        graph = Graph(op.name, "operator", (Block("operator", 1, (op,)),))
        step = next(step for _, parts in self._splitter.steps(graph) for step in parts if step.op is op)
        return self._known(step)

    def kernel_in(self, graph: Graph, op: Operator) -> Kernel | Infeasible:
        """The kernel of an operator as one pass shares it among the chips."""
        steps = (step for _, parts in self._splitter.steps(graph) for step in parts)
        return self._known(next((step for step in steps if step.op is op), Step(op, Way.REPEATED)))

    def _segment(self, kernel: Kernel) -> Segment:
        return self._made.setdefault((id(kernel),), Segment((kernel,)))

    # hand-overs --------------------------------------------------------------------------------

    def _hand_over(self, graph: Graph, stages: Iterable[tuple[str, int, tuple[Segment, ...], bool]]) -> Iterable[Stage]:
        """Stages with what passes between nodes; the last one sends its token to the first."""
        found, nodes = [], 0
        hidden = _hidden(graph)
        for name, repeat, segments, ends in stages:
            if not ends:
                found.append(Stage(name, repeat, segments))
                continue
            nodes += repeat
            forward = (self._segment(self._forward(hidden)),) if hidden is not None else ()
            found.append(Stage(name, repeat, (*segments, *forward)))
        if found and nodes and hidden is not None:
            last = found[-1]
            back = self._segment(self._token(nodes, hidden))
            found[-1] = Stage(last.name, last.repeat, last.segments)
            found.append(Stage("token", 1, (back,)))
        return found

    def _forward(self, hidden: Tensor) -> Kernel:
        """Activations to the next node."""
        key = ("forward", *map(float, hidden.shape), hidden.format.name)
        if key not in self._sends:
            joined = topology.links(self.system.fabric, self.system.nodes)
            values, size = ceil(float(hidden.elements)), max(1, ceil(hidden.format.bytes_per_element))
            sections = exchange.forward(self.part, self.system.width, joined, values, size)
            op = _send("pipeline.forward", hidden)
            self._sends[key] = self._assemble(op, Work(sections), Way.REPEATED, None)
        return self._sends[key]

    def _token(self, nodes: int, hidden: Tensor) -> Kernel:
        """The token that was chosen, back to the node that looks it up."""
        key = ("token", nodes)
        if key not in self._sends:
            hops = topology.hops(self.system.fabric, nodes)
            section = exchange.send(self.part, "return", 1, 1, within=False, hops=hops)
            op = _send("pipeline.return", Tensor("token", (1,), Role.ACTIVATION, hidden.format))
            self._sends[key] = self._assemble(op, Work((section,)), Way.REPEATED, None)
        return self._sends[key]

    # kernels -----------------------------------------------------------------------------------

    def _known(self, step: Step) -> Kernel | Infeasible:
        """The kernel of an operator object; the operator is kept beside it so that its id stays taken."""
        known = self._kernels.get((id(step.op), step.way))
        if known is None:
            kernel = self._kernel(step)
            if isinstance(kernel, Infeasible):
                return kernel
            known = self._kernels[id(step.op), step.way] = (step.op, kernel)
        return known[1]

    def _kernel(self, step: Step) -> Kernel | Infeasible:
        op = step.op
        if op.kind in (Kind.ALL_REDUCE, Kind.SEND):
            sections = self._exchange(op)
            if isinstance(sections, Infeasible):
                return sections
            return self._assemble(op, Work(sections), step.way, None)
        pair = resolve(self.part, *op.operand_formats()) if op.kind in MATRIX_KINDS else None
        if isinstance(pair, Infeasible):
            return pair
        return self._assemble(op, self._chip.work(op, step.way, pair), step.way, pair)

    def _exchange(self, op: Operator) -> tuple[Section, ...] | Infeasible:
        tensor = op.inputs[0]
        values, size = ceil(float(tensor.elements)), max(1, ceil(tensor.format.bytes_per_element))
        devices = int(op.dims.get("devices", self.system.width))
        width = self.system.width
        if devices <= width:
            make = exchange.all_reduce if op.kind is Kind.ALL_REDUCE else exchange.all_gather
            return make(self.part, devices, values, size)
        if devices > self.system.count or devices % width:
            return Infeasible(
                "unsupported",
                f"{op.kind} over {devices} devices on {self.system.name}: they must be whole nodes of {width} chips, "
                f"of which it has {self.system.nodes}",
                demand=float(devices), bound=float(self.system.count), unit="chips", set_by=("devices", "count"),
                levers=(f"devices = {self.system.count}", f"devices = {width}"),
            )  # fmt: skip
        return exchange.all_reduce_nodes(self.part, self.system.fabric, width, devices // width, values, size)

    def _assemble(self, op: Operator, work: Work, way: Way, pair: Pair | None) -> Kernel:
        """Sections as phases, with the pause that follows each operator, and what energy is charged for."""
        phases = [self._wait("turnaround", TURNAROUND, self.part.timing.turnaround)]
        for number, section in enumerate(work.sections):
            phases += self._phases(number, section)
        links = any(section.link_bytes for section in work.sections)
        constants = [*CONSTANTS, *(ON_PLANES if pair else ("vxm",)), *(ON_LINKS if links else ())]
        label = "tsp/" + (str(op.kind) if work.sections else "nothing") + (pair.label if pair else "")
        clock = self.part.clock.core.frequency_hz
        fixed = sum(section.cycles for section in work.sections) + self.part.timing.turnaround
        steady = max((s.steady for s in work.sections), default=0)
        return Kernel(
            name=op.name,
            operator=op,
            launch_s=0.0,
            phases=tuple(phase for phase in phases if phase is not None),
            events=self._events(op, work, way, pair),
            priced_by=label,
            constants=tuple(dict.fromkeys((*constants, *(("vxm", "convert") if pair and pair.label else ())))),
            choice={
                "label": "; ".join(work.choices) or f"{len(work.sections)} sections", "way": way.value, "cycles": fixed,
                "steady_cycles": steady,
            },
            alternatives=tuple(Alternative(name, cycles / clock) for name, cycles in work.options),
            sums=work.sums,
        )  # fmt: skip

    def _phases(self, number: int, section: Section) -> list[Phase | None]:
        """What a section has beyond its steady pace, and then that."""
        active = self.system.width / self.system.count
        demands = []
        for name, cycles in section.units.items():
            each = self.resources[name].count // self.system.count
            share = active if name != section.pace else active * cycles / section.steady / each
            demands.append(Demand(name, cycles * self.system.width, share))
        demands.append(Demand(SRAM, section.sram_bytes * self.system.width, active))
        demands.append(Demand(STREAM, section.hop_bytes * self.system.width, active))
        steady = Phase(
            name=f"{number}.{section.name}", steps=1, buffers=1, compute=tuple(d for d in demands if d.amount),
            fill=False, drain=False, priced_by=section.rule,
        )  # fmt: skip
        return [self._wait(f"{number}.{section.name}.way", section.wait, section.cycles - section.steady), steady]

    def _wait(self, name: str, resource: str, cycles: int) -> Phase | None:
        """Time in cycles that no unit works for."""
        if not cycles:
            return None
        return Phase(
            name=name, steps=1, buffers=1, compute=(Demand(resource, cycles),), fill=False, drain=False,
            priced_by=f"tsp/{resource.rpartition('.')[2]}",
        )  # fmt: skip

    def _events(self, op: Operator, work: Work, way: Way, pair: Pair | None) -> dict[str, int]:
        """Counters of all chips of the node."""
        width, counts = self.system.width, count(op)
        each = width if way is Way.REPEATED else 1
        vector = ceil(float(counts.vector_flops) + float(counts.special_ops)) * each
        if op.kind is Kind.ALL_REDUCE:
            vector = ceil(float(op.inputs[0].elements)) * (int(op.dims.get("devices", width)) - 1)
        events = {
            "vector": vector,
            "convert": work.converted * width,
            "memory": sum(s.sram_bytes for s in work.sections) * width,
            "stream": sum(s.hop_bytes for s in work.sections) * width,
            "link": sum(s.link_bytes for s in work.sections if s.pace != GLOBAL) * width,
            "global": sum(s.link_bytes for s in work.sections if s.pace == GLOBAL) * width,
        }
        if pair is not None:
            events[pair.event] = ceil(float(counts.matrix_flops)) * each
        return {name: amount for name, amount in events.items() if amount}


def _send(name: str, tensor: Tensor) -> Operator:
    dims = {"elements": tensor.elements, "bytes": tensor.bytes}
    return Operator(name=name, kind=Kind.SEND, dims=dims, inputs=(tensor,), outputs=(tensor,))


def _hidden(graph: Graph) -> Tensor | None:
    """The residual stream, which nodes hand on."""
    for _, op in graph:
        for tensor in op.outputs:
            if tensor.name == "hidden":
                return tensor
    return None


def _stages(
    segments: dict[str, tuple[Segment, ...]], placed: Layout, blocks: tuple[Block, ...]
) -> list[tuple[str, int, tuple[Segment, ...], bool]]:
    """(name, repeat, segments, whether a node ends with it) in order, blocks that a phase lacks left out.

    Nodes that hold the same follow each other as one stage; a node on its own is a stage per block, so that equal
    layers in it are one.
    """
    found: list[tuple[str, int, tuple[Segment, ...], bool]] = []
    contents = [(tuple(part for part in content if part[0] in segments), repeat) for content, repeat in placed.contents]
    contents = [(content, repeat) for content, repeat in contents if content]
    for index, (content, repeat) in enumerate(contents):
        last = index == len(contents) - 1
        if repeat == 1:
            for position, (name, many) in enumerate(content):
                ends = not last and position == len(content) - 1
                if ends and many > 1:
                    found.append((name, many - 1, segments[name], False))
                    many = 1
                found.append((name, many, segments[name], ends))
            continue
        all_ = tuple(segment for name, many in content for segment in segments[name] * many)
        label = "+".join(name for name, _ in content)
        if last:
            if repeat > 1:
                found.append((label, repeat - 1, all_, True))
            found.append((label, 1, all_, False))
        else:
            found.append((label, repeat, all_, True))
    return found
