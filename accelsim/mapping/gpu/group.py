"""What several equal GPUs do in step, as one machine: each demand, counter and rate is that of all of them."""

from __future__ import annotations

from dataclasses import replace

from accelsim.graph.operator import Operator
from accelsim.mapping.kernel import Demand, Kernel, Phase


def of_all(kernel: Kernel, op: Operator, devices: int) -> Kernel:
    """The kernel of one GPU as that of so many, which all run it at once.

    Args:
        kernel: of one.
        op: what all of them compute together.
        devices: how many.
    """
    return replace(
        kernel,
        name=op.name,
        operator=op,
        phases=tuple(_phase(phase, devices) for phase in kernel.phases),
        events={name: amount * devices for name, amount in kernel.events.items()},
    )


def _phase(phase: Phase, devices: int) -> Phase:
    def drawn(demands: tuple[Demand, ...]) -> tuple[Demand, ...]:
        return tuple(replace(demand, amount=demand.amount * devices) for demand in demands)

    return replace(phase, load=drawn(phase.load), compute=drawn(phase.compute), store=drawn(phase.store))
