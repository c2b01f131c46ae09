"""In which numbers a graph is executed: a frozen plan with a row for every operator and tensor.

A plan is made from the very graphs that are priced (`plan_of`), for a target: a reference arithmetic
(`accelsim.execution.targets`) or a device (`accelsim.execution.device_targets`). The executor does what the plan says
and asks nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol

from accelsim.errors import RequestError
from accelsim.execution.lanes import Lanes
from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator, Role, Tensor
from accelsim.mapping.gpu.steps import COPIES, FREE
from accelsim.mapping.sums import WHOLE, Sums
from accelsim.numerics.accumulator import AnyAccumulator
from accelsim.spec.format import BlockFormat, Format, TwoLevelBlockFormat
from accelsim.spec.infeasible import Infeasible

ATTENTION_KINDS: Final = (Kind.ATTENTION, Kind.SCORES, Kind.CONTEXT)

KEYS: Final = "k_cache"
VALUES: Final = "v_cache"
"""Tensors of the graph that hold keys and values."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What multiplies matrices.

    Attributes:
        accumulator: "fp64" and "fp32" add rounded products in increasing k, "exact" rounds the exact sum once to
            fp32; or a record of `accelsim.numerics`.
        first: format that the first operand is brought to, None where it enters as stored.
        second: the same of weights, keys and values.
        native: block scales of both operands enter the unit; else values are dequantised before.
        converted: which of both operands a unit of its own widens first; that is priced.
        where: where that happens.
        source: who says so.
        status: how far that can be trusted.
    """

    accumulator: str | AnyAccumulator
    first: Format | None = None
    second: Format | None = None
    native: bool = False
    converted: tuple[bool, bool] = (False, False)
    where: str = ""
    source: str = "by definition"
    status: str = "derived"

    @property
    def label(self) -> str:
        """Name of the accumulator."""
        if isinstance(self.accumulator, str):
            return self.accumulator
        return self.accumulator.name or type(self.accumulator).__name__.lower()


@dataclass(frozen=True, slots=True)
class Keys:
    """How new positions meet the keys, from one position on until the next of these.

    Attributes:
        first: absolute position of the first query that it holds for.
        unit: of both products.
        sums: parts and tiles of keys; those of each product where the softmax has all scores at once.
        weights: format that P is rounded to before P V; None leaves it at the width of the lanes.
    """

    first: int
    unit: Unit
    sums: Sums = WHOLE
    weights: Format | None = None

    @property
    def values_unit(self) -> Unit:
        """The unit of P V, which takes P as it is rounded."""
        return self.unit if self.weights is self.unit.first else replace(self.unit, first=self.weights)

    @property
    def order(self) -> str:
        """The order of sums, in words."""
        made = _along(self.unit, WHOLE)
        for product, sums in zip(("Q K^T", "P V"), self.sums.products, strict=False):
            made += f"; {product} in {sums.order}" if sums.order else ""
        made += f"; tiles of {self.sums.tile} keys from position 0" if self.sums.tile else "; all keys at once"
        if self.sums.parts > 1:
            made += f"; {self.sums.parts} parts of {self.sums.extent} keys, joined in fp32 by maxima and sums"
        return made


@dataclass(frozen=True, slots=True)
class TensorPlan:
    """One tensor of one operator.

    Attributes:
        name: as the graph has it.
        role: weight, activation or KV cache.
        output: whether the operator writes it.
        storage: format in memory; None for the width of the lanes, or for a weight that is taken as it is given.
        written: False for what stays in registers.
        operand: format that it is widened to before the matrix unit, None where it enters as it is.
        group: tokens of the cache that are rounded together, when all are there; 0 rounds each when it is appended.
        along_tokens: blocks lie along the tokens of a group.
        tail: what the tokens of a group that is not full are kept in.
    """

    name: str
    role: Role
    output: bool
    storage: Format | None
    written: bool = True
    operand: Format | None = None
    group: int = 0
    along_tokens: bool = False
    tail: str = ""

    @property
    def granularity(self) -> str:
        """What shares a scale."""
        form = self.storage
        if isinstance(form, TwoLevelBlockFormat):
            return f"{form.block} elements, and the tensor"
        if isinstance(form, BlockFormat):
            return f"{form.block} elements" if form.granularity == "block" else form.granularity
        return "own" if form is not None and form.scaled else ""

    @property
    def axis(self) -> str:
        """Along which elements share scales: the axis that the next product adds along, or tokens of a group."""
        if self.storage is None or not self.storage.scaled:
            return ""
        if self.along_tokens:
            return "tokens"
        return {Role.WEIGHT: "k", Role.KV_CACHE: "head_dim"}.get(self.role, "last")


@dataclass(frozen=True, slots=True)
class Outliers:
    """Columns of an input that are multiplied apart.

    Attributes:
        threshold: magnitude from which on a column is one of them, among the tokens of a call.
        unit: that multiplies them; None in the pass that takes them out.
    """

    threshold: float
    unit: Unit | None


@dataclass(frozen=True, slots=True)
class OperatorPlan:
    """One operator of one phase.

    Attributes:
        phase: "prefill" or "decode".
        name: of the operator.
        kind: what it does.
        tensors: inputs, then outputs.
        lanes: element-wise arithmetic and reductions.
        unit: of matrix kinds; of attention, that of the first of `keys`.
        sums: parts of k, of products with weights.
        keys: of attention, by position of the queries.
        table: entries of the table that takes the place of an activation function; 0 for the formula.
        parts: operators of a fused kernel; what they hand to each other stays in registers.
        outliers: columns that are taken out of the input, or multiplied apart; None for all in one piece.
    """

    phase: str
    name: str
    kind: Kind
    tensors: tuple[TensorPlan, ...]
    lanes: Lanes
    unit: Unit | None = None
    sums: Sums = WHOLE
    keys: tuple[Keys, ...] = ()
    table: int = 0
    parts: tuple[OperatorPlan, ...] = ()
    outliers: Outliers | None = None

    @property
    def units(self) -> tuple[Unit, ...]:
        """All that multiply, each once."""
        several = (keys.unit for keys in self.keys) if self.keys else (self.unit,)
        return tuple(dict.fromkeys(unit for unit in several if unit is not None))

    def output(self, name: str) -> TensorPlan:
        """The plan of a tensor that is written."""
        return next(t for t in self.tensors if t.output and t.name == name)

    @property
    def conversions(self) -> frozenset[str]:
        """What is converted, as `priced_by` spells it: `mxfp4->bf16` before a product, `fp32->fp8_e4m3` after it."""
        made: set[str] = set()
        copied = self.kind in COPIES and len({t.storage.name for t in self.tensors if t.storage}) == 1
        for tensor in () if copied else self.tensors:
            form = tensor.storage
            if form is None:
                continue
            if tensor.operand is not None:
                made.add(f"{form.name}->{tensor.operand.name}")
            elif form.name not in FREE and (tensor.output or self.unit is None):
                made.add(f"fp32->{form.name}" if tensor.output else f"{form.name}->fp32")
        return frozenset(made)

    @property
    def order(self) -> str:
        """The order of sums, in words."""
        if self.unit is None:
            return _REDUCTIONS.get(self.kind, "") and (
                "exact" if self.lanes.exact else f"{self.lanes.width} in increasing index"
            )
        if not self.keys:
            return _along(self.unit, self.sums)
        return self.keys[0].order if len(self.keys) == 1 else f"by position, in {len(self.keys)} ways"


def _along(unit: Unit, sums: Sums) -> str:
    made = "none, the sum is exact" if unit.accumulator == "exact" else f"{unit.label} along k"
    return f"{made}; {sums.order}" if sums.order else made


_REDUCTIONS: Final = {Kind.NORM: "statistics", Kind.SOFTMAX: "sum", Kind.ROUTE: "sum", Kind.COMBINE: "sum"}


class Target(Protocol):
    """Who computes."""

    @property
    def name(self) -> str:
        """Of the arithmetic or device."""
        ...

    def lanes(self, op: Operator, phase: str) -> Lanes:
        """The arithmetic of what is no matrix product, and of its results."""
        ...

    def unit(self, op: Operator, phase: str) -> Unit | Infeasible:
        """The arithmetic of a matrix operator."""
        ...

    def sums(self, op: Operator, graph: Graph) -> Sums:
        """In which parts a matrix operator of a graph adds; how chips share it may depend on those before it."""
        ...

    def table(self, op: Operator) -> int:
        """Entries of the table of an activation function."""
        ...


@dataclass(frozen=True)
class NumericsPlan:
    """All operators of the phases of one execution.

    Attributes:
        target: name of the arithmetic or device.
        operators: in execution order, phase after phase.
        static: scales of whole tensors are known beforehand.
    """

    target: str
    operators: tuple[OperatorPlan, ...]
    static: bool = False

    @cached_property
    def _index(self) -> dict[tuple[str, str], OperatorPlan]:
        return {(op.phase, op.name): op for op in self.operators}

    def find(self, phase: str, name: str) -> OperatorPlan:
        """The plan of one operator.

        Raises:
            RequestError: no such operator in that phase.
        """
        try:
            return self._index[phase, name]
        except KeyError:
            raise RequestError(f"the plan of {self.target} has no operator {name!r} in {phase}") from None

    def lines(self) -> Iterator[tuple[OperatorPlan, TensorPlan]]:
        """Every operator with each of its tensors; parts stand after the kernel that they are fused into."""
        for op in self.operators:
            for each in (op, *op.parts) if op.parts else (op,):
                yield from ((each, tensor) for tensor in (each.tensors if each is not op or not op.parts else ()))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is not priced as it is stored, and what makes results depend on how a prompt is cut into calls."""
        cached = [t for _, t in self.lines() if t.output and t.group]
        groups = {(t.group, t.tail): ", ".join(dict.fromkeys(x.name for x in cached)) for t in cached}
        made = [
            f"{names}: rounded in groups of {group} tokens; the last group stays in {tail} until it is full, and is "
            "priced as if it were"
            for (group, tail), names in groups.items()
        ]
        if any(op.outliers for op in self.operators):
            made.append("outlier columns are found among all tokens of a call: prefill and decode differ")
        wide = {
            t.storage.name for _, t in self.lines() if t.storage is not None and t.output and _whole_tensor(t.storage)
        }
        if wide and not self.static:
            made.append(
                f"scales of whole tensors ({', '.join(sorted(wide))}) are chosen from all tokens of a call: "
                "prefill and decode differ"
            )
        return tuple(made)


def _whole_tensor(form: Format) -> bool:
    return isinstance(form, TwoLevelBlockFormat) or (isinstance(form, BlockFormat) and form.granularity == "tensor")


def plan_of(graphs: Iterable[Graph], target: Target, unrounded: Sequence[Role] = ()) -> NumericsPlan | Infeasible:
    """The plan of some phases.

    Args:
        graphs: one of each phase; those that are priced.
        target: who computes.
        unrounded: roles whose tensors are stored at the width of the lanes (weights: as given), whatever format
            the graph states for them.
    """
    made: list[OperatorPlan] = []
    for graph in graphs:
        for _, op in graph:
            found = _operator(op, graph, target, unrounded, None)
            if isinstance(found, Infeasible):
                return found
            made.append(found)
    return NumericsPlan(target.name, tuple(made))


def _operator(
    op: Operator, graph: Graph, target: Target, unrounded: Sequence[Role], written: frozenset[str] | None
) -> OperatorPlan | Infeasible:
    """`written`: names of what leaves the fused kernel that the operator is a part of."""
    phase = graph.phase
    if op.parts:
        outside = frozenset(t.name for t in op.outputs)
        parts = [_operator(part, graph, target, unrounded, outside) for part in op.parts]
        failed = next((part for part in parts if isinstance(part, Infeasible)), None)
        if failed is not None:
            return failed
        lanes = target.lanes(op, phase)
        tensors = tuple(_tensor(t, at >= len(op.inputs), unrounded, None) for at, t in enumerate(_both(op)))
        return OperatorPlan(phase, op.name, op.kind, tensors, lanes, parts=tuple(parts))  # type: ignore[arg-type]
    unit = target.unit(op, phase) if op.kind in MATRIX_KINDS else None
    if isinstance(unit, Infeasible):
        return unit
    keys = (_keys(op, graph, target),) if op.kind in ATTENTION_KINDS else ()
    return OperatorPlan(
        phase, op.name, op.kind,
        tuple(_tensor(t, at >= len(op.inputs), unrounded, written, unit) for at, t in enumerate(_both(op))),
        target.lanes(op, phase), unit, target.sums(op, graph) if unit is not None and not keys else WHOLE, keys,
        table=target.table(op) if op.kind is Kind.ACTIVATION else 0,
    )  # fmt: skip


def attending(plan: NumericsPlan, graphs: Iterable[Graph], target: Target) -> NumericsPlan:
    """The plan of a phase for other lengths of the keys; nothing else of it depends on them.

    Args:
        plan: of one phase.
        graphs: of that phase, by rising position of the queries.
        target: who computes.
    """
    found: dict[str, list[Keys]] = {}
    for graph in graphs:
        for _, op in graph:
            if op.kind in ATTENTION_KINDS:
                key, keys = _keys(op, graph, target), found.setdefault(op.name, [])
                if not keys or replace(key, first=keys[-1].first) != keys[-1]:
                    keys.append(key)
    made = (
        replace(op, unit=found[op.name][0].unit, keys=tuple(found[op.name])) if op.keys else op for op in plan.operators
    )
    return replace(plan, operators=tuple(made))


def _keys(op: Operator, graph: Graph, target: Target) -> Keys:
    unit, sums = target.unit(op, graph.phase), target.sums(op, graph)
    assert isinstance(unit, Unit)
    return Keys(int(op.dims["past"]), unit, sums, None if sums.lanes else unit.first)


def _both(op: Operator) -> tuple[Tensor, ...]:
    return (*op.inputs, *op.outputs)


def _tensor(
    tensor: Tensor, output: bool, unrounded: Sequence[Role], written: frozenset[str] | None, unit: Unit | None = None
) -> TensorPlan:
    operand = None
    if unit is not None and not output:
        at = int(tensor.role is not Role.ACTIVATION)
        bias = tensor.role is Role.WEIGHT and len(tensor.shape) < 2  # added in the lanes
        operand = (unit.first, unit.second)[at] if unit.converted[at] and not bias else None
    return TensorPlan(
        tensor.name, tensor.role, output, None if tensor.role in unrounded else tensor.format,
        written=written is None or not output or tensor.name in written or tensor.role is Role.KV_CACHE,
        operand=operand,
    )  # fmt: skip
