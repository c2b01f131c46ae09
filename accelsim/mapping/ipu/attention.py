"""Attention on tiles: scores, softmax and weighted sum are supersteps of their own; a head's keys lie on its tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.graph.counts import Counts
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.ipu import superstep
from accelsim.mapping.ipu.pairs import Pair
from accelsim.mapping.ipu.product import Piece, multiply, too_large
from accelsim.mapping.ipu.resources import Crew
from accelsim.mapping.ipu.rowwise import by_row
from accelsim.mapping.ipu.share import Share
from accelsim.mapping.ipu.split import Problem
from accelsim.mapping.kernel import Alternative, Phase
from accelsim.mapping.sums import joined
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.ipu.vertex import PARTIAL_BYTES

_PARTS = {Kind.SCORES: ("scores",), Kind.CONTEXT: ("context",), Kind.ATTENTION: ("scores", "softmax", "context")}


def attention(
    op: Operator, kv: int, crew: Crew, pair: Pair, share: Share, bits: Mapping[str, float], softmax: Counts
) -> Piece | Infeasible:
    """Attention, or the one part of it that the operator is.

    Args:
        op: the operator.
        kv: positions that the program attends to.
        crew: the chips that share it.
        pair: how activations meet keys and values.
        share: one chip's part.
        bits: bits of one element by format name.
        softmax: its arithmetic over that many positions, of all chips.
    """
    d = op.dims
    groups = int(d["batch"]) * int(d["kv_heads"]) // share.heads
    rows = int(d["query"]) * int(d["heads"]) // int(d["kv_heads"])
    shapes = {"scores": (kv, int(d["head_dim"])), "context": (int(d["value_dim"]), kv)}
    pieces: list[Piece] = []
    for name in _PARTS[op.kind]:
        if name == "softmax":
            pieces.append(_softmax(groups * rows, kv, crew, softmax, share))
            continue
        columns, depth = shapes[name]
        first, second = op.operand_formats()
        problem = Problem(
            groups=groups,
            rows=rows,
            columns=columns,
            depth=depth,
            input_bytes=first.bytes_per_element,
            weight_bytes=second.bytes_per_element,
            operand_bytes=bits[pair.operands[1]] / 8,
            convert_flops=pair.second_flops,
        )
        widen = pair.first_flops * groups * rows * depth
        made = multiply(problem, pair.row, crew, beside=widen, name=name)
        if made is None:
            return too_large(op, problem, crew.part)
        pieces.append(made)
    return _joined(pieces)


def _softmax(rows: int, kv: int, crew: Crew, counts: Counts, share: Share) -> Piece:
    elements = rows * kv
    read = float(elements * PARTIAL_BYTES)
    steps = by_row(crew.part, "softmax", rows, elements, read, counts, share=1 / share.heads)
    return Piece(
        phases=tuple(superstep.phases(steps, crew, "rows/softmax")),
        choice={"softmax_tiles": steps[0].tiles, "softmax_supersteps": len(steps)},
        sram_bytes=2 * read,
        exchange_bytes=sum(step.receive_bytes * step.tiles for step in steps),
    )


def _joined(pieces: list[Piece]) -> Piece:
    phases: tuple[Phase, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    choice: dict[str, Any] = {}
    for piece in pieces:
        phases += piece.phases
        alternatives += piece.alternatives
        choice |= piece.choice
    labels = [str(value) for key, value in choice.items() if key.endswith("label")]
    return Piece(
        phases=phases,
        choice={"label": " and ".join(labels), **choice},
        alternatives=alternatives,
        sram_bytes=sum(piece.sram_bytes for piece in pieces),
        exchange_bytes=sum(piece.exchange_bytes for piece in pieces),
        vector_flops=sum(piece.vector_flops for piece in pieces),
        sums=joined([piece.sums for piece in pieces if piece.sums is not None]),
    )
