"""Phases whose demand depends on when they start: asked at their start, looked up by where the clock stands."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.engine.runner import Executed, Runner
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.kernel import Demand, Kernel, Phase, Plan, Resource, Segment, Stage
from tests.engine.kernels import kernel, resource, transfer

MEMORY, UNITS = resource("memory", 1e9), resource("memory.pim", 1e9, "clk")
PORTS: dict[str, Resource] = {"memory": MEMORY, "memory.pim": UNITS}
NS = 1000


@dataclass(frozen=True)
class Refreshed:
    """Cycles of a nanosecond, and 30 more for each multiple of the period that falls into them."""

    cycles: int
    period_ns: int = 100
    asked: list[int] = field(default_factory=list, compare=False)

    @property
    def period_ps(self) -> int:
        return self.period_ns * NS

    def amounts(self, since_ps: int) -> tuple[Demand, ...]:
        self.asked.append(since_ps)
        at, end = since_ps, since_ps + self.cycles * NS
        while at // self.period_ps < end // self.period_ps:
            at = (at // self.period_ps + 1) * self.period_ps
            end += 30 * NS
        return (Demand("memory.pim", (end - since_ps) // NS),)


def pim(name: str, clock: Refreshed, *, at_ns: int = 0, holds: str | None = None) -> Kernel:
    phase = Phase(name="pim", steps=1, buffers=1, clocked=clock, holds=holds, priced_by="test")
    return kernel(name, phase, launch_s=at_ns * 1e-9, after=None)


def lengths(done: list[Executed]) -> list[int]:
    return [stage.period_ps // NS for stage in done for _ in range(stage.repeat)]


def test_the_demand_is_that_of_the_absolute_start() -> None:
    runner = Runner(PORTS)
    plan = Plan("test", (Stage("group", 4, (Segment((pim("k", Refreshed(70)),)),)),))
    # 0-70; 70-170 with a multiple at 100; 170-270 with one at 200; 270-370 with one at 300
    assert lengths(runner.run(plan)) == [70, 100, 100, 100]
    assert runner.now_ps == 370 * NS


def test_a_phase_that_waits_to_hold_its_memory_starts_behind_the_wait() -> None:
    clock = Refreshed(20)
    runner = Runner(PORTS)
    beside = Segment((transfer("host", Demand("memory", 90)), pim("k", clock, at_ns=10, holds="memory")))
    second = kernel("k", pim("k", clock, holds="memory").phases[0], launch_s=1e-8, after=())
    runner.run(Plan("test", (Stage("only", 1, (Segment((beside.kernels[0], second)),)),)))
    assert clock.asked[-1] == 90 * NS
    assert runner.now_ps == (90 + 20 + 30) * NS


def test_equal_states_of_the_clock_are_looked_up_and_others_are_run() -> None:
    runner = Runner(PORTS)
    even = Stage("group", 50, (Segment((pim("k", Refreshed(25)),)),))
    done = runner.run(Plan("test", (even,)))
    # 25, 25, 25 and then 55 across a multiple: starts at 0, 25, 50, 75, 30, 55, 80, ...
    assert runner.events < 30 * 50
    assert len({id(record) for stage in done for _, record in stage.records}) < 25
    assert all(stage.repeat == 1 for stage in done)


def test_a_stage_without_clocks_is_still_multiplied() -> None:
    free = Stage("free", 40, (Segment((transfer("a", Demand("memory", 7)),)),))
    done = Runner(PORTS).run(Plan("test", (free, Stage("group", 3, (Segment((pim("k", Refreshed(7)),)),)))))
    assert [stage.repeat for stage in done] == [40, 1, 1, 1]


def test_in_closed_form_the_clock_stands_at_its_start() -> None:
    made = pim("k", Refreshed(250))
    assert kernel_time_s(made, PORTS) == pytest.approx(250e-9 + 3 * 30e-9)
    assert made.demand("memory.pim") == 340
    assert made.phases[0].at(99 * NS).compute == (Demand("memory.pim", 370),)
    assert made.phases[0].at(1099 * NS) == made.phases[0].at(99 * NS)


def test_a_clock_stands_in_place_of_compute_and_has_a_period() -> None:
    with pytest.raises(ValueError, match="compute must be empty"):
        Phase(name="p", steps=1, buffers=1, compute=(Demand("m", 1),), clocked=Refreshed(1), priced_by="")
    with pytest.raises(ValueError, match="at least 1"):
        Phase(name="p", steps=1, buffers=1, clocked=Refreshed(1, 0), priced_by="")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    stages = []
    for index in range(draw(st.integers(1, 3))):
        segments = []
        for part in range(draw(st.integers(1, 2))):
            made = []
            for place in range(draw(st.integers(1, 3))):
                name = f"k{index}.{part}.{place}"
                launch = draw(st.sampled_from([0, 3, 40]))
                if draw(st.booleans()):
                    clock = Refreshed(draw(st.integers(1, 250)), draw(st.sampled_from([100, 70])))
                    made.append(pim(name, clock, at_ns=launch, holds=draw(st.sampled_from([None, "memory"]))))
                else:
                    made.append(transfer(name, Demand("memory", draw(st.integers(1, 90))), launch_s=launch * 1e-9))
            segments.append(Segment(tuple(made)))
        stages.append(Stage(f"s{index}", draw(st.integers(1, 6)), tuple(segments)))
    return Plan("test", tuple(stages))


@given(plans())
def test_folding_changes_no_picosecond(plan: Plan) -> None:
    folded, plain = Runner(PORTS), Runner(PORTS, fold=False)
    short, long = folded.run(plan), plain.run(plan)
    assert folded.now_ps == plain.now_ps
    assert folded.events <= plain.events
    spread = [
        (stage.start_ps + turn * stage.period_ps + offset, record.rows, record.blocked_ps)
        for stage in short
        for turn in range(stage.repeat)
        for offset, record in stage.records
    ]
    assert spread == [
        (stage.start_ps + offset, record.rows, record.blocked_ps) for stage in long for offset, record in stage.records
    ]
