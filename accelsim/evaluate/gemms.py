"""Many GEMMs at once on a GPU, by the closed form that its kernels are made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.mapping.gpu.library import Library, library
from accelsim.mapping.gpu.memory import port
from accelsim.mapping.gpu.pairs import Pair, resolve
from accelsim.mapping.gpu.power import energies, supply
from accelsim.mapping.gpu.problem import machine
from accelsim.spec.calibration import Conditions, GemmConstants, Residency
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.gpu import gemm
from accelsim.timing.gpu.power import throttled
from accelsim.timing.gpu.shapes import STEP_BYTES, Machine, Shapes, Times, plain

Array = npt.NDArray[np.float64]
Name = str | PathLike[str]

_WIDE_BITS: Final = 16


@dataclass(frozen=True, slots=True)
class Kernels:
    """GEMMs of one pair of formats on one chip.

    Attributes:
        chip: the GPU.
        activations: format of the first operand.
        weights: format of the second operand.
        results: format of the result.
        pair: how they meet.
        machine: the figures that they meet.
        step: elements of k in a depth step.
        library: whose kernels they are.
    """

    chip: GpuChip
    activations: Format
    weights: Format
    results: Format
    pair: Pair
    machine: Machine
    step: int
    library: Library

    def shapes(self, m: Any, n: Any, k: Any) -> Shapes:
        """[m, k] x [k, n]; numbers or arrays."""
        first, second = self.activations.bytes_per_element, self.weights.bytes_per_element
        widen = tuple(row.flops_per_element if row else 0.0 for row in (self.pair.first, self.pair.second))
        return plain(
            m, n, k, first=first, second=second, output=self.results.bytes_per_element, step=self.step,
            widen=(widen[0], widen[1]), rescale=self.pair.rescale,
        )  # fmt: skip

    def price(
        self, m: Any, n: Any, k: Any, constants: GemmConstants | None = None, residency: Residency | None = None,
    ) -> Times:  # fmt: skip
        """Times of all shapes.

        Args:
            m: rows; a number or an array, as n and k.
            n: columns.
            k: depth.
            constants: in place of those of the library.
            residency: in place of that of the library's conditions.
        """
        conditions = self.library.conditions
        known = constants or self.library.calibration.constants(self.activations, self.weights)
        shapes = self.shapes(m, n, k)
        times = gemm.price(shapes, self.machine, known, residency or conditions.residency)
        if conditions.clock == "sustained":
            spent, board = energies(self.chip, self.pair), supply(self.chip)
            return throttled(times, shapes, self.machine, known, spent, board)
        return times

    def bounds_s(self, m: Any, n: Any, k: Any) -> tuple[Array, Array]:
        """Seconds at the peak of the matrix units, and at that of the memory with everything moved once."""
        size, on = self.shapes(m, n, k), self.machine
        compute = 2 * size.products / (on.flops_per_clock * on.clock_hz * on.sms)
        return compute, (size.first_bytes + size.second_bytes + size.output_bytes) / on.memory_bytes_per_s

    def least_s(self, m: Any, n: Any, k: Any) -> Array:
        """Seconds that nothing can beat, even if L2 holds as much of the operands as it can."""
        compute, memory = self.bounds_s(m, n, k)
        found: Array = np.maximum(compute, memory - self.machine.l2_bytes / self.machine.memory_bytes_per_s)
        return found


def kernels(
    on: Name | GpuChip, activations: str = "bf16", weights: str | None = None, conditions: Conditions | None = None
) -> Kernels:
    """The GEMMs of a chip in these formats.

    Args:
        on: chip by name, path or record.
        activations: format of the first operand; and of the result, unless it has fewer than 16 bits: products of
            narrower ones are stored in the chip's native format of activations.
        weights: format of the second operand; that of the first if not given.
        conditions: library, residency and clock.

    Raises:
        RequestError: no GPU, or one that cannot multiply these formats.
        UnknownNameError: no such chip, format or library.
    """
    chip = catalog.chip(on)
    if not isinstance(chip, GpuChip):
        raise RequestError(f"{getattr(chip, 'name', chip)}: GEMMs in bulk are priced on GPUs only")
    first, second = catalog.format_(activations), catalog.format_(weights or activations)
    pair = resolve(chip, first, second)
    if isinstance(pair, Infeasible):
        raise RequestError(f"{pair.reason}; try {', '.join(pair.levers)}")
    element = max(catalog.format_(pair.operands[0]).bits, 1) / 8
    step = max(1, int(STEP_BYTES / element))
    results = first if first.bits >= _WIDE_BITS else catalog.format_(chip.native.activations)
    return Kernels(chip, first, second, results, pair, _machine(chip, pair), step, library(chip, conditions))


@lru_cache(maxsize=64)
def _machine(chip: GpuChip, pair: Pair) -> Machine:
    return machine(chip, pair, port(chip))
