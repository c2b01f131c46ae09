"""Names in, a `Run` out: the one function that everything else calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any

from accelsim import catalog
from accelsim.devices.base import Offloading, Placing
from accelsim.devices.families import device_for, resized
from accelsim.devices.gpu import Gpu
from accelsim.errors import RequestError, did_you_mean
from accelsim.evaluate import memory, outcome
from accelsim.evaluate import offload as offloading
from accelsim.evaluate.group import grouped
from accelsim.evaluate.memo import Memo
from accelsim.evaluate.operators import single
from accelsim.evaluate.phases import Passes, Single, Work
from accelsim.evaluate.resolve import Name, formats_of, reachable, separate
from accelsim.graph import routing as routing_
from accelsim.graph.attention import Formats
from accelsim.graph.routing import Routing
from accelsim.mapping.gpu.offload import HostTier
from accelsim.mapping.horizon import Horizon
from accelsim.results import Run
from accelsim.spec.calibration import CLOCKS, LAUNCHES, Conditions, Residency
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.model import Model
from accelsim.spec.request import CONVENTIONS, FIDELITIES, LOGITS, SCALES, STREAMS, Request
from accelsim.spec.system import System

DEFAULT_GENERATE = 128
ResidencyWord = str | int | Mapping[str, str | int] | Residency | None
UNCALIBRATED = (
    "uncalibrated: data-sheet figures and stated assumptions; no rate or efficiency is fitted to kernels of this chip"
)

CALIBRATION = {
    "ipu": "calibrated: cycles per superstep on one published row, GPT-2 XL on eight Mk2 at batch 1; nothing else is",
    "fpga": (
        "calibrated: issue of an instruction on GPT-2 345M on one board of DFX, and a vector's way through HBM on "
        "FlightLLM's published share of bandwidth without always-on-chip decode; nothing else is"
    ),
    "tsp": "calibrated: cycles between operators on one claim, Llama-2-70B on 576 chips; nothing else is",
}
"""By family, what was fitted."""


def simulate(
    model: Name | Model,
    on: Any,
    *,
    batch: int = 1,
    prompt: int = 2048,
    generate: int | None = None,
    weights: Name | Format | None = None,
    activations: Name | Format | None = None,
    kv_cache: Name | Format | None = None,
    fidelity: str = "event",
    convention: str = "corrected",
    seed: int = 0,
    chips: int | str = 1,
    overrides: Mapping[str, object] | None = None,
    fold: bool = True,
    fuse: bool = True,
    streams: str = "one",
    flash: bool | None = None,
    logits: str = "last",
    routing: str | Routing = "uniform",
    host: str | None = None,
    offload: str | Sequence[str] = (),
    library: str | None = None,
    residency: ResidencyWord = None,
    clock: str | None = None,
    launch: str = "graph",
    scales: str = "dynamic",
    tensor_formats: Mapping[str, Name | Format] | None = None,
    progress: outcome.Progress | None = None,
    memo: Memo | None = None,
    **unknown: object,
) -> Run:
    """Prefill and decode of one model on one chip.

    Args:
        model: name, path (TOML, `config.json` or its folder) or record.
        on: chip by name, path or record; or a system of memories that compute, with its host.
        batch: sequences that run together.
        prompt: tokens per sequence.
        generate: tokens generated per sequence, the first of them by prefill; default 128, and 0 for
            models that do not generate.
        weights: format of linear layers and experts; the chip's native one if not given. Embedding,
            norms, router and lm_head keep the native format where this one is narrower.
        activations: format between operators; on GPUs, one that is narrower than the chip's native format, with weights
            that are as well, is what products take, after a pass that quantises (`accelsim.graph.quantize`).
        kv_cache: format of keys and values.
        fidelity: "event" simulates; "roofline" prices in closed form.
        convention: "corrected", or "llm-viewer" to reproduce that tool (roofline only).
        seed: of drawn routing.
        chips: number of chips, or "auto" for the smallest system of them that fits; several GPUs share a model by
            tensor parallelism over their fastest link, eight at most.
        overrides: dotted chip figures, such as {"memory.bandwidth": "5 TB/s"}.
        fold: replay recurring segments; False runs everything, with the same numbers.
        fuse: merged projections, fused attention and element-wise chains.
        streams: "one" runs kernels one after the other; "graph" starts each as soon as its tensors are
            there, so that independent kernels share the chip (event fidelity).
        flash: with convention "llm-viewer", that tool's FlashAttention switch.
        logits: positions that lm_head covers in prefill: "last" or "all".
        routing: popularity of experts: "uniform", "zipf:EXPONENT", a JSON file or a record; ":drawn" draws loads.
        host: for a system of memories that compute, another chip beside them than the system names; for a GPU, whose
            memory keeps what `offload` names.
        offload: of a GPU, what lies with the host and is fetched for each use: "weights", "kv_cache" or both.
        library: on GPUs, whose kernels run, such as "trtllm-1.3"; the default of the chip if not given.
        residency: on GPUs, what L2 holds of the operands of a GEMM when it starts: "cold", "steady", "harness(R)",
            or one of these for each of weights, activations and output.
        clock: on GPUs, "sustained" (if not given, in events) for a chip under load, whose board holds its power by the
            clock; "burst" for kernels on a cool chip, as single operators are taken.
        launch: on GPUs, "graph" for kernels captured in a graph, "stream" for a host that launches each.
        scales: on GPUs, of activations that are narrower than what operators exchange: "dynamic" takes a pass that
            finds them before every product, "static" knows them beforehand, and operators write the narrow format.
        tensor_formats: of single tensors by name or end of a name, such as {"down_proj.weight": "mxfp4"}.
        progress: called during the run.
        memo: graphs and mapped kernels that earlier runs have left for this one.
        unknown: refused, with the nearest keyword.

    Returns:
        The run; `run.infeasible` says why if it could not take place.

    Raises:
        AccelsimError: a name, format or number that is not allowed.
    """
    for name in unknown:
        raise RequestError(f"simulate() has no keyword {name!r}{did_you_mean(name, simulate.__annotations__)}")
    _choice("fidelity", fidelity, FIDELITIES)
    _choice("convention", convention, CONVENTIONS)
    _choice("logits", logits, LOGITS)
    _choice("streams", streams, STREAMS)
    _choice("scales", scales, SCALES)
    the_model, chip = catalog.model(model), catalog.chip(on, overrides)
    tier = offloading.tier(chip, offload, host)
    if tier is None:
        chip = hosted(chip, host)
    conditions = conditions_of(chip if fidelity == "event" else None, library, residency, clock, launch)
    length = (DEFAULT_GENERATE if the_model.generates else 0) if generate is None else generate
    for name, value, least in (("batch", batch, 1), ("prompt", prompt, 1), ("generate", length, 0), ("seed", seed, 0)):
        _whole(name, value, least)
    if chips != "auto":
        _whole("chips", chips, 1)
    if convention == "llm-viewer":
        if tier:
            raise RequestError(
                "offload: convention llm-viewer has no host; overrides={'memory.bandwidth': ...} is its way"
            )
        from accelsim.evaluate import viewer

        return viewer.run(
            the_model,
            chip,
            batch=batch,
            prompt=prompt,
            generate=length,
            weights=weights,
            activations=activations,
            kv_cache=kv_cache,
            fidelity=fidelity,
            flash=bool(flash),
        )
    if flash is not None:
        raise RequestError("flash belongs to convention llm-viewer; here fuse=False gives the unfused form")
    warnings = _model_warnings(the_model, prompt, length)
    if not the_model.generates:
        length = 0
    formats = formats_of(chip, weights, activations, kv_cache)
    own = tuple((name, catalog.format_(form)) for name, form in (tensor_formats or {}).items())
    request = Request(
        model=the_model.name,
        chip=chip.name,
        batch=batch,
        prompt=prompt,
        generate=length,
        weights=formats.weights.name,
        activations=formats.activations.name,
        kv_cache=formats.kv_cache.name,
        fidelity=fidelity,
        convention=convention,
        logits=logits,
        routing=routing if isinstance(routing, str) else "weights",
        fuse=fuse,
        streams=streams,
        fold=fold,
        seed=seed,
        offload="+".join(tier.keeps) if tier else "none",
        host=tier.host if tier else "none",
        library=conditions.library or "default",
        residency=conditions.residency.label,
        clock=conditions.clock,
        launch=conditions.launch,
        scales=scales,
        tensor_formats=",".join(f"{name}={form.name}" for name, form in own) or "none",
    )
    picked = routing_.parse(routing, seed) if isinstance(routing, str) else routing
    passes = scales if separate(chip) else None
    work = Work(the_model, formats, batch, prompt, length, logits, picked, fuse, passes, overrides=own)
    if memo is not None:
        work = memo.work(work)
    return _run(request, work, chip, formats, chips, warnings, conditions, tier=tier, progress=progress, memo=memo)


def simulate_operator(
    kind: str,
    *,
    on: Any,
    format: Name | Format | None = None,
    weights: Name | Format | None = None,
    fidelity: str = "event",
    overrides: Mapping[str, object] | None = None,
    fold: bool = True,
    chips: int | str = 1,
    scope: str | None = None,
    variant: str | None = None,
    library: str | None = None,
    residency: ResidencyWord = None,
    clock: str = "burst",
    launch: str = "graph",
    **dims: Any,
) -> Run:
    """One operator on one chip; the same `Run` as a whole model, with one phase named "operator".

    Args:
        kind: "matmul" (m, n, k: [m, k] x [k, n]), "experts" (tokens, experts, active, n, k, routing: a matrix [k, n]
            per expert, times the rows of the tokens that picked it), "attention" (batch, query, kv, heads,
            kv_heads, head_dim, causal), "softmax", "layernorm", "rmsnorm" (rows, columns), "gelu", "silu", "relu",
            "quantize", "add", "mul" (elements, or rows and columns), "batchnorm" (likewise; HBM-PIM), "all_reduce"
            (bytes, devices); on GPUs "all_gather", "reduce_scatter", "all_to_all" (bytes of the whole tensor,
            devices), "send" (bytes).
        on: chip by name, path or record.
        format: of all operands; the chip's native one if not given.
        weights: format of the second operand of matmul, or of K and V.
        fidelity: "event" or "roofline".
        overrides: dotted chip figures.
        fold: as in `simulate`.
        chips: as in `simulate`.
        scope: on a memory that computes, what is counted: "physical" is everything, "peer" what the public
            simulator of that memory counts.
        variant: on such a memory, the way to compute the operator, where there are several.
        library: on GPUs, whose kernels run, such as "trtllm-1.3"; the default of the chip if not given.
        residency: on GPUs, what L2 holds of the operands of a GEMM when it starts: "cold", "steady", "harness(R)",
            or one of these for each of weights, activations and output.
        clock: on GPUs, "burst" for kernels on a cool chip, "sustained" for a chip under load all the time.
        launch: on GPUs, "graph" for kernels captured in a graph, "stream" for a host that launches each.
        dims: the dimensions, by name.

    Raises:
        AccelsimError: a kind, dimension, name or number that is not allowed.
    """
    _choice("fidelity", fidelity, FIDELITIES)
    conditions = conditions_of(None, library, residency, clock, launch)
    chip = catalog.chip(on, overrides)
    if isinstance(chip, System):
        from accelsim.evaluate import kernel

        return kernel.operator(
            kind,
            dims,
            chip,
            format_=format,
            weights=weights,
            fidelity=fidelity,
            scope=scope,
            variant=variant,
            chips=chips,
        )
    for name, value in (("scope", scope), ("variant", variant)):
        if value is not None:
            raise RequestError(f"{name} = {value!r}: {chip.name} has none; systems of memories that compute do")
    formats = formats_of(chip, weights or format, format, (weights if kind == "attention" else None) or format)
    op = single(kind, dims, formats)
    request = Request(
        model=op.name,
        chip=chip.name,
        batch=1,
        prompt=1,
        generate=0,
        weights=formats.weights.name,
        activations=formats.activations.name,
        kv_cache=formats.kv_cache.name,
        fidelity=fidelity,
        fold=fold,
        library=conditions.library or "default",
        residency=conditions.residency.label,
        clock=conditions.clock,
        launch=conditions.launch,
    )
    return _run(request, Single(op), chip, formats, chips, (), conditions)


def simulate_trace(
    file: str | PathLike[str], *, on: Any, scope: str | None = None, overrides: Mapping[str, object] | None = None
) -> Run:
    """A file of commands on a system whose parts have a public trace format; the same `Run` as one operator.

    Args:
        file: the trace; for GDDR6-AiM, the format of its public simulator.
        on: system by name, path or record.
        scope: as in `simulate_operator`.
        overrides: dotted figures of the system or its part.

    Raises:
        RequestError: a line that is no command, with its number; a chip that takes no commands.
        AccelsimError: a name or figure that is not allowed.
    """
    system = catalog.chip(on, overrides)
    if not isinstance(system, System):
        raise RequestError(f"{system.name} takes no command traces: name a system of memories that compute")
    from accelsim.evaluate import kernel

    return kernel.trace(file, system, scope=scope)


def _run(
    request: Request,
    work: Passes,
    chip: Chip,
    formats: Formats,
    chips: int | str,
    warnings: tuple[str, ...],
    conditions: Conditions,
    *,
    tier: HostTier | None = None,
    progress: outcome.Progress | None = None,
    memo: Memo | None = None,
) -> Run:
    devices = 1
    shared = grouped(work, chip, chips, offloads=tier is not None)
    if isinstance(shared, Infeasible):
        return outcome.infeasible(request, shared, [], warnings)
    if isinstance(chip, GpuChip):
        (work, devices), chips = shared, 1
        if devices > 1:
            work = memo.work(work) if memo is not None and isinstance(work, Work) else work
            request = replace(request, chip=f"{chip.name}@{devices}")
    ahead = horizon(work)
    sized = resized(chip, chips, work.prefill(), ahead)
    if isinstance(sized, Infeasible):
        return outcome.infeasible(request, sized, [], warnings)
    own = (form for _, form in work.overrides) if isinstance(work, Work) else ()
    bits = {form.name: form.bits for form in reachable(sized, formats, own)}
    make = partial(
        device_for, sized, bits, None, request.streams, horizon=ahead, weights=formats.weights.name,
        conditions=conditions, devices=devices, host=tier,
    )  # fmt: skip
    if memo is not None and isinstance(work, Work):
        key = (sized, tuple(bits.items()), request.streams, formats.weights.name, conditions, devices, tier)
        device = memo.device(key, work, make)
    else:
        device = make()
    note = device.note if isinstance(device, Gpu) else CALIBRATION.get(device.family, UNCALIBRATED)
    used = memory.rows(work, device)
    if isinstance(device, Offloading):
        warnings = (*warnings, offloading.told(tier)) if tier else warnings
        if failure := memory.host_misfit(work, device):
            return outcome.infeasible(request, failure, used, warnings)
    if isinstance(device, Placing):
        failure = device.misfit(work.prefill())
        used = [{**row, "fits": row["fits"] and not failure} for row in used]
    else:
        failure = memory.does_not_fit(work, used, float(device.capacity_bytes), chip.name)
    if failure:
        return outcome.infeasible(request, failure, used, warnings)
    evaluate = outcome.roofline if request.fidelity == "roofline" else outcome.event
    return evaluate(request, work, device, used, (*warnings, note), progress)


def conditions_of(
    chip: Chip | None, library: str | None, residency: ResidencyWord, clock: str | None, launch: str
) -> Conditions:
    """What a request says of the kernels of a GPU.

    Args:
        chip: that whole models run on, where a GPU without further words is under load; None elsewhere.
        library: whose kernels.
        residency: what L2 holds.
        clock: "burst" or "sustained".
        launch: "graph" or "stream".
    """
    if clock is None:
        clock = "sustained" if isinstance(chip, GpuChip) else "burst"
    _choice("clock", clock, CLOCKS)
    _choice("launch", launch, LAUNCHES)
    return Conditions(library, Residency.parse(residency), clock, launch)


def horizon(work: Passes) -> Horizon | None:
    """What a compiler knows of a run; None for a single operator."""
    if not isinstance(work, Work):
        return None
    layers = sum(group.repeat for group in (*work.model.encoder, *work.model.decoder))
    positions = int(work.prompt) + max(int(work.generate) - 1, 0)
    first = work.prefill()
    cache = work.footprint("decode" if int(work.generate) > 1 else work.first, first)[1]
    return Horizon(positions, layers, first, float(cache))


def hosted(chip: Chip, host: str | None) -> Chip:
    """The system with another host."""
    if host is None:
        return chip
    if not isinstance(chip, System):
        raise RequestError(
            f"host = {host!r}: {chip.name} has none; systems of memories that compute do, and GPUs that offload to one"
        )
    return chip.with_({"host": host})


def _model_warnings(model: Model, prompt: int, generate: int) -> tuple[str, ...]:
    warnings = []
    total = prompt + (generate if model.generates and not model.encoder else 0)
    if model.max_positions is not None and total > model.max_positions:
        warnings.append(
            f"prompt + generate = {total} tokens exceed the {model.max_positions} positions that {model.name} was "
            "made for; times are given all the same"
        )
    if not model.generates and generate:
        warnings.append(f"{model.name} is encoder-only: it has no decode phase, generate={generate} is ignored")
    return tuple(warnings)


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise RequestError(f"{name} = {value!r}: allowed are {', '.join(allowed)}{did_you_mean(str(value), allowed)}")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RequestError(f"{name} = {value!r}: expected a whole number of at least {least}")
