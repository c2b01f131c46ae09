"""Which layers lie in the memory of which node: weights stay where they are, so that what does not fit cannot run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from accelsim.graph.operator import Block, Kind, Operator, Role
from accelsim.mapping.horizon import Horizon
from accelsim.mapping.tsp.split import Splitter, Step, Way, tokens_of
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.tsp import TspPart, TspSystem
from accelsim.units import show

BLOCK_ROWS = 64
"""Rows of the residual stream that a node works on at once; longer passes go through it block by block.

A block this long hides the loading of weights behind its own products, so that the time is that of one long pass.
"""

Content = tuple[tuple[str, int], ...]
"""Blocks of a node by name, and how many repetitions of each."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Layers on nodes.

    Attributes:
        width: chips of a node.
        contents: what equal nodes that follow each other hold, and how many they are.
        chip_bytes: the fullest chip.
    """

    width: int
    contents: tuple[tuple[Content, int], ...]
    chip_bytes: float

    @property
    def nodes(self) -> int:
        """Nodes in use."""
        return sum(repeat for _, repeat in self.contents)

    @property
    def chips(self) -> int:
        """Chips in use."""
        return self.nodes * self.width


@dataclass(frozen=True, slots=True)
class Item:
    """One repetition of a block on one chip of the node that holds it.

    Attributes:
        block: its name.
        repeat: repetitions that follow each other.
        linear: bytes of weights in the format of the linear layers.
        other: bytes of other weights and of KV cache.
    """

    block: str
    repeat: int
    linear: float
    other: float


@dataclass(frozen=True, slots=True)
class Demand:
    """All a model asks of the chips of one width.

    Attributes:
        width: chips that share each layer.
        items: in order.
        working: bytes of the largest set of activations that a chip holds at once.
        bits: of one weight of the linear layers.
    """

    width: int
    items: tuple[Item, ...]
    working: float
    bits: float


def demand(horizon: Horizon, width: int, lanes: int) -> Demand:
    """What every chip must hold when `width` of them share each layer."""
    assert horizon.first is not None
    steps = Splitter(width, lanes).steps(horizon.first)
    narrow, bits = _linear_format(steps)
    cached = sum(block.repeat for block, parts in steps for step in parts if _caches(step.op))
    items = []
    for block, parts in steps:
        weights: dict[str, tuple[str, float]] = {}
        for step in parts:
            for name, form, size in _weights(step, width):
                weights.setdefault(name, (form, size))
        linear = sum(size for form, size in weights.values() if form == narrow)
        copies = sum(_replicated(step.op, width) for step in parts if _caches(step.op))
        cache = horizon.cache_bytes / cached * copies / width if copies else 0.0
        items.append(Item(block.name, block.repeat, linear, sum(s for _, s in weights.values()) - linear + cache))
    working = max((_held(step, width) for _, parts in steps for step in parts), default=0.0)
    working *= min(1.0, BLOCK_ROWS / tokens_of(horizon.first))
    return Demand(width, tuple(items), working, bits)


def place(need: Demand, capacity: float, scale: float = 1.0) -> list[Content] | Item:
    """Layers one after the other into nodes, each filled before the next; the item that fits in none.

    Args:
        need: of the model.
        capacity: bytes of one chip.
        scale: factor on the weights of the linear layers.
    """
    room = capacity - need.working
    nodes: list[Content] = []
    content: dict[str, int] = {}
    free = room
    for item in need.items:
        size = item.linear * scale + item.other
        if size > room:
            return item
        left = item.repeat
        while left:
            fitting = left if size <= 0 else min(left, int(free / size + 1e-12))
            if fitting:
                content[item.block] = content.get(item.block, 0) + fitting
                free -= fitting * size
                left -= fitting
            if left:
                nodes.append(tuple(content.items()))
                content, free = {}, room
    if content:
        nodes.append(tuple(content.items()))
    return nodes


def layout(system: TspSystem, part: TspPart, horizon: Horizon) -> Layout | Infeasible:
    """The layers of a model on the nodes of a system, as few nodes as hold them: fewer hand-overs are faster."""
    need = demand(horizon, system.width, part.lanes.vector)
    placed = place(need, part.capacity_bytes)
    if isinstance(placed, Item) or len(placed) > system.nodes:
        return _too_large(system, part, horizon, need, placed)
    return Layout(system.width, _runs(placed), _fullest(need, placed))


def smallest(system: TspSystem, part: TspPart, horizon: Horizon) -> TspSystem:
    """The system with as few chips as hold the model; the largest that its links can join if none does."""
    widths = sorted({2**power for power in range(16) if 2**power <= system.fabric.node} | {system.fabric.node})
    for width in widths:
        placed = place(demand(horizon, width, part.lanes.vector), part.capacity_bytes)
        if not isinstance(placed, Item) and (len(placed) == 1 or width == system.fabric.node):
            nodes = len(placed)
            break
    else:
        nodes, width = system.fabric.largest(), system.fabric.node
    return system.with_({"count": width * min(nodes, system.fabric.largest())})


def lone(width: int, blocks: Sequence[Block]) -> Layout:
    """Everything on one node, for what is no whole model."""
    return Layout(width, ((tuple((block.name, block.repeat) for block in blocks), 1),), 0.0)


def _too_large(
    system: TspSystem, part: TspPart, horizon: Horizon, need: Demand, placed: list[Content] | Item
) -> Infeasible:
    """Why a model does not fit, with the chips and the bits per weight that would do."""
    name = horizon.first.model if horizon.first else "the model"
    capacity = part.capacity_bytes
    levers: list[str] = []
    best = smallest(system, part, horizon)
    enough = place(demand(horizon, best.width, part.lanes.vector), capacity)
    if not isinstance(enough, Item) and len(enough) <= best.nodes:
        levers.append(f"chips = {best.count} (chips = auto finds it)")
    if isinstance(placed, Item):
        size = placed.linear + placed.other
        each = f"each of {placed.block}" if placed.repeat > 1 else placed.block
        reason = (
            f"{name}: {each} takes {show(need.width * size, 'B')}, and {show(need.working, 'B')} of activations on "
            f"each chip; the {need.width} chips that share it have {show(need.width * capacity, 'B')}, and it is split "
            "no further"
        )
        demanded, bound, unit = need.width * (size + need.working), need.width * capacity, "B"
    else:
        total = need.width * sum(item.repeat * (item.linear + item.other) for item in need.items)
        chips = len(placed) * need.width
        reason = (
            f"{name}: {show(total, 'B')} of weights and KV cache, whole layers on {need.width} chips each, need "
            f"{chips} chips of {show(capacity, 'B')}, and {system.name} has {system.count}"
        )
        demanded, bound, unit = float(chips), float(system.count), "chips"
    bits = _bits_that_fit(need, capacity, system.nodes)
    if bits:
        levers.append(f"--weights of at most {bits:.1f} bits instead of {need.bits:g}")
    levers.append("a smaller batch or context")
    set_by = ("model", "weights", "kv_cache", "batch", "prompt", "count", "mem.capacity")
    return Infeasible("capacity", reason, demanded, bound, unit, set_by, tuple(levers))


def _bits_that_fit(need: Demand, capacity: float, nodes: int) -> float:
    """Bits per weight, in tenths and rounded down, with which the model fits; 0 if none from 1 on does."""
    low, high = 0, int(need.bits * 10)
    while low < high:  # more bits never take fewer nodes
        middle = (low + high + 1) // 2
        placed = place(need, capacity, middle / 10 / need.bits)
        if not isinstance(placed, Item) and len(placed) <= nodes:
            low = middle
        else:
            high = middle - 1
    return low / 10 if low >= 10 else 0.0


def _runs(placed: list[Content]) -> tuple[tuple[Content, int], ...]:
    """Equal nodes that follow each other, together."""
    found: list[tuple[Content, int]] = []
    for content in placed:
        if found and found[-1][0] == content:
            found[-1] = (content, found[-1][1] + 1)
        else:
            found.append((content, 1))
    return tuple(found)


def _fullest(need: Demand, placed: list[Content]) -> float:
    sizes = {item.block: item.linear + item.other for item in need.items}
    return need.working + max(sum(count * sizes[block] for block, count in content) for content in placed)


def _weights(step: Step, width: int) -> list[tuple[str, str, float]]:
    """(name, format, bytes at one chip) of the weights of an operator, all rows of them."""
    found = []
    for tensor in step.op.inputs:
        if tensor.role is Role.WEIGHT:
            size = tensor.format.bytes_per_element
            for extent in tensor.shape:
                size *= float(extent)
            shared = step.way is not Way.REPEATED and len(tensor.shape) > 1
            found.append((tensor.name, tensor.format.name, size / width if shared else size))
    return found


def _linear_format(steps: list[tuple[Block, list[Step]]]) -> tuple[str, float]:
    """The format in which most of the model's weights are, and its bits."""
    sizes: dict[str, float] = {}
    bits: dict[str, float] = {}
    for block, parts in steps:
        for step in parts:
            for tensor in step.op.inputs:
                if tensor.role is Role.WEIGHT and step.op.kind in (Kind.MATMUL, Kind.EXPERTS):
                    bits[tensor.format.name] = tensor.format.bits_per_element
                    held = block.repeat * float(tensor.bytes)
                    sizes[tensor.format.name] = sizes.get(tensor.format.name, 0.0) + held
    name = max(sizes, key=lambda form: sizes[form], default="")
    return name, bits.get(name, 1.0)


def _caches(op: Operator) -> bool:
    return any(t.role is Role.KV_CACHE for t in op.inputs) and op.kind in (Kind.ATTENTION, Kind.SCORES)


def _replicated(op: Operator, width: int) -> float:
    """How often the keys and values are held because there are fewer heads than chips."""
    heads = max(1, int(op.dims["kv_heads"]))
    return ceil(heads / width) * width / heads


def _held(step: Step, width: int) -> float:
    """Bytes of activations that an operator has at one chip."""
    share = {Way.REPEATED: (1, 1), Way.COLUMNS: (1, width), Way.DEPTH: (width, 1), Way.PARTS: (width, width)}[step.way]
    read = {t.name: float(t.bytes) / share[0] for t in step.op.inputs if t.role is Role.ACTIVATION}
    read |= {t.name: float(t.bytes) / share[1] for t in step.op.outputs if t.role is Role.ACTIVATION}
    return sum(read.values())
