"""All families of chips: which record a description's `family` asks for."""

from __future__ import annotations

from accelsim.spec.aim import AimPart
from accelsim.spec.device import GpuChip
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.system import System

Chip = GpuChip | LlmViewerChip | AimPart | System
"""Any chip, told apart by `family`."""

FAMILIES: dict[str, type[GpuChip] | type[LlmViewerChip] | type[AimPart] | type[System]] = {
    "gpu": GpuChip, "llm-viewer": LlmViewerChip, "gddr6-aim": AimPart, "system": System,
}  # fmt: skip
"""The record of each family."""
