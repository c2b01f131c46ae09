"""Formats with one bias for a tensor: the codec of the bias 0 on numbers times a power of two."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import jit, packing
from accelsim.numerics.fast import tiles, tuned_kernels
from accelsim.numerics.fast.codec import Draws, ElementCodec, Floats
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.policy import Policy, policy_of
from accelsim.numerics.reference.float import power
from accelsim.numerics.reference.tuned import TunedReference


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
        if given is not None:
            return self.reference.checked(given)
        largest = max(float(x.max()), -float(x.min())) if x.size else 0.0
        if not np.isfinite(largest):
            finite = np.abs(x[np.isfinite(x)])
            largest = float(finite.max()) if finite.size else 0.0
        return self.reference.choose(Fraction(largest))

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes of rows, and the bias."""
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.reference.name)
        bias = self._bias(x, settings.get("bias"))
        scaled = _times(x.reshape(-1), -self.reference.exponent_of(bias))
        codes = np.empty(x.size, dtype=self.code_dtype)
        self.element.encode(scaled, codes, draws)
        return Parts(codes.reshape(x.shape), tensor_scale=float(bias))

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of codes under the bias."""
        if parts.tensor_scale is None:
            raise RequestError(f"{self.reference.name} needs its bias as the tensor scale")
        exponent = self.reference.exponent_of(self.reference.checked(parts.tensor_scale))
        with np.errstate(over="ignore", under="ignore"):
            table = np.ldexp(self.element.decoded, exponent).astype(out.dtype)
        table.take(parts.codes, out=out, mode="clip")

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None, **settings: float) -> None:
        """Write the values that rows round to; equal to decoding what `encode` gives."""
        quick = draws is None and x.dtype == np.float32 and jit.enabled() and isinstance(self.element, GridCodec)
        values = self.element.table_values if quick else None  # type: ignore[attr-defined]
        if values is None:
            super().quantize(x, out, draws, **settings)
            return
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.reference.name)
        exponent = self.reference.exponent_of(self._bias(x, settings.get("bias")))
        if abs(exponent) > 126:
            super().quantize(x, out, draws, **settings)
            return
        up, down = np.float32(2.0**-exponent), np.float32(2.0**exponent)
        jit.compiled(tuned_kernels.quantize_by_table)(x.reshape(-1), up, values, down, out.reshape(-1))

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
    wide = x if x.dtype == np.float32 and abs(exponent) <= 126 else x.astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(wide, exponent)
    lost = (scaled == 0) & (x != 0)
    return np.where(lost, np.copysign(np.finfo(scaled.dtype).smallest_subnormal, scaled), scaled)
