"""Single operators by name and dimensions, for `simulate_operator` and `accelsim operator`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.errors import RequestError, UnknownNameError, did_you_mean
from accelsim.graph.attention import Build, Formats, Shape
from accelsim.graph.feed_forward import experts
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.graph.routing import parse

_ELEMENTWISE = {
    "add": Kind.ADD,
    "mul": Kind.MULTIPLY,
    "relu": Kind.ACTIVATION,
    "gelu": Kind.ACTIVATION,
    "quantize": Kind.QUANTIZE,
    "silu": Kind.ACTIVATION,
    "softmax": Kind.SOFTMAX,
    "layernorm": Kind.NORM,
    "rmsnorm": Kind.NORM,
}
_IN_MEMORY = ("batchnorm",)
"""Element-wise operators that only memories that compute have as kernels; models fold them into their weights."""
_COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "matmul": ("m", "n", "k"),
    "experts": ("tokens", "experts", "active", "n", "k"),
    "attention": ("query", "kv", "heads", "head_dim"),
    **dict.fromkeys(_COLLECTIVES, ("bytes", "devices")),
    "send": ("bytes",),
    **dict.fromkeys((*_ELEMENTWISE, *_IN_MEMORY), ()),
}
_OPTIONAL: Mapping[str, Mapping[str, Any]] = {
    "matmul": {"batch": 1},
    "experts": {"routing": "uniform"},
    "attention": {"batch": 1, "kv_heads": None, "causal": False, "window": None},
    **{name: {} for name in (*_COLLECTIVES, "send")},
    **{name: {"elements": None, "rows": None, "columns": None} for name in (*_ELEMENTWISE, *_IN_MEMORY)},
}
KINDS = tuple(_REQUIRED)
"""Operators that can be run on their own."""


def checked(kind: str, dims: Mapping[str, Any]) -> dict[str, Any]:
    """The dimensions of an operator, those that were not given included.

    Raises:
        UnknownNameError: no such operator.
        RequestError: a dimension is missing, unknown, not whole or below 1.
    """
    if kind not in _REQUIRED:
        raise UnknownNameError("operator", kind, KINDS, hint=f"operators: {', '.join(KINDS)}")
    allowed = (*_REQUIRED[kind], *_OPTIONAL[kind])
    for name, value in dims.items():
        if name not in allowed:
            raise RequestError(
                f"{kind}: unknown dimension {name!r}{did_you_mean(name, allowed)}; it takes {', '.join(allowed)}"
            )
        if (
            name not in ("causal", "routing")
            and value is not None
            and (isinstance(value, bool) or not isinstance(value, int) or value < 1)
        ):
            raise RequestError(f"{kind}: {name} = {value!r}: expected a whole number of at least 1")
    missing = [name for name in _REQUIRED[kind] if name not in dims]
    if missing:
        raise RequestError(f"{kind}: {', '.join(missing)} missing; it takes {', '.join(allowed)}")
    given = {**_OPTIONAL[kind], **dims}
    if kind in _ELEMENTWISE or kind in _IN_MEMORY:
        _only_one_size(kind, given)
    return given


def single(kind: str, dims: Mapping[str, Any], formats: Formats) -> Operator:
    """The operator of that name.

    Raises:
        UnknownNameError: no such operator.
        RequestError: a dimension is missing, unknown, not whole or below 1.
    """
    given = checked(kind, dims)
    if kind in _IN_MEMORY:
        raise RequestError(f"{kind} is a kernel of memories that compute, such as hbm-pim-64pch, and of no other chip")
    if kind == "matmul":
        return _matmul(given, formats)
    if kind == "attention":
        return _attention(given, formats)
    if kind == "experts":
        return _experts(given, formats)
    if kind in _COLLECTIVES or kind == "send":
        tensor = Tensor(
            "data", (given["bytes"] / formats.activations.bytes_per_element,), Role.ACTIVATION, formats.activations
        )
        dims = {"devices": 2, **given}
        return Operator(name=kind, kind=Kind(kind), dims=dims, inputs=(tensor,), outputs=(tensor,))
    return _elementwise(kind, given, formats)


def _matmul(d: Mapping[str, Any], formats: Formats) -> Operator:
    batch = d["batch"]
    return Operator(
        name="matmul",
        kind=Kind.MATMUL,
        dims={key: d[key] for key in ("m", "n", "k", "batch")},
        inputs=(
            Tensor("a", (batch, d["m"], d["k"]), Role.ACTIVATION, formats.activations),
            Tensor("b", (batch, d["k"], d["n"]), Role.WEIGHT, formats.weights),
        ),
        outputs=(Tensor("c", (batch, d["m"], d["n"]), Role.ACTIVATION, formats.activations),),
    )


def _experts(d: Mapping[str, Any], formats: Formats) -> Operator:
    """One matrix [k, n] per expert, times the rows of the tokens that picked it."""
    if d["active"] > d["experts"]:
        raise RequestError(f"experts: active = {d['active']} exceeds experts = {d['experts']}")
    build = Build(Shape(1, d["tokens"], 0), formats, d["k"])
    matrices = (d["experts"], d["k"], d["n"])
    return experts(build, "experts", "gathered", "expert_rows", matrices, d["active"], parse(d["routing"], 0))


def _attention(d: Mapping[str, Any], formats: Formats) -> Operator:
    heads, kv_heads = d["heads"], d["kv_heads"] or d["heads"]
    if heads % kv_heads:
        raise RequestError(f"attention: heads = {heads} is not a multiple of kv_heads = {kv_heads}")
    if d["causal"] and d["kv"] < d["query"]:
        raise RequestError(
            f"attention: kv = {d['kv']} is below query = {d['query']}; causal queries are the last of the keys"
        )
    batch, query, kv, width = d["batch"], d["query"], d["kv"], d["head_dim"]
    keys = (batch, kv, kv_heads, width)
    return Operator(
        name="attention",
        kind=Kind.ATTENTION,
        dims={
            "batch": batch,
            "query": query,
            "kv": kv,
            "past": kv - query if d["causal"] else 0,
            "heads": heads,
            "kv_heads": kv_heads,
            "head_dim": width,
            "value_dim": width,
        },
        inputs=(
            Tensor("q", (batch, query, heads, width), Role.ACTIVATION, formats.activations),
            Tensor("k_cache", keys, Role.KV_CACHE, formats.kv_cache),
            Tensor("v_cache", keys, Role.KV_CACHE, formats.kv_cache),
        ),
        outputs=(Tensor("context", (batch, query, heads, width), Role.ACTIVATION, formats.activations),),
        attributes={"causal": bool(d["causal"]), "window": d["window"], "shared_kv": False},
    )


def _only_one_size(name: str, d: Mapping[str, Any]) -> None:
    rows, columns = d["rows"], d["columns"]
    by_row = name in ("softmax", "layernorm", "rmsnorm")
    if d["elements"] is not None and (rows is not None or columns is not None or by_row):
        what = "rows and columns" if by_row else "either elements, or rows and columns"
        raise RequestError(f"{name}: takes {what}")
    if d["elements"] is None and (rows is None or columns is None):
        raise RequestError(f"{name}: takes {'rows and columns' if by_row else 'elements, or rows and columns'}")


def _elementwise(name: str, d: Mapping[str, Any], formats: Formats) -> Operator:
    rows, columns = (1, d["elements"]) if d["elements"] is not None else (d["rows"], d["columns"])
    wide = formats.wide if name == "quantize" else formats.activations
    x = Tensor("x", (rows, columns), Role.ACTIVATION, wide)
    inputs = [x]
    if name in ("add", "mul"):
        inputs.append(Tensor("y", (rows, columns), Role.ACTIVATION, formats.activations))
    attributes: dict[str, Any] = {}
    if name in ("relu", "gelu", "silu"):
        attributes["activation"] = name
    if name in ("layernorm", "rmsnorm"):
        attributes["norm"] = "rms" if name == "rmsnorm" else "layer"
        count = 1 if name == "rmsnorm" else 2
        inputs += [Tensor(f"parameter{i}", (columns,), Role.WEIGHT, formats.activations) for i in range(count)]
    return Operator(
        name=name,
        kind=_ELEMENTWISE[name],
        dims={"rows": rows, "elements": rows * columns},
        inputs=tuple(inputs),
        outputs=(Tensor("z", (rows, columns), Role.ACTIVATION, formats.activations),),
        attributes=attributes,
    )
