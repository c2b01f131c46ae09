"""How many parameters a model has, to the single one: biases, norms and tables included.

The totals are those of the published checkpoints, each shared tensor counted once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from accelsim.spec.model import Attention, Group, Layer, Mlp, Model, Moe

PARTS = (
    "embedding", "positions", "attention", "feed_forward", "experts", "router", "norms", "pooler", "lm_head",
)  # fmt: skip
"""Keys of `count_by_part`. `feed_forward` is dense and shared blocks, `experts` the routed ones."""


def count(model: Model) -> int:
    """All parameters of a model."""
    return sum(count_by_part(model).values())


def active(model: Model) -> int:
    """Parameters that one token uses: all but the experts it is not sent to.

    As in published figures, the embedding counts in full although a token reads one row of it.
    """
    idle = _sum_layers(model, lambda layer: Counter(experts=_idle_experts(layer, model.hidden)))
    return count(model) - idle["experts"]


def count_by_part(model: Model) -> dict[str, int]:
    """Parameters by part of the model; a part that the model lacks has no key.

    Returns:
        Counts by `PARTS`, in that order; their sum is `count`.
    """
    width = model.embedding_dim or model.hidden
    norm = _norm(model.hidden, model.norm_bias)
    parts = _sum_layers(model, lambda layer: layer_parts(layer, model.hidden))
    parts["embedding"] += model.vocabulary * width + model.token_types * model.hidden
    if model.embedding_dim:
        parts["embedding"] += 2 * width * model.hidden
    parts["positions"] += model.position_rows * model.hidden
    stacks = [stack for stack in (model.encoder, model.decoder) if stack]
    parts["positions"] += sum(model.relative_buckets * stack[0].layers[0].attention.heads for stack in stacks)
    parts["norms"] += norm * (model.embedding_norm + model.final_norm * len(stacks))
    parts["pooler"] += (model.hidden + 1) * model.hidden * model.pooler
    if model.lm_head == "own":
        parts["lm_head"] += width * model.vocabulary
    parts["lm_head"] += model.vocabulary * model.lm_head_bias
    return {part: parts[part] for part in PARTS if parts[part]}


def layer_parts(layer: Layer, hidden: int) -> Counter[str]:
    """Parameters of one layer, by part."""
    parts: Counter[str] = Counter(norms=layer.norms * _norm(hidden, layer.norm_bias))
    for attention in (layer.attention, layer.cross_attention):
        if attention is not None:
            parts["attention"] += _attention(attention, hidden)
            parts["norms"] += _inner_norms(attention, layer.norm_bias)
    block = layer.feed_forward
    if isinstance(block, Mlp):
        parts["feed_forward"] += _mlp(block, hidden)
        return parts
    parts["experts"] += block.experts * _mlp(block.expert, hidden)
    parts["feed_forward"] += _mlp(block.shared, hidden) if block.shared else 0
    parts["router"] += block.experts * (hidden + block.router_bias) + hidden * block.shared_gate
    return parts


def _sum_layers(model: Model, of_layer: Callable[[Layer], Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    groups: tuple[Group, ...] = (*model.encoder, *model.decoder)
    for group in groups:
        for layer in group.layers:
            for part, number in of_layer(layer).items():
                total[part] += group.repeat * number
    return total


def _norm(width: int, bias: bool) -> int:
    return width * (1 + bias)


def _linear(rows: int, columns: int, bias: bool) -> int:
    return rows * columns + columns * bias


def _mlp(mlp: Mlp, hidden: int) -> int:
    inner = _linear(hidden, mlp.intermediate, mlp.bias) * (1 + mlp.gated)
    return inner + _linear(mlp.intermediate, hidden, mlp.bias)


def _attention(attention: Attention, hidden: int) -> int:
    """Projections of queries, keys, values and output; with a latent, through its ranks."""
    heads, bias, latent = attention.heads, attention.qkv_bias, attention.latent
    queries, values = heads * attention.head_dim, attention.kv_heads * attention.value_dim
    out = _linear(heads * attention.value_dim, hidden, attention.out_bias)
    if latent is None:
        keys = attention.kv_heads * attention.head_dim
        return sum(_linear(hidden, width, bias) for width in (queries, keys, values)) + out
    if latent.q_rank is None:
        query = _linear(hidden, queries, False)
    else:
        query = _linear(hidden, latent.q_rank, bias) + _linear(latent.q_rank, queries, False)
    compress = _linear(hidden, latent.kv_rank + latent.rope_dim, bias)
    expand = _linear(latent.kv_rank, heads * (latent.nope_dim + attention.value_dim), False)
    return query + compress + expand + out


def _inner_norms(attention: Attention, bias: bool) -> int:
    """Norms inside an attention block: of each query and key head, and RMS norms of the latents."""
    per_head = 2 * _norm(attention.head_dim, bias) if attention.qk_norm else 0
    latent = attention.latent
    return per_head + ((latent.q_rank or 0) + latent.kv_rank if latent else 0)


def _idle_experts(layer: Layer, hidden: int) -> int:
    """Parameters of a layer's experts beyond those that a token visits."""
    block = layer.feed_forward
    return (block.experts - block.active) * _mlp(block.expert, hidden) if isinstance(block, Moe) else 0
