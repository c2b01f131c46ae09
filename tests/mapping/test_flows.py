"""The closed form of a phase against a step-by-step reference with explicit buffers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accelsim.mapping.flows import flows, kernel_time_s, phase_time_s
from accelsim.mapping.kernel import Demand, Kernel, Phase, Resource
from tests.engine.kernels import NOTHING

PORTS = {name: Resource(name, "B", 1e9, 1, "memory", "memory") for name in ("load", "compute", "store", "other")}
NS = 1e-9


@dataclass(frozen=True, slots=True)
class Steps:
    """Equal steps in nanoseconds: one step of load, compute and store."""

    steps: int
    buffers: int
    load: int
    compute: int
    store: int = 0
    stores: int = 1
    latency: int = 0

    def phase(self) -> Phase:
        """The phase; a port of 1 GB/s moves one byte in a nanosecond."""
        return Phase(
            name="p",
            steps=self.steps,
            buffers=self.buffers,
            load=(Demand("load", self.load * self.steps),),
            compute=(Demand("compute", self.compute * self.steps),),
            store=(Demand("store", self.store * self.stores),),
            stores=self.stores,
            latency_s=self.latency * NS,
            priced_by="test",
        )


def reference_ns(s: Steps) -> int:
    """Every step by itself. A load is asked for once its buffer is free and arrives `latency` later, one after the
    other through the port; a compute follows its load and the compute before; every steps/stores computes a result
    leaves through the store port. With a single buffer the next load also waits for the result to have left."""
    loaded, computed, stored = [], [], 0
    per_store = s.steps // s.stores
    freed: list[int] = []
    for i in range(s.steps):
        asked = freed[i - s.buffers] if i >= s.buffers else 0
        start = max(asked + s.latency, loaded[-1] if loaded else 0)
        loaded.append(start + s.load)
        computed.append(max(loaded[-1], computed[-1] if computed else 0) + s.compute)
        if (i + 1) % per_store == 0:
            stored = max(stored, computed[-1]) + s.store
        freed.append(stored if s.buffers == 1 and s.stores == s.steps else computed[-1])
    return max(computed[-1], stored)


durations = st.integers(0, 50)


@given(st.builds(Steps, st.integers(1, 40), st.integers(1, 9), durations, durations, latency=durations))
def test_loads_and_computes_take_exactly_the_critical_path(s: Steps) -> None:
    assume(s.load or s.compute)  # a phase that moves nothing turns no buffers over
    assert phase_time_s(s.phase(), PORTS) == pytest.approx(reference_ns(s) * NS, rel=1e-9, abs=1e-15)


@given(st.integers(1, 40), st.integers(1, 9), durations, durations, durations, durations)
def test_a_store_after_every_step_takes_exactly_the_critical_path(
    steps: int, buffers: int, load: int, compute: int, store: int, latency: int
) -> None:
    assume(load or compute or store)
    s = Steps(steps, buffers, load, compute, store, steps, latency)
    assert phase_time_s(s.phase(), PORTS) == pytest.approx(reference_ns(s) * NS, rel=1e-9, abs=1e-15)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(2, 9), durations, durations, durations, durations)
def test_rarer_stores_deviate_by_less_than_the_steps_between_them(
    stores: int, per_store: int, buffers: int, load: int, compute: int, store: int, latency: int
) -> None:
    """The closed form spreads stores evenly over the steps: it may start the first of them too early."""
    s = Steps(stores * per_store, buffers, load, compute, store, stores, latency)
    between = (per_store - 1) * max(load, compute, store) + math.ceil(per_store / buffers) * (latency + load + compute)
    assert abs(phase_time_s(s.phase(), PORTS) - reference_ns(s) * NS) <= between * NS + 1e-15


@given(
    st.builds(Steps, st.integers(1, 30), st.integers(1, 6), durations, durations, latency=durations),
    st.builds(Steps, st.integers(1, 30), st.integers(1, 6), durations, durations),
)
def test_a_phase_that_continues_another_deviates_by_at_most_what_the_buffers_hold(first: Steps, second: Steps) -> None:
    """A tail that continues its waves has no fill of its own: its loads run beside its own computes, not beside
    those of the last waves."""
    second = replace(second, buffers=first.buffers, latency=first.latency)
    head, tail = replace(first.phase(), drain=False), replace(second.phase(), name="tail", fill=False)
    joined = phase_time_s(head, PORTS) + phase_time_s(tail, PORTS)
    loaded, computed = [], []
    for i in range(first.steps + second.steps):
        s = first if i < first.steps else second
        asked = computed[i - s.buffers] if i >= s.buffers else 0
        loaded.append(max(asked + s.latency, loaded[-1] if loaded else 0) + s.load)
        computed.append(max(loaded[-1], computed[-1] if computed else 0) + s.compute)
    slack = first.latency + (first.buffers + 1) * (max(first.load, second.load) + max(first.compute, second.compute))
    assert abs(joined - computed[-1] * NS) <= slack * NS + 1e-15


def test_a_phase_alone_on_one_step_pays_latency_load_compute_and_store_in_sequence() -> None:
    s = Steps(1, 4, load=11, compute=5, store=3, stores=1, latency=7)
    assert phase_time_s(s.phase(), PORTS) == pytest.approx((7 + 11 + 5 + 3) * NS)


@given(st.integers(2, 40), durations, durations, durations, durations)
def test_one_buffer_is_never_faster_than_two_and_slower_where_there_is_anything_to_overlap(
    steps: int, load: int, compute: int, store: int, latency: int
) -> None:
    one, two = (phase_time_s(Steps(steps, b, load, compute, store, steps, latency).phase(), PORTS) for b in (1, 2))
    assert one >= two * (1 - 1e-12)
    if steps >= 3 and load and compute:
        assert one > two


def test_with_one_buffer_nothing_overlaps() -> None:
    s = Steps(10, 1, load=8, compute=6, store=5, stores=10, latency=3)
    assert phase_time_s(s.phase(), PORTS) == pytest.approx(10 * (3 + 8 + 6 + 5) * NS)


@given(
    st.integers(1, 1000),
    st.integers(1, 8),
    st.lists(st.integers(0, 10**6), min_size=3, max_size=3),
    st.integers(1, 1000),
    st.booleans(),
    st.booleans(),
)
def test_parts_add_up_to_the_demands_exactly(
    steps: int, buffers: int, moved: list[int], stores: int, fill: bool, drain: bool
) -> None:
    load, compute, store = moved
    phase = Phase(
        name="p",
        steps=steps,
        buffers=buffers,
        load=(Demand("load", load), Demand("other", store, 0.5)),
        compute=(Demand("compute", compute, 0.25),),
        store=(Demand("store", store), Demand("load", compute)),
        stores=min(stores, steps),
        fill=fill,
        drain=drain,
        priced_by="test",
    )
    total: dict[str, int] = {}
    for flow in flows(phase, PORTS):
        for name, units, share in flow.amounts:
            assert units > 0
            assert 0 < share <= 1 + 1e-12
            total[name] = total.get(name, 0) + units
    expected = {"load": load + compute, "other": store, "compute": compute, "store": store}
    assert total == {name: units for name, units in expected.items() if units}


@given(st.integers(1, 50), st.integers(1, 8), st.integers(1, 10**6), st.floats(0.01, 1.0))
def test_a_smaller_share_is_never_faster(steps: int, buffers: int, units: int, share: float) -> None:
    full, part = (
        phase_time_s(
            Phase(name="p", steps=steps, buffers=buffers, load=(Demand("load", units, s),), priced_by="test"), PORTS
        )
        for s in (1.0, share)
    )
    assert part >= full * (1 - 1e-12)
    assert part == pytest.approx(full / share)


def test_loads_and_stores_through_one_port_share_its_time() -> None:
    phase = Phase(
        name="p",
        steps=100,
        buffers=4,
        load=(Demand("load", 10_000),),
        store=(Demand("load", 5_000),),
        stores=100,
        priced_by="test",
    )
    assert phase_time_s(phase, PORTS) == pytest.approx(15_000 * NS)


@pytest.mark.parametrize(
    ("load", "load_share", "store", "store_share", "expected"),
    [
        (1000, 0.25, 2000, 1.0, 4000),  # loads wait for their latency: the stores fit beside them
        (1000, 0.5, 3000, 1.0, 4000),  # the port is full
        (1000, 0.25, 500, 0.25, 6000),  # a quarter of the SMs: their ports serve one after the other
    ],
)
def test_what_loads_leave_of_a_port_is_for_the_stores(
    load: int, load_share: float, store: int, store_share: float, expected: int
) -> None:
    phase = Phase(
        name="p",
        steps=1000,
        buffers=1000,
        load=(Demand("load", load, load_share),),
        store=(Demand("load", store, store_share),),
        stores=500,
        fill=False,
        drain=False,
        priced_by="test",
    )
    assert phase_time_s(phase, PORTS) == pytest.approx(expected * NS)


def test_a_kernel_takes_its_launch_and_the_longest_chain_of_its_phases() -> None:
    def phase(name: str, units: int, after: tuple[str, ...] | None) -> Phase:
        return Phase(name=name, steps=1, buffers=1, load=(Demand("load", units),), after=after, priced_by="test")

    kernel = Kernel(
        name="k",
        operator=NOTHING,
        launch_s=5e-6,
        phases=(phase("a", 1000, None), phase("b", 4000, ()), phase("c", 300, ("a", "b")), phase("d", 20, None)),
        events={},
        priced_by="test",
        constants=(),
    )
    assert kernel_time_s(kernel, PORTS) == pytest.approx(5e-6 + (4000 + 300 + 20) * NS)
