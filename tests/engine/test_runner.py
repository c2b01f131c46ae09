"""Segments, waits between kernels and phases, replay of what recurs, and plans that cannot run."""

from __future__ import annotations

import pytest

from accelsim.engine.runner import Runner
from accelsim.errors import ScheduleError
from accelsim.mapping.kernel import Demand, Kernel, Phase, Plan, Segment, Stage
from tests.engine.kernels import ends_ps, kernel, resource, run, transfer

MEMORY = resource("memory", 1e9)
TENSOR = resource("tensor", 1e9, "clk")


def phase(name: str, resource_name: str, amount: int, after: tuple[str, ...] | None) -> Phase:
    """One step on one resource."""
    return Phase(name=name, steps=1, buffers=1, load=(Demand(resource_name, amount),), after=after, priced_by="test")


def test_by_default_a_kernel_waits_for_the_one_before() -> None:
    record = run(
        [MEMORY],
        transfer("a", Demand("memory", 1000), after=None),
        transfer("b", Demand("memory", 500), launch_s=1e-6, after=None),
    )
    assert ends_ps(record) == {"a": 10**6, "b": 2 * 10**6 + 500_000}


def test_a_kernel_waits_for_all_that_it_names() -> None:
    record = run(
        [MEMORY, TENSOR],
        transfer("a", Demand("memory", 1000)),
        transfer("b", Demand("tensor", 3000)),
        transfer("c", Demand("memory", 10), after=("a", "b")),
    )
    assert ends_ps(record)["c"] == 3 * 10**6 + 10_000


def test_phases_that_wait_for_nothing_run_beside_each_other() -> None:
    record = run(
        [MEMORY, TENSOR],
        kernel(
            "k",
            phase("first", "memory", 1000, None),
            phase("beside", "tensor", 2500, ()),
            phase("then", "memory", 100, ("first", "beside")),
        ),
    )
    assert ends_ps(record) == {"k": 2_500_000 + 100_000}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([transfer("a", after=("ghost",))], "'ghost'"),
        ([transfer("a", after=("a",))], "'a'"),
        ([transfer("a", after=("b",)), transfer("b", after=("a",))], "'b'"),
        ([transfer("a"), transfer("a")], "twice"),
        ([kernel("k", phase("p", "memory", 1, ("ghost",)))], "'ghost'"),
        ([kernel("k", phase("p", "memory", 1, ("q",)), phase("q", "memory", 1, ("p",)))], "'q'"),
        ([kernel("k", phase("p", "memory", 1, ()), phase("p", "memory", 9, ()))], "one name"),
    ],
    ids=["unknown", "itself", "cycle", "duplicate", "unknown phase", "cycle of phases", "duplicate phase"],
)
def test_a_plan_that_cannot_run_says_who_waits_for_whom(made: list[Kernel], said: str) -> None:
    with pytest.raises(ScheduleError, match=said):
        run([MEMORY], *made)


@pytest.mark.parametrize("part", ["load", "compute", "store"])
def test_a_resource_stands_once_in_each_part_of_a_phase(part: str) -> None:
    with pytest.raises(ValueError, match=f"twice in {part}"):
        Phase(name="p", steps=2, buffers=1, priced_by="", **{part: (Demand("memory", 1), Demand("memory", 2))})


@pytest.mark.parametrize(("steps", "buffers", "stores"), [(0, 1, 1), (1, 0, 1), (2, 1, 3), (2, 1, 0)])
def test_a_phase_has_at_least_one_step_one_buffer_and_one_store(steps: int, buffers: int, stores: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Phase(name="p", steps=steps, buffers=buffers, stores=stores, priced_by="")


def _plan(repeat: int) -> Plan:
    shared = Segment((transfer("a", Demand("memory", 1001), launch_s=1e-7),))
    pair = Segment((transfer("b", Demand("memory", 999)), transfer("c", Demand("memory", 37), launch_s=2e-8)))
    return Plan(
        "test", (Stage("head", 1, (shared,)), Stage("group", repeat, (pair, shared)), Stage("tail", 1, (pair,)))
    )


def test_folding_replays_what_recurs_with_the_same_times() -> None:
    ports = {"memory": MEMORY}
    folded, plain = Runner(ports), Runner(ports, fold=False)
    short, long = folded.run(_plan(5)), plain.run(_plan(5))
    assert folded.now_ps == plain.now_ps
    assert [stage.repeat for stage in short] == [1, 5, 1]
    assert len(long) == 7
    spread = [
        (stage.start_ps + turn * stage.period_ps + offset, record.rows)
        for stage in short
        for turn in range(stage.repeat)
        for offset, record in stage.records
    ]
    assert spread == [(stage.start_ps + offset, record.rows) for stage in long for offset, record in stage.records]


def test_events_are_counted_and_folding_schedules_fewer() -> None:
    ports = {"memory": MEMORY}
    folded, plain, once = Runner(ports), Runner(ports, fold=False), Runner(ports)
    folded.run(_plan(50))
    plain.run(_plan(50))
    once.run(_plan(1))
    assert folded.events == once.events > 0
    assert plain.events > 20 * folded.events


def test_progress_tells_the_picoseconds_simulated() -> None:
    told: list[int] = []
    runner = Runner({"memory": MEMORY}, on_event=told.append)
    runner.run(_plan(3))
    assert told == sorted(told)
    assert told[-1] == runner.now_ps
