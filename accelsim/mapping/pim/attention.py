"""Attention of one decode step on a memory that computes: heads over channels, scores and contexts as products.

Keys lie with positions as outputs and the head's width as inputs, values the other way round, so that both products
read whole rows. The keys and values of one KV head stay within a group of channels. Query heads that share a KV head
are served one after the other, and each reads the keys and values again: units beside banks hold one vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelsim.graph.operator import Operator


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the KV heads of all sequences lie, and the two products of each.

    Attributes:
        pairs: KV heads of all sequences.
        channels: channels that one of them is spread over.
        groups: sets of channels that work at the same time.
        turns: KV heads that one set of channels serves, one after the other.
        shared: query heads of one KV head.
        positions: keys of one head.
        key_width: elements of a key.
        value_width: elements of a value.
    """

    pairs: int
    channels: int
    groups: int
    turns: int
    shared: int
    positions: int
    key_width: int
    value_width: int

    @property
    def full(self) -> float:
        """Sets of channels that would do all the work if each were busy in every turn."""
        return self.pairs / self.turns

    def scores(self) -> dict[str, int]:
        """Sizes of the product of queries and keys, on one set of channels."""
        return {"m": self.turns * self.shared, "n": self.positions, "k": self.key_width}

    def contexts(self) -> dict[str, int]:
        """Sizes of the product of probabilities and values, on one set of channels."""
        return {"m": self.turns * self.shared, "n": self.value_width, "k": self.positions}


def heads(op: Operator, channels: int) -> Heads | str:
    """How the heads of one decode step are placed, or in words why units beside banks cannot do it.

    Args:
        op: fused attention.
        channels: of the system.
    """
    d = op.dims
    if int(d["query"]) != 1:
        return "several queries at once: every one of them would read the keys again"
    if op.attributes.get("shared_kv"):
        return "keys and values are one latent cache, which would have to lie in two orders"
    if len(op.inputs) > 3:
        return "a bias on the scores, which the units cannot add"
    pairs = int(d["batch"]) * int(d["kv_heads"])
    width = max(1, channels // pairs)
    groups = min(pairs, channels // width)
    return Heads(
        pairs=pairs,
        channels=width,
        groups=groups,
        turns=-(-pairs // groups),
        shared=int(d["heads"]) // int(d["kv_heads"]),
        positions=positions(op),
        key_width=int(d["head_dim"]),
        value_width=int(d["value_dim"]),
    )


def positions(op: Operator) -> int:
    """Keys that one query sees: all of the context, or a window of it."""
    d = op.dims
    seen = op.inputs[1].elements
    return round(float(np.max(seen)) / (int(d["batch"]) * int(d["kv_heads"]) * int(d["head_dim"])))


def append_bytes(op: Operator, access_bytes: int, element_bytes: float) -> int:
    """Bytes beyond their own that storing the values of a decode step takes.

    Keys are whole accesses. Values lie input by input, so that a token is one element of every output: a masked
    write of a whole access for each.

    Args:
        op: the operator that appends to the cache.
        access_bytes: of one column command.
        element_bytes: of one element.
    """
    values = sum(float(t.elements) for t in op.outputs if t.name == "v_cache")
    return round(values * (access_bytes - element_bytes))
