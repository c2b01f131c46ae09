"""What somebody has printed about a part that computes in memory, beside which ours is shown."""

from __future__ import annotations

from typing import Literal

from accelsim.spec.base import Sourced


class Published(Sourced):
    """One printed figure; descriptive.

    Attributes:
        what: the figure in words.
        value: as printed, with its unit.
        follows: the figure of the description that it is held against, each of one part as it is sold: "compute"
            (FLOP/s; instructions per second where arithmetic is a program), "internal" (B/s inside the banks),
            "external" (B/s at the pins) or "capacity" (bytes).
    """

    what: str
    value: str
    follows: Literal["compute", "internal", "external", "capacity"]
