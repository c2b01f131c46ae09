"""A memory with modes: holders wait for the drain, normal accesses for the end of the hold, in the order of arrival."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.engine.runner import Runner, SegmentRecord
from accelsim.errors import ScheduleError
from accelsim.mapping.kernel import Demand, Kernel, Phase, Plan, Segment, Stage
from tests.engine.kernels import ends_ps, kernel, resource, run, transfer

GB_PER_S = 1e9
MEMORY, OTHER = resource("memory", GB_PER_S), resource("other", GB_PER_S)
UNITS = resource("memory.pim", GB_PER_S, "clk")
PORTS = [MEMORY, OTHER, UNITS]
NS = 1000
"""Picoseconds that a byte or a cycle takes here."""


def holder(
    name: str,
    cycles: int,
    *,
    at_ns: int = 0,
    memory: str = "memory",
    also: str | None = None,
    after: tuple[str, ...] = (),
) -> Kernel:
    """Computes in a memory for that many nanoseconds, from `at_ns` on."""
    compute = (Demand("memory.pim", cycles),)
    load = (Demand(also, 1),) if also else ()
    phase = Phase(name="pim", steps=1, buffers=1, load=load, compute=compute, holds=memory, priced_by="test")
    return kernel(name, phase, launch_s=at_ns * 1e-9, after=after)


def access(name: str, count: int, *, at_ns: int = 0, memory: str = "memory") -> Kernel:
    """Reads that many bytes, a nanosecond each, from `at_ns` on."""
    return transfer(name, Demand(memory, count), launch_s=at_ns * 1e-9)


def waited_ns(record: SegmentRecord) -> dict[str, int]:
    """Nanoseconds that each kernel waited for a mode."""
    return {made.name: ran.limits_ps.get("mode", 0) // NS for made, ran in record.kernels.items()}


def test_an_access_while_a_kernel_holds_the_memory_is_delayed_by_exactly_what_remains() -> None:
    alone = ends_ps(run(PORTS, access("host", 500, at_ns=377)))["host"]
    record = run(PORTS, holder("pim", 1000), access("host", 500, at_ns=377))
    remaining = (1000 - 377) * NS
    assert ends_ps(record) == {"pim": 1000 * NS, "host": alone + remaining}
    assert record.blocked_ps == {"memory": remaining}
    (ran,) = [ran for made, ran in record.kernels.items() if made.name == "host"]
    assert ran.limits_ps == {"launch": 377 * NS, "mode": remaining, "memory": 500 * NS}


def test_a_kernel_that_holds_waits_for_the_drain_and_later_accesses_for_it() -> None:
    record = run(PORTS, access("first", 800), holder("pim", 300, at_ns=100), access("second", 50, at_ns=200))
    assert ends_ps(record) == {"first": 800 * NS, "pim": 1100 * NS, "second": 1150 * NS}
    assert waited_ns(record) == {"first": 0, "pim": 700, "second": 900}
    assert record.blocked_ps == {"memory": 1600 * NS}


def test_what_is_under_way_is_shared_as_ever_and_all_of_it_is_drained() -> None:
    record = run(PORTS, access("a", 400), access("b", 600), holder("pim", 10, at_ns=1))
    assert ends_ps(record) == {"a": 800 * NS, "b": 1000 * NS, "pim": 1010 * NS}


def test_holders_come_one_after_the_other_in_the_order_of_their_requests() -> None:
    record = run(PORTS, holder("late", 100, at_ns=20), holder("first", 500), holder("early", 100, at_ns=10))
    assert ends_ps(record) == {"first": 500 * NS, "early": 600 * NS, "late": 700 * NS}
    assert waited_ns(record) == {"first": 0, "early": 490, "late": 580}


def test_nobody_passes_an_earlier_request_that_stands_in_its_way() -> None:
    record = run(
        PORTS,
        holder("a", 500),
        access("x", 100, at_ns=10),
        access("y", 100, at_ns=20),
        holder("b", 300, at_ns=30),
        access("z", 50, at_ns=40),
    )
    # x and y share the port from 500 to 700 ns, then b, then z
    assert ends_ps(record) == {"a": 500 * NS, "x": 700 * NS, "y": 700 * NS, "b": 1000 * NS, "z": 1050 * NS}


def test_other_memories_stay_free_but_who_uses_both_waits() -> None:
    both = transfer("both", Demand("memory", 10), Demand("other", 10), launch_s=1e-9)
    record = run(PORTS, holder("pim", 100), both, access("free", 40, memory="other"))
    assert ends_ps(record) == {"pim": 100 * NS, "both": 110 * NS, "free": 40 * NS}
    # a holder of `other` that came later than `both` does not pass it
    record = run(PORTS, holder("pim", 100), both, holder("second", 5, at_ns=2, memory="other"))
    assert ends_ps(record) == {"pim": 100 * NS, "both": 110 * NS, "second": 115 * NS}
    assert record.blocked_ps == {"memory": 99 * NS, "other": 108 * NS}


def test_a_phase_that_holds_uses_the_memory_itself() -> None:
    record = run(PORTS, holder("pim", 100, also="memory"), access("host", 7, at_ns=50))
    assert ends_ps(record) == {"pim": 101 * NS, "host": 108 * NS}
    assert waited_ns(record) == {"pim": 0, "host": 51}


def test_phases_hold_one_by_one_and_let_others_in_between() -> None:
    halves = [
        Phase(name=n, steps=1, buffers=1, compute=(Demand("memory.pim", 100),), holds="memory", priced_by="test")
        for n in ("one", "two")
    ]
    record = run(PORTS, kernel("pim", *halves), access("host", 30, at_ns=10))
    assert ends_ps(record) == {"host": 130 * NS, "pim": 230 * NS}
    assert waited_ns(record) == {"pim": 30, "host": 90}


def test_a_hold_that_nobody_meets_costs_nothing() -> None:
    phase = Phase(name="p", steps=3, buffers=2, load=(Demand("memory", 999),), latency_s=1e-8, priced_by="test")
    held = Phase(
        name="p", steps=3, buffers=2, load=(Demand("memory", 999),), latency_s=1e-8, holds="memory", priced_by="test"
    )
    free, alone = run(PORTS, kernel("k", phase)), run(PORTS, kernel("k", held))
    assert free.rows == alone.rows
    assert free.duration_ps == alone.duration_ps
    assert free.blocked_ps == alone.blocked_ps == {}


def test_kernels_that_hold_what_the_other_one_uses_are_named() -> None:
    crossed = (holder("p", 10, also="other"), holder("q", 10, memory="other", also="memory"))
    with pytest.raises(ScheduleError, match="kernel p waits for ever for the mode of other"):
        run(PORTS, *crossed)


def test_a_memory_that_does_not_exist_cannot_be_held() -> None:
    with pytest.raises(ScheduleError, match="'ghost'"):
        run(PORTS, holder("pim", 1, memory="ghost"))


def test_folding_multiplies_holds_and_waits() -> None:
    segment = Segment((holder("pim", 100), access("host", 10, at_ns=40)))
    plan = Plan("test", (Stage("group", 7, (segment,)),))
    folded, plain = (Runner({port.name: port for port in PORTS}, fold=fold) for fold in (True, False))
    (short,), long = folded.run(plan), plain.run(plan)
    assert folded.now_ps == plain.now_ps == 7 * 110 * NS
    assert (short.repeat, len(long)) == (7, 7)
    assert {record.blocked_ps["memory"] for stage in (short, *long) for _, record in stage.records} == {60 * NS}
    assert plain.events == 7 * folded.events > 0


asked = st.lists(
    st.tuples(st.booleans(), st.integers(0, 60), st.integers(1, 40), st.sampled_from(["memory", "other"])),
    min_size=1, max_size=8,
)  # fmt: skip


@given(asked)
def test_holds_never_overlap_with_anything_else_on_their_memory(made: list[tuple[bool, int, int, str]]) -> None:
    """Each holder has units of its own here, so that its interval is that of a row of the log."""
    units = [resource(f"u{i}", GB_PER_S, "clk") for i in range(len(made))]
    kernels = []
    for i, (holds, at, size, memory) in enumerate(made):
        if holds:
            phase = Phase(
                name="p", steps=1, buffers=1, compute=(Demand(f"u{i}", size),), holds=memory, priced_by="test"
            )
            kernels.append(kernel(f"k{i}", phase, launch_s=at * 1e-9))
        else:
            kernels.append(access(f"k{i}", size, at_ns=at, memory=memory))
    record = run([MEMORY, OTHER, *units], *kernels)
    held = {f"u{i}": memory for i, (holds, _, _, memory) in enumerate(made) if holds}
    spans = [(row.start_ps, row.end_ps, row.resource, held.get(row.resource, row.resource)) for row in record.rows]
    for first in spans:
        for second in spans:
            if first[2] != second[2] and first[3] == second[3] and (first[2] in held or second[2] in held):
                assert first[1] <= second[0] or second[1] <= first[0]
    waits = [ran.limits_ps.get("mode", 0) for ran in record.kernels.values()]
    assert sum(record.blocked_ps.values()) == sum(waits)
    assert all(sum(ran.limits_ps.values()) == ran.end_ps - ran.start_ps for ran in record.kernels.values())
    for ours, (holds, at, size, _) in zip(record.kernels.values(), made, strict=True):
        if holds:
            assert ours.end_ps == at * NS + ours.limits_ps.get("mode", 0) + size * NS
