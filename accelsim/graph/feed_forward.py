"""Operators of one feed-forward block: gated and plain MLP, mixture of experts."""

from __future__ import annotations

from accelsim.graph.attention import Build
from accelsim.graph.numbers import Number
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.graph.routing import Routing
from accelsim.spec.model import Mlp, Moe


def mlp(build: Build, name: str, spec: Mlp, source: str, target: str) -> list[Operator]:
    """A dense MLP from `source` to `target`, both [tokens, hidden]."""
    h, f = build.hidden, spec.intermediate
    ops: list[Operator] = []
    if spec.gated:
        ops.append(build.linear(f"{name}.gate_proj", source, "gate", h, f, bias=spec.bias))
    ops.append(build.linear(f"{name}.up_proj", source, "up", h, f, bias=spec.bias))
    ops += _between(build, name, spec, build.shape.tokens)
    ops.append(build.linear(f"{name}.down_proj", "inner", target, f, h, bias=spec.bias))
    return ops


def _between(build: Build, name: str, spec: Mlp, rows: Number) -> list[Operator]:
    """Activation, and for a gated block the product with the up projection."""
    f = spec.intermediate
    elements = rows * f
    if not spec.gated:
        return [_activation(build, name, spec, "up", "inner", rows)]
    return [
        _activation(build, name, spec, "gate", "gate", rows),
        Operator(
            name=f"{name}.multiply", kind=Kind.MULTIPLY, dims={"elements": elements},
            inputs=(build.act("gate", rows, f), build.act("up", rows, f)), outputs=(build.act("inner", rows, f),),
        ),
    ]  # fmt: skip


def _activation(build: Build, name: str, spec: Mlp, source: str, target: str, rows: Number) -> Operator:
    f = spec.intermediate
    return Operator(
        name=f"{name}.activation", kind=Kind.ACTIVATION, dims={"elements": rows * f},
        inputs=(build.act(source, rows, f),), outputs=(build.act(target, rows, f),),
        attributes={"activation": spec.activation},
    )  # fmt: skip


def experts(
    build: Build, name: str, source: str, target: str, matrices: tuple[int, int, int], active: int, routing: Routing
) -> Operator:
    """One matrix [k, n] per expert, each times the rows of the tokens that picked it.

    Args:
        build: shape and formats.
        name: of the operator.
        source: rows gathered by expert, [tokens x active, k].
        target: the products in the same order.
        matrices: experts, k, n.
        active: experts per token.
        routing: popularity of experts.
    """
    count, k, n = matrices
    tokens = build.shape.tokens
    picks, distinct = tokens * active, routing.distinct(count, active, tokens)
    weight = Tensor(f"{name}.weight", matrices, Role.WEIGHT, build.formats.weights, moved=distinct * k * n)
    return Operator(
        name=name, kind=Kind.EXPERTS, dims={"m": picks, "n": n, "k": k, "experts": distinct, "batch": 1},
        inputs=(build.act(source, picks, k), weight), outputs=(build.act(target, picks, n),),
        attributes={"loads": routing.loads(count, active, tokens)} if isinstance(tokens, int) else {},
    )  # fmt: skip


def moe(build: Build, name: str, spec: Moe, source: str, target: str, routing: Routing) -> list[Operator]:
    """A mixture of experts: router, dispatch, grouped expert matrices, combine, and shared experts.

    The weights of each distinct expert are read once per step, however many tokens picked it.
    """
    h, tokens, active = build.hidden, build.shape.tokens, spec.active
    picks, f = tokens * active, spec.expert.intermediate

    def grouped(part: str, source_: str, target_: str, k: int, n: int) -> Operator:
        return experts(build, f"{name}.experts.{part}", source_, target_, (spec.experts, k, n), active, routing)

    logits = build.act("router_logits", tokens, spec.experts)
    choice = build.act("choice", tokens, active)
    correction = (
        (Tensor(f"{name}.route.bias", (spec.experts,), Role.WEIGHT, build.formats.wide),) if spec.router_bias else ()
    )
    ops = [
        build.linear(f"{name}.router", source, "router_logits", h, spec.experts, wide=True),
        Operator(
            name=f"{name}.route", kind=Kind.ROUTE, dims={"elements": tokens * spec.experts, "active": active},
            inputs=(logits, *correction), outputs=(choice,),
        ),
        Operator(
            name=f"{name}.dispatch", kind=Kind.DISPATCH, dims={"elements": picks * h},
            inputs=(build.rows(source, h), choice), outputs=(build.act("gathered", picks, h),),
        ),
    ]  # fmt: skip
    if spec.expert.gated:
        ops.append(grouped("gate_proj", "gathered", "gate", h, f))
    ops.append(grouped("up_proj", "gathered", "up", h, f))
    ops += _between(build, f"{name}.experts", spec.expert, picks)
    ops.append(grouped("down_proj", "inner", "expert_rows", f, h))
    combined = "routed" if spec.shared else target
    ops.append(
        Operator(
            name=f"{name}.combine", kind=Kind.COMBINE, dims={"elements": tokens * h, "active": active},
            inputs=(build.act("expert_rows", picks, h), choice), outputs=(build.rows(combined, h),),
        )
    )  # fmt: skip
    if spec.shared:
        ops += mlp(build, f"{name}.shared", spec.shared, source, "shared")
        if spec.shared_gate:
            ops += _shared_gate(build, f"{name}.shared_gate", source)
        ops.append(build.add(f"{name}.add_shared", "routed", "shared", target))
    return ops


def _shared_gate(build: Build, name: str, source: str) -> list[Operator]:
    """One number per token between 0 and 1 scales what the shared expert gives (Qwen2-MoE)."""
    tokens, h = build.shape.tokens, build.hidden
    scale, shared = build.rows("shared_scale", 1), build.rows("shared", h)
    return [
        build.linear(name, source, "shared_scale", h, 1, wide=True),
        Operator(
            name=f"{name}.activation", kind=Kind.ACTIVATION, dims={"elements": tokens}, inputs=(scale,),
            outputs=(scale,), attributes={"activation": "sigmoid"},
        ),
        Operator(
            name=f"{name}.multiply", kind=Kind.MULTIPLY, dims={"elements": tokens * h}, inputs=(shared, scale),
            outputs=(shared,),
        ),
    ]  # fmt: skip
