"""Operators mapped onto a chip, for tests of the GPU's mapping."""

from __future__ import annotations

from typing import Any

from accelsim.evaluate.operators import single
from accelsim.evaluate.resolve import formats_of, reachable
from accelsim.graph.operator import Operator
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.gpu.plan import GpuMapper
from accelsim.mapping.kernel import Kernel
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


class Mapped:
    """A chip, the mapper of one choice of formats, and the operators mapped so far."""

    def __init__(self, chip: GpuChip, activations: str | None = None, weights: str | None = None) -> None:
        self.chip = chip
        self.formats = formats_of(chip, weights or activations, activations, weights or activations)
        self.mapper = GpuMapper(chip, {form.name: form.bits for form in reachable(chip, self.formats)})

    def operator(self, kind: str, **dims: Any) -> Operator:
        """A single operator in these formats."""
        return single(kind, dims, self.formats)

    def kernel(self, kind: str, **dims: Any) -> Kernel:
        """Its kernel."""
        made = self.mapper.kernel(self.operator(kind, **dims))
        assert not isinstance(made, Infeasible)
        return made

    def matmul(self, m: int, n: int, k: int, **more: Any) -> Kernel:
        """Kernel of [m, k] x [k, n]."""
        return self.kernel("matmul", m=m, n=n, k=k, **more)

    def time_s(self, kernel: Kernel) -> float:
        """Alone on an idle chip."""
        return kernel_time_s(kernel, self.mapper.resources)
