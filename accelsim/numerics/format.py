"""A number format that converts arrays: what `accelsim.dataformat` gives."""

from __future__ import annotations

from numbers import Real
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from accelsim.errors import RequestError, did_you_mean
from accelsim.numerics import arrays, registry
from accelsim.numerics.encoded import Encoded
from accelsim.numerics.fast import tiles
from accelsim.numerics.fast.codec import Draws, ElementCodec
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.operations import Operations
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.random import draws
from accelsim.spec.format import Format

_MOST_VALUES_BITS = 16


class DataFormat(Operations):
    """A format under a policy; immutable, and without any state that depends on data.

    A format that owns no scale (`record.scaled` is false) gives plain arrays of unsigned codes, all others an
    `Encoded`. Arrays may be float16, bfloat16 (by name), float32, float64 or integers that float64 holds; of any
    shape, order and byte order. Inputs are never modified. Masked elements are converted as 0 and stay masked.

    Attributes:
        record: its description.
        policy: complete, nothing left to a default.
    """

    __slots__ = ("_codec", "policy", "record")

    record: Format
    policy: Policy
    _codec: ElementCodec | ScaledCodec

    def __init__(self, record: Format, policy: Policy | str | None = None) -> None:
        codec = registry.codec(record, policy)
        for name, value in (("record", record), ("_codec", codec), ("policy", codec.policy)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a format is immutable: make another one with dataformat({self.name!r}, {name}=...)")

    def __repr__(self) -> str:
        return f"dataformat({self.name!r}, policy={self.policy})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataFormat) and (self.record, self.policy) == (other.record, other.policy)

    def __hash__(self) -> int:
        return hash((self.record, self.policy))

    def __reduce__(self) -> tuple[type[DataFormat], tuple[Format, Policy]]:
        return DataFormat, (self.record, self.policy)

    @property
    def name(self) -> str:
        """The name of its description."""
        return self.record.name

    @property
    def bits(self) -> int:
        """Bits of one element's code."""
        return self.record.bits

    @property
    def bits_per_element(self) -> float:
        """Bits stored per element of a long tensor."""
        return self.record.bits_per_element

    @property
    def values(self) -> NDArray[np.float64]:
        """The finite values of an element that are ever written, ascending; one zero.

        Raises:
            RequestError: more than 16 bits.
        """
        record = getattr(self.record, "element", self.record)
        if record.bits > _MOST_VALUES_BITS:
            raise RequestError(
                f"{record.name} has 2^{record.bits} codes: values are listed up to {_MOST_VALUES_BITS} bits"
            )
        grid = registry.grid(record)
        decoded = registry.element_codec(record).decoded
        inside = (decoded >= float(grid.smallest)) & (decoded <= float(grid.largest))
        return np.unique(decoded[inside] + 0.0)

    # elements

    def encode(
        self,
        x: ArrayLike,
        *,
        axis: int = -1,
        out: NDArray[Any] | None = None,
        random: ArrayLike | None = None,
        **settings: float,
    ) -> Any:
        """The codes of an array.

        Args:
            x: numbers of any shape.
            axis: along which elements share scales.
            out: array for the codes, of x's shape and the smallest unsigned dtype.
            random: integers below 2^bits for stochastic rounding, of x's shape, in place of its own.
            settings: what would be chosen from the data, such as `tensor_scale` or `bias`.

        Returns:
            Unsigned codes in x's shape, or an `Encoded` for a format that owns scales.

        Raises:
            RequestError: NaN where the format has none (with count and first place), a wrong axis or array.
        """
        taken = arrays.take(x)
        shape = taken.values.shape
        source = self._draws(shape, random)
        if isinstance(self._codec, ScaledCodec):
            at = self._axis(axis, len(shape))
            try:
                parts = self._codec.encode(_rows(taken.values, at), source, **self._settings(settings))
            except tiles.RefusedNanError:
                self._refuse_nan(taken.values)
            return self._encoded(parts, at, shape, out)
        self._settings(settings)
        self._axis(axis, max(len(shape), 1))
        target = arrays.result(out, shape, self._codec.code_dtype)
        made = target if arrays.direct(target, self._codec.code_dtype) else np.empty(shape, self._codec.code_dtype)
        if self._codec.encode(taken.values.reshape(-1), made.reshape(-1), source):
            self._refuse_nan(taken.values)
        return arrays.finish(made, target, taken.mask)

    def decode(
        self, codes: ArrayLike | Encoded, dtype: DTypeLike | None = None, *, out: NDArray[Any] | None = None
    ) -> Any:
        """The values of codes.

        Args:
            codes: of any integer dtype, or an `Encoded`.
            dtype: float32 or float64; by default the narrower that holds every value of the format.
            out: array for the values.

        Raises:
            RequestError: codes outside of the code space, an `Encoded` of another format, another dtype.
        """
        wanted = self._float(dtype)
        if isinstance(self._codec, ScaledCodec):
            encoded = self._own(codes)
            target = arrays.result(out, encoded.shape, wanted)
            rows = _row_shape(encoded.shape, encoded.axis)
            made = _as_rows(target, rows, encoded.axis, wanted)
            if made is not None:
                self._codec.decode(self._parts(encoded), made)
                return target
            made = np.empty(rows, dtype=wanted)
            self._codec.decode(self._parts(encoded), made)
            target[...] = _unrows(made, encoded.shape, encoded.axis)
            return target
        if isinstance(codes, Encoded):
            raise RequestError(f"{self.name} owns no scales and reads plain codes: decode with encoded.format")
        mask = np.ma.getmaskarray(codes) if isinstance(codes, np.ma.MaskedArray) else None
        plain = arrays.take_codes(codes.filled(0) if isinstance(codes, np.ma.MaskedArray) else codes, self.bits)
        target = arrays.result(out, plain.shape, wanted)
        made = target if arrays.direct(target, wanted) else np.empty(plain.shape, wanted)
        self._codec.decode(plain.reshape(-1), made.reshape(-1))
        return arrays.finish(made, target, mask)

    def quantize(
        self,
        x: ArrayLike,
        *,
        axis: int = -1,
        out: NDArray[Any] | None = None,
        random: ArrayLike | None = None,
        **settings: float,
    ) -> Any:
        """The values that numbers round to: decode(encode(x)) in x's dtype, by a faster way.

        bfloat16 gives float32, integers give float64. `out` may be x itself. See `encode` for the arguments.

        Raises:
            RequestError: as `encode`.
        """
        taken = arrays.take(x)
        values, shape = taken.values, taken.values.shape
        source = self._draws(shape, random)
        target = arrays.result(out, shape, taken.dtype)
        if isinstance(self._codec, ScaledCodec):
            at = self._axis(axis, len(shape))
            rows = _rows(values, at)
            direct = None if np.may_share_memory(target, values) else _as_rows(target, rows.shape, at, rows.dtype)
            made = np.empty_like(rows) if direct is None else direct
            try:
                self._codec.quantize(rows, made, source, **self._settings(settings))
            except tiles.RefusedNanError:
                self._refuse_nan(values)
            return arrays.finish(target if made is direct else _unrows(made, shape, at), target, taken.mask)
        self._settings(settings)
        self._axis(axis, max(len(shape), 1))
        fits = arrays.direct(target, values.dtype)
        fits = fits and (target is x or not np.may_share_memory(target, values))
        written = target if fits else np.empty_like(values)
        if self.policy.nan == "error" and target is x and np.isnan(values).any():
            self._refuse_nan(values)  # before x is gone
        if self._codec.quantize(values.reshape(-1), written.reshape(-1), source):
            self._refuse_nan(values)
        return arrays.finish(written, target, taken.mask)

    # bytes

    def pack(self, codes: ArrayLike | Encoded) -> bytes:
        """Codes, and scales where there are any, as they lie in memory.

        Raises:
            RequestError: codes outside of the code space, or an `Encoded` of another format.
        """
        if isinstance(self._codec, ScaledCodec):
            return self._codec.pack(self._parts(self._own(codes)))
        if isinstance(codes, Encoded):
            raise RequestError(f"{self.name} owns no scales and packs plain codes")
        return self._codec.pack(arrays.take_codes(codes, self.bits).reshape(-1))

    def unpack(self, data: bytes, shape: int | tuple[int, ...], axis: int = -1) -> Any:
        """The codes (or `Encoded`) of packed bytes.

        Args:
            data: as `pack` gives them.
            shape: of the tensor.
            axis: along which elements share scales.

        Raises:
            RequestError: not `storage_bytes(shape, axis)` bytes.
        """
        shape = arrays.take_shape(shape)
        wanted = self.storage_bytes(shape, axis)
        data = arrays.take_bytes(data)
        if len(data) != wanted:
            raise RequestError(f"{self.name} of shape {shape} takes {wanted} bytes, got {len(data)}")
        if isinstance(self._codec, ScaledCodec):
            at = self._axis(axis, len(shape))
            rows, n = _row_shape(shape, at)
            return self._encoded(self._codec.unpack(data, rows, n), at, shape, None)
        return self._codec.unpack(data, int(np.prod(shape, dtype=np.int64))).reshape(shape)

    def storage_bytes(self, shape: int | tuple[int, ...], axis: int = -1) -> int:
        """Bytes of a packed tensor, scales, indices and tails included."""
        shape = arrays.take_shape(shape)
        at = self._axis(axis, max(len(shape), 1))
        if isinstance(self._codec, ScaledCodec):
            return self._codec.storage_bytes(*_row_shape(shape, at))
        return self._codec.storage_bytes(int(np.prod(shape, dtype=np.int64)))

    # parts

    def _float(self, dtype: DTypeLike | None) -> np.dtype[Any]:
        if dtype is None:
            return np.dtype(np.float64 if self._codec.wide else np.float32)
        try:
            wanted = np.dtype(dtype)
        except TypeError:
            raise RequestError(f"decode(dtype={dtype!r}): float32 or float64") from None
        if wanted not in (np.float32, np.float64):
            raise RequestError(f"decode(dtype={wanted}): float32 or float64; convert the result for others")
        return wanted

    def _axis(self, axis: int, ndim: int) -> int:
        given: Any = axis
        whole = isinstance(given, (int, np.integer)) and type(given) is not bool
        if not whole or not -max(ndim, 1) <= axis < max(ndim, 1):
            raise RequestError(f"axis = {axis!r} does not exist: the array has {ndim} axes")
        return int(axis) % max(ndim, 1)

    def _settings(self, settings: dict[str, float]) -> dict[str, float]:
        known = self._codec.settings if isinstance(self._codec, ScaledCodec) else ()
        for name, value in settings.items():
            if name not in known:
                takes = f"takes {', '.join(known)}" if known else "takes no such settings: it owns no scale"
                raise RequestError(f"unknown keyword {name!r}{did_you_mean(name, known)}; {self.name} {takes}")
            given: Any = value
            if type(given) is bool or not isinstance(given, Real):
                raise RequestError(f"{name} = {value!r}: must be a number")
        return settings

    def _draws(self, shape: tuple[int, ...], random: ArrayLike | None) -> Draws | None:
        rounding = self.policy.rounding
        if not isinstance(rounding, Stochastic):
            if random is not None:
                raise RequestError(f"random= is for stochastic rounding; {self.name} rounds {rounding}")
            return None
        bits, seed = rounding.bits, rounding.seed
        if random is None:
            return lambda first, count: draws(seed, first, count, bits)
        given = np.asarray(random)
        if given.shape != shape:
            raise RequestError(f"random has shape {given.shape}, the array {shape}")
        wide = arrays.take_codes(given, bits).reshape(-1).astype(np.uint64)
        return lambda first, count: wide[first : first + count]

    def _refuse_nan(self, values: NDArray[Any]) -> NoReturn:
        isnan = np.isnan(values)
        first = tuple(map(int, np.unravel_index(int(np.argmax(isnan)), values.shape)))
        count = int(isnan.sum())
        raise RequestError(
            f"{count} NaN, the first at {first}: {self.name} has no code for it; "
            'try policy=Policy(nan="zero") or Policy(nan="max")'
        )

    def _own(self, codes: ArrayLike | Encoded) -> Encoded:
        if not isinstance(codes, Encoded):
            raise RequestError(
                f"{self.name} owns scales: give the Encoded that encode or unpack returned, not codes alone"
            )
        if codes.format.record != self.record:
            raise RequestError(f"this was encoded as {codes.format.name}, not as {self.name}")
        return codes

    def _encoded(self, parts: Parts, axis: int, shape: tuple[int, ...], out: NDArray[Any] | None) -> Encoded:
        codes = _unrows(parts.codes, shape, axis)
        if out is not None:
            target = arrays.result(out, shape, codes.dtype)
            target[...] = codes
            codes = target
        return Encoded(
            codes=codes,
            scales=parts.scales if self._of_tensor else _unrows_blocks(parts.scales, shape, axis),
            tensor_scale=parts.tensor_scale,
            mask_or_indices=_unrows_blocks(parts.indices, shape, axis),
            axis=axis,
            shape=shape,
            format=self,
            policy=self.policy,
        )

    def _parts(self, encoded: Encoded) -> Parts:
        return Parts(
            codes=_rows(arrays.take_codes(encoded.codes, self._codec.bits), encoded.axis),
            scales=encoded.scales if self._of_tensor else _rows_blocks(encoded.scales, encoded.axis),
            tensor_scale=encoded.tensor_scale,
            indices=_rows_blocks(encoded.mask_or_indices, encoded.axis),
        )

    @property
    def _of_tensor(self) -> bool:
        return isinstance(self._codec, ScaledCodec) and self._codec.of_tensor


def _row_shape(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    n = shape[axis] if shape else 1
    others = shape[:axis] + shape[axis + 1 :]
    return int(np.prod(others, dtype=np.int64)), n


def _rows(array: NDArray[Any], axis: int) -> NDArray[Any]:
    """[rows, n] with the axis last, contiguous."""
    moved = np.moveaxis(array, axis, -1) if array.ndim else array.reshape(1)
    return np.ascontiguousarray(moved).reshape(_row_shape(array.shape, axis))


def _as_rows(target: NDArray[Any], rows: tuple[int, ...], axis: int, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """The memory of a result as [rows, n]; None where it lies otherwise."""
    last = axis == max(target.ndim, 1) - 1
    return target.reshape(rows) if last and arrays.direct(target, dtype) else None


def _unrows(rows: NDArray[Any], shape: tuple[int, ...], axis: int) -> NDArray[Any]:
    """The tensor of rows."""
    if not shape:
        return rows.reshape(())
    moved = shape[:axis] + shape[axis + 1 :] + (rows.shape[-1],)
    return np.ascontiguousarray(np.moveaxis(rows.reshape(moved), -1, axis))


def _rows_blocks(array: NDArray[Any] | None, axis: int) -> NDArray[Any] | None:
    return array if array is None or array.ndim == 0 else _rows(array, axis)


def _unrows_blocks(rows: NDArray[Any] | None, shape: tuple[int, ...], axis: int) -> NDArray[Any] | None:
    if rows is None or rows.ndim == 0:
        return rows
    return _unrows(rows, shape, axis) if shape else rows.reshape(rows.shape[-1:])
