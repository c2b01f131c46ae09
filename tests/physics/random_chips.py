"""Chips that nobody builds and requests that nobody sends: the bounds of physics hold for all of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from accelsim import catalog
from accelsim.spec.base import Record
from accelsim.spec.device import GpuChip

RATES = (
    "clock.sm.frequency", "sm.register_bandwidth", "sm.shared_bandwidth", "sm.l2_port", "vector.rate", "vector.special",
    "l2.capacity", "l2.bandwidth", "memory.bandwidth", "timing.launch", "timing.memory_latency", "timing.in_flight",
    "sm.shared", "sm.registers", "l2.latency", "power.idle", "energy.memory",
)  # fmt: skip
"""Figures that are drawn within a factor of eight of a real chip's."""

CHIPS = ("h100-sxm", "a100-sxm-80gb", "mi300x", "b200-sxm", "v100")


def gpu(name: str) -> GpuChip:
    """A shipped GPU."""
    chip = catalog.chip(name)
    assert isinstance(chip, GpuChip)
    return chip


def figure(chip: GpuChip, path: str) -> float | int | str:
    """A figure by its dotted path, spelt as in the file, in SI units."""
    value: Any = chip
    parts = path.split(".")
    if parts[0] == "peak":
        value, parts = chip.peak[record_row(chip, int(parts[1]))], parts[2:]
    for part in parts:
        value = value[int(part)] if part.isdigit() else getattr(value, field_of(value, part))
    assert isinstance(value, float | int | str)
    return value


def record_row(chip: GpuChip, row: int) -> int:
    """The first row of the record that stands for a row of `peak` in the file, which may list several pairs."""
    before = [table["operands"] for table in chip.raw["peak"][:row]]
    return sum(1 if isinstance(operands[0], str) else len(operands) for operands in before)


def field_of(record: Record, key: str) -> str:
    """Name of the field that a file spells `key`."""
    fields = type(record).model_fields.items()
    return next(name for name, field in fields if key in (name, field.alias))


def scaled(chip: GpuChip, factors: dict[str, float]) -> GpuChip:
    """The chip with some figures multiplied; whole numbers stay whole and at least 1."""
    changed: dict[str, object] = {}
    for path, factor in factors.items():
        value = figure(chip, path)
        assert not isinstance(value, str)
        changed[path] = max(1, round(value * factor)) if isinstance(value, int) else value * factor
    return chip.with_(changed)


@st.composite
def chips(draw: st.DrawFn) -> GpuChip:
    """A shipped GPU with up to six figures changed by a factor of up to eight, and any number of SMs."""
    chip = gpu(draw(st.sampled_from(CHIPS)))
    paths = draw(st.lists(st.sampled_from(RATES), unique=True, max_size=6))
    factors = {path: 2.0 ** draw(st.integers(-3, 3)) for path in paths}
    factors |= {
        f"peak.{index}.rate": factors["vector.rate"]
        for index in range(len(chip.raw["peak"]))
        if "vector.rate" in factors
    }
    if draw(st.booleans()):
        factors["sm.count"] = draw(st.floats(0.01, 2))
    return scaled(chip, factors)


sizes = st.one_of(st.integers(1, 200), st.integers(1, 5000))


@st.composite
def operators(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A single operator for `simulate_operator`."""
    kind = draw(
        st.sampled_from(["matmul", "attention", "softmax", "layernorm", "rmsnorm", "gelu", "silu", "add", "mul"])
    )
    if kind == "matmul":
        return kind, {"m": draw(sizes), "n": draw(sizes), "k": draw(sizes), "batch": draw(st.sampled_from([1, 1, 3]))}
    if kind == "attention":
        query, kv_heads = draw(sizes), draw(st.sampled_from([1, 2, 8]))
        return kind, {
            "query": query,
            "kv": query + draw(st.sampled_from([0, 0, 5, 1000, 30_000])),
            "heads": kv_heads * draw(st.sampled_from([1, 4, 7])),
            "kv_heads": kv_heads,
            "head_dim": draw(st.sampled_from([32, 64, 80, 128])),
            "causal": draw(st.booleans()),
            "batch": draw(st.sampled_from([1, 1, 4])),
        }
    if kind in ("softmax", "layernorm", "rmsnorm"):
        return kind, {"rows": draw(sizes), "columns": draw(sizes)}
    return kind, {"elements": draw(st.integers(1, 10**7))}
