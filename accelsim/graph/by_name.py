"""The graph of a model that is named, for `accelsim graph`: no chip is involved."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from accelsim import catalog
from accelsim.errors import RequestError, did_you_mean
from accelsim.graph import build, routing, transforms
from accelsim.graph.attention import Formats
from accelsim.graph.counts import count
from accelsim.graph.operator import Graph, Role
from accelsim.spec.format import Format
from accelsim.spec.model import Model
from accelsim.spec.request import LOGITS

PHASES = ("prefill", "decode")
Name = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Totals:
    """One pass through a graph, repetitions included; bytes are of tensors, each once per execution."""

    operators: int
    flops: float
    matrix_flops: float
    weight_bytes: float
    activation_bytes: float
    kv_bytes: float

    @property
    def bytes(self) -> float:
        """All roles."""
        return self.weight_bytes + self.activation_bytes + self.kv_bytes

    @property
    def intensity_flops_per_byte(self) -> float:
        """Arithmetic per byte."""
        return self.flops / self.bytes if self.bytes else 0.0


def graph_of(
    model: Name | Model,
    *,
    phase: str = "decode",
    batch: int = 1,
    prompt: int = 2048,
    step: int = 1,
    weights: Name | Format | None = None,
    activations: Name | Format | None = None,
    kv_cache: Name | Format | None = None,
    logits: str = "last",
    routes: str = "uniform",
    seed: int = 0,
    fused: bool = False,
) -> Graph:
    """The operators of prefill or of one decode step.

    Args:
        model: name, path or record.
        phase: "prefill" or "decode".
        batch: sequences.
        prompt: tokens per sequence in prefill.
        step: decode step, from 1; it attends to prompt + step positions.
        weights: format of linear layers and experts; that of the published weights if not given.
        activations: format between operators; likewise.
        kv_cache: format of keys and values; likewise.
        logits: positions that lm_head covers in prefill, "last" or "all".
        routes: popularity of experts, as `routing` of `accelsim.simulate`.
        seed: of drawn routing.
        fused: merged projections, fused attention and element-wise chains, as they are run.

    Raises:
        AccelsimError: a name or number that is not allowed, or decode of a model that generates nothing.
    """
    for name, value, allowed in (("phase", phase, PHASES), ("logits", logits, LOGITS)):
        if value not in allowed:
            raise RequestError(f"{name} = {value!r}: allowed are {', '.join(allowed)}{did_you_mean(value, allowed)}")
    for name, number in (("batch", batch), ("prompt", prompt), ("step", step)):
        if number < 1:
            raise RequestError(f"{name} = {number}: expected a whole number of at least 1")
    record = catalog.model(model)
    if phase == "decode" and not record.generates:
        raise RequestError(f"{record.name} is encoder-only: it has no decode phase; try --phase prefill")
    native = catalog.format_(record.native_format)
    chosen = catalog.format_(weights or native)
    formats = Formats(
        weights=chosen,
        activations=catalog.format_(activations or native),
        kv_cache=catalog.format_(kv_cache or native),
        wide=chosen if chosen.bits_per_element >= native.bits_per_element else native,
    )
    experts = routing.parse(routes, seed)
    if phase == "prefill":
        graph = build.prefill(record, batch=batch, prompt=prompt, formats=formats, logits=logits, routing=experts)
    else:
        graph = build.decode(record, batch=batch, prompt=prompt, step=step, formats=formats, routing=experts)
    return transforms.fuse(graph) if fused else graph


def totals(graph: Graph) -> Totals:
    """Sums over all operators and repetitions."""
    found = [(block.repeat, op, count(op)) for block, op in graph]

    def moved(role: Role) -> float:
        return float(sum(times * op.bytes(role) for times, op, _ in found))

    return Totals(
        operators=sum(times for times, _, _ in found),
        flops=float(sum(times * c.flops for times, _, c in found)),
        matrix_flops=float(sum(times * c.matrix_flops for times, _, c in found)),
        weight_bytes=moved(Role.WEIGHT),
        activation_bytes=moved(Role.ACTIVATION),
        kv_bytes=moved(Role.KV_CACHE),
    )
