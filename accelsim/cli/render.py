"""Descriptions as rows and tables: what `list`, `show` and `check` print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from accelsim import catalog, units
from accelsim.catalog import Kind
from accelsim.cli import published
from accelsim.errors import UnknownNameError
from accelsim.graph import parameters
from accelsim.mapping.gpu.memory import port
from accelsim.spec.base import Description
from accelsim.spec.calibration import Calibration
from accelsim.spec.chip import Chip, ModelSystem
from accelsim.spec.device import GpuChip, Peak
from accelsim.spec.dram import Dram
from accelsim.spec.faults import unit_at, written
from accelsim.spec.format import Format
from accelsim.spec.ipu import IpuPart
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.model import Attention, Layer, Model, Moe
from accelsim.spec.node import Node
from accelsim.spec.system import System
from accelsim.spec.tsp import TspPart

Shown = tuple[dict[str, Any], list[RenderableType]]
"""A document for `--json`, and what is printed without it."""

_PROVENANCE = ("source", "status", "notes", "measured", "derived", "assumed")

# the columns of `list`: key of the row, heading, canonical unit of the value ("" for text and counts)
_COLUMNS: dict[Kind, tuple[tuple[str, str, str], ...]] = {
    "arch": (
        ("name", "name", ""), ("what", "what", ""), ("sm_count", "SMs", ""), ("native_pair", "native pair", ""),
        ("peak_flops_per_s", "peak", "FLOP/s"), ("memory_bytes", "memory", "B"),
        ("bandwidth_bytes_per_s", "bandwidth", "B/s"), ("status", "status", ""),
    ),
    "nodes": (
        ("name", "name", ""), ("feature_nm", "nm", ""), ("int8_mac_j", "int8 multiply, int32 add", "J/op"),
        ("fp16_mac_j", "fp16 multiply, fp32 add", "J/op"), ("full_adder_m2", "full adder", "um2"),
        ("status", "status", ""),
    ),
    "calibrations": (
        ("name", "name", ""), ("chip", "chip", ""), ("library", "library", ""), ("rows", "rows", ""),
        ("held_mean", "error on held rows", ""), ("status", "status", ""),
    ),
    "dram": (
        ("name", "name", ""), ("standard", "standard", ""), ("timing", "timing", ""), ("channels", "channels", ""),
        ("capacity_bytes", "capacity", "B"), ("peak_bytes_per_s", "peak", "B/s"), ("status", "status", ""),
    ),
    "models": (
        ("name", "name", ""), ("parameters", "parameters", "#"), ("layers", "layers", ""), ("hidden", "hidden", ""),
        ("heads", "heads / kv", ""), ("context", "context", ""), ("family", "family", ""), ("status", "status", ""),
    ),
    "formats": (
        ("name", "name", ""), ("kind", "kind", ""), ("bits", "bits", ""), ("bits_per_element", "bits per element", ""),
        ("block", "block", ""), ("status", "status", ""),
    ),
    "sweeps": (("name", "name", ""), ("question", "question", "")),
}  # fmt: skip


def summary(kind: Kind, name: str) -> dict[str, Any]:
    """One row of `list`, in SI units.

    Raises:
        DescriptionError: the file is not valid.
    """
    if kind == "arch":
        return _chip_row(catalog.chip(name))
    if kind == "nodes":
        return _node_row(catalog.node(name))
    if kind == "calibrations":
        return _calibration_row(catalog.calibration(name))
    if kind == "dram":
        return _dram_row(catalog.dram(name))
    if kind == "models":
        return _model_row(catalog.model(name))
    if kind == "formats":
        record = catalog.format_(name)
        return {key: getattr(record, key) for key, _, _ in _COLUMNS[kind]}
    question = catalog.prose(catalog.path(kind, name)).partition("\n")[0]
    return {"name": name, "question": question}


def table(kind: Kind, rows: Iterable[Mapping[str, Any]], title: str) -> Table:
    """The rows of `list` for people."""
    result = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for key, heading, _ in _COLUMNS[kind]:
        left = key in ("name", "what", "native_pair", "family", "status", "kind", "question", "standard", "timing")
        result.add_column(heading, justify="left" if left else "right", no_wrap=key == "name")
    for row in rows:
        result.add_row(*(_cell(row.get(key), unit) for key, _, unit in _COLUMNS[kind]))
    return result


def one_line(record: Chip | Node | Calibration | Dram | Model | Format) -> str:
    """What a record is, for `check`."""
    if isinstance(record, GpuChip):
        row = _chip_row(record)
        peak, bandwidth = _cell(row["peak_flops_per_s"], "FLOP/s"), _cell(row["bandwidth_bytes_per_s"], "B/s")
        return f"chip {record.name}: {record.sm.count} SMs, {peak} {row['native_pair']}, {bandwidth}"
    if isinstance(record, IpuPart):
        peak = _cell(record.peak_flops_per_s(record.peak[0]), "FLOP/s")
        return f"chip {record.name}: {record.tile.count} tiles, {peak} {' x '.join(record.peak[0].operands)}"
    if isinstance(record, System | ModelSystem):
        return f"system {record.name}: {_what(record)}"
    if isinstance(record, Model):
        return f"model {record.name}: {record.family}, {_cell(parameters.count(record), '#')} parameters"
    if isinstance(record, Node):
        return f"node {record.name}: {len(record.operation)} operations"
    if isinstance(record, Calibration):
        kernels = f"{record.provenance.fit.rows} timed" if record.provenance else "not timed"
        return f"calibration {record.name}: {kernels}, kernels of {record.library} on {record.chip}"
    if isinstance(record, Dram):
        return f"DRAM {record.name}: {record.standard}, {_cell(record.peak_bytes_per_s, 'B/s')}"
    if isinstance(record, Format):
        return f"format {record.name}: {record.kind}, {record.bits_per_element:g} bits per element"
    return f"chip {record.name}: family {record.family}"


def chip(record: Chip) -> Shown:
    """A chip: every figure, and the peaks of the whole chip."""
    document, parts = _described(record)
    if isinstance(record, GpuChip):
        rows = [
            {
                **row.model_dump(include={"operands", "accumulator", "sparsity"}),
                "flops_per_s": record.peak_flops_per_s(row),
            }
            for row in record.peak
        ]
        document["peaks"] = rows
        peaks = Table("operands", "accumulator", "sparsity", "peak", title="peak of the chip", **_PLAIN)
        for row in rows:
            rate = units.show(row["flops_per_s"], "FLOP/s", 4)
            peaks.add_row(" x ".join(row["operands"]), row["accumulator"], row["sparsity"], rate)
        parts.append(peaks)
        document["achieved_bandwidth"], achieved = _achieved(record)
        parts += achieved
    figures, tables = published.shown(record)
    if figures:
        document["figures"] = figures
        parts += tables
    return document, parts


def _achieved(record: GpuChip) -> tuple[dict[str, Any] | None, list[RenderableType]]:
    """What streams get from the memory, in event runs; None and a sentence where its standard has no sheet."""
    try:
        memory = port(record)
    except UnknownNameError:
        return None, [f"no DRAM sheet for memory.standard {record.memory.standard}: roofline runs only"]
    mixtures = {"reads": 1.0, "2 reads per write": 2 / 3, "1 read per write": 0.5, "writes": 0.0}
    peak = record.memory.bandwidth_bytes_per_s
    rates = {name: peak * memory.streaming(reads) for name, reads in mixtures.items()}
    found = {"dram": memory.label, "channels": memory.channels, "source": memory.source, "status": memory.status}
    achieved = Table("stream", "achieved", "of peak", title="memory by its commands", **_PLAIN)
    for name, rate in rates.items():
        achieved.add_row(name, units.show(rate, "B/s", 4), f"{rate / peak:.1%}")
    about = f"{memory.channels:.4g} channels of {memory.label} ({memory.status}); roofline runs take the peak"
    return {**found, "bytes_per_s": rates}, [achieved, about]


def node(record: Node) -> Shown:
    """A process node: every figure."""
    return _described(record)


def calibration(record: Calibration) -> Shown:
    """Constants of kernels: every figure."""
    return _described(record)


def dram(record: Dram) -> Shown:
    """A DRAM: every figure, and what follows from the presets in use."""
    document, parts = _described(record)
    row = _dram_row(record)
    document["peak"] = row
    use = Table("organization", "timing", "capacity", "peak", title="in use", **_PLAIN)
    use.add_row(
        record.organization.name, record.timing.name,
        _cell(row["capacity_bytes"], "B"), _cell(row["peak_bytes_per_s"], "B/s"),
    )  # fmt: skip
    return document, [*parts, use]


def format_(record: Format) -> Shown:
    """A number format: its parameters, and the bits that follow from them."""
    document, parts = _described(record)
    document["bits"] = {"bits": record.bits, "bits_per_element": record.bits_per_element, "block": record.block}
    bits = Table("bits", "bits per element", "elements per scale", **_PLAIN)
    bits.add_row(str(record.bits), f"{record.bits_per_element:g}", str(record.block))
    return document, [*parts, bits]


def model(record: Model) -> Shown:
    """A model: its shape and what it counts."""
    by_part = parameters.count_by_part(record)
    total, active = parameters.count(record), parameters.active(record)
    document = {
        "name": record.name,
        "parameters": total,
        "active_parameters": active,
        "parameters_by_part": by_part,
        "record": record.model_dump(mode="json"),
    }
    shape = Table(show_header=False, **_PLAIN)
    facts = {
        "family": record.family,
        "parameters": f"{total:,}" + (f" ({active:,} per token)" if active != total else ""),
        "published": f"{record.parameters_published:,}" if record.parameters_published else "",
        "hidden": record.hidden,
        "vocabulary": record.vocabulary,
        "context": record.max_positions or "unlimited",
        "positions": record.positions,
        "lm_head": record.lm_head,
        "weights": record.native_format,
        "status": record.status,
        "source": record.source,
        "notes": record.notes,
    }
    for name, value in facts.items():
        if value != "":
            shape.add_row(name, str(value))
    layers = Table("stack", "layers", "attention", "feed-forward", "norms", title="layers", **_PLAIN)
    for stack in ("encoder", "decoder"):
        for group in getattr(record, stack):
            for layer in group.layers:
                layers.add_row(stack, str(group.repeat), *_layer(layer))
    parts = Table("part", "parameters", title="parameters by part", **_PLAIN)
    for name, count in by_part.items():
        parts.add_row(name, f"{count:,}")
    return document, [shape, layers, parts]


_PLAIN: dict[str, Any] = {"box": None, "pad_edge": False, "title_justify": "left", "header_style": "bold"}


def _cell(value: Any, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "#":
        return units.show(value, "", 3).replace("G", "B").replace(" ", "")  # the field counts in billions
    if unit == "um2":
        return f"{value * 1e12:.4g} um2"
    if unit:
        return units.show(value, unit, 4)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _what(record: Chip) -> str:
    """Parts of a system, and the host that it names; the family of anything else."""
    if isinstance(record, System):
        return f"{record.count} x {record.part} beside {record.host}"
    return f"{record.count} x {record.part}" if isinstance(record, ModelSystem) else record.family


def _chip_row(record: Chip) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": record.name, "family": record.family, "what": _what(record), "sm_count": None, "native_pair": None,
    }  # fmt: skip
    if isinstance(record, GpuChip):
        native = (record.native.activations, record.native.weights)
        peak = _native_peak(record)
        row["sm_count"], row["native_pair"] = record.sm.count, " x ".join(native)
        row["peak_flops_per_s"] = record.peak_flops_per_s(peak) if peak else None
    elif isinstance(record, IpuPart):
        rate = record.peak[0]
        return {
            **row,
            "native_pair": " x ".join((record.native.activations, record.native.weights)),
            "peak_flops_per_s": record.peak_flops_per_s(rate),
            "memory_bytes": record.tile.count * record.tile.sram_bytes,
            "bandwidth_bytes_per_s": record.sram_bytes_per_s,
            "status": record.status,
        }
    elif isinstance(record, TspPart):
        best = max(record.peak, key=record.peak_flops_per_s)
        return {
            **row,
            "native_pair": " x ".join(best.operands),
            "peak_flops_per_s": record.peak_flops_per_s(best),
            "memory_bytes": record.capacity_bytes,
            "bandwidth_bytes_per_s": record.sram_bytes_per_clock * record.clock.core.frequency_hz,
            "status": record.status,
        }
    elif isinstance(record, LlmViewerChip):
        row["native_pair"] = "fp16 x fp16"
        row["peak_flops_per_s"] = record.peak.fp16_flops_per_s
    else:  # parts and systems have no one peak: their figures follow from the commands
        unknown = dict.fromkeys(("peak_flops_per_s", "memory_bytes", "bandwidth_bytes_per_s"))
        return {**row, **unknown, "status": record.status}
    row["memory_bytes"] = record.memory.capacity_bytes
    row["bandwidth_bytes_per_s"] = record.memory.bandwidth_bytes_per_s
    row["status"] = record.status if isinstance(record, GpuChip) else record.peak.status
    return row


def _native_peak(record: GpuChip) -> Peak | None:
    """The fastest dense row for the native pair."""
    pair = {record.native.activations, record.native.weights}
    rows = [row for row in record.peak if set(row.operands) == pair and row.sparsity == "dense"]
    return max(rows, key=lambda row: row.flops_per_clock, default=None)


def _calibration_row(record: Calibration) -> dict[str, Any]:
    return {
        "name": record.name,
        "chip": record.chip,
        "library": record.library,
        "rows": record.provenance.fit.rows if record.provenance else 0,
        "held_mean": record.provenance.held.mean if record.provenance else None,
        "status": record.status,
    }


def _node_row(record: Node) -> dict[str, Any]:
    def mac(multiplied: str, added: str) -> float | None:
        product, total = record.find("multiply", multiplied), record.find("add", added)
        return product.energy_j + total.energy_j if product and total else None

    return {
        "name": record.name,
        "feature_nm": record.feature_nm,
        "int8_mac_j": mac("int8", "int32"),
        "fp16_mac_j": mac("fp16", "fp32"),
        "full_adder_m2": record.cells.full_adder_m2,
        "status": record.status,
    }


def _dram_row(record: Dram) -> dict[str, Any]:
    return {
        "name": record.name,
        "standard": record.standard,
        "timing": record.timing.name,
        "channels": record.organization.channels,
        "capacity_bytes": record.organization.capacity_bytes,
        "peak_bytes_per_s": record.peak_bytes_per_s,
        "status": record.status,
    }


def _model_row(record: Model) -> dict[str, Any]:
    attention = (record.decoder or record.encoder)[0].layers[0].attention
    return {
        "name": record.name,
        "parameters": parameters.count(record),
        "layers": record.layers,
        "hidden": record.hidden,
        "heads": f"{attention.heads} / {attention.kv_heads}",
        "context": record.max_positions,
        "family": record.family,
        "status": record.status,
    }


def _layer(layer: Layer) -> tuple[str, str, str]:
    feed = layer.feed_forward
    if isinstance(feed, Moe):
        forward = f"{feed.active} of {feed.experts} experts of {feed.expert.intermediate}"
        forward += f", shared {feed.shared.intermediate}" if feed.shared else ""
    else:
        forward = f"{feed.intermediate} {'gated ' if feed.gated else ''}{feed.activation}"
    attention = _attention(layer.attention) + (", cross-attention" if layer.cross_attention else "")
    return attention, forward, f"{layer.norms} {layer.norm}" + (", parallel" if layer.parallel else "")


def _attention(spec: Attention) -> str:
    text = f"{spec.heads} heads, {spec.kv_heads} kv, {spec.head_dim} wide"
    if spec.latent:
        text += f", latent {spec.latent.kv_rank} + {spec.latent.rope_dim}"
    return text + (f", window {spec.window}" if spec.window else "") + ("" if spec.causal else ", not causal")


def _described(record: Description) -> Shown:
    """Every figure of a description, table by table, with the unit as written, the status and the source."""
    raw = record.raw
    figures = Table("figure", "value", "status", "source", **_PLAIN)
    for path, content in _tables(raw, ()):
        if path:
            figures.add_row("")
        source = str(content.get("source", ""))
        title = "[" + ".".join(map(str, path)) + "]" if path else ""
        figures.add_row(title, "", str(content.get("status", "")), source, style="bold")
        for key, value in content.items():
            if key not in _PROVENANCE and not _is_table(value):
                unit = unit_at(type(record), (*path, key))
                figures.add_row(f"  {key}", _figure(value, unit), _status_of(key, content), "")
        if content.get("notes"):
            figures.add_row("  notes", "", "", str(content["notes"]))
    return {"name": raw.get("name"), "record": record.model_dump(mode="json"), "description": raw}, [figures]


def _tables(content: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The tables that hold figures, in the order of the file."""
    if any(not _is_table(value) for value in content.values()):
        yield path, content
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _tables(value, (*path, key))
        elif _is_table(value):
            for index, item in enumerate(value):
                yield from _tables(item, (*path, key, index))


def _is_table(value: Any) -> bool:
    """A table, or a list of tables."""
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _figure(value: Any, unit: str) -> str:
    if unit and not isinstance(value, str):
        return units.show(value, unit, 6)  # an override in SI units
    return value if isinstance(value, str) else written(value)


def _status_of(key: str, content: Mapping[str, Any]) -> str:
    """The status of one figure, if it differs from its table's."""
    return next((status for status in ("measured", "derived", "assumed") if key in content.get(status, ())), "")
