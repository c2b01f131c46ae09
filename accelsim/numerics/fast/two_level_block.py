"""Two levels of scales on arrays, step by step in fp32 as the format is defined."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import jit
from accelsim.numerics.fast import block_kernels, grid_kernels, tiles, two_level_kernels
from accelsim.numerics.fast.codec import Draws, Floats, narrow_to_odd
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.fast.scaled_values import ScaledValues
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, Stochastic, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.two_level_block import TwoLevelReference
from accelsim.spec.format import FloatFormat, TwoLevelBlockFormat

_NEAR = 1e-9
_INFINITY = 0x7F800000
_SMALLEST = np.float32(2.0**-149)
_END = float(np.finfo(np.float32).max)
Singles = NDArray[np.float32]


def build(record: TwoLevelBlockFormat, policy: Policy | str | None) -> TwoLevelCodec:
    """The codec of a format with two levels of scales."""
    return TwoLevelCodec(record, policy)


class TwoLevelCodec(ScaledCodec):
    """See `TwoLevelBlockFormat` and `TwoLevelReference`; `tensor_scale=` takes the place of the data's."""

    settings = ("tensor_scale",)

    def __init__(self, record: TwoLevelBlockFormat, policy: Policy | str | None) -> None:
        from accelsim.numerics import registry  # it finds this module

        self.record, self.reference = record, TwoLevelReference(record)
        self.policy = policy_of(policy, self.reference, record.name)
        rules = blocks.element_policy(self.policy, self.reference.element)
        self.element = registry.element_codec(record.element, rules)
        self.scale = registry.element_codec(record.scale, blocks.SCALES)
        self.bits, self.code_dtype = record.bits, self.element.code_dtype
        rule = self.policy.overflow if self.policy.infinity == "overflow" else self.policy.infinity
        self._lost = self.reference.scale.nan(False, False), self.policy.nan == "code", rule == "nan"
        self._largest = float(self.reference.scale.largest)
        self._of_codes = ScaledValues(self.element, record.element)

    # scales

    def _tensor_scale(self, x: Singles, amax: Singles, given: float | None) -> np.float32:
        if given is not None:
            scale = np.float32(given)
            if not 0 < scale <= _END:
                raise RequestError(f"tensor_scale = {given}: must be a positive fp32")
            return scale
        if jit.enabled() and (bits := _largest(amax)) < _INFINITY:
            largest = np.uint32(bits).view(np.float32)
        else:
            largest = np.abs(x[np.isfinite(x)]).max(initial=np.float32(0))
        if largest == 0:
            return np.float32(1)
        with np.errstate(under="ignore"):
            return np.float32(largest / np.float32(float(self.reference.divisor))) or _SMALLEST

    def _scales(self, x: Singles, amax: Singles, g: np.float32, target: float) -> Codes:
        """[rows, blocks] codes of block scales."""
        lost, infinite = np.isnan(amax), np.isinf(amax)
        if lost.any():
            plain = np.where(np.isnan(x), np.float32(0), x)
            amax = np.where(lost, tiles.per_block(plain, self.record.length, tiles.largest), amax)
            infinite = np.isinf(amax)
        with np.errstate(over="ignore", under="ignore"):
            wanted = (amax / np.float32(target)) / g
        ends = np.float32(self.record.scale_min), np.float32(self._largest)
        wanted = np.clip(np.where(infinite, ends[1], wanted), *ends)
        codes = np.empty(wanted.size, dtype=self.scale.code_dtype)
        self.scale.encode(wanted.reshape(-1), codes)
        made: Codes = codes.reshape(amax.shape)
        nan, by_nan, by_infinity = self._lost
        if nan is not None:
            made[(lost & by_nan) | (infinite & by_infinity)] = nan
        return made

    def _values(self, codes: Codes) -> Singles:
        made = np.empty(codes.size, dtype=np.float32)
        self.scale.decode(np.ascontiguousarray(codes).reshape(-1), made)
        return made.reshape(codes.shape)

    def _factors(self, scales: Singles, g: np.float32) -> tuple[Singles, Singles]:
        """What elements are multiplied by, before and after; 0 for a scale of 0 or NaN before."""
        with np.errstate(all="ignore"):
            before = np.where(scales > 0, (np.float32(1) / g) / scales, np.float32(0))
            return before, scales * g

    # codes

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes and scales of rows."""
        singles, amax, g = self._start(x, settings)
        aims = [self._aimed(singles, amax, g, target, draws) for target in self.record.targets]
        codes, scales = aims[0]
        if len(aims) > 1:
            codes, scales = self._best(singles, aims, g)
        return Parts(codes, scales, float(g))

    def _start(self, x: Floats, settings: dict[str, float]) -> tuple[Singles, Singles, np.float32]:
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.record.name)
        singles = narrow(x)
        if jit.enabled() and singles.size:
            bits = np.empty((x.shape[0], tiles.count(x.shape[1], self.record.length)), dtype=np.uint32)
            kernel = jit.compiled(block_kernels.largest)
            kernel(singles.reshape(-1), *singles.shape, bits, self.record.length)
            amax = bits.view(np.float32)
        else:
            amax = tiles.per_block(singles, self.record.length, tiles.largest)
        return singles, amax, self._tensor_scale(singles, amax, settings.get("tensor_scale"))

    def _aimed(
        self, x: Singles, amax: Singles, g: np.float32, target: float, draws: Draws | None
    ) -> tuple[Codes, Codes]:
        scales = self._scales(x, amax, g, target)
        values = self._values(scales)
        before, _ = self._factors(values, g)
        codes = np.empty(x.shape, dtype=self.code_dtype)
        if draws is None and self._quick(before) and x.size:
            kernel = jit.compiled(two_level_kernels.codes)
            kernel(x.reshape(-1), *x.shape, before, codes.reshape(-1), self.record.length, *self._fields)
            if (lost := np.isnan(values)).any():
                gone = tiles.spread(lost, self.record.length, slice(0, x.shape[1]))
                codes[np.broadcast_to(gone, codes.shape)] = 0
            return codes, scales
        for r, c in tiles.tiles(*x.shape):
            with np.errstate(all="ignore"):
                y = x[r, c] * tiles.spread(before[r], self.record.length, c)
            y = np.where((x[r, c] == 0) | (tiles.spread(values[r], self.record.length, c) == 0), _zeros(x[r, c]), y)
            y = np.where(np.isnan(x[r, c]), x[r, c], y)
            lost = np.broadcast_to(np.isnan(tiles.spread(values[r], self.record.length, c)), y.shape)
            made = np.empty(y.size, dtype=self.code_dtype)
            start = r.start * x.shape[1] + c.start
            self.element.encode(np.where(lost, np.float32(0), y).reshape(-1), made, _from(draws, start))
            codes[r, c] = np.where(lost, self.code_dtype.type(0), made.reshape(y.shape))
        return codes, scales

    def _best(self, x: Singles, aims: list[tuple[Codes, Codes]], g: np.float32) -> tuple[Codes, Codes]:
        length = self.record.length
        errors = np.stack([self._errors(x, Parts(*aim, float(g))) for aim in aims])
        chosen = np.argmin(errors, axis=0)
        near = (errors <= errors.min(axis=0) * (1 + _NEAR)).sum(axis=0) > 1
        for r, b in np.argwhere(near):
            at = slice(b * length, min((b + 1) * length, x.shape[1]))
            block = [tiles.exact(v) for v in x[r, at].tolist()]
            found = [
                self.reference.error(block, (codes[r, at].tolist(), int(scales[r, b])), Fraction(float(g)))
                for codes, scales in aims
            ]
            chosen[r, b] = found.index(min(found))
        codes, scales = aims[0][0].copy(), aims[0][1].copy()
        for k, (other, its) in enumerate(aims[1:], 1):
            scales = np.where(chosen == k, its, scales)
            if x.size:
                mine = tiles.spread(chosen == k, length, slice(0, x.shape[1]))
                codes = np.where(mine, other, codes)
        return codes, scales

    def _errors(self, x: Singles, parts: Parts) -> NDArray[np.float64]:
        made = np.empty(x.shape, dtype=np.float64)
        self.decode(parts, made)
        with np.errstate(all="ignore"):
            rest = np.square(x.astype(np.float64) - np.where(np.isfinite(made), made, 0.0))
        rest = np.where(np.isfinite(x), rest, 0.0)
        return tiles.per_block(rest, self.record.length, lambda part: part.sum(axis=2))

    # values

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of parts into [rows, n]."""
        assert parts.scales is not None
        assert parts.tensor_scale is not None
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            after = self._values(parts.scales)
            after *= np.float32(parts.tensor_scale)
        if self._of_codes.write(parts.codes, after, out, self.record.length):
            return
        for r, c in tiles.tiles(*parts.codes.shape):
            codes = np.ascontiguousarray(parts.codes[r, c])
            made = np.empty(codes.size, dtype=np.float32)
            self.element.decode(codes.reshape(-1), made)
            with np.errstate(all="ignore"):
                out[r, c] = made.reshape(codes.shape) * tiles.spread(after[r], self.record.length, c)

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None, **settings: float) -> None:
        """Write the values that rows round to; equal to decoding what `encode` gives."""
        if (
            draws is None
            and jit.enabled()
            and self._fused
            and x.dtype == np.float32
            and out.dtype == np.float32
            and x.size
        ):
            bits = int(jit.compiled(grid_kernels.largest)(x.reshape(-1)))
            if bits < _INFINITY:
                whole = np.array([bits], dtype=np.uint32).view(np.float32)
                g = self._tensor_scale(whole, whole, settings.get("tensor_scale"))
                with np.errstate(over="ignore"):
                    factor = np.float32(1) / g / self._least
                if np.isfinite(factor):
                    self._quantize(x, out, g)
                    return
        super().quantize(x, out, draws, **settings)

    def _quantize(self, x: Floats, out: Floats, g: np.float32) -> None:
        scale = self.record.scale
        assert isinstance(scale, FloatFormat)
        lowest, add, _, top, _ = self._fields
        scales = np.uint32(128 - scale.bias), np.uint32(23 - scale.mantissa_bits)
        ends = np.float32(self.record.scale_min), np.float32(self._largest)
        target = np.float32(self.record.targets[0])
        kernel = jit.compiled(two_level_kernels.quantize)
        kernel(
            x.reshape(-1), *x.shape, out.reshape(-1), self.record.length, target, g, scales, *ends, (lowest, add), top
        )

    @cached_property
    def _fused(self) -> bool:
        """Whether one kernel does it all: a single target, and scales that magic additions round."""
        scale = self.record.scale
        if not isinstance(scale, FloatFormat) or not scale.subnormals or not 0 < scale.mantissa_bits < 23:
            return False
        lowest, highest = 128 - scale.bias, int(np.frexp(self._largest)[1]) + 126  # exponent fields in fp32
        places = lowest >= 1 and highest + 1 + 23 - scale.mantissa_bits <= 254
        return self._kernels and places and len(self.record.targets) == 1

    @cached_property
    def _least(self) -> np.float32:
        """The smallest block scale that is not zero."""
        least = self.record.scale_min or float(self.scale.decoded[self.scale.decoded > 0].min())
        return np.float32(least)

    @cached_property
    def _kernels(self) -> bool:
        record, policy = self.record.element, self.policy
        plain = policy.rounding == "nearest-even" and policy.zero == "keep" and policy.nan in ("code", "error")
        return (
            plain
            and isinstance(record, FloatFormat)
            and record.subnormals
            and record.signed
            and record.nan != "fnuz"
            and 0 < record.mantissa_bits < 22
            and not isinstance(policy.rounding, Stochastic)
        )

    def _quick(self, before: Singles) -> bool:
        return self._kernels and jit.enabled() and bool(np.isfinite(before).all())

    @property
    def _fields(self) -> tuple[np.uint32, np.uint32, np.uint32, np.float32, np.uint32]:
        """Field of the lowest binade, 23 - mantissa bits, number and value of the largest, place of the sign."""
        record, grid = self.record.element, self.reference.element
        assert isinstance(record, FloatFormat)
        lowest, add = np.uint32(128 - record.bias), np.uint32(23 - record.mantissa_bits)
        return lowest, add, np.uint32(grid.code(grid.largest)), np.float32(grid.largest), np.uint32(record.bits - 1)

    # bytes

    def pack(self, parts: Parts) -> bytes:
        """Codes of whole blocks in one stream of bits, then block scales, then the tensor's scale."""
        codes = tiles.pad(parts.codes, self.record.length)
        data = self.element.pack(np.ascontiguousarray(codes).reshape(-1))
        data += self.scale.pack(np.asarray(parts.scales).reshape(-1))
        return data + np.array(parts.tensor_scale, dtype="<f4").tobytes()

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        each = tiles.count(n, self.record.length)
        padded = each * self.record.length
        cut = self.element.storage_bytes(rows * padded)
        codes = self.element.unpack(data[:cut], rows * padded).reshape(rows, padded)[:, :n]
        scales = self.scale.unpack(data[cut:-4], rows * each).reshape(rows, each)
        return Parts(np.ascontiguousarray(codes), scales, float(np.frombuffer(data[-4:], "<f4")[0]))

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of packed rows: codes, block scales, the tensor's scale."""
        each = tiles.count(n, self.record.length)
        codes = self.element.storage_bytes(rows * each * self.record.length)
        return codes + self.scale.storage_bytes(rows * each) + 4


def _largest(amax: Singles) -> int:
    """Bits of the largest of numbers that are not negative; those of infinity or above if some are not finite."""
    return int(jit.compiled(grid_kernels.largest)(amax.reshape(-1)))


def narrow(x: Floats) -> Singles:
    """Numbers as fp32, rounded to odd; beyond its end the largest."""
    if x.dtype == np.float32:
        return x.astype(np.float32, copy=False)
    made = narrow_to_odd(x.astype(np.float64, copy=False)).view(np.float32)
    beyond = np.isfinite(x) & ~np.isfinite(made)
    return np.where(beyond, np.copysign(np.float32(_END), made), made)


def _zeros(x: Singles) -> Singles:
    return np.copysign(np.float32(0), x)


def _from(draws: Draws | None, start: int) -> Draws | None:
    return None if draws is None else lambda first, count: draws(start + first, count)
