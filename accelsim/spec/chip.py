"""All families of chips: which record a description's `family` asks for."""

from __future__ import annotations

from accelsim.spec.aim import AimPart
from accelsim.spec.device import GpuChip
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.system import System
from accelsim.spec.upmem import UpmemPart

Chip = GpuChip | LlmViewerChip | AimPart | HbmPimPart | UpmemPart | System
"""Any chip, told apart by `family`."""

FAMILIES: dict[
    str, type[GpuChip] | type[LlmViewerChip] | type[AimPart] | type[HbmPimPart] | type[UpmemPart] | type[System]
] = {
    "gpu": GpuChip, "cpu": GpuChip, "llm-viewer": LlmViewerChip, "gddr6-aim": AimPart, "hbm-pim": HbmPimPart,
    "upmem": UpmemPart, "system": System,
}  # fmt: skip
"""The record of each family."""
