"""What the weights of the operator graph are called in the checkpoints of Hugging Face.

Families: llama, mistral, qwen2, qwen3, qwen3_moe, mixtral, gpt2 and opt, by the module names of the transformers
library (5.23). This is the only table of names; `accelsim.weights.naming` adds shapes to it, and the execution asks it
where a weight lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from accelsim.errors import CheckpointError, RequestError, did_you_mean
from accelsim.spec.model import Model


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
    {
        "token_embedding": "transformer.wte", "position_embedding": "transformer.wpe",
        "final_norm": "transformer.ln_f", "lm_head": "lm_head",
    },
    "transformer.h.{i}.",
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


def scheme(model: Model) -> Scheme:
    """The names of a model's family.

    Raises:
        CheckpointError: a family whose names are not known.
    """
    found = SCHEMES.get(model.family)
    if found is None:
        raise CheckpointError(
            f"{model.name}: the tensor names of family {model.family!r} are not known"
            f"{did_you_mean(model.family, SCHEMES)}; known: {', '.join(sorted(SCHEMES))}"
        )
    return found


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
    names = scheme(model)
    stem, _, kind = name.rpartition(".")
    table = names.outer if layer is None else names.inner
    start = "" if layer is None else names.layer.format(i=layer)
    matrix = kind == "weight" and not stem.endswith(("norm", "embedding"))
    if layer is not None and names.merged and stem in names.merged:
        tensor, part, parts = names.merged[stem]
        return Source((f"{start}{tensor}.{kind}",), matrix and names.linear, (part, parts))
    if stem not in table:
        raise RequestError(f"{model.name}: no tensor of {model.family} checkpoints is known for {name}")
    stem = start + table[stem]
    found = tuple(f"{stem.format(e=e)}.{kind}" for e in range(experts)) if experts else (f"{stem}.{kind}",)
    # Conv1D is a layer's; lm_head and the projections beside the embedding are [out, in] everywhere
    return Source(found, matrix and (names.linear or layer is None))


def spelt(name: str, known: Mapping[str, object]) -> str | None:
    """The name as a file spells it: with a beginning more or less; None if it is not there."""
    if name in known:
        return name
    bare = name
    for prefix in _PREFIXES[1:]:
        if name.startswith(prefix):
            bare = min(bare, name.removeprefix(prefix), key=len)
    return next((prefix + bare for prefix in _PREFIXES if prefix + bare in known), None)
