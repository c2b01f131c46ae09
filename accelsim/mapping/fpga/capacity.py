"""Does a model lie in the HBM of its boards, how many boards would hold it, and what else would help."""

from __future__ import annotations

from accelsim import catalog
from accelsim.graph import footprint
from accelsim.graph.operator import Graph, Kind
from accelsim.mapping.fpga.layout import Layout
from accelsim.spec.format import Format
from accelsim.spec.fpga import FpgaPart
from accelsim.spec.infeasible import Infeasible
from accelsim.units import show


def needed_bytes(graph: Graph, cache_bytes: float) -> float:
    """Weights, keys and values at their longest, and the largest working set.

    Args:
        graph: the first pass, in which every weight occurs.
        cache_bytes: KV cache at its longest.
    """
    return float(footprint.weight_bytes(graph)) + cache_bytes + float(footprint.activation_bytes(graph))


def legal(graph: Graph) -> list[int]:
    """Numbers of boards that divide the heads of all layers."""
    heads = _heads(graph)
    return [count for count in range(1, max(heads) + 1) if all(number % count == 0 for number in heads)]


def fewest(part: FpgaPart, graph: Graph, needed: float) -> int | None:
    """The smallest legal number of boards that holds so much; None if no legal one does."""
    return next((count for count in legal(graph) if count * part.hbm.capacity_bytes >= needed), None)


def misfit(layout: Layout, graph: Graph, cache_bytes: float) -> Infeasible | None:
    """Why a model does not lie in the HBM of these boards, or None."""
    part, needed = layout.part, needed_bytes(graph, cache_bytes)
    there = layout.boards * part.hbm.capacity_bytes
    if needed <= there:
        return None
    weights = float(footprint.weight_bytes(graph))
    boards = fewest(part, graph, needed)
    levers = [f"{boards} boards"] if boards else []
    levers += [
        f"--weights {name} ({show(weights * ratio, 'B')})"
        for name, ratio in _narrower(part, graph)
        if weights * (1 - ratio) > needed - there
    ]
    levers += ["fewer sequences or tokens"] if cache_bytes > needed - there else []
    return Infeasible(
        "capacity",
        f"{show(weights, 'B')} of weights, {show(cache_bytes, 'B')} of KV cache and "
        f"{show(needed - weights - cache_bytes, 'B')} of activations do not fit the {show(there, 'B')} of HBM of "
        f"{layout.boards} x {part.name}: {show(needed - there, 'B')} too much",
        demand=needed,
        bound=there,
        unit="B",
        set_by=("model", "weights", "kv_cache", "batch", "prompt", "generate", "hbm.capacity", "count"),
        levers=tuple(levers) or ("boards with more HBM",),
    )


def unfit(part: FpgaPart, graph: Graph, needed: float) -> Infeasible:
    """What to say where no number of boards that divides the heads holds a model."""
    most = legal(graph)[-1]
    return Infeasible(
        "capacity",
        f"{show(needed, 'B')} do not fit the {show(most * part.hbm.capacity_bytes, 'B')} of {most} boards, the most "
        f"that divide {max(_heads(graph))} heads",
        demand=needed,
        bound=most * part.hbm.capacity_bytes,
        unit="B",
        set_by=("model", "weights", "batch", "prompt", "generate", "hbm.capacity"),
        levers=("narrower weights", "fewer sequences or tokens", "boards with more HBM"),
    )


def _heads(graph: Graph) -> list[int]:
    return [int(op.dims["heads"]) for _, op in graph if op.kind in (Kind.ATTENTION, Kind.SCORES)] or [1]


def _narrower(part: FpgaPart, graph: Graph) -> list[tuple[str, float]]:
    """Formats that the multipliers take and the present weights over them, the widest first."""
    now: Format | None = next((t.format for _, t in footprint.weights(graph) if len(t.shape) > 1), None)
    if now is None:
        return []
    found = [(mixture.name, mixture_bits(part, mixture.name)) for mixture in part.mixture]
    found += [(name, catalog.format_(name).bits_per_element) for name in part.matrix.weights]
    ratios = [(name, bits / now.bits_per_element) for name, bits in found if bits < now.bits_per_element]
    return sorted(ratios, key=lambda item: -item[1])


def mixture_bits(part: FpgaPart, name: str) -> float:
    """Bits of a mixture for each weight of the dense matrix."""
    mixture = next(found for found in part.mixture if found.name == name)
    kept = sum(catalog.format_(group.format).bits_per_element * group.share for group in mixture.groups)
    return mixture.density * kept + mixture.index_bits_per_element
