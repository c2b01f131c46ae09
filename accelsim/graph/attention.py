"""Operators of one attention block, unfused: projections, RoPE, KV append, scores, softmax, context."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.numbers import Number, minimum
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.spec.format import Format
from accelsim.spec.model import Attention, Latent, NormKind


@dataclass(frozen=True, slots=True)
class Formats:
    """Storage formats of one run.

    Attributes:
        weights: weights of the linear layers and experts.
        activations: everything that flows between operators.
        kv_cache: keys and values.
        wide: weights that stay unquantised: embedding, norms, router, lm_head.
    """

    weights: Format
    activations: Format
    kv_cache: Format
    wide: Format


@dataclass(frozen=True, slots=True)
class Shape:
    """Who looks at whom in one phase.

    Attributes:
        batch: sequences.
        query: new positions per sequence.
        past: positions before them.
        decode: one token per sequence and step; latent attention then runs in its absorbed form.
    """

    batch: Number
    query: Number
    past: Number
    decode: bool = False

    @property
    def kv(self) -> Number:
        """Positions in the cache once the new ones are appended."""
        return self.past + self.query

    @property
    def tokens(self) -> Number:
        """Rows of the residual stream."""
        return self.batch * self.query


class Build:
    """Makes operators of one layer; keeps the prefix, the formats and the shape."""

    def __init__(self, shape: Shape, formats: Formats, hidden: int) -> None:
        self.shape, self.formats, self.hidden = shape, formats, hidden

    def act(self, name: str, *shape: Number) -> Tensor:
        """An activation tensor."""
        return Tensor(name, shape, Role.ACTIVATION, self.formats.activations)

    def rows(self, name: str, width: Number) -> Tensor:
        """An activation with one row per token, [tokens, width]."""
        return self.act(name, self.shape.tokens, width)

    def linear(
        self, name: str, source: str, target: str, k: int, n: int, *, bias: bool = False, wide: bool = False,
        rows: Number | None = None,
    ) -> Operator:  # fmt: skip
        """[m, k] x [k, n]; `rows` replaces the number of tokens, `wide` keeps the weight unquantised."""
        m = self.shape.tokens if rows is None else rows
        form = self.formats.wide if wide else self.formats.weights
        weight = Tensor(f"{name}.weight", (k, n), Role.WEIGHT, form)
        inputs: tuple[Tensor, ...] = (self.act(source, m, k), weight)
        if bias:
            inputs += (Tensor(f"{name}.bias", (n,), Role.WEIGHT, self.formats.wide),)
        return Operator(
            name=name, kind=Kind.MATMUL, dims={"m": m, "n": n, "k": k, "batch": 1}, inputs=inputs,
            outputs=(self.act(target, m, n),),
        )  # fmt: skip

    def per_head(self, name: str, source: str, target: str, heads: int, k: int, n: int) -> Operator:
        """One [tokens, k] x [k, n] per head, with a weight of its own each (absorbed MLA projections)."""
        m = self.shape.tokens
        weight = Tensor(f"{name}.weight", (heads, k, n), Role.WEIGHT, self.formats.weights)
        return Operator(
            name=name, kind=Kind.MATMUL, dims={"m": m, "n": n, "k": k, "batch": heads},
            inputs=(self.act(source, m, heads, k), weight), outputs=(self.act(target, m, heads, n),),
        )  # fmt: skip

    def norm(self, name: str, source: str, target: str, kind: NormKind, width: int, *, bias: bool, per: int = 1) -> Operator:
        """A norm over the last axis; `per` vectors of that width in each row (QK norm)."""
        rows = self.shape.tokens * per
        weights = (Tensor(f"{name}.weight", (width,), Role.WEIGHT, self.formats.wide),)
        if bias:
            weights += (Tensor(f"{name}.bias", (width,), Role.WEIGHT, self.formats.wide),)
        return Operator(
            name=name, kind=Kind.NORM, dims={"rows": rows, "elements": rows * width},
            inputs=(self.act(source, rows, width), *weights), outputs=(self.act(target, rows, width),),
            attributes={"norm": kind},
        )  # fmt: skip

    def add(self, name: str, first: str, second: str, target: str) -> Operator:
        """Residual addition of two [tokens, hidden] tensors."""
        elements = self.shape.tokens * self.hidden
        return Operator(
            name=name, kind=Kind.ADD, dims={"elements": elements},
            inputs=(self.rows(first, self.hidden), self.rows(second, self.hidden)),
            outputs=(self.rows(target, self.hidden),),
        )  # fmt: skip

    # attention ---------------------------------------------------------------------------------

    def attention(
        self, name: str, spec: Attention, source: str, target: str, norm: NormKind, *, cached: bool
    ) -> list[Operator]:
        """Self-attention from `source` to `target`, both [tokens, hidden]; an encoder caches nothing."""
        if spec.latent is not None:
            return self._latent(name, spec, spec.latent, source, target, norm)
        h, q, kv, v = self.hidden, spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim, spec.kv_heads * spec.value_dim
        ops = [
            self.linear(f"{name}.q_proj", source, "q", h, q, bias=spec.qkv_bias),
            self.linear(f"{name}.k_proj", source, "k", h, kv, bias=spec.qkv_bias),
            self.linear(f"{name}.v_proj", source, "v", h, v, bias=spec.qkv_bias),
        ]
        if spec.qk_norm:
            ops.append(self.norm(f"{name}.q_norm", "q", "q", norm, spec.head_dim, bias=False, per=spec.heads))
            ops.append(self.norm(f"{name}.k_norm", "k", "k", norm, spec.head_dim, bias=False, per=spec.kv_heads))
        if spec.rope_dim:
            ops.append(self.rope(f"{name}.rope", {"q": spec.heads, "k": spec.kv_heads}, spec.head_dim, spec.rope_dim))
        if cached:
            ops.append(self.append(f"{name}.kv_append", {"k": kv, "v": v}))
        ops += self.attend(name, spec, self.shape.query, self.shape.past, self.shape.kv, cached=cached)
        ops.append(self.linear(f"{name}.o_proj", "context", target, spec.heads * spec.value_dim, h, bias=spec.out_bias))
        return ops

    def cross_attention(self, name: str, spec: Attention, source: str, target: str, memory: Number) -> list[Operator]:
        """Attention to the `memory` positions of the encoder, whose keys and values are in the cache."""
        width = spec.heads * spec.head_dim
        return [
            self.linear(f"{name}.q_proj", source, "q", self.hidden, width, bias=spec.qkv_bias),
            *self.attend(name, spec, self.shape.query, 0, memory, cached=True),
            self.linear(f"{name}.o_proj", "context", target, spec.heads * spec.value_dim, self.hidden, bias=spec.out_bias),
        ]

    def rope(self, name: str, heads: dict[str, int], head_dim: int, rope_dim: int) -> Operator:
        """Rotation of the first `rope_dim` elements of each head, in place; sines come from a table."""
        tokens, total = self.shape.tokens, sum(heads.values())
        table = Tensor(f"{name}.table", (self.shape.query, rope_dim), Role.ACTIVATION, self.formats.activations)
        return Operator(
            name=name, kind=Kind.ROPE, dims={"elements": tokens * total * rope_dim},
            inputs=(*(self.rows(key, count * head_dim) for key, count in heads.items()), table),
            outputs=tuple(self.rows(key, count * head_dim) for key, count in heads.items()),
        )  # fmt: skip

    def append(self, name: str, widths: dict[str, int]) -> Operator:
        """New keys and values into the cache, in the cache's format."""
        tokens = self.shape.tokens
        return Operator(
            name=name, kind=Kind.KV_APPEND, dims={"elements": tokens * sum(widths.values())},
            inputs=tuple(self.rows(key, width) for key, width in widths.items()),
            outputs=tuple(Tensor(f"{key}_cache", (tokens, w), Role.KV_CACHE, self.formats.kv_cache) for key, w in widths.items()),
        )  # fmt: skip

    def attend(
        self, name: str, spec: Attention, query: Number, past: Number, kv: Number, *, cached: bool, shared_kv: bool = False,
        head_dim: int | None = None, value_dim: int | None = None, kv_heads: int | None = None,
    ) -> list[Operator]:  # fmt: skip
        """Scores, softmax and context as three operators.

        `shared_kv`: values are the leading part of the keys (absorbed MLA) and are not read again.
        """
        d, dv, hk = head_dim or spec.head_dim, value_dim or spec.value_dim, kv_heads or spec.kv_heads
        b, heads = self.shape.batch, spec.heads
        seen = kv if spec.window is None else minimum(kv, spec.window + query - 1)
        role = Role.KV_CACHE if cached else Role.ACTIVATION
        form = self.formats.kv_cache if role is Role.KV_CACHE else self.formats.activations
        suffix = "_cache" if role is Role.KV_CACHE else ""
        keys = Tensor(f"k{suffix}", (b, seen, hk, d), role, form)
        values = Tensor(f"v{suffix}", (b, seen, hk, dv), role, form, moved=0 if shared_kv else None)
        square = (b, heads, query, seen)
        dims = {
            "batch": b, "query": query, "kv": seen, "past": seen - query if spec.causal else 0, "heads": heads,
            "kv_heads": hk, "head_dim": d, "value_dim": dv,
        }  # fmt: skip
        attributes = {"causal": spec.causal, "window": spec.window, "shared_kv": shared_kv}
        q = self.act("q", b, query, heads, d)
        scores, weights = self.act("scores", *square), self.act("probabilities", *square)
        rows = b * heads * query
        return [
            Operator(name=f"{name}.scores", kind=Kind.SCORES, dims=dims, inputs=(q, keys), outputs=(scores,), attributes=attributes),
            Operator(
                name=f"{name}.softmax", kind=Kind.SOFTMAX, dims={"rows": rows, "elements": rows * seen},
                inputs=(scores,), outputs=(weights,),
            ),
            Operator(
                name=f"{name}.context", kind=Kind.CONTEXT, dims=dims, inputs=(weights, values),
                outputs=(self.act("context", b, query, heads, dv),), attributes=attributes,
            ),
        ]  # fmt: skip

    def _latent(self, name: str, spec: Attention, latent: Latent, source: str, target: str, norm: NormKind) -> list[Operator]:
        """MLA. Over a prompt keys and values are expanded; one token at a time, the expansion is
        absorbed into query and output, and attention reads the latent cache as one shared head."""
        h, heads = self.hidden, spec.heads
        q_width = heads * spec.head_dim
        if latent.q_rank is None:
            ops = [self.linear(f"{name}.q_proj", source, "q", h, q_width)]
        else:
            ops = [
                self.linear(f"{name}.q_a_proj", source, "q_latent", h, latent.q_rank),
                self.norm(f"{name}.q_a_norm", "q_latent", "q_latent", norm, latent.q_rank, bias=False),
                self.linear(f"{name}.q_b_proj", "q_latent", "q", latent.q_rank, q_width),
            ]
        width = latent.kv_rank + latent.rope_dim
        ops += [
            self.linear(f"{name}.kv_a_proj", source, "k", h, width),
            self.norm(f"{name}.kv_a_norm", "k", "k", norm, latent.kv_rank, bias=False),
            self.rope(f"{name}.rope", {"q": heads, "k": 1}, latent.rope_dim, latent.rope_dim),
            self.append(f"{name}.kv_append", {"k": width}),
        ]
        if self.shape.decode:
            ops.append(self.per_head(f"{name}.q_absorb", "q", "q", heads, latent.nope_dim, latent.kv_rank))
            ops += self.attend(
                name, spec, self.shape.query, self.shape.past, self.shape.kv, cached=True, shared_kv=True,
                head_dim=width, value_dim=latent.kv_rank, kv_heads=1,
            )  # fmt: skip
            ops.append(self.per_head(f"{name}.v_absorb", "context", "context", heads, latent.kv_rank, spec.value_dim))
        else:
            expanded = heads * (latent.nope_dim + spec.value_dim)
            ops.append(self.linear(f"{name}.kv_b_proj", "k", "k", latent.kv_rank, expanded))
            ops += self.attend(name, spec, self.shape.query, self.shape.past, self.shape.kv, cached=False)
        ops.append(self.linear(f"{name}.o_proj", "context", target, heads * spec.value_dim, h))
        return ops
