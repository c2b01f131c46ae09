"""GPTQ: columns are rounded one after the other, and those to come make up for each error.

Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, arXiv 2210.17323,
algorithm 1: with H the (damped) Hessian of the inputs and U the upper triangle with H^-1 = U^T U, the error
e = (w_j - round(w_j)) / U_jj of column j is taken off the columns behind it as e U_jk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, solve_triangular

from accelsim.errors import RequestError
from accelsim.numerics import registry
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.format import DataFormat
from accelsim.spec.format import BlockFormat

DAMPING: Final = 0.01
"""Of the mean of the Hessian's diagonal, added to it, as the authors do."""

_BATCH: Final = 128  # columns whose errors reach the rest of the matrix at once

Doubles = NDArray[np.float64]


def gptq(
    weight: ArrayLike, hessian: ArrayLike, form: DataFormat, *, damping: float = DAMPING, by_size: bool = False
) -> Encoded:
    """A weight matrix in a block format, rounded with regard to its inputs.

    Scales of blocks are chosen when their first column is reached, from columns that have made up for what was before
    them; those of channels and tensors at the start. At 2 or 3 bits these columns grow, and their scales with them,
    until the result is worse than rounding to nearest: there, take columns by size.

    Args:
        weight: [out, in].
        hessian: [in, in], X^T X of inputs X [samples, in]; any positive multiple gives the same.
        form: a block format without scales of scales.
        damping: share of the mean of the diagonal that is added to it. Too little of it lets the columns of a nearly
            singular Hessian grow, and the scales of groups with them. An input that is always 0 has its weights taken
            as 0.
        by_size: columns of large inputs first, as the authors' `act_order`; all scales are then those of the weights as
            they are given.

    Returns:
        Codes and scales along `in`.

    Raises:
        RequestError: shapes that do not go together, numbers that are not finite, a Hessian that is not positive
            semidefinite, or a format of another kind.
    """
    w, h = np.array(weight, dtype=np.float64), np.array(hessian, dtype=np.float64)
    if w.ndim != 2 or h.shape != (w.shape[1],) * 2:
        raise RequestError(f"a weight [out, in] and a Hessian [in, in] are needed, not {w.shape} and {h.shape}")
    if not (np.isfinite(w).all() and np.isfinite(h).all()):
        raise RequestError("weight and Hessian must be finite")
    if not damping >= 0:
        raise RequestError(f"damping = {damping!r}: a number from 0 on is needed")
    steps = _Steps(form)
    idle = np.diag(h) == 0
    h[idle, idle] = 1
    w[:, idle] = 0
    if by_size:
        return _by_size(w, h, steps, damping)
    upper = _upper(h + damping * np.diag(h).mean() * np.eye(len(h)))
    columns = w.shape[1]
    length = steps.length or columns
    blocks: list[_Scales] = []
    codes = np.empty(w.shape, dtype=np.uint32)
    whole = w.reshape(1, -1) if steps.record.granularity == "tensor" else w
    at_start = None if steps.length else steps.scales(whole)
    for first in range(0, columns, _BATCH):
        last = min(first + _BATCH, columns)
        errors = np.empty((w.shape[0], last - first))
        for j in range(first, last):
            if steps.length and j % length == 0:
                # columns of this block beyond the batch have not heard of its errors yet
                ahead = w[:, j : j + length].copy()
                if j + length > last and j > first:
                    beyond = slice(last, min(j + length, columns))
                    ahead[:, last - j :] -= errors[:, : j - first] @ upper[first:j, beyond]
                blocks.append(steps.scales(ahead))
            codes[:, j], value = steps.rounded(w[:, j], at_start or blocks[-1])
            error = (w[:, j] - value) / upper[j, j]
            errors[:, j - first] = error
            w[:, j + 1 : last] -= np.outer(error, upper[j, j + 1 : last])
        w[:, last:] -= errors @ upper[first:last, last:]
    return steps.encoded(codes, [at_start] if at_start else blocks)


def _by_size(w: Doubles, h: Doubles, steps: _Steps, damping: float) -> Encoded:
    """Columns in the order of their inputs' sizes, at scales that stand from the start."""
    columns = w.shape[1]
    order = np.argsort(-np.diag(h), kind="stable")
    upper = _upper(h[np.ix_(order, order)] + damping * np.diag(h).mean() * np.eye(columns))
    whole = w.reshape(1, -1) if steps.record.granularity == "tensor" else w
    length = steps.length or max(whole.shape[1], 1)
    blocks = [steps.scales(whole[:, at : at + length]) for at in range(0, whole.shape[1], length)]
    codes = np.empty(w.shape, dtype=np.uint32)
    w = w[:, order]
    for first in range(0, columns, _BATCH):
        last = min(first + _BATCH, columns)
        errors = np.empty((w.shape[0], last - first))
        for j in range(first, last):
            at = blocks[int(order[j]) // length]
            codes[:, order[j]], value = steps.rounded(w[:, j], at)
            errors[:, j - first] = (w[:, j] - value) / upper[j, j]
            w[:, j + 1 : last] -= np.outer(errors[:, j - first], upper[j, j + 1 : last])
        w[:, last:] -= errors @ upper[first:last, last:]
    return steps.encoded(codes, blocks)


def _upper(hessian: Doubles) -> Doubles:
    """U with U^T U = H^-1."""
    try:
        # H = V V^T with V upper, by turning the order around; U = V^-1
        turned = cholesky(hessian[::-1, ::-1], lower=True)[::-1, ::-1]
    except np.linalg.LinAlgError:
        raise RequestError(
            "the Hessian is not positive definite: give X^T X of more inputs, or a larger damping"
        ) from None
    made: Doubles = solve_triangular(turned, np.eye(len(hessian)), lower=False)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Scales:
    """Of one block of each row: codes and values, and the same of zero points."""

    codes: NDArray[Any]
    values: Doubles
    points: NDArray[Any] | None
    shifts: Doubles | None


class _Steps:
    """Rounding column by column at scales that stand."""

    def __init__(self, form: DataFormat) -> None:
        record = form.record
        if not isinstance(record, BlockFormat) or record.scale_length:
            raise RequestError(
                f"{form.name}: GPTQ rounds to block formats without scales of scales, such as int4_g128, "
                "int4_channel, uint4_g128_zp or mxfp4"
            )
        self.form, self.record, self.length = form, record, record.length
        self._codec: Any = registry.codec(record, form.policy)
        self._shifts = registry.element_codec(record.zero_point) if record.zero_point else None

    def scales(self, block: Doubles) -> _Scales:
        """Scales of [rows, length], one for each row."""
        made = self._codec.plain_rows(np.ascontiguousarray(block))
        codes = made.scales.reshape(-1, 1)
        points = made.indices.reshape(-1, 1) if self._shifts else None
        shifts = self._shifts.decoded[points] if self._shifts else None
        return _Scales(codes, self._codec.rules.values(codes), points, shifts)

    def rounded(self, column: Doubles, at: _Scales) -> tuple[NDArray[Any], Doubles]:
        """Codes and values of a column."""
        x = np.ascontiguousarray(column.reshape(-1, 1))
        scales = np.ascontiguousarray(np.broadcast_to(at.codes, x.shape))
        if at.shifts is None:
            codes = self._codec.codes_at(x, scales)
            values = self._codec.element.decoded[codes]
        else:
            values, shifts = (np.broadcast_to(part, x.shape) for part in (at.values, at.shifts))
            codes = self._codec.rules.shifted(x, values, shifts, None)
            values = self._codec.element.decoded[codes] - shifts
        return codes[:, 0], (values * at.values)[:, 0]

    def encoded(self, codes: NDArray[Any], blocks: list[_Scales]) -> Encoded:
        whole = self.record.granularity == "tensor"
        points = [at.points for at in blocks if at.points is not None]

        def joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
            return parts[0].reshape(()) if whole else np.concatenate(parts, axis=1)

        return Encoded(
            codes=codes.astype(self._codec.code_dtype),
            scales=joined([at.codes for at in blocks]),
            tensor_scale=None,
            mask_or_indices=joined(points) if points else None,
            axis=1,
            shape=codes.shape,
            format=self.form,
            policy=self.form.policy,
        )
