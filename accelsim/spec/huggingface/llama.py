"""Decoders of the Llama kind: RMSNorm, rotary positions, gated feed-forward.

Llama, Mistral, Qwen2, Qwen3, Gemma, Gemma-2 and Phi-3 differ by a few facts, which `VARIANTS` lists; the
mixtures of experts among them add their own feed-forward (`experts`). Defaults are those of the
configuration classes of the transformers library (5.23).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from accelsim.spec.huggingface.common import About, even_head_dim, fold, kv_heads, native_format, rotary_dim
from accelsim.spec.huggingface.fields import HEADS, HIDDEN, INTERMEDIATE, POSITIONS, VOCABULARY, Fields
from accelsim.spec.model import Attention, Layer, Mlp, Model, Moe

FeedForwards = Callable[[Fields, int], list[Mlp | Moe]]
"""The feed-forward blocks of a model with that many layers, in order."""

_WINDOW: Final = ("sliding_window",)


def no_window(fields: Fields, layers: int) -> list[int | None]:
    """Every layer sees all positions."""
    return [None] * layers


def all_windowed(default: int | None = None) -> Callable[[Fields, int], list[int | None]]:
    """Every layer sees `sliding_window` positions; `default` holds where the key is absent."""
    return lambda fields, layers: [fields.size_or_none(_WINDOW, default)] * layers


def upper_windowed(fields: Fields, layers: int) -> list[int | None]:
    """Layers from `max_window_layers` on see `sliding_window` positions, if `use_sliding_window` (Qwen2, Qwen3)."""
    window = _switched_window(fields)
    first = fields.size_or_none(("max_window_layers",), 28) or 0
    return _typed(fields, layers, window, lambda number: number >= first)


def even_windowed_below(fields: Fields, layers: int) -> list[int | None]:
    """Even layers below `max_window_layers` see a window, if `use_sliding_window` (Qwen2-MoE)."""
    window = _switched_window(fields)
    last = fields.size_or_none(("max_window_layers",), 28) or 0
    return _typed(fields, layers, window, lambda number: number % 2 == 0 and number < last)


def even_windowed(fields: Fields, layers: int) -> list[int | None]:
    """Layers 0, 2, 4, ... see `sliding_window` positions, the others all (Gemma-2)."""
    return _typed(fields, layers, fields.size_or_none(_WINDOW, 4096), lambda number: number % 2 == 0)


def switched_windowed(fields: Fields, layers: int) -> list[int | None]:
    """Every layer sees `sliding_window` positions, if `use_sliding_window` (Qwen3-MoE)."""
    return [_switched_window(fields)] * layers


def _switched_window(fields: Fields) -> int | None:
    window = fields.size_or_none(_WINDOW, 4096)
    return window if fields.flag("use_sliding_window", False) else None


def _typed(fields: Fields, layers: int, window: int | None, windowed: Callable[[int], bool]) -> list[int | None]:
    """Windows by `layer_types` if the configuration lists them, else by the family's rule."""
    listed = fields.texts("layer_types", ("full_attention", "sliding_attention"), layers)
    if listed is not None:
        return [window if word == "sliding_attention" else None for word in listed]
    return [window if windowed(number) else None for number in range(layers)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What one family of this kind does differently.

    Attributes:
        kv_heads: default of `num_key_value_heads`; None is one per query head.
        head_dim: default of `head_dim`; None is `hidden_size / num_attention_heads`.
        own_head_dim: `head_dim` in the configuration counts.
        qkv_bias: key that switches the bias of Q, K and V, and its default.
        out_bias: the same for the output projection; an empty key is never read.
        mlp_bias: key that switches the biases of the feed-forward; empty where there is none.
        qk_norm: queries and keys are normalised per head.
        norms: norms per layer.
        tied: default of `tie_word_embeddings`.
        activation: keys of the activation function, and its default.
        max_positions: default of `max_position_embeddings`.
        windows: which layers see only a window.
    """

    kv_heads: int | None = None
    head_dim: int | None = None
    own_head_dim: bool = True
    qkv_bias: tuple[str, bool] = ("attention_bias", False)
    out_bias: tuple[str, bool] = ("attention_bias", False)
    mlp_bias: str = ""
    qk_norm: bool = False
    norms: int = 2
    tied: bool = False
    activation: tuple[tuple[str, ...], str] = (("hidden_act",), "silu")
    max_positions: int = 2048
    windows: Callable[[Fields, int], list[int | None]] = no_window


_NONE: Final = ("", False)
_GELU: Final = (("hidden_activation", "hidden_act"), "gelu_pytorch_tanh")

VARIANTS: Final = {
    "llama": Variant(mlp_bias="mlp_bias"),
    "mistral": Variant(
        kv_heads=8, qkv_bias=_NONE, out_bias=_NONE, max_positions=131072, windows=all_windowed(default=4096)
    ),
    "mixtral": Variant(kv_heads=8, qkv_bias=_NONE, out_bias=_NONE, max_positions=131072, windows=all_windowed()),
    "qwen2": Variant(
        kv_heads=32, own_head_dim=False, qkv_bias=("", True), out_bias=_NONE, max_positions=32768,
        windows=upper_windowed,
    ),
    "qwen2_moe": Variant(
        kv_heads=16, own_head_dim=False, qkv_bias=("qkv_bias", True), out_bias=_NONE, max_positions=32768,
        windows=even_windowed_below,
    ),
    "qwen3": Variant(kv_heads=32, head_dim=128, qk_norm=True, max_positions=32768, windows=upper_windowed),
    "qwen3_moe": Variant(kv_heads=4, qk_norm=True, max_positions=32768, windows=switched_windowed),
    "gemma": Variant(kv_heads=16, head_dim=256, tied=True, activation=_GELU, max_positions=8192),
    "gemma2": Variant(
        kv_heads=4, head_dim=256, tied=True, norms=4, activation=_GELU, max_positions=8192, windows=even_windowed
    ),
    "phi3": Variant(own_head_dim=False, qkv_bias=_NONE, out_bias=_NONE, max_positions=4096, windows=all_windowed()),
}  # fmt: skip


def read_llama_like(fields: Fields, about: About, family: str, feed_forwards: FeedForwards | None = None) -> Model:
    """A decoder of one of the `VARIANTS`.

    Args:
        fields: the configuration.
        about: the model's other fields.
        family: its `model_type`.
        feed_forwards: where a family does not repeat one gated block.
    """
    variant = VARIANTS[family]
    hidden, layers, heads = fields.size(HIDDEN), fields.layers(), fields.size(HEADS)
    key_heads = kv_heads(fields, heads, variant.kv_heads)
    head_dim = _head_dim(fields, variant, hidden, heads)
    rope_dim = rotary_dim(fields, head_dim)
    qkv_bias, out_bias = (_switch(fields, switch) for switch in (variant.qkv_bias, variant.out_bias))
    windows = variant.windows(fields, layers)
    blocks = (feed_forwards or _dense)(fields, layers)
    vocabulary, positions = fields.size(VOCABULARY), fields.size(POSITIONS, variant.max_positions)
    tied, stored = fields.flag("tie_word_embeddings", variant.tied), native_format(fields)
    fields.check()
    stack = [
        Layer(
            attention=Attention(
                heads=heads, kv_heads=key_heads, head_dim=head_dim, value_dim=head_dim, rope_dim=rope_dim,
                window=window, qkv_bias=qkv_bias, out_bias=out_bias, qk_norm=variant.qk_norm,
            ),
            feed_forward=block, norm="rms", norm_bias=False, norms=variant.norms,
        )
        for window, block in zip(windows, blocks, strict=True)
    ]  # fmt: skip
    return Model(
        **about, family=family, hidden=hidden, vocabulary=vocabulary, decoder=fold(stack), positions="rope", norm="rms",
        norm_bias=False, lm_head="tied" if tied else "own", max_positions=positions, native_format=stored,
    )  # fmt: skip


def gated_mlp(fields: Fields, family: str, keys: tuple[str, ...] = INTERMEDIATE) -> Mlp:
    """The gated feed-forward of a family; its width is read from `keys`."""
    variant = VARIANTS[family]
    bias = bool(variant.mlp_bias) and fields.flag(variant.mlp_bias, False)
    return Mlp(intermediate=fields.size(keys), gated=True, activation=fields.activation(*variant.activation), bias=bias)


def _dense(fields: Fields, layers: int) -> list[Mlp | Moe]:
    return [gated_mlp(fields, str(fields.get("model_type")))] * layers


def _head_dim(fields: Fields, variant: Variant, hidden: int, heads: int) -> int:
    given = fields.size_or_none(("head_dim",), variant.head_dim) if variant.own_head_dim else None
    return given if given is not None else even_head_dim(fields, hidden, heads)


def _switch(fields: Fields, switch: tuple[str, bool]) -> bool:
    key, default = switch
    return fields.flag(key, default) if key else default
