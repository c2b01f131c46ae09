"""What must be in memory: weights, KV cache and the largest working set of activations."""

from __future__ import annotations

from collections.abc import Iterator

from accelsim.graph.attention import Formats
from accelsim.graph.numbers import Number, maximum, minimum, prod
from accelsim.graph.operator import Block, Graph, Role, Tensor
from accelsim.spec.model import Layer, Model


def weight_bytes(graph: Graph) -> Number:
    """Bytes of all weights in their storage formats, each once, however many operators read it.

    Args:
        graph: the prefill graph, in which every weight occurs.
    """
    total: Number = 0
    for block, tensor in weights(graph):
        total = total + block.repeat * prod(tensor.shape) * tensor.format.bytes_per_element
    return total


def weights(graph: Graph) -> Iterator[tuple[Block, Tensor]]:
    """Every weight with the first block that reads it."""
    seen = set()
    for block, op in graph:
        for tensor in op.inputs:
            if tensor.role is Role.WEIGHT and tensor.name not in seen:
                seen.add(tensor.name)
                yield block, tensor


def kv_cache_bytes(model: Model, formats: Formats, *, batch: Number, context: Number, prompt: Number) -> Number:
    """Bytes of keys and values for `context` positions per sequence.

    A windowed layer keeps `window` positions; latent attention keeps its latent and the shared
    rotary key; a cross-attention layer keeps the prompt's keys and values.
    """
    total: Number = 0
    for group in model.decoder:
        for layer in group.layers:
            total = total + group.repeat * _layer_elements(layer, context, prompt)
    return total * batch * formats.kv_cache.bytes_per_element


def _layer_elements(layer: Layer, context: Number, prompt: Number) -> Number:
    spec = layer.attention
    kept = context if spec.window is None else minimum(context, spec.window)
    if spec.latent is not None:
        elements = kept * (spec.latent.kv_rank + spec.latent.rope_dim)
    else:
        elements = kept * spec.kv_heads * (spec.head_dim + spec.value_dim)
    if layer.cross_attention is not None:
        cross = layer.cross_attention
        elements = elements + prompt * cross.kv_heads * (cross.head_dim + cross.value_dim)
    return elements


def activation_bytes(graph: Graph) -> Number:
    """The largest set of activations that one operator holds, the residual stream included."""
    largest: Number = 0
    for block, op in graph:
        held: Number = 0
        names = set()
        for tensor in (*op.inputs, *op.outputs):
            if tensor.role is Role.ACTIVATION and tensor.name not in names:
                held = held + tensor.bytes
                names.add(tensor.name)
        if "hidden" not in names and block.name.startswith(("layers", "encoder")):
            held = held + _residual_bytes(graph)
        largest = maximum(largest, held)
    return largest


def _residual_bytes(graph: Graph) -> Number:
    """Bytes of the residual stream, which lives beside every operator of a layer."""
    for _, op in graph:
        for tensor in op.outputs:
            if tensor.name == "hidden":
                return tensor.bytes
    return 0
