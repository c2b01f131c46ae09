"""Among ways to run an operator, the one that is fastest alone on an idle chip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from accelsim.graph.operator import Operator
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.gpu.events import energy_events
from accelsim.mapping.gpu.pairs import Pair
from accelsim.mapping.kernel import Alternative, Kernel, Resource


def fastest(candidates: Iterable[Kernel], op: Operator, pair: Pair, resources: Mapping[str, Resource]) -> Kernel:
    """The chosen kernel, with its energy counters and all alternatives, fastest first.

    Args:
        candidates: at least one; `events["vector"]` holds vector operations beyond the operator's own, and
            `choice["label"]` names the way.
        op: the operator.
        pair: how its operands meet.
        resources: of the chip.
    """
    timed = [(kernel_time_s(kernel, resources), index, kernel) for index, kernel in enumerate(candidates)]
    _, _, best = min(timed, key=lambda item: item[:2])
    return replace(
        best,
        events=energy_events(best.phases, op, pair, best.events["vector"]),
        alternatives=tuple(Alternative(str(kernel.choice["label"]), seconds) for seconds, _, kernel in sorted(timed)),
    )
