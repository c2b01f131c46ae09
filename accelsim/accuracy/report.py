"""The answer to `accelsim accuracy`: a row per format, with its error and its price."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from math import exp, log
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accelsim.accuracy.measure import Key, Measured
from accelsim.accuracy.price import Price
from accelsim.errors import RequestError
from accelsim.quantization.methods import NEAREST
from accelsim.results.export import json_ready, write_whole

if TYPE_CHECKING:
    import pandas as pd

SCHEMA: Final = 3
SUFFIXES: Final = (".json", ".csv")


@dataclass(frozen=True)
class Row:
    """One combination of formats on one chip.

    Attributes:
        chip: that computes and is priced; empty without one.
        name: of the combination.
        bits_per_weight: of linear layers, scales included.
        kv_bytes_per_token: of the priced model.
        measured: its error, None where it could not be executed.
        price: its cost, None where no chip is named.
        problem: why it was not executed.
        assigned: formats of operators, where each has its own.
        method: of quantisation.
        note: what the method chose, by which text, and what of it is executed and not priced.
    """

    chip: str
    name: str
    bits_per_weight: float
    kv_bytes_per_token: float
    measured: Measured | None
    price: Price | None
    problem: str = ""
    assigned: tuple[tuple[str, str], ...] = ()
    method: str = NEAREST
    note: str = ""

    @property
    def label(self) -> str:
        """The combination, and the method where it is not rounding to nearest."""
        return self.name if self.method == NEAREST else f"{self.name}, {self.method}"


@dataclass(frozen=True)
class Accuracy:
    """Error and price of some formats.

    Attributes:
        model: whose error it is.
        priced: whose time and energy it is; empty without a chip.
        chips: that compute and are priced; empty without one.
        numerics: the arithmetic where there is no chip.
        synthetic: weights are drawn: no perplexity.
        bits: name of a bit count of the tokens: "bits per byte" or "bits per token".
        predicted: tokens that are predicted.
        window: tokens of a window.
        text: where the tokens come from.
        reference_nll: of float64 in nats.
        rows: one per chip, combination and method.
        exact_difference: exact sums ran over the whole text, so that likelihoods are compared with theirs.
    """

    model: str
    priced: str
    chips: tuple[str, ...]
    numerics: str
    synthetic: bool
    bits: str
    predicted: int
    window: int
    text: str
    reference_nll: float
    rows: tuple[Row, ...] = field(default=())
    exact_difference: bool = False

    @cached_property
    def formats(self) -> pd.DataFrame:
        """A row per chip, combination and method; perplexity is left out where weights are synthetic."""
        import pandas as pd

        return pd.DataFrame([self._line(row) for row in self.rows])

    @cached_property
    def operators(self) -> pd.DataFrame:
        """A row per chip, combination, operator, layer (-1 outside of layers) and tensor.

        `sqnr_db` is against float64, `sqnr_to_exact_db` against exact sums in the same formats.
        """
        import pandas as pd

        lines = [
            {
                "chip": row.chip,
                "formats": row.name,
                "method": row.method,
                "operator": op,
                "layer": -1 if layer is None else layer,
                "tensor": tensor,
                "sqnr_db": db,
                "sqnr_to_exact_db": row.measured.sqnr_to_exact_db.get((op, layer, tensor), float("nan")),
            }
            for row in self.rows
            if row.measured
            for (op, layer, tensor), db in row.measured.sqnr_db.items()
        ]
        named = ["chip", "formats", "method", "operator", "layer", "tensor"]
        return pd.DataFrame(lines, columns=[*named, "sqnr_db", "sqnr_to_exact_db"])

    def worst(self, row: Row, count: int = 3) -> list[tuple[str, float]]:
        """The noisiest tensors of a combination that a layer's operator writes: name and decibels."""
        found = row.measured.sqnr_db.items() if row.measured else ()
        named = [(f"layer {layer} {op}", db) for (op, layer, _), db in found if layer is not None]
        return sorted(named, key=lambda item: item[1])[:count]

    def _line(self, row: Row) -> dict[str, Any]:
        made: dict[str, Any] = {"chip": row.chip} if self.chips else {}
        made |= {"formats": row.name, "method": row.method, "bits_per_weight": row.bits_per_weight}
        found, nan = row.measured, float("nan")
        if not self.synthetic:
            made |= {
                "perplexity": exp(found.nll) if found else nan,
                "bits_per_token": found.nll / log(2) if found else nan,
                "nll_minus_fp64": found.nll_minus_reference if found else nan,
                "standard_error": found.standard_error if found else nan,
            }
        logits, exact = (_of_logits(x) for x in (found.sqnr_db, found.sqnr_to_exact_db)) if found else (nan, nan)
        if self.exact_difference:
            made |= {
                name: nan if value is None else value
                for name in ("nll_minus_exact", "exact_standard_error")
                for value in (getattr(found, name, None),)
            }
        made |= {
            "kl_nats": found.kl if found else nan, "top1_agreement": found.top1 if found else nan,
            "sqnr_logits_db": logits, "sqnr_logits_to_exact_db": exact, "kv_bytes_per_token": row.kv_bytes_per_token,
        }  # fmt: skip
        if self.chips:
            cost = row.price or Price(nan, nan)
            made |= {"time_per_token_s": cost.time_s, "energy_per_token_j": cost.energy_j}
        return {**made, "problem": row.problem or (row.price.infeasible if row.price else ""), "note": row.note}

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
        if target.suffix not in SUFFIXES:
            raise RequestError(f"cannot export to {target.name!r}: allowed are names that end in {', '.join(SUFFIXES)}")
        if target.suffix == ".json":
            document = json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"
            return write_whole({target: lambda p: p.write_text(document, encoding="utf-8")})
        frames = {"formats": self.formats, "operators": self.operators}
        named = {target.with_name(f"{target.stem}-{name}.csv"): frame for name, frame in frames.items()}
        return write_whole({file: partial(_csv, frame) for file, frame in named.items()})


def _of_logits(noise: Mapping[Key, float]) -> float:
    return next((db for (_, _, tensor), db in noise.items() if tensor == "logits"), float("nan"))


def _csv(frame: Any, path: Path) -> None:
    frame.to_csv(path, index=False)
