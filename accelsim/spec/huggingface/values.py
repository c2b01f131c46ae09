"""What the numbers of a model depend on: epsilons, rotary frequencies, routing; by family, from a configuration.

Defaults are those of the configuration classes of the transformers library (5.23).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from accelsim.spec.huggingface.fields import Fields
from accelsim.spec.model import RopeScaling, Values

_RMS: Final = ("rms_norm_eps",)
_LAYER: Final = ("layer_norm_epsilon", "layer_norm_eps")

_ROTARY: Final[Mapping[str, tuple[float, float]]] = {
    "llama": (1e-6, 1e4), "mistral": (1e-6, 1e4), "mixtral": (1e-5, 1e6), "qwen2": (1e-6, 1e4), "qwen3": (1e-6, 1e4),
    "qwen3_moe": (1e-6, 1e4),
}  # fmt: skip
"""Epsilon and base of the rotary frequencies where a configuration has none."""

_RENORMALIZE: Final[Mapping[str, bool]] = {"mixtral": True, "qwen3_moe": False}
"""Default of `norm_topk_prob`."""

_PLAIN: Final = ("default", None)
_LINEAR: Final = "linear"
_LLAMA3: Final = "llama3"


def read_values(fields: Fields, family: str) -> Values | None:
    """The values of a family that can be executed, None for another.

    A fault is noted for figures that are no numbers; a rotary scaling that is not computed gives None.
    """
    if family == "gpt2":
        return None if _varied(fields) else Values(norm_epsilon=_number(fields, _LAYER, 1e-5))
    if family == "opt":
        return Values(norm_epsilon=1e-5, position_offset=2)  # fixed in the family's code
    if family not in _ROTARY:
        return None
    epsilon, theta = _ROTARY[family]
    nested = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    if not isinstance(nested, Mapping):
        fields.fault("rope_scaling", "expected a table", nested)
        return None
    base = fields.get("rope_theta") or nested.get("rope_theta") or theta
    if isinstance(base, bool) or not isinstance(base, (int, float)) or base <= 1:
        fields.fault("rope_theta", "expected a number above 1", base)
        return None
    kind = nested.get("rope_type", nested.get("type"))
    scaling = _llama3(fields, nested) if kind == _LLAMA3 else None
    if kind not in (*_PLAIN, _LINEAR, _LLAMA3) or (kind == _LLAMA3 and scaling is None):
        return None
    renormalize = fields.flag("norm_topk_prob", _RENORMALIZE.get(family, True)) if family != "mixtral" else True
    return Values(
        norm_epsilon=_number(fields, _RMS, epsilon), rope_theta=float(base), rope_scaling=scaling,
        rope_factor=float(nested.get("factor", 1.0)) if kind == _LINEAR else 1.0, renormalize=renormalize,
    )  # fmt: skip


def _llama3(fields: Fields, nested: Mapping[str, object]) -> RopeScaling | None:
    keys = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    found = [nested.get(key) for key in keys]
    for key, value in zip(keys, found, strict=True):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            fields.fault(f"rope_scaling.{key}", "expected a number above 0", value)
            return None
    factor, low, high, original = (float(value) for value in found)  # type: ignore[arg-type]  # checked above
    return RopeScaling(factor=factor, low=low, high=high, original_positions=int(original))


def _varied(fields: Fields) -> bool:
    """GPT-2 with another scale of the scores than 1 / sqrt(head_dim)."""
    return not fields.flag("scale_attn_weights", True) or fields.flag("scale_attn_by_inverse_layer_idx", False)


def _number(fields: Fields, keys: tuple[str, ...], default: float) -> float:
    key = next((key for key in keys if fields.get(key) is not None), keys[0])
    value = fields.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        fields.fault(key, "expected a number above 0 and below 1", value)
        return default
    return float(value)
