"""Blocks of GGUF files on arrays, and their bytes as llama.cpp lays them out."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import jit
from accelsim.numerics.fast import gguf_bytes, odd, scaled_values_kernels, tiles
from accelsim.numerics.fast.codec import Draws, Floats
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.fast.two_level_block import narrow
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference import gguf
from accelsim.spec.format import GgufFormat

_HALF_END: Final = 65504.0
_END: Final = float(np.finfo(np.float32).max)
Doubles = NDArray[np.float64]


def build(record: GgufFormat, policy: Policy | str | None) -> GgufCodec:
    """The codec of a layout."""
    return _LAYOUTS[record.layout](record, policy)


class GgufCodec(ScaledCodec):
    """See `GgufFormat`; `Parts.scales` are fp16 codes (of Q4_K d + 2^16 dmin), `indices` those of scales within.

    A subclass gives codes and scales of [blocks, length] arrays of finite numbers.
    """

    code_dtype = np.dtype(np.uint8)
    offset: int | None = None
    """What codes, read as bytes in two's complement, lie above the integers that the scale multiplies."""

    def __init__(self, record: GgufFormat, policy: Policy | str | None) -> None:
        self.record, self.reference = record, gguf.build(record)
        self.policy = gguf.complete(policy, self.reference)
        self.bits, self._length = record.bits, record.block
        self._each = record.block // self.reference.sub

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes and scales of rows."""
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.record.name)
        rows, n = x.shape
        blocks, subs = tiles.count(n, self._length), tiles.count(n, self.reference.sub)
        codes = np.empty((rows, blocks * self._length), dtype=np.uint8)
        scales = np.empty((rows, blocks), dtype=np.uint32 if self.record.layout == "q4_k" else np.uint16)
        within = np.zeros((rows, blocks * self._each), dtype=np.uint16 if self.record.layout == "q4_k" else np.uint8)
        for r, c in tiles.tiles(rows, n, self._length):
            at = slice(c.start // self._length, tiles.count(c.stop, self._length))
            part = tiles.pad(np.where(np.isnan(x[r, c]), x.dtype.type(0), x[r, c]), self._length)
            there = np.broadcast_to(tiles.pad(np.ones((1, c.stop - c.start), dtype=bool), self._length), part.shape)
            made = self._blocks(part.reshape(-1, self._length), there.reshape(-1, self._length))
            codes[r, at.start * self._length : at.stop * self._length] = made[0].reshape(part.shape)
            scales[r, at] = made[1].reshape(part.shape[0], -1)
            if made[2] is not None:
                within[r, at.start * self._each : at.stop * self._each] = made[2].reshape(part.shape[0], -1)
        codes = codes[:, :n]
        if self.policy.nan == "max":
            codes = np.where(np.isnan(x), np.uint8(self.reference.largest), codes)
        return Parts(np.ascontiguousarray(codes), scales, None, within[:, :subs].copy() if self._each > 1 else None)

    @abstractmethod
    def _blocks(self, x: Floats, there: NDArray[np.bool_]) -> tuple[Codes, Codes, Codes | None]:
        """Codes, scale codes and codes of scales within, of [blocks, length] filled up with zeros."""

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of parts into [rows, n]."""
        assert parts.scales is not None
        if self.offset is not None and out.dtype == np.float32 and out.flags.c_contiguous and jit.enabled():
            codes = np.ascontiguousarray(parts.codes)
            with np.errstate(invalid="ignore"):  # signalling NaNs
                scales = _halves(parts.scales).astype(np.float32)
            kernel = jit.compiled(scaled_values_kernels.of_integers)
            more = np.uint32(24), np.int32(self.offset), np.float32(1)
            kernel(codes.reshape(-1), *out.shape, scales, out.reshape(-1), self._length, *more)
            return
        for r, c in tiles.tiles(*parts.codes.shape):
            scale = tiles.spread(parts.scales[r], self._length, c)
            fine = tiles.spread(parts.indices[r], self.reference.sub, c) if parts.indices is not None else None
            with np.errstate(invalid="ignore", over="ignore"):
                out[r, c] = self._values(parts.codes[r, c].astype(np.float64), scale, fine).astype(np.float32)

    @abstractmethod
    def _values(self, codes: Doubles, scale: Codes, fine: NDArray[Any] | None) -> Doubles:
        """Values before their last rounding to fp32."""

    # bytes

    def pack(self, parts: Parts) -> bytes:
        """The blocks one after another, as they lie in a file."""
        codes = tiles.pad(parts.codes, self._length).reshape(-1, self._length)
        fine = None
        if parts.indices is not None:
            fine = tiles.pad(parts.indices, self._each).reshape(-1, self._each)
        assert parts.scales is not None
        return gguf_bytes.pack(self.record.layout, codes, parts.scales.reshape(-1), fine).tobytes()

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        blocks = tiles.count(n, self._length)
        raw = np.frombuffer(data, dtype=np.uint8).reshape(rows * blocks, -1 if rows * blocks else self._bytes)
        codes, scales, fine = gguf_bytes.unpack(self.record.layout, raw)
        within = None
        if fine is not None:
            within = fine.reshape(rows, blocks * self._each)[:, : tiles.count(n, self.reference.sub)].copy()
        codes = np.ascontiguousarray(codes.reshape(rows, blocks * self._length)[:, :n])
        return Parts(codes, scales.reshape(rows, blocks), None, within)

    @property
    def _bytes(self) -> int:
        return int(self.record.bits_per_element * self._length) // 8

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of whole blocks."""
        return rows * tiles.count(n, self._length) * self._bytes


class _Q8(GgufCodec):
    offset = 0

    def _blocks(self, x: Floats, there: NDArray[np.bool_]) -> tuple[Codes, Codes, Codes | None]:
        singles = _singles(x)
        d = tiles.largest(singles[:, None])[:, 0] / np.float32(127)
        with np.errstate(under="ignore"):
            y = singles * _inverse(d)[:, None]
        whole = np.copysign(np.floor(np.abs(y).astype(np.float64) + 0.5), y)
        return whole.astype(np.int8).view(np.uint8), _half_codes(d.astype(np.float64)), None

    def _values(self, codes: Doubles, scale: Codes, fine: NDArray[Any] | None) -> Doubles:
        return np.where(codes > 127, codes - 256, codes) * _halves(scale)


class _Q4(GgufCodec):
    offset = 8

    def _blocks(self, x: Floats, there: NDArray[np.bool_]) -> tuple[Codes, Codes, Codes | None]:
        singles = _singles(x)
        d = _first_largest(singles) / np.float32(-8)
        with np.errstate(under="ignore"):
            y = singles * _inverse(d)[:, None] + np.float32(8.5)
        codes = np.where(there, np.minimum(y.astype(np.uint8), 15), 0).astype(np.uint8)
        return codes, _half_codes(d.astype(np.float64)), None

    def _values(self, codes: Doubles, scale: Codes, fine: NDArray[Any] | None) -> Doubles:
        return (codes - 8) * _halves(scale)


class _Q4K(GgufCodec):
    def _blocks(self, x: Floats, there: NDArray[np.bool_]) -> tuple[Codes, Codes, Codes | None]:
        subs = _finite(x).reshape(-1, 8, 32)
        inside = there.reshape(subs.shape)
        low = np.minimum(subs.min(axis=2), 0.0)
        high = np.where(inside, subs, -np.inf).max(axis=2)
        step = odd.quotient(odd.total(np.maximum(high, low), -low), np.float64(15))
        d = _half_codes(odd.quotient(step.max(axis=1), np.float64(63)))
        dmin = _half_codes(odd.quotient((-low).max(axis=1) + 0.0, np.float64(63)))
        unit, shift = _halves(d)[:, None], _halves(dmin)[:, None]
        sc = np.where(unit > 0, np.minimum(np.rint(odd.quotient(step, unit)), 63), 0)
        m = np.where(shift > 0, np.minimum(np.rint(odd.quotient(-low, shift)), 63), 0)
        scale = (unit * sc)[..., None]
        whole = np.rint(odd.quotient(odd.total(subs, (shift * m)[..., None]), scale))
        codes = np.where((scale > 0) & inside, np.clip(whole, 0, 15), 0).astype(np.uint8)
        fine = sc.astype(np.uint16) | (m.astype(np.uint16) << np.uint16(6))
        return codes.reshape(x.shape), d.astype(np.uint32) | (dmin.astype(np.uint32) << np.uint32(16)), fine

    def _values(self, codes: Doubles, scale: Codes, fine: NDArray[Any] | None) -> Doubles:
        assert fine is not None
        d, dmin = _halves(scale & np.uint32(0xFFFF)), _halves(scale >> np.uint32(16))
        return odd.total(d * (fine & 63) * codes, -(dmin * (fine >> 6)))


class _Q6K(GgufCodec):
    def _blocks(self, x: Floats, there: NDArray[np.bool_]) -> tuple[Codes, Codes, Codes | None]:
        subs = _finite(x).reshape(-1, 16, 16)
        step = _first_largest(subs.reshape(-1, 16)).reshape(-1, 16) / -32
        d = _half_codes(_first_largest(step) / -128)
        unit = _halves(d)[:, None]
        sc = np.where(unit != 0, np.clip(np.rint(_signed(step, unit)), -128, 127), 0)
        scale = (unit * sc)[..., None]
        whole = np.clip(np.rint(_signed(subs, scale)), -32, 31) + 32
        codes = np.where((scale != 0) & there.reshape(subs.shape), whole, 0).astype(np.uint8)
        return codes.reshape(x.shape), d, sc.astype(np.int8).view(np.uint8)

    def _values(self, codes: Doubles, scale: Codes, fine: NDArray[Any] | None) -> Doubles:
        assert fine is not None
        return (codes - 32) * (_halves(scale) * fine.view(np.int8))


_LAYOUTS: Final[dict[str, type[GgufCodec]]] = {"q4_0": _Q4, "q8_0": _Q8, "q4_k": _Q4K, "q6_k": _Q6K}


def _singles(x: Floats) -> NDArray[Any]:
    return np.clip(narrow(x), np.float32(-_END), np.float32(_END))


def _finite(x: Floats) -> Doubles:
    """Float64 with the largest fp32 for infinities."""
    return np.where(np.isinf(x), np.copysign(_END, x), x).astype(np.float64)


def _first_largest(x: NDArray[Any]) -> NDArray[Any]:
    """Of each row the first element of largest magnitude."""
    made: NDArray[Any] = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)[:, 0] + x.dtype.type(0)
    return made


def _inverse(d: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(divide="ignore", over="ignore"):
        made = np.float32(1) / d
    return np.where(np.isfinite(made), made, np.float32(0))


def _signed(x: Doubles, unit: Doubles) -> Doubles:
    """Quotients by units of either sign."""
    return odd.quotient(np.where(unit < 0, -x, x), np.abs(unit))


def _half_codes(x: Doubles) -> NDArray[np.uint16]:
    """Codes of fp16, the largest for what lies beyond; one rounding, as the input is exact or odd."""
    near = np.clip(x, -_HALF_END, _HALF_END).astype(np.float16) + np.float16(0)  # no negative zero
    return near.view(np.uint16)


def _halves(codes: NDArray[Any]) -> Doubles:
    return codes.astype(np.uint16).view(np.float16).astype(np.float64)
