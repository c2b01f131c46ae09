"""The answer to `accelsim accuracy`: a row per format, with its error and its price."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from math import exp, isfinite, log
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accelsim import catalog
from accelsim.accuracy.combinations import Combination, combinations
from accelsim.accuracy.measure import Measured, Progress, Reference, measure, reference
from accelsim.accuracy.price import Price, kv_bytes_per_token, price
from accelsim.accuracy.subject import SHIPPED, Subject, subject
from accelsim.errors import AccelsimError, RequestError
from accelsim.execution.executor import Executor
from accelsim.execution.plan import NumericsPlan
from accelsim.execution.run import executor
from accelsim.execution.weights import Weights
from accelsim.results.export import json_ready, write_whole
from accelsim.spec.model import Model

if TYPE_CHECKING:
    import pandas as pd

PRICE_AS: Final = "llama-2-7b"
"""The model whose time and energy stand beside the error of the shipped one."""

REFERENCE: Final = "fp64"
SCHEMA: Final = 1
_SUFFIXES: Final = (".json", ".csv")


@dataclass(frozen=True)
class Row:
    """One combination of formats.

    Attributes:
        name: of the combination.
        bits_per_weight: of linear layers, scales included.
        kv_bytes_per_token: of the priced model.
        measured: its error, None where it could not be executed.
        price: its cost, None where no chip is named.
        problem: why it was not executed.
    """

    name: str
    bits_per_weight: float
    kv_bytes_per_token: float
    measured: Measured | None
    price: Price | None
    problem: str = ""


@dataclass(frozen=True)
class Accuracy:
    """Error and price of some formats.

    Attributes:
        model: whose error it is.
        priced: whose time and energy it is; empty without a chip.
        chip: that computes and is priced; empty without one.
        numerics: the arithmetic where there is no chip.
        synthetic: weights are drawn: no perplexity.
        bits: name of a bit count of the tokens: "bits per byte" or "bits per token".
        predicted: tokens that are predicted.
        window: tokens of a window.
        text: where the tokens come from.
        reference_nll: of float64 in nats.
        rows: one per combination.
    """

    model: str
    priced: str
    chip: str
    numerics: str
    synthetic: bool
    bits: str
    predicted: int
    window: int
    text: str
    reference_nll: float
    rows: tuple[Row, ...] = field(default=())

    @cached_property
    def formats(self) -> pd.DataFrame:
        """A row per combination; perplexity is left out where weights are synthetic."""
        import pandas as pd

        return pd.DataFrame([self._line(row) for row in self.rows])

    @cached_property
    def operators(self) -> pd.DataFrame:
        """A row per combination, operator, layer (-1 outside of layers) and tensor: `sqnr_db`."""
        import pandas as pd

        lines = [
            {
                "formats": row.name,
                "operator": op,
                "layer": -1 if layer is None else layer,
                "tensor": tensor,
                "sqnr_db": db,
            }
            for row in self.rows
            if row.measured
            for (op, layer, tensor), db in row.measured.sqnr_db.items()
        ]
        return pd.DataFrame(lines, columns=["formats", "operator", "layer", "tensor", "sqnr_db"])

    def worst(self, row: Row, count: int = 3) -> list[tuple[str, float]]:
        """The noisiest tensors of a combination that a layer's operator writes: name and decibels."""
        found = row.measured.sqnr_db.items() if row.measured else ()
        named = [(f"layer {layer} {op}", db) for (op, layer, _), db in found if layer is not None]
        return sorted(named, key=lambda item: item[1])[:count]

    def _line(self, row: Row) -> dict[str, Any]:
        made: dict[str, Any] = {"formats": row.name, "bits_per_weight": row.bits_per_weight}
        found, nan = row.measured, float("nan")
        if not self.synthetic:
            made |= {
                "perplexity": exp(found.nll) if found else nan,
                "bits_per_token": found.nll / log(2) if found else nan,
                "nll_minus_fp64": found.nll_minus_reference if found else nan,
                "standard_error": found.standard_error if found else nan,
            }
        logits = next((db for (_, _, t), db in found.sqnr_db.items() if t == "logits"), nan) if found else nan
        made |= {
            "kl_nats": found.kl if found else nan, "top1_agreement": found.top1 if found else nan,
            "sqnr_logits_db": logits, "kv_bytes_per_token": row.kv_bytes_per_token,
        }  # fmt: skip
        if self.chip:
            cost = row.price or Price(nan, nan)
            made |= {"time_per_token_s": cost.time_s, "energy_per_token_j": cost.energy_j}
        return {**made, "problem": row.problem or (row.price.infeasible if row.price else "")}

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        plain = {key: value for key, value in asdict(self).items() if key != "rows"}
        return {
            "schema": SCHEMA, **plain, "formats": json_ready(self.formats.to_dict("records")),
            "operators": json_ready(self.operators.to_dict("records")),
        }  # fmt: skip

    def write(self, path: str | PathLike[str]) -> list[Path]:
        """Write frames as .json, or as .csv with a file for each.

        Raises:
            RequestError: another suffix, or a folder that is not there.
        """
        target = Path(path)
        if target.suffix not in _SUFFIXES:
            raise RequestError(
                f"cannot export to {target.name!r}: allowed are names that end in {', '.join(_SUFFIXES)}"
            )
        if target.suffix == ".json":
            document = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
            return write_whole({target: lambda p: p.write_text(document, encoding="utf-8")})
        frames = {"formats": self.formats, "operators": self.operators}
        named = {target.with_name(f"{target.stem}-{name}.csv"): frame for name, frame in frames.items()}
        return write_whole({file: partial(_csv, frame) for file, frame in named.items()})


def _csv(frame: Any, path: Path) -> None:
    frame.to_csv(path, index=False)


def accuracy(
    model: str | PathLike[str], formats: str | Sequence[str], *, on: Any = None, numerics: str | None = None,
    price_as: str | PathLike[str] | None = None, weights: str | PathLike[str] | None = None,
    tokens: str | PathLike[str] | None = None, limit: int = 4096, window: int | None = None, seed: int = 0,
    resume: str | PathLike[str] | None = None, progress: Progress | None = None,
) -> Accuracy:  # fmt: skip
    """Execute a model in some formats, and price them.

    On memories that compute, every position is executed as decode computes it, since that is what is priced.

    Args:
        model: `tiny-llama` or `tiny-llama-outliers`, which ship; else a name or path, with synthetic weights if none
            are given.
        formats: combinations `W[/A[/KV]]`; what is left out is bf16. Embedding, norms, router and lm_head keep the
            format of the weights or bf16.
        on: chip whose arithmetic is executed and which is priced.
        numerics: arithmetic without a chip; fp32 by default.
        price_as: model that is priced; llama-2-7b for the shipped ones, else the model itself.
        weights: file or folder of safetensors.
        tokens: text or `.npy`; see `accelsim.accuracy.subject.subject`.
        limit: tokens at most.
        window: tokens of a window.
        seed: of what is drawn.
        resume: a JSON file of finished combinations, which is read and kept up to date.
        progress: told of windows.

    Raises:
        AccelsimError: a name, file or number that is not allowed.
    """
    asked = combinations(formats)
    judged = subject(model, weights=weights, tokens=tokens, limit=limit, window=window, seed=seed)
    priced = catalog.model(price_as or (PRICE_AS if judged.name in SHIPPED else judged.model))
    held = Weights(judged.model, judged.weights)
    kept = _Kept(resume, _digest(judged, on, numerics))
    truth: Reference | None = None
    rows = []
    for each in asked:
        made: Executor | None = None
        problem = ""
        found = kept.get(each.name)
        if found is None:
            made = executor(
                judged.model, held, on=on, numerics=numerics, weights_format=each.weights,
                activations_format=each.activations, kv_cache_format=each.kv_cache, as_decode=True,
            )  # fmt: skip
            if isinstance(made.plan, NumericsPlan):
                truth = truth or reference(judged, executor(judged.model, held, numerics=REFERENCE), progress)
                try:
                    found = measure(judged, made, truth, each.name, progress)
                    kept.put(each.name, found, truth)
                except AccelsimError as error:  # out of range: a result of this format, not of the run
                    problem = str(error)
            else:
                problem = made.plan.reason
        cost = price(priced, on, each) if on is not None else None
        rows.append(
            Row(each.name, each.weights.bits_per_element, kv_bytes_per_token(priced, each), found, cost, problem)
        )
    nll = float(truth.nll.mean()) if truth is not None else kept.nll
    return Accuracy(
        judged.name, priced.name if on is not None else "", catalog.chip(on).name if on is not None else "",
        "" if on is not None else numerics or "fp32", judged.synthetic,
        "bits per byte" if judged.bytes else "bits per token", judged.predicted, judged.windows.shape[1], judged.text,
        nll, tuple(rows),
    )  # fmt: skip


def plan_for(model: Model, formats: Combination, *, on: Any = None, numerics: str | None = None) -> NumericsPlan:
    """The plan that a combination is executed with, for `--explain`.

    Raises:
        RequestError: the chip has no way to compute in these formats.
    """
    made = executor(
        model, {}, on=on, numerics=numerics, weights_format=formats.weights,
        activations_format=formats.activations, kv_cache_format=formats.kv_cache,
    )  # fmt: skip
    if not isinstance(made.plan, NumericsPlan):
        raise RequestError(made.plan.reason)
    return made.plan


def _digest(judged: Subject, on: Any, numerics: str | None) -> str:
    """Of what finished combinations must have in common."""
    chip = "" if on is None else str(catalog.chip(on))
    said = hashlib.sha256(f"{judged.name}|{judged.model}|{judged.text}|{chip}|{numerics}".encode())
    said.update(judged.windows.tobytes())
    return said.hexdigest()


class _Kept:
    """Finished combinations in a file."""

    def __init__(self, path: str | PathLike[str] | None, digest: str) -> None:
        self._path, self._digest = None if path is None else Path(path), digest
        self._rows: dict[str, Any] = {}
        self.nll = float("nan")
        if self._path is not None and self._path.is_file():
            try:
                found = json.loads(self._path.read_text(encoding="utf-8"))
                same, rows, nll = found["digest"] == digest, found["rows"], found["reference_nll"]
            except (ValueError, KeyError, TypeError):
                raise RequestError(f"{self._path}: no file of finished formats; name another, or remove it") from None
            if not same:
                raise RequestError(
                    f"{self._path}: its formats were executed on another model, text or arithmetic; name another file"
                )
            self._rows, self.nll = rows, float(nll)

    def get(self, name: str) -> Measured | None:
        """A finished combination."""
        found = self._rows.get(name)
        if found is None:
            return None
        noise = {(op, layer, tensor): _number(db) for op, layer, tensor, db in found["sqnr_db"]}
        return Measured(**{**found, "sqnr_db": noise, "warnings": tuple(found["warnings"])})

    def put(self, name: str, found: Measured, truth: Reference) -> None:
        """Keep one more."""
        noise = [[*key, db if isfinite(db) else str(db)] for key, db in found.sqnr_db.items()]
        self._rows[name] = {**asdict(found), "sqnr_db": noise}
        self.nll = float(truth.nll.mean())
        if self._path is None:
            return
        document = json.dumps({"digest": self._digest, "reference_nll": self.nll, "rows": self._rows}, indent=1)
        write_whole({self._path: lambda p: p.write_text(document + "\n", encoding="utf-8")})


def _number(db: Any) -> float:
    return float(db)
