"""Block floating point with or without microexponents on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import jit, packing
from accelsim.numerics.fast import microexponent_kernels, odd, tiles
from accelsim.numerics.fast.codec import Draws, Floats
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, policy_of
from accelsim.numerics.reference.microexponent import MicroexponentReference, element_record
from accelsim.spec.format import MicroexponentFormat


def build(record: MicroexponentFormat, policy: Policy | str | None) -> MicroexponentCodec:
    """The codec of a format with microexponents."""
    return MicroexponentCodec(record, policy)


class MicroexponentCodec(ScaledCodec):
    """See `MicroexponentFormat`; `Parts.indices` are the microexponents, [rows, sub-blocks]."""

    def __init__(self, record: MicroexponentFormat, policy: Policy | str | None) -> None:
        from accelsim.numerics import registry  # it finds this module

        self.record, self.reference = record, MicroexponentReference(record)
        self.policy = policy_of(policy, self.reference, record.name)
        self.element = registry.element_codec(element_record(record), self.policy)
        self.bits, self.code_dtype = record.bits, self.element.code_dtype
        self._bias, self._highest = self.reference.bias, self.reference.highest
        self._fine = record.sub_length or record.length
        lowest = -self._bias - (1 << record.microexponent_bits) + 1 - (record.magnitude_bits - 1)
        self.wide = self._highest > 127 or lowest < -149

    # exponents

    def _exponents(self, x: Floats) -> tuple[Codes, Codes | None]:
        """Codes of shared exponents, and microexponents."""
        amax = tiles.per_block(np.where(np.isnan(x), x.dtype.type(0), x), self._fine, tiles.largest)
        each = self.record.length // self._fine
        mine = _floor_log2(amax)
        whole = tiles.per_block(amax, each, tiles.largest)
        shared = np.clip(_floor_log2(whole), -self._bias, self._highest)
        shared[np.isinf(whole)] = self._highest
        shared[whole == 0] = -self._bias
        codes = (shared + self._bias).astype(packing.code_dtype(self.record.exponent_bits))
        if not self.record.sub_length or not x.size:
            return codes, np.zeros(amax.shape, dtype=np.uint8) if self.record.sub_length else None
        most = (1 << self.record.microexponent_bits) - 1
        shift = np.clip(tiles.spread(shared, each, slice(0, mine.shape[1])) - mine, 0, most)
        return codes, np.where((amax == 0) | np.isinf(amax), 0, shift).astype(np.uint8)

    def _units(self, scales: Codes, shifts: Codes | None) -> NDArray[np.float64]:
        """[rows, sub-blocks] powers of two."""
        e: NDArray[Any] = scales.astype(np.int64) - self._bias
        if shifts is not None and e.size:
            each = self.record.length // self._fine
            e = tiles.spread(e, each, slice(0, shifts.shape[1])) - shifts
        units: NDArray[np.float64] = np.ldexp(1.0, e)
        return units

    # codes

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes, shared exponents and microexponents of rows."""
        if draws is None and self._quick(x) and (quick := self._compiled(x)):
            return quick
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.record.name)
        scales, shifts = self._exponents(x)
        units = self._units(scales, shifts)
        codes = np.empty(x.shape, dtype=self.code_dtype)
        for r, c in tiles.tiles(*x.shape):
            unit, wide = tiles.spread(units[r], self._fine, c), x[r, c].astype(np.float64)
            quotient = wide / unit if x.dtype == np.float32 else odd.quotient(wide, unit)  # the former is exact
            made = np.empty(quotient.size, dtype=self.code_dtype)
            start = r.start * x.shape[1] + c.start
            self.element.encode(quotient.reshape(-1), made, _from(draws, start))
            codes[r, c] = made.reshape(quotient.shape)
        return Parts(codes, scales, None, shifts)

    def _fits(self, x: Floats) -> bool:
        """Whether an array is one that kernels take."""
        return x.dtype == np.float32 and x.size > 0 and bool(x.flags.c_contiguous) and jit.enabled()

    def _quick(self, x: Floats) -> bool:
        policy, record = self.policy, self.record
        usual = policy.rounding == "nearest-even" and policy.nan == "error" and policy.zero == "keep"
        return usual and record.exponent_bits == 8 and record.magnitude_bits < 23 and self._fits(x)

    def _compiled(self, x: Floats) -> Parts | None:
        """What the kernel encodes; None if it leaves a block."""
        record = self.record
        scales = np.empty((x.shape[0], tiles.count(x.shape[1], record.length)), dtype=np.uint8)
        shifts = np.empty((x.shape[0], tiles.count(x.shape[1], self._fine)), dtype=np.uint8)
        left, codes = np.zeros_like(scales), np.empty(x.shape, dtype=self.code_dtype)
        kernel = jit.compiled(microexponent_kernels.encode)
        kernel(
            x.reshape(-1), *x.shape, codes.reshape(-1), scales, shifts, left, record.length, self._fine,
            np.int32((1 << record.microexponent_bits) - 1), np.int32(record.magnitude_bits),
        )  # fmt: skip
        return None if left.any() else Parts(codes, scales, None, shifts if record.sub_length else None)

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of parts into [rows, n]."""
        assert parts.scales is not None
        if self.record.exponent_bits == 8 and self._fits(out):
            shifts = parts.scales if parts.indices is None else parts.indices
            kernel = jit.compiled(microexponent_kernels.decode)
            codes = np.ascontiguousarray(parts.codes).reshape(-1)
            kernel(
                codes, *out.shape, np.ascontiguousarray(parts.scales), np.ascontiguousarray(shifts), out.reshape(-1),
                self.record.length, self.record.sub_length or 0, np.int32(self.record.magnitude_bits),
            )  # fmt: skip
            return
        units = self._units(parts.scales, parts.indices)
        for r, c in tiles.tiles(*parts.codes.shape):
            codes = np.ascontiguousarray(parts.codes[r, c])
            made = np.empty(codes.size)
            self.element.decode(codes.reshape(-1), made)
            with np.errstate(over="ignore"):
                out[r, c] = made.reshape(codes.shape) * tiles.spread(units[r], self._fine, c)

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None, **settings: float) -> None:
        """Write the values that rows round to; equal to decoding what `encode` gives."""
        if draws is not None or not self._quick(x) or not self._fits(out):
            super().quantize(x, out, draws, **settings)
            return
        record = self.record
        left = np.zeros((x.shape[0], tiles.count(x.shape[1], record.length)), dtype=np.uint8)
        most = np.int32((1 << record.microexponent_bits) - 1)
        kernel = jit.compiled(microexponent_kernels.quantize)
        kernel(
            x.reshape(-1), *x.shape, out.reshape(-1), left, record.length, self._fine, most,
            np.int32(record.magnitude_bits),
        )  # fmt: skip
        if left.any():
            tiles.refuse_nan(x, record.name)
        for row, block in np.argwhere(left):
            at = slice(block * record.length, min((block + 1) * record.length, x.shape[1]))
            made = np.empty((1, x[row, at].size), dtype=np.float32)
            self.decode(self.encode(x[row : row + 1, at].copy()), made)
            out[row, at] = made[0]

    # bytes

    def pack(self, parts: Parts) -> bytes:
        """Codes of whole blocks in one stream of bits, then shared exponents, then microexponents."""
        record = self.record
        codes = tiles.pad(parts.codes, record.length)
        data = self.element.pack(np.ascontiguousarray(codes).reshape(-1))
        data += packing.pack(np.asarray(parts.scales), record.exponent_bits)
        if parts.indices is not None:
            shifts = tiles.pad(parts.indices, record.length // self._fine)
            data += packing.pack(shifts, record.microexponent_bits)
        return data

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        record = self.record
        each = tiles.count(n, record.length)
        padded = each * record.length
        cut = self.element.storage_bytes(rows * padded)
        end = cut + packing.packed_bytes(rows * each, record.exponent_bits)
        codes = self.element.unpack(data[:cut], rows * padded).reshape(rows, padded)[:, :n]
        scales = packing.unpack(data[cut:end], record.exponent_bits, rows * each).reshape(rows, each)
        if not record.sub_length:
            return Parts(np.ascontiguousarray(codes), scales)
        subs = padded // self._fine
        shifts = packing.unpack(data[end:], record.microexponent_bits, rows * subs).reshape(rows, subs)
        return Parts(np.ascontiguousarray(codes), scales, None, shifts[:, : tiles.count(n, self._fine)].copy())

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of packed rows: codes, shared exponents, microexponents."""
        record = self.record
        each = tiles.count(n, record.length)
        size = self.element.storage_bytes(rows * each * record.length)
        size += packing.packed_bytes(rows * each, record.exponent_bits)
        if record.sub_length:
            size += packing.packed_bytes(rows * each * record.length // self._fine, record.microexponent_bits)
        return size


def _floor_log2(x: Floats) -> NDArray[np.int64]:
    finite = np.where(np.isfinite(x), x, x.dtype.type(0))
    return np.frexp(finite)[1].astype(np.int64) - 1


def _from(draws: Draws | None, start: int) -> Draws | None:
    return None if draws is None else lambda first, count: draws(start + first, count)
