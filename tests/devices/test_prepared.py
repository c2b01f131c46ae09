"""Operators of memories that compute, mapped once and started anywhere: their times are those of the exact ways."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.devices.families import kernel_device
from accelsim.devices.pim.base import KernelDevice, Prepared
from accelsim.mapping.pim import aim as aim_mapping
from accelsim.mapping.pim import hbm_pim as hbm_mapping
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.aim.machine import run
from accelsim.timing.hbm_pim.channel import Channel
from accelsim.timing.hbm_pim.rules import rules_of


def device(name: str, part: str | None = None) -> KernelDevice:
    system = catalog.chip(name)
    return kernel_device(system, catalog.chip(part) if part else catalog.part(system))


HBM, AIM, DIMMS = device("hbm-pim-64pch"), device("gddr6-aim-32ch"), device("upmem-20dimm")
PRODUCT = device("hbm-pim-64pch", "hbm-pim-cube")
GEMV = {"m": 1, "n": 2048, "k": 1100}


def prepared(
    on: KernelDevice, kind: str = "matmul", scope: str = "physical", variant: str = "", **dims: int
) -> Prepared:
    made = on.prepared(kind, dims or GEMV, scope=scope, variant=variant or on.variants[kind][0])
    assert isinstance(made, Prepared)
    return made


CASES = [
    (on, kind, scope, variant)
    for on in (HBM, AIM, DIMMS, PRODUCT)
    for kind in ("matmul", "add", "relu")
    for scope in on.scopes
    for variant in on.variants[kind]
]


@pytest.mark.parametrize(("on", "kind", "scope", "variant"), CASES)
def test_a_start_at_the_beginning_of_an_interval_takes_the_time_of_the_operator(
    on: KernelDevice, kind: str, scope: str, variant: str
) -> None:
    dims = GEMV if kind == "matmul" else {"elements": 300_000}
    made = prepared(on, kind, scope, variant, **dims)
    alone = on.operator(kind, dims, scope=scope, variant=variant, fidelity="event")
    assert not isinstance(alone, Infeasible)
    assert made.time_ps(0) == made.result.time_ps == alone.time_ps
    assert made.time_ps(0) >= made.units_ps(0) > 0
    assert made.refresh_ps in (0, on.refresh_ps)
    assert (made.refresh_ps > 0) == (on is not DIMMS and not (on is AIM and scope == "peer"))


def test_what_the_host_does_behind_the_units_is_told_apart() -> None:
    made = prepared(HBM)
    extra = made.result.extra
    assert made.units_ps(0) == extra["kernel_cycles"] * 1000
    assert made.time_ps(0) - made.units_ps(0) == (extra["readout_cycles"] + extra["host_reduce_cycles"]) * 1000
    assert prepared(HBM, scope="peer").time_ps(0) == prepared(HBM, scope="peer").units_ps(0)
    assert prepared(AIM).time_ps(123_456) == prepared(AIM).units_ps(123_456)


@pytest.mark.parametrize("on", [HBM, AIM, PRODUCT], ids=["hbm-pim", "gddr6-aim", "product"])
def test_starts_an_interval_apart_are_alike_and_others_are_not(on: KernelDevice) -> None:
    made = prepared(on, m=1, n=1024, k=128)
    period = on.refresh_ps
    starts = range(0, period, period // 23)
    times = [made.time_ps(since) for since in starts]
    assert times == [made.time_ps(since + 7 * period) for since in starts]
    assert max(times) > min(times)


def test_refresh_comes_every_nrefi() -> None:
    assert HBM.refresh_ps == 3900 * 1000
    assert AIM.refresh_ps == 3800 * 500
    assert PRODUCT.refresh_ps == round(PRODUCT.part.timing.nREFI * PRODUCT.part.timing.tCK_ps)
    assert DIMMS.refresh_ps == 0
    still = kernel_device(catalog.chip("hbm-pim-1pch"), HBM.part.with_({"costs.refresh": False}))
    assert still.refresh_ps == 0
    assert prepared(still).refresh_ps == 0
    assert prepared(still).time_ps(1_234_567) == prepared(still).time_ps(0)


@pytest.mark.parametrize("on", [HBM, PRODUCT], ids=["hbm-pim", "product"])
@given(st.integers(1, 5000), st.integers(1, 700), st.lists(st.integers(0, 10**7), min_size=2, max_size=2))
@settings(max_examples=8)
def test_hbm_pim_at_any_time_is_that_of_the_controller(on: KernelDevice, n: int, k: int, starts: list[int]) -> None:
    made = prepared(on, m=1, n=n, k=k)
    rules, tick = rules_of(on.part, window=True), on.part.timing.tCK_ps
    mapped = hbm_mapping.matmul(on.part, 64, m=1, n=n, k=k)
    assert not isinstance(mapped, Infeasible)
    for start in starts:
        channel = Channel.fresh(rules, int(start % on.refresh_ps / tick))
        channel.serve(mapped.kernel.accesses(), rules)
        assert made.units_ps(start) == round(channel.cycle * tick)
        channel.serve(mapped.results, rules)
        reduce = made.result.extra["host_reduce_cycles"]
        assert made.time_ps(start) == round((channel.cycle + reduce) * tick)


@given(st.integers(1, 5000), st.integers(1, 3000), st.integers(0, 10**7))
@settings(max_examples=8)
def test_aim_at_any_time_is_that_of_single_commands(n: int, k: int, start: int) -> None:
    mapped = aim_mapping.matmul(AIM.part, 32, m=1, n=n, k=k)
    assert not isinstance(mapped, Infeasible)
    exact = run(mapped.program, AIM.part, 32, exact=True, since=start % AIM.refresh_ps // 500)
    assert prepared(AIM, m=1, n=n, k=k).time_ps(start) == exact.cycles * 500


@pytest.mark.parametrize("on", [HBM, AIM, DIMMS], ids=["hbm-pim", "gddr6-aim", "upmem"])
def test_what_does_not_fit_cannot_be_prepared(on: KernelDevice) -> None:
    dims = {"m": 1, "n": 10**9, "k": 10**5}
    assert isinstance(on.prepared("matmul", dims, scope="physical", variant=on.variants["matmul"][0]), Infeasible)
