"""The graphs of one run: prefill, and decode steps whose unchanged operators are the same objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Protocol

import numpy as np

from accelsim.graph import build, footprint, quantize, transforms
from accelsim.graph.attention import Formats
from accelsim.graph.numbers import Number, maximum
from accelsim.graph.operator import Block, Graph, Operator, Tensor
from accelsim.graph.overrides import overridden
from accelsim.graph.parallel import tensor_parallel
from accelsim.graph.routing import Routing
from accelsim.spec.format import Format
from accelsim.spec.model import Model

KEPT_STEPS: Final = 64
"""Up to so many generated tokens, the graphs of decode steps are kept for another run of the same work."""


class Passes(Protocol):
    """What an evaluation runs: a first phase, and decode steps if there are any."""

    @property
    def first(self) -> str:
        """Name of the first phase."""
        ...

    @property
    def batch(self) -> Number:
        """Sequences."""
        ...

    @property
    def prompt(self) -> Number:
        """Tokens per sequence in the first phase."""
        ...

    @property
    def generate(self) -> Number:
        """Tokens generated per sequence; decode steps are one less."""
        ...

    def prefill(self) -> Graph:
        """The first phase."""
        ...

    def decode(self, step: Number) -> Graph:
        """Decode step `step`, from 1; an array of steps gives arrays of dimensions."""
        ...

    def decode_steps(self) -> Iterator[Graph]:
        """All decode steps in order; an operator that did not change is the same object."""
        ...

    def footprint(self, phase: str, graph: Graph) -> tuple[Number, Number, Number]:
        """Bytes of weights, of KV cache at the end of the phase, and of the largest working set."""
        ...


@dataclass(frozen=True)
class Work:
    """A model and a request with every name resolved; batch and lengths may be columns of design points.

    Where `scales` is set, activations in a narrow format are what products take, and operators exchange a wide one:
    "dynamic" scales are found by a pass of its own, with "static" ones operators write what products take. Else they
    are what operators exchange. With several chips the graphs are those of tensor parallelism. `overrides` are formats
    of single tensors, as `accelsim.graph.overrides` finds them.
    """

    model: Model
    formats: Formats
    batch: Number
    prompt: Number
    generate: Number
    logits: str
    routing: Routing
    fuse: bool
    scales: str | None = None
    chips: int = 1
    overrides: tuple[tuple[str, Format], ...] = ()

    @property
    def first(self) -> str:
        """Name of the first phase."""
        return "prefill"

    @property
    def _between(self) -> Formats:
        return quantize.between(self.formats) if self.scales else self.formats

    def _finished(self, graph: Graph) -> Graph:
        made = overridden(transforms.fuse(graph) if self.fuse else graph, dict(self.overrides))
        if self._between is not self.formats:
            made = quantize.quantize_inputs(made, self.formats, passes=self.scales == "dynamic")
        return tensor_parallel(made, self.chips) if self.chips > 1 else made

    def prefill(self) -> Graph:
        """The pass over the prompt."""
        return self._prefill

    @cached_property
    def _prefill(self) -> Graph:
        """Built once: capacity, placement, the device and the evaluation all ask for it."""
        graph = build.prefill(
            self.model,
            batch=self.batch,
            prompt=self.prompt,
            formats=self._between,
            logits=self.logits,
            routing=self.routing,
        )
        return self._finished(graph)

    def decode(self, step: Number) -> Graph:
        """Decode step `step`, from 1; the last one is kept, since capacity and every run of this work ask for it."""
        if not isinstance(step, int) or step != self.generate - 1:
            return self._decode(step)
        if "last" not in self._kept:
            self._kept["last"] = self._decode(step)
        return self._kept["last"]

    @cached_property
    def _kept(self) -> dict[str, Graph]:
        return {}

    def _decode(self, step: Number) -> Graph:
        graph = build.decode(
            self.model, batch=self.batch, prompt=self.prompt, step=step, formats=self._between, routing=self.routing
        )
        return self._finished(graph)

    def decode_steps(self) -> Iterator[Graph]:
        """All decode steps in order.

        The graph is built once with all steps as arrays; what does not depend on the step is the same
        object every time. A few steps are kept: work that is run again then meets the operators that are mapped.
        """
        return self._passes() if self.generate > KEPT_STEPS else iter(self._all_passes)

    @cached_property
    def _all_passes(self) -> tuple[Graph, ...]:
        return tuple(self._passes())

    def _passes(self) -> Iterator[Graph]:
        steps = np.arange(1, int(self.generate), dtype=np.int64)
        if not steps.size:
            return
        graph = self.decode(steps)
        growing = {id(op): _grows(op) for _, op in graph}
        for index in range(steps.size):
            yield graph.with_blocks(
                tuple(
                    replace(block, operators=tuple(_at(op, index) if growing[id(op)] else op for op in block.operators))
                    for block in graph.blocks
                )
            )

    def footprint(self, phase: str, graph: Graph) -> tuple[Number, Number, Number]:
        """Bytes of weights, of KV cache at the end of the phase, and of the largest working set.

        A decoder behind an encoder keeps its own positions and the prompt's keys and values.
        """
        generated = maximum(self.generate - 1, 0) if phase == "decode" else 0
        context = 1 + generated if self.model.encoder else self.prompt + generated
        cache: Number = 0.0
        if self.model.generates:
            cache = footprint.kv_cache_bytes(
                self.model, self.formats, batch=self.batch, context=context, prompt=self.prompt
            )
        return footprint.weight_bytes(self.prefill()), cache, footprint.activation_bytes(graph)


@dataclass(frozen=True, slots=True)
class Single:
    """One operator on its own."""

    op: Operator
    batch: Number = 1
    prompt: Number = 1
    generate: Number = 0

    @property
    def first(self) -> str:
        """Name of the only phase."""
        return "operator"

    def prefill(self) -> Graph:
        """The operator as a graph."""
        return Graph(self.op.name, "operator", (Block("operator", 1, (self.op,)),))

    def decode(self, step: Number) -> Graph:
        """There is no decode."""
        raise ValueError("a single operator has no decode steps")

    def decode_steps(self) -> Iterator[Graph]:
        """There are none."""
        return iter(())

    def footprint(self, phase: str, graph: Graph) -> tuple[Number, Number, Number]:
        """All operands count as activations."""
        return 0.0, 0.0, sum(float(t.bytes) for t in (*self.op.inputs, *self.op.outputs))


def _grows(op: Operator) -> bool:
    """Whether anything of an operator depends on the decode step."""
    tensors = (*op.inputs, *op.outputs)
    sizes = (*op.dims.values(), *(n for t in tensors for n in (*t.shape, 0 if t.moved is None else t.moved)))
    return any(isinstance(size, np.ndarray) for size in sizes) or any(_grows(part) for part in op.parts)


def _at(op: Operator, index: int) -> Operator:
    """An operator at one of the steps that it was built for."""

    def number(value: Number) -> Number:
        return value[index].item() if isinstance(value, np.ndarray) else value

    def tensor(t: Tensor) -> Tensor:
        moved = None if t.moved is None else number(t.moved)
        return Tensor(t.name, tuple(map(number, t.shape)), t.role, t.format, moved)

    return Operator(
        name=op.name,
        kind=op.kind,
        dims={name: number(value) for name, value in op.dims.items()},
        inputs=tuple(map(tensor, op.inputs)),
        outputs=tuple(map(tensor, op.outputs)),
        attributes=op.attributes,
        parts=tuple(_at(part, index) for part in op.parts),
    )
