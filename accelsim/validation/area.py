"""Areas of dies, part by part where annotated die photos tell them, in total where makers print them.

Measured parts: ae/figure6/real_hardware/die_area.csv of PrincetonUniversity/LLMCompass at 2e015fd, from annotated
photos of GA100 and of Aldebaran, the die of an MI210. They are the fit set, of which every fitted figure of
`arch/processes/tsmc-n7.toml` is a geometric mean; the other dies are predicted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Final, Literal

from accelsim import catalog
from accelsim.cost.area import DieArea, Inventory, area, inventory, scales
from accelsim.spec.process import Parts

MM2: Final = 1e-6
LLMCOMPASS: Final = "LLMCompass at 2e015fd, ae/figure6/real_hardware/die_area.csv"
ASKED: Final = 0.1
"""Largest error that is asked for, of the totals of the fit set."""

MEASURED_MM2: Final[Mapping[str, Mapping[str, float]]] = {
    "GA100": {
        "cores": 476.25, "network": 76.44, "L2": 119.31, "memory PHY": 58.0, "memory controller": 31.77,
        "link PHY": 20.95, "link controller": 0.0, "other": 40.0,
    },
    "Aldebaran": {
        "cores": 446.22, "network": 33.0, "L2": 25.2, "memory PHY": 83.26, "memory controller": 40.83,
        "link PHY": 45.52, "link controller": 42.0, "other": 4.0,
    },
}  # fmt: skip
"""Parts in mm2, as annotated; nothing of ours but PCIe stands against `other`, which has video, host and front end."""

PREDICTED: Final[Mapping[str, tuple[str, float, str]]] = {
    "GV100": ("v100", 815.0, "NVIDIA Tesla V100 whitepaper"),
    "GA102": ("a6000", 628.4, "Ampere GA102 whitepaper v2"),
    "GH100": ("h100-sxm", 814.0, "NVIDIA H100 whitepaper"),
    "AD102": ("rtx-4090", 608.5, "NVIDIA Ada GPU architecture whitepaper"),
}
"""Die -> chip, mm2, source."""


@dataclass(frozen=True, slots=True)
class Row:
    """A die, or a part of one.

    Attributes:
        die: its name.
        part: of it, or "total".
        published_mm2: annotated or printed; None for parts that nobody tells.
        ours_mm2: from the description.
        role: "fit" where constants come from this die, else "predict".
        within: largest error that is asked for, as a fraction; None where none is.
        source: of the published area.
    """

    die: str
    part: str
    published_mm2: float | None
    ours_mm2: float
    role: Literal["fit", "predict"]
    within: float | None
    source: str

    @property
    def error(self) -> float | None:
        """Ours over the published area, less one."""
        return self.ours_mm2 / self.published_mm2 - 1 if self.published_mm2 else None

    @property
    def met(self) -> bool | None:
        """Whether the error is within what is asked for; None where nothing is."""
        return None if self.within is None or self.error is None else abs(self.error) <= self.within


def aldebaran() -> Inventory:
    """The die of an MI210: 112 compute units, of which 104 are sold.

    AMD CDNA 2 whitepaper: four SIMDs of 16 lanes that pack two fp32, fp64 at full rate; 1,024 FLOP of fp16 and 256 of
    fp64 per clock and compute unit on matrix cores; 512 KiB of registers, 64 KiB of LDS and 16 of L1, 64 B per clock
    from L2; 8 MiB of L2, four HBM2e stacks, eight Infinity Fabric links of 50 GB/s. Matrix fp64 is counted as lanes.
    """
    return Inventory(
        process=catalog.process("tsmc-n6"),
        sms=112,
        macs={"fp16": 512},
        lanes_fp32=64,
        lanes_fp64=64 + 128,
        lanes_int32=64,
        issue_ports=4,
        register_bytes=512 * 1024,
        local_bytes=80 * 1024,
        port_bytes_per_clock=64,
        l2_bytes=8 * 2**20,
        stacks=4,
        links_bytes_per_s=8 * 50e9,
        pcie="pcie4",
    )


def measured() -> dict[str, Inventory]:
    """The dies whose parts are known."""
    return {"GA100": inventory("a100-sxm-80gb"), "Aldebaran": aldebaran()}


def rows() -> tuple[Row, ...]:
    """All parts and totals."""
    result: list[Row] = []
    for name, die in measured().items():
        found, annotated = told(area(die)), MEASURED_MM2[name]
        result += [
            Row(name, part, annotated[part], found.get(part, 0.0), "fit", None, LLMCOMPASS) for part in annotated
        ]
        result.append(Row(name, "total", sum(annotated.values()), sum(found.values()), "fit", ASKED, LLMCOMPASS))
    for name, (chip, published, source) in PREDICTED.items():
        found = told(area(inventory(chip)))
        result += [Row(name, part, None, value, "predict", None, "") for part, value in found.items()]
        result.append(Row(name, "total", published, sum(found.values()), "predict", None, source))
    return tuple(result)


def told(die: DieArea) -> dict[str, float]:
    """Our parts in mm2 under the names of the annotations; PCIe is all that we have of `other`."""
    parts = {name: die.parts_m2[name] / MM2 for name in MEASURED_MM2["GA100"] if name in die.parts_m2}
    return {"cores": die.cores_m2 / MM2, **parts, "other": die.parts_m2["PCIe"] / MM2}


def fitted() -> dict[str, float]:
    """The fitted figures of `Parts` from the fit set alone, in SI units: a geometric mean over the dies.

    Links are taken over their sum, as one of the dies has no controllers of links annotated.
    """
    dies = measured()
    each = {name: _each(name, die) for name, die in dies.items()}
    means = {key: prod(found[key] for found in each.values()) ** (1 / len(each)) for key in next(iter(each.values()))}
    links = sum(die.links_bytes_per_s / 1e9 for die in dies.values())
    for key, part in (("link_phy_m2", "link PHY"), ("link_controller_m2", "link controller")):
        total = sum(
            MEASURED_MM2[name][part] * MM2 / (scales(die.process)[0] if part == "link controller" else 1.0)
            for name, die in dies.items()
        )
        means[key] = total / links
    return means


def _each(name: str, die: Inventory) -> dict[str, float]:
    """What one die alone would give."""
    logic, _ = scales(die.process)
    seen = {part: value * MM2 for part, value in MEASURED_MM2[name].items()}
    bare = area(replace(die, issue_ports=0)).cores_m2
    return {
        "issue_m2": (seen["cores"] - bare) / die.sms / die.issue_ports / logic,
        "network_m2": seen["network"] / die.sms / die.port_bytes_per_clock / logic,
        "l2_efficiency": die.l2_bytes * 8 * die.process.sram.cell_m2 / seen["L2"],
        "hbm_phy_m2": seen["memory PHY"] / die.stacks,
        "hbm_controller_m2": seen["memory controller"] / die.stacks / logic,
    }


def constants(parts: Parts) -> dict[str, float]:
    """The figures of a description that `fitted` gives."""
    return {key: getattr(parts, key) for key in fitted()}
