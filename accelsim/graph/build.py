"""Model record and request -> the operator graphs of prefill and of one decode step."""

from __future__ import annotations

from accelsim.graph import feed_forward
from accelsim.graph.attention import Build, Formats, Shape
from accelsim.graph.numbers import Number
from accelsim.graph.operator import Block, Graph, Kind, Operator, Role, Tensor
from accelsim.graph.routing import Routing
from accelsim.spec.model import Group, Layer, Mlp, Model

UNIFORM = Routing()


def prefill(
    model: Model, *, batch: Number, prompt: Number, formats: Formats, logits: str = "last", routing: Routing = UNIFORM
) -> Graph:
    """The pass over the prompt, which also yields the first token.

    Args:
        model: the model.
        batch: sequences.
        prompt: tokens per sequence.
        formats: storage formats.
        logits: "last": lm_head sees the last position only; "all": every position.
        routing: popularity of experts.
    """
    shape = Shape(batch, prompt, 0)
    blocks: list[Block] = []
    if model.encoder:
        blocks += _stack(model, model.encoder, "encoder" if model.decoder else "layers", shape, formats, routing, prompt)
        if model.decoder:  # the decoder starts on one token; the prompt's keys and values are made once
            blocks.append(_cross_keys(model, shape, formats))
            shape = Shape(batch, 1, 0)
    if model.decoder:
        blocks += _stack(model, model.decoder, "layers", shape, formats, routing, prompt)
    blocks += _head(model, shape, formats, logits)
    return Graph(model.name, "prefill", tuple(blocks))


def decode(
    model: Model, *, batch: Number, prompt: Number, step: Number, formats: Formats, routing: Routing = UNIFORM
) -> Graph:
    """Decode step `step` (from 1): one token per sequence, attending to prompt + step positions.

    An encoder-decoder model attends to `step + 1` own positions and to the `prompt` of the encoder.
    """
    past = step if model.encoder else prompt + step - 1
    shape = Shape(batch, 1, past, decode=True)
    blocks = _stack(model, model.decoder, "layers", shape, formats, routing, prompt)
    blocks += _head(model, shape, formats, "last")
    return Graph(model.name, "decode", tuple(blocks))


def _stack(
    model: Model, groups: tuple[Group, ...], prefix: str, shape: Shape, formats: Formats, routing: Routing, memory: Number
) -> list[Block]:
    blocks = [_embedding(model, shape, formats, "" if prefix == "layers" else f"{prefix}.")]
    total = sum(group.repeat * len(group.layers) for group in groups)
    first = 0
    for group in groups:
        span = len(group.layers)
        ops: list[Operator] = []
        for index, layer in enumerate(group.layers):
            name = _layer_name(prefix, first + index, span, group.repeat, total)
            ops += _layer(model, layer, name, shape, formats, routing, memory)
        label = f"{prefix}[{first}:{first + span * group.repeat}]"
        blocks.append(Block(label, group.repeat, tuple(ops)))
        first += span * group.repeat
    return blocks


def _layer_name(prefix: str, start: int, span: int, repeat: int, total: int) -> str:
    """`layers` where all are alike, else the slice that is: `layers[3:61]`, `layers[1::2]`."""
    if span == 1 and repeat == total:
        return prefix
    if span == 1:
        return f"{prefix}[{start}:{start + repeat}]"
    stop = start - start % span + span * repeat
    return f"{prefix}[{start}::{span}]" if stop >= total else f"{prefix}[{start}:{stop}:{span}]"


def _layer(
    model: Model, layer: Layer, name: str, shape: Shape, formats: Formats, routing: Routing, memory: Number
) -> list[Operator]:
    build = Build(shape, formats, model.hidden)
    h, kind, bias = model.hidden, layer.norm, layer.norm_bias
    cached = bool(model.decoder) and not name.startswith("encoder")

    def norm(part: str, source: str, target: str) -> Operator:
        return build.norm(f"{name}.{part}", source, target, kind, h, bias=bias)

    def feed(source: str, target: str) -> list[Operator]:
        block = layer.feed_forward
        if isinstance(block, Mlp):
            return feed_forward.mlp(build, f"{name}.mlp", block, source, target)
        return feed_forward.moe(build, f"{name}.moe", block, source, target, routing)

    if layer.parallel:
        ops = [norm("attention_norm", "hidden", "normed")]
        inner = "normed"
        if layer.norms > 1:
            ops.append(norm("mlp_norm", "hidden", "mlp_normed"))
            inner = "mlp_normed"
        ops += build.attention(f"{name}.attention", layer.attention, "normed", "attended", kind, cached=cached)
        ops += feed(inner, "fed")
        ops.append(build.add(f"{name}.attention_add", "hidden", "attended", "hidden"))
        ops.append(build.add(f"{name}.mlp_add", "hidden", "fed", "hidden"))
        return ops
    ops = [norm("attention_norm", "hidden", "normed")]
    ops += build.attention(f"{name}.attention", layer.attention, "normed", "attended", kind, cached=cached)
    if layer.norms == 4:
        ops.append(norm("attention_post_norm", "attended", "attended"))
    ops.append(build.add(f"{name}.attention_add", "hidden", "attended", "hidden"))
    if layer.cross_attention is not None:
        ops.append(norm("cross_norm", "hidden", "normed"))
        ops += build.cross_attention(f"{name}.cross_attention", layer.cross_attention, "normed", "attended", memory)
        ops.append(build.add(f"{name}.cross_add", "hidden", "attended", "hidden"))
    ops.append(norm("mlp_norm", "hidden", "normed"))
    ops += feed("normed", "fed")
    if layer.norms == 4:
        ops.append(norm("mlp_post_norm", "fed", "fed"))
    ops.append(build.add(f"{name}.mlp_add", "hidden", "fed", "hidden"))
    return ops


def _embedding(model: Model, shape: Shape, formats: Formats, prefix: str) -> Block:
    build = Build(shape, formats, model.hidden)
    tokens, h = shape.tokens, model.hidden
    tables = [("token", model.vocabulary)]
    if model.position_rows:
        tables.append(("position", model.position_rows))
    if model.token_types:
        tables.append(("token_type", model.token_types))
    weights = tuple(
        Tensor(f"{name}_embedding.weight", (rows, h), Role.WEIGHT, formats.wide, moved=tokens * h) for name, rows in tables
    )
    ops = [
        Operator(
            name=f"{prefix}embedding", kind=Kind.EMBEDDING, dims={"elements": tokens * h, "tables": len(tables)},
            inputs=weights, outputs=(build.rows("hidden", h),),
        )
    ]  # fmt: skip
    if model.embedding_norm:
        ops.append(build.norm(f"{prefix}embedding_norm", "hidden", "hidden", model.norm, h, bias=model.norm_bias))
    return Block(f"{prefix}embedding", 1, tuple(ops))


def _cross_keys(model: Model, shape: Shape, formats: Formats) -> Block:
    """Keys and values of every decoder layer over the encoder's output, kept for all steps."""
    build = Build(shape, formats, model.hidden)
    layer = model.decoder[0].layers[0]
    spec = layer.cross_attention
    ops: list[Operator] = []
    if spec is not None:
        k, v = spec.kv_heads * spec.head_dim, spec.kv_heads * spec.value_dim
        ops = [
            build.linear("layers.cross_attention.k_proj", "hidden", "k", model.hidden, k, bias=spec.qkv_bias),
            build.linear("layers.cross_attention.v_proj", "hidden", "v", model.hidden, v, bias=spec.qkv_bias),
            build.append("layers.cross_attention.kv_append", {"k": k, "v": v}),
        ]
    count = sum(group.repeat * len(group.layers) for group in model.decoder)
    return Block("cross_attention", count, tuple(ops))


def _head(model: Model, shape: Shape, formats: Formats, logits: str) -> list[Block]:
    build = Build(shape, formats, model.hidden)
    ops: list[Operator] = []
    if model.final_norm:
        ops.append(build.norm("final_norm", "hidden", "hidden", model.norm, model.hidden, bias=model.norm_bias))
    if model.pooler:
        ops.append(build.linear("pooler", "hidden", "pooled", model.hidden, model.hidden, bias=True, wide=True, rows=shape.batch))
    if model.lm_head != "none":
        rows = shape.tokens if logits == "all" else shape.batch
        ops.append(
            build.linear(
                "lm_head", "hidden", "logits", model.hidden, model.vocabulary, bias=model.lm_head_bias, wide=True, rows=rows
            )
        )
    return [Block("head", 1, tuple(ops))] if ops else []
