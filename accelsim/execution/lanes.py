"""Element-wise arithmetic and reductions of a vector unit: every single operation is rounded to its width.

Sums, products, quotients and square roots of IEEE 754 are the same everywhere; functions are those of
`accelsim.numerics.functions`. Nothing is contracted into fused operations. Half-precision results are rounded from
fp32, which has more than twice their digits, so that rounding twice changes nothing (Figueroa, When is double rounding
innocuous?, 1995).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError, did_you_mean
from accelsim.execution import sums
from accelsim.numerics import functions
from accelsim.numerics.format import DataFormat
from accelsim.spec.format.names import from_name

Array = NDArray[Any]

WIDTHS: Final = ("fp64", "fp32", "fp16", "bf16")
_GELU_SCALE: Final = 0.7978845608028654  # sqrt(2 / pi), to float64
_GELU_CUBE: Final = 0.044715
_HALF_ROOT: Final = 0.7071067811865476  # sqrt(1 / 2)


@dataclass(frozen=True)
class Lanes:
    """A vector unit.

    Attributes:
        width: type of every result.
        exact: reductions are exact and rounded once to fp32, instead of in sequence at the width; only with fp32.
    """

    width: str = "fp32"
    exact: bool = False

    def __post_init__(self) -> None:
        if self.width not in WIDTHS:
            near = did_you_mean(self.width, WIDTHS)
            raise RequestError(f"a vector unit of {self.width!r}: allowed are {', '.join(WIDTHS)}{near}")
        if self.exact and self.width != "fp32":
            raise RequestError(f"exact reductions are rounded to fp32, not to {self.width}")

    @property
    def dtype(self) -> type[np.float32 | np.float64]:
        """The type of arrays between operators."""
        return np.float64 if self.width == "fp64" else np.float32

    @cached_property
    def _narrow(self) -> DataFormat | None:
        return DataFormat(from_name(self.width)) if self.width in ("fp16", "bf16") else None

    def round(self, x: Array) -> Array:
        """Numbers at the width."""
        made = np.asarray(x, dtype=self.dtype)
        return made if self._narrow is None else np.asarray(self._narrow.quantize(made))

    def number(self, x: float) -> Any:
        """A constant at the width."""
        return self.round(np.asarray(x))[()]

    # one operation each

    def add(self, x: Array, y: Array) -> Array:
        """X + y."""
        return self.round(x + y)

    def subtract(self, x: Array, y: Array) -> Array:
        """X - y."""
        return self.round(x - y)

    def multiply(self, x: Array, y: Array) -> Array:
        """X y."""
        return self.round(x * y)

    def divide(self, x: Array, y: Array) -> Array:
        """X / y."""
        return self.round(x / y)

    def exp(self, x: Array) -> Array:
        """E^x."""
        return self.round(functions.exp(x))

    def rsqrt(self, x: Array) -> Array:
        """1 / sqrt(x)."""
        return self.round(functions.rsqrt(x))

    # reductions over the last axis

    def sum(self, x: Array) -> Array:
        """Sums along the last axis, in increasing index."""
        if self.exact:
            return sums.rows_exactly(np.asarray(x, dtype=np.float64), np.ones(x.shape[-1]))
        return self._running(x)

    def dot(self, x: Array, y: Array) -> Array:
        """Sums of products along the last axis, each product rounded first unless reductions are exact."""
        if self.exact:
            return sums.rows_exactly(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        return self._running(self.multiply(x, y))

    def _running(self, x: Array) -> Array:
        flat = np.ascontiguousarray(np.moveaxis(x, -1, 0))
        made = np.zeros(flat.shape[1:], dtype=self.dtype)
        for term in flat:
            made = self.add(made, term)
        return made

    # functions of the model

    def silu(self, x: Array) -> Array:
        """X / (1 + exp(-x))."""
        return self.divide(x, self.add(self.number(1.0), self.exp(-x)))

    def sigmoid(self, x: Array) -> Array:
        """1 / (1 + exp(-x))."""
        one = self.number(1.0)
        return self.divide(one, self.add(one, self.exp(-x)))

    def gelu(self, x: Array) -> Array:
        """The tanh form: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
        cube = self.multiply(self.multiply(x, x), x)
        inner = self.add(x, self.multiply(self.number(_GELU_CUBE), cube))
        bend = self.round(functions.tanh(self.multiply(self.number(_GELU_SCALE), inner)))
        return self._gated(x, bend)

    def gelu_exact(self, x: Array) -> Array:
        """X / 2 (1 + erf(x / sqrt 2))."""
        return self._gated(x, self.round(functions.erf(self.multiply(x, self.number(_HALF_ROOT)))))

    def _gated(self, x: Array, bend: Array) -> Array:
        return self.multiply(self.multiply(self.number(0.5), x), self.add(self.number(1.0), bend))

    def relu(self, x: Array) -> Array:
        """The positive part."""
        return np.maximum(x, self.dtype(0))

    def relu2(self, x: Array) -> Array:
        """The positive part, squared."""
        part = self.relu(x)
        return self.multiply(part, part)

    def identity(self, x: Array) -> Array:
        """X."""
        return x

    # parts of operators

    def spread(self, x: Array, kind: str, epsilon: float) -> tuple[Array, Array]:
        """The statistics of RMSNorm or LayerNorm: [..., width] less its mean for "layer", and [...] 1 / its deviation.

        The latter is 0, or no number, where the sum of the squares is beyond the range of the width.
        """
        count, small = self.number(float(x.shape[-1])), self.number(epsilon)
        if kind == "layer":
            x = self.subtract(x, self.divide(self.sum(x), count)[..., None])
        return x, self.rsqrt(self.add(self.divide(self.dot(x, x), count), small))

    def norm(self, spread: tuple[Array, Array], weight: Array, bias: Array | None) -> Array:
        """RMSNorm or LayerNorm of the last axis from its statistics: scaled, times the weight, plus the bias."""
        x, scale = spread
        made = self.multiply(self.multiply(x, scale[..., None]), weight)
        return made if bias is None else self.add(made, bias)

    def softmax(self, x: Array, seen: Array) -> Array:
        """Softmax of the last axis over what is `seen`; the rest is 0, and skipped in the sums."""
        highest = np.max(np.where(seen, x, -np.inf), axis=-1, keepdims=True)
        powers = np.zeros_like(x)
        powers[seen] = self.exp(self.subtract(x, highest)[seen])
        return self.divide(powers, self.sum(powers)[..., None])
