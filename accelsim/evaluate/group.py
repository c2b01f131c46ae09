"""How many GPUs run a request together, and what each of them runs."""

from __future__ import annotations

from dataclasses import replace

from accelsim.devices.gpu import Gpu
from accelsim.evaluate import memory
from accelsim.evaluate.phases import Passes, Single, Work
from accelsim.graph.operator import COLLECTIVE_KINDS, Kind
from accelsim.graph.parallel import unfit
from accelsim.mapping.gpu.links import BOARD, fastest
from accelsim.spec.chip import Chip
from accelsim.spec.device import GpuChip
from accelsim.spec.infeasible import Infeasible


def grouped(work: Passes, chip: Chip, chips: int | str) -> tuple[Passes, int] | Infeasible:
    """The work as so many GPUs share it, and their number; other families group their chips themselves.

    Args:
        work: as one GPU would do it; a collective says itself how many take part.
        chip: each of them.
        chips: a number, or "auto" for as few as hold the model.
    """
    if not isinstance(chip, GpuChip):
        if isinstance(work, Single) and work.op.kind in COLLECTIVE_KINDS - {Kind.ALL_REDUCE}:
            return Infeasible(
                "unsupported", f"{chip.name}: {work.op.kind} on its own is an operator of GPUs",
                set_by=("kind",), levers=("all_reduce",),
            )  # fmt: skip
        return work, 1
    if isinstance(work, Single) and work.op.kind in COLLECTIVE_KINDS:
        devices = int(work.op.dims["devices"])
        if chips not in (1, "auto", devices):
            return Infeasible(
                "unsupported", f"{work.op.kind} over {devices} devices on {chips} chips",
                set_by=("chips", "devices"), levers=(f"chips = {devices}",),
            )  # fmt: skip
        return work, devices
    if chips == 1:
        return work, 1
    if not isinstance(work, Work):
        if chips == "auto":
            return work, 1
        return Infeasible(
            "unsupported", f"{chips} chips: an operator on its own runs on one GPU",
            set_by=("chips",), levers=("chips = 1", "a collective, or a model"),
        )  # fmt: skip
    if chips == "auto":
        return _fewest(work, chip)
    return _shared(work, chip, int(chips))


def _shared(work: Work, chip: GpuChip, count: int) -> tuple[Work, int] | Infeasible:
    if count > BOARD or fastest(chip) is None:
        what = "no link to other GPUs is described" if fastest(chip) is None else f"a board joins {BOARD} at most"
        return Infeasible(
            "unsupported", f"{count} chips of {chip.name}: {what}; networks between boards are not described",
            set_by=("chips",), levers=(f"chips = {1 if fastest(chip) is None else BOARD}",),
        )  # fmt: skip
    return unfit(work.prefill(), count) or (replace(work, chips=count), count)


def _fewest(work: Work, chip: GpuChip) -> tuple[Work, int] | Infeasible:
    """The fewest GPUs of a board that hold the model; as many as can share it where none do, for what then misses."""
    best: tuple[Work, int] | Infeasible = (work, 1)
    for count in range(1, (BOARD if fastest(chip) else 1) + 1):
        found = (work, 1) if count == 1 else _shared(work, chip, count)
        if isinstance(found, Infeasible):
            continue
        best = found
        if all(row["fits"] for row in memory.rows(found[0], Gpu(chip, {}, devices=count))):
            return found
    return best
