"""A system: how many of one part stand beside which host."""

from __future__ import annotations

from typing import Literal

from accelsim.spec.base import Count, Description, Name


class System(Description):
    """Equal parts beside a host chip.

    Attributes:
        name: also the file's stem.
        part: name of the description of one part.
        count: how many units of the part: channels of GDDR6-AiM, pseudo-channels of HBM-PIM, DIMMs of UPMEM.
        reference_clock: the clock of the part whose cycles results are told in.
        host: name of the chip that sends commands and does what the parts cannot.
    """

    name: Name
    family: Literal["system"]
    part: Name
    count: Count
    reference_clock: Literal["tCK", "logic"]
    host: Name
