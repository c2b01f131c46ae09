"""What the families share: folding equal layers into groups, heads, rotary width, the figures about a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelsim.spec.huggingface.fields import HEADS, HIDDEN, KV_HEADS, Fields, Keys
from accelsim.spec.model import Group, Layer

About = dict[str, Any]
"""Fields of `Model` that do not come from the configuration: name, source, status and so on."""

_FORMATS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float8_e4m3fn": "fp8_e4m3"}
_HEAD_REMEDY = "heads take equal parts of the width; correct one, or give head_dim if this family has it"


def fold(layers: Sequence[Layer]) -> tuple[Group, ...]:
    """Layers in order as few repeating groups: the repetition that covers most comes first, then the rest."""
    numbers: dict[Layer, int] = {}
    kinds = [numbers.setdefault(layer, len(numbers)) for layer in layers]
    groups, at = [], 0
    while at < len(kinds):
        period, repeat = longest_repetition(kinds[at:])
        groups.append(Group(repeat=repeat, layers=tuple(layers[at : at + period])))
        at += period * repeat
    return tuple(groups)


def longest_repetition(kinds: Sequence[int]) -> tuple[int, int]:
    """Length and number of the repetition at the start that covers most; the shorter one among equals."""
    best = (1, 1)
    for period in range(1, len(kinds) // 2 + 1):
        repeat = 1
        while kinds[repeat * period : (repeat + 1) * period] == kinds[:period]:
            repeat += 1
        if repeat > 1 and period * repeat > best[0] * best[1]:
            best = (period, repeat)
        if period * repeat == len(kinds):
            break
    return best


def even_head_dim(fields: Fields, hidden: int, heads: int) -> int:
    """The width of a head where it is not given: an equal part of `hidden`."""
    fields.multiple(HIDDEN, hidden, HEADS, heads, _HEAD_REMEDY)
    return max(1, hidden // heads)


def kv_heads(fields: Fields, heads: int, default: int | None, keys: Keys = KV_HEADS) -> int:
    """Key and value heads: null means one per query head, absent means the family's default (None: the same)."""
    count = fields.size(keys, heads) if fields.has(keys) or default is None else default
    if fields.sound(HEADS, keys) and heads % count:
        given = "" if fields.has(keys) else " (the default of this family)"
        remedy = f"each key head serves the same number of query heads; try a divisor of {heads}"
        fields.fault(keys[0], f"{heads} query heads are not a multiple of {count} KV heads{given}: {remedy}", count)
        return heads
    return count


def rotary_dim(fields: Fields, head_dim: int, key: str = "partial_rotary_factor", default: float = 1.0) -> int:
    """The rotated part of a head; newer configurations keep the factor inside `rope_parameters`."""
    nested = fields.get("rope_parameters")
    value = fields.get(key)
    if value is None and isinstance(nested, dict):
        value = nested.get("partial_rotary_factor")
    return int(head_dim * fields.fraction(key, value, default))


def native_format(fields: Fields) -> str:
    """The format of the published weights; a configuration without `torch_dtype` means fp32, as in transformers."""
    quantized = fields.get("quantization_config")
    if isinstance(quantized, dict) and quantized.get("quant_method") == "fp8":
        return "fp8_e4m3"
    dtype = fields.get("torch_dtype") or fields.get("dtype") or "float32"
    name = str(dtype).removeprefix("torch.")
    if name not in _FORMATS:
        fields.fault("torch_dtype", f"unknown; known: {', '.join(_FORMATS)}", dtype)
    return _FORMATS.get(name, "fp32")
