"""What methods of quantisation learn from text: what every matrix reads, in fp32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.executor import Executor
from accelsim.execution.layer import split
from accelsim.graph.operator import MATRIX_KINDS, Role
from accelsim.spec.model import Model
from accelsim.weights import schemes

Array = NDArray[Any]

CHUNK_TOKENS = 1024
"""Tokens that run together."""


def inputs_of(model: Model, executor: Executor, tokens: NDArray[np.int64]) -> dict[str, Array]:
    """[samples, in] of what every matrix of the layers reads, by its name in the checkpoint.

    Matrices that read the same have the same array; the experts of a layer share what all of them read.

    Args:
        model: that is executed.
        executor: of it, unfused, in an arithmetic without storage formats.
        tokens: [windows, positions].
    """
    read, experts = _products(executor)
    latest: dict[str, Array] = {}
    seen: dict[tuple[str, int], list[Array]] = {}

    def watch(op: str, layer: int | None, tensor: str, x: Array) -> None:
        latest[tensor] = x
        if layer is not None and op in read and tensor == read[op][1]:
            seen.setdefault((op, layer), []).append(np.array(latest[read[op][0]], dtype=np.float32))

    step = max(1, CHUNK_TOKENS // tokens.shape[1])
    for at in range(0, len(tokens), step):
        executor.start(tokens[at : at + step], watch)
    made: dict[str, Array] = {}
    alike: dict[tuple[str, int], Array] = {}
    for (op, layer), parts in seen.items():
        source, _, weights = read[op]
        joined = np.concatenate([x.reshape(-1, x.shape[-1]) for x in parts])
        # projections of one input are neighbours and read the very same numbers
        before = alike.get((source, layer))
        joined = before if before is not None and np.array_equal(before, joined) else joined
        alike[source, layer] = joined
        for name in weights:
            for tensor in schemes.source(model, layer, name, experts.get(name, 0)).names:
                made[tensor] = joined
    return made


def _products(executor: Executor) -> tuple[dict[str, tuple[str, str, list[str]]], dict[str, int]]:
    """By operator: the tensor that a product reads, its first result and its weights; and counts of experts."""
    read: dict[str, tuple[str, str, list[str]]] = {}
    experts: dict[str, int] = {}
    for _, op in executor.prefill_graph(1, 2):
        weights = [t for t in op.inputs if t.role is Role.WEIGHT and len(t.shape) > 1]
        if op.kind not in MATRIX_KINDS or not weights:
            continue
        names = [split(t.name, 0)[1] for t in weights]
        read[split(op.name, 0)[1]] = (op.inputs[0].name, op.outputs[0].name, names)
        experts |= {name: int(t.shape[0]) for name, t in zip(names, weights, strict=True) if len(t.shape) > 2}
    return read, experts
