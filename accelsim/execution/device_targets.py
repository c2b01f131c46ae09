"""The arithmetic of a device, from its description: which pair of formats meets on its units, and how these add.

Pairs, conversions and keys per tile are asked of the functions that the mapping prices with, so that what is executed
is what is priced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Final

from accelsim import catalog
from accelsim.devices.base import Contextual
from accelsim.devices.families import device_for, kernel_device
from accelsim.errors import RequestError
from accelsim.evaluate.resolve import described
from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import Unit
from accelsim.graph.operator import Graph, Kind, Operator, Role
from accelsim.mapping.fpga.operands import refused
from accelsim.mapping.gpu.pairs import resolve as gpu_pair
from accelsim.mapping.horizon import Horizon
from accelsim.mapping.ipu.pairs import resolve as ipu_pair
from accelsim.mapping.kernel import Kernel
from accelsim.mapping.sums import WHOLE, Sums
from accelsim.mapping.tsp.pairs import resolve as tsp_pair
from accelsim.numerics.accumulator import AnyAccumulator, accumulator
from accelsim.spec.aim import AimPart
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip
from accelsim.spec.fpga import FpgaPart
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import IpuPart
from accelsim.spec.system import System
from accelsim.spec.tsp import TspPart
from accelsim.spec.upmem import UpmemPart

BESIDE: Final = "on the vector unit, beside the main loop"

LANES: Final = "fp32-fma"
ON_LANES: Final = "kernels of single heads multiply on the vector unit: fused multiply-adds, taken in increasing k"

_TENSOR_CORES: Final = {
    ("volta", "fp16"): "volta-fp16", ("ampere", "fp16"): "ampere-fp16", ("ampere", "bf16"): "ampere-bf16",
    ("ada", "fp8"): "ada-fp8", ("hopper", "fp16"): "hopper-fp16", ("hopper", "bf16"): "hopper-bf16",
    ("hopper", "fp8"): "hopper-fp8", ("blackwell", "fp16"): "blackwell-fp16", ("blackwell", "bf16"): "blackwell-bf16",
    ("blackwell", "fp8"): "blackwell-fp8", ("blackwell", "fp6"): "blackwell-fp8", ("blackwell", "fp4"): "blackwell-fp4",
    ("cdna3", "fp16"): "cdna3", ("cdna3", "bf16"): "cdna3", ("cdna3", "fp8"): "cdna3-fp8",
}  # fmt: skip
"""Accumulators by generation and by the widest operand."""

_ALIKE: Final = {("ada", "fp16"): "ampere-fp16", ("ada", "bf16"): "ampere-bf16"}
"""Taken to add like the generation before: no model of their own is known here."""

_KINDS: Final = ("fp32", "tf32", "bf16", "fp16", "int8", "fp8", "fp6", "fp4")


def _kind(name: str) -> str:
    return next((kind for kind in _KINDS if kind in name), name)


def _gpu_accumulator(chip: GpuChip, operands: tuple[str, str]) -> tuple[AnyAccumulator, str, str]:
    """Accumulator, source and status."""
    kind = min((_kind(name) for name in operands), key=lambda k: _KINDS.index(k) if k in _KINDS else len(_KINDS))
    if kind == "int8":
        return accumulator("int32"), "integers add without rounding", "derived"
    name = _TENSOR_CORES.get((chip.generation, kind))
    if name is not None:
        found = accumulator(name)
        return found, found.source, found.status
    like = _ALIKE.get((chip.generation, kind))
    if like is not None:
        return accumulator(like), f"{chip.generation} is taken to add like {like}", "assumed"
    how = accumulator("fp32-fma")
    return how, f"no model of {chip.generation} x {kind} is known: fused multiply-adds in increasing k", "assumed"


@dataclass(frozen=True)
class Device:
    """A chip of one kind of units.

    Attributes:
        name: of the chip.
        part: that has the units.
        mapped: the kernel of an operator of a graph, where it says in which parts it adds; the same mapping is priced.
    """

    name: str
    part: GpuChip | IpuPart | TspPart | FpgaPart
    mapped: Callable[[Operator, Graph | None], Kernel | Infeasible] | None = None

    def lanes(self, op: Operator, phase: str) -> Lanes:
        """fp32; the lanes of an FPGA overlay are as wide as its results."""
        if isinstance(self.part, FpgaPart) and self.part.matrix.operands[0] == "fp16":
            return Lanes("fp16")
        return Lanes("fp32")

    def unit(self, op: Operator, phase: str) -> Unit | Infeasible:
        """As the mapping of the part pairs the formats."""
        found = _unit(self.part, op)
        if isinstance(found, Infeasible) or not isinstance(self.part, GpuChip) or not self._sums(op).lanes:
            return found
        return replace(found, accumulator=accumulator(LANES), native=False, source=ON_LANES, status="assumed")

    def sums(self, op: Operator, graph: Graph) -> Sums:
        """As the kernel has them; overlays add along k."""
        return self._sums(op, graph)

    def _sums(self, op: Operator, graph: Graph | None = None) -> Sums:
        found = self.mapped(op, graph) if self.mapped is not None else None
        return found.sums or WHOLE if isinstance(found, Kernel) else WHOLE

    def table(self, op: Operator) -> int:
        """Entries of the table that an overlay has in place of GELU."""
        return self.part.vector.table_entries if isinstance(self.part, FpgaPart) else 0


@singledispatch
def _unit(part: object, op: Operator) -> Unit | Infeasible:
    raise RequestError(f"{getattr(part, 'name', part)}: models are executed on chips that models run on")


@_unit.register
def _(part: GpuChip, op: Operator) -> Unit | Infeasible:
    first, second = op.operand_formats()
    pair = gpu_pair(part, first, second)
    if isinstance(pair, Infeasible):
        return pair
    how, source, status = _gpu_accumulator(part, pair.operands)
    converted = (pair.first is not None, pair.second is not None)
    return _made(op, how, pair.operands, converted, BESIDE, source, status)


@_unit.register
def _(part: IpuPart, op: Operator) -> Unit | Infeasible:
    pair = ipu_pair(part, *op.operand_formats())
    if isinstance(pair, Infeasible):
        return pair
    how = accumulator(part.accumulator if "fp32" not in pair.operands else "fp32-fma")
    converted = tuple(form.name != to for form, to in zip(op.operand_formats(), pair.operands, strict=True))
    return _made(op, how, pair.operands, (converted[0], converted[1]), BESIDE)


@_unit.register
def _(part: TspPart, op: Operator) -> Unit | Infeasible:
    pair = tsp_pair(part, *op.operand_formats())
    if isinstance(pair, Infeasible):
        return pair
    how = accumulator(pair.row.preset)
    converted = (pair.first is not None, pair.second is not None)
    return _made(op, how, pair.row.operands, converted, "on the vector slice")


@_unit.register
def _(part: FpgaPart, op: Operator) -> Unit | Infeasible:
    wrong = refused(part, op)
    if wrong is not None:
        return wrong
    how = accumulator(part.matrix.accumulator)
    return _made(op, how, part.matrix.operands, (False, False), "")


def _made(
    op: Operator, how: AnyAccumulator, operands: tuple[str, str], converted: tuple[bool, bool], where: str,
    source: str = "", status: str = "",
) -> Unit:  # fmt: skip
    """Block scales enter the unit where both operands have them; in attention, values lie in other blocks."""
    first, second = (catalog.format_(name) for name in operands)
    source, status, where = source or how.source, status or how.status, where if any(converted) else ""
    blocks = first.scaled or second.scaled
    if blocks and any(t.role is Role.KV_CACHE for t in op.inputs):
        note = f"{source}; block scales of keys and values are applied on load"
        return Unit(how, source=note, status="assumed")
    return Unit(how, first, second, blocks and not any(converted), converted, where, source, status)


_PIM: Final[dict[type, str]] = {AimPart: "aim-bf16", HbmPimPart: "hbm-pim-fp16"}


@dataclass(frozen=True)
class Memory:
    """A system of memories that compute, beside its host.

    Vectors times matrices are the units' in decode, wherever their format is that of the units; all else is the
    host's. Where `simulate` finds the host faster at one size, its arithmetic is not this one.
    """

    name: str
    host: Device
    native: str
    how: AnyAccumulator
    cache: bool

    def lanes(self, op: Operator, phase: str) -> Lanes:
        """The host's."""
        return self.host.lanes(op, phase)

    def unit(self, op: Operator, phase: str) -> Unit | Infeasible:
        """The units', or the host's."""
        if self._on_units(op, phase):
            return Unit(self.how, *op.operand_formats(), source=self.how.source, status=self.how.status)
        return self.host.unit(op, phase)

    def _on_units(self, op: Operator, phase: str) -> bool:
        fits = all(form.name == self.native for form in op.operand_formats())
        mine = op.kind in (Kind.MATMUL, Kind.EXPERTS) or (self.cache and op.kind is Kind.ATTENTION)
        return phase == "decode" and fits and mine

    def sums(self, op: Operator, graph: Graph) -> Sums:
        """Units add along all of k, and write scores out for the host's softmax; the host has its own kernels."""
        return WHOLE if self._on_units(op, graph.phase) else self.host.sums(op, graph)

    def table(self, op: Operator) -> int:
        """The host's functions have formulas."""
        return 0


class _Mapped:
    """Kernels as `simulate` prices them; the latest is kept, since several things are asked of it."""

    def __init__(self, chip: Chip, part: GpuChip | IpuPart | TspPart, run: Horizon | None = None) -> None:
        rates = {name for row in part.peak for name in row.operands}
        self._device = device_for(chip, {name: catalog.format_(name).bits for name in rates}, horizon=run)
        self._latest: tuple[Operator, Kernel | Infeasible] | None = None

    def __call__(self, op: Operator, graph: Graph | None) -> Kernel | Infeasible:
        if self._latest is None or self._latest[0] is not op:
            device = self._device
            if graph is not None and isinstance(device, Contextual):
                self._latest = (op, device.kernel_in(graph, op))
            else:
                self._latest = (op, device.kernel(op))
        return self._latest[1]


def device_target(chip: Chip, *, weights: str | None = None, run: Horizon | None = None) -> Device | Memory:
    """The arithmetic of a chip or system.

    Args:
        chip: by record.
        weights: their format, in which units compute whose arithmetic is software.
        run: what programs are compiled for.

    Raises:
        RequestError: a chip that no model runs on.
    """
    part = described(chip)
    if isinstance(chip, System):
        memory = catalog.part(chip)
        assert isinstance(part, GpuChip)
        units = kernel_device(chip, memory, weights).native
        how = _software(units) if isinstance(memory, UpmemPart) else accumulator(_PIM[type(memory)])
        host = Device(chip.name, part, _Mapped(part, part))
        return Memory(chip.name, host, units, how, chip.memory == "replaces")
    if not isinstance(part, GpuChip | IpuPart | TspPart | FpgaPart):
        raise RequestError(f"{chip.name}: models are executed on chips that models run on; see `accelsim list arch`")
    if isinstance(part, FpgaPart):
        return Device(chip.name, part)
    return Device(chip.name, part, _Mapped(part if isinstance(part, GpuChip) else chip, part, run))


def _software(units: str) -> AnyAccumulator:
    """Sums of a program: of integers exact in any order, of floats in increasing k."""
    if units.startswith("int"):
        return accumulator("int32")
    said = "software: products and sums rounded one by one; that a row is added in increasing k is assumed"
    return replace(accumulator(units), source=said, status="assumed")
