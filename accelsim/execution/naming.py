"""Which tensors of a checkpoint are the weights of an operator: from the graph's names to those of Hugging Face."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from accelsim.errors import RequestError
from accelsim.spec.model import Model

_LAYER: Final = re.compile(r"layers(?:\[(?P<start>\d+):(?P<stop>\d*)(?::(?P<step>\d+))?\])?\.(?P<rest>.+)")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a weight lies.

    Attributes:
        names: tensors of the checkpoint; several are stacked (experts).
        transpose: [out, in] there, [in, out] in the graph.
        part: of so many equal parts of the last axis, which; (0, 1) is all.
    """

    names: tuple[str, ...]
    transpose: bool = False
    part: tuple[int, int] = (0, 1)


@dataclass(frozen=True, slots=True)
class Scheme:
    """The names of a family.

    Attributes:
        outer: names of what belongs to no layer.
        layer: beginning of the names of a layer, with `{i}`.
        inner: names inside a layer; `{e}` counts experts.
        linear: whether matrices of linear layers are [out, in]; [in, out] is the Conv1D of GPT-2.
        merged: parts of one tensor: name, which part, of how many.
    """

    outer: Mapping[str, str]
    layer: str
    inner: Mapping[str, str]
    linear: bool = True
    merged: Mapping[str, tuple[str, int, int]] | None = None


_OUTER: Final = {"token_embedding": "model.embed_tokens", "final_norm": "model.norm", "lm_head": "lm_head"}
_INNER: Final = {
    "attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm",
    **{f"attention.{x}_proj": f"self_attn.{x}_proj" for x in "qkvo"},
    **{f"attention.{x}_norm": f"self_attn.{x}_norm" for x in "qk"},
    **{f"mlp.{x}_proj": f"mlp.{x}_proj" for x in ("gate", "up", "down")},
}  # fmt: skip
_LLAMA: Final = Scheme(_OUTER, "model.layers.{i}.", _INNER)
_MIXTRAL: Final = Scheme(
    _OUTER, "model.layers.{i}.",
    {
        **_INNER, "moe.router": "block_sparse_moe.gate",
        **{
            f"moe.experts.{x}_proj": f"block_sparse_moe.experts.{{e}}.{w}"
            for x, w in (("gate", "w1"), ("up", "w3"), ("down", "w2"))
        },
    },
)  # fmt: skip
_QWEN_MOE: Final = Scheme(
    _OUTER, "model.layers.{i}.",
    {
        **_INNER, "moe.router": "mlp.gate",
        **{f"moe.experts.{x}_proj": f"mlp.experts.{{e}}.{x}_proj" for x in ("gate", "up", "down")},
    },
)  # fmt: skip
_GPT2: Final = Scheme(
    {"token_embedding": "wte", "position_embedding": "wpe", "final_norm": "ln_f", "lm_head": "lm_head"}, "h.{i}.",
    {
        "attention_norm": "ln_1", "mlp_norm": "ln_2", "attention.o_proj": "attn.c_proj", "mlp.up_proj": "mlp.c_fc",
        "mlp.down_proj": "mlp.c_proj",
    },
    linear=False,
    merged={f"attention.{x}_proj": ("attn.c_attn", at, 3) for at, x in enumerate("qkv")},
)  # fmt: skip
_OPT: Final = Scheme(
    {
        "token_embedding": "model.decoder.embed_tokens", "position_embedding": "model.decoder.embed_positions",
        "final_norm": "model.decoder.final_layer_norm", "lm_head": "lm_head",
        "project_in": "model.decoder.project_in", "project_out": "model.decoder.project_out",
    },
    "model.decoder.layers.{i}.",
    {
        "attention_norm": "self_attn_layer_norm", "mlp_norm": "final_layer_norm", "mlp.up_proj": "fc1",
        "mlp.down_proj": "fc2", "attention.o_proj": "self_attn.out_proj",
        **{f"attention.{x}_proj": f"self_attn.{x}_proj" for x in "qkv"},
    },
)  # fmt: skip

SCHEMES: Final[Mapping[str, Scheme]] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), _LLAMA),
    "mixtral": _MIXTRAL, "qwen3_moe": _QWEN_MOE, "gpt2": _GPT2, "opt": _OPT,
}  # fmt: skip
"""Names by family."""

_PREFIXES: Final = ("", "model.", "transformer.", "model.decoder.")
"""Beginnings that some files leave out and others add."""


def scheme_of(model: Model) -> Scheme:
    """The names of a model's family.

    Raises:
        RequestError: a family that is not executed.
    """
    if model.values is None or model.family not in SCHEMES:
        raise RequestError(
            f"{model.name}: the family {model.family} (with its settings) is priced but not executed; executed are "
            f"{', '.join(sorted(SCHEMES))} with plain, linear or llama3 rotary scaling"
        )
    return SCHEMES[model.family]


def split(name: str, repetition: int) -> tuple[int | None, str]:
    """A name of the graph as the layer that it means in one repetition of its block, and the rest."""
    found = _LAYER.fullmatch(name)
    if found is None:
        return None, name
    start, step = int(found["start"] or 0), int(found["step"] or 1)
    return start + repetition * step, found["rest"]


def source(model: Model, layer: int | None, name: str, experts: int = 0) -> Source:
    """Where a weight of the graph lies.

    Args:
        model: its model.
        layer: layer, None for what belongs to none.
        name: the rest of its name in the graph, such as `attention.q_proj.weight`.
        experts: how many are stacked, 0 for a weight that is one tensor.

    Raises:
        RequestError: a weight that the family does not have.
    """
    scheme = scheme_of(model)
    stem, _, kind = name.rpartition(".")
    table = scheme.outer if layer is None else scheme.inner
    start = "" if layer is None else scheme.layer.format(i=layer)
    matrix = kind == "weight" and not stem.endswith(("norm", "embedding"))
    if layer is not None and scheme.merged and stem in scheme.merged:
        tensor, part, parts = scheme.merged[stem]
        return Source((f"{start}{tensor}.{kind}",), matrix and scheme.linear, (part, parts))
    if stem not in table:
        raise RequestError(f"{model.name}: no tensor of {model.family} checkpoints is known for {name}")
    stem = start + table[stem]
    names = tuple(f"{stem.format(e=e)}.{kind}" for e in range(experts)) if experts else (f"{stem}.{kind}",)
    # Conv1D is a layer's; lm_head and the projections beside the embedding are [out, in] everywhere
    return Source(names, matrix and (scheme.linear or layer is None))


def spelt(name: str, known: Mapping[str, object]) -> str | None:
    """The name as a file spells it: with a beginning more or less; None if it is not there."""
    if name in known:
        return name
    bare = name
    for prefix in _PREFIXES[1:]:
        if name.startswith(prefix):
            bare = min(bare, name.removeprefix(prefix), key=len)
    return next((prefix + bare for prefix in _PREFIXES if prefix + bare in known), None)
