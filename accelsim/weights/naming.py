"""What a model's tensors are called, and how they are shaped and laid out, in the checkpoints of Hugging Face.

The names are those of `accelsim.weights.schemes`. A linear layer's weight is [out, in], except GPT-2's, which are
[in, out].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from accelsim.spec.model import Layer, Mlp, Model
from accelsim.weights.schemes import Scheme, scheme, source

Part = Literal["embedding", "positions", "norm", "linear", "bias", "router", "lm_head"]


@dataclass(frozen=True, slots=True)
class Slot:
    """A tensor that a model needs.

    Attributes:
        shape: as stored.
        part: what it is; `linear` are the matrices of attention, feed-forward and experts.
        transposed: a matrix of [in, out] instead of [out, in].
    """

    shape: tuple[int, ...]
    part: Part
    transposed: bool = False


Slots = Iterator[tuple[str, Slot]]


def expected(model: Model) -> dict[str, Slot]:
    """Every tensor of a model, by its name in the checkpoint, in the order of the layers.

    A tied lm_head is the embedding and has no entry.

    Raises:
        CheckpointError: a family without a naming, or a layer that the family's names do not cover.
    """
    return dict(_slots(model, scheme(model)))


def layers(model: Model) -> tuple[Layer, ...]:
    """The layers of the decoder, one by one."""
    return tuple(layer for group in model.decoder for _ in range(group.repeat) for layer in group.layers)


def _slots(model: Model, names: Scheme) -> Slots:
    width = model.embedding_dim or model.hidden
    yield _name(model, None, "token_embedding.weight"), Slot((model.vocabulary, width), "embedding")
    if "position_embedding" in names.outer:
        yield _name(model, None, "position_embedding.weight"), Slot((model.position_rows, model.hidden), "positions")
    if model.embedding_dim and "project_in" in names.outer:
        yield _name(model, None, "project_in.weight"), Slot((model.hidden, width), "linear")
        yield _name(model, None, "project_out.weight"), Slot((width, model.hidden), "linear")
    for index, layer in enumerate(layers(model)):
        yield from _norm(model, index, "attention_norm", model.hidden, layer.norm_bias)
        yield from _attention(model, index, layer)
        yield from _norm(model, index, "mlp_norm", model.hidden, layer.norm_bias)
        yield from _feed_forward(model, index, layer)
    if model.final_norm:
        yield from _norm(model, None, "final_norm", model.hidden, model.norm_bias)
    if model.lm_head == "own":
        yield _name(model, None, "lm_head.weight"), Slot((model.vocabulary, width), "lm_head")


def _attention(model: Model, index: int, layer: Layer) -> Slots:
    block = layer.attention
    values = block.value_dim
    widths = (block.heads * block.head_dim, block.kv_heads * block.head_dim, block.kv_heads * values)
    merged = source(model, index, "attention.q_proj.weight").part[1] > 1
    if merged:
        yield from _linear(model, index, "attention.q_proj", (sum(widths), model.hidden), block.qkv_bias)
    else:
        for name, width in zip("qkv", widths, strict=True):
            yield from _linear(model, index, f"attention.{name}_proj", (width, model.hidden), block.qkv_bias)
    yield from _linear(model, index, "attention.o_proj", (model.hidden, block.heads * values), block.out_bias)
    if block.qk_norm:
        for name in ("q_norm", "k_norm"):
            yield from _norm(model, index, f"attention.{name}", block.head_dim, layer.norm_bias)


def _feed_forward(model: Model, index: int, layer: Layer) -> Slots:
    block, hidden = layer.feed_forward, model.hidden
    if isinstance(block, Mlp):
        if block.gated:
            yield from _linear(model, index, "mlp.gate_proj", (block.intermediate, hidden), block.bias)
        yield from _linear(model, index, "mlp.up_proj", (block.intermediate, hidden), block.bias)
        yield from _linear(model, index, "mlp.down_proj", (hidden, block.intermediate), block.bias)
        return
    yield _name(model, index, "moe.router.weight"), Slot((block.experts, hidden), "router")
    inner, outer = (block.expert.intermediate, hidden), (hidden, block.expert.intermediate)
    stacks = [
        source(model, index, f"moe.experts.{name}_proj.weight", block.experts).names for name in ("gate", "up", "down")
    ]
    for parts in zip(*stacks, strict=True):
        for name, shape in zip(parts, (inner, inner, outer), strict=True):
            yield name, Slot(shape, "linear")


def _name(model: Model, index: int | None, name: str) -> str:
    return source(model, index, name).names[0]


def _norm(model: Model, index: int | None, name: str, width: int, bias: bool) -> Slots:
    yield _name(model, index, name + ".weight"), Slot((width,), "norm")
    if bias:
        yield _name(model, index, name + ".bias"), Slot((width,), "norm")


def _linear(model: Model, index: int, name: str, shape: tuple[int, int], bias: bool) -> Slots:
    where = source(model, index, name + ".weight")
    yield where.names[0], Slot(shape if where.transpose else shape[::-1], "linear", transposed=not where.transpose)
    if bias:
        yield _name(model, index, name + ".bias"), Slot(shape[:1], "bias")
