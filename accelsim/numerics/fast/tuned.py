"""Formats with one bias for a tensor: the codec of the bias 0 on numbers times a power of two."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import jit, packing
from accelsim.numerics.fast import grid_kernels, tiles
from accelsim.numerics.fast.codec import Draws, ElementCodec, Floats, narrow_to_odd, widened
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.policy import Policy, policy_of
from accelsim.numerics.reference.float import power
from accelsim.numerics.reference.tuned import TunedReference

_MOST_EXPONENT: Final = 100
"""Up to here, subnormal binary32 values times a power of two lie below every step, and so may share an upper half."""

_MOST_TABLES: Final = 32


class TunedCodec(ScaledCodec):
    """The bias is stored before the codes, as an integer of one or two bytes.

    Products with a power of two are exact, or beyond the ends of binary32, or so small that they round as the
    smallest number does.
    """

    settings = ("bias",)

    def __init__(self, reference: TunedReference, bits: int, policy: Policy | str | None) -> None:
        self.reference, self.bits = reference, bits
        self.policy = policy_of(policy, reference, reference.name)
        self.code_dtype = packing.code_dtype(bits)
        self._table = lru_cache(_MOST_TABLES)(self._table_for)
        self._stored = np.dtype("<i2" if reference.lowest < 0 else "u1")

    @cached_property
    def element(self) -> ElementCodec:
        """The codec of the bias 0."""
        return GridCodec(self.reference.grid(0), self.policy)

    @cached_property
    def wide(self) -> bool:  # type: ignore[override]
        """Whether some value under some bias is no float32."""
        reference, info = self.reference, np.finfo(np.float32)
        values = np.unique(np.abs(self.element.decoded))
        exponents = [reference.exponent_of(bias) for bias in (reference.lowest, reference.highest)]
        largest = Fraction(values[-1]) * power(max(exponents))
        least = Fraction(float(np.diff(values).min())) * power(min(exponents))
        beyond = largest > Fraction(float(info.max)) or least < Fraction(float(info.smallest_subnormal))
        return beyond or self.element.wide

    def _bias(self, x: Floats, given: float | None) -> int:
        """The bias that was given, or that of the largest finite magnitude; NaN refused where the policy says so."""
        quick = x.dtype == np.float32 and jit.enabled()
        if quick:
            bits = jit.compiled(grid_kernels.largest)(x.reshape(-1))
            largest = float(np.uint32(bits).view(np.float32))
        else:
            largest = float(np.abs(x).max()) if x.size else 0.0  # NaN if there is one
        if np.isnan(largest) and self.policy.nan == "error":
            tiles.refuse_nan(x, self.reference.name)
        if given is not None:
            return self.reference.checked(given)
        if not np.isfinite(largest):
            finite = np.abs(x[np.isfinite(x)])
            largest = float(finite.max()) if finite.size else 0.0
        return self.reference.choose(Fraction(largest))

    def _codes(self, x: Floats, draws: Draws | None, exponent: int) -> NDArray[Any] | None:
        """The code of every upper half of a float32 with sticky bit, if that serves for these numbers."""
        if draws or x.dtype != np.float32 or not jit.enabled() or abs(exponent) > _MOST_EXPONENT:
            return None
        return self._table(exponent)

    def _table_for(self, exponent: int) -> NDArray[Any] | None:
        table = self.element.table if isinstance(self.element, GridCodec) else None
        if table is None:
            return None
        pattern = np.arange(1 << 16, dtype=np.uint32)
        inner = (pattern << np.uint32(16)) | ((pattern & np.uint32(1)) << np.uint32(15))  # odd: between two even ones
        bits = narrow_to_odd(np.ldexp(widened(inner.view(np.float32)), -exponent))
        return np.asarray(table[(bits >> np.uint32(16)) | ((bits & np.uint32(0xFFFF)) != 0)])

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes of rows, and the bias."""
        bias = self._bias(x, settings.get("bias"))
        exponent = self.reference.exponent_of(bias)
        codes = np.empty(x.shape, dtype=self.code_dtype)
        table = self._codes(x, draws, exponent)
        if table is None:
            self.element.encode(_times(x.reshape(-1), -exponent), codes.reshape(-1), draws)
        else:
            jit.compiled(grid_kernels.codes_by_table)(x.reshape(-1), table, codes.reshape(-1))
        return Parts(codes, tensor_scale=float(bias))

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of codes under the bias."""
        if parts.tensor_scale is None:
            raise RequestError(f"{self.reference.name} needs its bias as the tensor scale")
        table = self._scaled(self.element.decoded, self.reference.checked(parts.tensor_scale), out.dtype)
        if jit.enabled():
            jit.compiled(grid_kernels.decode_by_table)(parts.codes.reshape(-1), table, out.reshape(-1))
        else:
            table.take(parts.codes, out=out, mode="clip")

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None, **settings: float) -> None:
        """Write the values that rows round to; equal to decoding what `encode` gives."""
        bias = self._bias(x, settings.get("bias"))
        exponent = self.reference.exponent_of(bias)
        table = self._codes(x, draws, exponent)
        if table is None:
            super().quantize(x, out, draws, bias=bias)
            return
        values = self._scaled(self.element.decoded, bias, out.dtype)[table]
        jit.compiled(grid_kernels.values_by_table)(x.reshape(-1), values, out.reshape(-1))

    def _scaled(self, values: NDArray[np.float64], bias: int, dtype: Any) -> NDArray[Any]:
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(values, self.reference.exponent_of(bias)).astype(dtype)

    # bytes

    def pack(self, parts: Parts) -> bytes:
        """The bias, then the codes as a stream of bits."""
        bias = np.array(parts.tensor_scale).astype(self._stored)
        return bias.tobytes() + packing.pack(parts.codes, self.bits)

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        size = self._stored.itemsize
        bias = np.frombuffer(data[:size], dtype=self._stored)[0]
        codes = packing.unpack(data[size:], self.bits, rows * n).reshape(rows, n)
        return Parts(codes, tensor_scale=float(bias))

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of the bias and the codes."""
        return self._stored.itemsize + packing.packed_bytes(rows * n, self.bits)


def _times(x: Floats, exponent: int) -> NDArray[Any]:
    """Numbers times a power of two, in a dtype that is wide enough; what becomes too small stays nonzero."""
    wide = x if x.dtype == np.float32 and abs(exponent) <= 126 else widened(x)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(wide, exponent)
    lost = (scaled == 0) & (x != 0)
    return np.where(lost, np.copysign(np.finfo(scaled.dtype).smallest_subnormal, scaled), scaled)
