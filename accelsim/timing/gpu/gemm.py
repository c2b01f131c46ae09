"""Time of a GEMM on a GPU in closed form: waves of tiles beside a stream from memory, for one shape or many at once.

The structure is that of tiled libraries: an output tile per thread block, a pipeline of depth steps in shared memory,
waves of blocks over the SMs, splits of the depth where SMs would stand idle. What no data sheet says are the seventeen
`accelsim.spec.calibration.GemmConstants`. Tile and split are the model's own minimum.

Time grows with every dimension, but for three steps: a split is considered only while its tiles are fewer than two
waves; a second row of tiles lets two SMs share what they fetch; and a residency by the harness's number of copies falls
with that number. It is continuous in every rate, and never below the peak of a resource that the kernel draws on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.spec.calibration import GemmConstants, Residency
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES, Array, Machine, Shapes, Times, Traffic, overlapped

TILES: Final = ((16, 64), (64, 64), (128, 128), (128, 256), (256, 128))
"""Output tiles (rows, columns); more of them gain little on measured tables."""

SPLITS: Final = (1, 2, 3, 4, 6, 8, 16)
MAX_STAGES: Final = 8
MMA_DEPTH: Final = 16
"""Depth of one matrix instruction: accumulators are read and written once per that many products."""

HARNESS_COPIES: Final = 5
CHUNK: Final = 500
"""Points priced together: temporaries of all candidates then stay in the processor's cache."""

_PER_TILE: Final = len(SPLITS)
_SPLITS: Final = np.array(SPLITS, dtype=float)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a library can choose from; arrays are [candidates], all splits of a tile beside each other.

    Attributes:
        tiles: rows and columns, smallest first.
        pairs: (tile, split) of every candidate.
        tm: rows of the tile.
        tn: columns of the tile.
        split: parts of the depth.
    """

    tiles: tuple[tuple[int, int], ...]
    pairs: tuple[tuple[tuple[int, int], int], ...]
    tm: Array
    tn: Array
    split: Array


@cache
def candidates(tile_rows: int = TILES[0][0]) -> Candidates:
    """The candidates of a chip whose matrix unit computes so many rows at least, a tile of no more among them."""
    tiles = TILES if tile_rows == TILES[0][0] else ((tile_rows, TILES[0][1]), *TILES)
    pairs = tuple((tile, split) for tile in tiles for split in SPLITS)
    columns = (np.array(values, dtype=float) for values in zip(*((*tile, split) for tile, split in pairs), strict=True))
    return Candidates(tiles, pairs, *columns)


def price(shapes: Shapes, machine: Machine, constants: GemmConstants, residency: Residency) -> Times:
    """Times of all points on a cool chip, each with its fastest tile and split.

    `accelsim.timing.gpu.power.throttled` makes of them those of the same kernels without end.

    Args:
        shapes: the products.
        machine: the chip.
        constants: of the chip and its library.
        residency: what L2 holds at the start.
    """
    if len(shapes) <= CHUNK:
        return _price(shapes, machine, constants, residency)
    parts = (shapes.part(start, start + CHUNK) for start in range(0, len(shapes), CHUNK))
    return Times.joined([_price(part, machine, constants, residency) for part in parts])


def _price(shapes: Shapes, machine: Machine, constants: GemmConstants, residency: Residency) -> Times:
    c, hz, sms = constants, machine.clock_hz, machine.sms
    choice = candidates(machine.tile_rows)
    tm, tn, split = choice.tm, choice.tn, choice.split
    first, second, step = shapes.staged_first, shapes.staged_second, shapes.step
    stage = (tm * first + tn * second) * step
    possible = (machine.shared_bytes >= 2 * stage) & (machine.registers_bytes >= tm * tn * ACCUMULATOR_BYTES)
    possible |= np.arange(len(choice.pairs)) < _PER_TILE  # the smallest tile runs anywhere
    room = np.clip(machine.shared_bytes // (2 * stage), 1, machine.max_tiles)
    stages = np.clip(machine.shared_bytes // stage, 1, MAX_STAGES)

    tiles_m, fetches_m = (_by_tile(counts) for counts in _rows_of_tiles(shapes, choice, machine.sharing))
    tiles = tiles_m * _by_tile([np.ceil(shapes.n / columns) for _, columns in choice.tiles]) * split
    active = np.minimum(tiles, sms)
    rounds = tiles / sms
    whole = np.ceil(rounds)
    waves = whole - c.recovered_tail * (whole - np.maximum(rounds, 1.0))
    resident = np.minimum(waves, room)
    steps = np.tile(np.ceil(shapes.k[:, None] / (_SPLITS * step)), len(choice.tiles))

    # one fetched copy of the second operand serves the tiles below each other, if there are any
    fetched = (tm * first + tn * second * (fetches_m / tiles_m)) * step
    cycles = unit_cycles(tm, tn, fetched, shapes, machine, c)
    unit = np.maximum(np.maximum(cycles.matrix, cycles.registers), np.maximum(cycles.shared, cycles.lanes))
    hidden = np.maximum(max(c.loaded_latency_s, machine.latency_s) / stages, c.issue_s)
    port = machine.port_bytes_per_clock * hz
    # ports idle with their SMs in the last wave, L2 does not
    pace = np.maximum(np.maximum(unit / hz, fetched / (port * c.l2_efficiency)), hidden / resident)
    load = np.maximum(
        waves * steps * fetched / (port * c.l2_efficiency),
        tiles * steps * fetched / (machine.l2_bytes_per_clock * hz * c.l2_efficiency),
    )
    stored = (tm * tn) * (shapes.output_bytes / shapes.outputs)[:, None]
    supply = np.minimum(machine.port_bytes_per_clock, machine.l2_bytes_per_clock / active) * hz
    sm = np.maximum(waves * steps * pace, load) + waves * (c.epilogue * stored / supply + c.tile_start_s / resident)

    moved = traffic(shapes, machine.l2_bytes, c, residency)
    direct, split_up = (stream_s(moved.read, written, machine, c) for written in (moved.written, 0 * moved.written))
    memory = np.where(split > 1, split_up[:, None], direct[:, None])
    read: Array | None = None
    if c.reread:
        again = _again(shapes, choice, machine, c)
        memory = memory + again / (machine.memory_bytes_per_s * machine.streaming(np.ones(1)) * c.memory_efficiency)
        read = moved.read[:, None] + again
    body = overlapped(sm, memory, c.overlap)
    ideal = (2 * shapes.products / (machine.flops_per_clock * hz * sms))[:, None]
    drop = c.clock_drop * (ideal / body) / (1 + (c.clock_ramp_s / body) ** c.clock_edge)
    reduction = np.where(split > 1, _reduction_s(shapes, split, machine, c, moved), 0.0)
    seconds = np.where(
        possible & ((split == 1) | (tiles < 2 * sms * split)),
        machine.launch_s + c.start_s + body * (1 + drop) + reduction,
        np.inf,
    )
    best = np.argmin(seconds, axis=1)
    at = (np.arange(len(best)), best)
    return Times(
        seconds=seconds[at], body=(body * (1 + drop))[at], clock=1 + drop[at], sm=sm[at], memory=memory[at],
        reduction=reduction[at], candidate=best, tiles=tiles[at], waves=waves[at], resident=resident[at],
        stages=stages[best], steps=steps[at], fetched=fetched[at], unit=(unit / hz)[at],
        load=load[at], hidden=(hidden / resident)[at], read=moved.read if read is None else read[at],
        written=moved.written, candidates=seconds,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cycles:
    """Cycles of a depth step on each unit of an SM: the matrix unit, registers, shared memory, and vector lanes."""

    matrix: Any
    registers: Any
    shared: Any
    lanes: Any


def unit_cycles(tm: Any, tn: Any, fetched: Any, shapes: Shapes, machine: Machine, constants: GemmConstants) -> Cycles:
    """What a depth step of a tile asks of the units of its SM.

    Args:
        tm: rows of the tile, a number or an array, as are the next two.
        tn: columns of the tile.
        fetched: bytes of the step.
        shapes: the products.
        machine: the chip.
        constants: of the kernels.
    """
    products = tm * tn * shapes.step
    return Cycles(
        2 * products / (machine.flops_per_clock * constants.matrix_efficiency),
        2 * ACCUMULATOR_BYTES * products / MMA_DEPTH / machine.register_bytes_per_clock,
        (1 + machine.operand_reads) * fetched / machine.shared_bytes_per_clock,
        ((tm * shapes.widen_first + tn * shapes.widen_second) * shapes.step + products * shapes.rescale)
        / machine.vector_flops_per_clock,
    )


def traffic(shapes: Shapes, l2_bytes: float, constants: GemmConstants, residency: Residency) -> Traffic:
    """Bytes from and to memory, less what L2 still holds from the run before."""
    whole = shapes.first_bytes + shapes.second_bytes + shapes.output_bytes
    usable = constants.usable_l2 * l2_bytes

    def missed(state: str | int, operand: Array) -> Array | float:
        if state == "cold":
            return 1.0
        copies = copies_of(l2_bytes, operand) if state == "harness" else 1 if state == "steady" else int(state)
        return _beyond((whole + (copies - 1) * operand) / usable, constants.l2_edge)

    return Traffic(
        shapes.second_bytes * missed(residency.weights, shapes.second_bytes)
        + shapes.first_bytes * missed(residency.activations, shapes.first_bytes),
        shapes.output_bytes * missed(residency.output, shapes.output_bytes),
    )


def _again(shapes: Shapes, choice: Candidates, machine: Machine, c: GemmConstants) -> Array:
    """[points, candidates] bytes of the activations that every further column of tiles reads from memory again."""
    missed = _beyond(shapes.first_bytes / (c.usable_l2 * machine.l2_bytes), c.l2_edge)
    columns = _by_tile([np.ceil(shapes.n / tn) for _, tn in choice.tiles]) - 1
    found: Array = c.reread * (shapes.first_bytes * missed)[:, None] * columns
    return found


def _beyond(ratio: Array, edge: float) -> Array:
    """Part of an operand that L2 lost, for the distance between its uses over the usable size: r^e / (1 + r^e)."""
    found: Array = 0.5 * (1 + np.tanh(0.5 * edge * np.log(ratio)))
    return found


def copies_of(l2_bytes: float, operand: Array, most: int = HARNESS_COPIES) -> Array:
    """Copies of an operand that the harness of the public tables goes through: enough to fill L2, `most` at most."""
    return np.clip(np.ceil(l2_bytes / operand), 1, most)


def stream_s(read: Array, written: Array, machine: Machine, constants: GemmConstants) -> Array:
    """Seconds to move so many bytes: at what kernels reach of a plain stream from the DRAM, after a ramp."""
    total = read + written
    share = machine.streaming(np.divide(read, total, out=np.ones_like(total), where=total > 0))
    rate = machine.memory_bytes_per_s * share * constants.memory_efficiency
    half = constants.ramp_s * rate
    return total / rate + constants.ramp_s * np.divide(total, total + half, out=np.zeros_like(total), where=total > 0)


def _reduction_s(shapes: Shapes, split: Array, machine: Machine, c: GemmConstants, moved: Traffic) -> Array:
    """Partial results in fp32, written by every split and read again; what L2 cannot hold goes through memory."""
    partial = ACCUMULATOR_BYTES * shapes.outputs[:, None] * split
    rate = min(machine.port_bytes_per_clock * machine.sms, machine.l2_bytes_per_clock) * machine.clock_hz
    spilled = np.maximum(0.0, partial - machine.l2_bytes)
    through = 2 * spilled + moved.written[:, None]
    memory = machine.memory_bytes_per_s * machine.streaming(spilled / np.maximum(through, 1.0)) * c.memory_efficiency
    found: Array = c.reduction_s + np.maximum((2 * partial + shapes.output_bytes[:, None]) / rate, through / memory)
    return found


def _rows_of_tiles(shapes: Shapes, choice: Candidates, sharing: int) -> tuple[list[Array], list[Array]]:
    """By tile: tiles along m of all products, and how many of them fetch the second operand."""
    found: dict[int, tuple[Array, Array]] = {}
    for tm, _ in choice.tiles:
        if tm not in found:
            tiles = np.ceil(shapes.rows / tm)
            found[tm] = (
                tiles.sum(axis=1) * shapes.copies,
                np.ceil(tiles / sharing).sum(axis=1) * shapes.copies,
            )
    return [found[tm][0] for tm, _ in choice.tiles], [found[tm][1] for tm, _ in choice.tiles]


def _by_tile(columns: list[Array]) -> npt.NDArray[np.float64]:
    """[points, candidates] from one column per tile."""
    return np.repeat(np.stack(columns, axis=1), _PER_TILE, axis=1)
