"""What a run comes to in a dozen figures: shares of peaks, of energy and of time, for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accelsim.energy import COMPONENTS
from accelsim.results import Rows, Run

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseDigest:
    """One phase of a run.

    Attributes:
        phase: "prefill", "decode" or "operator".
        time_s: mean time of one pass.
        flops_per_s: achieved arithmetic.
        bytes_per_s: achieved traffic of the device memory.
        bound: what set the pace of operators for most of the time.
    """

    phase: str
    time_s: float
    flops_per_s: float
    bytes_per_s: float
    bound: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A run for people.

    Attributes:
        peak_flops_per_s: the chip's matrix peak for the fastest pair of operands of the run; NaN if unknown.
        peak_bytes_per_s: its memory bandwidth; inside the banks, where units there were used.
        phases: in order.
        energy: fraction of the total by component, largest first; empty where energy is unknown.
        memory: the row of `run.memory` with the highest peak.
        expensive_phase: the phase that `expensive` is about: decode, or the first one where there is none.
        expensive: rows of `run.operators` with `share` (of the phase's time), most expensive first.
    """

    peak_flops_per_s: float
    peak_bytes_per_s: float
    phases: tuple[PhaseDigest, ...]
    energy: tuple[tuple[str, float], ...]
    memory: Mapping[str, Any]
    expensive_phase: str
    expensive: Rows


def digest(run: Run, *, top: int = 5) -> Digest:
    """Shares of a run that took place.

    Args:
        run: the run.
        top: number of expensive operators.
    """
    operators = run.rows("operators")
    peak, bandwidth = _peak_flops_per_s(run.roofs), run.roofs.get("banks", run.roofs.get("memory", NAN))
    phases = tuple(_phase(row, operators) for row in run.rows("phases"))
    total_j = run.summary["energy_j"]
    energy = [(name, run.summary[f"energy_{name}_j"] / total_j) for name in COMPONENTS] if total_j > 0 else []
    last = phases[-1].phase
    mine = sorted((row for row in operators if row["phase"] == last), key=lambda row: -row["time_s"])
    total_s = sum(row["time_s"] for row in mine)
    return Digest(
        peak_flops_per_s=peak,
        peak_bytes_per_s=bandwidth,
        phases=phases,
        energy=tuple(sorted(energy, key=lambda item: -item[1])),
        memory=max(run.rows("memory"), key=lambda row: row["peak_bytes"]),
        expensive_phase=last,
        expensive=[{**row, "share": row["time_s"] / total_s if total_s else NAN} for row in mine[:top]],
    )


def _peak_flops_per_s(roofs: Mapping[str, float]) -> float:
    """The fastest pair of operands that the run uses; the vector lanes where it multiplies no matrices."""
    pairs = [rate for name, rate in roofs.items() if name not in ("memory", "banks", "vector")]
    return max(pairs, default=roofs.get("vector", NAN))


def _phase(row: Mapping[str, Any], operators: Rows) -> PhaseDigest:
    by_bound: dict[str, float] = {}
    for operator in operators:
        if operator["phase"] == row["phase"]:
            by_bound[operator["bound"]] = by_bound.get(operator["bound"], 0.0) + operator["time_s"]
    bound = max(by_bound.items(), key=lambda item: item[1])[0]
    return PhaseDigest(
        phase=row["phase"],
        time_s=row["time_s"] / row["steps"],
        flops_per_s=row["achieved_flops_per_s"],
        bytes_per_s=row["achieved_bytes_per_s"],
        bound=bound,
    )
