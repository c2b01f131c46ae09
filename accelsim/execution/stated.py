"""What a plan says of the numbers that no tensor's name shows: read from the fields that execution reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import ATTENTION_KINDS, NumericsPlan, OperatorPlan, TensorPlan
from accelsim.graph.operator import Kind, Role

Row = tuple[str, str, str]
"""What, in which phase, and how."""


_RESIDUAL: Final = "hidden"


def stated(plan: NumericsPlan) -> list[Row]:
    """Residual stream, norm statistics, RoPE, softmax, P before P V, keys and values, products, and order of keys."""
    made: list[Row] = []
    for what, say in _SAID.items():
        by_phase: dict[str, dict[str, None]] = {}
        for op in plan.operators:
            for each in (op, *op.parts):
                by_phase.setdefault(op.phase, {}).update(dict.fromkeys(say(each)))
        said = {phase: "; ".join(found) for phase, found in by_phase.items() if found}
        if len(said) > 1 and len(set(said.values())) == 1:
            said = {"both": next(iter(said.values()))}
        made += [(what, phase, how) for phase, how in said.items()]
    made += [
        (f"keys from position {keys.first} on", op.phase, keys.order)
        for op in plan.operators
        if op.kind is Kind.ATTENTION
        for keys in op.keys
    ]
    return list(dict.fromkeys(made))


def _sums(lanes: Lanes) -> str:
    return "exact sums, rounded once to fp32" if lanes.exact else "sums in increasing index"


def _elements(lanes: Lanes) -> str:
    return f"{lanes.width}, one rounding per operation"


def _stored(tensor: TensorPlan, lanes: Lanes) -> str:
    return lanes.width if tensor.storage is None else tensor.storage.name


def _residual(op: OperatorPlan) -> Iterator[str]:
    for tensor in op.tensors:
        if tensor.output and tensor.name == _RESIDUAL:
            yield _stored(tensor, op.lanes) if tensor.written else f"{op.lanes.width} in registers of {op.name}"


def _norm(op: OperatorPlan) -> Iterator[str]:
    if op.kind is Kind.NORM:
        yield f"{_elements(op.lanes)}, {_sums(op.lanes)}"


def _rope(op: OperatorPlan) -> Iterator[str]:
    if op.kind is Kind.ROPE:
        yield f"{_elements(op.lanes)}; cosines and sines in {_stored(_inputs(op)[-1], op.lanes)}"


def _softmax(op: OperatorPlan) -> Iterator[str]:
    if op.kind in (Kind.SOFTMAX, Kind.ATTENTION):
        yield f"{_elements(op.lanes)}, {_sums(op.lanes)}"


def _weights(op: OperatorPlan) -> Iterator[str]:
    if op.kind is Kind.ATTENTION:
        last = ""
        for keys in op.keys:
            form = op.lanes.width if keys.weights is None else keys.weights.name
            if form != last:
                yield f"from position {keys.first} on {form}" if last else form
            last = form
    if op.kind is Kind.CONTEXT:
        yield f"{_stored(_inputs(op)[0], op.lanes)}, written out"


def _cached(op: OperatorPlan) -> Iterator[str]:
    if op.kind is not Kind.KV_APPEND:
        return
    for tensor in op.tensors:
        if tensor.output and tensor.role is Role.KV_CACHE:
            along = f", {tensor.granularity} along {tensor.axis}" if tensor.axis else ""
            when = "when appended"
            if tensor.group:
                when = f"when a group of {tensor.group} tokens is full; the last group in {tensor.tail}"
            yield f"{tensor.name} {_stored(tensor, op.lanes)}{along}, rounded once, {when}"


def _outliers(op: OperatorPlan) -> Iterator[str]:
    if op.outliers is not None and op.outliers.unit is not None:
        yield f"from {op.outliers.threshold:g} on in fp16 by {op.outliers.unit.label}, added in {op.lanes.width}"


def _products(op: OperatorPlan) -> Iterator[str]:
    if op.unit is not None and op.kind not in ATTENTION_KINDS:
        width = "fp64" if op.unit.accumulator == "fp64" else "fp32"
        yield f"{op.unit.label}, rounded to {width}" + (
            "" if op.lanes.width in (width, "fp64") else f", then {op.lanes.width}"
        )


def _inputs(op: OperatorPlan) -> list[TensorPlan]:
    return [tensor for tensor in op.tensors if not tensor.output]


_SAID: Final[dict[str, Callable[[OperatorPlan], Iterator[str]]]] = {
    "residual stream": _residual, "norm statistics": _norm, "RoPE": _rope, "softmax": _softmax,
    "P before P V": _weights, "K and V": _cached, "results of products": _products,
    "outlier columns": _outliers,
}  # fmt: skip
