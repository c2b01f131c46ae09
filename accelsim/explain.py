"""Why an operator takes as long as it does on a chip: its kernel, taken apart.

The operator runs on its own in the event engine. What is asked beyond that ("and if the memory were
free?") is answered by pricing the same kernel, tiles unchanged, with one limit lifted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import inf
from os import PathLike
from typing import Any

from accelsim import catalog
from accelsim.devices.base import Contextual, Device
from accelsim.devices.families import device_for
from accelsim.engine.runner import KernelRecord, Runner
from accelsim.errors import RequestError, UnknownNameError
from accelsim.evaluate.phases import Work
from accelsim.evaluate.provenance import Constant, constants_of
from accelsim.evaluate.resolve import beside, described, formats_of, reachable, separate
from accelsim.graph import routing as routing_
from accelsim.graph.operator import Graph, Operator
from accelsim.mapping.flows import LATENCY, LAUNCH, MODE, PIPELINE, kernel_time_s
from accelsim.mapping.kernel import Alternative, Kernel, Plan, Resource, Segment, Stage
from accelsim.simulation import horizon, hosted, simulate
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.model import Model
from accelsim.units import PS_PER_S

LIFT = 1e6
"""How many times faster a resource gets when its limit is lifted."""

_WAITS: Mapping[str, str] = {LAUNCH: "launch", LATENCY: "pipeline", PIPELINE: "pipeline", MODE: "mode"}
Name = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Use:
    """What the kernel demands of one resource.

    Attributes:
        resource: hierarchical name.
        amount: in `unit`, all phases together.
        unit: "B", or "clk" of one of the resource's equal units.
        rate: what the kernel may draw, `unit` per second.
        rate_fraction: of the resource's rate.
        alone_s: time that this demand takes at that rate.
        time_fraction: of the kernel's time.
        bound: the word for an operator that this resource limits.
    """

    resource: str
    amount: int
    unit: str
    rate: float
    rate_fraction: float
    alone_s: float
    time_fraction: float
    bound: str


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that set the pace.

    Attributes:
        limit: "launch", "latency", "pipeline" or a resource.
        bound: its word.
        time_s: for how long.
        time_fraction: of the kernel's time.
        lifted_s: time of the same kernel, same tiles, without this limit.
        speed_up: time of the kernel over `lifted_s`; infinite where nothing is left.
    """

    limit: str
    bound: str
    time_s: float
    time_fraction: float
    lifted_s: float
    speed_up: float


@dataclass(frozen=True, slots=True)
class Part:
    """A phase of the kernel: equal steps behind staging buffers."""

    name: str
    steps: int
    buffers: int
    latency_s: float
    priced_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One execution of one operator.

    Attributes:
        model: the model.
        chip: the chip.
        phase: "prefill" or "decode".
        step: decode step, 0 in prefill.
        operator: full name.
        kind: kind of operator.
        dims: loop dimensions.
        formats: of its tensors.
        count: executions in one pass.
        time_s: on an otherwise idle chip.
        closed_form_s: its roofline.
        bound: what set the pace for the longest time.
        priced_by: the rule.
        status: weakest status among the figures used.
        choice: tile, splits, waves, tail, stages.
        parts: phases of the kernel in order.
        uses: demand per resource, the longest first.
        limits: what set the pace, the longest first.
        alternatives: what was considered, the fastest first.
        constants: chip figures used.
        warnings: of the request.
    """

    model: str
    chip: str
    phase: str
    step: int
    operator: str
    kind: str
    dims: Mapping[str, Any]
    formats: tuple[str, ...]
    count: int
    time_s: float
    closed_form_s: float
    bound: str
    priced_by: str
    status: str
    choice: Mapping[str, Any]
    parts: tuple[Part, ...]
    uses: tuple[Use, ...]
    limits: tuple[Limit, ...]
    alternatives: tuple[Alternative, ...]
    constants: tuple[Constant, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain dictionaries and lists."""
        return asdict(self)


def explain(
    model: Name | Model,
    operator: str,
    on: Any,
    *,
    phase: str | None = None,
    step: int = 1,
    batch: int = 1,
    prompt: int = 2048,
    weights: Name | Format | None = None,
    activations: Name | Format | None = None,
    kv_cache: Name | Format | None = None,
    overrides: Mapping[str, object] | None = None,
    fuse: bool = True,
    logits: str = "last",
    routing: str = "uniform",
    seed: int = 0,
    host: str | None = None,
) -> Explanation | Infeasible:
    """Takes the kernel of one operator apart.

    Args:
        model: as in `simulate`.
        operator: full name, or a part that only one operator has.
        on: chip by name, path or record.
        phase: "prefill" or "decode"; decode by default, prefill for models that generate nothing.
        step: decode step, from 1.
        batch: as in `simulate`, and so are the others.
        prompt: tokens per sequence.
        weights: format of weights.
        activations: format between operators.
        kv_cache: format of keys and values.
        overrides: dotted chip figures.
        fuse: the fused graph.
        logits: positions that lm_head covers in prefill.
        routing: popularity of experts.
        seed: of drawn routing.
        host: as in `simulate`.

    Returns:
        The explanation, or why the operator or the whole model cannot run there.

    Raises:
        UnknownNameError: no operator has that name or part.
        AccelsimError: another name or number that is not allowed.
    """
    chip, record = hosted(catalog.chip(on, overrides), host), catalog.model(model)
    if phase is None:
        phase = "decode" if record.generates else "prefill"
    if phase not in ("prefill", "decode"):
        raise RequestError(f"phase = {phase!r}: allowed are prefill, decode")
    if phase == "decode" and not record.generates:
        raise RequestError(f"{record.name} is encoder-only: it has no decode phase; try phase prefill")
    if step < 1:
        raise RequestError(f"step = {step}: expected a whole number of at least 1")
    length = step + 1 if phase == "decode" else int(record.generates)
    # the closed form checks the request, and that it fits, at next to no cost
    checked = simulate(
        record,
        chip,
        batch=batch,
        prompt=prompt,
        generate=length,
        weights=weights,
        activations=activations,
        kv_cache=kv_cache,
        fidelity="roofline",
        fuse=fuse,
        logits=logits,
        routing=routing,
        seed=seed,
    )
    if checked.infeasible:
        return checked.infeasible
    formats = formats_of(chip, weights, activations, kv_cache)
    work = Work(
        record,
        formats,
        batch,
        prompt,
        length,
        logits,
        routing_.parse(routing, seed),
        fuse,
        "dynamic" if separate(chip) else None,
    )
    bits = {form.name: form.bits for form in reachable(chip, formats)}
    device = device_for(chip, bits, horizon=horizon(work), weights=formats.weights.name)
    graph = work.prefill() if phase == "prefill" else work.decode(step)
    op, count = _find(graph, operator)
    kernel, priced = device.kernel(op), device.roofline(op)
    if isinstance(device, Contextual):
        kernel = device.kernel_in(graph, op)
    if isinstance(kernel, Infeasible):
        return kernel
    if isinstance(priced, Infeasible):
        return priced
    ran = _run(kernel, device)
    time_s = (ran.end_ps - ran.start_ps) / PS_PER_S
    limits = _limits(kernel, ran, device.resources)
    return Explanation(
        model=record.name,
        chip=chip.name,
        phase=phase,
        step=step if phase == "decode" else 0,
        operator=op.name,
        kind=str(op.kind),
        dims=dict(op.dims),
        formats=tuple(dict.fromkeys(t.format.name for t in (*op.inputs, *op.outputs))),
        count=count,
        time_s=time_s,
        closed_form_s=float(priced.time_s),
        bound=_bound(limits),
        priced_by=kernel.priced_by,
        status=device.status(kernel.constants),
        choice=dict(kernel.choice),
        parts=tuple(Part(p.name, p.steps, p.buffers, p.latency_s, p.priced_by) for p in kernel.phases),
        uses=_uses(kernel, device.resources, time_s),
        limits=limits,
        alternatives=kernel.alternatives,
        constants=constants_of(described(chip), kernel, beside(chip)),
        warnings=checked.warnings,
    )


def _find(graph: Graph, name: str) -> tuple[Operator, int]:
    """The one operator with that name or part of a name, and its executions in one pass."""
    found: dict[str, Operator] = {}
    counts: dict[str, int] = {}
    for block, op in graph:
        found.setdefault(op.name, op)
        counts[op.name] = counts.get(op.name, 0) + block.repeat
    matching = [full for full in found if name.lower() in full.lower()]
    if name in found:
        matching = [name]
    # "attend" is the whole last part of one name and a piece of another
    whole = [full for full in matching if full.lower().rpartition(".")[2] == name.lower()]
    if len(matching) > 1 and len(whole) == 1:
        matching = whole
    if len(matching) > 1:
        raise RequestError(
            f"operator {name!r} could be any of {len(matching)} in the {graph.phase} of {graph.model}: "
            f"{', '.join(matching)}"
        )
    if not matching or not name:
        spelt = {full.rpartition(".")[2]: full for full in found}
        error = UnknownNameError("operator", name, [*found, *spelt])
        nearest = tuple(dict.fromkeys(spelt.get(match, match) for match in error.nearest))
        raise UnknownNameError(
            "operator",
            name,
            nearest or found,
            f"{graph.phase} of {graph.model}",
            f"there are: {', '.join(found)}",
        )
    return found[matching[0]], counts[matching[0]]


def _run(kernel: Kernel, device: Device) -> KernelRecord:
    """The kernel alone in the event engine."""
    plan = Plan("explain", (Stage("explain", 1, (Segment((replace(kernel, after=None),)),)),))
    executed = Runner(device.resources).run(plan)
    return next(iter(executed[0].records[0][1].kernels.values()))


def _uses(kernel: Kernel, resources: Mapping[str, Resource], time_s: float) -> tuple[Use, ...]:
    amounts: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for phase in kernel.phases:
        for demand in phase.demands():
            if demand.amount:
                name = demand.resource
                amounts[name] = amounts.get(name, 0) + demand.amount
                share = min(demand.share, phase.most.get(name, 1.0))
                seconds[name] = seconds.get(name, 0.0) + demand.amount / (resources[name].rate * share)
    uses = [
        Use(
            resource=name,
            amount=amount,
            unit=resources[name].unit,
            rate=min(amount / seconds[name], resources[name].rate),
            rate_fraction=min(1.0, amount / seconds[name] / resources[name].rate),
            alone_s=seconds[name],
            time_fraction=seconds[name] / time_s if time_s else 0.0,
            bound=resources[name].bound,
        )
        for name, amount in amounts.items()
    ]
    return tuple(sorted(uses, key=lambda use: -use.alone_s))


def _limits(kernel: Kernel, ran: KernelRecord, resources: Mapping[str, Resource]) -> tuple[Limit, ...]:
    total_ps, now_s = ran.end_ps - ran.start_ps, kernel_time_s(kernel, resources)
    result = []
    for limit, picoseconds in ran.limits_ps.items():
        lifted = lifted_time_s(kernel, resources, limit)
        result.append(
            Limit(
                limit=limit,
                bound=_WAITS.get(limit) or kernel.bounds.get(limit) or resources[limit].bound,
                time_s=picoseconds / PS_PER_S,
                time_fraction=picoseconds / total_ps if total_ps else 0.0,
                lifted_s=lifted,
                speed_up=now_s / lifted if lifted else inf,
            )
        )
    return tuple(sorted(result, key=lambda row: -row.time_s))


def _bound(limits: tuple[Limit, ...]) -> str:
    words: dict[str, float] = {}
    for row in limits:
        words[row.bound] = words.get(row.bound, 0.0) + row.time_s
    return max(words.items(), key=lambda item: item[1])[0] if words else "launch"


def lifted_time_s(kernel: Kernel, resources: Mapping[str, Resource], limit: str) -> float:
    """Time of the same kernel alone, tiles and splits unchanged, when one limit is gone.

    Args:
        kernel: the kernel.
        resources: by name.
        limit: "launch" (none), "latency" (none), "pipeline" (a buffer for every step), "mode" (no
            waiting for that of a memory) or a resource, which then serves `LIFT` times as fast.
    """
    if limit == LAUNCH:
        return kernel_time_s(replace(kernel, launch_s=0.0), resources)
    if limit == LATENCY:
        phases = tuple(replace(phase, latency_s=0.0) for phase in kernel.phases)
        return kernel_time_s(replace(kernel, phases=phases), resources)
    if limit == PIPELINE:
        phases = tuple(replace(phase, buffers=max(phase.buffers, phase.steps)) for phase in kernel.phases)
        return kernel_time_s(replace(kernel, phases=phases), resources)
    if limit == MODE:  # nobody waits for it in closed form
        return kernel_time_s(kernel, resources)
    faster = replace(resources[limit], rate=resources[limit].rate * LIFT)
    return kernel_time_s(kernel, {**resources, limit: faster})
