"""What a format can calculate: the methods of a data format that take two operands or more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from accelsim.numerics.accumulator import AnyAccumulator
    from accelsim.numerics.arithmetic.product import Product
    from accelsim.numerics.encoded import Encoded
    from accelsim.numerics.format import DataFormat


class Operations:
    """Arithmetic on numbers, which are rounded to the format first, or on what `encode` gave."""

    __slots__ = ()

    def matmul(
        self,
        a: ArrayLike | Encoded,
        b: ArrayLike | Encoded,
        *,
        other: DataFormat | str | None = None,
        accumulator: str | AnyAccumulator = "exact",
        out: DataFormat | str = "fp32",
        c: ArrayLike | None = None,
        requantize: bool = False,
    ) -> Product:
        """C + a b with a stated accumulator; `accelsim.numerics.arithmetic.product.matmul` says exactly what is added.

        Args:
            a: [..., m, k]; blocks lie along k.
            b: [..., k, n]; blocks lie along k.
            other: format of b, if it is another one; as `out`.
            accumulator: a name such as `exact`, `fp32`, `e8m13-truncate`, `quire8` or `hopper-fp8`, or a record.
            out: format of the result, by itself or by a name that needs no file.
            c: numbers to start from, [..., m, n].
            requantize: whether an `Encoded` with blocks along another axis is rounded again, and not an error.

        Returns:
            The values, and the accumulator that was used.

        Raises:
            RequestError: shapes or axes that do not fit, or terms that the accumulator refuses.
            UnknownNameError: no such accumulator or format.
        """
        from accelsim.numerics import arithmetic

        left = arithmetic.operand(a, self._format, -1, requantize=requantize)
        right = arithmetic.operand(b, other or self._format, -2, requantize=requantize)
        return arithmetic.matmul(left, right, accumulator=accumulator, out=out, c=c)

    def dot(
        self,
        a: ArrayLike | Encoded,
        b: ArrayLike | Encoded,
        *,
        other: DataFormat | str | None = None,
        accumulator: str | AnyAccumulator = "exact",
        out: DataFormat | str = "fp32",
        c: ArrayLike | None = None,
        requantize: bool = False,
    ) -> Product:
        """As `matmul`, for [..., k] and [..., k]; the result has the leading dimensions."""
        from accelsim.numerics import arithmetic, arrays

        start = None if c is None else arrays.take(c).values[..., None, None]
        made = self.matmul(
            arithmetic.row(a), arithmetic.column(b), other=other, accumulator=accumulator, out=out, c=start,
            requantize=requantize,
        )  # fmt: skip
        return arithmetic.Product(made.values[..., 0, 0], made.accumulator)

    def add(
        self, x: ArrayLike | Encoded, y: ArrayLike | Encoded, *, other: DataFormat | str | None = None,
        out: DataFormat | str | None = None,
    ) -> Any:  # fmt: skip
        """X + y, rounded once.

        Args:
            x: of this format.
            y: of this format or the `other`; broadcasts with x.
            other: format of y.
            out: format of the result; by default this one.

        Returns:
            Values, float32 or float64, whichever holds them.

        Raises:
            RequestError: shapes that do not broadcast, or NaN where the result's format has none.
        """
        from accelsim.numerics import arithmetic

        form = self._format
        return arithmetic.fused_sum(
            arithmetic.numbers(x, form), None, arithmetic.numbers(y, other or form), out or form
        )

    def mul(
        self, x: ArrayLike | Encoded, y: ArrayLike | Encoded, *, other: DataFormat | str | None = None,
        out: DataFormat | str | None = None,
    ) -> Any:  # fmt: skip
        """X y, rounded once; see `add`."""
        from accelsim.numerics import arithmetic

        form = self._format
        return arithmetic.fused_sum(
            arithmetic.numbers(x, form), arithmetic.numbers(y, other or form), None, out or form
        )

    def fma(
        self, x: ArrayLike | Encoded, y: ArrayLike | Encoded, z: ArrayLike | Encoded, *,
        other: DataFormat | str | None = None, out: DataFormat | str | None = None,
    ) -> Any:  # fmt: skip
        """X y + z, rounded once; y is of the `other` format, z of this one. See `add`."""
        from accelsim.numerics import arithmetic

        form = self._format
        return arithmetic.fused_sum(
            arithmetic.numbers(x, form), arithmetic.numbers(y, other or form), arithmetic.numbers(z, form), out or form
        )

    @property
    def _format(self: Self) -> DataFormat:
        from accelsim.numerics.format import DataFormat

        assert isinstance(self, DataFormat)
        return self
