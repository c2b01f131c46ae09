"""AdaptivFloat: the bias follows the largest magnitude of the tensor. Tambe et al., DAC 2020."""

from __future__ import annotations

from fractions import Fraction

from accelsim.numerics.reference.float import FloatGrid, exponent
from accelsim.numerics.reference.grid import Grid
from accelsim.numerics.reference.tuned import TunedReference
from accelsim.spec.format import AdaptivFloatFormat

_LOWEST, _HIGHEST = -1074, 1000


def build(record: AdaptivFloatFormat) -> Grid | AdaptivFloatReference:
    """The grid of a fixed bias, or the reference that chooses one."""
    reference = AdaptivFloatReference(record)
    return reference if record.exponent_bias is None else reference.grid(record.exponent_bias)


class AdaptivFloatReference(TunedReference):
    """Half the smallest magnitude is a tie and becomes zero, which the authors' script leaves as it is."""

    def __init__(self, record: AdaptivFloatFormat) -> None:
        self.record, self.name = record, record.name
        self._top = (1 << record.exponent_bits) - 1
        self.lowest, self.highest = _LOWEST + record.mantissa_bits, min(_HIGHEST, 1023 - self._top)

    def grid(self, bias: int) -> Grid:
        """A float whose lowest binade begins at 2^bias, the code of 2^bias itself being zero."""
        return FloatGrid(self.record.as_float(bias))

    def exponent_of(self, bias: int) -> int:
        """The bias."""
        return bias

    def choose(self, largest: Fraction) -> int:
        """floor(log2 largest) - (2^exponent_bits - 1), as far as binary64 goes."""
        return max(self.lowest, min(exponent(largest) - self._top, self.highest)) if largest else 0
