"""Blocks on arrays: a scale for each by the rule of the format, elements by the codec of theirs."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import packing
from accelsim.numerics.fast import block_compiled, odd, tiles
from accelsim.numerics.fast.block_compiled import Compiled
from accelsim.numerics.fast.block_rules import BlockRules
from accelsim.numerics.fast.codec import Draws, Floats, widened
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.fast.scaled_values import ScaledValues
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, Stochastic, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.block import BlockReference
from accelsim.spec.format import BlockFormat

_PLAIN_BITS = 28
"""Significant bits that a step between two elements may have so that a plain division of binary32 decides."""


def build(record: BlockFormat, policy: Policy | str | None) -> BlockCodec:
    """The codec of a block format."""
    return BlockCodec(record, policy)


class BlockCodec(ScaledCodec):
    """See `BlockFormat` and `BlockReference`."""

    def __init__(self, record: BlockFormat, policy: Policy | str | None) -> None:
        from accelsim.numerics import registry  # it finds this module

        self.record, self.reference = record, BlockReference(record)
        self.policy = policy_of(policy, self.reference, record.name)
        rules = blocks.element_policy(self.policy, self.reference.element)
        if self.reference.shared:
            rules = replace(rules, overflow="saturate", infinity="overflow")
        self.element = registry.element_codec(record.element, rules)
        self.rules = BlockRules(self.reference, self.policy, self.element)
        self.bits, self.code_dtype = record.bits, self.element.code_dtype
        self._point = registry.element_codec(record.zero_point, blocks.SCALES) if record.zero_point else None
        self._values = ScaledValues(self.element, record.element)

    @cached_property
    def compiled(self) -> Compiled:
        """What kernels need to know."""
        return Compiled(self)

    def _length(self, n: int) -> int:
        return self.record.length or max(n, 1)

    @cached_property
    def _plain(self) -> bool:
        """Whether no step between two elements has too many bits for a plain division of binary32 values."""
        if isinstance(self.policy.rounding, Stochastic) or self.bits > 16:
            return False
        if self.record.element.kind in ("float", "integer", "p3109"):
            return True
        grid = self.reference.element
        levels = GridCodec(grid, self.policy).levels
        splits = [grid.split(low, high) for low, high in pairwise(levels)]
        return all(_bits(point.numerator) <= _PLAIN_BITS for point in splits)

    # codes

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes and scales of rows."""
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.record.name)
        if draws is None and (quick := block_compiled.encode(self, x)):
            return quick
        if self.record.granularity == "tensor":
            whole = self.plain_rows(x.reshape(1, -1), draws)
            codes = whole.codes.reshape(x.shape)
            scale = _only(whole.scales, self.rules.empty)
            return Parts(codes, scale, None, _only(whole.indices, 0) if self._point else None)
        return self.plain_rows(x, draws)

    def plain_rows(self, x: Floats, draws: Draws | None = None) -> Parts:
        """Codes and scales of rows by numpy; of a tensor as one row."""
        length = self._length(x.shape[1])
        if self._point:
            return self._asymmetric(x, length, draws)
        offset, over = None, None
        if self.record.scale_length:
            codes, offset, over = self.rules.twice(x, length)
        else:
            codes = self.rules.scales(x, length)
        parts = Parts(np.empty(x.shape, dtype=self.code_dtype), codes, offset, over)
        self._divided(x, self.rules.divisors(self._scales(parts)), parts.codes, draws)
        return parts

    def codes_at(self, x: Floats, scales: Codes, draws: Draws | None = None) -> Codes:
        """Codes of rows at given [rows, blocks] scale codes."""
        codes = np.empty(x.shape, dtype=self.code_dtype)
        self._divided(x, self.rules.divisors(self.rules.values(scales)), codes, draws)
        return codes

    def _divided(self, x: Floats, scales: NDArray[np.float64], codes: Codes, draws: Draws | None) -> None:
        rows, n = x.shape
        for r, c in tiles.tiles(rows, n):
            mine = tiles.spread(scales[r], self._length(n), c)
            self._elements(x[r, c], mine, codes[r, c], _from(draws, r.start * n + c.start))

    def _elements(self, x: Floats, scales: NDArray[np.float64], codes: Codes, draws: Draws | None) -> None:
        wide = widened(x)
        if x.dtype == np.float32 and self._plain:
            with np.errstate(all="ignore"):
                quotient = np.where(scales == 0, np.copysign(0.0, wide), wide / scales)
            quotient = np.where(np.isinf(wide), wide, quotient)
        else:
            quotient = odd.quotient(wide, scales)
        lost = np.isnan(scales)
        made = np.empty(quotient.size, dtype=self.code_dtype)
        quotient = np.where(lost, 0.0, quotient) if lost.any() else quotient
        self.element.encode(quotient.reshape(-1), made, draws)
        codes[...] = made.reshape(codes.shape)
        if lost.any():
            codes[np.broadcast_to(lost, codes.shape)] = 0

    def _asymmetric(self, x: Floats, length: int, draws: Draws | None) -> Parts:
        rows, n = x.shape
        scales, points = self.rules.asymmetric(x, length, self._point)
        codes = np.empty(x.shape, dtype=self.code_dtype)
        values = self.rules.values(scales)
        shifts = self._points(points)
        for r, c in tiles.tiles(rows, n):
            mine, shift = tiles.spread(values[r], length, c), tiles.spread(shifts[r], length, c)
            source = _from(draws, r.start * n + c.start)
            codes[r, c] = self.rules.shifted(x[r, c], mine, shift, source)
        return Parts(codes, scales, None, points)

    def _points(self, points: NDArray[Any]) -> NDArray[np.float64]:
        assert self._point is not None
        made = np.empty(points.size)
        self._point.decode(points.reshape(-1), made)
        return made.reshape(points.shape)

    # values

    def _scales(self, parts: Parts) -> NDArray[np.float64]:
        """[rows, blocks] of the scales' values."""
        codes = parts.scales
        assert codes is not None
        values = self.rules.values(codes)
        if self.record.scale_length and parts.indices is not None and parts.tensor_scale is not None:
            over = self.rules.above(parts.indices)
            if values.size:
                over = tiles.spread(over, self.record.scale_length, slice(0, values.shape[1]))
            return self.rules.fine(values, over, parts.tensor_scale) if values.size else values
        return values

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of parts into [rows, n]."""
        self.write(parts, out)

    def write(self, parts: Parts, out: Floats) -> None:
        """As `decode`; the scales of a tensor may also be those of rows."""
        rows, n = parts.codes.shape
        length = self._length(n)
        values = self._scales(parts)
        shifts = self._points(parts.indices) if self._point and parts.indices is not None else None
        if values.ndim == 0:
            values = np.broadcast_to(values, (rows, 1))
            shifts = None if shifts is None else np.broadcast_to(shifts, (rows, 1))
        if shifts is None and self._values.write(parts.codes, values, out, length):
            return
        for r, c in tiles.tiles(rows, n):
            codes = parts.codes[r, c]
            made = np.empty(codes.size)
            self.element.decode(np.ascontiguousarray(codes).reshape(-1), made)
            value = made.reshape(codes.shape)
            if shifts is not None:
                value -= tiles.spread(shifts[r], length, c)
            with np.errstate(over="ignore", invalid="ignore"):
                out[r, c] = value * tiles.spread(values[r], length, c)

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None, **settings: float) -> None:
        """Write the values that rows round to; equal to decoding what `encode` gives."""
        if draws is None and block_compiled.quantize(self, x, out):
            return
        self.write(self.encode(x, draws), out)

    @property
    def wide(self) -> bool:  # type: ignore[override]
        """Whether some value is no float32."""
        return self._wide

    @cached_property
    def _wide(self) -> bool:
        if self.bits > 16 or self.record.scale_length:
            return True
        values = self.element.decoded
        values = values[np.isfinite(values)]
        bits = tiles.significant_bits(values) + bool(self._point)
        low, high, more = self.rules.span
        beyond = np.abs(values).max() * high > float(np.finfo(np.float32).max)
        small = np.abs(values[values != 0]).min(initial=np.inf)
        quantum = small * low * 2.0 ** (1 - tiles.significant_bits(values) - more)
        return bool(bits + more > 24 or beyond or quantum < 2.0**-149)

    # bytes

    def pack(self, parts: Parts) -> bytes:
        """Codes of whole blocks in one stream of bits, then the scales, then zero points or the scales above."""
        codes = parts.codes
        if self.record.length:
            codes = tiles.pad(codes, self.record.length)
        data = self.element.pack(np.ascontiguousarray(codes).reshape(-1))
        data += self.rules.scale.pack(np.asarray(parts.scales).reshape(-1))
        if self._point:
            data += self._point.pack(np.asarray(parts.indices).reshape(-1))
        if self.record.scale_scale and parts.tensor_scale is not None:
            data += self.rules.pack_above(np.asarray(parts.indices).reshape(-1), parts.tensor_scale)
        return data

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        padded, each, over = self._counts(n)
        count = 1 if self.record.granularity == "tensor" else rows * each
        cut = self.element.storage_bytes(rows * padded)
        codes = self.element.unpack(data[:cut], rows * padded).reshape(rows, padded)[:, :n]
        end = cut + self.rules.scale.storage_bytes(count)
        shape = () if self.record.granularity == "tensor" else (rows, each)
        scales = self.rules.scale.unpack(data[cut:end], count).reshape(shape)
        if self._point:
            points = self._point.unpack(data[end:], count).reshape(shape)
            return Parts(np.ascontiguousarray(codes), scales, None, points)
        if self.record.scale_scale:
            above, offset = self.rules.unpack_above(data[end:], rows * over)
            return Parts(np.ascontiguousarray(codes), scales, offset, above.reshape(rows, over))
        return Parts(np.ascontiguousarray(codes), scales)

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of packed rows: codes, scales, zero points and scales above."""
        padded, each, over = self._counts(n)
        count = 1 if self.record.granularity == "tensor" else rows * each
        size = self.element.storage_bytes(rows * padded) + self.rules.scale.storage_bytes(count)
        if self._point:
            size += self._point.storage_bytes(count)
        if self.record.scale_scale:
            size += packing.packed_bytes(rows * over, self.record.scale_scale.bits)
            size += packing.packed_bytes(1, self.record.scale_scale.bits)
        return size

    def _counts(self, n: int) -> tuple[int, int, int]:
        """Elements of a row in whole blocks, its scales, and the scales of those."""
        length = self.record.length
        if not length:
            return n, int(n > 0), 0
        each = tiles.count(n, length)
        over = tiles.count(each, self.record.scale_length) if self.record.scale_length else 0
        return each * length, each, over


def _from(draws: Draws | None, start: int) -> Draws | None:
    return None if draws is None else lambda first, count: draws(start + first, count)


def _only(codes: NDArray[Any] | None, empty: int) -> NDArray[Any]:
    """The one scale of a tensor, of no dimension."""
    assert codes is not None
    flat = np.asarray(codes).reshape(-1)
    return flat[0].reshape(()) if flat.size else np.array(empty, dtype=flat.dtype)


def _bits(n: int) -> int:
    n = abs(n)
    return n.bit_length() - ((n & -n).bit_length() - 1) if n else 0
