"""Compiled ways of block formats, for float32 under nearest-even; each says whether it applies."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import jit
from accelsim.numerics.fast import block_kernels, tiles
from accelsim.numerics.fast.codec import Floats
from accelsim.numerics.fast.scaled import Parts
from accelsim.numerics.reference import blocks
from accelsim.spec.format import FloatFormat, IntegerFormat

if TYPE_CHECKING:
    from accelsim.numerics.fast.block import BlockCodec

_NEVER: Final = 0x7FFFFF


class Compiled:
    """What the kernels need to know of a block format."""

    def __init__(self, codec: BlockCodec) -> None:
        self.codec, self.record, self.element = codec, codec.record, codec.record.element
        self.grid = codec.reference.element

    @cached_property
    def usual(self) -> bool:
        """Whether rounding and signs are those of the kernels."""
        policy, record = self.codec.policy, self.record
        plain = policy.rounding == "nearest-even" and policy.nan in ("code", "error") and policy.blocks == "exact"
        whole = isinstance(self.element, IntegerFormat) and self.element.bits <= 16 and self.element.signed
        return plain and not record.zero_point and not record.scale_length and (whole or self.float)

    @cached_property
    def float(self) -> bool:
        """Whether elements are floats that the kernels round."""
        record = self.element
        return (
            isinstance(record, FloatFormat)
            and record.subnormals
            and record.signed
            and record.nan != "fnuz"
            and record.bits <= 8
            and 0 < record.mantissa_bits < 22
            and self.codec.policy.zero == "keep"
        )

    @cached_property
    def shared(self) -> bool:
        """Whether the scale is E8M0 by a rule of OCP MX."""
        scale = self.record.scale
        bare = isinstance(scale, FloatFormat) and (scale.exponent_bits, scale.mantissa_bits) == (8, 0)
        bare = bare and isinstance(scale, FloatFormat) and scale.bias == 127 and not scale.zero
        return self.usual and self.codec.reference.shared and bare

    @cached_property
    def divided(self) -> bool:
        """Whether elements are integers that a scale of any other rule divides."""
        whole = isinstance(self.element, IntegerFormat) and self.element.fraction_bits == 0
        rule = self.record.scale_rule == "absmax" and self.record.scale.bits <= 32
        return self.usual and whole and rule

    @cached_property
    def places(self) -> tuple[Any, ...]:
        """Threshold of the fraction, and floor(log2) of the largest element."""
        top = np.float32(float(self.grid.largest)).view(np.uint32)
        match self.record.scale_rule:
            case "ceil":
                threshold = 0
            case "even":
                threshold = (1 << 23) - (1 << 22 - blocks.mantissa_bits(self.element, self.grid)) - 1
            case "rceil":
                threshold = int(top) & _NEVER
            case _:
                threshold = _NEVER
        return np.uint32(threshold), np.int32((int(top) >> 23) - 127)

    @cached_property
    def fields(self) -> tuple[Any, ...]:
        """Of a float: lowest exponent, and 23 - mantissa bits; of an integer: exponent of the quantum, ends."""
        record = self.element
        if isinstance(record, FloatFormat):
            return np.int32(1 - record.bias), np.int32(23 - record.mantissa_bits)
        assert isinstance(record, IntegerFormat)
        unit = 2**record.fraction_bits
        ends = np.float32(self.grid.smallest * unit), np.float32(self.grid.largest * unit)
        return np.int32(-record.fraction_bits), *ends

    def amax(self, x: Floats, length: int) -> NDArray[np.float32]:
        """Largest magnitudes of blocks; NaN where there is one."""
        bits = np.empty((x.shape[0], tiles.count(x.shape[1], length)), dtype=np.uint32)
        jit.compiled(block_kernels.largest)(x.reshape(-1), *x.shape, bits, length)
        return bits.view(np.float32)


def _applies(codec: BlockCodec, x: Floats) -> Compiled | None:
    if x.dtype != np.float32 or not x.size or not jit.enabled():
        return None
    return codec.compiled if codec.compiled.shared or codec.compiled.divided else None


def encode(codec: BlockCodec, x: Floats) -> Parts | None:
    """Codes and scales of rows, where a kernel gives them."""
    how = _applies(codec, x)
    if how is None:
        return None
    if how.divided:
        return _divided(how, x)
    shape = codec.record.granularity == "tensor"
    flat = x.reshape(1, -1) if shape else x
    length = codec.record.length or flat.shape[1]
    codes = np.empty(flat.shape, dtype=codec.code_dtype)
    scales = np.empty((flat.shape[0], tiles.count(flat.shape[1], length)), dtype=codec.rules.scale.code_dtype)
    left = np.zeros(scales.shape, dtype=np.uint8)
    if how.float:
        last = np.uint32(codec.reference.element.code(codec.reference.element.largest)), np.uint32(codec.bits - 1)
        kernel = jit.compiled(block_kernels.encode_float)
    else:
        last = (np.int32((1 << codec.bits) - 1),)  # type: ignore[assignment]
        kernel = jit.compiled(block_kernels.encode_integer)
    kernel(flat.reshape(-1), *flat.shape, codes.reshape(-1), scales, left, length, *how.places, *how.fields, *last)

    def redo(r: NDArray[Any], b: int | NDArray[Any], columns: NDArray[Any]) -> None:
        made = codec.plain_rows(flat[r[:, None], columns])
        assert made.scales is not None
        codes[r[:, None], columns] = made.codes
        scales[r, b] = made.scales[:, 0]

    _finish(left, length, flat.shape[1], redo)
    return Parts(codes.reshape(x.shape), scales[0, 0].reshape(()) if shape else scales)


def quantize(codec: BlockCodec, x: Floats, out: Floats) -> bool:
    """Write the values that rows round to, where a kernel gives them."""
    how = _applies(codec, x)
    if how is None or out.dtype != np.float32:
        return False
    if codec.policy.nan == "error":
        tiles.refuse_nan(x, codec.record.name)
    tensor = codec.record.granularity == "tensor"
    flat, target = (x.reshape(1, -1), out.reshape(1, -1)) if tensor else (x, out)
    length = codec.record.length or flat.shape[1]
    if how.divided:
        scales = _singles(codec.rules.values(codec.rules.codes_of(how.amax(flat, length))))
        if scales is None:
            return False
        kernel = jit.compiled(block_kernels.divide_integer)
        kernel(flat.reshape(-1), *flat.shape, scales, target.reshape(-1), length, *how.fields[1:])
        return True
    left = np.zeros((flat.shape[0], tiles.count(flat.shape[1], length)), dtype=np.uint8)
    if how.float:
        top = (np.float32(float(codec.reference.element.largest)),)
        kernel = jit.compiled(block_kernels.quantize_float)
    else:
        top, kernel = (), jit.compiled(block_kernels.quantize_integer)  # type: ignore[assignment]
    kernel(flat.reshape(-1), *flat.shape, target.reshape(-1), left, length, *how.places, *how.fields, *top)

    def redo(r: NDArray[Any], b: int | NDArray[Any], columns: NDArray[Any]) -> None:
        picked = np.ascontiguousarray(flat[r[:, None], columns])
        made = np.empty_like(picked)
        codec.write(codec.plain_rows(picked), made)
        target[r[:, None], columns] = made

    _finish(left, length, flat.shape[1], redo)
    return True


def _singles(scales: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """Scales as float32, if they are."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        near = scales.astype(np.float32)
    return near if np.array_equal(near, scales, equal_nan=True) else None


def _divided(how: Compiled, x: Floats) -> Parts | None:
    codec = how.codec
    tensor = codec.record.granularity == "tensor"
    flat = x.reshape(1, -1) if tensor else x
    length = codec.record.length or flat.shape[1]
    scales = codec.rules.codes_of(how.amax(flat, length))
    values = _singles(codec.rules.values(scales))
    if values is None:
        return None
    codes = np.empty(flat.shape, dtype=codec.code_dtype)
    low, high = how.fields[1:]
    kernel = jit.compiled(block_kernels.divide_integer_codes)
    mask = np.int32((1 << codec.bits) - 1)
    kernel(
        flat.reshape(-1),
        *flat.shape,
        values,
        codes.reshape(-1),
        length,
        low,
        high,
        mask,
    )
    return Parts(codes.reshape(x.shape), scales[0, 0].reshape(()) if tensor else scales)


def _finish(left: NDArray[Any], length: int, n: int, redo: Callable[..., None]) -> None:
    """Do what the kernel left, blocks as rows: whole ones together, then short ones at the end."""
    if not left.any():
        return
    rows, at = np.nonzero(left)
    short = (at + 1) * length > n
    for these in (~short, short):
        if these.any():
            width = min(length, n - int(at[these].min()) * length) if these is short else length
            redo(rows[these], at[these], at[these][:, None] * length + np.arange(width))
