"""Activations in a narrow format, as serving engines have them: products take it, everything between them does not."""

from __future__ import annotations

from dataclasses import replace

from accelsim.graph.attention import Formats
from accelsim.graph.operator import Block, Graph, Kind, Operator, Tensor

_PRODUCTS = (Kind.MATMUL, Kind.EXPERTS)
_WRITERS = (Kind.NORM, Kind.ACTIVATION, Kind.MULTIPLY, Kind.ATTENTION, Kind.CONTEXT, Kind.DISPATCH, Kind.FUSED)
"""Kinds that round what they write; the result of a product stays wide."""


def between(formats: Formats) -> Formats:
    """The formats of a graph before `quantize_inputs`: activations as wide as weights that stay unquantised.

    They stay as they are where weights or activations are as wide as that already.
    """
    wide = formats.wide
    narrow = [form.bits_per_element < wide.bits_per_element for form in (formats.weights, formats.activations)]
    return replace(formats, activations=wide) if all(narrow) else formats


def quantize_inputs(graph: Graph, formats: Formats, *, passes: bool = True) -> Graph:
    """Products with quantised weights take their input in the format of activations; results keep theirs.

    A pass before the product finds the scale and rounds; products of one input share it. Without passes, scales are
    known beforehand, and the norm, activation or attention that writes an input writes it narrow. It writes both
    where others read it wide, and what a product has written still takes a pass.

    Args:
        graph: of the formats `between(formats)`.
        formats: of weights and of activations.
        passes: whether scales are found at run time.
    """
    blocks = [_with_passes(block, formats) for block in graph.blocks]
    return graph.with_blocks(tuple(blocks if passes else _written_narrow(blocks)))


def _with_passes(block: Block, formats: Formats) -> Block:
    done: dict[str, Tensor] = {}
    operators: list[Operator] = []
    for op in block.operators:
        if op.kind in _PRODUCTS and op.inputs[1].format != formats.wide:
            source = op.inputs[0]
            narrow = done.get(source.name)
            if narrow is None:
                name = f"{source.name}.{formats.activations.name}"
                narrow = done[source.name] = replace(source, name=name, format=formats.activations)
                operators.append(_pass(op, source, narrow))
            op = replace(op, inputs=(narrow, *op.inputs[1:]))
        operators.append(op)
        for out in op.outputs:
            done.pop(out.name, None)
    return replace(block, operators=tuple(operators))


def _pass(op: Operator, source: Tensor, narrow: Tensor) -> Operator:
    return Operator(
        name=f"{op.name.removesuffix('_proj')}_quantize", kind=Kind.QUANTIZE,
        dims={"rows": op.dims["m"], "elements": source.elements}, inputs=(source,), outputs=(narrow,),
    )  # fmt: skip


def _written_narrow(blocks: list[Block]) -> list[Block]:
    """Passes give way to the operators that write what they read, in this block or at the end of the one before."""
    lists = [list(block.operators) for block in blocks]
    for index, operators in enumerate(lists):
        for op in [op for op in operators if op.kind is Kind.QUANTIZE]:
            source, narrow = op.inputs[0], op.outputs[0]
            at = operators.index(op)
            before = _writer(operators[:at], source.name)
            del operators[at]
            # else a repetition of this block reads what the one before has written
            parts = [operators, *lists[max(0, index - 1) : index]]
            places = [(part, _writer(part, source.name)) for part in parts] if before is None else [(operators, before)]
            found = [(part, place) for part, place in places if place is not None]
            if not found or any(part[place].kind not in _WRITERS for part, place in found):
                operators.insert(at, op)
                continue
            for part, place in found:
                part[place] = _narrowed(part, place, source.name, narrow)
    return [replace(block, operators=tuple(part)) for block, part in zip(blocks, lists, strict=True)]


def _writer(operators: list[Operator], name: str) -> int | None:
    """The last of the operators that writes a tensor."""
    return next((i for i in reversed(range(len(operators))) if _writes(operators[i], name)), None)


def _writes(op: Operator, name: str) -> bool:
    return any(out.name == name for out in op.outputs)


def _narrowed(operators: list[Operator], place: int, name: str, narrow: Tensor) -> Operator:
    """The operator with a narrow result, in place of the wide one unless that is read as well."""
    op = operators[place]
    later = operators[place + 1 :]
    end = next((i for i, other in enumerate(later) if _writes(other, name)), len(later))
    wide = any(tensor.name == name for other in later[:end] for tensor in other.inputs)
    kept = tuple(out for out in op.outputs if wide or out.name != name)
    return replace(op, outputs=(*kept, narrow))
