"""Formats of single tensors: of the layers that usually stay wide, and of an assignment to operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from accelsim import catalog
from accelsim.accuracy.combinations import USUAL, Combination
from accelsim.evaluate.phases import Work
from accelsim.execution.layer import split
from accelsim.graph.attention import Formats
from accelsim.graph.operator import MATRIX_KINDS, Graph, Operator, Role, Tensor
from accelsim.graph.routing import Routing
from accelsim.spec.format import Format
from accelsim.spec.model import Model

Own = Mapping[str, Format]
"""Formats by the name of a weight in the graph, without its layers: `mlp.down_proj.weight`."""

KEPT_WIDE: Final = ("lm_head", "router", "project_in", "project_out")


def _graph(model: Model, formats: Combination, fuse: bool) -> Graph:
    wide = catalog.format_(USUAL)
    return Work(
        model, Formats(formats.weights, formats.activations, formats.kv_cache, wide), 1, 2, 2, "all", Routing(), fuse
    ).prefill()


def _weights(model: Model, formats: Combination, fuse: bool = True) -> Iterator[tuple[Operator, Tensor]]:
    for _, op in _graph(model, formats, fuse):
        for part in (op, *op.parts):
            yield from ((part, tensor) for tensor in part.inputs if tensor.role is Role.WEIGHT)


def bare(name: str) -> str:
    """A name of the graph without its layers."""
    return split(name, 0)[1]


def products(model: Model, formats: Combination, fuse: bool = True) -> dict[str, tuple[Tensor, ...]]:
    """The matrices of every product whose weights are quantised, by operator; merged projections are one."""
    found: dict[str, dict[str, Tensor]] = {}
    for op, tensor in _weights(model, formats, fuse):
        quantised = op.kind in MATRIX_KINDS and not bare(op.name).endswith(KEPT_WIDE)
        if quantised and len(tensor.shape) > 1:
            found.setdefault(bare(op.name), {}).setdefault(tensor.name, tensor)
    return {name: tuple(tensors.values()) for name, tensors in found.items()}


def everything(model: Model, formats: Combination) -> Own:
    """Embedding, norms, router and lm_head in the format of the weights, too."""
    return {bare(tensor.name): formats.weights for _, tensor in _weights(model, formats)}


def assigned(model: Model, formats: Combination, chosen: Mapping[str, Format]) -> Own:
    """Formats of the weights of some products, by the operators' names."""
    found = products(model, formats) | products(model, formats, fuse=False)
    return {bare(tensor.name): form for name, form in chosen.items() for tensor in found[name]}


def bits_per_weight(model: Model, formats: Combination, own: Own) -> float:
    """Mean over the weights of all quantised products, scales included."""
    bits = elements = 0.0
    for tensors in products(model, formats).values():
        for tensor in tensors:
            form = own.get(bare(tensor.name), formats.weights)
            bits += form.bits_per_element * float(tensor.elements)
            elements += float(tensor.elements)
    return bits / elements
