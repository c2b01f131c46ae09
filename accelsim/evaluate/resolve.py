"""Formats of a run: what was named, else what the chip is native in."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike

from accelsim import catalog
from accelsim.devices.families import kernel_device
from accelsim.devices.pim.ordinary import host_chip, ordinary
from accelsim.errors import RequestError
from accelsim.graph.attention import Formats
from accelsim.spec.chip import Chip, ModelSystem
from accelsim.spec.device import GpuChip, Native
from accelsim.spec.format import Format, SparseFormat
from accelsim.spec.format.mixture import MixtureFormat
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.spec.ipu import IpuPart
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.system import System
from accelsim.spec.tsp import TspPart

Name = str | PathLike[str]


def described(chip: Chip) -> Chip:
    """What has the figures that price a run: the part of a system, the host of memories that compute, or the chip."""
    if isinstance(chip, System):
        return host_chip(chip, ordinary(catalog.part(chip)) if chip.memory == "replaces" else None)
    return catalog.part(chip) if isinstance(chip, ModelSystem) else chip


def beside(chip: Chip) -> Chip | None:
    """The memory that computes beside what is `described`; its figures are quoted behind "part."."""
    return catalog.part(chip) if isinstance(chip, System) else None


def formats_of(
    chip: Chip, weights: Name | Format | None, activations: Name | Format | None, kv_cache: Name | Format | None
) -> Formats:
    """The four formats of a run; weights that stay unquantised keep the chip's native one.

    Raises:
        RequestError: the chip carries only LLM-Viewer's figures.
        UnknownNameError: no such format.
    """
    if isinstance(chip, LlmViewerChip):
        raise RequestError(
            f"{chip.name} carries only the figures of LLM-Viewer: use convention llm-viewer with fidelity roofline, "
            "or a chip of family gpu or cpu from `accelsim list arch`"
        )
    native = native_of(chip)

    part = described(chip) if isinstance(chip, FpgaPart | FpgaSystem) else None

    def weight_format(name: Name | Format) -> Format:
        mixed = mixture_format(part, name) if isinstance(part, FpgaPart) and isinstance(name, str) else None
        return mixed or catalog.format_(name)

    own = weight_format(native.weights)
    chosen = weight_format(weights or own)
    return Formats(
        weights=chosen,
        activations=_dense("activations", activations or native.activations),
        kv_cache=_dense("kv_cache", kv_cache or native.kv_cache),
        wide=chosen if chosen.bits_per_element >= own.bits_per_element else own,
    )


def separate(chip: Chip) -> bool:
    """Whether quantising activations is a pass of its own there, beside operators that exchange a wide format."""
    return isinstance(chip, GpuChip)


def native_of(chip: Chip) -> Native:
    """The formats that a run takes where it names none: the chip's; for a system, its own, or those of its units.

    Raises:
        RequestError: a single memory, which runs nothing without a host.
    """
    if isinstance(chip, System):
        name = kernel_device(chip, catalog.part(chip)).native
        return chip.native or Native(weights=name, activations=name, kv_cache=name)
    part = described(chip)
    if not isinstance(part, GpuChip | IpuPart | FpgaPart | TspPart):
        raise RequestError(
            f"{chip.name}: models run on chips of the families gpu, cpu, ipu, tsp and fpga, and on systems of memories "
            "that compute beside a host, such as gddr6-aim-32ch; see `accelsim list arch`"
        )
    return part.native


def reachable(chip: Chip, formats: Formats, more: Iterable[Format] = ()) -> list[Format]:
    """The formats that can meet on the matrix unit: the run's own, those of single tensors, and the chip's rates'."""
    part = described(chip)
    rows = part.peak if isinstance(part, GpuChip | IpuPart | TspPart) else ()
    named = {name for row in rows for name in row.operands}
    if isinstance(chip, System):  # units without the run's format compute in their own
        named.add(kernel_device(chip, catalog.part(chip)).native)
    return [
        *(catalog.format_(name) for name in sorted(named)),
        formats.weights,
        formats.activations,
        formats.kv_cache,
        *more,
    ]


def _dense(role: str, name: Name | Format) -> Format:
    found = catalog.format_(name)
    if isinstance(found, SparseFormat):
        raise RequestError(f"{role} = {found.name!r}: only weights can be kept two of four; try {found.dense.name}")
    return found


def mixture_format(part: FpgaPart, name: str) -> Format | None:
    """The format of a mixture that a part's description names, or None."""
    found = next((mixture for mixture in part.mixture if mixture.name == name), None)
    if found is None:
        return None
    groups = [(catalog.format_(group.format), group.share) for group in found.groups]
    return MixtureFormat(
        name=found.name,
        bits=max(form.bits for form, _ in groups),
        element_bits=sum(form.bits * share for form, share in groups),
        stored_bits=found.density * sum(form.bits_per_element * share for form, share in groups)
        + found.index_bits_per_element,
        groups=tuple(groups),
        m=found.m,
        kept=tuple((block.n, block.share) for block in found.blocks),
        source=found.source,
        status=found.status,
    )
