"""What a description says, apart from how it is written: the canonical content that keys are made of.

Left out are names, prose and provenance of records (`name`, `source`, `status`, `notes`, ...); floats are SI and
written by `float.hex`, keys are sorted. A description that names others (a DRAM sheet, formats of a peak rate, the part
and the host of a system) contains theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from accelsim import catalog
from accelsim.devices.pim.ordinary import host_chip, ordinary
from accelsim.mapping.gpu.library import collectives, library, row_kernels
from accelsim.mapping.gpu.power import known
from accelsim.spec.base import Description, Record
from accelsim.spec.calibration import Conditions
from accelsim.spec.chip import Chip, ModelSystem
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.model import Model
from accelsim.spec.published import Published
from accelsim.spec.system import System
from accelsim.timing.dram.attached import SHEETS

PROVENANCE: Final = frozenset(
    {"source", "status", "notes", "measured", "derived", "assumed"}
    | {"provenance", "prefill_provenance", "decode_provenance"}
)
"""Keys that say where figures come from."""

_MODEL_PROSE: Final = frozenset({"parameters_published", "parameters_source"})
_SYSTEM_CHANGES: Final = frozenset({"changes", "host_changes"})


def digest(content: object) -> str:
    """SHA-256 of canonical JSON, in hexadecimal."""
    return hashlib.sha256(written(content).encode()).hexdigest()


def written(content: object) -> str:
    """Canonical JSON: sorted keys, no spaces, floats by `float.hex`."""
    return json.dumps(_plain(content), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def tables_of(chip: Chip, library_: str | None = None) -> dict[str, object]:
    """The tables of a chip, by name, with the content of all that it names in "references".

    Systems of parts contain the content of part and host, with the changes that they make; GPUs the constants of their
    kernels, which are their own or those of a chip that was measured.

    Args:
        chip: the chip.
        library_: whose kernels run on a GPU, if not those of its default.
    """
    tables = {key: content for key, content in record(chip).items() if key not in _SYSTEM_CHANGES}
    references: dict[str, object] = {}
    if isinstance(chip, System | ModelSystem):
        part = catalog.part(chip)
        references["part"] = tables_of(part)
        tables.pop("part", None)
        if isinstance(chip, System):
            replaces = ordinary(part) if chip.memory == "replaces" else None
            references["host"] = tables_of(host_chip(chip, replaces))
            tables.pop("host", None)
    if isinstance(chip, GpuChip):
        references["kernels"] = _kernels(chip, library_)
    names = {kind: frozenset(catalog.names(kind)) for kind in ("formats", "dram", "nodes")}
    for name in sorted(set(_words(tables))):
        references |= _named(name, names)
    return {**tables, "references": references}


def model_digest(model: Model) -> str:
    """Digest of a model."""
    return digest({key: content for key, content in record(model).items() if key not in _MODEL_PROSE})


def format_digest(form: Format) -> str:
    """Digest of a number format, with its name: chips tell by it which of their rates is meant."""
    return digest(_format(form))


def record(described: Record) -> dict[str, object]:
    """The content of a record, by the name of its fields."""
    named = {"name"} if isinstance(described, Description | Model) else set()
    found = {}
    for key in type(described).model_fields:
        value = getattr(described, key)
        if key in PROVENANCE or key in named or _descriptive(value):
            continue
        found[key] = _content(value)
    return found


def _descriptive(value: object) -> bool:
    return isinstance(value, Published) or (isinstance(value, tuple) and bool(value) and _descriptive(value[0]))


def _content(value: object) -> object:
    if isinstance(value, Format):
        return _format(value)
    if isinstance(value, Record):
        return record(value)
    if isinstance(value, Mapping):
        return {str(key): _content(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [_content(item) for item in (sorted(value) if isinstance(value, frozenset) else value)]
    return value


def _format(form: Format) -> dict[str, object]:
    return {"name": form.name, "bits": form.bits_per_element, **record(form)}


def _kernels(chip: GpuChip, name: str | None) -> list[str]:
    """Digests of what is known of the kernels, collectives and board of a chip."""
    kernels = library(chip, Conditions(library=name))
    found: list[Record | None] = [kernels.calibration.gemm, kernels.attention.attention, row_kernels(chip)]
    found += [row.constants for row in collectives(chip).calibration.collective]
    board = known(chip)
    return [digest(_content(one)) for one in (*found, board and board.board)]


def _words(content: object) -> Iterator[str]:
    """All text within a content that could name a description."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for item in content.values():
            yield from _words(item)
    elif isinstance(content, list):
        for item in content:
            yield from _words(item)


def _named(word: str, known: Mapping[str, frozenset[str]]) -> dict[str, object]:
    """The content of descriptions that a word names: formats, DRAM sheets, process nodes."""
    found: dict[str, object] = {}
    sheet = SHEETS.get(word, word)
    if word in known["formats"]:
        found[f"format {word}"] = _shared(catalog.format_(word))
    if sheet in known["dram"]:
        found[f"dram {word}"] = _shared(catalog.dram(sheet))
    if word in known["nodes"]:
        found[f"node {word}"] = _shared(catalog.node(word))
    return found


@lru_cache(maxsize=512)
def _shared(described: Record) -> str:
    return digest(_format(described) if isinstance(described, Format) else record(described))
