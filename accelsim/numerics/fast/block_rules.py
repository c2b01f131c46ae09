"""How blocks get their scales, on arrays; the definitions are those of `reference/block.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, cached_property
from math import ceil
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast import odd, tiles
from accelsim.numerics.fast.codec import Draws, ElementCodec, Floats, widened
from accelsim.numerics.fast.integer import IntegerCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.block import CLIPS, BlockReference
from accelsim.numerics.reference.shared_exponent import ENDLESS, LEAST_PEAK, divisor, slack

NEAR: Final = 1e-9
"""Relative difference below which sums of binary64 do not decide, but fractions do."""

_VANISHING: Final = 1e-130
_FAR: Final = 1100
"""Beyond the exponent of any float64."""


class BlockRules:
    """The scales of a block format under a policy.

    Attributes:
        scale: codec of scales.
        empty: code of the scale of no elements.
        span: smallest and largest scale, and the most significant bits that one has.
    """

    def __init__(self, reference: BlockReference, policy: Policy, element: ElementCodec) -> None:
        from accelsim.numerics import registry  # it finds the module that makes this

        record = reference.record
        self.reference, self.record, self.policy, self.element = reference, record, policy, element
        self.scale = registry.element_codec(record.scale, blocks.SCALES)
        self._above = registry.element_codec(record.scale_scale, blocks.SCALES) if record.scale_scale else None
        self.limit = float(reference.limit)
        self._largest = reference.scale.code(reference.scale.largest)
        self.empty = blocks.scale_code(reference.scale, Fraction(0))
        if reference.zero_point:
            self._ends = float(reference.element.smallest), float(reference.element.largest)
            self._point_ends = float(reference.zero_point.smallest), float(reference.zero_point.largest)

    @cached_property
    def span(self) -> tuple[float, float, int]:
        """Smallest and largest scale, and the most significant bits that one has."""
        high = float(self.reference.scale.largest)
        if self.scale.bits > 16:
            return 2.0**-149, high, 24
        values = self.scale.decoded
        values = values[np.isfinite(values) & (values > 0)]
        return float(values.min()), high, tiles.significant_bits(values)

    def values(self, codes: Codes) -> NDArray[np.float64]:
        """The scales of codes."""
        made = np.empty(codes.size)
        self.scale.decode(np.ascontiguousarray(codes).reshape(-1), made)
        return made.reshape(codes.shape)

    def codes(self, scales: NDArray[np.float64]) -> Codes:
        """The codes of the nearest scales."""
        made = np.empty(scales.size, dtype=self.scale.code_dtype)
        self.scale.encode(np.ascontiguousarray(scales).reshape(-1), made)
        return made.reshape(scales.shape)

    def scales(self, x: Floats, length: int) -> Codes:
        """[rows, blocks] scale codes of [rows, n]."""
        make = self._shared if self.reference.shared else self._plain
        return self._tiled(x, length, make, self.scale.code_dtype)

    def _tiled(self, x: Floats, length: int, make: Callable[[Floats], NDArray[Any]], dtype: Any) -> NDArray[Any]:
        rows, n = x.shape
        made = np.empty((rows, tiles.count(n, length)), dtype=dtype)
        for r, c in tiles.tiles(rows, n, length):
            at = slice(c.start // length, tiles.count(c.stop, length))
            made[r, at] = tiles.per_block(x[r, c], length, make)
        return made

    # rules of OCP MX

    def _shared(self, x: Floats) -> Codes:
        amax = widened(tiles.largest(x))
        lost = np.isnan(amax)
        if lost.any():
            amax = np.where(lost, widened(tiles.largest(np.where(np.isnan(x), x.dtype.type(0), x))), amax)
        nan = self.reference.scale.nan(False, False)
        infinite = np.isinf(amax)
        if self.policy.blocks == "torchao" and self.record.scale_rule != "rceil":
            amax, infinite = np.where(infinite, float(ENDLESS), amax), np.zeros_like(infinite)
        elif self.policy.blocks == "microxcaling":
            amax = np.where(amax == 0, float(LEAST_PEAK), amax)
        amax = np.where(infinite, 0.0, amax)
        power = self._exponent(amax)
        codes = self.codes(np.where(amax == 0, 0.0, np.ldexp(1.0, np.clip(power, -1000, 1000))))
        codes[infinite] = self._largest
        rule = self.policy.overflow if self.policy.infinity == "overflow" else self.policy.infinity
        if nan is not None:
            if rule == "nan":
                codes[infinite] = nan
            if self.policy.overflow == "nan":
                codes[(amax > 0) & (power > np.log2(float(self.reference.scale.largest)))] = nan
            if self.policy.nan == "code":
                codes[lost] = nan
        return codes

    def _exponent(self, amax: NDArray[np.float64]) -> NDArray[np.int64]:
        how = self.policy.blocks
        if self.record.scale_rule == "rceil" and how == "torchao":
            with np.errstate(over="ignore", under="ignore"):
                near = odd.quotient(amax, np.float64(self.limit)).astype(np.float32).astype(np.float64)
            mantissa, above = np.frexp(near)
            e = above.astype(np.int64) - 1
            return np.where(near == 0, -_FAR, np.where(np.isinf(near), _FAR, e + (2 * mantissa - 1 > _above(e))))
        mantissa, above = np.frexp(amax)
        own, place = np.frexp(self.limit)
        power = above.astype(np.int64) - int(place)
        match self.record.scale_rule:
            case "floor":
                if how == "microxcaling":
                    power += 1 - mantissa <= _below(above)
            case "ceil":
                power += mantissa != 0.5
            case "even":
                power += 2 * mantissa >= 2 - 2.0 ** (-self.reference.mantissa - 1)
            case "rceil":
                power += mantissa > own
        return power

    def divisors(self, scales: NDArray[np.float64]) -> NDArray[np.float64]:
        """What elements are divided by, for values of scales."""
        if self.policy.blocks != "torchao":
            return scales
        smallest = self.reference.scale.smallest
        instead = divisor(smallest, smallest, self.record.scale_rule, "torchao")
        return np.where(scales == float(smallest), float(instead), scales)

    # all others

    def codes_of(self, amax: NDArray[np.float32]) -> Codes:
        """Codes of the scales of rule `absmax` for largest magnitudes without NaN."""
        infinite = np.isinf(amax)
        codes = self.codes(odd.quotient(np.where(infinite, 0, amax).astype(np.float64), np.float64(self.limit)))
        codes[infinite] = self._largest
        return codes

    def _plain(self, x: Floats) -> Codes:
        infinite = np.isinf(x).any(axis=2)
        finite = np.where(np.isfinite(x), x, x.dtype.type(0)).astype(np.float64)
        if self.record.scale_rule == "mse":
            codes, _ = self.least_error(x, finite)
        else:
            codes = self.codes(self._wanted(x, finite))
        codes[infinite] = self._largest
        return codes

    def _wanted(self, x: Floats, finite: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scales before they are rounded, odd where inexact."""
        match self.record.scale_rule:
            case "mean":
                return self._mean(x, finite)
            case "percentile":
                return odd.quotient(self._percentile(x), np.float64(self.limit))
        scales = odd.quotient(tiles.largest(finite), np.float64(self.limit))
        if self.record.scale_rule == "power_of_two":
            mantissa, e = np.frexp(scales)
            return np.where(scales == 0, 0.0, np.ldexp(1.0, e - (mantissa < 0.75)))
        return scales

    def _percentile(self, x: Floats) -> NDArray[np.float64]:
        magnitude = np.sort(np.where(np.isfinite(x), np.abs(x), np.inf), axis=2).astype(np.float64)
        there = np.isfinite(x).sum(axis=2)
        share = Fraction(self.record.percentile or 0) / 100
        ranks = np.array([max(ceil(share * n), 1) - 1 for n in range(x.shape[2] + 1)])
        made = np.take_along_axis(magnitude, ranks[there][..., None], axis=2)[..., 0]
        return np.where(there == 0, 0.0, made)

    def _mean(self, x: Floats, finite: NDArray[np.float64]) -> NDArray[np.float64]:
        there = np.maximum(np.isfinite(x).sum(axis=2), 1)
        mean: NDArray[np.float64] = np.abs(finite).sum(axis=2) / there
        doubtful = self.codes(mean * (1 - NEAR)) != self.codes(mean * (1 + NEAR))
        for r, b in np.argwhere(doubtful | ~np.isfinite(mean)):
            exact = sum(map(Fraction, map(float, np.abs(finite[r, b]))), Fraction(0)) / int(there[r, b])
            mean[r, b] = odd.from_fraction(exact)
        return mean

    def least_error(
        self, x: Floats, finite: NDArray[np.float64], clips: Sequence[Fraction] = CLIPS
    ) -> tuple[Codes, NDArray[np.float64]]:
        """Scale codes of the least squared error for [rows, blocks, elements], and that error."""
        whole = self.codes(self._wanted_absmax(finite))
        start = self.values(whole)
        errors = np.empty((len(clips), *whole.shape))
        tried = np.empty((len(clips), *whole.shape), dtype=self.scale.code_dtype)
        for k, clip in enumerate(clips):
            tried[k] = self.codes(odd.quotient(start * clip.numerator, np.float64(clip.denominator)))
            errors[k] = self._error(x, finite, self.values(tried[k]))
        best = np.argmin(errors, axis=0)
        codes = np.take_along_axis(tried, best[None], axis=0)[0]
        least = errors.min(axis=0)
        near = errors <= least * (1 + NEAR)
        doubtful = (near & (tried != codes)).any(axis=0) & unsure(least, finite)
        for r, b in np.argwhere(doubtful):
            block = [tiles.exact(v) for v in x[r, b].tolist()]
            codes[r, b], _ = self.reference.least_error(block, self.policy, clips)
        return codes, least

    def _wanted_absmax(self, finite: NDArray[np.float64]) -> NDArray[np.float64]:
        return odd.quotient(tiles.largest(finite), np.float64(self.limit))

    def _error(self, x: Floats, finite: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
        quotient = odd.quotient(np.where(np.isnan(x), 0.0, finite), scales[..., None])
        codes = np.empty(quotient.size, dtype=self.element.code_dtype)
        self.element.encode(quotient.reshape(-1), codes)
        made = np.empty(quotient.size)
        self.element.decode(codes, made)
        rest = np.where(np.isnan(x), 0.0, finite - made.reshape(quotient.shape) * scales[..., None])
        with np.errstate(over="ignore"):  # then fractions decide
            total: NDArray[np.float64] = np.square(rest).sum(axis=2)
        return total

    # zero points

    def asymmetric(self, x: Floats, length: int, point: ElementCodec | None) -> tuple[Codes, Codes]:
        """Codes of scales and zero points for min(0, smallest) to max(0, largest)."""
        assert point is not None
        pair = self._tiled(x, length, self._range, np.dtype([("low", "f8"), ("high", "f8"), ("infinite", "?")]))
        low, high = pair["low"], pair["high"]
        least, most = self._ends
        codes = self.codes(odd.quotient(odd.total(high, -low), np.float64(most - least)))
        codes[pair["infinite"]] = self._largest
        scales = self.values(codes)
        shift = np.where(scales == 0, 0.0, least - np.rint(odd.quotient(low, scales)))
        shift = np.clip(shift, *self._point_ends)
        points = np.empty(shift.size, dtype=point.code_dtype)
        point.encode(shift.reshape(-1), points)
        return codes, points.reshape(shift.shape)

    def _range(self, x: Floats) -> NDArray[Any]:
        finite = np.where(np.isfinite(x), x, x.dtype.type(0)).astype(np.float64)
        made = np.empty(x.shape[:2], dtype=[("low", "f8"), ("high", "f8"), ("infinite", "?")])
        made["low"], made["high"] = finite.min(axis=2, initial=0), finite.max(axis=2, initial=0)
        made["infinite"] = np.isinf(x).any(axis=2)
        return made

    def shifted(self, x: Floats, scales: NDArray[np.float64], shift: NDArray[np.float64], draws: Draws | None) -> Codes:
        """Codes of round(x / scale) + zero point, clipped."""
        low, high = self._ends
        nan = np.isnan(x)
        assert isinstance(self.element, IntegerCodec)  # only integers have a zero point
        quotient = odd.quotient(np.where(nan, 0.0, x.astype(np.float64)), scales)
        source = draws(0, x.size).reshape(x.shape) if draws else None
        whole = np.clip(self.element.rounded(quotient, source) + shift, low, high)
        whole = np.where(nan, high if self.policy.nan == "max" else np.clip(shift, low, high), whole)
        return (whole.astype(np.int64) & ((1 << self.element.bits) - 1)).astype(self.element.code_dtype)

    # double quantisation

    def above(self, codes: Codes) -> NDArray[np.float64]:
        """The scales of scales."""
        assert self._above is not None
        made = np.empty(codes.size)
        self._above.decode(np.ascontiguousarray(codes).reshape(-1), made)
        return made.reshape(codes.shape)

    def _above_codes(self, scales: NDArray[np.float64]) -> Codes:
        assert self._above is not None
        made = np.empty(scales.size, dtype=self._above.code_dtype)
        self._above.encode(np.ascontiguousarray(scales).reshape(-1), made)
        return made.reshape(scales.shape)

    def _above_rounded(self, scales: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.above(self._above_codes(scales))

    def fine(self, fine: NDArray[np.float64], over: NDArray[np.float64], offset: float) -> NDArray[np.float64]:
        """Scales of double quantisation: fine x over + offset, rounded once, never negative."""
        return self._above_rounded(np.maximum(odd.total(fine * over, offset), 0.0))

    def twice(self, x: Floats, length: int) -> tuple[Codes, float, Codes]:
        """Codes of the scales less their mean, that mean, and codes of what these share."""
        reference = self.reference
        assert reference.above is not None
        assert self.record.scale_length is not None
        first = self._tiled(x, length, self._first, np.dtype(np.float64))
        offset = 0.0
        if first.size:
            mean = sum(map(Fraction, first.reshape(-1).tolist()), Fraction(0)) / first.size
            offset = float(self.above(np.array(blocks.scale_code(reference.above, mean))))
        rest = odd.total(first, -offset)
        top = float(blocks.limit(reference.scale))
        shared = tiles.per_block(rest, self.record.scale_length, tiles.largest)
        over = self._above_codes(odd.quotient(shared, np.float64(top)))
        if not rest.size:
            return np.empty(rest.shape, dtype=self.scale.code_dtype), offset, over
        spread = tiles.spread(self.above(over), self.record.scale_length, slice(0, rest.shape[1]))
        return self.codes(odd.quotient(rest, spread)), offset, over

    def _first(self, x: Floats) -> NDArray[np.float64]:
        infinite = np.isinf(x).any(axis=2)
        finite = np.where(np.isfinite(x), x, x.dtype.type(0)).astype(np.float64)
        made = self._above_rounded(self._wanted(x, finite))
        assert self.reference.above is not None
        return np.where(infinite, float(self.reference.above.largest), made)

    def pack_above(self, codes: Codes, offset: float) -> bytes:
        """Scales of scales, then the mean of the scales."""
        assert self._above is not None
        return self._above.pack(codes) + self._above.pack(self._above_codes(np.array([offset])))

    def unpack_above(self, data: bytes, count: int) -> tuple[Codes, float]:
        """What `pack_above` packed."""
        assert self._above is not None
        cut = self._above.storage_bytes(count)
        offset = self.above(self._above.unpack(data[cut:], 1))[0]
        return self._above.unpack(data[:cut], count), float(offset)


@cache
def _slacks(below: bool) -> NDArray[np.float64]:
    """`slack` of every exponent from -FAR to FAR, as the largest float64 that is not more."""
    exact = [slack(k, below) for k in range(-_FAR, _FAR + 1)]
    near = np.array([float(s) for s in exact])
    more = np.array([Fraction(float(n)) > s for n, s in zip(near, exact, strict=True)])
    return np.where(more, np.nextafter(near, 0.0), near)


def _below(k: NDArray[Any]) -> NDArray[np.float64]:
    return _slacks(True).take(k + _FAR)


def _above(k: NDArray[Any]) -> NDArray[np.float64]:
    return _slacks(False).take(k + _FAR)


def unsure(least: NDArray[np.float64], finite: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether sums of squares of binary64 may mislead: a sum of 0 is exact, unless squares vanish."""
    largest = tiles.largest(finite)
    made: NDArray[np.bool_] = (least > 0) | ((largest > 0) & (largest < _VANISHING))
    return made
