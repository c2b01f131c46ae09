"""Which layers lie on which chips, and whether they fit.

Groups of `tensor_parallel` chips follow each other. Embedding and head have groups of their own: as many as the layers
leave over where there are more groups than layers, else one. The other groups have equal numbers of layers, the last
ones one more where they do not divide. What a group's tiles cannot hold lies in the memory beside them, if there is
one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor

from accelsim.graph.numbers import prod
from accelsim.graph.operator import Block, Graph, Kind, Operator, Role
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import IpuPart, IpuSystem
from accelsim.units import show

MOST_CHIPS = 1024
"""Where the search for the smallest system ends."""

_READS_CACHE = (Kind.ATTENTION, Kind.SCORES, Kind.CONTEXT)


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything lies.

    Attributes:
        heads: groups with embedding and head; group 0 is one of them.
        layers: layers of each group.
        streamed_head: fraction of the weights of embedding and head that is fetched in every pass.
        streamed: that fraction of the weights of the layers, by group.
    """

    heads: int
    layers: tuple[int, ...]
    streamed_head: float
    streamed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of weights and of the rest (keys and values), of one layer (the largest) and of embedding and head."""

    layers: int
    layer_weights: float
    layer_rest: float
    head_weights: float


def is_layer(block: Block) -> bool:
    """Whether a block is a stack of layers."""
    return block.name.startswith(("layers[", "encoder["))


def heads_by_rule(layers: int, system: IpuSystem) -> int:
    """Groups for embedding and head."""
    if system.embedding_groups:
        return system.embedding_groups
    return max(1, system.groups - layers) if layers else system.groups


def sizes(graph: Graph, positions: int | None) -> Sizes:
    """What the blocks of a phase hold."""
    layers, weights, rest, head = 0, 0.0, 0.0, 0.0
    seen: set[str] = set()
    for block in graph.blocks:
        mine = _weights(block.operators, seen)
        if is_layer(block):
            layers += block.repeat
            weights, rest = max(weights, mine), max(rest, _cache(block.operators, positions))
        else:
            head += mine
    return Sizes(layers, weights, rest, head)


def place(found: Sizes, system: IpuSystem, part: IpuPart) -> Place | Infeasible:
    """The place of every layer, or what is missing."""
    groups, room = system.groups, part.usable_bytes * system.tensor_parallel
    layer = found.layer_weights + found.layer_rest
    if not found.layers or groups == 1:
        weights = found.head_weights + found.layers * found.layer_weights
        fraction = _streamed(weights + found.layers * found.layer_rest, weights, room, system, part)
        return _missing(found, system, part) if fraction is None else Place(1, (found.layers,), fraction, (fraction,))
    heads = heads_by_rule(found.layers, system)
    layers: tuple[int, ...] = (0,) * heads + _dealt(found.layers, groups - heads)
    fits = found.head_weights / heads <= room and max(layers) * layer <= room
    if not fits and not system.embedding_groups and found.head_weights <= room:
        filled = _filled(found, groups, room)
        if filled is not None:
            return Place(1, filled, 0.0, (0.0,) * groups)
    head = _streamed(found.head_weights / heads, found.head_weights / heads, room, system, part)
    body = [_streamed(n * layer, n * found.layer_weights, room, system, part) for n in layers]
    if head is None or None in body:
        return _missing(found, system, part)
    return Place(heads, layers, head, tuple(fraction for fraction in body if fraction is not None))


def smallest(found: Sizes, system: IpuSystem, part: IpuPart) -> IpuSystem | Infeasible:
    """The same system with as few chips as hold everything in their tiles."""
    together = system.tensor_parallel
    step = together * (2 if system.topology == "ladder" and together % 2 else 1)
    bare = part.model_copy(update={"streaming": None})
    for count in [*([1] if together == 1 else []), *range(step, MOST_CHIPS + 1, step)]:
        resized = system.with_(count=count)
        if isinstance(place(found, resized, bare), Place):
            return resized
    return _missing(found, system, bare)


def _weights(operators: Iterable[Operator], seen: set[str]) -> float:
    """Bytes of weights that no operator before has read."""
    total = 0.0
    for op in operators:
        for tensor in op.inputs:
            if tensor.role is Role.WEIGHT and tensor.name not in seen:
                seen.add(tensor.name)
                total += float(prod(tensor.shape)) * tensor.format.bytes_per_element
    return total


def _cache(operators: Iterable[Operator], positions: int | None) -> float:
    """Bytes of keys and values at the longest sequence."""
    total = 0.0
    for op in operators:
        if op.kind in _READS_CACHE:
            window, kv = op.attributes.get("window"), float(op.dims["kv"])
            longest = max(kv, float(positions or 0))
            kept = longest if window is None else min(longest, float(window))
            total += sum(float(t.bytes) for t in op.inputs if t.role is Role.KV_CACHE) * kept / kv
    return total


def _dealt(layers: int, groups: int) -> tuple[int, ...]:
    """Equal numbers; the last groups have one more where they do not divide."""
    each, more = divmod(layers, groups)
    return (each,) * (groups - more) + (each + 1,) * more


def _filled(found: Sizes, groups: int, room: float) -> tuple[int, ...] | None:
    """Layers beside embedding and head too, each group as full as it gets; None if they do not fit."""
    layer = found.layer_weights + found.layer_rest
    left, layers = found.layers, []
    for group in range(groups):
        free = room - (found.head_weights if group == 0 else 0.0)
        taken = min(left, floor(free / layer))
        layers.append(taken)
        left -= taken
    return tuple(layers) if not left else None


def _streamed(demand: float, weights: float, room: float, system: IpuSystem, part: IpuPart) -> float | None:
    """The fraction of a group's weights beside the chips; None where it does not fit there either."""
    excess = demand - room
    if excess <= 0:
        return 0.0
    beside = part.streaming.capacity_bytes * system.tensor_parallel if part.streaming else 0.0
    return excess / weights if excess <= min(beside, weights) else None


def _missing(found: Sizes, system: IpuSystem, part: IpuPart) -> Infeasible:
    """What does not fit, and the chips or the bits per weight that would."""
    together = system.tensor_parallel
    layer, room = found.layer_weights + found.layer_rest, part.usable_bytes * together
    demand = found.head_weights + found.layers * layer
    group = "a chip" if together == 1 else f"a group of {together} chips"
    total = system.groups * room
    piece = layer if found.layers else found.head_weights  # that the chips of one group must hold
    enough = together
    while piece > part.usable_bytes * enough:
        enough *= 2
    wide = part.usable_bytes * enough
    groups = ceil(found.head_weights / wide) + (ceil(found.layers / floor(wide / layer)) if found.layers else 0)
    levers = [f"count = {groups * enough} chips instead of {system.count}"]
    if enough > together:
        levers = [f"tensor_parallel = {enough} and {levers[0]}, since one piece takes {show(piece, 'B')}"]
    weights = found.head_weights + found.layers * found.layer_weights
    left = total - found.layers * found.layer_rest
    if 0 < left < weights:
        levers.append(f"weights of at most {left / weights:.2f} of their bits")
    return Infeasible(
        "capacity",
        f"{show(demand, 'B')} of weights, keys and values do not lie on {system.count} x {part.name}: "
        f"{group} has {show(room, 'B')} for tensors"
        + (f", a layer takes {show(layer, 'B')}, embedding and head {show(found.head_weights, 'B')}" if layer else ""),
        demand=demand,
        bound=total,
        unit="B",
        set_by=("model", "weights", "kv_cache", "batch", "prompt", "generate", "count", "tile.sram"),
        levers=tuple(levers),
    )
