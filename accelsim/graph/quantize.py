"""Activations in a narrow format, as serving engines have them: products take it, everything between them does not."""

from __future__ import annotations

from dataclasses import replace

from accelsim.graph.attention import Formats
from accelsim.graph.operator import Block, Graph, Kind, Operator, Tensor

_PRODUCTS = (Kind.MATMUL, Kind.EXPERTS)


def between(formats: Formats) -> Formats:
    """The formats of a graph before `quantize_inputs`: activations as wide as weights that stay unquantised.

    They stay as they are where weights or activations are as wide as that already.
    """
    wide = formats.wide
    narrow = [form.bits_per_element < wide.bits_per_element for form in (formats.weights, formats.activations)]
    return replace(formats, activations=wide) if all(narrow) else formats


def quantize_inputs(graph: Graph, formats: Formats) -> Graph:
    """Before every product with quantised weights, a pass that brings its input into the format of activations.

    Products of one input share the pass. Results keep the format that they had.

    Args:
        graph: of the formats `between(formats)`.
        formats: of weights and of activations.
    """
    return graph.with_blocks(tuple(_block(block, formats) for block in graph.blocks))


def _block(block: Block, formats: Formats) -> Block:
    done: dict[str, Tensor] = {}
    operators: list[Operator] = []
    for op in block.operators:
        if op.kind in _PRODUCTS and op.inputs[1].format == formats.weights:
            source = op.inputs[0]
            narrow = done.get(source.name)
            if narrow is None:
                narrow = done[source.name] = replace(
                    source, name=f"{source.name}.{formats.activations.name}", format=formats.activations
                )
                operators.append(_pass(op, source, narrow))
            op = replace(op, inputs=(narrow, *op.inputs[1:]))
        operators.append(op)
        for out in op.outputs:
            done.pop(out.name, None)
    return replace(block, operators=tuple(operators))


def _pass(op: Operator, source: Tensor, narrow: Tensor) -> Operator:
    stem = op.name.removesuffix("_proj")
    return Operator(
        name=f"{stem}_quantize", kind=Kind.QUANTIZE, dims={"rows": op.dims["m"], "elements": source.elements},
        inputs=(source,), outputs=(narrow,),
    )  # fmt: skip
