"""One line of a benchmark's result, and how to take a time that another process on the machine does not spoil."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple


class Row(NamedTuple):
    """What was measured, beside what is hoped for.

    Attributes:
        name: what was measured, for example `import accelsim`.
        value: the figure: a ratio, a count or CPU seconds.
        unit: its unit, for example `s CPU`, `events`, `evaluations/s` or `x`.
        target: the figure to reach, or None if it is only for comparison.
        better: whether the target is a ceiling ("lower") or a floor ("higher").
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without a target."""
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


def cpu_seconds(action: Callable[[], object], repeats: int = 3) -> float:
    """Least CPU time of this process over `repeats` calls [s]: other processes can only add to it."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
    return best
