"""Real numbers through the graph that is priced: `accelsim.execute`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim import catalog
from accelsim.errors import RequestError, did_you_mean
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import formats_of, separate
from accelsim.execution.changes import TokenGroups
from accelsim.execution.device_targets import device_target
from accelsim.execution.executor import DYNAMIC, STATIC, Executor, Setting
from accelsim.execution.given import formats_given
from accelsim.execution.methods import Calibrated
from accelsim.execution.plan import KEYS, VALUES, NumericsPlan, Target
from accelsim.execution.static import refuse_own_scales
from accelsim.execution.stored import valued
from accelsim.execution.targets import reference
from accelsim.execution.walk import Observer
from accelsim.execution.weights import Weights
from accelsim.graph.attention import Formats
from accelsim.graph.operator import Role
from accelsim.graph.routing import Routing
from accelsim.mapping.horizon import Horizon
from accelsim.quantization.method import Asked, Method
from accelsim.quantization.methods import METHODS, NEAREST
from accelsim.quantization.methods import method as find_method
from accelsim.spec.format import BlockFormat, Format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.model import Model
from accelsim.spec.request import SCALES

Name = str | PathLike[str]
Array = NDArray[Any]

HEAD_DIM: Final = "head_dim"
TOKENS: Final = "tokens"


@dataclass(frozen=True, eq=False)
class Execution:
    """What an execution gives.

    Attributes:
        logits: [batch, positions, vocabulary], of every position that was fed; fp32, or fp64 in that mode.
        tokens: [batch, positions], those given and those generated.
        plan: the numbers of every operator and tensor.
        infeasible: why the device cannot compute in these formats; then there are no logits.
        warnings: what a reader of the numbers must know.
    """

    logits: Array
    tokens: NDArray[np.int64]
    plan: NumericsPlan | None
    infeasible: Infeasible | None = None
    warnings: tuple[str, ...] = ()


def execute(
    model: Name | Model,
    weights: Mapping[str, Any],
    tokens: ArrayLike,
    *,
    on: Any = None,
    numerics: str | None = None,
    weights_format: Name | Format | None = None,
    activations_format: Name | Format | None = None,
    kv_cache_format: Name | Format | None = None,
    overrides: Mapping[str, Name | Format] | None = None,
    values_along: str = HEAD_DIM,
    prefill: int | None = None,
    generate: int = 0,
    fuse: bool = True,
    tile: int | None = None,
    method: str | Method = NEAREST,
    scales: str = DYNAMIC,
    calibration: ArrayLike | None = None,
    observe: Observer | None = None,
    **unknown: object,
) -> Execution:
    """Execute a model with real values, each operator in its formats and with the accumulator of a machine.

    The graph is the one that `accelsim.simulate` prices. Without `on` and `numerics` everything is fp32, sums in
    increasing index.

    Args:
        model: name, path (TOML, `config.json` or its folder) or record, of a family that is executed: llama, mistral,
            mixtral, qwen2, qwen3, qwen3_moe, gpt2, opt.
        weights: tensors by Hugging Face name, arrays or `Encoded`.
        tokens: [positions] or [batch, positions], whole numbers below the vocabulary.
        on: a chip by name, path or record, whose arithmetic is used.
        numerics: in its place "fp64", "fp32", "exact" (every dot product and sum is exact, rounded once to fp32), or
            the name of an accumulator such as "hopper-fp8".
        weights_format: of linear layers and experts; as the checkpoint has them if not given (on a chip, its native
            format). Embedding, norms, router and lm_head keep the native format where this one is narrower.
        activations_format: of what flows between operators; not rounded if not given (on a chip, its native format).
        kv_cache_format: of keys and values, which are rounded once, when appended; likewise.
        overrides: formats of single tensors by name, such as {"hidden": "fp32", "down_proj.weight": "int8_channel"}.
        values_along: axis of the blocks of cached values: "head_dim", or "tokens", along which P V adds them; the last
            block then stays in the format of activations until all its tokens are there.
        prefill: positions that prefill takes; the others are fed one by one. All by default.
        generate: tokens to append, each the most likely one (the lowest among equals).
        fuse: merged projections, fused attention and element-wise chains.
        tile: keys of a tile of fused attention; all at once by default, on a chip its own.
        method: of quantisation, by the names of `accelsim.quantization.methods`: rtn, clip, smooth, gptq, awq, rotate,
            kivi, ant, olive, split. It chooses what its formats hold; times are those of `simulate` in the plan's.
        scales: of activations: "dynamic", or "static" ones of whole tensors, found on calibration text.
        calibration: tokens, [positions] or [windows, positions], that methods and static scales are chosen by.
        observe: called with operator, layer, tensor and values of everything that is written.
        unknown: refused, with the nearest keyword.

    Returns:
        Logits, tokens and the plan; `infeasible` where the chip has no way to compute in these formats.

    Raises:
        AccelsimError: a name, shape, token or tensor that is not allowed.
    """
    for name in unknown:
        raise RequestError(f"execute() has no keyword {name!r}{did_you_mean(name, execute.__annotations__)}")
    the_model = catalog.model(model)
    fed = checked(the_model, tokens, generate)
    text = None if calibration is None else checked(the_model, calibration)
    longest = fed.shape[1] + max(generate - 1, 0)
    made = prepared(
        Calibrated(the_model, weights, text), find_method(method), on=on, numerics=numerics,
        weights_format=weights_format, activations_format=activations_format, kv_cache_format=kv_cache_format,
        overrides=overrides, fuse=fuse, tile=tile, scales=scales, values_along=values_along,
        positions=longest,
    )  # fmt: skip
    if isinstance(made.plan, Infeasible):
        return Execution(np.empty((*fed.shape, 0), dtype=np.float32), fed, None, made.plan)
    given = fed.shape[1]
    first = given if prefill is None else prefill
    if isinstance(first, bool) or first not in range(1, given + 1):
        raise RequestError(f"prefill = {prefill!r}: expected 1 to {fed.shape[1]}, the positions that are given")
    found, state = made.start(fed[:, :first], observe)
    parts = [found]
    for at in range(first, given + generate):
        if at >= given:
            fed = np.concatenate([fed, greedy(parts[-1])], axis=1)
            if at == given + generate - 1:
                break  # nobody asks what follows the last token
        found, state = made.step(fed[:, at : at + 1], state, observe)
        parts.append(found)
    plan = made.planned(len(fed), first, range(first, first + len(parts) - 1))
    return Execution(np.concatenate(parts, axis=1), fed, plan, warnings=made.warnings)


def prepared(known: Calibrated, method: Method, *, scales: str = DYNAMIC, **asked: Any) -> Executor:
    """A model ready to run after a method has chosen its weights, and text its static scales; see `execute`."""
    if method is METHODS[NEAREST]:
        made = executor(known.model, known.given, scales=scales, **asked)
    else:
        on, names = asked.get("on"), ("weights_format", "activations_format", "kv_cache_format")
        given = [asked.get(name) for name in names]
        formats = _plain(*given)[0] if on is None else formats_of(catalog.chip(on), *given)
        serving = method.serves(Asked(formats.weights, formats.activations, formats.kv_cache))
        form = serving.formats
        chosen = known.choose(method, valued(form.weights))
        for name, old, new in zip(names, given, (form.weights, form.activations, form.kv_cache), strict=True):
            asked[name] = new if old is not None or on is not None else None
        made = executor(
            known.model, chosen.weights, scales=scales, outliers_from=serving.outliers_from,
            token_groups=serving.token_groups, **asked,
        )  # fmt: skip
    if scales == STATIC and isinstance(made.plan, NumericsPlan):
        made.calibrate(known.text("static scales"))
    return made


def executor(
    model: Model, weights: Mapping[str, Any] | Weights, *, on: Any = None, numerics: str | None = None,
    weights_format: Name | Format | None = None, activations_format: Name | Format | None = None,
    kv_cache_format: Name | Format | None = None, overrides: Mapping[str, Name | Format] | None = None,
    fuse: bool = True, tile: int | None = None, as_decode: bool = False, scales: str = DYNAMIC,
    outliers_from: float | None = None, token_groups: bool = False, values_along: str = HEAD_DIM,
    positions: int = 0,
) -> Executor:  # fmt: skip
    """A model ready to run; see `execute` and `Setting`. With `as_decode`, prefill computes as a chip's decode does.

    Programs of chips that attend to a fixed length are compiled for `positions`, or for every length if that is more.
    """
    if scales not in SCALES:
        raise RequestError(f"scales = {scales!r}: allowed are {', '.join(SCALES)}{did_you_mean(scales, SCALES)}")
    if on is not None and numerics is not None:
        raise RequestError(f"on = {on!r} and numerics = {numerics!r}: give one of them; a chip has its own arithmetic")
    given = (weights_format, activations_format, kv_cache_format)
    target: Target
    if on is None:
        target, apart = reference(numerics or "fp32", tile), scales == STATIC or outliers_from is not None
        formats, unrounded = _plain(*given)
    else:
        if tile is not None:
            raise RequestError(f"tile = {tile}: {on!r} has its own tiles; give numerics in the place of a chip")
        chip = catalog.chip(on)
        formats, apart, unrounded = formats_of(chip, *given), separate(chip), ()
        layers = sum(group.repeat for group in (*model.encoder, *model.decoder))
        target = device_target(chip, weights=formats.weights.name, run=Horizon(positions, layers))
    if scales == STATIC:
        refuse_own_scales(formats.activations)
    held = weights if isinstance(weights, Weights) else Weights(model, weights)
    changed = {name: catalog.format_(form) for name, form in (overrides or {}).items()}
    if Role.WEIGHT not in unrounded:
        graph = Work(model, formats, 1, 1, 1, "all", Routing(), fuse).prefill()
        found = formats_given(model, graph, held)
        # a plain integer stands for the one with scales that methods have chosen
        changed |= {name: form for name, form in found.items() if form != valued(formats.weights)}
    setting = Setting(
        formats, unrounded, tuple(changed.items()), fuse, scales if apart else None, outliers_from,
        _groups(values_along, token_groups, formats, unrounded), as_decode,
    )  # fmt: skip
    return Executor(model, held, setting, target)


def _groups(values_along: str, token_groups: bool, formats: Formats, unrounded: Sequence[Role]) -> TokenGroups | None:
    """The caches that are rounded in groups of tokens."""
    if values_along not in (HEAD_DIM, TOKENS):
        near = did_you_mean(values_along, (HEAD_DIM, TOKENS))
        raise RequestError(f"values_along = {values_along!r}: allowed are {HEAD_DIM}, {TOKENS}{near}")
    tail = "the width of the lanes" if Role.ACTIVATION in unrounded else formats.activations.name
    if token_groups:
        if values_along == TOKENS:
            raise RequestError("the method rounds values token by token along head_dim: leave values_along out")
        return TokenGroups((KEYS,), (VALUES,), tail)
    if values_along == HEAD_DIM:
        return None
    form = formats.kv_cache
    if Role.KV_CACHE in unrounded or not isinstance(form, BlockFormat) or form.granularity != "block":
        raise RequestError(
            f"values_along = {values_along!r}: kv_cache_format {form.name} has no blocks of elements that share a "
            "scale; try mxfp8_e4m3 or int4_g32"
        )
    return TokenGroups((VALUES,), (), tail)


def _plain(
    weights: Name | Format | None, activations: Name | Format | None, kv_cache: Name | Format | None
) -> tuple[Formats, tuple[Role, ...]]:
    """Formats where no chip has native ones, and the roles that keep the width of the arithmetic."""
    wide = catalog.format_("fp32")
    chosen = [wide if form is None else catalog.format_(form) for form in (weights, activations, kv_cache)]
    roles = (Role.WEIGHT, Role.ACTIVATION, Role.KV_CACHE)
    missing = tuple(role for role, form in zip(roles, (weights, activations, kv_cache), strict=True) if form is None)
    return Formats(chosen[0], chosen[1], chosen[2], wide), missing


def checked(model: Model, tokens: ArrayLike, generate: int = 0) -> NDArray[np.int64]:
    """Tokens as [batch, positions].

    Raises:
        RequestError: no whole numbers, outside of the vocabulary, none at all, or more than the context.
    """
    found: NDArray[Any] = np.asarray(tokens)
    if found.ndim not in (1, 2) or not found.size or found.dtype.kind not in "iu":
        raise RequestError(
            f"tokens of shape {found.shape} and type {found.dtype}: expected [positions] or [batch, positions] of "
            "whole numbers, at least one"
        )
    made = np.atleast_2d(found).astype(np.int64)
    wrong = np.argwhere((made < 0) | (made >= model.vocabulary))
    if len(wrong):
        at = tuple(int(n) for n in wrong[0])
        raise RequestError(f"token {made[at]} at {list(at)}: {model.name} has {model.vocabulary} tokens, from 0")
    if isinstance(generate, bool) or generate < 0:
        raise RequestError(f"generate = {generate!r}: expected a whole number of at least 0")
    total = made.shape[1] + generate
    if model.max_positions is not None and total > model.max_positions:
        raise RequestError(
            f"{made.shape[1]} tokens and {generate} generated are {total} positions: {model.name} has "
            f"{model.max_positions}; give shorter windows"
        )
    return made


def greedy(logits: Array) -> NDArray[np.int64]:
    """[batch, 1]: the most likely token after the last position, the lowest number among equals."""
    best: NDArray[np.int64] = np.argmax(logits[:, -1], axis=-1).astype(np.int64)
    return best[:, None]
