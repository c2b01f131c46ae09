"""All families of chips: which record a description's `family` asks for."""

from __future__ import annotations

from accelsim.spec.aim import AimPart
from accelsim.spec.device import GpuChip
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.ipu import IpuPart, IpuSystem
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.system import System
from accelsim.spec.tsp import TspPart, TspSystem
from accelsim.spec.upmem import UpmemPart

Chip = (
    GpuChip
    | LlmViewerChip
    | AimPart
    | HbmPimPart
    | UpmemPart
    | System
    | IpuPart
    | IpuSystem
    | TspPart
    | TspSystem
    | FpgaPart
    | FpgaSystem
)
"""Any chip, told apart by `family`."""

ModelSystem = IpuSystem | TspSystem | FpgaSystem
"""Systems of equal parts on which whole models run."""

FAMILIES: dict[
    str,
    type[GpuChip]
    | type[LlmViewerChip]
    | type[AimPart]
    | type[HbmPimPart]
    | type[UpmemPart]
    | type[System]
    | type[IpuPart]
    | type[IpuSystem]
    | type[TspPart]
    | type[TspSystem]
    | type[FpgaPart]
    | type[FpgaSystem],
] = {
    "gpu": GpuChip,
    "cpu": GpuChip,
    "llm-viewer": LlmViewerChip,
    "gddr6-aim": AimPart,
    "hbm-pim": HbmPimPart,
    "upmem": UpmemPart,
    "system": System,
    "ipu": IpuPart,
    "ipu-system": IpuSystem,
    "tsp": TspPart,
    "tsp-system": TspSystem,
    "fpga": FpgaPart,
    "fpga-system": FpgaSystem,
}
"""The record of each family."""
