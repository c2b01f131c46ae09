"""Power of a GPU's board in closed form, and how its limit slows the chip down; numbers or arrays of points.

A board draws its idle power, and for the events of a kernel (arithmetic, bytes at every level) a fixed multiple of
what the description prices them at: instruction issue, clock trees, wires and voltage conversion go along with them.
What that asks for beyond the power that the board holds itself at is met by the clock of the SMs, and with it the
voltage: on-chip work slows down by (power asked for over power left) to an exponent near the third root of a unit
whose power is clock times voltage squared, and each of its events takes less energy. Memory has a clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.spec.calibration import GemmConstants
from accelsim.timing.gpu.gemm import MMA_DEPTH, candidates
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES, Machine, Shapes, Times, overlapped

Array = npt.NDArray[np.float64]

LEAST_LEFT: Final = 0.05
"""Part of what the board has above idle that memory leaves to the chip at least; beyond it, memory is slowed too."""


@dataclass(frozen=True, slots=True)
class Supply:
    """A board.

    Attributes:
        idle_w: without work.
        held_w: what it holds itself at under load, a little below its limit.
        drawn: energy drawn per priced energy.
        response: exponent of the slow-down.
    """

    idle_w: float
    held_w: float
    drawn: float
    response: float

    def power_w(self, priced_j: Any, seconds: Any) -> Any:
        """Mean power of a kernel that takes so long; priced_j and seconds may be arrays."""
        return np.minimum(self.held_w, self.idle_w + self.drawn * priced_j / seconds)

    def left_w(self, memory_j: Any, seconds: Any) -> Any:
        """What memory leaves to the chip."""
        most = self.held_w - self.idle_w
        return np.maximum(LEAST_LEFT * most, most - self.drawn * memory_j / seconds)

    def slowdown(self, chip_j: Any, memory_j: Any, seconds: Any) -> Any:
        """Nominal clock over the clock at which the board holds its power, at least 1.

        Args:
            chip_j: priced energy of all on-chip events.
            memory_j: that of the memory.
            seconds: time at the nominal clock.
        """
        asked = self.drawn * chip_j / seconds
        return np.maximum(1.0, asked / self.left_w(memory_j, seconds)) ** self.response

    def state(self, chip_j: Any, memory_j: Any, seconds: Any) -> Any:
        """Energy of an on-chip event over that at the nominal voltage, at most 1, at the slowed clock's time."""
        return np.minimum(1.0, self.left_w(memory_j, seconds) * seconds / np.maximum(self.drawn * chip_j, 1e-30))


@dataclass(frozen=True, slots=True)
class Energies:
    """Joules that a description prices: per FLOP of a pair of operands, and per byte of every level."""

    flop: float
    register: float
    shared: float
    l2: float
    memory: float


def gemm_j(
    times: Times, shapes: Shapes, machine: Machine, constants: GemmConstants, energies: Energies
) -> tuple[Array, Array]:
    """(On-chip, memory) joules of GEMMs, [points] each, as their kernels count them; vector work is left out."""
    choice = candidates(machine.tile_rows)
    parts = choice.split[times.candidate]
    partial = np.where(parts > 1, ACCUMULATOR_BYTES * shapes.outputs * parts, 0.0)
    padded = times.tiles * times.steps * shapes.step * (choice.tm * choice.tn)[times.candidate]
    fetched = times.tiles * times.steps * times.fetched
    moved = times.read + np.where(parts > 1, 0.0, times.written)
    stored = np.where(parts > 1, 2 * partial, 0.0) + shapes.output_bytes
    on_chip = (
        2 * shapes.products * energies.flop
        + padded * 2 * ACCUMULATOR_BYTES / MMA_DEPTH * energies.register
        + fetched * (1 + machine.operand_reads) * energies.shared
        + (np.maximum(moved, fetched / max(1.0, constants.l2_efficiency)) + stored) * energies.l2
    )
    spilled = np.maximum(0.0, partial - machine.l2_bytes)
    return on_chip, (times.read + times.written + 2 * spilled) * energies.memory


def throttled(
    times: Times, shapes: Shapes, machine: Machine, constants: GemmConstants, energies: Energies, supply: Supply
) -> Times:
    """GEMMs without end: at the clock that the board's power leaves them.

    Args:
        times: on a cool chip; kernels so long that their clock falls more than the board's limit says keep it.
        shapes: the products.
        machine: the chip.
        constants: of the kernels.
        energies: of the events.
        supply: the board.
    """
    nominal = times.body / times.clock
    base = times.seconds - times.body
    chip_j, memory_j = gemm_j(times, shapes, machine, constants, energies)
    slow = supply.slowdown(chip_j, memory_j, base + nominal)
    held = overlapped(times.sm * slow, times.memory, constants.overlap)
    body = np.maximum(held, times.body)
    seconds = base + body
    return replace(
        times, seconds=seconds, body=body, clock=np.maximum(slow, times.clock), sm=times.sm * slow,
        unit=times.unit * slow, load=times.load * slow, hidden=times.hidden * slow,
        candidates=times.candidates * (seconds / times.seconds)[:, None],
    )  # fmt: skip
