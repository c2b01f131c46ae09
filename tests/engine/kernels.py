"""Kernels made by hand, for tests of the engine: no graph and no mapping behind them."""

from __future__ import annotations

from accelsim.engine.runner import Runner, SegmentRecord
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.kernel import Demand, Kernel, Phase, Plan, Resource, Segment, Stage

NOTHING = Operator(name="made-by-hand", kind=Kind.ADD, dims={}, inputs=(), outputs=())


def resource(name: str, rate: float, unit: str = "B") -> Resource:
    """One unit that serves `rate` per second."""
    return Resource(name, unit, rate, 1, "memory", "memory")


def transfer(name: str, *demands: Demand, launch_s: float = 0.0, after: tuple[str, ...] | None = ()) -> Kernel:
    """A kernel of one step that only loads; it starts with its segment unless `after` says otherwise."""
    phase = Phase(name="all", steps=1, buffers=1, load=demands, priced_by="test")
    return kernel(name, phase, launch_s=launch_s, after=after)


def kernel(name: str, *phases: Phase, launch_s: float = 0.0, after: tuple[str, ...] | None = ()) -> Kernel:
    """A kernel of the given phases."""
    return Kernel(
        name=name,
        operator=NOTHING,
        launch_s=launch_s,
        phases=phases,
        events={},
        priced_by="test",
        constants=(),
        after=after,
    )


def run(resources: list[Resource], *kernels: Kernel) -> SegmentRecord:
    """One segment on an idle machine."""
    runner = Runner({r.name: r for r in resources})
    (executed,) = runner.run(Plan("test", (Stage("only", 1, (Segment(kernels),)),)))
    return executed.records[0][1]


def ends_ps(record: SegmentRecord) -> dict[str, int]:
    """End of every kernel by name."""
    return {kernel.name: ran.end_ps for kernel, ran in record.kernels.items()}
