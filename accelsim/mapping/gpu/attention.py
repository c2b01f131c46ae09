"""Fused attention on a GPU: FlashAttention over a prompt, Flash-Decoding with split KV for few queries.

A tile takes up to 128 query rows of the query heads that share one KV head and walks over KV blocks;
causal tiles skip the blocks above the diagonal. Where that leaves SMs empty, the KV length is split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from accelsim.graph.numbers import Number
from accelsim.graph.operator import Operator
from accelsim.mapping.gpu.choice import fastest
from accelsim.mapping.gpu.conversion import convert_phase
from accelsim.mapping.gpu.events import FLOPS_PER_SLOT, VECTOR_REGISTER_BYTES, whole
from accelsim.mapping.gpu.gemm import used
from accelsim.mapping.gpu.memory import FIGURE, MemoryPort
from accelsim.mapping.gpu.pairs import Pair
from accelsim.mapping.gpu.resources import L2, L2_PORT, REGISTER, SHARED, SPECIAL, TENSOR, VECTOR
from accelsim.mapping.gpu.steps import Steps
from accelsim.mapping.kernel import Demand, Kernel, Phase, Resource
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.gemm import MMA_DEPTH
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES

QUERY_TILES = (16, 64, 128)
"""Query rows of a tile; a matrix unit that takes fewer rows at once has one more."""

KV_BLOCKS = (128, 64, 32, 16)
"""KV positions of a block; the largest that leaves two buffers is used."""

SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
SOFTMAX_FLOPS = 4
CONSTANTS = (
    "sm.count",
    "sm.tile_rows",
    "clock.sm.frequency",
    "peak",
    "vector.rate",
    "vector.special",
    "sm.shared",
    "sm.shared_bandwidth",
    "sm.register_bandwidth",
    "sm.l2_port",
    "sm.operand_reads",
    "l2.capacity",
    "l2.bandwidth",
    "memory.bandwidth",
    FIGURE,
    "timing.launch",
    "timing.memory_latency",
    "timing.in_flight",
)
REDUCING = ("vector.rate", "l2.latency")
"""Further figures of a kernel that adds up partial results."""


@dataclass(frozen=True, slots=True)
class _Size:
    batch: int
    query: int
    past: int
    kv: int
    kv_heads: int
    group: int
    head_dim: int
    value_dim: int
    causal: bool
    window: int | None
    kv_bytes: int
    query_bytes: int
    output_bytes: int
    key_width: float
    """Bytes staged per KV position and head: keys and, unless they are part of the keys, values."""


def _size(op: Operator) -> _Size:
    d = op.dims
    shared = bool(op.attributes.get("shared_kv"))
    width = d["head_dim"] if shared else d["head_dim"] + d["value_dim"]
    window = op.attributes.get("window")
    kv: Number = op.inputs[1].bytes + op.inputs[2].bytes
    return _Size(
        int(d["batch"]),
        int(d["query"]),
        int(d["past"]),
        int(d["kv"]),
        int(d["kv_heads"]),
        int(d["heads"] // d["kv_heads"]),
        int(d["head_dim"]),
        int(d["value_dim"]),
        bool(op.attributes["causal"]),
        None if window is None else int(window),
        whole(kv),
        whole(sum(float(t.bytes) for t in (op.inputs[0], *op.inputs[3:]))),  # positions added to the scores, too
        whole(op.outputs[0].bytes),
        float(width) * op.inputs[1].format.bytes_per_element,
    )


def kernel(
    op: Operator, chip: GpuChip, pair: Pair, beside: Steps, memory: MemoryPort, resources: Mapping[str, Resource]
) -> Kernel:
    """The fastest of the query tiles and KV splits, each priced alone on an idle chip."""
    return fastest(_candidates(op, chip, pair, beside, memory), op, pair, resources)


def _candidates(op: Operator, chip: GpuChip, pair: Pair, beside: Steps, memory: MemoryPort) -> Iterator[Kernel]:
    """Query tiles that are at least half full, and splits up to four tiles per SM."""
    size = _size(op)
    rows = size.query * size.group
    least = min(chip.sm.tile_rows, QUERY_TILES[0])
    for tq in dict.fromkeys((least, *QUERY_TILES)):
        if tq > least and tq >= 2 * rows:
            continue
        for split in SPLITS:
            made = _candidate(op, chip, pair, beside, memory, size, tq=tq, split=split)
            if made is None:
                break
            yield made
            if split > 1 and int(made.choice["tiles"]) >= 4 * chip.sm.count:
                break


def _blocks(size: _Size, tq: int, block: int) -> tuple[int, int, int]:
    """KV blocks of all query tiles of one KV head: how many tiles, blocks in total, blocks of the longest."""
    rows = size.query * size.group
    tiles = -(-rows // tq)
    total = longest = 0
    for index in range(tiles):
        last = min(size.query, -(-min((index + 1) * tq, rows) // size.group))  # one past its last query position
        first = index * tq // size.group
        end = min(size.past + last, size.kv) if size.causal else size.kv
        start = 0 if size.window is None else max(0, size.past + first + 1 - size.window)
        count = max(1, -(-end // block) - start // block)
        total += count
        longest = max(longest, count)
    return tiles, total, longest


def _candidate(
    op: Operator, chip: GpuChip, pair: Pair, beside: Steps, memory: MemoryPort, size: _Size, *, tq: int, split: int
) -> Kernel | None:
    sms = chip.sm.count
    query_stage = tq * size.head_dim * op.inputs[0].format.bytes_per_element
    room = chip.sm.shared_bytes - query_stage
    block = next((b for b in KV_BLOCKS if 2 * b * size.key_width <= room), KV_BLOCKS[-1])
    stage = block * size.key_width
    stages = max(1, min(8, int(room // stage)))
    tiles_q, blocks, longest = _blocks(size, tq, block)
    if split > longest:
        return None
    heads = size.batch * size.kv_heads
    tiles = tiles_q * heads * split
    # equal tiles go in waves; unequal ones are taken longest first, so that the last to end is near the mean
    even = blocks == tiles_q * longest
    chunk = -(-longest // split)
    steps = -(-tiles // sms) * chunk if even or split > 1 else max(longest, -(-blocks * heads // sms))
    all_blocks = blocks * heads
    active = min(1.0, tiles / sms)
    in_flight = min(chip.timing.bytes_in_flight_per_sm, stages * stage)
    reads = size.query_bytes + _kv_reads(chip, size, tiles_q, heads)
    staged = max(reads, whole(all_blocks * stage + tiles * query_stage))
    # tiles that wait for the same keys do not draw more of them from memory
    partial = (
        heads * tiles_q * tq * (size.value_dim + 2) * ACCUMULATOR_BYTES * split if split > 1 else size.output_bytes
    )
    load = memory.load(reads, active * sms * in_flight * reads / staged)
    stores = (memory.store(partial, active * sms * chip.timing.bytes_in_flight_per_sm),) if split == 1 else ()
    flops = all_blocks * 2 * tq * block * (size.head_dim + size.value_dim)
    cycles = whole(flops / pair.peak.flops_per_clock)
    scores = all_blocks * tq * block
    # SMs without a block wait for the longest, so that the slots of a makespan, not the blocks, set the pace
    slots = steps * min(sms, tiles)
    stretch = all_blocks / slots if slots else 1.0
    share = active * stretch
    convert = float(beside.flops)  # and every tile widens what it stages
    if pair.first is not None:
        convert += pair.first.flops_per_element * float(op.inputs[0].elements) * split
    if pair.second is not None:
        wide = all_blocks * block * size.key_width / op.inputs[1].format.bytes_per_element
        convert += pair.second.flops_per_element * wide
    vector = scores * SOFTMAX_FLOPS
    chain = _chain(
        {
            TENSOR: cycles,
            VECTOR: whole(vector * FLOPS_PER_SLOT / chip.vector.flops_per_clock),
            SPECIAL: whole(scores / chip.vector.special_ops_per_clock),
        },
        share,
    )
    label = f"flash-attention/{tq}x{block}" if split == 1 else f"flash-decoding/{tq}x{block}/split-{split}"
    waves = max(1, min(steps, -(-tiles // sms)))
    phases = [
        Phase(
            name="blocks",
            steps=steps,
            buffers=stages,
            load=(load, Demand(L2, staged), Demand(L2_PORT, staged, share)),
            compute=(
                *chain,
                Demand(SHARED, whole(all_blocks * (1 + chip.sm.operand_reads) * stage), share),
                Demand(
                    REGISTER,
                    whole(flops / 2 / MMA_DEPTH * 2 * ACCUMULATOR_BYTES + vector * VECTOR_REGISTER_BYTES),
                    share,
                ),
            ),
            store=(
                *stores,
                Demand(L2, partial),
                Demand(L2_PORT, partial, active),
            ),
            stores=waves,
            latency_s=chip.timing.memory_latency_s,
            most=memory.mixed(reads, partial if split == 1 else 0),
            priced_by=label,
        )
    ]
    added = whole(convert)
    if added:
        phases.append(convert_phase(chip, convert, active, steps, label))
    if split > 1:
        phases.append(_combine(chip, memory, size, partial, split, label))
        added += 2 * partial // ACCUMULATOR_BYTES
    first, second = (f.name for f in op.operand_formats())
    return Kernel(
        name=op.name,
        operator=op,
        launch_s=chip.timing.launch_s,
        phases=tuple(phases),
        events={"vector": added},  # beyond the operator's own; the rest is counted once the choice is made
        priced_by=label + pair.label(first, second) + beside.label,
        constants=used(CONSTANTS, pair, beside, REDUCING if split > 1 else ()),
        choice={
            "label": f"{tq} rows x {block}" + (f" split {split}" if split > 1 else ""),
            "tile": f"{tq}x{block}",
            "split": split,
            "tiles": tiles,
            "waves": -(-tiles // sms),
            "tail_tiles": tiles % sms,
            "depth_steps": chunk,
            "stages": stages,
            "wave_efficiency": stretch,
            "reread_bytes": reads - size.query_bytes - size.kv_bytes,
        },
    )


def _chain(cycles: Mapping[str, int], share: float) -> tuple[Demand, ...]:
    """Units that work one after the other in a tile: scores wait for Q K^T, and P V for their softmax.

    While one works the others stand still, so that the longest may use its unit only for its part of the
    whole chain. Kernels that interleave two tiles to fill the gaps are not modelled.
    """
    longest = max(cycles, key=lambda name: cycles[name])
    part = cycles[longest] / sum(cycles.values())
    return tuple(
        Demand(name, amount, share * part if name == longest else share) for name, amount in cycles.items() if amount
    )


def _kv_reads(chip: GpuChip, size: _Size, tiles_q: int, heads: int) -> int:
    """Bytes of keys and values read from memory.

    Once, and again where the query tiles of a head do not run together and L2 lost what they share.
    """
    passes = max(1, ceil(tiles_q / chip.sm.count))
    together = max(1, min(heads, chip.sm.count // max(1, tiles_q)))
    reuse = size.kv_bytes / heads * together
    lost = max(0.0, 1.0 - chip.l2.capacity_bytes / reuse) if reuse else 0.0
    return whole(size.kv_bytes * (1 + (passes - 1) * lost))


def _combine(chip: GpuChip, memory: MemoryPort, size: _Size, partial: int, split: int, label: str) -> Phase:
    """The splits' partial outputs and their maxima and sums become one result."""
    elements = partial // ACCUMULATOR_BYTES
    active = min(1.0, -(-elements // (1024 * split)) / chip.sm.count)
    under_way = active * chip.sm.count * chip.timing.bytes_in_flight_per_sm
    return Phase(
        name="combine",
        steps=max(1, min(split, elements)),
        buffers=2,
        latency_s=chip.l2.latency_s,
        load=(Demand(L2, partial), Demand(L2_PORT, partial, active)),
        compute=(
            Demand(VECTOR, whole(2 * elements / chip.vector.flops_per_clock), active),
            Demand(REGISTER, 2 * elements * VECTOR_REGISTER_BYTES, active),
        ),
        store=(
            memory.store(size.output_bytes, under_way),
            Demand(L2, size.output_bytes),
            Demand(L2_PORT, size.output_bytes, active),
        ),
        priced_by=f"{label}/combine",
    )
