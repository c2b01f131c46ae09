"""The link that joins a GPU to others of its kind."""

from __future__ import annotations

from typing import Final

from accelsim.spec.device import GpuChip, Link

BOARD: Final = 8
"""GPUs that one switch or board joins; between boards there is a network, which is not described."""


def fastest(chip: GpuChip) -> Link | None:
    """The link that its library uses; None for a chip of which none is described."""
    return max(chip.link, key=lambda link: link.bandwidth_bytes_per_s, default=None)
