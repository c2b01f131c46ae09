"""Execute a model in some formats on some chips, and price it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, Final

from accelsim import catalog
from accelsim.accuracy.assignment import assigned, bits_per_weight, everything, products
from accelsim.accuracy.combinations import Combination, combinations
from accelsim.accuracy.keeping import Kept, digest, key
from accelsim.accuracy.measure import Measured, Progress, Reference, measure, reference
from accelsim.accuracy.price import kv_bytes_per_token, price
from accelsim.accuracy.report import Accuracy, Row
from accelsim.accuracy.search import Assignment, Chosen
from accelsim.accuracy.search import search as find
from accelsim.accuracy.subject import SHIPPED, Subject, subject, window_of
from accelsim.errors import AccelsimError, RequestError
from accelsim.execution.executor import Executor
from accelsim.execution.plan import NumericsPlan
from accelsim.execution.run import executor
from accelsim.execution.weights import Weights
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
    all_layers: bool = False, search: float | None = None, exact_difference: bool = False,
    resume: str | PathLike[str] | None = None, progress: Progress | None = None,
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
    asked = combinations(formats)
    chips = _chips(on)
    judged = subject(model, weights=weights, tokens=tokens, limit=limit, window=window, seed=seed)
    priced = catalog.model(price_as or (PRICE_AS if judged.name in SHIPPED else judged.model))
    bench = Bench(
        judged, priced, numerics, all_layers=all_layers, exact_difference=exact_difference,
        kept=Kept(resume, digest(judged)), progress=progress,
    )  # fmt: skip
    rows = [bench.row(chip, each) for chip in chips for each in asked]
    if search is not None:
        other = subject(
            model, weights=weights, tokens=tokens, limit=max(SEARCH_TOKENS, judged.windows.shape[1]), window=window,
            seed=seed, skip=judged.windows.size,
        )  # fmt: skip
        trial = Bench(other, priced, numerics, all_layers=all_layers, exact_difference=None, progress=progress)
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
    """

    def __init__(
        self, judged: Subject, priced: Model, numerics: str | None = None, *, all_layers: bool = False,
        exact_difference: bool | None = False, kept: Kept | None = None, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self.judged, self.priced = judged, priced
        self._numerics, self._all, self._exact, self._progress = numerics, all_layers, exact_difference, progress
        self._kept = kept or Kept(None, "")
        self._held = Weights(judged.model, judged.weights)
        self._truth: Reference | None = None

    @property
    def reference_nll(self) -> float:
        """Of float64, in nats."""
        return float(self._truth.nll.mean()) if self._truth is not None else self._kept.nll

    def row(self, chip: Any, each: Combination, chosen: Mapping[str, Format] | None = None) -> Row:
        """One combination on one chip, executed and priced.

        Args:
            chip: None takes the arithmetic of `numerics`, and no price.
            each: formats.
            chosen: formats of the weights of some operators, by name.
        """
        own = self._own(self.judged.model, each, chosen)
        made = executor(
            self.judged.model, self._held, on=chip, numerics=self._numerics, weights_format=each.weights,
            activations_format=each.activations, kv_cache_format=each.kv_cache, overrides=own, as_decode=True,
        )  # fmt: skip
        own, problem, found = dict(made.overrides), "", None
        told = key(
            each.name, None if chip is None else catalog.chip(chip), self._numerics, sorted(own.items()), self._exact
        )
        if isinstance(made.plan, NumericsPlan):
            try:
                found = self._kept.get(told) or self._measured(told, each.name, made)
            except AccelsimError as error:  # out of range: a result of this format, not of the run
                problem = str(error)
        else:
            problem = made.plan.reason
        cost = None if chip is None else price(self.priced, chip, each, self._priced(made, each, chosen))
        return Row(
            "" if chip is None else catalog.chip(chip).name, each.name,
            bits_per_weight(self.judged.model, each, own), kv_bytes_per_token(self.priced, each), found, cost, problem,
            tuple((name, form.name) for name, form in (chosen or {}).items()),
        )  # fmt: skip

    def _measured(self, told: str, name: str, made: Executor) -> Measured:
        if self._truth is None:
            wide = executor(self.judged.model, self._held, numerics=REFERENCE)
            self._truth = reference(self.judged, wide, self._progress)
        # of float64 there is no exact sum: these are rounded to fp32
        without = self._exact is None or self._numerics == REFERENCE
        exact = None if without else made.with_exact_sums()
        found = measure(
            self.judged, made, self._truth, name, self._progress, exact, likelihoods=bool(self._exact) and not without
        )
        self._kept.put(told, found, self._truth)
        return found

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
    window: int | None = None,
) -> NumericsPlan:  # fmt: skip
    """The plan of a window's prompt and of its decode steps, which `accuracy` executes, for `--explain`.

    Raises:
        RequestError: the chip has no way to compute in these formats.
    """
    made = executor(
        model, {}, on=on, numerics=numerics, weights_format=formats.weights,
        activations_format=formats.activations, kv_cache_format=formats.kv_cache,
        overrides=everything(model, formats) if all_layers else None,
    )  # fmt: skip
    length = window_of(model, window)
    return made.planned(1, length, range(length))
