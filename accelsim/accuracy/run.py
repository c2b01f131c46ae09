"""Execute a model in some formats on some chips, and price it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, Final

from accelsim import catalog
from accelsim.accuracy.assignment import assigned, bits_per_weight, everything, products
from accelsim.accuracy.combinations import Combination, combinations
from accelsim.accuracy.keeping import Kept, digest, key
from accelsim.accuracy.measure import Measured, Progress, Reference, measure, observed, reference
from accelsim.accuracy.price import kv_bytes_per_token, price, told_with_levers
from accelsim.accuracy.report import Accuracy, Row
from accelsim.accuracy.search import Assignment, Chosen, checked_budget
from accelsim.accuracy.search import search as find
from accelsim.accuracy.subject import SHIPPED, Subject, subject, window_of
from accelsim.accuracy.ways import CALIBRATION_TOKENS, Way, Ways
from accelsim.errors import AccelsimError, RequestError
from accelsim.execution.executor import DYNAMIC, STATIC, Executor
from accelsim.execution.plan import NumericsPlan
from accelsim.execution.run import executor
from accelsim.quantization.method import Asked, Method
from accelsim.quantization.methods import METHODS, NEAREST
from accelsim.quantization.methods import method as find_method
from accelsim.spec.format import Format
from accelsim.spec.model import Model

PRICE_AS: Final = "llama-2-7b"
"""The model whose time and energy stand beside the error of the shipped one."""

REFERENCE: Final = "fp64"

SEARCH_TOKENS: Final = 1024
"""Tokens that a search executes on."""


def accuracy(
    model: str | PathLike[str], formats: str | Sequence[str], *, on: Any = None, numerics: str | None = None,
    price_as: str | PathLike[str] | None = None, weights: str | PathLike[str] | None = None,
    tokens: str | PathLike[str] | None = None, limit: int = 4096, window: int | None = None, seed: int = 0,
    all_layers: bool = False, method: str | Sequence[str] = NEAREST, scales: str = DYNAMIC,
    search: float | None = None, exact_difference: bool = False, resume: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Accuracy:  # fmt: skip
    """Execute a model in some formats, and price them.

    Every position is executed as decode of one sequence computes it, since that is what is priced. What accumulators
    and orders of sums do is told apart by exact sums in the same formats.

    Args:
        model: `tiny-llama` or `tiny-llama-outliers`, which ship; else a name or path, with synthetic weights if none
            are given.
        formats: combinations `W[/A[/KV]]`; what is left out is bf16. Embedding, norms, router and lm_head keep the
            format of the weights or bf16. Weights that the checkpoint has quantised stay as they are.
        on: chip whose arithmetic is executed and which is priced, or several of them.
        numerics: arithmetic without a chip; fp32 by default.
        price_as: model that is priced; llama-2-7b for the shipped ones, else the model itself.
        weights: file or folder of safetensors.
        tokens: text or `.npy`; see `accelsim.accuracy.subject.subject`.
        limit: tokens at most.
        window: tokens of a window.
        seed: of what is drawn.
        all_layers: embedding, norms, router and lm_head in the format of the weights, too.
        method: of quantisation, one or several: a row for each and each combination. See
            `accelsim.quantization.methods`; what they choose by text they choose by `CALIBRATION_TOKENS` tokens that
            are not judged: the calibration text of the shipped models, else tokens behind those that are judged.
        scales: of activations: "dynamic", or "static" ones of whole tensors, found on the same text.
        search: an error budget in nats of divergence per token. One more row for each chip and combination of
            activations and KV cache assigns one of the formats of weights to every operator, with the least energy
            within the budget on `SEARCH_TOKENS` other tokens; its error is that of executing it on the rows' text.
        exact_difference: exact sums run over the whole text, for `nll_minus_exact`; else over its first tokens, for
            the noise of every operator.
        resume: a JSON file of finished combinations, which is read and kept up to date.
        progress: told of windows.

    Raises:
        AccelsimError: a name, file or number that is not allowed.
    """
    asked, methods, chips = combinations(formats), _methods(method), _chips(on)
    if search is not None and methods != [METHODS[NEAREST]]:
        raise RequestError("search assigns formats that are rounded to nearest: leave method out")
    if search is not None:
        checked_budget(search)
        if not _alike(asked):
            raise RequestError(
                f"search = {search:g} chooses among formats of weights beside the same activations and KV cache: name "
                "two or more, such as int8_channel,int4_channel"
            )
    judged = subject(model, weights=weights, tokens=tokens, limit=limit, window=window, seed=seed)
    length = judged.windows.shape[1]
    priced = catalog.model(price_as or (PRICE_AS if judged.name in SHIPPED else judged.model))

    def calibration() -> Subject:
        return subject(
            model, weights=weights, tokens=tokens, limit=max(CALIBRATION_TOKENS, length), window=length, seed=seed,
            skip=judged.windows.size,
        )  # fmt: skip

    bench = Bench(
        judged, priced, numerics, all_layers=all_layers, exact_difference=exact_difference,
        kept=Kept(resume, digest(judged)), progress=progress, calibration=calibration, scales=scales,
    )  # fmt: skip
    made = [[bench.row(chip, each, way=way) for chip in chips] for each in asked for way in methods]
    rows = [each[at] for at in range(len(chips)) for each in made]
    if search is not None:
        other = subject(
            model, weights=weights, tokens=tokens, limit=max(SEARCH_TOKENS, length), window=length, seed=seed,
            skip=judged.windows.size,
        )  # fmt: skip
        trial = Bench(
            other, priced, numerics, all_layers=all_layers, exact_difference=None, progress=progress,
            calibration=calibration, scales=scales,
        )  # fmt: skip
        rows += [_searched(bench, trial, chip, group, search) for chip in chips for group in _alike(asked)]
    return Accuracy(
        judged.name, priced.name if on is not None else "",
        tuple(catalog.chip(chip).name for chip in chips if chip is not None),
        "" if on is not None else numerics or "fp32", judged.synthetic,
        "bits per byte" if judged.bytes else "bits per token", judged.predicted, judged.windows.shape[1], judged.text,
        bench.reference_nll, tuple(rows), exact_difference,
    )  # fmt: skip


def _alike(asked: Sequence[Combination]) -> list[list[Combination]]:
    """Combinations that differ in their weights only, where there are several."""
    made: dict[tuple[str, str], list[Combination]] = {}
    for each in asked:
        made.setdefault((each.activations.name, each.kv_cache.name), []).append(each)
    # the narrowest first: it decides whether products take activations from passes that quantise
    ordered = [sorted(group, key=lambda each: each.weights.bits_per_element) for group in made.values()]
    return [group for group in ordered if len(group) > 1]


def _searched(bench: Bench, trial: Bench, chip: Any, group: Sequence[Combination], budget: float) -> Row:
    """The row of an assignment of formats to operators that was searched for on other text."""
    found, names = assign(trial, chip, group, budget)
    base = group[0]
    name = "/".join(["search", *base.name.split("/")[1:]])
    chosen = {op: group[form].weights for op, form in zip(names, found.assignment, strict=True)}
    row = bench.row(chip, replace(base, name=name), chosen)
    missed = f"no assignment keeps to {budget:g} nats on the text of the search; the best has {found.error:.3g}"
    return replace(row, problem=row.problem or ("" if found.fits else missed))


def assign(
    trial: Bench, chip: Any, group: Sequence[Combination], budget: float, *, fuse: bool = True
) -> tuple[Chosen, tuple[str, ...]]:
    """Formats for all operators whose weights are quantised, by the text of a bench.

    Args:
        trial: model and text to search on.
        chip: None takes bits of a weight in the place of energy.
        group: formats to choose from; activations and KV cache are those of the first.
        budget: nats of divergence per token.
        fuse: merged projections are one operator.

    Returns:
        The assignment, and the names of its operators.
    """
    names = tuple(products(trial.judged.model, group[0], fuse))
    rows: dict[Assignment, Row] = {}

    def row(each: Assignment) -> Row:
        if each not in rows:
            chosen = {op: group[form].weights for op, form in zip(names, each, strict=True)}
            rows[each] = trial.row(chip, group[0], chosen)
        return rows[each]

    def error(each: Assignment) -> float:
        measured = row(each).measured
        return measured.kl if measured is not None else float("inf")

    def energy(each: Assignment) -> float:
        cost = row(each).price
        if cost is None:
            return row(each).bits_per_weight
        return float("inf") if cost.infeasible else cost.energy_j

    return find(len(names), len(group), budget, error, energy), names


def _methods(given: str | Sequence[str]) -> list[Method]:
    """Methods by name, from a list or from text with commas; each once."""
    names = given.split(",") if isinstance(given, str) else list(given)
    made = [find_method(name.strip()) for name in dict.fromkeys(names) if name.strip()]
    if not made:
        raise RequestError(f"method: none is named; there are {', '.join(METHODS)}")
    return made


def _chips(on: Any) -> list[Any]:
    """One chip or several; [None] for none."""
    found = list(on) if isinstance(on, list | tuple) else [on]
    names = [None if chip is None else catalog.chip(chip).name for chip in found]
    if not found or len(set(names)) < len(names):
        raise RequestError(f"on = {names}: different chips are needed")
    return found


class Bench:
    """A model on its text, ready to be judged in any formats on any chip.

    Args:
        judged: model and windows.
        priced: whose time and energy stand beside its error.
        numerics: arithmetic where there is no chip.
        all_layers: embedding, norms, router and lm_head in the format of the weights, too.
        exact_difference: exact sums run over all windows, else over the first tokens; not at all if None.
        kept: finished combinations.
        progress: told of windows.
        calibration: model and windows that methods and static scales are chosen by.
        scales: of activations, "dynamic" or "static".
    """

    def __init__(
        self, judged: Subject, priced: Model, numerics: str | None = None, *, all_layers: bool = False,
        exact_difference: bool | None = False, kept: Kept | None = None, progress: Progress | None = None,
        calibration: Callable[[], Subject] | None = None, scales: str = DYNAMIC,
    ) -> None:  # fmt: skip
        self.judged, self.priced = judged, priced
        self._numerics, self._all, self._exact, self._progress = numerics, all_layers, exact_difference, progress
        self._scales = scales
        self._kept = kept or Kept(None, "")
        self._ways = Ways(judged, calibration)
        self._truth: Reference | None = None

    @property
    def reference_nll(self) -> float:
        """Of float64, in nats."""
        return float(self._truth.nll.mean()) if self._truth is not None else self._kept.nll

    def row(
        self, chip: Any, each: Combination, chosen: Mapping[str, Format] | None = None,
        way: Method = METHODS[NEAREST],
    ) -> Row:  # fmt: skip
        """One combination on one chip by one method, executed and priced.

        Args:
            chip: None takes the arithmetic of `numerics`, and no price.
            each: formats.
            chosen: formats of the weights of some operators, by name.
            way: the method.
        """
        name = "" if chip is None else catalog.chip(chip).name
        try:
            found = self._ways.find(each, way)
            made = self._executor(chip, found, chosen)
        except RequestError as error:
            if way is METHODS[NEAREST]:
                raise
            # a method that does not serve these formats, this model or this chip is a result
            bits, kept = each.weights.bits_per_element, kv_bytes_per_token(self.priced, each)
            return Row(name, each.name, bits, kept, None, None, str(error), method=way.name)
        formats, own, problem, measured = found.formats, dict(made.overrides), "", None
        told = self._key(chip, found, own)
        if isinstance(made.plan, NumericsPlan):
            measured = self._kept.get(told)
            if measured is None:
                truth = self._reference(found)  # a fault of the weights is one of the run
                try:
                    measured = self._measured(found, made, truth)
                except AccelsimError as error:  # out of range: a result of this format
                    problem = str(error)
                else:
                    self._kept.put(told, measured, truth)
        else:
            problem = told_with_levers(made.plan)
        note = found.note
        if self._scales == STATIC:
            note = "; ".join(part for part in (note, f"static scales of {self._ways.calibrated_on()}") if part)
        cost = None
        if chip is not None:
            cost = price(self.priced, chip, formats, self._priced(made, formats, chosen), scales=self._scales)
        return Row(
            name, each.name, bits_per_weight(self.judged.model, formats, own),
            kv_bytes_per_token(self.priced, formats), measured, cost, problem,
            tuple((name, form.name) for name, form in (chosen or {}).items()), way.name, note,
        )  # fmt: skip

    def _executor(self, chip: Any, found: Way, chosen: Mapping[str, Format] | None) -> Executor:
        formats = found.formats
        return executor(
            self.judged.model, found.weights, on=chip, numerics=self._numerics, weights_format=formats.weights,
            activations_format=formats.activations, kv_cache_format=formats.kv_cache,
            overrides=self._own(self.judged.model, formats, chosen), as_decode=True, scales=self._scales,
            outliers_from=found.outliers_from, token_groups=found.token_groups,
            positions=self.judged.windows.shape[1],
        )  # fmt: skip

    def _key(self, chip: Any, found: Way, own: Mapping[str, Format]) -> str:
        text = self._ways.calibrated_on() if found.method.calibrated or self._scales == STATIC else ""
        more = (sorted(own.items()), found.method, self._scales, text, self._exact)
        return key(found.formats.name, None if chip is None else catalog.chip(chip), self._numerics, *more)

    def _reference(self, found: Way) -> Reference:
        if self._truth is None:
            wide = executor(self.judged.model, self._ways.plain, numerics=REFERENCE)
            self._truth = reference(self.judged, wide, self._progress)
        truth = self._truth
        if found.function is not None:
            wide = executor(self.judged.model, found.function, numerics=REFERENCE)
            truth = replace(truth, tensors=observed(self.judged, wide))
        return truth

    def _measured(self, found: Way, made: Executor, truth: Reference) -> Measured:
        if self._scales == STATIC and self._ways.text is not None:
            made.calibrate(self._ways.text.windows)
        # of float64 there is no exact sum: these are rounded to fp32
        without = self._exact is None or self._numerics == REFERENCE
        exact = None if without else made.with_exact_sums()
        return measure(
            self.judged, made, truth, found.formats.name, self._progress, exact,
            likelihoods=bool(self._exact) and not without,
        )  # fmt: skip

    def _own(self, model: Model, each: Combination, chosen: Mapping[str, Format] | None) -> dict[str, Format]:
        made = dict(everything(model, each)) if self._all else {}
        return made | dict(assigned(model, each, chosen or {}))

    def _priced(self, made: Executor, each: Combination, chosen: Mapping[str, Format] | None) -> dict[str, Format]:
        """Formats of single tensors of the priced model: as chosen, and as the checkpoint has them."""
        own = self._own(self.priced, each, chosen)
        mine = self._own(self.judged.model, each, chosen)
        names = everything(self.priced, each)
        given = {name: form for name, form in made.overrides.items() if mine.get(name) != form and name in names}
        return own | given


def plan_for(
    model: Model, formats: Combination, *, on: Any = None, numerics: str | None = None, all_layers: bool = False,
    window: int | None = None, method: str = NEAREST, scales: str = DYNAMIC,
) -> NumericsPlan:  # fmt: skip
    """The plan of a window's prompt and of its decode steps, which `accuracy` executes, for `--explain`.

    Raises:
        RequestError: the chip has no way to compute in these formats, or the method does not serve them.
    """
    serving = find_method(method).serves(Asked(formats.weights, formats.activations, formats.kv_cache))
    length = window_of(model, window)
    made = executor(
        model, {}, on=on, numerics=numerics, weights_format=serving.formats.weights,
        activations_format=serving.formats.activations, kv_cache_format=serving.formats.kv_cache,
        overrides=everything(model, formats) if all_layers else None, scales=scales,
        outliers_from=serving.outliers_from, token_groups=serving.token_groups, positions=length,
    )  # fmt: skip
    return made.planned(1, length, range(length))
