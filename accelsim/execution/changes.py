"""What methods change in a plan: caches in groups of tokens, and outlier columns in a product of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from accelsim.errors import RequestError
from accelsim.execution.plan import NumericsPlan, OperatorPlan, Outliers, Target, TensorPlan, Unit
from accelsim.graph.operator import Graph, Kind, Operator
from accelsim.spec.format.names import from_name
from accelsim.spec.infeasible import Infeasible

_PRODUCTS = (Kind.MATMUL, Kind.EXPERTS)


@dataclass(frozen=True, slots=True)
class TokenGroups:
    """Caches that are rounded in groups of tokens, as long as a block of their format.

    Attributes:
        along_tokens: tensors whose blocks lie along the tokens of a group.
        along_width: tensors whose blocks lie along head_dim, and wait for the group all the same.
        tail: what the tokens of a group that is not full are kept in.
    """

    along_tokens: tuple[str, ...]
    along_width: tuple[str, ...]
    tail: str


def in_token_groups(plan: NumericsPlan, groups: TokenGroups) -> NumericsPlan:
    """The plan with caches rounded in groups of tokens."""

    def change(op: OperatorPlan) -> OperatorPlan:
        return replace(op, tensors=tuple(grouped(t) for t in op.tensors))

    def grouped(t: TensorPlan) -> TensorPlan:
        if t.storage is None or t.name not in (*groups.along_tokens, *groups.along_width):
            return t
        return replace(t, group=t.storage.block, along_tokens=t.name in groups.along_tokens, tail=groups.tail)

    return _changed(plan, change)


def with_outliers(plan: NumericsPlan, graphs: Iterable[Graph], target: Target, threshold: float) -> NumericsPlan:
    """The plan with outlier columns of what passes quantise in fp16.

    Args:
        plan: of the graphs.
        graphs: whose products take what passes have quantised.
        target: who computes.
        threshold: magnitude from which on a column is an outlier.

    Raises:
        RequestError: no pass quantises anything, or the target multiplies no fp16.
    """
    units: dict[tuple[str, str], Outliers] = {}
    for graph in graphs:
        passes = {op.outputs[0].name for _, op in graph if op.kind is Kind.QUANTIZE}
        for _, op in graph:
            if op.kind is Kind.QUANTIZE:
                units[graph.phase, op.name] = Outliers(threshold, None)
            elif op.kind in _PRODUCTS and op.inputs[0].name in passes:
                units[graph.phase, op.name] = Outliers(threshold, _in_half(op, graph.phase, target))
    if not units:
        raise RequestError(
            "outlier columns are found by the pass that quantises what products take: name weights and activations "
            "that are narrower than the format between operators, on a GPU or without a chip"
        )
    return _changed(plan, lambda op: replace(op, outliers=units.get((op.phase, op.name))))


def _in_half(op: Operator, phase: str, target: Target) -> Unit:
    half = from_name("fp16")
    found = target.unit(replace(op, inputs=tuple(replace(t, format=half) for t in op.inputs)), phase)
    if isinstance(found, Infeasible):
        raise RequestError(f"outlier columns are multiplied in fp16: {found.reason}")
    return found


def _changed(plan: NumericsPlan, change: Callable[[OperatorPlan], OperatorPlan]) -> NumericsPlan:
    def deep(op: OperatorPlan) -> OperatorPlan:
        return change(replace(op, parts=tuple(map(deep, op.parts))))

    return replace(plan, operators=tuple(map(deep, plan.operators)))
