"""What events cost on a GPU, what its board draws on top, and kernels at the clock that its power limit leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import floor
from typing import Final

from accelsim import catalog, cost
from accelsim.graph.operator import Kind
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.gpu.figures import GpuFigures
from accelsim.mapping.gpu.library import calibrations
from accelsim.mapping.gpu.pairs import Pair, event_of
from accelsim.mapping.gpu.resources import HOST_LINK, L2, LINK, MEMORY, REGISTER, SHARED, SPECIAL, VECTOR
from accelsim.mapping.kernel import Demand, Kernel, Phase, Resource
from accelsim.spec.calibration import Board, Calibration
from accelsim.spec.device import GpuChip, Peak
from accelsim.timing.gpu.power import Energies, Supply

SERVES: Final[Mapping[str, tuple[str, str, str]]] = {
    "vector": ("vector", VECTOR, "vector.energy"),
    "special": ("vector", SPECIAL, "vector.special_energy"),
    "register": ("register", REGISTER, "energy.register"),
    "shared": ("shared", SHARED, "energy.shared"),
    "l2": ("l2", L2, "energy.l2"),
    "memory": ("memory", MEMORY, "energy.memory"),
    "link": ("link", LINK, "energy.link"),
}
"""Counter -> component, resource, and the figure that prices it."""

FULL: Final = 1000
"""Energy of an event at the nominal voltage, in the thousandths that a counter's state is told in."""

CLOCK: Final = "clock"
"""In `Kernel.choice`: the clock of a kernel over the nominal one, by its closed form or by the board's limit."""

CUBE: Final = 1 / 3
"""Exponent of the clock's answer where power is clock times the square of a voltage that follows the clock."""

_CLOSED: Final = frozenset({Kind.MATMUL, Kind.EXPERTS})
"""Kinds whose closed form holds the limit itself."""

_ELSEWHERE: Final = frozenset({MEMORY, LINK, HOST_LINK})
"""Resources that the SM clock does not drive."""

_STEADY: Final = frozenset({"memory", "link"})
"""Counters whose energy does not follow the voltage of the SMs."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a board's power.

    Attributes:
        board: the constants.
        name: of the chip that they were measured on.
        own: whether that is this chip.
    """

    board: Board
    name: str
    own: bool


def known(chip: GpuChip) -> Known | None:
    """The constants of a GPU's own board, of one of its generation, or of any; None for what is no GPU."""
    return _known(chip.name, chip.generation) if chip.family == "gpu" else None


@cache
def _known(chip: str, generation: str) -> Known | None:
    logged = [record for record in calibrations() if record.power]

    def rank(record: Calibration) -> tuple[bool, bool]:
        on = catalog.chip(record.chip)
        return record.chip != chip, not (isinstance(on, GpuChip) and on.generation == generation)

    best = min(logged, key=rank, default=None)
    if best is None or best.power is None:
        return None
    return Known(best.power, best.chip, best.chip == chip)


def supply(chip: GpuChip) -> Supply:
    """The board of a chip; of one that nothing is known of, the priced events alone draw power."""
    found = known(chip)
    if found is None:
        return Supply(chip.power.idle_w, chip.power.limit_w, 1.0, CUBE)
    board = found.board
    return Supply(chip.power.idle_w, board.regulated * chip.power.limit_w, board.drawn, board.response)


def energies(chip: GpuChip, pair: Pair) -> Energies:
    """What the events of a product in this pair of formats are priced at."""
    levels = chip.energy
    return Energies(
        flop_j(pair.peak), levels.register_j_per_byte, levels.shared_j_per_byte, levels.l2_j_per_byte,
        levels.memory_j_per_byte,
    )  # fmt: skip


@cache
def flop_j(row: Peak) -> float:
    """What the description says, or what the formats cost on the node that it names; a product and a sum are two."""
    if row.energy_j_per_flop is not None:
        return row.energy_j_per_flop
    first, second = row.operands
    return cost.of(first, row.node or "", other=second, accumulator=row.accumulator).mac_j / 2


def parted(event: str) -> tuple[str, float]:
    """A counter's name without its state, and the energy of its events over that at the nominal voltage."""
    name, _, state = event.partition("@")
    return name, int(state) / FULL if state else 1.0


class Limit:
    """Holds kernels to the power of a board.

    Args:
        chip: the GPU.
        resources: of the GPU.
    """

    def __init__(self, chip: GpuChip, resources: Mapping[str, Resource]) -> None:
        self._resources, self._board = resources, supply(chip)
        figures = GpuFigures(chip, {})
        self._event_j = {name: float(figures[figure]) for name, (_, _, figure) in SERVES.items()}
        self._rows = {event_of(row): row for row in chip.peak}

    def held(self, kernel: Kernel) -> Kernel:
        """The kernel at the clock and voltage at which the board holds its power, when run without end.

        Matrix products keep their time: their closed form has chosen among tiles under the limit.
        """
        board = self._board
        chip_j, memory_j = self._priced_j(kernel)
        most = board.held_w - board.idle_w
        seconds = kernel_time_s(kernel, self._resources)
        over = board.drawn * memory_j / (most * 0.9 * seconds)
        if over > 1:
            kernel = _slowed(kernel, over, frozenset())
            seconds = kernel_time_s(kernel, self._resources)
        slow = float(board.slowdown(chip_j, memory_j, seconds))
        if slow > 1 and kernel.operator.kind not in _CLOSED:
            kernel = _slowed(kernel, slow, _ELSEWHERE)
            kernel = replace(kernel, choice={**kernel.choice, CLOCK: kernel.choice.get(CLOCK, 1.0) / slow})
            seconds = kernel_time_s(kernel, self._resources)
        state = max(1, floor(FULL * float(board.state(chip_j, memory_j, seconds))))
        if state >= FULL:
            return kernel
        return replace(
            kernel,
            events={name if name in _STEADY else f"{name}@{state}": count for name, count in kernel.events.items()},
        )

    def _priced_j(self, kernel: Kernel) -> tuple[float, float]:
        total = {True: 0.0, False: 0.0}
        for name, count in kernel.events.items():
            joules = flop_j(self._rows[name]) if name in self._rows else self._event_j[name]
            total[name in _STEADY] += count * joules
        return total[False], total[True]


def _slowed(kernel: Kernel, factor: float, spared: frozenset[str]) -> Kernel:
    """The kernel with every resource but the spared ones drawn so much more slowly."""

    def drawn(demands: tuple[Demand, ...]) -> tuple[Demand, ...]:
        return tuple(d if d.resource in spared else replace(d, share=d.share / factor) for d in demands)

    def slowed(phase: Phase) -> Phase:
        most = {name: share if name in spared else share / factor for name, share in phase.most.items()}
        return replace(phase, load=drawn(phase.load), compute=drawn(phase.compute), store=drawn(phase.store), most=most)

    return replace(kernel, phases=tuple(map(slowed, kernel.phases)))
