"""How well constants fit what they were fitted to, and what they were not."""

from __future__ import annotations

from accelsim.spec.base import Count, Record, Sourced


class Errors(Record):
    """Absolute relative errors of a fit, as fractions, and ours over measured for the sum of all times."""

    rows: Count
    mean: float
    median: float
    p90: float
    total: float


class Fit(Sourced):
    """Where constants come from: the rows that they were fitted to, and those that they were not.

    Attributes:
        device: name of the chip in the data set.
        kernel: class of kernels there, such as bfloat16.
        fit: errors on the rows that the constants were fitted to.
        held: errors on rows of the same table that they were not.
    """

    device: str
    kernel: str
    fit: Errors
    held: Errors
