"""Operators on HBM-PIM: tiles, padding, and what the host has to read and add up afterwards.

A matrix lies output by output: 64 outputs of a tile on the 8 x 8 result registers of each pseudo-channel, its 128
inputs on 8 input registers of 16 lanes. Even tiles of inputs lie in even banks, odd ones in odd banks. Every output
comes as 16 partial sums, one per lane, which the host reads and adds. Vectors of element-wise operators lie as plain
memory does, burst after burst over all banks, operands 128 rows apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accelsim.mapping.pim.capacity import too_large
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.hbm_pim import stream
from accelsim.timing.hbm_pim.channel import Access
from accelsim.timing.hbm_pim.controller_kernels import READ, WRITE

ELEMENT_BYTES = 2
"""Of the fp16 that the lanes multiply."""

Variant = Literal["pim", "tree", "plain"]
"""Kernels with PIM, the tree form of its GEMV, or the same operands streamed through plain HBM2."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """An operator on a number of pseudo-channels in lock-step.

    Attributes:
        kernel: what one pseudo-channel does.
        channels: pseudo-channels.
        results: the host's reads of partial sums, on the pseudo-channel that has most of them.
        result_reads: those reads on all pseudo-channels.
        host_adds: additions that the host then does.
        bytes_used: memory that operands and results take, padding included.
        flops: useful arithmetic.
        bytes_moved: operands and results, each once.
        left_out: elements that the kernel of the public simulator drops, as they fill no tile.
        rule: what placed it.
    """

    kernel: stream.Kernel
    channels: int
    results: tuple[Access, ...]
    result_reads: int
    host_adds: int
    bytes_used: int
    flops: int
    bytes_moved: int
    left_out: int
    rule: str


@dataclass(frozen=True, slots=True)
class Streamed:
    """An operator whose operands pass through plain HBM2.

    Attributes:
        phases: READ or WRITE, and bursts on all pseudo-channels.
        channels: pseudo-channels.
        bytes_used: memory that operands and results take.
        flops: useful arithmetic, on the host.
        bytes_moved: operands and results, each once.
        rule: what placed it.
    """

    phases: tuple[tuple[int, int], ...]
    channels: int
    bytes_used: int
    flops: int
    bytes_moved: int
    rule: str


def matmul(
    part: HbmPimPart, channels: int, *, m: int, n: int, k: int, tree: bool = False, peer: bool = False
) -> Mapped | Infeasible:
    """[m, k] x [k, n] as m passes over the matrix, one after the other.

    Args:
        part: the part.
        channels: pseudo-channels.
        m: vectors.
        n: outputs of each.
        k: inputs of each.
        tree: sums of every input tile are kept apart for the host.
        peer: results lie where the public simulator's kernel puts them, some on top of others.
    """
    tiles_out, tiles_in = stream.gemv_tiles(part, -(-n // channels), k)
    sums = tiles_in if tree else 1
    rows = stream.gemv_rows(part, tiles_out, tiles_in, m, sums) + tree
    if rows > part.organization.rows:
        return _too_large(part, channels, rows, f"m = {m}, n = {n} and k = {k}")
    kernel = stream.gemv(part, -(-n // channels), k, m, tree=tree, apart=not peer)
    lanes, group = part.pim.lanes, stream.GROUP
    groups, rest = divmod(-(-n * m * sums // group), part.pim.blocks * channels)
    mine = groups * part.pim.blocks + min(rest, part.pim.blocks)
    return Mapped(
        kernel=kernel,
        channels=channels,
        results=tuple(stream.read_results(part, mine, 0)),
        result_reads=-(-n * m * sums // group) * group,
        host_adds=m * n * (lanes * sums - 1),
        bytes_used=_bytes(part, channels, rows),
        flops=2 * m * n * k,
        bytes_moved=ELEMENT_BYTES * (m * k + n * k + m * n),
        left_out=0,
        rule="hbm_pim_gemv_tree" if tree else "hbm_pim_gemv",
    )


def elementwise(
    part: HbmPimPart, channels: int, kind: str, *, elements: int, peer: bool = False
) -> Mapped | Infeasible:
    """Sum, product, ReLU or batch normalisation of vectors in the banks.

    Args:
        part: the part.
        channels: pseudo-channels.
        kind: "add", "mul", "relu" or "bn".
        elements: of each vector.
        peer: as the public simulator has it, which drops what fills no tile and keeps operands 128 rows apart.
    """
    tile = stream.elementwise_tile(part) * channels
    bursts = -(-elements // part.pim.lanes) * part.pim.lanes
    tiles = bursts // tile if peer else -(-elements // tile)
    apart = stream.ELEMENTWISE_ROWS if peer else None
    rows = stream.elementwise_rows(part, tiles, apart)
    if rows > part.organization.rows:
        return _too_large(part, channels, rows, f"elements = {elements}")
    operands = 2 if kind in ("add", "mul") else 1
    return Mapped(
        kernel=stream.elementwise(part, kind, tiles, rows_apart=apart),
        channels=channels,
        results=(),
        result_reads=0,
        host_adds=0,
        bytes_used=_bytes(part, channels, (operands + 1) * -(-tiles * stream.GROUP // part.organization.columns)),
        flops=elements * (4 if kind == "bn" else 1),
        bytes_moved=ELEMENT_BYTES * elements * (operands + 1),
        left_out=max(0, elements - tiles * tile),
        rule=f"hbm_pim_{kind}",
    )


def plain_matmul(part: HbmPimPart, channels: int, *, m: int, n: int, k: int) -> Streamed | Infeasible:
    """Weights and inputs read once, results written: what a host without PIM asks of the memory."""
    moved = ELEMENT_BYTES * (n * k + m * k)
    read = _bursts(part, n * k) + _bursts(part, m * k)
    return _streamed(part, channels, read, _bursts(part, m * n), (2 * m * n * k, moved + ELEMENT_BYTES * m * n))


def plain_elementwise(part: HbmPimPart, channels: int, kind: str, *, elements: int) -> Streamed | Infeasible:
    """Operands read once, the result written."""
    operands = 2 if kind in ("add", "mul") else 1
    bursts = _bursts(part, elements)
    flops, moved = elements * (4 if kind == "bn" else 1), ELEMENT_BYTES * elements * (operands + 1)
    return _streamed(part, channels, operands * bursts, bursts, (flops, moved))


def _streamed(
    part: HbmPimPart, channels: int, reads: int, writes: int, totals: tuple[int, int]
) -> Streamed | Infeasible:
    used = int((reads + writes) * part.organization.access_bytes)
    if used > part.organization.channel_bytes * channels:
        return _beyond(part, channels, used, "operands and results")
    return Streamed(((READ, reads), (WRITE, writes)), channels, used, *totals, "hbm2_stream")


def _bursts(part: HbmPimPart, elements: int) -> int:
    return -(-elements * ELEMENT_BYTES // int(part.organization.access_bytes))


def _bytes(part: HbmPimPart, channels: int, rows: int) -> int:
    return rows * int(part.organization.row_bytes) * part.organization.banks_per_rank * channels


def _too_large(part: HbmPimPart, channels: int, rows: int, set_by: str) -> Infeasible:
    return _beyond(part, channels, _bytes(part, channels, rows), set_by)


def _beyond(part: HbmPimPart, channels: int, used: int, set_by: str) -> Infeasible:
    return too_large(used, part.organization.channel_bytes, channels, set_by, "pseudo-channels")
