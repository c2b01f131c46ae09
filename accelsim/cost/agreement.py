"""How the model agrees with published hardware: what its constants are fitted to, and what it is tested on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from accelsim import catalog
from accelsim.cost import gates
from accelsim.cost.arithmetic import Accumulator, multiply_accumulate
from accelsim.cost.fit import circuit, fit
from accelsim.cost.gates import Gates
from accelsim.cost.model import full_adders, of
from accelsim.cost.operand import Operand
from accelsim.cost.terms import Term

_CELLS: Final = "45nm"
"""Where circuits are compared by their size alone."""

NAND2_PER_FULL_ADDER: Final = 4.256 / 0.798  # areas of FA_X1 and NAND2_X1 of the library of the 45 nm node


@dataclass(frozen=True, slots=True)
class Row:
    """One published figure and ours.

    Attributes:
        group: `fit` if a constant comes from it, else `test`.
        what: what is compared, with the unit.
        published: the figure, or the two ends of its range.
        ours: what the model gives.
        source: who published it.
        note: number of the deviation of `DEVIATIONS.md` that explains a disagreement; empty where there is none.
    """

    group: Literal["fit", "test"]
    what: str
    published: tuple[float, ...]
    ours: float
    source: str
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours over the published figure; over the nearer end of a range, and 1 within it."""
        low, high = self.published[0], self.published[-1]
        return self.ours / low if self.ours < low else self.ours / high if self.ours > high else 1.0


def rows() -> tuple[Row, ...]:
    """All published figures, those that constants come from first."""
    found = [*_operations("45nm", "Horowitz 2014"), *_operations("7nm", "Jouppi 2021"), *_circuits()]
    return tuple(sorted(found, key=lambda row: row.group != "fit"))


def _operations(node: str, source: str) -> Iterator[Row]:
    """The node's own table: integers and fp16 are fitted, other floats and areas of integers are not."""
    record = catalog.node(node)
    constants = fit(record)
    for row in record.operation:
        whole = row.format.startswith("int")
        style = "plain" if whole else row.name
        cells_m2 = circuit(row).area_m2(record.cells)
        ours = cells_m2 * constants.joules_per_m2 * constants.energy_factor[style]
        fitted: Literal["fit", "test"] = "fit" if whole or row.format == "fp16" else "test"
        energy = f"{node} {row.format} {row.name}, pJ"
        yield Row(fitted, energy, (row.energy_j * 1e12,), ours * 1e12, source, "F1" if fitted == "test" else "")
        if row.area_m2:
            ours = cells_m2 * constants.area_factor[style]
            area = f"{node} {row.format} {row.name}, um2"
            group: Literal["fit", "test"] = "fit" if row.format == "fp16" else "test"
            note = "" if group == "fit" else "F2" if whole else "F1"
            yield Row(group, area, (row.area_m2 * 1e12,), ours * 1e12, source, note)


def _circuits() -> Iterator[Row]:
    yield from _float_against_integer()
    yield from _blocks()
    yield from _decoders()
    yield from _tapered()
    yield from _units()


def _mac(name: str, accumulator: str | None = None) -> float:
    """Size of a multiply-accumulate unit in full adders, without the factors of float units."""
    return full_adders(of(name, _CELLS, accumulator=accumulator).terms["mac"], catalog.node(_CELLS))


def _size(parts: tuple[Term, ...]) -> float:
    return full_adders(parts, catalog.node(_CELLS))


def _float_against_integer() -> Iterator[Row]:
    source = "arXiv 2303.17951"
    for into in ("fp16", "fp32"):
        ours = _mac("fp8_e4m3", into) / _mac("int8")
        yield Row("test", f"FP8 MAC over INT8, size, into {into}", (1.5, 2.8), ours, source, "F3")
    ours = of("fp8_e4m3", "7nm", accumulator="fp32").mac_j / of("int8", "7nm").mac_j
    yield Row("test", "FP8 MAC over INT8, energy at 7 nm, into fp32", (1.5, 2.8), ours, source, "F3")


def _blocks() -> Iterator[Row]:
    fp8 = _mac("fp8_e4m3", "dot64") * 8
    for name, published in (("mx6", 2.0), ("mx4", 4.0)):
        ours = fp8 / (_mac(name) * catalog.format_(name).bits_per_element)
        yield Row("test", f"FP8 dot over {name.upper()}, size x bits", (published,), ours, "Rouhani 2023, ISCA", "F4")
    four = of("mxfp4", "7nm").mac_j
    ranges: dict[str, tuple[float, ...]] = {"mxfp8_e4m3": (4065 / 1675, 4065 / 1438), "mxint8": (4065 / 657,)}
    for name, span in ranges.items():
        ours = of(name, "7nm").mac_j / four
        yield Row("test", f"{name} MAC over mxfp4, energy", span, ours, "arXiv 2511.06313", "F5")


def _shrunk_um2(m2: float | None, feature_nm: float) -> float:
    """An area of the 45 nm node in um2, after an ideal shrink."""
    return (m2 or math.nan) * 1e12 * (feature_nm / catalog.node(_CELLS).feature_nm) ** 2


def _decoders() -> Iterator[Row]:
    for name, published in (("olive4", 13.53), ("olive8", 18.00)):
        ours = 2 * _shrunk_um2(of(name, _CELLS).decode_m2, 22)
        yield Row("test", f"decoder of a pair of {name}, 22 nm, um2", (published,), ours, "Guo 2023, ISCA", "F6")


def _tapered() -> Iterator[Row]:
    into = Accumulator(width=38)
    log8 = Operand(6, 5, 24, logarithm=(5, 4))  # the codes of posit(8, 1), read as logarithms
    ours = _size(multiply_accumulate(log8, log8, into)) / _mac("int8")
    yield Row("test", "8-bit log over INT8 MAC, size", (1.12,), ours, "Johnson 2018", "F7")
    unit = {}
    for name in ("posit32", "fp32"):
        terms = of(name, _CELLS).terms
        unit[name] = _mac(name) + 2 * _size(terms["decode"]) + _size(terms["encode"])
    yield Row("test", "posit32 over fp32 unit, size", (1.3,), unit["posit32"] / unit["fp32"], "arXiv 2109.08225", "F8")


def _units() -> Iterator[Row]:
    old, new = (of("fp8_e4m3", node).mac_j for node in ("45nm", "7nm"))
    between = math.log(28 / 7) / math.log(45 / 7)  # 28 nm between the two, in the logarithm of both
    ours = new * (old / new) ** between * 1e12
    source = "arXiv 2604.04507"
    yield Row("test", "FP8/FP4 MAC at 28 nm, pJ", (2.13 / 1.94,), ours, source, "F9")
    area = _shrunk_um2(of("fp8_e4m3", _CELLS).mac_m2, 28)
    yield Row("test", "FP8/FP4 MAC at 28 nm, um2", (3960.0,), area, source, "F9")
    wide = gates.shifter(40, 40) + gates.adder(32)
    narrow = gates.shifter(32, 32) + gates.adder(24)
    saved = _cells(wide) - _cells(narrow)
    open_mac = "open MX MAC, Tiny Tapeout"
    yield Row("test", "40- to 32-bit aligner, 24-bit sum, cells", (242.0,), saved, open_mac, "F10")
    scale = gates.adder(8) + gates.adder(9)
    yield Row("test", "shared scaling, cells", (264.0,), _cells(scale), open_mac, "F10")
    ours = _mac("int8") / _mac("int6")
    yield Row("test", "8/4-bit PE over 6-bit PE, energy", (0.56 / 0.25,), ours, "ANT's simulator", "F11")


def _cells(circuit_: Gates) -> float:
    """Size in gates of two inputs."""
    cells = catalog.node(_CELLS).cells
    return circuit_.area_m2(cells) / cells.full_adder_m2 * NAND2_PER_FULL_ADDER
