"""What was recorded so far, and what tensors and operators are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from accelsim.graph.attention import Build, Formats, Shape
from accelsim.graph.operator import Operator
from accelsim.graph.tracing.fold import Calls


class Notebook:
    """Names of tensors, and operators by layer.

    A tensor keeps the name of what it was made from until an operator writes it. Names of a layer's
    operators are relative to the layer, so that equal layers look equal.

    Args:
        model: on the meta device.
        layers: path of its list of layers.
        shape: of the pass.
        formats: storage formats.
    """

    def __init__(self, model: nn.Module, layers: str, shape: Shape, formats: Formats) -> None:
        self._build = Build(shape, formats, model.config.hidden_size)
        self._prefix = f"{layers}."
        self._names: dict[int, str] = {}
        self._held: list[Any] = []
        for path, parameter in model.named_parameters():
            self._name(parameter, path)
        self._weights = frozenset(self._names.values())
        self._path, self._silent, self._started = [""], 0, False
        self._layer: int | None = None
        self._recorded: list[tuple[int | None, Operator]] = []
        self._counts: Counter[tuple[int | None, str]] = Counter()

    def start(self) -> None:
        """From here on, calls are recorded."""
        self._started = True

    @property
    def _listening(self) -> bool:
        return self._started and not self._silent

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Calls inside are not recorded one by one."""
        self._silent += 1
        try:
            yield
        finally:
            self._silent -= 1

    def calls(self) -> Calls:
        """What was recorded, layer by layer."""
        count = 1 + max((layer for layer, _ in self._recorded if layer is not None), default=-1)
        layers: list[list[Operator]] = [[] for _ in range(count)]
        ends: tuple[list[Operator], list[Operator]] = ([], [])
        for layer, op in self._recorded:
            if layer is None:
                ends[bool(layers and layers[0])].append(op)
            else:
                layers[layer].append(op)
        return Calls(tuple(ends[0]), tuple(tuple(ops) for ops in layers), tuple(ends[1]))

    def _name(self, tensor: Any, name: str) -> None:
        self._names[id(tensor)] = name
        self._held.append(tensor)  # a freed tensor's id would be used again

    def _of(self, tensor: Any) -> str:
        return self._names.get(id(tensor), "input")

    def _alias(self, args: Any, out: Any) -> None:
        source = next((t for t in tensors(args) if id(t) in self._names), None)
        for tensor in tensors(out):
            if id(tensor) not in self._names:
                self._name(tensor, "input" if source is None else self._of(source))

    def _local(self, path: str) -> str:
        """A path without the layer that it is in."""
        if self._layer is None:
            return path
        return path.removeprefix(f"{self._prefix}{self._layer}").removeprefix(".")

    def _own(self, part: str = "") -> str:
        """A name for an operator of the module that runs; a second one of a layer is numbered."""
        name = ".".join(piece for piece in (self._local(self._path[-1]), part) if piece)
        self._counts[self._layer, name] += 1
        seen = self._counts[self._layer, name]
        return name if seen == 1 else f"{name}_{seen}"

    def _keep(self, op: Operator, *results: Any) -> None:
        self._recorded.append((self._layer, op))
        for tensor, out in zip(results, op.outputs, strict=False):
            self._name(tensor, out.name)


def tensors(values: Any) -> Iterator[Any]:
    """Tensors in nested tuples, lists and dictionaries, in order."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from tensors(value)
    elif isinstance(values, tuple | list):
        for value in values:
            yield from tensors(value)
