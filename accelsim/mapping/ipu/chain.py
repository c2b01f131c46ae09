"""What passes between chips: activations to the next one, sums over those that share a layer."""

from __future__ import annotations

from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.mapping.ipu.resources import SYNC, Crew
from accelsim.mapping.kernel import Demand, Kernel, Phase
from accelsim.spec.format import Format
from accelsim.spec.ipu import IpuSystem

CONSTANTS = ("link", "clock.tile.frequency")
PICK_BYTES = 8
"""A chip's best token and its logit."""


def send(size: float, form: Format, hops: int, system: IpuSystem, crew: Crew) -> Kernel:
    """Activations from the chips of one group to those of the next.

    Args:
        size: bytes that each chip has.
        form: their format.
        hops: links on the way.
        system: the chips.
        crew: the group.
    """
    tensor = Tensor("hidden", (size / form.bytes_per_element,), Role.ACTIVATION, form)
    op = Operator(
        name="send", kind=Kind.SEND, dims={"bytes": size, "devices": crew.together}, inputs=(tensor,), outputs=(tensor,)
    )
    phase = message("send", size, hops, system, crew)
    return Kernel(
        name=op.name, operator=op, launch_s=0.0, phases=(phase,), events=_events(size, crew), priced_by="link/send",
        constants=CONSTANTS, choice={"label": f"{hops} hops", "hops": hops, "bytes": size},
    )  # fmt: skip


def message(name: str, size: float, hops: int, system: IpuSystem, crew: Crew, lanes: int = 0) -> Phase:
    """A synchronisation of chips and what they send."""
    part = crew.part
    cycles = round(part.link.latency_s * hops * part.clock.tile.frequency_hz)
    return Phase(
        name=name, steps=1, buffers=1, load=(Demand(SYNC, cycles),) if cycles else (),
        compute=(crew.link(size, min(lanes or system.neighbour_lanes, part.link.lanes)),), priced_by=f"link/{name}",
    )  # fmt: skip


def all_reduce(size: float, system: IpuSystem, crew: Crew) -> tuple[Phase, float]:
    """Sums over the chips of a group, and the bytes that each of them sends.

    Around a ring of neighbours, each of 2 (n - 1) rounds moves an n-th part; a mesh needs two rounds, on all links.
    """
    n = crew.together
    moved = 2 * (n - 1) / n * size
    if system.topology == "mesh":
        return message("all_reduce", moved, 2, system, crew, system.neighbour_lanes * (n - 1)), moved
    return message("all_reduce", moved, 2 * (n - 1) * ring_hops(n, system), system, crew), moved


def ring_hops(chips: int, system: IpuSystem) -> int:
    """Links between the two chips of a group that are furthest apart when its chips form a ring."""
    return max(1, system.hops(0, chips - 1))


def _events(size: float, crew: Crew) -> dict[str, int]:
    units = round(size) * crew.together
    return {"link": units} if units else {}
