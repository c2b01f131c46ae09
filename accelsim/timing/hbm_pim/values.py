"""Kernels of HBM-PIM on values: operands laid out in a pseudo-channel's banks, the micro-program run, results read.

A product's first half of inputs lies in even banks and its second half in odd ones, so that every lane adds its
products in the order of the inputs; the host then adds the 16 lanes as a tree of neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.timing.hbm_pim import program, stream
from accelsim.timing.hbm_pim.blocks import Blocks, program_bursts
from accelsim.timing.hbm_pim.stream import GROUP, Kernel

Halves = NDArray[np.float16]


def gemv(part: HbmPimPart, weights: Halves, inputs: Halves, *, tree: bool = False) -> Halves:
    """Sums of every lane of [m, k] times the transpose of [n, k], on one pseudo-channel.

    Args:
        part: the part.
        weights: [n, k] fp16.
        inputs: [m, k] fp16.
        tree: by the tree kernel, which keeps the sums of every tile of 128 inputs apart.

    Returns:
        [m, n, tiles, lanes] fp16, with one tile unless `tree`.

    Raises:
        RequestError: shapes that do not go together.
    """
    if weights.ndim != 2 or inputs.ndim != 2 or weights.shape[1] != inputs.shape[1]:
        raise RequestError(
            f"weights of shape {weights.shape} and inputs of shape {inputs.shape}: expected [n, k], [m, k]"
        )
    (n, k), m = weights.shape, len(inputs)
    tiles_out, tiles_in = stream.gemv_tiles(part, n, k)
    made = stream.gemv(part, n, k, m, tree=tree)
    blocks = Blocks(part)
    lanes, outputs = part.pim.lanes, part.pim.blocks * part.pim.grf_b
    whole = np.zeros((tiles_out * outputs, tiles_in * GROUP * lanes), dtype=np.float16)
    whole[:n, :k] = weights
    # [output tile, block, result register, input tile, input register, lane]
    laid = whole.reshape(tiles_out, part.pim.blocks, GROUP, tiles_in, GROUP, lanes)
    order = list(range(tiles_in)) if tree else [*range(0, tiles_in, 2), *range(1, tiles_in, 2)]
    for tile in range(tiles_out):
        for place, at in enumerate(order):
            column = GROUP * GROUP * (at // 2 + tile * -(-tiles_in // 2))
            _place(blocks, at % 2, column, laid[tile, :, :, place].transpose(2, 1, 0, 3))
    fed = np.zeros((m, tiles_in * GROUP * lanes), dtype=np.float16)
    fed[:, :k] = inputs
    vectors = fed.reshape(m, tiles_in * GROUP, lanes)
    payloads: list[Any] = _program(made, program.gemv_tree(tiles_in) if tree else program.gemv(tiles_in))
    for _ in range(tiles_out):
        for vector in vectors:
            payloads += [None, *vector, None]
    blocks.serve(made.accesses(), payloads)
    kept = tiles_in if tree else 1
    end = tiles_out * -(-tiles_in // 2) * GROUP * GROUP
    sums = np.zeros((tiles_out, m, kept, GROUP, part.pim.blocks, lanes), dtype=np.float16)
    for i in range(tiles_out * m * kept):
        sums.reshape(-1, GROUP, part.pim.blocks, lanes)[i] = _read(blocks, 1, end + i * GROUP)
    # [vector, output tile, block, register, kept, lane]
    return sums.transpose(1, 0, 4, 3, 2, 5).reshape(m, tiles_out * outputs, kept, lanes)[:, :n]


def add_up(sums: Halves) -> Halves:
    """What the host makes of the last axis: a tree of neighbours, every sum rounded to fp16."""
    while sums.shape[-1] > 1:
        if sums.shape[-1] % 2:
            sums = np.concatenate([sums, np.zeros((*sums.shape[:-1], 1), dtype=np.float16)], axis=-1)
        with np.errstate(all="ignore"):
            sums = sums[..., 0::2] + sums[..., 1::2]
    return sums[..., 0]


def elementwise(
    part: HbmPimPart, kind: str, first: Halves, second: Halves | None = None, *, scalars: Halves | None = None
) -> Halves:
    """Sum, product, ReLU or batch normalisation of vectors on one pseudo-channel.

    Args:
        part: the part.
        kind: "add", "mul", "relu" or "bn".
        first: [n] fp16.
        second: [n] fp16 for "add" and "mul".
        scalars: for "bn", eight factors and eight summands: ((x * s[0] + s[8]) * s[1] + s[9]).

    Returns:
        [n] fp16.

    Raises:
        RequestError: operands of different lengths, or one missing.
    """
    if kind in ("add", "mul") and (second is None or second.shape != first.shape):
        raise RequestError(f"{kind} takes two vectors of one length")
    tile = stream.elementwise_tile(part)
    tiles = -(-first.size // tile)
    made = stream.elementwise(part, kind, tiles)
    result_row = stream.elementwise_rows(part, tiles) - -(-tiles * GROUP // part.organization.columns)
    blocks = Blocks(part)
    operands = [first] if second is None else [first, second]
    for number, operand in enumerate(operands):
        padded = np.zeros(tiles * tile, dtype=np.float16)
        padded[: first.size] = operand
        # bursts lie over banks first, then columns: [column, bank, lane]
        spread = padded.reshape(tiles * GROUP, part.organization.banks_per_rank, part.pim.lanes)
        for bank in (0, 1):
            _place(blocks, bank, number * result_row // 2 * part.organization.columns, spread[:, bank::2])
    payloads = _program(made, program.elementwise(kind, tiles))
    payloads += [None, *([scalars] if kind == "bn" else []), None]
    blocks.serve(made.accesses(), payloads)
    result = np.zeros((tiles * GROUP, part.organization.banks_per_rank, part.pim.lanes), dtype=np.float16)
    for bank in (0, 1):
        for group in range(tiles):
            at = result_row * part.organization.columns + group * GROUP
            result[group * GROUP : (group + 1) * GROUP, bank::2] = _read(blocks, bank, at)
    return result.reshape(-1)[: first.size]


def _program(made: Kernel, words: list[int]) -> list[Any]:
    """What the writes to the CRF carry, padded to as many as the kernel makes."""
    bursts: list[Any] = program_bursts(words)
    return [*bursts, *[[0] * GROUP] * (made.program_writes - len(bursts))]


def _place(blocks: Blocks, parity: int, column: int, values: Halves) -> None:
    """Lay [columns, ..., blocks, lanes] into consecutive columns of all even or all odd banks."""
    columns = blocks.part.organization.columns
    flat = values.reshape(-1, *values.shape[-2:])
    for i, burst in enumerate(flat):
        row, at = divmod(column + i, columns)
        blocks.all_banks(parity, row)[at] = burst


def _read(blocks: Blocks, parity: int, column: int) -> Halves:
    """[GROUP, blocks, lanes] of consecutive columns within a row."""
    row, at = divmod(column, blocks.part.organization.columns)
    return blocks.all_banks(parity, row)[at : at + GROUP]
