"""All families of chips: which record a description's `family` asks for."""

from __future__ import annotations

from accelsim.spec.device import GpuChip
from accelsim.spec.llm_viewer import LlmViewerChip

Chip = GpuChip | LlmViewerChip
"""Any chip, told apart by `family`."""

FAMILIES: dict[str, type[GpuChip] | type[LlmViewerChip]] = {"gpu": GpuChip, "llm-viewer": LlmViewerChip}
"""The record of each family."""
