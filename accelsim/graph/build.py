"""Model record and request -> the operator graphs of prefill and of one decode step.

A weight's name stands for one matrix: where it occurs twice (tied lm_head, the embedding of both stacks of
T5), it is the same memory.
"""

from __future__ import annotations

from accelsim.errors import RequestError
from accelsim.graph import feed_forward, latent
from accelsim.graph.attention import Build, Formats, Shape
from accelsim.graph.numbers import Number, minimum
from accelsim.graph.operator import Block, Graph, Kind, Operator, Role, Tensor
from accelsim.graph.routing import Routing
from accelsim.spec.model import Attention, Group, Layer, Mlp, Model

TOKEN_TABLE = "token_embedding.weight"
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

    Raises:
        RequestError: `logits` is neither.
    """
    if logits not in ("last", "all"):
        raise RequestError(f"logits = {logits!r}: allowed are last, all")
    shape = Shape(batch, prompt, 0)
    blocks: list[Block] = []
    if model.encoder:
        blocks += _stack(
            model, model.encoder, "encoder" if model.decoder else "layers", shape, formats, routing, prompt
        )
        if model.decoder and model.final_norm:
            blocks.append(Block("encoder.head", 1, (_final_norm(model, shape, formats, "encoder."),)))
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

    Raises:
        RequestError: the model generates nothing.
    """
    if not model.generates:
        raise RequestError(f"{model.name} is encoder-only: it has no decode phase; ask for prefill")
    past = step if model.encoder else prompt + step - 1
    shape = Shape(batch, 1, past, decode=True)
    blocks = _stack(model, model.decoder, "layers", shape, formats, routing, prompt)
    blocks += _head(model, shape, formats, "last")
    return Graph(model.name, "decode", tuple(blocks))


def _stack(
    model: Model,
    groups: tuple[Group, ...],
    prefix: str,
    shape: Shape,
    formats: Formats,
    routing: Routing,
    memory: Number,
) -> list[Block]:
    blocks = [_embedding(model, groups, shape, formats, "" if prefix == "layers" else f"{prefix}.")]
    total = sum(group.repeat * len(group.layers) for group in groups)
    first = 0
    for group in groups:
        span = len(group.layers)
        ops: list[Operator] = []
        for index, layer in enumerate(group.layers):
            name = layer_name(prefix, first + index, span, group.repeat, total)
            ops += _layer(model, layer, name, shape, formats, routing, memory)
        label = f"{prefix}[{first}:{first + span * group.repeat}]"
        blocks.append(Block(label, group.repeat, tuple(ops)))
        first += span * group.repeat
    return blocks


def layer_name(prefix: str, start: int, span: int, repeat: int, total: int) -> str:
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
    build = Build(shape, formats, model.hidden, model.positions)
    kind, bias = layer.norm, layer.norm_bias
    cached = bool(model.decoder) and not name.startswith("encoder")

    def norm(part: str, source: str, target: str) -> list[Operator]:
        return [build.norm(f"{name}.{part}", source, target, kind, model.hidden, bias=bias)]

    def add(part: str, branch: str) -> list[Operator]:
        return [build.add(f"{name}.{part}", "hidden", branch, "hidden")]

    def attend(source: str) -> list[Operator]:
        part, spec = f"{name}.attention", layer.attention
        if spec.latent is not None:
            return latent.attention(build, part, spec, spec.latent, source, "attended", kind)
        return build.attention(part, spec, source, "attended", kind, cached=cached, norm_bias=bias)

    def cross(source: str, spec: Attention) -> list[Operator]:
        return build.cross_attention(f"{name}.cross_attention", spec, source, "attended", memory)

    def feed(source: str) -> list[Operator]:
        block = layer.feed_forward
        if isinstance(block, Mlp):
            return feed_forward.mlp(build, f"{name}.mlp", block, source, "fed")
        return feed_forward.moe(build, f"{name}.moe", block, source, "fed", routing)

    if layer.parallel:
        ops = norm("attention_norm", "hidden", "normed")
        inner = "normed"
        if layer.norms > 1:
            ops += norm("mlp_norm", "hidden", "mlp_normed")
            inner = "mlp_normed"
        return [*ops, *attend("normed"), *feed(inner), *add("attention_add", "attended"), *add("mlp_add", "fed")]
    if layer.post_norm:  # each norm follows its addition, and its result is the residual stream
        ops = [*attend("hidden"), *add("attention_add", "attended"), *norm("attention_norm", "hidden", "hidden")]
        if layer.cross_attention is not None:
            ops += [*cross("hidden", layer.cross_attention), *add("cross_add", "attended")]
            ops += norm("cross_norm", "hidden", "hidden")
        return [*ops, *feed("hidden"), *add("mlp_add", "fed"), *norm("mlp_norm", "hidden", "hidden")]
    ops = [*norm("attention_norm", "hidden", "normed"), *attend("normed")]
    if layer.norms == 4:
        ops += norm("attention_post_norm", "attended", "attended")
    ops += add("attention_add", "attended")
    if layer.cross_attention is not None:
        ops += [*norm("cross_norm", "hidden", "normed"), *cross("normed", layer.cross_attention)]
        ops += add("cross_add", "attended")
    ops += [*norm("mlp_norm", "hidden", "normed"), *feed("normed")]
    if layer.norms == 4:
        ops += norm("mlp_post_norm", "fed", "fed")
    return [*ops, *add("mlp_add", "fed")]


def _embedding(model: Model, groups: tuple[Group, ...], shape: Shape, formats: Formats, prefix: str) -> Block:
    """Rows of the tables, added up. Positions are the same for every sequence, so that their rows are read once."""
    build = Build(shape, formats, model.hidden)
    tokens, h, narrow = shape.tokens, model.hidden, model.embedding_dim
    width = narrow or h

    def table(name: str, rows: int, moved: Number, columns: int = h) -> Tensor:
        return Tensor(name, (rows, columns), Role.WEIGHT, formats.wide, moved=moved * columns)

    tables = [table(TOKEN_TABLE, model.vocabulary, tokens, width)]
    if model.position_rows:
        tables.append(table(f"{prefix}position_embedding.weight", model.position_rows, shape.query))
    if model.token_types:
        types = minimum(tokens, model.token_types)
        tables.append(table(f"{prefix}token_type_embedding.weight", model.token_types, types))

    def look_up(name: str, read: list[Tensor], *, into: Tensor, out: Tensor) -> Operator:
        """Rows of the tables `read`, added to `into` where that is not `out` itself."""
        base = () if into is out else (into,)
        return Operator(
            name=f"{prefix}{name}", kind=Kind.EMBEDDING,
            dims={"elements": tokens * out.shape[1], "tables": len(read) + len(base)}, inputs=(*read, *base),
            outputs=(out,),
        )  # fmt: skip

    hidden = build.rows("hidden", h)
    if narrow is None:
        ops = [look_up("embedding", tables, into=hidden, out=hidden)]
    else:
        inner, wide = build.rows("narrow", narrow), build.rows("widened", h)
        ops = [
            look_up("embedding", tables[:1], into=inner, out=inner),
            build.linear(f"{prefix}project_in", "narrow", "widened", narrow, h, wide=True),
            look_up("position_embedding", tables[1:], into=wide, out=hidden),
        ]
    if model.embedding_norm:
        ops.append(build.norm(f"{prefix}embedding_norm", "hidden", "hidden", model.norm, h, bias=model.norm_bias))
    if model.relative_buckets:
        ops.append(_position_bias(build, model.relative_buckets, groups[0].layers[0].attention.heads, prefix))
    return Block(f"{prefix}embedding", 1, tuple(ops))


def _position_bias(build: Build, buckets: int, heads: int, prefix: str) -> Operator:
    """What T5 adds to the scores of all layers of a stack: a number per head for each distance."""
    shape = build.shape
    table = Tensor(f"{prefix}relative_attention_bias.weight", (buckets, heads), Role.WEIGHT, build.formats.wide)
    return Operator(
        name=f"{prefix}position_bias", kind=Kind.EMBEDDING,
        dims={"elements": heads * shape.query * shape.kv, "tables": 1}, inputs=(table,),
        outputs=(build.act("position_bias", heads, shape.query, shape.kv),),
    )  # fmt: skip


def _cross_keys(model: Model, shape: Shape, formats: Formats) -> Block:
    """Keys and values of every decoder layer over the encoder's output, kept for all steps."""
    build = Build(shape, formats, model.hidden)
    layer = model.decoder[0].layers[0]
    spec = layer.cross_attention
    source, name = "normed" if model.final_norm else "hidden", "layers.cross_attention"
    ops: list[Operator] = []
    if spec is not None:
        k, v = spec.kv_heads * spec.head_dim, spec.kv_heads * spec.value_dim
        ops = [
            build.linear(f"{name}.k_proj", source, "cross_k", model.hidden, k, bias=spec.qkv_bias),
            build.linear(f"{name}.v_proj", source, "cross_v", model.hidden, v, bias=spec.qkv_bias),
            build.append(f"{name}.kv_append", {"cross_k": k, "cross_v": v}),
        ]
    count = sum(group.repeat * len(group.layers) for group in model.decoder)
    return Block("cross_attention", count, tuple(ops))


def _final_norm(model: Model, shape: Shape, formats: Formats, prefix: str) -> Operator:
    build = Build(shape, formats, model.hidden)
    return build.norm(f"{prefix}final_norm", "hidden", "normed", model.norm, model.hidden, bias=model.norm_bias)


def _head(model: Model, shape: Shape, formats: Formats, logits: str) -> list[Block]:
    build = Build(shape, formats, model.hidden)
    ops: list[Operator] = []
    source, width = "hidden", model.hidden
    if model.final_norm:
        ops.append(_final_norm(model, shape, formats, ""))
        source = "normed"
    if model.pooler:
        pooler = build.linear("pooler", source, "pooled", width, width, bias=True, wide=True, rows=shape.batch)
        ops.append(pooler)
    if model.lm_head != "none":
        rows = shape.tokens if logits == "all" else shape.batch
        if model.embedding_dim is not None:
            ops.append(build.linear("project_out", source, "narrow", width, model.embedding_dim, wide=True, rows=rows))
            source, width = "narrow", model.embedding_dim
        table = TOKEN_TABLE if model.lm_head == "tied" else None
        bias = model.lm_head_bias
        ops.append(
            build.linear(
                "lm_head", source, "logits", width, model.vocabulary, bias=bias, wide=True, rows=rows, table=table
            )
        )
    return [Block("head", 1, tuple(ops))] if ops else []
