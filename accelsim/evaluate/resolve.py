"""Formats of a run: what was named, else what the chip is native in."""

from __future__ import annotations

from os import PathLike

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.graph.attention import Formats
from accelsim.spec.chip import Chip, ModelSystem
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.format.mixture import MixtureFormat
from accelsim.spec.fpga import FpgaPart
from accelsim.spec.ipu import IpuPart
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.tsp import TspPart

Name = str | PathLike[str]


def described(chip: Chip) -> Chip:
    """What has the figures that price a run: the part of a system, or the chip itself."""
    return catalog.part(chip) if isinstance(chip, ModelSystem) else chip


def formats_of(
    chip: Chip, weights: Name | Format | None, activations: Name | Format | None, kv_cache: Name | Format | None
) -> Formats:
    """The four formats of a run; weights that stay unquantised keep the chip's native one.

    Raises:
        RequestError: the chip carries only LLM-Viewer's figures.
        UnknownNameError: no such format.
    """
    part = described(chip)
    if not isinstance(part, GpuChip | LlmViewerChip | IpuPart | FpgaPart | TspPart):
        raise RequestError(
            f"{chip.name}: whole models run on chips of family gpu, and single operators on those or on a system of "
            "memories that compute, such as gddr6-aim-32ch; see `accelsim list arch`"
        )
    if isinstance(part, LlmViewerChip):
        raise RequestError(
            f"{chip.name} carries only the figures of LLM-Viewer: use convention llm-viewer with fidelity roofline, "
            "or a chip of family gpu from `accelsim list arch`"
        )
    native = part.native

    def weight_format(name: Name | Format) -> Format:
        own_ = mixture_format(part, name) if isinstance(part, FpgaPart) and isinstance(name, str) else None
        return own_ or catalog.format_(name)

    own = weight_format(native.weights)
    chosen = weight_format(weights or own)
    return Formats(
        weights=chosen,
        activations=catalog.format_(activations or native.activations),
        kv_cache=catalog.format_(kv_cache or native.kv_cache),
        wide=chosen if chosen.bits_per_element >= own.bits_per_element else own,
    )


def reachable(chip: Chip, formats: Formats) -> list[Format]:
    """The formats that can meet on the matrix unit: the run's own and those that the chip has rates for."""
    part = described(chip)
    rows = part.peak if isinstance(part, GpuChip | IpuPart | TspPart) else ()
    named = {name for row in rows for name in row.operands}
    return [*(catalog.format_(name) for name in sorted(named)), formats.weights, formats.activations, formats.kv_cache]


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
        source=found.source,
        status=found.status,
    )
