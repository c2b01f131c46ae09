"""Quantisers and error measures: a grid, what shares a scale, and the rule that chooses it, bound to one format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import RequestError, did_you_mean
from accelsim.numerics.format import DataFormat
from accelsim.numerics.policy import Policy
from accelsim.spec import read
from accelsim.spec.format import BlockFormat, Format
from accelsim.spec.format.names import from_name

Granularity = Literal["tensor", "channel", "group"]
Rule = Literal["absmax", "percentile", "mse", "power_of_two", "mean"]

STEPS: Final = 80
"""Tensor scales that `searched` tries: 100 %, 99 %, ... of the one that the format would choose."""


def quantizer(
    element: Format,
    granularity: Granularity = "tensor",
    rule: Rule = "absmax",
    *,
    length: int | None = None,
    percentile: float | None = None,
    zero_point: Format | None = None,
    scale: Format | None = None,
    policy: Policy | str | None = None,
) -> DataFormat:
    """A format that scales the elements of another one.

    Args:
        element: format without a scale of its own.
        granularity: what shares a scale: the whole `tensor`, a `channel` (everything along the axis of `encode`), or
            a `group` of `length` elements along it.
        rule: how the scale follows from magnitudes; see `BlockFormat`. `power_of_two` scales are stored as E8M0.
        length: elements of a group.
        percentile: for the rule of that name, percent.
        zero_point: format of a zero point, for integers and rule `absmax`.
        scale: format of the scale; by default fp32, for groups fp16.
        policy: as for `dataformat`.

    Raises:
        RequestError: an unknown granularity or rule.
        DescriptionError: parameters that do not go together.
    """
    for name, value, known in (
        ("granularity", granularity, get_args(Granularity)),
        ("rule", rule, get_args(Rule)),
    ):
        if value not in known:
            hint = did_you_mean(str(value), known)
            raise RequestError(f"{name} = {value!r}{hint}; allowed: {', '.join(known)}")
    if (granularity == "group") != (length is not None):
        raise RequestError(f"granularity 'group' needs a length, others take none: {granularity!r}, length = {length}")
    usual = "e8m0" if rule == "power_of_two" else "fp16" if granularity == "group" else "fp32"
    suffix = f"g{length}" if granularity == "group" else granularity
    keys = {
        "name": f"{element.name}_{suffix}_{rule}",
        "source": f"{element.name} with a scale",
        "status": "derived",
        "element": element,
        "granularity": "block" if granularity == "group" else granularity,
        "length": length,
        "scale": scale or from_name(usual),
        "scale_rule": rule,
        "percentile": percentile,
        "zero_point": zero_point,
    }
    given = {key: value for key, value in keys.items() if value is not None}
    return DataFormat(read.validate(BlockFormat, given, origin=f"quantizer of {element.name}"), policy)


def searched(made: DataFormat, x: ArrayLike, *, axis: int = -1) -> float:
    """The tensor scale with the least squared error, for formats that take one (NVFP4, OliVe).

    Args:
        made: a format whose `encode` takes `tensor_scale=`.
        x: finite numbers.
        axis: along which elements share scales.

    Returns:
        The first of the best of 80 scales, 100 %, 99 %, ... 21 % of the format's own; for `encode(tensor_scale=)`.

    Raises:
        RequestError: the format takes no tensor scale.
    """
    whole: float | None = made.encode(x, axis=axis).tensor_scale if made.record.scaled else None
    if whole is None or whole <= 0:
        raise RequestError(f"{made.name} has no tensor scale to search for")
    scales = [whole * (100 - step) / 100 for step in range(STEPS)]
    errors = [measure(x, made.quantize(x, axis=axis, tensor_scale=scale)).mse for scale in scales]
    return scales[int(np.argmin(errors))]


@dataclass(frozen=True, slots=True)
class Errors:
    """How far quantised numbers are from what they stand for, in binary64.

    Attributes:
        mse: mean of squared differences.
        largest: largest magnitude of a difference.
        sqnr_db: signal to quantisation noise, 10 log10 of the ratio of mean squares, dB; infinite without noise,
            NaN without signal and noise.
        cosine: of the angle between the two as vectors; 1 for equal ones, NaN where one is zero.
    """

    mse: float
    largest: float
    sqnr_db: float
    cosine: float


def measure(x: ArrayLike, quantised: ArrayLike) -> Errors:
    """Errors of quantised numbers.

    Args:
        x: finite numbers of any shape.
        quantised: as many.

    Raises:
        RequestError: unequal shapes, nothing to compare, or infinities and NaN.
    """
    a, b = _plain(x, "x"), _plain(quantised, "quantised")
    if np.shape(x) != np.shape(quantised):
        raise RequestError(f"x has shape {np.shape(x)}, quantised {np.shape(quantised)}: they must be equal")
    if a.size == 0:
        raise RequestError("there are no elements to compare")
    top = max(float(np.abs(a).max()), float(np.abs(b).max()), np.finfo(np.float64).tiny)
    one = 2.0 ** math.frexp(top)[1]  # squares of numbers below 1 do not overflow
    a, b = a / one, b / one
    rest = b - a
    signal, noise, other = (float(np.square(v).mean()) for v in (a, rest, b))
    norms = math.sqrt(signal) * math.sqrt(other)
    return Errors(
        mse=noise * one * one,
        largest=float(np.abs(rest).max()) * one,
        sqnr_db=_ratio_db(signal, noise),
        cosine=float((a * b).mean()) / norms if norms else math.nan,
    )


def _ratio_db(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf if signal else math.nan
    return 10 * math.log10(signal / noise) if signal else -math.inf


def _plain(x: ArrayLike, name: str) -> NDArray[np.float64]:
    flat = np.asarray(x).astype(np.float64).reshape(-1)
    if not np.isfinite(flat).all():
        raise RequestError(f"{name} holds infinities or NaN: errors are measured on finite numbers")
    return flat
