"""Runs plans: kernels as processes, segments one after the other, and replay of what recurs.

A segment starts and ends with an idle machine, and a phase counts its time from its own start. So a
segment that starts again in the same state takes the same picoseconds: it is looked up, not run again.
What is left of the past is where the clocks of its phases stand, such as that of refresh: a stage with clocks is
not multiplied, and each repetition is looked up by them. `fold=False` runs everything, with identical numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from accelsim.engine.fabric import Fabric
from accelsim.engine.log import Log, Row
from accelsim.errors import ScheduleError
from accelsim.mapping.flows import LATENCY, LAUNCH, MODE, flows
from accelsim.mapping.kernel import Kernel, Phase, Plan, Resource, Segment
from accelsim.units import seconds_to_ps


@dataclass(slots=True)
class KernelRecord:
    """When a kernel ran inside its segment and what limited it for how long."""

    start_ps: int
    end_ps: int = 0
    limits_ps: dict[str, int] = field(default_factory=dict)

    def add(self, limit: str, duration_ps: int) -> None:
        """Books time to the thing that set the pace."""
        if duration_ps:
            self.limits_ps[limit] = self.limits_ps.get(limit, 0) + duration_ps


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """One run of a segment, in time counted from its start.

    Attributes:
        duration_ps: until its last kernel has ended.
        kernels: what became of each.
        rows: what happened on the resources.
        blocked_ps: by resource, time that kernels waited for its mode, summed over them.
    """

    duration_ps: int
    kernels: Mapping[Kernel, KernelRecord]
    rows: tuple[Row, ...]
    blocked_ps: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Executed:
    """Segments of a stage that ran `repeat` times.

    Attributes:
        start_ps: start of the first repetition.
        period_ps: from one repetition to the next.
        repeat: repetitions.
        records: one per segment, with its offset inside the repetition.
    """

    start_ps: int
    period_ps: int
    repeat: int
    records: tuple[tuple[int, SegmentRecord], ...]


class Runner:
    """Executes plans on one set of resources.

    Args:
        resources: by name.
        fold: replay recurring segments instead of running them again.
        on_event: called now and then with the picoseconds simulated, for a progress bar.
    """

    def __init__(
        self, resources: Mapping[str, Resource], *, fold: bool = True, on_event: Callable[[int], None] | None = None
    ) -> None:
        self.resources = resources
        self.fold = fold
        self.now_ps = 0
        self.events = 0
        self._on_event = on_event
        self._seen: dict[tuple[Segment, tuple[int, ...]], SegmentRecord] = {}
        self._clocks: dict[Segment, tuple[int, ...]] = {}

    def run(self, plan: Plan) -> list[Executed]:
        """Runs a plan from the current time on; returns what happened, stage by stage."""
        done: list[Executed] = []
        for stage in plan.stages:
            times = stage.repeat if self.fold and not any(map(self._periods, stage.segments)) else 1
            for _ in range(stage.repeat // times):
                records, duration = self._pass(stage.segments)
                done.append(Executed(self.now_ps, duration, times, records))
                self.now_ps += duration * times
            if self._on_event:
                self._on_event(self.now_ps)
        return done

    def _pass(self, segments: tuple[Segment, ...]) -> tuple[tuple[tuple[int, SegmentRecord], ...], int]:
        offset = 0
        records = []
        for segment in segments:
            record = self._segment(segment, self.now_ps + offset)
            records.append((offset, record))
            offset += record.duration_ps
        return tuple(records), offset

    def _periods(self, segment: Segment) -> tuple[int, ...]:
        periods = self._clocks.get(segment)
        if periods is None:
            for kernel in segment.kernels:
                self._check_resources(kernel)
            periods = self._clocks[segment] = segment.periods_ps
        return periods

    def _segment(self, segment: Segment, now_ps: int) -> SegmentRecord:
        # the machine is idle between segments: all that it remembers is where its clocks stand
        key = (segment, tuple(now_ps % period for period in self._periods(segment)))
        record = self._seen.get(key) if self.fold else None
        if record is None:
            record = self._simulate(segment, now_ps)
            if self.fold:
                self._seen[key] = record
        return record

    def _check_resources(self, kernel: Kernel) -> None:
        for phase in kernel.phases:
            names = [demand.resource for demand in phase.demands()]
            for name in names if phase.holds is None else (*names, phase.holds):
                if name not in self.resources:
                    raise ScheduleError(
                        f"kernel {kernel.name}, phase {phase.name}: no resource {name!r}; "
                        f"there are {', '.join(self.resources)}"
                    )

    def _simulate(self, segment: Segment, now_ps: int) -> SegmentRecord:
        env = _Environment()
        log = Log()
        fabric = Fabric(env, self.resources, log)
        records: dict[Kernel, KernelRecord] = {}
        running: dict[str, simpy.Process] = {}
        previous: str | None = None
        for kernel in segment.kernels:
            waits = ((previous,) if previous else ()) if kernel.after is None else kernel.after
            unknown = [name for name in waits if name not in running]
            if unknown:
                raise ScheduleError(f"kernel {kernel.name} waits for {unknown[0]!r}, which does not run before it")
            if kernel.name in running:
                raise ScheduleError(f"kernel {kernel.name} stands twice in one segment")
            machine = _Machine(env, fabric, self.resources, now_ps)
            process = env.process(_kernel(machine, kernel, [running[w] for w in waits], records))
            running[kernel.name] = process
            previous = kernel.name
        env.run()
        stuck = fabric.modes.stuck()
        if stuck is not None:
            raise ScheduleError(
                f"kernel {stuck.label} waits for ever for the mode of {stuck.blocker}: phases that hold memories "
                "wait for each other; let a phase use no memory that another one holds while that one uses its own"
            )
        if fabric.signature():
            raise ScheduleError("a segment ended with work still under way")
        self.events += env.scheduled
        ordered = {kernel: records[kernel] for kernel in segment.kernels}
        end = max((record.end_ps for record in ordered.values()), default=0)
        return SegmentRecord(end, ordered, log.take(), fabric.modes.blocked_ps)


class _Environment(simpy.Environment):
    """SimPy's environment with a count of the events scheduled."""

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self.scheduled = 0

    def schedule(self, *args: Any, **kwargs: Any) -> None:
        self.scheduled += 1
        super().schedule(*args, **kwargs)


Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class _Machine:
    """What the processes of a segment share; it began at `since_ps`."""

    env: simpy.Environment
    fabric: Fabric
    resources: Mapping[str, Resource]
    since_ps: int

    @property
    def now_ps(self) -> int:
        """Absolute time."""
        return self.since_ps + int(self.env.now)


def _kernel(
    machine: _Machine, kernel: Kernel, waits: list[simpy.Process], records: dict[Kernel, KernelRecord]
) -> Process:
    """One kernel: wait, launch, then its phases in their order."""
    for process in waits:
        if not process.processed:
            yield process
    names = [phase.name for phase in kernel.phases]
    if len(set(names)) < len(names):
        raise ScheduleError(f"kernel {kernel.name}: two phases have one name ({', '.join(names)})")
    env = machine.env
    record = records[kernel] = KernelRecord(int(env.now))
    launch = seconds_to_ps(kernel.launch_s)
    if launch:
        yield env.timeout(launch)
        record.add(LAUNCH, launch)
    if all(phase.after is None for phase in kernel.phases):
        for phase in kernel.phases:
            yield from _phase(machine, kernel.name, phase, record)
    else:
        running: dict[str, simpy.Process] = {}
        previous: str | None = None
        for phase in kernel.phases:
            waited = ((previous,) if previous else ()) if phase.after is None else phase.after
            missing = [name for name in waited if name not in running]
            if missing:
                raise ScheduleError(
                    f"kernel {kernel.name}: phase {phase.name} waits for {missing[0]!r}, which is not before it"
                )
            before = [running[name] for name in waited]
            running[phase.name] = env.process(_waiting_phase(machine, kernel.name, phase, record, before))
            previous = phase.name
        for process in running.values():
            if not process.processed:
                yield process
    record.end_ps = int(env.now)


def _waiting_phase(
    machine: _Machine, label: str, phase: Phase, record: KernelRecord, waits: list[simpy.Process]
) -> Process:
    for process in waits:
        if not process.processed:
            yield process
    yield from _phase(machine, label, phase, record)


def _phase(machine: _Machine, label: str, phase: Phase, record: KernelRecord) -> Process:
    """Fill, steady part, drain and store, each shared with whatever else runs."""
    env, fabric = machine.env, machine.fabric
    if phase.holds is not None:
        asked = env.now
        yield fabric.hold(phase.holds, label)
        record.add(MODE, int(env.now - asked))
    for flow in flows(phase.at(machine.now_ps), machine.resources):
        if flow.latency_s:
            wait = seconds_to_ps(flow.latency_s)
            yield env.timeout(wait)
            record.add(LATENCY, wait)
        if flow.amounts:
            active = fabric.start(flow, label, phase.holds)
            yield active.done
            for limit, duration in active.limits_ps.items():
                record.add(limit, duration)
    if phase.holds is not None:
        fabric.modes.release(phase.holds)
