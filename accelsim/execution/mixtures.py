"""Values of weights that are a mixture of formats with N:M sparsity, as FPGA overlays price them.

Which blocks stay dense and which groups get more bits is chosen by squared error: the weights of a block that are least
in size are dropped first, and the groups that gain most get the widest format. The authors of FlightLLM choose by
gradients and train on afterwards, so that their error is smaller; times and bytes do not depend on it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.execution.stored import converter
from accelsim.numerics.encoded import Encoded
from accelsim.spec.format import Format
from accelsim.spec.format.mixture import MixtureFormat

Array = NDArray[Any]


def mixed(form: MixtureFormat, values: Array) -> Encoded:
    """A matrix [k, n] in a mixture, as codes of its widest format along k.

    Args:
        form: integers in groups of one length.
        values: of any shape [k, n].
    """
    kept = _pruned(form, np.asarray(values, dtype=np.float64))
    parts = sorted(form.groups, key=lambda part: part[0].bits, reverse=True)
    made: Encoded = converter(form.widest).encode(kept, axis=0)
    codes, scales = np.array(made.codes), np.array(made.scales)
    length = parts[0][0].block
    groups = scales.size
    lost = {form_.name: _errors(form_, kept, length) for form_, _ in parts}
    # from the narrowest: those that lose least by it
    left = np.arange(groups)
    wide = form.widest
    for narrow, share in reversed(parts[1:]):
        gain = (lost[narrow.name] - lost[wide.name]).reshape(-1)
        taken = left[np.argsort(gain[left], kind="stable")][: round(share * groups)]
        left = np.setdiff1d(left, taken)
        mask = np.isin(np.arange(groups), taken).reshape(scales.shape)
        other: Encoded = converter(narrow).encode(kept, axis=0)
        rows = np.repeat(mask, length, axis=0)[: len(kept)]
        codes = np.where(rows, _sign_extended(other.codes, narrow.bits, wide.bits), codes).astype(codes.dtype)
        scales = np.where(mask, np.asarray(other.scales), scales).astype(scales.dtype)
    return replace(made, codes=codes, scales=scales)


def _sign_extended(codes: Array, bits: int, wider: int) -> Array:
    signed = codes.astype(np.int64) - ((codes.astype(np.int64) >> bits - 1) << bits)
    return signed & (1 << wider) - 1


def _blocks(values: Array, length: int) -> Array:
    """[blocks, length, n], zeros behind the end."""
    padded = np.pad(values, ((0, -len(values) % length), (0, 0)))
    return padded.reshape(-1, length, values.shape[1])


def _errors(form: Format, values: Array, length: int) -> Array:
    """[groups, n] squared errors."""
    return np.asarray(np.square(_blocks(converter(form).quantize(values, axis=0) - values, length)).sum(axis=1))


def _pruned(form: MixtureFormat, values: Array) -> Array:
    """The matrix with the shares of its blocks thinned out to n of m weights each."""
    blocks = _blocks(values, form.m)
    # from the smallest weight of a block on, place by place
    rank = np.argsort(np.argsort(-np.abs(blocks), axis=1, kind="stable"), axis=1, kind="stable")
    thin = sorted(form.kept)  # fewest weights first
    lost = np.where(rank < thin[0][0], 0.0, np.square(blocks)).sum(axis=1).reshape(-1)
    order = np.argsort(lost, kind="stable")
    bounds = np.rint(np.cumsum([0.0, *(share for _, share in thin)]) * lost.size).astype(int)
    most = np.empty(lost.size, dtype=int)
    for (n, _), first, last in zip(thin, bounds[:-1], bounds[1:], strict=True):
        most[order[first:last]] = n
    kept = np.where(rank < most.reshape(len(blocks), 1, -1), blocks, 0.0)
    return kept.reshape(-1, values.shape[1])[: len(values)]
