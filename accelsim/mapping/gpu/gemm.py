"""Matrix multiplication on a GPU: tiles in waves over the SMs, split-K, traffic through L2.

The tile and the split are the ones that are fastest alone on an idle chip. All constants are those of the
chip's description; nothing is fitted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from accelsim.graph.numbers import Number
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.gpu.choice import fastest
from accelsim.mapping.gpu.conversion import convert_phase
from accelsim.mapping.gpu.demand import convert_flops
from accelsim.mapping.gpu.events import VECTOR_REGISTER_BYTES, whole
from accelsim.mapping.gpu.memory import FIGURE, MemoryPort
from accelsim.mapping.gpu.pairs import Pair
from accelsim.mapping.gpu.resources import L2, L2_PORT, REGISTER, SHARED, TENSOR, VECTOR
from accelsim.mapping.gpu.steps import Steps
from accelsim.mapping.gpu.traffic import Grid, memory_reads
from accelsim.mapping.kernel import Demand, Kernel, Phase, Resource
from accelsim.spec.device import GpuChip

TILES = ((16, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 128))
"""Output tiles (rows, columns) of the matrix libraries' kernels; units of fewer rows have one more (`_tiles`)."""

MMA_ROWS = 16
"""Rows of the smallest tile."""

SPLITS = (1, 2, 3, 4, 6, 8, 16)
DEPTH_BYTES = 128
"""Bytes of one operand row in a depth step: 64 elements of 16 bit."""

MAX_STAGES = 8
ACCUMULATOR_BYTES = 4
MMA_DEPTH = 16
"""Depth of one matrix instruction: accumulators are read and written once per that many products."""

CONSTANTS = (
    "sm.count",
    "sm.max_tiles",
    "sm.tile_rows",
    "clock.sm.frequency",
    "peak",
    "sm.shared",
    "sm.shared_bandwidth",
    "sm.registers",
    "sm.register_bandwidth",
    "sm.l2_port",
    "sm.operand_sharing",
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
class Problem:
    """A (batched or grouped) matrix multiplication in bytes.

    Attributes:
        rows: rows of each independent product; one entry for a plain GEMM, one per expert for a group.
        copies: how often that list of products occurs (the batch).
        n: output columns.
        k: depth.
        first_bytes: the activation operand, once.
        second_bytes: the weight (or KV) operand, once.
        output_bytes: the result, once.
        depth_first: bytes of one element of the activation operand as it is staged.
        depth_second: bytes of one element of the weight operand as it is staged.
        step: elements of k in a depth step.
    """

    rows: tuple[int, ...]
    copies: int
    n: int
    k: int
    first_bytes: int
    second_bytes: int
    output_bytes: int
    depth_first: float
    depth_second: float
    step: int


def problem(op: Operator, pair: Pair, bits: Mapping[str, float]) -> Problem:
    """The sizes of a matrix operator; `bits` gives the bits of the formats that reach the matrix unit."""
    d = op.dims
    first, second = op.operand_formats()
    rows: tuple[int, ...]
    if op.kind in (Kind.SCORES, Kind.CONTEXT):
        group = int(d["heads"] / d["kv_heads"])
        copies = int(d["batch"] * d["kv_heads"])
        inner = (d["kv"], d["head_dim"]) if op.kind is Kind.SCORES else (d["value_dim"], d["kv"])
        rows, n, k = (int(d["query"]) * group,), int(inner[0]), int(inner[1])
    else:
        copies, n, k = int(d["batch"]), int(d["n"]), int(d["k"])
        rows = (int(d["m"]),)
        loads = op.attributes.get("loads")
        if loads is not None:
            rows = _whole_rows(np.asarray(loads, dtype=float), int(d["m"]))
    element = max(bits.get(pair.operands[0], first.bits), 1) / 8
    return Problem(
        rows,
        copies,
        n,
        k,
        whole(op.inputs[0].bytes),
        whole(_total(op, inputs=True)),
        whole(_total(op, inputs=False)),
        first.bytes_per_element,
        second.bytes_per_element,
        max(1, int(DEPTH_BYTES / element)),
    )


def _whole_rows(loads: npt.NDArray[np.float64], total: int) -> tuple[int, ...]:
    """Expected loads as whole rows, at least 1 each, that add up to no fewer than all tokens' picks."""
    rows = np.maximum(1, np.floor(loads))
    missing = max(0, total - int(rows.sum()))
    rows[np.argsort(rows - loads, kind="stable")[:missing]] += 1
    return tuple(int(r) for r in rows)


def _total(op: Operator, *, inputs: bool) -> Number:
    total: Number = 0
    for tensor in op.inputs[1:] if inputs else op.outputs:
        total = total + tensor.bytes
    return total


def kernel(
    op: Operator,
    chip: GpuChip,
    pair: Pair,
    beside: Steps,
    bits: Mapping[str, float],
    memory: MemoryPort,
    resources: Mapping[str, Resource],
) -> Kernel:
    """The fastest of the candidate tilings, each priced alone on an idle chip."""
    size = problem(op, pair, bits)
    made = (
        _candidate(op, chip, pair, beside, memory, size, tile=tile, split=split)
        for tile in _tiles(chip)
        for split in SPLITS
    )
    return fastest([kernel for kernel in made if kernel is not None], op, pair, resources)


def _tiles(chip: GpuChip) -> tuple[tuple[int, int], ...]:
    """The tiles, smallest first; one has the least rows that the matrix unit computes."""
    rows = chip.sm.tile_rows
    return TILES if rows == MMA_ROWS else ((rows, TILES[0][1]), *TILES)


def _candidate(
    op: Operator, chip: GpuChip, pair: Pair, beside: Steps, memory: MemoryPort, size: Problem, *,
    tile: tuple[int, int], split: int,
) -> Kernel | None:  # fmt: skip
    tm, tn = tile
    # one fetched copy of the second operand serves the tiles below each other, if there are any
    tiles_of = [-(-rows // tm) for rows in size.rows]
    copies_fetched = sum(-(-tiles // chip.sm.operand_sharing) for tiles in tiles_of)
    sharing = sum(tiles_of) / copies_fetched
    stage = (tm * size.depth_first + tn * size.depth_second / sharing) * size.step
    smallest = tile == _tiles(chip)[0]
    if chip.sm.shared_bytes < 2 * stage and not smallest:
        return None
    if tm * tn * ACCUMULATOR_BYTES > chip.sm.registers_bytes and not smallest:
        return None
    tiles_m = sum(tiles_of) * size.copies
    tiles_n = -(-size.n // tn)
    depth_steps = -(-size.k // (split * size.step))
    tiles = tiles_m * tiles_n * split
    if split > 1 and (tiles_m * tiles_n >= 2 * chip.sm.count or size.k < split * size.step):
        return None
    sms = chip.sm.count
    # tiles that are resident on one SM together share its staging memory and hide each other's waits
    resident = min(chip.sm.max_tiles, -(-tiles // sms))
    stages = min(MAX_STAGES * resident, int(chip.sm.shared_bytes // stage))
    full, tail = divmod(tiles, sms)
    traffic = _memory_reads(chip, size, sum(tiles_of), tiles_n)
    partial = size.output_bytes if split == 1 else _fp32_bytes(size) * split
    to_memory = partial if split == 1 else _spill(chip, size, split)
    # padding takes room and is read by the matrix unit, but nobody fetches it
    fetched = whole(
        (sum(size.rows) * tiles_n * size.depth_first + size.n * copies_fetched * size.depth_second)
        * size.k
        * size.copies
    )
    in_flight = min(chip.timing.bytes_in_flight_per_sm, max(1, stages) * fetched / (tiles * depth_steps))
    phases: list[Phase] = []
    label = f"gemm/{tm}x{tn}" + (f"/split-{split}" if split > 1 else "")
    parts = [(name, w, active) for name, w, active in (("waves", full, sms), ("tail", 1, tail)) if w and active]
    done = 0
    for index, (name, waves, active) in enumerate(parts):
        count_ = waves * active
        share = active / sms
        steps = waves * depth_steps
        reads = _slice(traffic, done, done + count_, tiles)
        writes = _slice(partial, done, done + count_, tiles)
        done += count_
        staged = max(reads, _slice(fetched, done - count_, done, tiles))  # biases come with the last step
        stored = _slice(to_memory, done - count_, done, tiles)
        # tiles that wait for the same bytes do not draw more of them from memory
        load = memory.load(reads, active * in_flight * reads / staged)
        store = memory.store(stored, active * chip.timing.bytes_in_flight_per_sm)
        cycles = count_ * depth_steps * ceil(2 * tm * tn * size.step / pair.peak.flops_per_clock)
        operand_reads = (1 + chip.sm.operand_reads) * stage
        products = count_ * depth_steps * tm * tn * size.step
        phases.append(
            Phase(
                name=name,
                steps=steps,
                buffers=max(1, stages),
                load=(load, Demand(L2, staged), Demand(L2_PORT, staged, share)),
                compute=(
                    Demand(TENSOR, cycles, share),
                    Demand(SHARED, whole(count_ * depth_steps * operand_reads), share),
                    Demand(REGISTER, products * 2 * ACCUMULATOR_BYTES // MMA_DEPTH, share),
                ),
                store=(
                    store,
                    Demand(L2, writes),
                    Demand(L2_PORT, writes, share),
                ),
                stores=waves,
                latency_s=chip.timing.memory_latency_s,
                fill=index == 0,
                drain=index == len(parts) - 1,
                most=memory.mixed(reads, stored),
                priced_by=label,
            )
        )
    converted = _converted_flops(op, pair, size, sum(tiles_of), tiles_n) + float(beside.flops)
    if converted:
        phases.append(convert_phase(chip, converted, min(1.0, tiles / sms), depth_steps, label))
    if split > 1:
        phases.append(_reduction(chip, memory, size, split, [phase.name for phase in phases], label))
    added = whole(converted) + (_fp32_bytes(size) // ACCUMULATOR_BYTES * split if split > 1 else 0)
    first, second = (f.name for f in op.operand_formats())
    waves_total = -(-tiles // sms)
    return Kernel(
        name=op.name,
        operator=op,
        launch_s=chip.timing.launch_s,
        phases=tuple(phases),
        events={"vector": added},  # beyond the operator's own; the rest is counted once the choice is made
        priced_by=label + pair.label(first, second) + beside.label,
        constants=used(CONSTANTS, pair, beside, split),
        choice={
            "label": f"{tm}x{tn}" + (f" split {split}" if split > 1 else ""),
            "tile": f"{tm}x{tn}",
            "split": split,
            "tiles": tiles,
            "waves": waves_total,
            "tail_tiles": tail,
            "depth_steps": depth_steps,
            "stages": max(1, stages),
            "wave_efficiency": tiles / (waves_total * sms),
            "reread_bytes": traffic - size.first_bytes - size.second_bytes,
        },
    )


def used(constants: tuple[str, ...], pair: Pair, beside: Steps, split: int) -> tuple[str, ...]:
    """Chip figures behind a kernel, each once."""
    return tuple(dict.fromkeys((*constants, *pair.figures, *beside.figures, *(REDUCING if split > 1 else ()))))


def _fp32_bytes(size: Problem) -> int:
    return sum(size.rows) * size.copies * size.n * ACCUMULATOR_BYTES


def _slice(total: int, start: int, stop: int, of: int) -> int:
    """The part of an integer total that falls to tiles start..stop, so that all parts add up to it."""
    return total * stop // of - total * start // of


def _memory_reads(chip: GpuChip, size: Problem, tiles_m: int, tiles_n: int) -> int:
    """Bytes read from memory by all copies; the experts of a group each have rows and weights of their own."""
    products = size.copies * len(size.rows)
    grid = Grid(
        max(1, tiles_m // len(size.rows)),
        tiles_n,
        size.first_bytes / products,
        size.second_bytes / products,
        size.output_bytes / products,
    )
    return max(
        memory_reads(grid, chip.sm.count, chip.l2.capacity_bytes) * products, size.first_bytes + size.second_bytes
    )


def _converted_flops(op: Operator, pair: Pair, size: Problem, tiles_m: int, tiles_n: int) -> float:
    """Vector operations of widening: every tile widens what it stages."""
    flops = 0.0
    if pair.second is not None:
        weights = float(convert_flops(op, Pair(pair.peak, None, pair.second, pair.operands)))
        flops += weights * tiles_m / len(size.rows)
    if pair.first is not None:
        flops += float(convert_flops(op, Pair(pair.peak, pair.first, None, pair.operands))) * tiles_n
    return flops


def _spill(chip: GpuChip, size: Problem, split: int) -> int:
    """Bytes of partial results that L2 cannot hold until they are added up."""
    return whole(max(0.0, _fp32_bytes(size) * split - chip.l2.capacity_bytes))


def _reduction(chip: GpuChip, memory: MemoryPort, size: Problem, split: int, after: list[str], label: str) -> Phase:
    """Partial results, written in fp32 by every split, are added and stored."""
    partial = _fp32_bytes(size)
    elements = partial // ACCUMULATOR_BYTES
    active = min(1.0, -(-elements // 1024) / chip.sm.count)
    spilled = _spill(chip, size, split)
    under_way = active * chip.sm.count * chip.timing.bytes_in_flight_per_sm
    return Phase(
        name="reduce",
        steps=max(1, min(split, elements)),
        buffers=2,
        after=tuple(after),
        latency_s=chip.l2.latency_s,
        load=(
            Demand(L2, partial * split),
            Demand(L2_PORT, partial * split, active),
            memory.load(spilled, under_way),
        ),
        compute=(
            Demand(VECTOR, whole(elements * split / chip.vector.flops_per_clock), active),
            Demand(REGISTER, elements * split * VECTOR_REGISTER_BYTES, active),
        ),
        store=(
            memory.store(size.output_bytes, under_way),
            Demand(L2, size.output_bytes),
            Demand(L2_PORT, size.output_bytes, active),
        ),
        most=memory.mixed(spilled, size.output_bytes),
        priced_by=f"{label}/reduce",
    )
