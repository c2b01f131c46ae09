"""A number format as text and as a document: what `accelsim format` prints."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any, Final

from accelsim import catalog, cost
from accelsim.cli.figures import UNKNOWN, columns
from accelsim.cli.figures import show as figure
from accelsim.cost import FormatCost
from accelsim.numerics import anatomy, quality
from accelsim.numerics.format import DataFormat
from accelsim.numerics.policy import Policy
from accelsim.spec.format import Format
from accelsim.units import show

EXAMPLE: Final = (4096, 4096)
"""The tensor whose storage is shown; scales are shared along its last axis."""

_PROVENANCE: Final = ("name", "kind", "source", "status", "notes")
_MOST_LEVELS: Final = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a format without computing in it.

    Attributes:
        record: the format.
        origin: where its description lies; empty for a name that states its own parameters.
        prose: how that opens.
        parts: where its bits go.
        grids: role, format and range of each grid of its elements.
    """

    record: Format
    origin: str
    prose: str
    parts: tuple[anatomy.Part, ...]
    grids: tuple[tuple[str, Format, anatomy.Range], ...]


def facts(record: Format, origin: str, prose: str) -> Facts:
    """The facts of a format, with the place and the opening comment of its description."""
    grids = tuple((role, each, anatomy.range_of(each)) for role, each in anatomy.element_grids(record))
    return Facts(record, origin, prose, anatomy.bits_by_part(record), grids)


def costs(record: Format) -> tuple[FormatCost, ...]:
    """What handling an element costs on every process node that is described."""
    return tuple(cost.of(record, node) for node in catalog.names("nodes"))


# text


def lines(found: Facts, made: DataFormat, rows: Sequence[quality.Quality]) -> Iterator[str]:
    """The answer for people."""
    record = found.record
    yield f"{record.name} · {record.kind} · {record.bits_per_element:.10g} bits per element · {record.status}"
    if found.prose:
        yield found.prose
    yield f"source: {record.source}" + (f" ({found.origin})" if found.origin else "")
    if record.notes:
        yield f"notes: {' '.join(record.notes.split())}"
    yield from _section("parameters", columns(parameters(record).items()))
    yield from _section(f"bits per element: {record.bits_per_element:.10g}", _bits(found))
    for role, each, reach in found.grids:
        title = "element" if role == "element" else f"element, {role}" if " " not in role else role
        yield from _section(f"{title}: {each.name}" if each.name != record.name else "values", _range(each, reach))
    yield from _section("policy", columns(_policy(made.policy).items()))
    yield from _section("hardware cost of one element", cost_lines(record))
    yield from _section("SQNR in dB", _quality(rows))


def _section(title: str, content: Sequence[str]) -> Iterator[str]:
    if content:
        yield ""
        yield title
        yield from content


def parameters(record: Format) -> dict[str, str]:
    """The keys that make the format what it is, as text."""
    found = {}
    for key in type(record).model_fields:
        value = getattr(record, key)
        if key not in _PROVENANCE and value is not None:
            found[key] = _word(value)
    return found


def _word(value: object) -> str:
    if isinstance(value, Format):
        return value.name
    if isinstance(value, tuple):
        more = f", ... ({len(value)} in all)" if len(value) > _MOST_LEVELS else ""
        return ", ".join(_word(item) for item in value[:_MOST_LEVELS]) + more
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _bits(found: Facts) -> list[str]:
    rows = [(part.name, f"{part.bits:.10g}", part.of) for part in found.parts]
    size = storage(found.record)
    shape = f"[{EXAMPLE[0]:,}, {EXAMPLE[1]:,}]"
    share = size / (EXAMPLE[0] * EXAMPLE[1] * 2)
    return [
        *columns(rows, right=(1,)),
        f"  a tensor {shape} takes {size:,} bytes, {show(size, 'B')}; {share:.4g} of what bf16 takes",
    ]


def storage(record: Format) -> int:
    """Bytes of the example tensor."""
    return DataFormat(record).storage_bytes(EXAMPLE)


def number(value: Fraction | float) -> str:
    """A value in up to ten digits, as a power of two as well if it is one with many digits."""
    text = f"{float(value):.10g}"
    mantissa, exponent = math.frexp(float(value))
    return f"{text} = 2^{exponent - 1}" if mantissa == 0.5 and not -4 < exponent < 8 else text


def _range(record: Format, reach: anatomy.Range) -> list[str]:
    rows = [("largest", number(reach.largest))]
    if reach.smallest != -reach.largest:
        rows.append(("smallest", number(reach.smallest)))
    if reach.smallest_normal is not None:
        rows.append(("smallest normal", number(reach.smallest_normal)))
    rows.append(("smallest positive", number(reach.smallest_positive)))
    span = math.log2(reach.largest / reach.smallest_positive)
    rows.append(("dynamic range", f"{span:.4g} binades, {20 * math.log10(2) * span:.4g} dB"))
    rows.append(("values", f"{reach.values:,} of {reach.codes:,} codes"))
    rows.append(("special", ", ".join(_special(reach))))
    runs = anatomy.shown(record)
    rows.append(("grid", "  ...  ".join(" ".join(f"{v:.6g}" for v in run) for run in runs)))
    return columns(rows)


def _special(reach: anatomy.Range) -> list[str]:
    nans = "NaN" if reach.nans is None else f"{reach.nans:,} NaN" if reach.nans else "no NaN"
    infinities = f"{reach.infinities} infinities" if reach.infinities > 1 else "an infinity"
    return [infinities if reach.infinities else "no infinity", nans, "-0" if reach.negative_zero else "no -0"]


def _policy(policy: Policy) -> dict[str, str]:
    rules = {field: str(value) for field, value in policy_words(policy).items()}
    if policy.nan != "code":  # which NaN it is matters only where one is written
        del rules["nan_code"], rules["nan_sign"]
    return {name: rule for name, rule in rules.items() if rule != "exact"}  # blocks as they are defined


def policy_words(policy: Policy) -> dict[str, Any]:
    """The rules of a policy by their names."""
    return {field.name: getattr(policy, field.name) for field in fields(policy)}


_WORKS: Final = ("decode", "encode", "multiply and add", "convert to fp32")


def cost_lines(record: Format) -> list[str]:
    """Energy and area of decoding, encoding, multiplying and converting, a line per process node."""
    found = costs(record)
    table: list[tuple[str, ...]] = [("", *_WORKS, "status")]
    for each in found:
        pairs = (
            (each.decode_j, each.decode_m2), (each.encode_j, each.encode_m2), (each.mac_j, each.mac_m2),
            (each.convert_j, each.convert_m2),
        )  # fmt: skip
        table.append((each.node, *(_cost(joules, area) for joules, area in pairs), each.status))
    into = found[0].accumulator
    return [*columns(table), f"  products with itself, added into {into}; docs/format-cost.md has sources and errors"]


def _cost(energy_j: float, area_m2: float | None) -> str:
    energy = figure(energy_j, "J")
    return energy if area_m2 is None else f"{energy}, {area_m2 * 1e12:.3g} um2"


def _quality(rows: Sequence[quality.Quality]) -> list[str]:
    table: list[tuple[str, ...]] = [("", "bits", *quality.DATA, "scale")]
    for row in rows:
        cells = [_decibel(row.sqnr_db[name]) for name in quality.DATA]
        bits = f"{row.record.bits_per_element:.5g}"
        table.append((row.record.name, bits, *cells, _SCALES[row.scale]))
    size = " x ".join(f"{n:,}" for n in quality.SHAPE)
    notes = [
        f"data: {size} fp32 numbers of variance 1, Philox seed {quality.SEED}"
        + ("" if quality.signed(rows[0].record) else ", their magnitudes, as the format is unsigned"),
        *(f"{name}: {what}" for name, what in quality.DATA.items() if name != what),
    ]
    if any(row.scale in ("absmax", "mean") for row in rows):
        notes.append(
            f"a grid without a scale that spans less than {math.log2(quality.WIDE):.0f} binades gets one for each row, "
            f"by the largest\n  magnitude, or by the mean one where that gains more than {quality.MARGIN_DB:g} dB on "
            "Gaussian data"
        )
    return [*columns(table, right=range(1, 2 + len(quality.DATA))), "", *(f"  {note}" for note in notes)]


_SCALES: Final = {
    "own": "its own",
    "none": "none",
    "absmax": "fp32 of each row, largest magnitude",
    "mean": "fp32 of each row, mean magnitude",
    "unsigned": "not measured: unsigned",
}


def _decibel(value: float) -> str:
    return UNKNOWN if math.isnan(value) else "exact" if value == math.inf else f"{value:.1f}"


# JSON


def document(found: Facts, made: DataFormat, rows: Sequence[quality.Quality]) -> dict[str, Any]:
    """The answer for programs; an SQNR is null where nothing was lost or an unsigned format was not measured."""
    record = found.record
    return {
        "name": record.name,
        "kind": record.kind,
        "source": record.source,
        "status": record.status,
        "origin": found.origin,
        "prose": found.prose,
        "record": record.model_dump(mode="json"),
        "bits": record.bits,
        "bits_per_element": record.bits_per_element,
        "bits_by_part": [asdict(part) for part in found.parts],
        "storage": {"shape": list(EXAMPLE), "bytes": storage(record)},
        "grids": [_grid(role, each, reach) for role, each, reach in found.grids],
        "policy": {k: str(v) for k, v in policy_words(made.policy).items()},
        "cost": [_cost_row(each) for each in costs(record)],
        "quality": {
            "shape": list(quality.SHAPE),
            "seed": quality.SEED,
            "data": dict(quality.DATA),
            "formats": [
                {
                    "name": row.record.name,
                    "bits_per_element": row.record.bits_per_element,
                    "scale": row.scale,
                    "sqnr_db": dict(row.sqnr_db),
                }
                for row in rows
            ],
        },
    }


def _cost_row(each: FormatCost) -> dict[str, Any]:
    return {field.name: getattr(each, field.name) for field in fields(each) if field.name != "terms"}


def _grid(role: str, record: Format, reach: anatomy.Range) -> dict[str, Any]:
    values = {key: float(v) if isinstance(v, Fraction) else v for key, v in asdict(reach).items()}
    return {"role": role, "format": record.name, **values, "shown": [list(run) for run in anatomy.shown(record)]}
