"""What a model calls, turned into operators while it runs.

Norms, activations, rotations, cache updates and attention are recorded whole, from hooks; the rest from the
calls that reach torch's dispatcher (`accelsim.graph.tracing.calls`). Views, copies, masks and casts move
nothing that a kernel would have to move.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from accelsim.graph.attention import Formats, Shape
from accelsim.graph.operator import Kind, Operator
from accelsim.graph.routing import Routing
from accelsim.graph.tracing.calls import CallNotebook
from accelsim.graph.tracing.modules import activation_of, is_rotary_table, norm_of
from accelsim.graph.tracing.notebook import tensors
from accelsim.spec.model import Attention

Hook = Callable[..., None]


class Recorder(CallNotebook, TorchDispatchMode):  # type: ignore[misc]
    """Records one pass of a model, while it is entered and started."""

    def __init__(self, model: nn.Module, layers: str, shape: Shape, formats: Formats, routing: Routing) -> None:
        TorchDispatchMode.__init__(self)
        CallNotebook.__init__(self, model, layers, shape, formats, routing)
        self._cached: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._scored: Any = None
        self.causal = True
        """Whether every attention so far looks at earlier positions only."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one call of torch and records what it computes."""
        out = func(*args, **(kwargs or {}))
        if self._listening:
            self._called(func.overloadpacket.__name__, args, kwargs or {}, out)
        self._alias((args, kwargs), out)
        return out

    def _called(self, name: str, args: Any, keys: Any, out: Any) -> None:
        match name:
            case "bmm":
                self._batched(args[0], args[1], out)
            case "baddbmm":
                self._batched(args[1], args[2], out)
            case "silu" | "relu" | "gelu":
                exact = name == "gelu" and keys.get("approximate", "none") == "none"
                self._activation("gelu_exact" if exact else name, args[0], out)
            case _:
                self._see(name, args, out)

    # modules -----------------------------------------------------------------------------------

    def hooks(self, path: str, part: nn.Module) -> tuple[Hook, Hook]:
        """What to call before and after a module."""
        rest = path.removeprefix(self._prefix) if path.startswith(self._prefix) else ""
        layer = int(rest) if rest.isdigit() else None
        norm, activation = norm_of(part), activation_of(part)
        whole = norm is not None or activation is not None or is_rotary_table(part)

        def before(_: nn.Module, args: Any, keys: Any) -> None:
            self._path.append(path)
            self._silent += whole
            if layer is not None:
                self._stream(next(tensors((args, keys))))
                self._layer = layer

        def after(_: nn.Module, args: Any, keys: Any, out: Any) -> None:
            self._silent -= whole
            source = next(tensors((args, keys)), None)
            if self._listening and source is not None:
                if norm is not None:
                    self._norm(part, norm, source, out)
                elif activation is not None:
                    self._activation(activation, source, out)
            elif whole:
                self._alias((args, keys), out)
            self._path.pop()
            if layer is not None:
                self._stream(next(tensors(out)))
                self._layer = None

        return before, after

    def _stream(self, tensor: Any) -> None:
        """What a layer takes and returns is the residual stream; the operator that wrote it says so."""
        name = self._of(tensor)
        for index in range(len(self._recorded) - 1, -1, -1):
            layer, op = self._recorded[index]
            if layer == self._layer and any(out.name == name for out in op.outputs):
                outputs = tuple(replace(out, name="hidden") if out.name == name else out for out in op.outputs)
                self._recorded[index] = (layer, replace(op, outputs=outputs))
                break
        self._name(tensor, "hidden")

    def _norm(self, part: nn.Module, kind: Any, source: Any, out: Any) -> None:
        width = source.shape[-1]
        per = source.numel() // width // self._build.shape.tokens
        bias, name = getattr(part, "bias", None) is not None, self._own()
        op = self._build.norm(name, self._of(source), name, kind, width, bias=bias, per=per)
        if getattr(part, "weight", None) is None:
            op = replace(op, inputs=op.inputs[:1])
        self._keep(op, out)

    def _activation(self, function: str, source: Any, out: Any) -> None:
        rows, width = source.numel() // source.shape[-1], source.shape[-1]
        name = self._own("" if self._path[-1].endswith("act_fn") else "activation")
        op = Operator(
            name=name, kind=Kind.ACTIVATION, dims={"elements": rows * width},
            inputs=(self._build.act(self._of(source), rows, width),), outputs=(self._build.act(name, rows, width),),
            attributes={"activation": function},
        )  # fmt: skip
        self._keep(op, out)

    def rotation(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, recorded as one operator; it takes heads [batch, heads, positions, width] and angles."""

        def rotate(*args: Any, **keys: Any) -> Any:
            with self.quiet():
                out = function(*args, **keys)
            outs = list(tensors(out))
            sources = list(tensors((args, keys)))[: len(outs)]
            if self._listening:
                self._rope(sources, outs, next(t for t in list(tensors((args, keys)))[len(outs) :]))
            else:
                self._alias((args, keys), out)
            return out

        return rotate

    def _rope(self, sources: list[Any], outs: list[Any], angles: Any) -> None:
        tokens, rotated = self._build.shape.tokens, outs[0].shape[-1]
        if len(outs) > 1:
            rotated = min(rotated, angles.shape[-1])
        share = rotated / outs[0].shape[-1]
        inputs = tuple(
            replace(
                self._build.act(self._of(t), tokens, t.numel() // tokens),
                moved=None if share == 1 else round(t.numel() * share),
            )
            for t in sources
        )
        name = self._own("rope")
        outputs = tuple(replace(t, name=f"{name}.{index}") for index, t in enumerate(inputs))
        op = Operator(
            name=name, kind=Kind.ROPE, dims={"elements": round(sum(t.numel() for t in sources) * share)},
            inputs=(*inputs, self._build.act(f"{name}.table", self._build.shape.query, rotated)), outputs=outputs,
        )  # fmt: skip
        self._keep(op, *outs)

    # attention ---------------------------------------------------------------------------------

    def append(self, key: Any, value: Any, kept: tuple[Any, Any]) -> None:
        """New keys and values, each [batch, heads, positions, width], went into the cache."""
        self._cached = ((key.shape[1], key.shape[3]), (value.shape[1], value.shape[3]))
        if not self._listening:
            return
        widths = [heads * width for heads, width in self._cached]
        op = self._build.append(self._own("kv_append"), {"k": widths[0], "v": widths[1]})
        sources = (replace(t, name=self._of(x)) for t, x in zip(op.inputs, (key, value), strict=True))
        self._keep(replace(op, inputs=tuple(sources)), *kept)

    def attention(self, module: nn.Module, query: Any, key: Any, value: Any, mask: Any = None, **keys: Any) -> Any:
        """Attention of queries [batch, heads, new positions, width] to keys with the model's own KV heads."""
        out = query.new_empty(query.shape[0], query.shape[2], query.shape[1], value.shape[3])
        if self._listening:
            causal, window = bool(getattr(module, "is_causal", True)), keys.get("sliding_window")
            heads = (key.shape[1], value.shape[1])
            self._attend(query, key, value, (query.shape[1], heads[0]), causal, window, out)
        return out, None

    def _attend(
        self, query: Any, key: Any, value: Any, heads: tuple[int, int], causal: bool, window: int | None, out: Any
    ) -> None:
        """`query` ends in [positions, width], `key` and `value` hold all positions of all heads."""
        self.causal &= causal
        shape, many = self._build.shape, heads[0]
        kv = shape.past + shape.query
        sizes = [tensor.numel() // (shape.batch * kv) for tensor in (key, value)]
        spec = Attention(
            heads=many, kv_heads=heads[1], head_dim=query.shape[-1], value_dim=sizes[1] // heads[1], causal=causal,
            window=window,
        )  # fmt: skip
        cached = self._of(key) == "k_cache"
        name = self._own("attend").removesuffix(".attend")
        ops = self._build.attend(name, spec, shape.query, shape.past, kv, cached=cached)
        known = {"q": self._of(query), "k": self._of(key), "v": self._of(value)}
        for op in ops:
            inputs = tuple(replace(t, name=known.get(t.name, t.name)) for t in op.inputs)
            self._keep(replace(op, inputs=inputs), *([out] if op.kind is Kind.CONTEXT else []))

    def _batched(self, first: Any, second: Any, out: Any) -> None:
        """Attention written out by models that do not take another's: scores, then context."""
        if self._scored is None:
            self._scored = first
            self._alias((first,), out)
            return
        query, self._scored = self._scored, None
        many = query.shape[0] // self._build.shape.batch
        shared = self._cached[0][0] if self._cached else many
        key_width = self._build.shape.batch * (self._build.shape.past + self._build.shape.query) * shared
        key = torch.empty(key_width, query.shape[-1], device="meta")
        value = torch.empty(key_width, second.shape[-1], device="meta")
        self._name(key, "k_cache")
        self._name(value, "v_cache")
        self._attend(query, key, value, (many, shared), True, None, out)
