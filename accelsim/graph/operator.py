"""What has to be computed: operators, the tensors between them, and graphs of repeating layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from accelsim.graph.numbers import Number, prod
from accelsim.spec.format import Format

if TYPE_CHECKING:
    import networkx as nx

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Role(StrEnum):
    """What a tensor is to the model; traffic and capacity are told apart by it."""

    WEIGHT = "weight"
    ACTIVATION = "activation"
    KV_CACHE = "kv_cache"


class Kind(StrEnum):
    """Kinds of operators. `accelsim.graph.counts` says what each of them costs."""

    EMBEDDING = "embedding"
    NORM = "norm"
    MATMUL = "matmul"
    EXPERTS = "experts"  # one matrix multiplication per expert that got a token (grouped GEMM)
    ROPE = "rope"
    KV_APPEND = "kv_append"
    SCORES = "scores"  # Q x K^T, written out
    SOFTMAX = "softmax"
    CONTEXT = "context"  # P x V
    ATTENTION = "attention"  # scores, softmax and context in one kernel (FlashAttention, Flash-Decoding)
    ACTIVATION = "activation"
    QUANTIZE = "quantize"  # activations into a narrower format, once their largest value is known
    ADD = "add"
    MULTIPLY = "multiply"
    ROUTE = "route"  # softmax and top-k over the router's logits
    DISPATCH = "dispatch"  # rows gathered by expert
    COMBINE = "combine"  # weighted sum of the experts' rows
    FUSED = "fused"  # several element-wise operators in one kernel
    ALL_REDUCE = "all_reduce"
    ALL_GATHER = "all_gather"  # every chip gets the parts of all
    REDUCE_SCATTER = "reduce_scatter"  # every chip gets its part of the sum
    ALL_TO_ALL = "all_to_all"  # every chip sends a part of its own to each
    SEND = "send"  # activations to the chip that has the next layer


MATRIX_KINDS = frozenset({Kind.MATMUL, Kind.EXPERTS, Kind.SCORES, Kind.CONTEXT, Kind.ATTENTION})
"""Kinds whose work is matrix multiplication."""

COLLECTIVE_KINDS = frozenset({Kind.ALL_REDUCE, Kind.ALL_GATHER, Kind.REDUCE_SCATTER, Kind.ALL_TO_ALL, Kind.SEND})
"""Kinds that move data between chips and compute at most sums."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as an operator sees it.

    Attributes:
        name: local name inside its layer; the operator that wrote it last is its producer.
        shape: logical shape, numbers or arrays of design points.
        role: weight, activation or KV cache.
        format: storage format.
        moved: elements that the operator really reads or writes, where that is not the whole tensor
            (the rows of an embedding, the experts that got a token).
    """

    name: str
    shape: tuple[Number, ...]
    role: Role
    format: Format
    moved: Number | None = None

    @property
    def elements(self) -> Number:
        """Elements read or written."""
        return prod(self.shape) if self.moved is None else self.moved

    @property
    def bytes(self) -> Number:
        """Bytes read or written, block scales included."""
        return self.elements * self.format.bytes_per_element


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of one layer.

    Attributes:
        name: dotted, such as `attention.q_proj`; unique within its block.
        kind: what it does.
        dims: loop dimensions by name (matmul: `m`, `n`, `k`, `batch`; attention: `batch`, `query`, `kv`,
            `past`, `heads`, `kv_heads`, `head_dim`, `value_dim`; others: `elements`, `rows`).
        inputs: tensors read.
        outputs: tensors written.
        attributes: what is no dimension: `causal`, `window`, `norm`, `activation`, `loads`, ...
        parts: for a fused operator, the operators that it replaced.
    """

    name: str
    kind: Kind
    dims: Mapping[str, Number]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    attributes: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    parts: tuple[Operator, ...] = ()

    def bytes(self, role: Role | None = None) -> Number:
        """Bytes read and written once each, of one role or of all."""
        total: Number = 0
        for tensor in (*self.inputs, *self.outputs):
            if role is None or tensor.role is role:
                total = total + tensor.bytes
        return total

    def operand_formats(self) -> tuple[Format, Format]:
        """Formats of the two operands of a matrix operator: activation first, then weight or KV."""
        first = next(t for t in self.inputs if t.role is Role.ACTIVATION)
        second = next((t for t in self.inputs if t.role is not Role.ACTIVATION), None)
        if second is None:
            second = self.inputs[1] if len(self.inputs) > 1 else first
        return first.format, second.format


@dataclass(frozen=True, slots=True)
class Block:
    """Operators in execution order that run `repeat` times, one repetition after the other."""

    name: str
    repeat: int
    operators: tuple[Operator, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """One phase of one model: blocks in execution order.

    Attributes:
        model: name of the model.
        phase: "prefill" or "decode" (one step).
        blocks: embedding, layer groups with their repeat counts, head.
    """

    model: str
    phase: str
    blocks: tuple[Block, ...]

    def __iter__(self) -> Iterator[tuple[Block, Operator]]:
        """Every distinct operator with its block, in execution order."""
        for block in self.blocks:
            for operator in block.operators:
                yield block, operator

    def with_blocks(self, blocks: tuple[Block, ...]) -> Graph:
        """The same phase with other blocks."""
        return replace(self, blocks=blocks)

    def to_networkx(self) -> nx.DiGraph[str]:
        """Operators as nodes, tensors as edges; see `accelsim.graph.export`."""
        from accelsim.graph.export import to_networkx  # networkx takes 0.4 s to import

        return to_networkx(self)
