"""What the exact reference of a format with scales offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.grid import Exact


@dataclass(frozen=True, slots=True)
class ExactParts:
    """An encoded tensor as rows of integers; see `accelsim.numerics.fast.scaled.Parts`."""

    codes: list[list[int]]
    scales: list[list[int]] | int | None = None
    tensor_scale: Exact | None = None
    indices: list[list[int]] | int | None = None


class ScaledReference(ABC):
    """Conversion of rows of exact numbers, elements that share scales lying along a row."""

    @abstractmethod
    def encode(self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None) -> ExactParts:
        """Codes and scales of rows, by the definition of the format."""

    @abstractmethod
    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The exact values of parts."""
