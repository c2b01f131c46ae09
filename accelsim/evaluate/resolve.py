"""Formats of a run: what was named, else what the chip is native in."""

from __future__ import annotations

from os import PathLike

from accelsim import catalog
from accelsim.devices.families import kernel_device
from accelsim.devices.pim.ordinary import host_of
from accelsim.errors import RequestError
from accelsim.graph.attention import Formats
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip, Native
from accelsim.spec.format import Format
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.system import System

Name = str | PathLike[str]


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
    own = catalog.format_(native.weights)
    chosen = catalog.format_(weights or own)
    return Formats(
        weights=chosen,
        activations=catalog.format_(activations or native.activations),
        kv_cache=catalog.format_(kv_cache or native.kv_cache),
        wide=chosen if chosen.bits_per_element >= own.bits_per_element else own,
    )


def native_of(chip: Chip) -> Native:
    """The formats that a run takes where it names none: the chip's; for a system, its own, or those of its units.

    Raises:
        RequestError: a single part, which runs nothing without a host.
    """
    if isinstance(chip, GpuChip):
        return chip.native
    if not isinstance(chip, System):
        raise RequestError(
            f"{chip.name}: models run on chips of family gpu or cpu, and on systems of memories that compute beside "
            "a host, such as gddr6-aim-32ch; see `accelsim list arch`"
        )
    if chip.native is not None:
        return chip.native
    name = kernel_device(chip, catalog.part(chip)).native
    return Native(weights=name, activations=name, kv_cache=name)


def reachable(chip: Chip, formats: Formats) -> list[Format]:
    """The formats that can meet on the matrix unit: the run's own and those that the chip has rates for."""
    host = host_of(chip) if isinstance(chip, System) else chip
    named = {name for row in host.peak for name in row.operands} if isinstance(host, GpuChip) else set()
    return [*(catalog.format_(name) for name in sorted(named)), formats.weights, formats.activations, formats.kv_cache]
