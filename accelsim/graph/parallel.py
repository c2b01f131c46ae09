"""Tensor parallelism: which part of each operator a chip computes, and where parts have to come together.

As in Megatron-LM (Shoeybi et al., 2019, section 3): the first matrix of a block is split by columns and the second by
rows, so that activations between them stay apart and one all-reduce behind the second completes the sum; attention is
split by heads, the embedding and the head of the model by the vocabulary. What needs whole rows (norms, additions to
the residual stream, routers) runs on every chip. Operators keep the dimensions of the whole; `share` gives one chip's
part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from accelsim.graph.build import TOKEN_TABLE
from accelsim.graph.operator import Block, Graph, Kind, Operator, Role, Tensor
from accelsim.spec.infeasible import Infeasible

ATTENTION_KINDS: Final = frozenset({Kind.SCORES, Kind.SOFTMAX, Kind.CONTEXT, Kind.ATTENTION})
SPLIT: Final = "split"
"""Attribute of an operator: into how many parts each of its tensors is split, by name."""

PARALLEL: Final = "parallel"
"""Attribute: what is split, one of columns, rows, heads, batch, vocabulary, elements."""

_PARTIAL: Final = 0
"""State of a tensor of which every chip has a summand; other states are the number of parts."""

_KEYS: Final = ("k", "v", "cross_k", "cross_v")
_OUTLIVES: Final = frozenset({"hidden", "normed", "logits", "pooled"})
_LINEAR: Final = frozenset({Kind.COMBINE, Kind.MULTIPLY})


def tensor_parallel(graph: Graph, devices: int) -> Graph:
    """The graph with the parts of so many chips marked, and collectives where parts come together.

    Args:
        graph: of one chip, fused or not.
        devices: at least 2, and such that `unfit` finds nothing.
    """
    heads = _kv_heads(graph)
    return graph.with_blocks(tuple(_Marker(block, devices, heads).marked() for block in graph.blocks))


def unfit(graph: Graph, devices: int) -> Infeasible | None:
    """Why a model cannot be split over so many chips, or None."""
    for _, op in graph:
        if op.kind not in ATTENTION_KINDS or "heads" not in op.dims:
            continue
        heads, kv_heads = int(op.dims["heads"]), int(op.dims["kv_heads"])
        if heads % devices or (kv_heads % devices and devices % kv_heads):
            fitting = [n for n in range(1, heads + 1) if not heads % n and not (kv_heads % n and n % kv_heads)]
            return Infeasible(
                "unsupported",
                f"{heads} query heads and {kv_heads} KV heads of {graph.model} cannot be shared evenly by {devices} "
                "chips",
                set_by=("chips", "model"),
                levers=(f"chips = {' or '.join(map(str, fitting))}",),
            )
    return None


def share(op: Operator, devices: int) -> Operator:
    """What one of the chips computes of an operator; the operator itself where each of them does all of it."""
    split: Mapping[str, int] | None = op.attributes.get(SPLIT)
    if not split:
        return op
    inputs, outputs = (tuple(_piece(t, split.get(t.name, 1)) for t in side) for side in (op.inputs, op.outputs))
    dims = dict(op.dims)
    word = op.attributes[PARALLEL]
    if word == "columns":
        dims["n"] = sum(t.shape[-1] for t in outputs)
    elif word == "rows":
        dims["k"] = -(-int(dims["k"]) // devices)
    elif word == "batch":
        dims["batch"] = dims["batch"] // devices
    elif word == "heads" and "heads" in dims:
        dims["heads"] = dims["heads"] // devices
        dims["kv_heads"] = max(1, int(dims["kv_heads"]) // devices)
    elif word != "vocabulary":
        before, after = (sum(float(_mean(t)) for t in side) for side in (op.outputs, outputs))
        dims.update({key: dims[key] * after / before for key in ("rows", "elements") if key in dims})
    return replace(
        op, dims=dims, inputs=inputs, outputs=outputs, parts=tuple(share(part, devices) for part in op.parts)
    )


def copied_bytes(graph: Graph, devices: int) -> tuple[float, float]:
    """Bytes of weights, and of keys and values, that the chips together hold beyond one copy."""
    seen: set[str] = set()
    weights = cache = 0.0
    for block, op in graph if devices > 1 else ():
        split: Mapping[str, int] = op.attributes.get(SPLIT, {})
        for tensor in op.inputs:
            more = devices / split.get(tensor.name, 1) - 1
            if tensor.role is Role.WEIGHT and tensor.name not in seen:
                seen.add(tensor.name)
                weights += block.repeat * more * float(replace(tensor, moved=None).bytes)
            elif tensor.role is Role.KV_CACHE and op.kind in ATTENTION_KINDS:
                cache += block.repeat * more * float(tensor.bytes)
    return weights, cache


def _piece(tensor: Tensor, parts: int) -> Tensor:
    """One of equal parts: along the last axis that divides, else along the last, rounded up."""
    if parts == 1:
        return tensor
    shape = list(tensor.shape)
    sized = [i for i, n in enumerate(shape) if isinstance(n, int)]
    axis = next((i for i in reversed(sized) if not shape[i] % parts), sized[-1] if sized else len(shape) - 1)
    size = shape[axis]
    shape[axis] = -(-size // parts) if isinstance(size, int) else size / parts
    return replace(tensor, shape=tuple(shape), moved=None if tensor.moved is None else tensor.moved / parts)


def _mean(tensor: Tensor) -> float:
    """Elements as one number, the mean over design points."""
    import numpy as np

    return float(np.mean(tensor.elements))


def _kv_heads(graph: Graph) -> int:
    return next((int(op.dims["kv_heads"]) for _, op in graph if "kv_heads" in op.dims), 1)


@dataclass(slots=True)
class _Marker:
    """Goes through a block and keeps how each activation lies on the chips."""

    block: Block
    devices: int
    kv_heads: int
    states: dict[str, int] = field(default_factory=dict)
    made: list[Operator] = field(default_factory=list)

    def marked(self) -> Block:
        """The block with marks and collectives."""
        ops = self.block.operators
        for index, op in enumerate(ops):
            needed = {t.name: t for t in self._needs_whole(op, ops[index + 1 :])}
            self._complete(op.name, list(needed.values()))
            self.made.append(self._mark(op, ops[index + 1 :]))
        last = {t.name: t for op in ops for t in op.outputs if t.name in _OUTLIVES}
        for name, tensor in last.items():
            if self.states.get(name, 1) != 1:
                self._complete(name if name in ("logits", "pooled") else f"{self.block.name}.{name}", [tensor])
        return replace(self.block, operators=tuple(self.made))

    def _complete(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Sums of summands, all of one width in one go (what is added later may be added first), and parts joined."""
        groups: dict[tuple[Kind, object], list[Tensor]] = {}
        for tensor in tensors:
            kind = Kind.ALL_REDUCE if self.states[tensor.name] == _PARTIAL else Kind.ALL_GATHER
            groups.setdefault((kind, tensor.shape[-1] if kind is Kind.ALL_REDUCE else len(groups)), []).append(tensor)
            self.states[tensor.name] = 1
        for index, ((kind, _), joined) in enumerate(groups.items()):
            dims = {"bytes": joined[0].bytes, "devices": self.devices}
            label = f"{name}.{kind}" + (f"_{index + 1}" if index else "")
            self.made.append(Operator(name=label, kind=kind, dims=dims, inputs=tuple(joined), outputs=tuple(joined)))

    def _state(self, tensor: Tensor) -> int:
        return self.states.get(tensor.name, 1)

    def _needs_whole(self, op: Operator, later: Sequence[Operator]) -> list[Tensor]:
        """Inputs that have to come together before an operator can run."""
        if op.parts:
            inner = _Marker(self.block, self.devices, self.kv_heads, dict(self.states))
            outside = {t.name for t in op.inputs}
            found: list[Tensor] = []
            for part in op.parts:
                needed = inner._needs_whole(part, later)
                found += [t for t in needed if t.name in outside]
                inner.states.update({t.name: 1 for t in needed})
                inner._mark(part, later)
            return found
        inputs = [t for t in op.inputs if t.role is Role.ACTIVATION and self._state(t) != 1]
        states = {self._state(t) for t in op.inputs if t.role is Role.ACTIVATION}
        if op.kind in (Kind.MATMUL, Kind.EXPERTS):
            return [t for t in inputs if self._state(t) == _PARTIAL]
        if op.kind in ATTENTION_KINDS or op.kind in (Kind.ROPE, Kind.KV_APPEND, Kind.ACTIVATION, Kind.QUANTIZE):
            return [t for t in inputs if self._state(t) == _PARTIAL]
        if op.kind is Kind.NORM:
            return [t for t in inputs if self._state(t) == _PARTIAL]  # the split ones are normed head by head
        if op.kind is Kind.ADD and len(states) == 1:
            return []
        if op.kind in _LINEAR:
            return inputs if len(inputs) > 1 and len(states) > 1 else []
        return inputs

    def _mark(self, op: Operator, later: Sequence[Operator]) -> Operator:
        """The operator with its parts, and the states of what it writes."""
        if op.parts:
            parts = tuple(self._mark(part, later) for part in op.parts)
            split: dict[str, int] = {}
            for part in parts:
                split |= part.attributes.get(SPLIT, {})
            return self._with(replace(op, parts=parts), "elements", split) if split else op
        if op.kind in (Kind.MATMUL, Kind.EXPERTS):
            return self._matrix(op, later)
        if op.kind is Kind.EMBEDDING and op.inputs[0].name == TOKEN_TABLE:
            self.states[op.outputs[0].name] = _PARTIAL
            return self._with(op, "vocabulary", {TOKEN_TABLE: self.devices})
        if op.kind in ATTENTION_KINDS:
            return self._attention(op)
        split = {t.name: self._state(t) for t in op.inputs if self._state(t) > 1}
        if op.kind is Kind.KV_APPEND and len(op.inputs) == len(op.outputs):
            split |= {out.name: self._state(t) for t, out in zip(op.inputs, op.outputs, strict=True)}
        elif op.kind is not Kind.ROPE:
            states = [self._state(t) for t in op.inputs if t.role is Role.ACTIVATION]
            state = _PARTIAL if _PARTIAL in states else max(states, default=1)
            for out in op.outputs:
                split[out.name] = state
        self.states.update({t.name: split.get(t.name, 1) for t in op.outputs})
        parts_of = {name: count for name, count in split.items() if count > 1}
        return self._with(op, "elements", parts_of) if parts_of else op

    def _matrix(self, op: Operator, later: Sequence[Operator]) -> Operator:
        source, state = op.inputs[0], self._state(op.inputs[0])
        weights = [t for t in op.inputs[1:] if len(t.shape) > 1]
        if state > 1:
            if int(op.dims["batch"]) > 1:  # a matrix of its own for each head
                self.states.update({t.name: self.devices for t in op.outputs})
                return self._with(op, "batch", {t.name: self.devices for t in (*op.inputs, *op.outputs)})
            self.states.update({t.name: _PARTIAL for t in op.outputs})
            return self._with(op, "rows", {t.name: state for t in (source, *weights)})
        if not self._by_columns(op, later):
            self.states.update({t.name: 1 for t in op.outputs})
            return op
        split = {out.name: self._parts(out) for out in op.outputs}
        self.states.update(split)
        counts, index = list(split.values()), -1
        for tensor in op.inputs[1:]:
            index = min(index + (len(tensor.shape) > 1), len(counts) - 1)
            split[tensor.name] = counts[index]
        return self._with(op, "columns", split)

    def _parts(self, out: Tensor) -> int:
        """Into how many parts a projection is split; KV heads that are fewer than the chips are held several times."""
        if out.name in _KEYS and self.kv_heads % self.devices:
            return self.kv_heads
        return self.devices

    def _by_columns(self, op: Operator, later: Sequence[Operator]) -> bool:
        """Whether what reads the result can do with parts of its columns."""
        head = not any(t.name in {i.name for i in after.inputs} for t in op.outputs for after in later)
        if not head and any(int(t.shape[-1]) % self._parts(t) for t in op.outputs):
            return False
        for out in op.outputs:
            reader = next((part for part in _flat(later) if out.name in {t.name for t in part.inputs}), None)
            if reader is None:
                continue
            if reader.kind in (Kind.ROUTE, Kind.EMBEDDING, Kind.DISPATCH, Kind.ADD):
                return False
            if reader.kind is Kind.MATMUL and int(reader.dims["batch"]) == 1:
                return False
            if reader.kind is Kind.NORM and reader.inputs[0].shape[-1] == out.shape[-1]:
                return False
        return True

    def _attention(self, op: Operator) -> Operator:
        if self._state(op.inputs[0]) == 1:
            self.states.update({t.name: 1 for t in op.outputs})
            return op
        kv_heads = int(op.dims.get("kv_heads", self.devices))
        kv = self.devices if kv_heads % self.devices == 0 else kv_heads
        # scores and what is added to them go by query heads, keys and values by theirs
        names = {"k", "v", "k_cache", "v_cache", "cross_k_cache", "cross_v_cache"}
        split = {t.name: kv if t.name in names else self.devices for t in (*op.inputs, *op.outputs)}
        self.states.update({t.name: self.devices for t in op.outputs})
        return self._with(op, "heads", split)

    def _with(self, op: Operator, word: str, split: Mapping[str, int]) -> Operator:
        return replace(op, attributes={**op.attributes, PARALLEL: word, SPLIT: dict(split)})


def _flat(ops: Sequence[Operator]) -> list[Operator]:
    return [part for op in ops for part in (op.parts or (op,))]
