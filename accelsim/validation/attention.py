"""Constants of attention kernels from timed ones: the rows, and the fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.evaluate.attentions import Attentions, attentions
from accelsim.spec.attention import Attention, DecodeVariant, PrefillVariant
from accelsim.spec.fitted import Errors, Fit
from accelsim.timing.gpu.heads import Heads
from accelsim.validation.calibrate import Range, errors
from accelsim.validation.lines import lines
from accelsim.validation.search import search

Array = npt.NDArray[np.float64]

FORMATS: Final = {"bfloat16": "bf16", "float16": "fp16", "fp8": "fp8_e4m3"}
KINDS: Final = ("context", "generation")
COPIES: Final = 1
"""Sets of operands that the public tables go through: the same kernel runs again and again."""

POSSIBLE: Final = 0.95
"""Share of the memory's peak above which a decode row cannot have read its cache from memory."""

PREFILL: Final[dict[str, Range]] = {
    "start_s": Range(10e-9, 8e-6, 20e-6),
    "tile_start_s": Range(0.05e-6, 2.9e-6, 8e-6),
    "matrix_efficiency": Range(0.3, 0.65, 1.0),
    "special_efficiency": Range(0.3, 0.7, 1.0),
    "serial": Range(0.02, 0.1, 1.0),
    "block_s": Range(1e-9, 30e-9, 1e-6),
    "epilogue": Range(1.0, 4.0, 20.0),
    "makespan_tail": Range(0.02, 0.6, 1.0),
    "memory_efficiency": Range(0.4, 0.9, 1.0),
    "usable_l2": Range(0.1, 0.4, 1.0),
    "overlap": Range(1.2, 3.0, 8.0),
    "clock_drop": Range(0.003, 0.05, 0.6),
    "clock_ramp_s": Range(50e-6, 1e-3, 5e-3),
}

DECODE: Final[dict[str, Range]] = {
    "start_s": Range(10e-9, 3e-6, 20e-6),
    "tile_start_s": Range(0.05e-6, 1.5e-6, 8e-6),
    "matrix_efficiency": Range(0.05, 0.4, 1.0),
    "l2_efficiency": Range(0.1, 0.8, 3.0),
    "loaded_latency_s": Range(50e-9, 500e-9, 8e-6),
    "single_start_s": Range(10e-9, 4e-6, 20e-6),
    "single_tile_start_s": Range(0.05e-6, 1.3e-6, 8e-6),
    "single_l2_efficiency": Range(0.02, 0.3, 3.0),
    "vector_efficiency": Range(0.02, 0.2, 1.0),
    "recovered_tail": Range(0.01, 0.5, 1.0),
    "memory_efficiency": Range(0.4, 0.9, 1.0),
    "ramp_s": Range(0.05e-6, 2e-6, 8e-6),
    "usable_l2": Range(0.1, 0.4, 1.0),
    "overlap": Range(1.2, 3.5, 10.0),
    "reduction_s": Range(0.2e-6, 3e-6, 8e-6),
}

RULE: Final = (
    "held back: rows whose sha256 of repr(('held', kind, attn_dtype, kv_cache_dtype, batch_size, isl, num_heads, "
    "num_key_value_heads, head_dim, step)) is a multiple of 4; all others are fitted"
)

_COLUMNS: Final = ("batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "step")
_LEAST: Final = 100


@dataclass(frozen=True, slots=True)
class Timed:
    """Kernels in one pair of formats, [rows] each.

    Attributes:
        made: of the chip, in these formats.
        heads: the problems.
        seconds: measured times.
        held: whether a row is kept out of every fit.
    """

    made: Attentions
    heads: Heads
    seconds: Array
    held: npt.NDArray[np.bool_]

    def where(self, chosen: npt.NDArray[np.bool_]) -> Timed:
        """Some of the rows."""
        return Timed(self.made, self.heads.where(chosen), self.seconds[chosen], self.held[chosen])


def held(row: dict[str, str]) -> bool:
    """Whether a shape is kept out of every fit: a quarter of them, by their hash."""
    key = ("held", row["kind"], row["attn_dtype"], row["kv_cache_dtype"], *(int(row[name]) for name in _COLUMNS))
    return int(hashlib.sha256(repr(key).encode()).hexdigest(), 16) % 4 == 0


def read(file: str | PathLike[str], chip: str, device: str, kind: str) -> tuple[Timed, ...]:
    """Timed kernels by pair of formats; decode rows that no memory allows are left out.

    Args:
        file: CSV with batch_size, isl, num_heads, num_key_value_heads, head_dim, step, attn_dtype, kv_cache_dtype,
            latency_ms, device and kind.
        chip: whose kernels were timed.
        device: its name in the file.
        kind: "context" for prompts, "generation" for decoding.

    Raises:
        RequestError: no such file or column, or a row that is no timed kernel.
    """
    rows: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for row in _rows(Path(file)):
        if (row["device"], row["kind"]) == (device, kind):
            numbers = [float(row[name]) for name in _COLUMNS]
            formats = (FORMATS[row["attn_dtype"]], FORMATS[row["kv_cache_dtype"]])
            rows.setdefault(formats, []).append((*numbers, float(row["latency_ms"]) * 1e-3, float(held(row))))
    found = []
    for (queries, cache), numbers_of in sorted(rows.items()):
        made = attentions(chip, queries, cache)
        batch, length, heads, kv_heads, head_dim, step, seconds, kept = np.array(numbers_of).T
        kv = length + step
        problems = made.heads(batch, length if kind == "context" else 1, kv, heads, kv_heads, head_dim)
        timed = Timed(made, problems, seconds, kept > 0)
        possible = problems.kv_bytes / seconds <= POSSIBLE * made.machine.memory_bytes_per_s
        found.append(timed.where(possible | (kind == "context")))
    return tuple(found)


def _rows(file: Path) -> Iterator[dict[str, str]]:
    needed = (*_COLUMNS, "attn_dtype", "kv_cache_dtype", "latency_ms", "device", "kind")
    for where, row in lines(file, needed):
        unknown = {row["attn_dtype"], row["kv_cache_dtype"]} - set(FORMATS)
        if unknown:
            raise RequestError(f"{where}: format {min(unknown)!r}; known are {', '.join(FORMATS)}")
        yield row


def seconds(timed: Timed, record: Attention, kind: str) -> Array:
    """Ours, what runs before attention included, [rows]."""
    found = np.empty(len(timed.seconds))
    names = (timed.made.queries.name, timed.made.cache.name)
    for width in np.unique(timed.heads.head_dim):
        at = timed.heads.head_dim == width
        found[at] = _seconds(timed.made, timed.heads.where(at), record, kind, (*names, int(width)))
    return found


def _seconds(made: Attentions, heads: Heads, record: Attention, kind: str, key: tuple[str, str, int]) -> Array:
    if kind == "context":
        first = record.prefilling(*key)
        return made.prefill(heads, first, COPIES).seconds + made.prologue_s(heads, first)
    later = record.decoding(*key)
    return made.decode(heads, later, record.dispatch, COPIES).seconds + made.prologue_s(heads, later)


def fit(timed: Sequence[Timed], record: Attention, kind: str, starts: int = 3, warm: bool = False) -> Attention:
    """The constants of prompts, or those of decoding, that fit the rows best.

    Args:
        timed: rows that may be fitted to.
        record: the rows of variants say which constants of theirs are fitted; the dispatch stays.
        kind: one of `KINDS`.
        starts: searches.
        warm: begin with the constants of `record`, not with usual ones.

    Raises:
        RequestError: too few rows.
    """
    count = sum(len(part.seconds) for part in timed)
    if count < _LEAST:
        raise RequestError(f"{count} timed kernels of attention ({kind}); {_LEAST} are the least to fit to")
    spans = PREFILL if kind == "context" else DECODE
    base = record.prefill if kind == "context" else record.decode
    variants = record.prefill_for if kind == "context" else record.decode_for
    own = [
        (row, name)
        for row, variant in enumerate(variants)
        for name in spans
        if getattr(variant, name, None) is not None
    ]
    groups = list(_groups(timed, variants))
    measured = np.concatenate([part.seconds for part, _ in groups])

    def made(point: Array) -> Attention:
        values = [float(f"{value:.4g}") for value in point]
        told = base.model_copy(update=dict(zip(spans, values, strict=False)))
        changed = list(variants)
        for (row, name), value in zip(own, values[len(spans) :], strict=True):
            changed[row] = changed[row].model_copy(update={name: value})
        which = "prefill" if kind == "context" else "decode"
        return record.model_copy(update={which: told, f"{which}_for": tuple(changed)})

    def ours(point: Array) -> Array:
        now = made(point)
        return np.concatenate([_seconds(part.made, part.heads, now, kind, key) for part, key in groups])

    ranges = [*spans.values(), *(spans[name] for _, name in own)]
    begin = [*(getattr(base, name) for name in spans), *(getattr(variants[row], name) for row, name in own)]
    return made(search(ours, measured, ranges, starts, begin if warm else None))


def timed(
    file: str | PathLike[str], chip: str, device: str, base: Attention, *, source: str, starts: int = 3,
    warm: bool = False,
) -> Attention:  # fmt: skip
    """The constants of a chip's attention kernels, with their errors.

    Args:
        file: CSV; see `read`.
        chip: whose kernels were timed.
        device: its name in the file.
        base: whose dispatch and variants are taken.
        source: of the file.
        starts: searches.
        warm: begin with the constants of `base`.

    Raises:
        RequestError: no such file or column, or too few rows.
    """
    record = base
    for kind, name in zip(KINDS, ("prefill", "decode"), strict=True):
        rows = read(file, chip, device, kind)
        record = fit([part.where(~part.held) for part in rows], record, kind, starts, warm)
        told = Fit(
            source=f"{source}; {RULE}", status="measured", device=device, kernel=kind,
            fit=off([part.where(~part.held) for part in rows], record, kind),
            held=off([part.where(part.held) for part in rows], record, kind),
        )  # fmt: skip
        record = record.model_copy(update={f"{name}_provenance": told})
    return record


def off(timed: Sequence[Timed], record: Attention, kind: str) -> Errors:
    """Errors on some rows."""
    return errors(
        np.concatenate([seconds(part, record, kind) for part in timed]),
        np.concatenate([part.seconds for part in timed]),
    )


def _groups(
    timed: Sequence[Timed], variants: Sequence[PrefillVariant | DecodeVariant]
) -> Iterator[tuple[Timed, tuple[str, str, int]]]:
    """Rows that have all constants in common, with what these are looked up by."""
    named = {row.head_dim for row in variants if row.head_dim is not None}
    for part in timed:
        formats = (part.made.queries.name, part.made.cache.name)
        rest = np.ones(len(part.seconds), dtype=bool)
        for width in sorted(named):
            at = part.heads.head_dim == width
            rest &= ~at
            if at.any():
                yield part.where(at), (*formats, width)
        if rest.any():
            yield part.where(rest), (*formats, 0)
