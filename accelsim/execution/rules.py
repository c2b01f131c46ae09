"""The value rule of every kind of operator: what it makes of its inputs, in the numbers of its plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.execution import attention, rotary
from accelsim.execution.apart import Apart, taken_out
from accelsim.execution.cache import Cached, KvCache
from accelsim.execution.layer import split
from accelsim.execution.matrix import multiply, prepare
from accelsim.execution.plan import KEYS, VALUES, OperatorPlan, TensorPlan, Unit
from accelsim.execution.routing import Choice, choose
from accelsim.execution.static import StaticScales
from accelsim.execution.stored import Stored, store
from accelsim.execution.tables import gelu_by_table
from accelsim.execution.weights import Weights
from accelsim.graph.build import TOKEN_TABLE
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.spec.model import Model

Array = NDArray[Any]
Held = Stored | Choice | Apart

APART: Final = ".outliers"
"""Behind the name of a tensor: the columns that were taken out of it."""

SQUARES: Final = "sum of squares"
"""In the place of a tensor: the statistics of a norm, which are beyond the range of fp16 long before what it writes."""


@dataclass
class Pass:
    """One walk through a graph.

    Attributes:
        model: what is executed.
        weights: of it.
        cache: keys and values.
        tokens: [batch, new positions].
        past: positions before the new ones.
        held: tensors by name; activations are [tokens, width].
        clipped: elements beyond the range of their format, and all elements of the calls where there were any, by
            operator and tensor.
        scales: of whole tensors, where they are known beforehand.
    """

    model: Model
    weights: Weights
    cache: KvCache
    tokens: NDArray[np.int64]
    past: int
    held: dict[str, Held] = field(default_factory=dict)
    clipped: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    scales: StaticScales | None = None

    def array(self, name: str) -> Array:
        """The values of a tensor."""
        return self.stored(name).values

    def stored(self, name: str) -> Stored:
        """A tensor with its codes."""
        found = self.held[name]
        assert isinstance(found, Stored)
        return found

    def clip(self, operator: str, tensor: str, count: int, of: int) -> None:
        """Count elements beyond the range of their format."""
        so_far, seen = self.clipped.get((operator, tensor), (0, 0))
        self.clipped[operator, tensor] = (so_far + count, seen + of)

    @property
    def choice(self) -> Choice:
        """The experts of the last router."""
        found = self.held["choice"]
        assert isinstance(found, Choice)
        return found


@dataclass(frozen=True)
class Step:
    """An operator in one repetition of its block.

    Attributes:
        op: as the graph has it.
        plan: its numbers.
        layer: of its weights and its cache, None outside of layers.
        repetition: of the block.
        moved: layer whose opening norm this is, where norms were moved to the end of the layer before; else None,
            -1 for the norm behind the stack.
    """

    op: Operator
    plan: OperatorPlan
    layer: int | None
    repetition: int
    moved: int | None = None

    def named(self, tensor: Tensor) -> tuple[int | None, TensorPlan]:
        """Layer and plan of a weight, its name without the layer."""
        plan = next(t for t in self.plan.tensors if t.name == tensor.name and not t.output)
        layer, name = split(tensor.name, self.repetition)
        name = name.replace("opening_norm", "attention_norm")
        if self.moved is not None:
            layer = None if self.moved < 0 else self.moved
            name = name.replace("attention_norm", "final_norm") if self.moved < 0 else name
        return layer, _renamed(plan, name)

    def weights(self) -> list[Tensor]:
        """Weights that the operator reads."""
        return [t for t in self.op.inputs if t.role is Role.WEIGHT]


def _renamed(plan: TensorPlan, name: str) -> TensorPlan:
    return replace(plan, name=name)


def execute(step: Step, at: Pass) -> dict[str, Array | Choice]:
    """What an operator writes, before it is rounded to its storage format; by tensor."""
    return RULES[step.op.kind](step, at)


def _embedding(step: Step, at: Pass) -> dict[str, Array | Choice]:
    lanes, made = step.plan.lanes, None
    for tensor in step.op.inputs:
        if tensor.role is not Role.WEIGHT:
            part = at.array(tensor.name)
        else:
            layer, plan = step.named(tensor)
            rows = (int(tensor.shape[0]), int(tensor.shape[1]))
            table = at.weights.rows(layer, plan, lanes, rows)
            part = table[_rows_of(tensor.name, at)].reshape(-1, table.shape[1])
        made = part if made is None else lanes.add(made, part)
    assert made is not None
    return {step.op.outputs[0].name: lanes.round(made)}


def _rows_of(name: str, at: Pass) -> NDArray[np.int64]:
    if name == TOKEN_TABLE:
        return at.tokens
    if not name.endswith("position_embedding.weight"):
        raise RequestError(f"{at.model.name}: no rule for the table {name}")
    values = at.model.values
    assert values is not None
    return np.broadcast_to(at.past + np.arange(at.tokens.shape[1]) + values.position_offset, at.tokens.shape)


def _norm(step: Step, at: Pass) -> dict[str, Array | Choice]:
    op, values = step.op, at.model.values
    assert values is not None
    x = at.array(op.inputs[0].name)
    width = int(op.inputs[1].shape[0])
    scale, *bias = (at.weights.rows(*step.named(t), step.plan.lanes, (width,)) for t in step.weights())
    spread = step.plan.lanes.spread(x.reshape(-1, width), op.attributes["norm"], values.norm_epsilon)
    beyond = int(np.count_nonzero(~(spread[1] > 0)))
    if beyond:
        plain = "final_norm" if step.moved == -1 else split(op.name, step.repetition)[1]
        at.clip(plain, SQUARES, beyond, len(spread[1]))
    made = step.plan.lanes.norm(spread, scale, bias[0] if bias else None)
    return {op.outputs[0].name: made.reshape(x.shape)}


def _matmul(step: Step, at: Pass) -> dict[str, Array | Choice]:
    op, unit, lanes = step.op, step.plan.unit, step.plan.lanes
    assert unit is not None
    source = at.stored(op.inputs[0].name)
    rows = int(op.dims["m"])
    if rows < len(source.values):  # lm_head sees the last position of each sequence
        source = Stored(source.values.reshape(rows, -1, source.values.shape[1])[:, -1])
    left, made = prepare(source, unit, -1), {}
    outputs, found = iter(op.outputs), None
    for tensor in step.weights():
        layer, plan = step.named(tensor)
        shape = tuple(int(n) for n in tensor.shape)
        if len(shape) == 1:  # the bias of the matrix before
            assert found is not None
            made[found] = lanes.add(made[found], at.weights.rows(layer, plan, lanes, shape))
            continue
        tied = tensor.name == TOKEN_TABLE
        right = at.weights.matrix(layer, plan, unit, (shape[0], shape[1]), tied=tied)
        found = next(outputs).name
        made[found] = lanes.round(multiply(left, right, unit, sums=step.plan.sums))
        apart = _beside(step, at)
        if apart is not None:
            weight = at.weights.values(layer, plan, (shape[0], shape[1]))
            made[found] = lanes.add(made[found], lanes.round(apart[0].product(weight, apart[1])))
    return dict(made)


def _beside(step: Step, at: Pass) -> tuple[Apart, Unit] | None:
    """Outlier columns of the input, where there are any, and the unit that multiplies them."""
    if step.plan.outliers is None or step.plan.outliers.unit is None:
        return None
    found = at.held[step.op.inputs[0].name + APART]
    assert isinstance(found, Apart)
    return (found, step.plan.outliers.unit) if found.columns.size else None


def _experts(step: Step, at: Pass) -> dict[str, Array | Choice]:
    op, unit, lanes = step.op, step.plan.unit, step.plan.lanes
    assert unit is not None
    source, counts = at.stored(op.inputs[0].name), at.choice.counts
    x = source.values
    stops = np.cumsum(counts)
    made: dict[str, Array | Choice] = {}
    apart = _beside(step, at)
    for tensor, output in zip(step.weights(), op.outputs, strict=True):
        layer, plan = step.named(tensor)
        shape = tuple(int(n) for n in tensor.shape)
        result = np.empty((len(x), shape[2]), dtype=lanes.dtype)
        for expert in np.nonzero(counts)[0]:
            part = slice(stops[expert] - counts[expert], stops[expert])
            left = prepare(_rows(source, part, _storage(step, op.inputs[0]), op.name), unit, -1)
            right = at.weights.experts(layer, plan, unit, shape, int(expert))
            result[part] = lanes.round(multiply(left, right, unit, sums=step.plan.sums))
            if apart is not None:
                weight = at.weights.values(layer, plan, shape, int(expert))
                result[part] = lanes.add(result[part], lanes.round(apart[0].product(weight, apart[1], part)))
        made[output.name] = result
    return made


def _rows(source: Stored, part: slice, form: Any, where: str) -> Stored:
    """Some rows of a tensor, with their codes."""
    if source.encoded is None:
        return store(source.values[part], form, where)
    return Stored(source.values[part], source.encoded.sliced(0, part))


def _storage(step: Step, tensor: Tensor) -> Any:
    return next(t.storage for t in step.plan.tensors if t.name == tensor.name and not t.output)


def _rope(step: Step, at: Pass) -> dict[str, Array | Choice]:
    op, lanes, values = step.op, step.plan.lanes, at.model.values
    assert values is not None
    assert step.layer is not None
    spec = _attention_of(at.model, step.layer)
    batch, count = at.tokens.shape
    form = _storage(step, op.inputs[-1])
    tables = rotary.table(values, spec.rope_dim, at.past, count)
    cosine, sine = (store(lanes.round(t), form, op.name).values for t in tables)
    made: dict[str, Array | Choice] = {}
    for tensor in op.outputs:
        x = at.array(tensor.name)
        heads = x.reshape(batch, count, -1, spec.head_dim)
        made[tensor.name] = rotary.rotated(heads, cosine, sine, lanes).reshape(x.shape)
    return made


def _attention_of(model: Model, layer: int) -> Any:
    at = 0
    for group in model.decoder:
        span = len(group.layers)
        if layer < at + span * group.repeat:
            return group.layers[(layer - at) % span].attention
        at += span * group.repeat
    raise AssertionError(f"{model.name} has no layer {layer}")


def _append(step: Step, at: Pass) -> dict[str, Array | Choice]:
    assert step.layer is not None
    made: dict[str, Array | Choice] = {}
    heads = _attention_of(at.model, step.layer).kv_heads
    for source, target in zip(step.op.inputs, step.op.outputs, strict=True):
        plan = step.plan.output(target.name)
        late = store(at.array(source.name), _storage(step, source), step.op.name).values if plan.group else None
        x = at.array(source.name) if late is None else late
        made[target.name] = at.cache.append(step.layer, target.name, x, heads, plan, at.scales)
    return made


def _heads(step: Step, at: Pass) -> tuple[attention.Heads, Cached, Cached]:
    op = step.op
    assert step.layer is not None
    query = at.array("q").reshape(*at.tokens.shape, int(op.dims["heads"]), int(op.dims["head_dim"]))
    heads = attention.Heads(query, at.past, bool(op.attributes["causal"]), op.attributes.get("window"))
    return heads, at.cache.read(step.layer, KEYS), at.cache.read(step.layer, VALUES)


def _scores(step: Step, at: Pass) -> dict[str, Array | Choice]:
    heads, keys, _ = _heads(step, at)
    return {step.op.outputs[0].name: attention.scores(heads, keys, step.plan.keys, step.plan.lanes)}


def _softmax(step: Step, at: Pass) -> dict[str, Array | Choice]:
    x = at.array(step.op.inputs[0].name)
    assert step.layer is not None
    spec = _attention_of(at.model, step.layer)
    seen = attention.Heads(x.transpose(0, 2, 1, 3), at.past, spec.causal, spec.window).seen(x.shape[3])
    return {step.op.outputs[0].name: step.plan.lanes.softmax(x, np.broadcast_to(seen, x.shape))}


def _context(step: Step, at: Pass) -> dict[str, Array | Choice]:
    heads, _, values = _heads(step, at)
    found = attention.contexts(heads, at.array(step.op.inputs[0].name), values, step.plan.keys, step.plan.lanes)
    return {step.op.outputs[0].name: found.reshape(at.tokens.size, -1)}


def _attention(step: Step, at: Pass) -> dict[str, Array | Choice]:
    heads, keys, values = _heads(step, at)
    found = attention.fused(heads, keys, values, step.plan.keys, step.plan.lanes)
    return {step.op.outputs[0].name: found.reshape(at.tokens.size, -1)}


def _activation(step: Step, at: Pass) -> dict[str, Array | Choice]:
    name, lanes = step.op.attributes["activation"], step.plan.lanes
    x = at.array(step.op.inputs[0].name)
    if step.plan.table and name in ("gelu", "gelu_exact"):
        return {step.op.outputs[0].name: gelu_by_table(x, step.plan.table, lanes)}
    rule: Callable[[Array], Array] = getattr(lanes, name)
    return {step.op.outputs[0].name: rule(x)}


def _add(step: Step, at: Pass) -> dict[str, Array | Choice]:
    first, second = (at.array(t.name) for t in step.op.inputs)
    return {step.op.outputs[0].name: step.plan.lanes.add(first, second)}


def _multiply(step: Step, at: Pass) -> dict[str, Array | Choice]:
    first, second = (at.array(t.name) for t in step.op.inputs)
    return {step.op.outputs[0].name: step.plan.lanes.multiply(first, second)}


def _route(step: Step, at: Pass) -> dict[str, Array | Choice]:
    values = at.model.values
    assert values is not None
    logits = at.array(step.op.inputs[0].name)
    made = choose(logits, int(step.op.dims["active"]), step.plan.lanes, renormalize=values.renormalize)
    form = step.plan.output("choice").storage
    weights = store(made.weights, form, step.op.name).values
    return {"choice": Choice(made.experts, weights, made.order, made.counts)}


def _quantize(step: Step, at: Pass) -> dict[str, Array | Choice]:
    x, name = at.array(step.op.inputs[0].name), step.op.outputs[0].name
    if step.plan.outliers is not None:
        x, at.held[name + APART] = taken_out(x, step.plan.outliers.threshold)
    return {name: x}  # rounded when it is written


def _dispatch(step: Step, at: Pass) -> dict[str, Array | Choice]:
    return {step.op.outputs[0].name: at.choice.gathered(at.array(step.op.inputs[0].name))}


def _combine(step: Step, at: Pass) -> dict[str, Array | Choice]:
    return {step.op.outputs[0].name: at.choice.combined(at.array(step.op.inputs[0].name), step.plan.lanes)}


RULES: Final[Mapping[Kind, Callable[[Step, Pass], dict[str, Array | Choice]]]] = {
    Kind.EMBEDDING: _embedding, Kind.NORM: _norm, Kind.MATMUL: _matmul, Kind.EXPERTS: _experts, Kind.ROPE: _rope,
    Kind.KV_APPEND: _append, Kind.SCORES: _scores, Kind.SOFTMAX: _softmax, Kind.CONTEXT: _context,
    Kind.ATTENTION: _attention, Kind.ACTIVATION: _activation, Kind.ADD: _add, Kind.MULTIPLY: _multiply,
    Kind.ROUTE: _route, Kind.DISPATCH: _dispatch, Kind.COMBINE: _combine, Kind.QUANTIZE: _quantize,
}  # fmt: skip
"""The rules; a fused kernel is its parts one after the other, and collectives belong to graphs of several chips."""
