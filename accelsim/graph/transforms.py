"""Techniques as pure functions from graph to graph: fusing projections, attention and element-wise chains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from accelsim.graph.numbers import Number, same
from accelsim.graph.operator import Graph, Kind, Operator, Role, Tensor

Rewrite = Callable[[tuple[Operator, ...]], tuple[Operator, ...]]


def fuse(graph: Graph) -> Graph:
    """The form that serving engines run: merged projections, FlashAttention, fused element-wise chains."""
    return fuse_elementwise(fuse_attention(fuse_projections(graph)))


def _each(graph: Graph, rewrite: Rewrite) -> Graph:
    return graph.with_blocks(tuple(replace(block, operators=rewrite(block.operators)) for block in graph.blocks))


def fuse_projections(graph: Graph) -> Graph:
    """Adjacent matrix multiplications of one input become one with the outputs side by side (q, k, v; gate, up)."""

    def rewrite(ops: tuple[Operator, ...]) -> tuple[Operator, ...]:
        result: list[Operator] = []
        run: list[Operator] = []
        for op in ops:
            if run and not _same_input(run[0], op):
                result.append(_side_by_side(run))
                run = []
            if op.kind in (Kind.MATMUL, Kind.EXPERTS):
                run.append(op)
            else:
                result.append(op)
        return (*result, _side_by_side(run)) if run else tuple(result)

    return _each(graph, rewrite)


def _same_input(first: Operator, second: Operator) -> bool:
    """Whether two operators multiply the same rows by weights of one format."""
    return (
        first.kind is second.kind
        and first.inputs[0].name == second.inputs[0].name
        and first.dims["k"] == second.dims["k"]
        and same(first.dims["m"], second.dims["m"])
        and first.dims["batch"] == second.dims["batch"] == 1
        and first.inputs[1].format == second.inputs[1].format
        and not any(out.name == second.inputs[0].name for out in first.outputs)
    )


def _side_by_side(run: Sequence[Operator]) -> Operator:
    if len(run) == 1:
        return run[0]
    first = run[0]
    stems = [op.name.rpartition(".")[2].removesuffix("_proj") for op in run]
    joined = ("" if all(len(stem) == 1 for stem in stems) else "_").join(stems)
    n: Number = 0
    for op in run:
        n = n + op.dims["n"]
    weights = tuple(tensor for op in run for tensor in op.inputs[1:])
    return replace(
        first,
        name=f"{first.name.rpartition('.')[0]}.{joined}_proj",
        dims={**first.dims, "n": n},
        inputs=(first.inputs[0], *weights),
        outputs=tuple(out for op in run for out in op.outputs),
    )


def fuse_attention(graph: Graph) -> Graph:
    """Scores, softmax and context become one operator that never writes the score matrix."""

    def rewrite(ops: tuple[Operator, ...]) -> tuple[Operator, ...]:
        result: list[Operator] = []
        skip = 0
        for index, op in enumerate(ops):
            if skip:
                skip -= 1
                continue
            if op.kind is Kind.SCORES and [o.kind for o in ops[index + 1 : index + 3]] == [Kind.SOFTMAX, Kind.CONTEXT]:
                softmax, context = ops[index + 1 : index + 3]
                skip = 2
                op = replace(
                    op, name=op.name.removesuffix(".scores") + ".attend", kind=Kind.ATTENTION,
                    inputs=(*op.inputs, context.inputs[1], *softmax.inputs[1:]), outputs=context.outputs,
                )  # fmt: skip
            result.append(op)
        return tuple(result)

    return _each(graph, rewrite)


def fuse_elementwise(graph: Graph) -> Graph:
    """Element-wise neighbours share a kernel: add and norm, activation and product, RoPE and KV append.

    The norm that opens a layer moves to the end of the layer before it, where the residual is added;
    the first layer's goes to the embedding, and the last one stands for the norm behind the stack.
    """
    return _each(_rotate_norms(_rotate_norms(graph, "encoder"), "layers"), _fuse_chains)


_CHAINS = (
    (Kind.ADD, Kind.ADD, Kind.NORM),
    (Kind.ADD, Kind.ADD),
    (Kind.ADD, Kind.NORM),
    (Kind.ACTIVATION, Kind.MULTIPLY),
    (Kind.ROPE, Kind.KV_APPEND),
)


def _fuse_chains(ops: tuple[Operator, ...]) -> tuple[Operator, ...]:
    result: list[Operator] = []
    index = 0
    while index < len(ops):
        for chain in _CHAINS:
            parts = ops[index : index + len(chain)]
            if tuple(op.kind for op in parts) == chain and _linked(parts):
                result.append(_merge(parts, ops[index + len(chain) :]))
                index += len(chain)
                break
        else:
            result.append(ops[index])
            index += 1
    return tuple(result)


def _linked(parts: Sequence[Operator]) -> bool:
    """Each operator reads what the one before it wrote."""
    return all(
        {out.name for out in first.outputs} & {tensor.name for tensor in second.inputs}
        for first, second in pairwise(parts)
    )


def _merge(parts: tuple[Operator, ...], later: Sequence[Operator]) -> Operator:
    """One kernel for `parts`: it reads what comes from outside and writes what is still needed after."""
    inputs: dict[str, Tensor] = {}
    made: dict[str, Tensor] = {}
    for part in parts:
        for tensor in part.inputs:
            if tensor.name not in made:
                inputs.setdefault(tensor.name, tensor)
            elif made[tensor.name].moved is not None:  # a part of it was written (RoPE); the rest comes from outside
                inputs[tensor.name] = tensor
        made |= {out.name: out for out in part.outputs}
    outputs = tuple(t for t in made.values() if t.role is Role.KV_CACHE or _read_later(t.name, later))
    head = parts[0].name.rpartition(".")
    return Operator(
        name=f"{head[0]}{head[1]}" + "_".join(part.name.rpartition(".")[2] for part in parts),
        kind=Kind.FUSED,
        dims=parts[0].dims,
        inputs=tuple(inputs.values()),
        outputs=outputs or tuple(made.values())[-1:],
        parts=parts,
    )


def _read_later(name: str, later: Sequence[Operator]) -> bool:
    """Whether a tensor is read before it is overwritten; the residual stream outlives the block."""
    for op in later:
        if any(tensor.name == name for tensor in op.inputs):
            return True
        if any(tensor.name == name for tensor in op.outputs):
            return False
    return name in ("hidden", "normed")


def _rotate_norms(graph: Graph, stack: str) -> Graph:
    """Moves the opening norms of one stack, if the norm behind it is like them."""
    blocks = list(graph.blocks)
    layers = [i for i, block in enumerate(blocks) if block.name.startswith(f"{stack}[")]
    if not layers or layers[0] == 0 or layers[-1] + 1 >= len(blocks):
        return graph
    before, head = blocks[layers[0] - 1], blocks[layers[-1] + 1]
    openers = [blocks[i].operators[0] for i in layers]
    alike = bool(head.operators) and all(_same_norm(op, head.operators[0]) for op in openers)
    if not alike or not before.name.endswith("embedding"):
        return graph
    first = _renamed(openers[0], f"{stack}.opening_norm")
    blocks[layers[0] - 1] = replace(before, operators=(*before.operators, first))
    for i, opener in zip(layers, openers, strict=True):
        blocks[i] = replace(blocks[i], operators=(*blocks[i].operators[1:], opener))
    blocks[layers[-1] + 1] = replace(head, operators=head.operators[1:])
    return graph.with_blocks(tuple(block for block in blocks if block.operators))


def _same_norm(first: Operator, second: Operator) -> bool:
    """Two norms of the residual stream that cost the same."""
    return (
        first.kind is second.kind is Kind.NORM
        and first.inputs[0].name == second.inputs[0].name == "hidden"
        and first.outputs[0].name == second.outputs[0].name
        and same(first.dims["elements"], second.dims["elements"])
        and [t.shape for t in first.inputs[1:]] == [t.shape for t in second.inputs[1:]]
        and first.attributes == second.attributes
    )


def _renamed(op: Operator, name: str) -> Operator:
    """The operator and its weights under another name."""
    inputs = (replace(t, name=t.name.replace(op.name, name)) if t.role is Role.WEIGHT else t for t in op.inputs)
    return replace(op, name=name, inputs=tuple(inputs))
