"""Products as supersteps of the split that the planner chose: linear layers, experts, attention's parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import Any

from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.ipu import superstep
from accelsim.mapping.ipu.pairs import Pair
from accelsim.mapping.ipu.resources import Crew
from accelsim.mapping.ipu.share import Share
from accelsim.mapping.ipu.split import Problem, Split, Step, splits
from accelsim.mapping.kernel import Alternative, Phase
from accelsim.mapping.sums import Sums
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import AmpPeak, IpuPart
from accelsim.timing.ipu.vertex import PARTIAL_BYTES, Cost

_ALTERNATIVES = 12
ACCUMULATE_BYTES = 2 * PARTIAL_BYTES
"""A partial sum is read and written for every block of weights that adds to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Supersteps of a kernel, and what they do beside time.

    Attributes:
        phases: in order.
        choice: what the planner did, for `explain`.
        alternatives: what it considered, fastest first.
        sram_bytes: read and written in the tiles of one chip.
        exchange_bytes: received by all tiles of one chip.
        vector_flops: beyond the operator's own: sums over parts of the depth, conversions; one chip.
        sums: parts that products add in; of attention in one kernel, of both products. None where nothing is added.
    """

    phases: tuple[Phase, ...]
    choice: Mapping[str, Any]
    alternatives: tuple[Alternative, ...] = ()
    sram_bytes: float
    exchange_bytes: float
    vector_flops: float = 0.0
    sums: Sums | None = None


def linear(
    op: Operator, crew: Crew, pair: Pair, share: Share, bits: Mapping[str, float], plain: float
) -> Piece | Infeasible:
    """A matrix multiplication, or those of all experts that got a token, one expert after the other.

    Args:
        op: the operator.
        crew: the chips that share it.
        pair: how its operands meet.
        share: one chip's part.
        bits: bits of one element by format name.
        plain: rounding of results in the unit of the vector rate.
    """
    d = op.dims
    experts = max(1, round(float(d["experts"]))) if op.kind is Kind.EXPERTS else 1
    problem = Problem(
        groups=int(d.get("batch", 1)),
        rows=max(1, ceil(float(d["m"]) / experts)),
        columns=ceil(int(d["n"]) / share.columns),
        depth=ceil(int(d["k"]) / share.depth),
        input_bytes=op.inputs[0].format.bytes_per_element,
        weight_bytes=op.inputs[1].format.bytes_per_element,
        operand_bytes=bits[pair.operands[1]] / 8,
        convert_flops=pair.second_flops,
    )
    beside = pair.first_flops * problem.groups * problem.rows * problem.depth + plain / share.columns / experts
    return multiply(problem, pair.row, crew, times=experts, beside=beside) or too_large(op, problem, crew.part)


def multiply(
    problem: Problem, row: AmpPeak, crew: Crew, *, times: int = 1, beside: float = 0.0, name: str = ""
) -> Piece | None:
    """The fastest way to compute a product, or None if none fits.

    Args:
        problem: the product on one chip.
        row: rate of its pair of formats.
        crew: the chips that each compute one.
        times: how often, one after the other.
        beside: vector work of each time, on all tiles.
        name: of the product, where a kernel has several.
    """
    part = crew.part
    found = _ways(problem, row, part)
    if not found:
        return None
    best = found[0]
    steps = best.steps if not beside else (*best.steps[:-1], _with_vectors(best.steps[-1], beside / best.passes, part))
    rule = "amp" if times == 1 else f"amp/{times} times"
    return Piece(
        phases=tuple(
            superstep.phases(steps, crew, rule, prefix=f"{name}." if name else "", passes=best.passes * times)
        ),
        choice={f"{name}_{key}" if name else key: value for key, value in _choice(best, part, times).items()},
        alternatives=_alternatives(found, part, times, name),
        sram_bytes=times * _sram_bytes(best, problem, row),
        exchange_bytes=times * best.passes * sum(step.receive_bytes * step.tiles for step in best.steps),
        vector_flops=times * (_added(best, problem) + beside + _widened(best, problem)),
        sums=best.sums,
    )


@lru_cache(maxsize=4096)
def _ways(problem: Problem, row: AmpPeak, part: IpuPart) -> tuple[Split, ...]:
    return tuple(splits(problem, row, part)[:_ALTERNATIVES])


def _with_vectors(step: Step, flops: float, part: IpuPart) -> Step:
    """A step with further vector work, spread over all tiles of the chip."""
    more = Cost(vector=flops / part.tile.count / part.vector.flops_per_clock)
    return replace(step, cost=step.cost + more)


def _choice(split: Split, part: IpuPart, experts: int) -> dict[str, Any]:
    """What the planner did and what it costs, in cycles of one pass; the largest of them is why it is not another."""
    steps = split.steps
    return {
        "label": split.label,
        "split": split.label,
        "tiles": split.tiles,
        "passes": split.passes * experts,
        "supersteps": len(steps) * split.passes * experts,
        "sync_cycles": round(len(steps) * part.timing.superstep),
        "exchange_cycles": round(sum(step.receive_bytes for step in steps) / part.exchange.bytes_per_clock),
        "load_cycles": round(sum(step.cost.load_bytes for step in steps) / part.tile.load_bytes_per_clock),
        "issue_cycles": round(sum(step.cost.issue for step in steps)),
        "multiply_cycles": round(sum(step.cost.multiply for step in steps)),
        "vector_cycles": round(sum(step.cost.vector for step in steps)),
        "balance": round(split.balance, 4),
    }


def _alternatives(found: Iterable[Split], part: IpuPart, experts: int, name: str = "") -> tuple[Alternative, ...]:
    clock = part.clock.tile.frequency_hz
    prefix = f"{name} " if name else ""
    return tuple(Alternative(f"{prefix}{way.label}", experts * way.cycles(part) / clock) for way in found)


def _sram_bytes(split: Split, problem: Problem, row: AmpPeak) -> float:
    """Weights into the matrix unit, inputs for every block of columns, partial sums read and written."""
    weights = split.steps[0].cost.load_bytes * split.tiles * split.passes
    wide, deep = ceil(problem.columns / row.columns), ceil(problem.depth / row.depth)
    rows = problem.groups * problem.rows
    stored = 0.0 if problem.convert_flops == 0 else weights / problem.operand_bytes * problem.weight_bytes
    inputs = rows * wide * deep * row.depth * problem.input_bytes
    return weights + stored + inputs + rows * wide * row.columns * deep * ACCUMULATE_BYTES


def _added(split: Split, problem: Problem) -> float:
    """Additions over parts of the depth."""
    return float((split.depth - 1) * problem.groups * problem.rows * problem.columns)


def _widened(split: Split, problem: Problem) -> float:
    return split.passes * problem.convert_flops * problem.groups * problem.columns * problem.depth


def too_large(op: Operator, problem: Problem, part: IpuPart) -> Infeasible:
    """A product of which no split fits."""
    return Infeasible(
        "capacity",
        f"{op.name}: no split of [{problem.rows}, {problem.depth}] x [{problem.depth}, {problem.columns}] over "
        f"{part.tile.count} tiles fits the {part.tile.workspace_bytes:g} B that a tile has for one operator",
        bound=part.tile.workspace_bytes,
        unit="B",
        set_by=("model", "tile.workspace", "tile.count"),
        levers=("a larger tile.workspace", "more tiles", "a smaller batch or prompt"),
    )
