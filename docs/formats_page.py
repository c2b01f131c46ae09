"""Makes docs/formats.md, the table of all shipped number formats, from their descriptions; `make outputs` runs it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from accelsim import catalog
from accelsim.numerics import anatomy
from accelsim.spec.format import (
    AdaptiveFormat,
    BlockFormat,
    Format,
    GgufFormat,
    MicroexponentFormat,
    OutlierListFormat,
    OutlierPairFormat,
    TwoLevelBlockFormat,
)

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "formats.md"

INTRODUCTION = """# Number formats: all that ship

<!-- made by docs/formats_page.py from dataformats/: `make outputs` writes it anew -->

{count} formats in {kinds} kinds. Largest and smallest positive value are those of an element: of a format with scales,
in units of its scale (at exponent or bias 0). Bits per element are the limit for a long tensor, scales, places of
outliers and all else included. What a kind means and how a file adds a format: [dataformats](../dataformats/README.md).
Of each name, `accelsim format NAME` shows more. Families take every legal size by name, without a file and a row here:
{families}.

| name | kind | bits per element | largest | smallest positive | element, scale, block | status | source |
|---|---|---:|---:|---:|---|---|---|
"""


def page() -> str:
    """The whole page."""
    names = catalog.names("formats")
    records = {name: catalog.format_(name) for name in names}
    rows = [_row(name, records[name]) for name in sorted(names, key=lambda name: (records[name].kind, name))]
    families = catalog.HINT.removeprefix("without a file: ")
    kinds = len({record.kind for record in records.values()})
    return INTRODUCTION.format(count=len(names), kinds=kinds, families=families) + "\n".join(rows) + "\n"


def _row(name: str, record: Format) -> str:
    file = catalog.path("formats", name).relative_to(catalog.root()).as_posix()
    if record.name != name:
        return f"| [{name}](../{file}) | {record.kind} | | | | alias of {record.name} | | |"
    ranges = [anatomy.range_of(grid) for _, grid in anatomy.element_grids(record)]
    cells = (
        f"[{name}](../{file})",
        record.kind,
        f"{record.bits_per_element:.10g}",
        _number(max(each.largest for each in ranges)),
        _number(min(each.smallest_positive for each in ranges)),
        _structure(record),
        record.status,
        " ".join(record.source.split()).replace("|", "/"),
    )
    return f"| {' | '.join(cells)} |"


def _number(x: Fraction) -> str:
    """A short number; a power of two as such where it is far from 1."""
    power = max(x.numerator, x.denominator).bit_length() - 1
    if power > 9 and x in (Fraction(1 << power), Fraction(1, 1 << power)):
        return f"2^{power if x > 1 else -power}"
    return f"{float(x):.6g}"


def _structure(record: Format) -> str:
    """What elements are, what they share, and how many share it."""
    if isinstance(record, BlockFormat):
        parts = [record.element.name, f"{record.scale.name} ({record.scale_rule})", _shared(record)]
        if record.zero_point:
            parts.insert(2, f"zero point {record.zero_point.name}")
        if record.scale_scale:
            parts.append(f"{record.scale_scale.name} for {record.scale_length} scales")
    elif isinstance(record, TwoLevelBlockFormat):
        targets = " or ".join(f"{target:g}" for target in record.targets)
        top = f"{record.tensor_scale.name} for the tensor"
        parts = [record.element.name, f"{record.scale.name} (to {targets})", str(record.length), top]
    elif isinstance(record, MicroexponentFormat):
        parts = [f"sign and {record.magnitude_bits} bits", f"{record.exponent_bits}-bit exponent", str(record.length)]
        if record.sub_length:
            parts.append(f"{record.microexponent_bits}-bit shift for {record.sub_length}")
    elif isinstance(record, OutlierPairFormat):
        parts = [f"{record.normal.name} or {record.outlier.name}", record.scale.name, "tensor"]
    elif isinstance(record, OutlierListFormat):
        shared = f"{1 << record.bits} {record.dictionary.name}" if record.centroids else record.dictionary.name
        parts = [f"{record.normal.name} or {record.outlier.name}", shared, "tensor"]
    elif isinstance(record, AdaptiveFormat):
        among = " or ".join(each.name for each in record.candidates)
        parts = [among, f"{record.scale.name} (least error)", str(record.length or "tensor")]
    elif isinstance(record, GgufFormat):
        parts = [f"{record.bits} bits", "as llama.cpp", str(record.block)]
    else:
        parts = [f"{record.bits} bits", "bias from the data", "tensor"] if record.scaled else [f"{record.bits} bits"]
    return ", ".join(parts)


def _shared(record: BlockFormat) -> str:
    return str(record.length) if record.length else record.granularity


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
