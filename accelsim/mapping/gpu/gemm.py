"""Matrix multiplication on a GPU: the fastest tile and split of the closed form, as waves on the engine.

`accelsim.timing.gpu.gemm` says how long a tile, a split and a residency take on an idle chip. Here that becomes
demands: what the waves, the last wave and the reduction draw from every unit and port, and how fast at most. Alone,
the kernel takes the time of the closed form; beside others it waits for what they draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil

import numpy as np

from accelsim.graph.operator import Operator
from accelsim.mapping.gpu.conversion import convert_phase
from accelsim.mapping.gpu.events import VECTOR_REGISTER_BYTES, energy_events, whole
from accelsim.mapping.gpu.library import CALIBRATED, Library
from accelsim.mapping.gpu.memory import FIGURE, MemoryPort
from accelsim.mapping.gpu.pacing import paced
from accelsim.mapping.gpu.pairs import Pair
from accelsim.mapping.gpu.power import energies, supply
from accelsim.mapping.gpu.problem import Problem, machine, problem, shapes, way_in
from accelsim.mapping.gpu.resources import L2, L2_PORT, MEMORY, REGISTER, SHARED, TENSOR, VECTOR
from accelsim.mapping.gpu.steps import Steps
from accelsim.mapping.kernel import Alternative, Demand, Kernel, Phase, Resource
from accelsim.mapping.sums import WHOLE, Sums
from accelsim.spec.calibration import GemmConstants
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu import gemm
from accelsim.timing.gpu.gemm import MMA_DEPTH, Candidates, candidates
from accelsim.timing.gpu.power import throttled
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES, Machine, Shapes, Times

CONSTANTS = (
    "sm.count",
    "sm.max_tiles",
    "sm.tile_rows",
    "clock.sm.frequency",
    "peak",
    "timing.launch",
    "timing.memory_latency",
    "sm.shared",
    "sm.shared_bandwidth",
    "sm.registers",
    "sm.register_bandwidth",
    "sm.l2_port",
    "sm.operand_sharing",
    "sm.operand_reads",
    "l2.capacity",
    "l2.bandwidth",
    "memory.bandwidth",
    FIGURE,
    CALIBRATED,
)
REDUCING = ("vector.rate",)
"""Further figures of a kernel that adds up partial results."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """One point of the closed form as plain numbers."""

    tile: tuple[int, int]
    split: int
    tiles: int
    steps: int
    stages: int
    waves: float
    body_s: float
    reduction_s: float
    fetched: float
    natural_s: Mapping[str, float]
    limit: str
    word: str | None

    @staticmethod
    def of(times: Times, shapes: Shapes, machine: Machine, constants: GemmConstants) -> _Chosen:
        tile, split = candidates(machine.tile_rows).pairs[int(times.candidate[0])]
        loop, fetched = float(times.waves[0] * times.steps[0]), float(times.fetched[0])
        cycles = gemm.unit_cycles(*tile, fetched, shapes, machine, constants)
        natural = {
            TENSOR: loop * cycles.matrix / machine.clock_hz,
            REGISTER: loop * cycles.registers / machine.clock_hz,
            SHARED: loop * cycles.shared / machine.clock_hz,
            VECTOR: loop * cycles.lanes / machine.clock_hz,
            way_in(machine, float(times.tiles[0])): float(times.load[0]),
            MEMORY: float(times.memory[0]),
        }
        limit = max(natural, key=lambda name: natural[name])
        # beside memory and the units there is what hides in between: latency, the issue of steps, the start of tiles
        waits = natural[limit] < float(times.sm[0]) / 2
        return _Chosen(
            tile, split, int(times.tiles[0]), int(times.steps[0]), int(times.stages[0]), float(times.waves[0]),
            float(times.body[0]), float(times.reduction[0]), fetched, natural, limit, "pipeline" if waits else None,
        )  # fmt: skip


def kernel(
    op: Operator,
    chip: GpuChip,
    pair: Pair,
    beside: Steps,
    bits: Mapping[str, float],
    *,
    memory: MemoryPort,
    resources: Mapping[str, Resource],
    library: Library,
) -> Kernel:
    """The fastest of the candidate tilings, each priced alone on an idle chip."""
    size = problem(op, pair, bits)
    activation, weight = op.operand_formats()
    first, second = activation.name, weight.name
    row = library.calibration.nearest(activation, weight)
    constants = library.calibration.gemm if row is None else row.gemm
    conditions = library.conditions
    figures = machine(chip, pair, memory)
    point = shapes(size, pair)
    times = gemm.price(point, figures, constants, conditions.residency)
    if conditions.clock == "sustained":
        times = throttled(times, point, figures, constants, energies(chip, pair), supply(chip))
    chosen = _Chosen.of(times, point, figures, constants)
    label = f"gemm/{chosen.tile[0]}x{chosen.tile[1]}" + (f"/split-{chosen.split}" if chosen.split > 1 else "")
    rule = f"{label}@{library.label}"
    make = _Phases(chip, pair, size, memory, resources, constants, chosen, rule)
    moved = (whole(float(times.read[0])), whole(float(times.written[0])))
    phases = make.waves(*moved)
    if beside.flops:
        share = min(1.0, chosen.tiles / chip.sm.count)
        phases.append(convert_phase(chip, float(beside.flops), share, chosen.steps, rule))
    added = whole(float(beside.flops)) + make.widened
    if chosen.split > 1:
        phases.append(make.reduction(moved[1], [phase.name for phase in phases]))
        added += make.outputs * chosen.split
    rounds = -(-chosen.tiles // chip.sm.count)
    return Kernel(
        name=op.name,
        operator=op,
        # a pass over narrow activations is an operator of its own; what kernels of wide ones took longer is theirs
        launch_s=chip.timing.launch_s + constants.start_s + (row.prepass_s if row and activation.bits >= 16 else 0.0),
        phases=tuple(phases),
        events=energy_events(phases, op, pair, added),
        priced_by=label + pair.label(first, second) + beside.label + f"@{library.label}",
        constants=used(CONSTANTS, pair, beside, REDUCING if chosen.split > 1 else ()),
        bounds={chosen.limit: chosen.word} if chosen.word else {},
        choice={
            "label": f"{chosen.tile[0]}x{chosen.tile[1]}" + (f" split {chosen.split}" if chosen.split > 1 else ""),
            "tile": f"{chosen.tile[0]}x{chosen.tile[1]}",
            "split": chosen.split,
            "tiles": chosen.tiles,
            "waves": rounds,
            "tail_tiles": chosen.tiles % chip.sm.count,
            "depth_steps": chosen.steps,
            "stages": chosen.stages,
            "wave_efficiency": chosen.tiles / (rounds * chip.sm.count),
            "clock": float(1 / times.clock[0]),
            "calibration": library.calibration.name,
        },
        alternatives=_alternatives(times, candidates(figures.tile_rows)),
        sums=_sums(chosen, size.step, max(activation.block, weight.block)),
    )


def _sums(chosen: _Chosen, step: int, block: int) -> Sums:
    """Parts of the depth; they hold whole steps, and whole blocks of elements that share a scale."""
    if chosen.split == 1:
        return WHOLE
    return Sums(chosen.split, ceil(chosen.steps * step / block) * block)


def _alternatives(times: Times, choice: Candidates) -> tuple[Alternative, ...]:
    found = times.candidates[0]
    order = np.argsort(found, kind="stable")
    return tuple(
        Alternative(f"{tm}x{tn}" + (f" split {split}" if split > 1 else ""), float(found[index]))
        for index, ((tm, tn), split) in ((int(i), choice.pairs[int(i)]) for i in order if np.isfinite(found[i]))
    )


def used(constants: tuple[str, ...], pair: Pair, beside: Steps, reducing: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Chip figures behind a kernel, each once; `reducing` are those of adding up partial results."""
    return tuple(dict.fromkeys((*constants, *pair.figures, *beside.figures, *reducing)))


@dataclass(frozen=True, slots=True)
class _Phases:
    """Turns the chosen point into demands."""

    chip: GpuChip
    pair: Pair
    size: Problem
    memory: MemoryPort
    resources: Mapping[str, Resource]
    constants: GemmConstants
    chosen: _Chosen
    rule: str

    @property
    def outputs(self) -> int:
        return sum(self.size.rows) * self.size.copies * self.size.n

    @property
    def widened(self) -> int:
        """Vector operations of widening: every tile widens what it stages, and applies the scales of its blocks."""
        chosen, (tm, tn) = self.chosen, self.chosen.tile
        first, second = (row.flops_per_element if row else 0.0 for row in (self.pair.first, self.pair.second))
        each = tm * first + tn * second + tm * tn * self.pair.rescale
        return whole(chosen.tiles * chosen.steps * self.size.step * each)

    def waves(self, read: int, written: int) -> list[Phase]:
        """The full waves, then the last one, which recovers part of what its idle SMs lose."""
        chosen, sms = self.chosen, self.chip.sm.count
        full, tail = divmod(chosen.tiles, sms)
        rest = chosen.waves - full
        shared = max(1.0, self.constants.l2_efficiency)
        tm, tn = chosen.tile
        products = tm * tn * self.size.step * chosen.steps
        cycles = chosen.steps * ceil(2 * tm * tn * self.size.step / self.pair.peak.flops_per_clock)
        stored = self.size.output_bytes if chosen.split == 1 else ACCUMULATOR_BYTES * self.outputs * chosen.split
        in_memory = written if chosen.split == 1 else 0
        phases: list[Phase] = []
        done = 0
        parts = [part for part in (("waves", full, sms, float(full)), ("tail", 1, tail, rest)) if part[1] and part[2]]
        ends = [end / chosen.waves for end in accumulate((part[3] for part in parts), initial=0.0)]
        ported = [
            max(_part(read, *span), whole(rounds * active * chosen.steps * chosen.fetched / shared))
            for span, (_, rounds, active, _) in zip(pairwise(ends), parts, strict=True)
        ]
        for staged, (now, then), (name, rounds, active, duration) in zip(ported, pairwise(ends), parts, strict=True):
            count = rounds * active
            at, upto = done, done + count
            # memory and L2 stream at one pace until the end; units and ports work where there are tiles
            moved = _part(read, now, then)
            passed = moved + _part(sum(ported) - read, now, then)
            out = _slice(stored, at, upto, chosen.tiles)
            phase = Phase(
                name=name,
                steps=rounds * chosen.steps,
                buffers=max(2, chosen.stages),
                load=(Demand(MEMORY, moved), Demand(L2, passed), Demand(L2_PORT, staged)),
                compute=(
                    Demand(TENSOR, count * cycles),
                    Demand(SHARED, whole(count * chosen.steps * chosen.fetched * (1 + self.chip.sm.operand_reads))),
                    Demand(REGISTER, count * products * 2 * ACCUMULATOR_BYTES // MMA_DEPTH),
                    Demand(VECTOR, whole(_slice(self.widened, at, upto, chosen.tiles) / self._lanes)),
                ),
                store=(Demand(MEMORY, _part(in_memory, now, then)), Demand(L2, out), Demand(L2_PORT, out)),
                stores=rounds,
                fill=False,
                drain=False,
                most=self.memory.mixed(read, in_memory),
                priced_by=self.rule,
            )
            part = duration / chosen.waves
            natural = {name: seconds * part for name, seconds in chosen.natural_s.items()}
            phases.append(self._paced(phase, chosen.body_s * part, chosen.limit, natural))
            done = upto
        return phases

    def reduction(self, written: int, after: list[str]) -> Phase:
        """Partial results, written in fp32 by every split, are added and stored; L2 passes on what it cannot hold."""
        split = self.chosen.split
        partial = ACCUMULATOR_BYTES * self.outputs * split
        spilled = whole(max(0.0, partial - self.chip.l2.capacity_bytes))
        phase = Phase(
            name="reduce",
            steps=max(1, min(split, self.outputs)),
            buffers=2,
            after=tuple(after),
            load=(Demand(L2, partial), Demand(L2_PORT, partial), Demand(MEMORY, spilled)),
            compute=(
                Demand(VECTOR, whole(self.outputs * split / self._lanes)),
                Demand(REGISTER, self.outputs * split * VECTOR_REGISTER_BYTES),
            ),
            store=(
                Demand(MEMORY, written + spilled),
                Demand(L2, self.size.output_bytes),
                Demand(L2_PORT, self.size.output_bytes),
            ),
            fill=False,
            drain=False,
            most=self.memory.mixed(spilled, written + spilled),
            priced_by=f"{self.rule}/reduce",
        )
        return self._paced(phase, self.chosen.reduction_s, L2, {})

    @property
    def _lanes(self) -> float:
        return self.chip.vector.flops_per_clock

    def _paced(self, phase: Phase, seconds: float, limit: str, natural_s: Mapping[str, float]) -> Phase:
        return paced(phase, seconds, limit, natural_s, self.resources)


def _slice(total: int, start: int, stop: int, of: int) -> int:
    """The part of an integer total that falls to tiles start..stop, so that all parts add up to it."""
    return total * stop // of - total * start // of


def _part(total: int, start: float, stop: float) -> int:
    """The part of an integer total between two fractions of the time, so that all parts add up to it."""
    return round(total * min(1.0, stop)) - round(total * min(1.0, start))
