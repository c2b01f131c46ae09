"""Formats with one bias for a tensor, chosen from its data or given, and otherwise the grid of a float."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from fractions import Fraction

from accelsim.errors import RequestError
from accelsim.numerics.policy import Overflow, Policy, policy_of
from accelsim.numerics.reference.grid import Exact, Grid, encode
from accelsim.numerics.reference.scaled import ExactParts, ScaledReference


class TunedReference(ScaledReference):
    """The bias travels as the tensor scale; grids of all biases are one grid times powers of two.

    Attributes:
        name: of the format.
        lowest, highest: biases that there are.
        has_infinity, has_nan, has_negative_zero, default_overflow: what a policy may ask for.
    """

    name: str
    lowest: int
    highest: int
    has_infinity = False
    has_nan = False
    has_negative_zero = True
    default_overflow: Overflow = "saturate"

    @abstractmethod
    def grid(self, bias: int) -> Grid:
        """The values with a bias."""

    @abstractmethod
    def exponent_of(self, bias: int) -> int:
        """By which power of two the values with a bias are those with the bias 0."""

    @abstractmethod
    def choose(self, largest: Fraction) -> int:
        """The bias for the largest finite magnitude of a tensor, 0 for a tensor of zeros."""

    def checked(self, bias: float) -> int:
        """A bias that was given.

        Raises:
            RequestError: not whole, or out of range.
        """
        if bias != int(bias) or not self.lowest <= bias <= self.highest:
            raise RequestError(f"bias={bias}: {self.name} takes a whole number from {self.lowest} to {self.highest}")
        return int(bias)

    def encode(
        self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None, bias: int | None = None
    ) -> ExactParts:
        """Codes, and the bias as the tensor scale."""
        complete = policy_of(policy, self, self.name)
        finite = [abs(x) for row in rows for x in row if isinstance(x, Fraction)]
        bias = self.choose(max(finite, default=Fraction(0))) if bias is None else self.checked(bias)
        grid = self.grid(bias)
        return ExactParts([[encode(grid, x, complete) for x in row] for row in rows], None, Fraction(bias), None)

    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The values of codes under the bias."""
        if not isinstance(parts.tensor_scale, Fraction):
            raise RequestError(f"{self.name} needs its bias as the tensor scale")
        grid = self.grid(int(parts.tensor_scale))
        return [[grid.value(code) for code in row] for row in parts.codes]
