"""What a model's tensors are called, and how they are shaped and laid out, in the checkpoints of Hugging Face.

Families: llama, mistral, qwen2, qwen3, mixtral, gpt2 and opt, by the module names of the transformers library (5.23).
A linear layer's weight is [out, in], except GPT-2's, which are [in, out].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from accelsim.errors import CheckpointError, did_you_mean
from accelsim.spec.model import Attention, Layer, Mlp, Model

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
    family = _FAMILIES.get(model.family)
    if family is None:
        raise CheckpointError(
            f"{model.name}: the tensor names of family {model.family!r} are not known"
            f"{did_you_mean(model.family, _FAMILIES)}; known: {', '.join(sorted(_FAMILIES))}"
        )
    return dict(family(model))


def layers(model: Model) -> tuple[Layer, ...]:
    """The layers of the decoder, one by one."""
    return tuple(layer for group in model.decoder for _ in range(group.repeat) for layer in group.layers)


def _llama(model: Model) -> Slots:
    yield "model.embed_tokens.weight", Slot((model.vocabulary, model.hidden), "embedding")
    for index, layer in enumerate(layers(model)):
        base = f"model.layers.{index}."
        yield from _norm(base + "input_layernorm", model.hidden, layer.norm_bias)
        yield from _attention(base + "self_attn.", layer.attention, model.hidden, "o_proj")
        if layer.attention.qk_norm:
            for name in ("q_norm", "k_norm"):
                yield from _norm(f"{base}self_attn.{name}", layer.attention.head_dim, layer.norm_bias)
        yield from _norm(base + "post_attention_layernorm", model.hidden, layer.norm_bias)
        yield from _feed_forward(base, layer, model.hidden)
    yield from _norm("model.norm", model.hidden, model.norm_bias)
    if model.lm_head == "own":
        yield "lm_head.weight", Slot((model.vocabulary, model.hidden), "lm_head")


def _feed_forward(base: str, layer: Layer, hidden: int) -> Slots:
    block = layer.feed_forward
    if isinstance(block, Mlp):
        yield from _gated(base + "mlp.", ("gate_proj", "up_proj", "down_proj"), block, hidden)
        return
    yield base + "block_sparse_moe.gate.weight", Slot((block.experts, hidden), "router")
    for expert in range(block.experts):
        yield from _gated(f"{base}block_sparse_moe.experts.{expert}.", ("w1", "w3", "w2"), block.expert, hidden)


def _gated(base: str, names: tuple[str, str, str], block: Mlp, hidden: int) -> Slots:
    gate, up, down = names
    yield from _linear(base + gate, block.intermediate, hidden, block.bias)
    yield from _linear(base + up, block.intermediate, hidden, block.bias)
    yield from _linear(base + down, hidden, block.intermediate, block.bias)


def _attention(base: str, attention: Attention, hidden: int, out: str) -> Slots:
    values = attention.value_dim
    for name, width in (
        ("q_proj", attention.heads * attention.head_dim),
        ("k_proj", attention.kv_heads * attention.head_dim),
        ("v_proj", attention.kv_heads * values),
    ):
        yield from _linear(base + name, width, hidden, attention.qkv_bias)
    yield from _linear(base + out, hidden, attention.heads * values, attention.out_bias)


def _gpt2(model: Model) -> Slots:
    yield "transformer.wte.weight", Slot((model.vocabulary, model.hidden), "embedding")
    yield "transformer.wpe.weight", Slot((model.position_rows, model.hidden), "positions")
    for index, layer in enumerate(layers(model)):
        base, block = f"transformer.h.{index}.", layer.feed_forward
        assert isinstance(block, Mlp)
        yield from _norm(base + "ln_1", model.hidden, True)
        yield from _conv1d(base + "attn.c_attn", model.hidden, 3 * model.hidden)
        yield from _conv1d(base + "attn.c_proj", model.hidden, model.hidden)
        yield from _norm(base + "ln_2", model.hidden, True)
        yield from _conv1d(base + "mlp.c_fc", model.hidden, block.intermediate)
        yield from _conv1d(base + "mlp.c_proj", block.intermediate, model.hidden)
    yield from _norm("transformer.ln_f", model.hidden, True)
    if model.lm_head == "own":
        yield "lm_head.weight", Slot((model.vocabulary, model.hidden), "lm_head")


def _opt(model: Model) -> Slots:
    width, root = model.embedding_dim or model.hidden, "model.decoder."
    yield root + "embed_tokens.weight", Slot((model.vocabulary, width), "embedding")
    yield root + "embed_positions.weight", Slot((model.position_rows, model.hidden), "positions")
    if model.embedding_dim:
        yield root + "project_in.weight", Slot((model.hidden, width), "linear")
        yield root + "project_out.weight", Slot((width, model.hidden), "linear")
    for index, layer in enumerate(layers(model)):
        base, block = f"{root}layers.{index}.", layer.feed_forward
        assert isinstance(block, Mlp)
        yield from _attention(base + "self_attn.", layer.attention, model.hidden, "out_proj")
        yield from _norm(base + "self_attn_layer_norm", model.hidden, True)
        yield from _linear(base + "fc1", block.intermediate, model.hidden, block.bias)
        yield from _linear(base + "fc2", model.hidden, block.intermediate, block.bias)
        yield from _norm(base + "final_layer_norm", model.hidden, True)
    if model.final_norm:
        yield from _norm(root + "final_layer_norm", model.hidden, True)
    if model.lm_head == "own":
        yield "lm_head.weight", Slot((model.vocabulary, width), "lm_head")


def _norm(name: str, width: int, bias: bool) -> Slots:
    yield name + ".weight", Slot((width,), "norm")
    if bias:
        yield name + ".bias", Slot((width,), "norm")


def _linear(name: str, outputs: int, inputs: int, bias: bool) -> Slots:
    yield name + ".weight", Slot((outputs, inputs), "linear")
    if bias:
        yield name + ".bias", Slot((outputs,), "bias")


def _conv1d(name: str, inputs: int, outputs: int) -> Slots:
    yield name + ".weight", Slot((inputs, outputs), "linear", transposed=True)
    yield name + ".bias", Slot((outputs,), "bias")


_FAMILIES: Final[Mapping[str, Callable[[Model], Slots]]] = {
    "llama": _llama, "mistral": _llama, "qwen2": _llama, "qwen3": _llama, "mixtral": _llama,
    "gpt2": _gpt2, "opt": _opt,
}  # fmt: skip
