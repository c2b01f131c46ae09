"""Kernels that run together share ports max-min by bytes, in whole picoseconds, and lose no byte."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.engine.fabric import _max_min
from accelsim.mapping.flows import Flow, kernel_time_s
from accelsim.mapping.kernel import Demand, Kernel, Phase, Resource
from accelsim.units import PS_PER_S
from tests.engine.kernels import ends_ps, kernel, resource, run, transfer

GB_PER_S = 1e9
MEMORY = resource("memory", GB_PER_S)


def test_two_equal_memory_bound_kernels_started_together_each_take_twice_as_long() -> None:
    alone = ends_ps(run([MEMORY], transfer("a", Demand("memory", 1_000_000))))["a"]
    together = ends_ps(
        run([MEMORY], transfer("a", Demand("memory", 1_000_000)), transfer("b", Demand("memory", 1_000_000)))
    )
    assert alone == 10**9
    assert together == {"a": 2 * alone, "b": 2 * alone}


def test_a_small_copy_beside_a_large_kernel_ends_in_twice_its_own_time() -> None:
    record = run([MEMORY], transfer("kernel", Demand("memory", 10**9)), transfer("dma", Demand("memory", 10**6)))
    # the copy gets half the port: 1 MB at 0.5 GB/s; the kernel loses exactly the copy's bytes
    assert ends_ps(record) == {"dma": 2 * 10**9, "kernel": 10**12 + 10**9}


def test_a_third_stream_that_arrives_midway_matches_the_hand_calculation() -> None:
    # 0-2 ms: a and b at 0.5 MB/ms. From 2 ms three at 1/3: a (3 MB, 2 left) would need 6 ms, c (1 MB) 3 ms.
    # 5 ms: c ends; a has 1 MB left, b (5 MB) has 3. At 1/2 each a ends at 7 ms; b has 2 left, alone until 9 ms.
    record = run(
        [MEMORY],
        transfer("a", Demand("memory", 3_000_000)),
        transfer("b", Demand("memory", 5_000_000)),
        transfer("c", Demand("memory", 1_000_000), launch_s=2e-3),
    )
    assert ends_ps(record) == pytest.approx({"c": 5 * 10**9, "a": 7 * 10**9, "b": 9 * 10**9}, abs=3)


def test_what_a_capped_flow_cannot_use_goes_to_the_others() -> None:
    record = run(
        [MEMORY],
        transfer("narrow", Demand("memory", 1_000_000, share=0.2)),
        transfer("a", Demand("memory", 2_000_000)),
        transfer("b", Demand("memory", 2_000_000)),
    )
    # 0.2 + 0.4 + 0.4: all three last 5 ms and the port is never idle
    assert ends_ps(record) == pytest.approx(dict.fromkeys(("narrow", "a", "b"), 5 * 10**9), abs=2)


def mixture(name: str, amount: int, most: float, share: float = 1.0) -> Kernel:
    """A kernel that loads as much as it stores, in one flow that draws at most a part of the rate."""
    demand = Demand("memory", amount // 2, share)
    phase = Phase(
        name="all", steps=1000, buffers=2, load=(demand,), store=(demand,), stores=1000, fill=False, drain=False,
        most={"memory": most}, priced_by="test",
    )  # fmt: skip
    return kernel(name, phase)


def test_loads_and_stores_draw_together_what_their_mixture_may() -> None:
    assert ends_ps(run([MEMORY], mixture("a", 1_000_000, 0.8)))["a"] == pytest.approx(1.25e9, rel=1e-9)
    # a narrow one is held by its own share, the mixture takes nothing from it
    assert ends_ps(run([MEMORY], mixture("a", 1_000_000, 0.8, share=0.5)))["a"] == pytest.approx(2e9, rel=1e-9)


def test_mixtures_share_the_time_of_the_memory_and_never_more() -> None:
    two = run([MEMORY], mixture("a", 1_000_000, 0.8), mixture("b", 1_000_000, 0.8))
    assert ends_ps(two) == pytest.approx({"a": 2.5e9, "b": 2.5e9}, rel=1e-9)
    # each has half of the time: 0.4 and 0.5 MB/ms; what b leaves after 2 ms goes to a, at 0.8
    beside = run([MEMORY], mixture("a", 1_000_000, 0.8), transfer("b", Demand("memory", 1_000_000)))
    assert ends_ps(beside) == pytest.approx({"b": 2e9, "a": 2e9 + 0.25e9}, rel=1e-9)
    narrow = run([MEMORY], mixture("a", 400_000, 0.8, share=0.4), mixture("b", 400_000, 0.8, share=0.4))
    assert ends_ps(narrow) == pytest.approx({"a": 1e9, "b": 1e9}, rel=1e-9)


def test_a_flow_held_up_elsewhere_does_not_hold_its_share_of_the_memory() -> None:
    slow = resource("slow", 0.1e9)
    record = run(
        [MEMORY, slow],
        transfer("both", Demand("memory", 1_000_000), Demand("slow", 1_000_000)),
        transfer("memory-only", Demand("memory", 9_000_000)),
    )
    assert ends_ps(record) == pytest.approx({"both": 10**10, "memory-only": 10**10}, abs=2)


def test_three_ports_in_a_row_leave_nothing_unused() -> None:
    # h is held to 0.01 by z (shared with k), so that y has 0.09 left for g, and x the rest for f
    x, y, z = resource("x", 1e9), resource("y", 0.1e9), resource("z", 0.02e9)
    record = run(
        [x, y, z],
        transfer("f", Demand("x", 910_000)),
        transfer("g", Demand("x", 90_000), Demand("y", 90_000)),
        transfer("h", Demand("y", 10_000), Demand("z", 10_000)),
        transfer("k", Demand("z", 10_000)),
    )
    assert ends_ps(record) == pytest.approx(dict.fromkeys("fghk", 10**9), abs=4)


def test_ties_end_in_the_same_picosecond_and_the_order_of_kernels_does_not_matter() -> None:
    names = ["a", "b", "c", "d"]
    forward = run([MEMORY], *(transfer(n, Demand("memory", 1000 + 7 * i)) for i, n in enumerate(names)))
    backward = run([MEMORY], *reversed([transfer(n, Demand("memory", 1000 + 7 * i)) for i, n in enumerate(names)]))
    assert ends_ps(forward) == ends_ps(backward)
    equal = ends_ps(run([MEMORY], *(transfer(n, Demand("memory", 1001)) for n in names)))
    assert set(equal.values()) == {4 * 1_001_000}


def test_a_kernel_takes_the_same_picoseconds_wherever_it_starts() -> None:
    ports = [resource("memory", 3.35e12), resource("tensor", 1.7e11, "clk")]
    phase = Phase(
        name="main",
        steps=7,
        buffers=2,
        load=(Demand("memory", 123_457),),
        compute=(Demand("tensor", 7_919),),
        latency_s=374e-9,
        priced_by="test",
    )
    alone = ends_ps(run(ports, kernel("k", phase)))["k"]
    for offset in (1, 999, 123_456_789_123):
        first = transfer("first", launch_s=offset / PS_PER_S)
        record = run(ports, first, kernel("k", phase, after=("first",)))
        assert ends_ps(record)["k"] - ends_ps(record)["first"] == alone
        assert ends_ps(record)["first"] == offset


amounts = st.integers(1, 10**7)
shares = st.sampled_from([1.0, 0.5, 0.1, 1 / 3])
PORTS = [resource("p", 1e9), resource("q", 3.7e9), resource("r", 0.11e9)]


@st.composite
def kernels(draw: st.DrawFn) -> list[Kernel]:
    """Two to five kernels on up to three ports, starting at different moments, some with a pipeline."""
    result = []
    for index in range(draw(st.integers(2, 5))):
        steps = draw(st.integers(1, 12))

        def demands() -> tuple[Demand, ...]:
            used = draw(st.lists(st.sampled_from(PORTS), unique=True, max_size=3))
            return tuple(Demand(port.name, draw(amounts), draw(shares)) for port in used)

        phase = Phase(
            name="main",
            steps=steps,
            buffers=draw(st.integers(1, 4)),
            load=demands(),
            compute=demands(),
            store=demands(),
            stores=draw(st.integers(1, steps)),
            latency_s=draw(st.sampled_from([0.0, 1e-6])),
            priced_by="test",
        )
        launch = draw(st.sampled_from([0.0, 1e-6, 1e-4, 3.3e-3]))
        result.append(kernel(f"k{index}", phase, launch_s=launch))
    return result


@given(kernels())
def test_no_port_exceeds_its_rate_and_no_byte_is_lost_or_invented(made: list[Kernel]) -> None:
    record = run(PORTS, *made)
    served = {port.name: 0 for port in PORTS}
    ended = {port.name: 0 for port in PORTS}
    for row in record.rows:
        assert all(isinstance(value, int) for value in (row.start_ps, row.end_ps, row.amount))
        assert row.start_ps < row.end_ps
        assert row.start_ps >= ended[row.resource], "rows of one resource overlap"
        ended[row.resource] = row.end_ps
        served[row.resource] += row.amount
        rate = next(port.rate for port in PORTS if port.name == row.resource)
        # whole units are booked: each kernel may carry a fraction of one into the next row
        assert row.amount <= rate * (row.end_ps - row.start_ps) / PS_PER_S * (1 + 1e-9) + len(made)
    assert served == {port.name: sum(k.demand(port.name) for k in made) for port in PORTS}


@given(kernels())
def test_company_never_helps_and_the_whole_is_no_faster_than_its_bounds(made: list[Kernel]) -> None:
    by_name = {port.name: port for port in PORTS}
    record = run(PORTS, *made)
    for ran_kernel, ran in record.kernels.items():
        alone = kernel_time_s(ran_kernel, by_name) * PS_PER_S
        assert ran.end_ps - ran.start_ps >= alone * (1 - 1e-9) - 2
        assert sum(ran.limits_ps.values()) == ran.end_ps - ran.start_ps
    for port in PORTS:
        assert record.duration_ps >= sum(k.demand(port.name) for k in made) / port.rate * PS_PER_S * (1 - 1e-9) - 1


@given(kernels())
def test_the_same_kernels_give_the_same_log(made: list[Kernel]) -> None:
    first, second = run(PORTS, *made), run(PORTS, *made)
    assert first.rows == second.rows
    assert first.duration_ps == second.duration_ps
    assert [r.limits_ps for r in first.kernels.values()] == [r.limits_ps for r in second.kernels.values()]


@given(kernels())
def test_a_kernel_alone_takes_the_time_of_the_closed_form(made: list[Kernel]) -> None:
    by_name = {port.name: port for port in PORTS}
    expected = kernel_time_s(made[0], by_name) * PS_PER_S
    # each of four flows is rounded up to a picosecond, each latency to the nearest
    assert run(PORTS, made[0]).duration_ps == pytest.approx(expected, abs=6)


@st.composite
def networks(draw: st.DrawFn) -> tuple[dict[str, Resource], list[Flow]]:
    """Flows over ports of very different rates, not through an engine."""
    count = draw(st.integers(1, 5))
    ports = {f"p{i}": resource(f"p{i}", draw(st.floats(1, 1000))) for i in range(count)}
    flows = []
    for _ in range(draw(st.integers(2, 6))):
        used = draw(st.lists(st.sampled_from(sorted(ports)), min_size=1, unique=True))
        moved = tuple((name, draw(st.integers(1, 1000)), draw(shares)) for name in used)
        alone = max(units / (ports[name].rate * share) for name, units, share in moved)
        flows.append(Flow("steady", moved, alone * draw(st.sampled_from([1.0, 2.0])), "pipeline"))
    return ports, flows


@given(networks())
def test_shares_are_max_min(network: tuple[dict[str, Resource], list[Flow]]) -> None:
    """No port above its rate; who is held below its own cap has a full port on which nobody gets more."""
    ports, flows = network
    caps = [1 / flow.alone_s for flow in flows]
    rates, limits = _max_min(flows, caps, ports)
    drawn = {
        name: [(rates[i] * u, i) for i, f in enumerate(flows) for n, u, _ in f.amounts if n == name] for name in ports
    }
    for name, port in ports.items():
        assert math.fsum(amount for amount, _ in drawn[name]) <= port.rate * (1 + 1e-9)
    for index, flow in enumerate(flows):
        assert rates[index] <= caps[index] * (1 + 1e-12)
        if rates[index] >= caps[index] * (1 - 1e-9):
            continue
        bottleneck = limits[index]
        mine = rates[index] * next(units for name, units, _ in flow.amounts if name == bottleneck)
        assert math.fsum(amount for amount, _ in drawn[bottleneck]) >= ports[bottleneck].rate * (1 - 1e-9)
        assert all(mine >= amount * (1 - 1e-9) for amount, _ in drawn[bottleneck])
