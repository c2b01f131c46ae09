"""Operators of one attention block, unfused: projections, RoPE, KV append, scores, softmax, context."""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.graph.numbers import Number, minimum
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.spec.format import Format
from accelsim.spec.model import Attention, NormKind, Positions


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
    """Makes operators of one layer; keeps the shape, the formats, the width and how positions enter."""

    def __init__(self, shape: Shape, formats: Formats, hidden: int, positions: Positions = "none") -> None:
        self.shape, self.formats, self.hidden, self.positions = shape, formats, hidden, positions

    def act(self, name: str, *shape: Number) -> Tensor:
        """An activation tensor."""
        return Tensor(name, shape, Role.ACTIVATION, self.formats.activations)

    def rows(self, name: str, width: Number) -> Tensor:
        """An activation with one row per token, [tokens, width]."""
        return self.act(name, self.shape.tokens, width)

    def linear(
        self, name: str, source: str, target: str, k: int, n: int, *, bias: bool = False, wide: bool = False,
        rows: Number | None = None, table: str | None = None,
    ) -> Operator:  # fmt: skip
        """[m, k] x [k, n].

        `rows` replaces the number of tokens, `wide` keeps the weight unquantised, and `table` names the
        weight where it is another operator's, too.
        """
        m = self.shape.tokens if rows is None else rows
        form = self.formats.wide if wide else self.formats.weights
        weight = Tensor(table or f"{name}.weight", (k, n), Role.WEIGHT, form)
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

    def norm(
        self, name: str, source: str, target: str, kind: NormKind, width: int, *, bias: bool, per: int = 1
    ) -> Operator:
        """A norm over the last axis; `per` vectors of that width in each row (QK norm)."""
        rows = self.shape.tokens * per
        weights: tuple[Tensor, ...] = (Tensor(f"{name}.weight", (width,), Role.WEIGHT, self.formats.wide),)
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
        self,
        name: str,
        spec: Attention,
        source: str,
        target: str,
        norm: NormKind,
        *,
        cached: bool,
        norm_bias: bool = False,
    ) -> list[Operator]:
        """Self-attention from `source` to `target`, both [tokens, hidden]; an encoder caches nothing."""
        h, q, kv, v = (
            self.hidden,
            spec.heads * spec.head_dim,
            spec.kv_heads * spec.head_dim,
            spec.kv_heads * spec.value_dim,
        )
        ops = [
            self.linear(f"{name}.q_proj", source, "q", h, q, bias=spec.qkv_bias),
            self.linear(f"{name}.k_proj", source, "k", h, kv, bias=spec.qkv_bias),
            self.linear(f"{name}.v_proj", source, "v", h, v, bias=spec.qkv_bias),
        ]
        if spec.qk_norm:
            ops.append(self.norm(f"{name}.q_norm", "q", "q", norm, spec.head_dim, bias=norm_bias, per=spec.heads))
            ops.append(self.norm(f"{name}.k_norm", "k", "k", norm, spec.head_dim, bias=norm_bias, per=spec.kv_heads))
        if spec.rope_dim:
            ops.append(self.rope(f"{name}.rope", {"q": spec.heads, "k": spec.kv_heads}, spec.head_dim, spec.rope_dim))
        if cached:
            ops.append(self.append(f"{name}.kv_append", {"k": kv, "v": v}))
        ops += self.attend(name, spec, self.shape.query, self.shape.past, self.shape.kv, cached=cached, biased=True)
        ops.append(self.linear(f"{name}.o_proj", "context", target, spec.heads * spec.value_dim, h, bias=spec.out_bias))
        return ops

    def cross_attention(self, name: str, spec: Attention, source: str, target: str, memory: Number) -> list[Operator]:
        """Attention to the `memory` positions of the encoder, whose keys and values are in the cache."""
        width = spec.heads * spec.head_dim
        return [
            self.linear(f"{name}.q_proj", source, "q", self.hidden, width, bias=spec.qkv_bias),
            *self.attend(name, spec, self.shape.query, 0, memory, cached=True, prefix="cross_"),
            self.linear(
                f"{name}.o_proj", "context", target, spec.heads * spec.value_dim, self.hidden, bias=spec.out_bias
            ),
        ]

    def rope(self, name: str, heads: dict[str, int], head_dim: int, rope_dim: int) -> Operator:
        """Rotation of the first `rope_dim` elements of each head, in place; sines come from a table."""
        tokens, total = self.shape.tokens, sum(heads.values())
        table = Tensor(f"{name}.table", (self.shape.query, rope_dim), Role.ACTIVATION, self.formats.activations)

        def rotated(key: str, count: int) -> Tensor:
            whole = self.rows(key, count * head_dim)
            return whole if rope_dim == head_dim else replace(whole, moved=tokens * count * rope_dim)

        tensors = tuple(rotated(key, count) for key, count in heads.items())
        return Operator(
            name=name,
            kind=Kind.ROPE,
            dims={"elements": tokens * total * rope_dim},
            inputs=(*tensors, table),
            outputs=tensors,
        )

    def append(self, name: str, widths: dict[str, int]) -> Operator:
        """New keys and values into the cache, in the cache's format."""
        tokens, form = self.shape.tokens, self.formats.kv_cache
        return Operator(
            name=name, kind=Kind.KV_APPEND, dims={"elements": tokens * sum(widths.values())},
            inputs=tuple(self.rows(key, width) for key, width in widths.items()),
            outputs=tuple(Tensor(f"{key}_cache", (tokens, w), Role.KV_CACHE, form) for key, w in widths.items()),
        )  # fmt: skip

    def attend(
        self, name: str, spec: Attention, query: Number, past: Number, kv: Number, *, cached: bool,
        biased: bool = False, prefix: str = "",
    ) -> list[Operator]:  # fmt: skip
        """Scores, softmax and context as three operators.

        `biased`: positions enter the scores where the model has them there (ALiBi, T5's table).
        `prefix` goes before the names of keys and values.
        """
        b, hk = self.shape.batch, spec.kv_heads
        seen = kv if spec.window is None else minimum(kv, spec.window + query - 1)
        role = Role.KV_CACHE if cached else Role.ACTIVATION
        form = self.formats.kv_cache if cached else self.formats.activations
        suffix = "_cache" if cached else ""
        keys = Tensor(f"{prefix}k{suffix}", (b, seen, hk, spec.head_dim), role, form)
        values = Tensor(f"{prefix}v{suffix}", (b, seen, hk, spec.value_dim), role, form)
        return self.scores_to_context(name, spec, query, past, keys, values, biased=biased)

    def scores_to_context(
        self, name: str, spec: Attention, query: Number, past: Number, keys: Tensor, values: Tensor, *,
        biased: bool = False, shared_kv: bool = False,
    ) -> list[Operator]:  # fmt: skip
        """Scores, softmax and context over the given keys and values, each [batch, positions, KV heads, width].

        `shared_kv`: values are the leading part of the keys (absorbed MLA) and are not read again.
        """
        b, heads = self.shape.batch, spec.heads
        _, seen, hk, d = keys.shape
        dv = values.shape[3]
        dims = {
            "batch": b, "query": query, "kv": seen, "past": seen - query if spec.causal else 0, "heads": heads,
            "kv_heads": hk, "head_dim": d, "value_dim": dv,
        }  # fmt: skip
        positions = self.positions if biased and self.positions in ("alibi", "relative") else None
        attributes = {"causal": spec.causal, "window": spec.window, "shared_kv": shared_kv, "position_bias": positions}
        bias = (self.act("position_bias", heads, query, seen),) if positions == "relative" else ()
        square = (b, heads, query, seen)
        scores, weights = self.act("scores", *square), self.act("probabilities", *square)
        rows = b * heads * query
        return [
            Operator(
                name=f"{name}.scores", kind=Kind.SCORES, dims=dims, inputs=(self.act("q", b, query, heads, d), keys),
                outputs=(scores,), attributes=attributes,
            ),
            Operator(
                name=f"{name}.softmax", kind=Kind.SOFTMAX, dims={"rows": rows, "elements": rows * seen},
                inputs=(scores, *bias), outputs=(weights,), attributes={"position_bias": positions},
            ),
            Operator(
                name=f"{name}.context", kind=Kind.CONTEXT, dims=dims, inputs=(weights, values),
                outputs=(self.act("context", b, query, heads, dv),), attributes=attributes,
            ),
        ]  # fmt: skip
