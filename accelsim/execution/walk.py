"""The steps of a graph in the order of their execution: blocks repeated, fused kernels with their parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from accelsim.execution.apart import Apart
from accelsim.execution.layer import split
from accelsim.execution.plan import NumericsPlan, OperatorPlan
from accelsim.execution.routing import Choice
from accelsim.execution.rules import APART, Array, Held, Pass, Step, execute
from accelsim.execution.stored import Stored, store
from accelsim.graph.operator import Graph, Kind, Operator, Role

Observer = Callable[[str, int | None, str, Array], None]
"""Called with operator (without its layer), layer, tensor and the stored values of every tensor that is written."""


def steps(graph: Graph, plan: NumericsPlan, layers: int) -> Iterator[tuple[Step, tuple[Step, ...]]]:
    """Every operator of every repetition, with the steps of its parts if it is a fused kernel.

    Args:
        graph: one phase.
        plan: its numbers.
        layers: of the model.
    """
    moved = any(_opens(op) for _, op in graph)
    for block in graph.blocks:
        for repetition in range(block.repeat):
            for op in block.operators:
                found = plan.find(graph.phase, op.name)
                last = moved and op is block.operators[-1]
                whole = _step(op, found, repetition, layers, last)
                parts = tuple(
                    _step(part, numbers, repetition, layers, last and part is op.parts[-1])
                    for part, numbers in zip(op.parts, found.parts, strict=True)
                )
                yield whole, parts


def _opens(op: Operator) -> bool:
    """Whether this is, or ends with, the norm that opens the first layer, moved behind the embedding."""
    return op.name.endswith("opening_norm") or any(_opens(part) for part in op.parts)


def _step(op: Operator, plan: OperatorPlan, repetition: int, layers: int, last: bool) -> Step:
    name = op.name if not op.parts else op.parts[0].name
    layer, _ = split(name, repetition)
    if not last or op.kind is not Kind.NORM or layer is None or not op.name.endswith("attention_norm"):
        return Step(op, plan, layer, repetition)
    following, _ = split(name, repetition + 1)
    assert following is not None
    return Step(op, plan, layer, repetition, moved=following if following < layers else -1)


def run(graph: Graph, plan: NumericsPlan, at: Pass, observe: Observer | None = None) -> Array:
    """One pass through a graph; the logits, [rows, vocabulary]."""
    made: Array = np.empty(0)
    passing = _passing(graph)
    for step, parts in steps(graph, plan, at.model.layers):
        for part in parts:
            _keep(execute(part, at), part, at)
        if parts:  # what leaves the kernel is rounded once, when it is written
            names = {t.name for part in parts for t in part.op.outputs}
            written = {name: at.held[name] for name in names if name in at.held}
            _write({name: _values(x) for name, x in written.items()}, step, at, observe)
        else:
            _write(execute(step, at), step, at, observe)
        if step.op.name == "lm_head":
            made = at.array("logits")
        for name in passing[step.op.name]:
            if isinstance(at.held.get(name), Stored):
                del at.held[name]
    return made


def _passing(graph: Graph) -> dict[str, set[str]]:
    """Tensors that nobody reads after an operator: written and read for the last time within one pass of its block."""
    crossing: set[str] = set()
    last: list[dict[str, str]] = []
    for block in graph.blocks:
        written: set[str] = set()
        seen: dict[str, str] = {}
        for op in block.operators:
            for part in op.parts or (op,):
                read = {t.name for t in part.inputs}
                if part.kind is Kind.CONTEXT:
                    read.add("q")  # its rule asks for the shape of the queries
                crossing |= read - written
                written |= {t.name for t in part.outputs}
                seen |= dict.fromkeys(read | written - set(seen), op.name)
        last.append(seen)
    made: dict[str, set[str]] = {op.name: set() for _, op in graph}
    for name, reader in (pair for seen in last for pair in seen.items()):
        if name not in crossing:
            made[reader].add(name)
    return made


def _values(found: Held) -> Array | Choice:
    assert not isinstance(found, Apart)
    return found if isinstance(found, Choice) else found.values


def _keep(found: dict[str, Array | Choice], step: Step, at: Pass) -> None:
    """What parts of a kernel hand to each other, unrounded."""
    at.held |= {name: x if isinstance(x, Choice) else Stored(x) for name, x in found.items()}


def _write(found: dict[str, Array | Choice], step: Step, at: Pass, observe: Observer | None) -> None:
    for out in step.op.outputs:
        name = out.name
        x = found.get(name)
        if x is None:  # a narrow copy of what it also writes, or writes nowhere else
            x = found.get(name.rpartition(".")[0])
        if x is None:
            continue
        tensor = step.plan.output(name)
        if isinstance(x, Choice):
            at.held[name] = x
            continue
        where = f"{step.op.name}, {name}"
        _, plain = split(step.op.name, step.repetition)
        if tensor.role is Role.KV_CACHE:
            kept = Stored(x)  # the cache rounds what is appended, once
        elif at.scales is None:
            kept = store(x, tensor.storage, where)
        else:
            kept = at.scales.store(x, tensor.storage, (plain, step.layer, name), where)
        at.held[name] = kept
        if kept.clipped:
            at.clip(plain, name, kept.clipped, x.size)
        if observe is not None:
            apart = at.held.get(name + APART)
            whole = apart.returned(kept.values) if isinstance(apart, Apart) else kept.values
            observe(plain, step.layer, name, whole)
