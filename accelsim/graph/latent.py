"""Operators of multi-head latent attention (MLA) of DeepSeek-V2 and V3."""

from __future__ import annotations

from dataclasses import replace

from accelsim.graph.attention import Build
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.spec.model import Attention, Latent, NormKind


def attention(
    build: Build, name: str, spec: Attention, latent: Latent, source: str, target: str, norm: NormKind
) -> list[Operator]:
    """Self-attention from `source` to `target`, both [tokens, hidden].

    Over a prompt keys and values are expanded from the latent; one token at a time, the expansion is
    absorbed into query and output, and attention reads the latent cache as one shared head.
    """
    ops = [
        *_queries(build, name, spec, latent, source, norm),
        _compress(build, name, spec, latent, source),
        build.norm(f"{name}.kv_a_norm", "latent", "latent", norm, latent.kv_rank, bias=False),
        _rope(build, name, spec, latent),
        _append(build, name, latent),
    ]
    ops += (_absorbed if build.shape.decode else _expanded)(build, name, spec, latent)
    ops.append(
        build.linear(f"{name}.o_proj", "context", target, spec.heads * spec.value_dim, build.hidden, bias=spec.out_bias)
    )
    return ops


def _queries(build: Build, name: str, spec: Attention, latent: Latent, source: str, norm: NormKind) -> list[Operator]:
    width = spec.heads * spec.head_dim
    if latent.q_rank is None:
        return [build.linear(f"{name}.q_proj", source, "q", build.hidden, width)]
    return [
        build.linear(f"{name}.q_a_proj", source, "q_latent", build.hidden, latent.q_rank, bias=spec.qkv_bias),
        build.norm(f"{name}.q_a_norm", "q_latent", "q_latent", norm, latent.q_rank, bias=False),
        build.linear(f"{name}.q_b_proj", "q_latent", "q", latent.q_rank, width),
    ]


def _compress(build: Build, name: str, spec: Attention, latent: Latent, source: str) -> Operator:
    """One matrix gives the latent and the rotary key that all heads share."""
    op = build.linear(
        f"{name}.kv_a_proj", source, "latent", build.hidden, latent.kv_rank + latent.rope_dim, bias=spec.qkv_bias
    )
    return replace(op, outputs=(build.rows("latent", latent.kv_rank), build.rows("k_rope", latent.rope_dim)))


def _rope(build: Build, name: str, spec: Attention, latent: Latent) -> Operator:
    """The rotary part of every query head and the one rotary key, in place."""
    tokens, width = build.shape.tokens, latent.rope_dim
    op = build.rope(f"{name}.rope", {"q": spec.heads, "k_rope": 1}, width, width)
    q = replace(build.rows("q", spec.heads * spec.head_dim), moved=tokens * spec.heads * width)
    return replace(op, inputs=(q, *op.inputs[1:]), outputs=(q, *op.outputs[1:]))


def _append(build: Build, name: str, latent: Latent) -> Operator:
    tokens, width = build.shape.tokens, latent.kv_rank + latent.rope_dim
    return Operator(
        name=f"{name}.kv_append", kind=Kind.KV_APPEND, dims={"elements": tokens * width},
        inputs=(build.rows("latent", latent.kv_rank), build.rows("k_rope", latent.rope_dim)),
        outputs=(Tensor("k_cache", (tokens, width), Role.KV_CACHE, build.formats.kv_cache),),
    )  # fmt: skip


def _expanded(build: Build, name: str, spec: Attention, latent: Latent) -> list[Operator]:
    """Attention over the prompt: a key of `nope_dim` and a value per head, the rotary key read once for all heads."""
    shape, heads = build.shape, spec.heads
    expand = build.linear(
        f"{name}.kv_b_proj", "latent", "k", latent.kv_rank, heads * (latent.nope_dim + spec.value_dim)
    )
    outputs = (build.rows("k", heads * latent.nope_dim), build.rows("v", heads * spec.value_dim))
    read = shape.batch * shape.kv * (heads * latent.nope_dim + latent.rope_dim)
    keys = replace(build.act("k", shape.batch, shape.kv, heads, spec.head_dim), moved=read)
    values = build.act("v", shape.batch, shape.kv, heads, spec.value_dim)
    return [
        replace(expand, outputs=outputs),
        *build.scores_to_context(name, spec, shape.query, shape.past, keys, values),
    ]


def _absorbed(build: Build, name: str, spec: Attention, latent: Latent) -> list[Operator]:
    """Attention of one token: queries and outputs go through `kv_b_proj`, keys and values stay compressed."""
    shape, heads, form = build.shape, spec.heads, build.formats.kv_cache
    keys = Tensor("k_cache", (shape.batch, shape.kv, 1, latent.kv_rank + latent.rope_dim), Role.KV_CACHE, form)
    values = Tensor("k_cache", (shape.batch, shape.kv, 1, latent.kv_rank), Role.KV_CACHE, form, moved=0)
    return [
        build.per_head(f"{name}.q_absorb", "q", "q", heads, latent.nope_dim, latent.kv_rank),
        *build.scores_to_context(name, spec, shape.query, shape.past, keys, values, shared_kv=True),
        build.per_head(f"{name}.v_absorb", "context", "context", heads, latent.kv_rank, spec.value_dim),
    ]
