"""Formats of a run: what was named, else what the chip is native in."""

from __future__ import annotations

from os import PathLike

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.graph.attention import Formats
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.llm_viewer import LlmViewerChip

Name = str | PathLike[str]


def formats_of(
    chip: Chip, weights: Name | Format | None, activations: Name | Format | None, kv_cache: Name | Format | None
) -> Formats:
    """The four formats of a run; weights that stay unquantised keep the chip's native one.

    Raises:
        RequestError: the chip carries only LLM-Viewer's figures.
        UnknownNameError: no such format.
    """
    if not isinstance(chip, GpuChip | LlmViewerChip):
        raise RequestError(
            f"{chip.name}: whole models run on chips of family gpu, and single operators on those or on a system of "
            "memories that compute, such as gddr6-aim-32ch; see `accelsim list arch`"
        )
    if not isinstance(chip, GpuChip):
        raise RequestError(
            f"{chip.name} carries only the figures of LLM-Viewer: use convention llm-viewer with fidelity roofline, "
            "or a chip of family gpu from `accelsim list arch`"
        )
    own = catalog.format_(chip.native.weights)
    chosen = catalog.format_(weights or own)
    return Formats(
        weights=chosen,
        activations=catalog.format_(activations or chip.native.activations),
        kv_cache=catalog.format_(kv_cache or chip.native.kv_cache),
        wide=chosen if chosen.bits_per_element >= own.bits_per_element else own,
    )


def reachable(chip: Chip, formats: Formats) -> list[Format]:
    """The formats that can meet on the matrix unit: the run's own and those that the chip has rates for."""
    named = {name for row in chip.peak for name in row.operands} if isinstance(chip, GpuChip) else set()
    return [*(catalog.format_(name) for name in sorted(named)), formats.weights, formats.activations, formats.kv_cache]
