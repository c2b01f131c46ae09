"""Operators from the calls that reach torch's dispatcher."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from accelsim.graph.attention import Formats, Shape
from accelsim.graph.feed_forward import experts
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.graph.routing import Routing
from accelsim.graph.tracing.notebook import Notebook, tensors


class CallNotebook(Notebook):
    """Writes down matrix and expert multiplications, look-ups, and what is element-wise.

    Args:
        model: on the meta device.
        layers: path of its list of layers.
        shape: of the pass.
        formats: storage formats.
        routing: popularity of experts.
    """

    def __init__(self, model: nn.Module, layers: str, shape: Shape, formats: Formats, routing: Routing) -> None:
        super().__init__(model, layers, shape, formats)
        self._routing, self._experts = routing, 0
        self._active = getattr(model.config, "num_experts_per_tok", None) or 1
        head = model.get_output_embeddings()
        self._head = self._names[id(head.weight)] if head is not None else ""

    def _see(self, name: str, args: Any, out: Any) -> None:
        """Records one call if it computes something."""
        match name:
            case "mm":
                self._matmul(args[0], args[1], None, out)
            case "addmm":
                self._matmul(args[1], args[2], args[0], out)
            case "_grouped_mm":
                self._grouped(args[0], args[1], out)
            case "embedding":
                self._embedding(args[0], out)
            case "add" if (
                isinstance(args[1], torch.Tensor) and args[1].ndim == 1 and self._of(args[1]) in self._weights
            ):
                self._bias(args[0], args[1])
            case "add" | "add_" | "mul" | "mul_" if _elementwise(args, out) and self._is_computed(args):
                self._elementwise(Kind.ADD if name.startswith("add") else Kind.MULTIPLY, args, out)
            case "topk":
                self._route(args[0], args[1], out)
            case "index" if out.ndim == 2 and out.is_floating_point() and out.shape[0] > args[0].shape[0]:
                self._dispatch(args[0], out)
            case "sum" if self._experts and args[0].shape[1:] == (self._active, self._build.hidden):
                self._combine(args[0], out)

    def _matmul(self, first: Any, second: Any, bias: Any, out: Any) -> None:
        (m, k), n = first.shape, second.shape[1]
        table = self._of(second)
        if table not in self._weights:
            return
        tied = self._layer is None and table != self._local(f"{self._path[-1]}.weight")
        op = self._build.linear(
            self._own(), self._of(first), "out", k, n, bias=bias is not None, wide=self._is_wide(table, n), rows=m,
            table=table if tied else None,
        )  # fmt: skip
        self._keep(replace(op, outputs=(replace(op.outputs[0], name=op.name),)), out)

    def _bias(self, products: Any, bias: Any) -> None:
        """A bias that is added in a call of its own belongs to the matrix before it."""
        layer, op = self._recorded[-1]
        if op.kind is Kind.MATMUL and op.outputs[0].name == self._of(products):
            weight = Tensor(self._local(self._of(bias)), tuple(bias.shape), Role.WEIGHT, self._build.formats.wide)
            self._recorded[-1] = (layer, replace(op, inputs=(*op.inputs, weight)))

    def _is_computed(self, tensors: Any) -> bool:
        """Whether the operands come from the model's weights; positions and masks do not."""
        return self._layer is not None or all(self._of(tensor) != "input" for tensor in tensors[:2])

    def _is_wide(self, table: str, width: int) -> bool:
        """Weights that stay unquantised: lm_head and routers."""
        return table == self._head or (self._path[-1].rpartition(".")[2] in ("gate", "router") and width > 1)

    def _grouped(self, rows: Any, matrices: Any, out: Any) -> None:
        count, k, n = matrices.shape
        self._experts = count
        name = self._own(self._of(matrices).rpartition(".")[2])
        op = experts(self._build, name, self._of(rows), name, (count, k, n), self._active, self._routing)
        self._keep(op, out)

    def _embedding(self, table: Any, out: Any) -> None:
        moved, name = out.numel(), self._own()
        weight = Tensor(self._of(table), tuple(table.shape), Role.WEIGHT, self._build.formats.wide, moved=moved)
        result = self._build.act(name, moved // out.shape[-1], out.shape[-1])
        dims = {"elements": moved, "tables": 1}
        self._keep(Operator(name=name, kind=Kind.EMBEDDING, dims=dims, inputs=(weight,), outputs=(result,)), out)

    def _elementwise(self, kind: Kind, args: Any, out: Any) -> None:
        width, name = out.shape[-1], self._own(str(kind))
        rows = out.numel() // width
        inputs = tuple(self._build.act(self._of(t), rows, width) for t in args[:2])
        result = self._build.act(name, rows, width)
        dims = {"elements": out.numel()}
        self._keep(Operator(name=name, kind=kind, dims=dims, inputs=inputs, outputs=(result,)), out)

    def _route(self, scores: Any, active: int, out: Any) -> None:
        rows, name = scores.numel() // scores.shape[-1], self._own("route")
        op = Operator(
            name=name, kind=Kind.ROUTE, dims={"elements": scores.numel(), "active": active},
            inputs=(self._build.act(self._of(scores), rows, scores.shape[-1]),),
            outputs=(self._build.act("choice", rows, active),),
        )  # fmt: skip
        self._keep(op)
        for tensor in tensors(out):
            self._name(tensor, "choice")

    def _choice(self) -> Tensor:
        return self._build.act("choice", self._build.shape.tokens, self._active)

    def _dispatch(self, source: Any, out: Any) -> None:
        name = self._own("dispatch")
        op = Operator(
            name=name, kind=Kind.DISPATCH, dims={"elements": out.numel()},
            inputs=(self._build.act(self._of(source), *source.shape), self._choice()),
            outputs=(self._build.act(name, *out.shape),),
        )  # fmt: skip
        self._keep(op, out)

    def _combine(self, rows: Any, out: Any) -> None:
        name, (tokens, active, width) = self._own("combine"), rows.shape
        op = Operator(
            name=name, kind=Kind.COMBINE, dims={"elements": tokens * width, "active": active},
            inputs=(self._build.act(self._of(rows), tokens * active, width), self._choice()),
            outputs=(self._build.act(name, tokens, width),),
        )  # fmt: skip
        self._keep(op, out)


def _elementwise(args: Any, out: Any) -> bool:
    """Whether two tensors of full size meet; scalars, broadcast factors and masks are left out."""
    return (
        len(args) > 1
        and all(isinstance(t, torch.Tensor) and t.numel() == out.numel() for t in args[:2])
        and out.is_floating_point()
        and out.numel() > 1
    )
