"""Collectives between the GPUs of one board: messages over their links, out of and into their memories.

`accelsim.timing.gpu.collective` says how long one takes on idle GPUs, and by which protocol. Here that becomes a wait
for what no bandwidth shortens, and a stream that draws on links, memories, caches and lanes. Alone, the kernel takes
the time of the closed form; beside others it waits for what they draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from accelsim.graph.numbers import Number
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.gpu.events import FLOPS_PER_SLOT, VECTOR_REGISTER_BYTES, energy_events, whole
from accelsim.mapping.gpu.library import COLLECTIVE, Collectives
from accelsim.mapping.gpu.links import BOARD, fastest
from accelsim.mapping.gpu.memory import FIGURE, MemoryPort
from accelsim.mapping.gpu.resources import L2, L2_PORT, LINK, MEMORY, REGISTER, VECTOR
from accelsim.mapping.kernel import Alternative, Demand, Kernel, Phase
from accelsim.spec.device import GpuChip, Link
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.gpu import collective
from accelsim.timing.gpu.collective import PROTOCOLS

KINDS: Final[Mapping[Kind, str]] = {
    Kind.ALL_REDUCE: "all_reduce",
    Kind.ALL_GATHER: "all_gather",
    Kind.REDUCE_SCATTER: "reduce_scatter",
    Kind.ALL_TO_ALL: "all_to_all",
    Kind.SEND: "all_gather",
}
"""Kind of operator -> the operation whose constants it takes."""

REDUCING: Final = frozenset({Kind.ALL_REDUCE, Kind.REDUCE_SCATTER})
CONSTANTS: Final = ("link", "l2.bandwidth", "sm.l2_port", "memory.bandwidth", FIGURE, COLLECTIVE)

_CHUNKS: Final = 8
"""Steps of the stream; the first is under way while the protocol's wait passes."""


def size_of(op: Operator) -> tuple[Number, int]:
    """Bytes and GPUs as `accelsim.timing.gpu.collective.wire_bytes` has them.

    A message of so many bytes to another GPU is what an all-gather of twice as many sends between two.
    """
    size = op.dims["bytes"]
    return (2 * size, 2) if op.kind is Kind.SEND else (size, int(op.dims["devices"]))


def refusal(op: Operator, chip: GpuChip) -> Infeasible | None:
    """Why these GPUs cannot run a collective, or None."""
    _, devices = size_of(op)
    if devices > BOARD:
        return Infeasible(
            "unsupported",
            f"{op.kind} over {devices} GPUs: {BOARD} are the most that one board joins, and networks between boards "
            "are not described",
            demand=devices, bound=BOARD, unit="", set_by=("devices",), levers=(f"devices = {BOARD}",),
        )  # fmt: skip
    if fastest(chip) is None:
        return Infeasible(
            "unsupported",
            f"{chip.name}: no link to other GPUs is described",
            set_by=("link",), levers=("a [[link]] row in the description",),
        )  # fmt: skip
    return None


def kernel(op: Operator, chip: GpuChip, memory: MemoryPort, known: Collectives) -> Kernel | Infeasible:
    """What one of the GPUs does for a collective."""
    refused, link = refusal(op, chip), fastest(chip)
    if refused is not None or link is None:
        assert refused is not None
        return refused
    given, devices = size_of(op)
    size = float(given)
    constants = known.constants(KINDS[op.kind])
    if devices == 1:
        return _nothing(op, chip)
    times = collective.price(size, devices, link.bandwidth_bytes_per_s, constants)
    seconds, fixed, wire = (float(column[0]) for column in (times.seconds, times.fixed, times.wire))
    sent = whole(wire)
    read = written = sent
    added = whole(wire / op.inputs[0].format.bytes_per_element / 2) if op.kind is Kind.ALL_REDUCE else 0
    if op.kind is Kind.REDUCE_SCATTER:
        added = whole(wire / op.inputs[0].format.bytes_per_element)
    protocol = PROTOCOLS[int(times.protocol[0])]
    rule = f"{op.kind}/{protocol}"
    phase = Phase(
        name="messages",
        steps=_CHUNKS,
        buffers=_CHUNKS,
        load=(
            Demand(LINK, sent, min(1.0, wire / (link.bandwidth_bytes_per_s * (seconds - fixed)))),
            Demand(MEMORY, read + written),
            Demand(L2, read + written),
            Demand(L2_PORT, read + written),
            *_adding(chip, added),
        ),
        latency_s=max(0.0, fixed - constants.start_s),
        drain=False,
        most=memory.mixed(read, written),
        priced_by=f"{rule}@{known.label}",
    )
    return Kernel(
        name=op.name,
        operator=op,
        launch_s=constants.start_s,
        phases=(phase,),
        events={**energy_events((phase,), op, None, added), "link": sent},
        priced_by=f"{rule}@{known.label}",
        constants=CONSTANTS,
        choice={"label": protocol, "devices": devices, "wire_bytes": sent, "calibration": known.calibration.name},
        alternatives=_alternatives(size, devices, link, known, op),
    )


def _adding(chip: GpuChip, elements: int) -> tuple[Demand, ...]:
    """Additions of what arrives to what is there."""
    if not elements:
        return ()
    return (
        Demand(VECTOR, whole(elements * FLOPS_PER_SLOT / chip.vector.flops_per_clock)),
        Demand(REGISTER, elements * VECTOR_REGISTER_BYTES),
    )


def _alternatives(size: float, devices: int, link: Link, known: Collectives, op: Operator) -> tuple[Alternative, ...]:
    constants = known.constants(KINDS[op.kind])
    ways = collective.ways_s(size, devices, link.bandwidth_bytes_per_s, constants)
    found = (Alternative(name, float(seconds)) for name, seconds in zip(PROTOCOLS, ways[:, 0], strict=True))
    return tuple(sorted(found, key=lambda way: way.time_s))


def _nothing(op: Operator, chip: GpuChip) -> Kernel:
    """A GPU that is alone has nothing to send; a kernel is launched all the same."""
    phase = Phase(name="messages", steps=1, buffers=1, priced_by=f"{op.kind}/alone")
    return Kernel(
        name=op.name, operator=op, launch_s=chip.timing.launch_s, phases=(phase,), events={},
        priced_by=phase.priced_by, constants=("timing.launch",), choice={"label": "alone", "devices": 1},
    )  # fmt: skip
