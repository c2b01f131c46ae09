"""Collectives on the engine: the time of the closed form alone, and shared links and memories beside others."""

from __future__ import annotations

from dataclasses import replace

import pytest

import accelsim
from accelsim import catalog
from accelsim.engine.runner import Runner
from accelsim.evaluate.operators import single
from accelsim.evaluate.resolve import formats_of
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.gpu.links import fastest
from accelsim.mapping.gpu.plan import GpuMapper
from accelsim.mapping.gpu.resources import LINK, MEMORY
from accelsim.mapping.kernel import Kernel, Plan, Segment, Stage
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.collective import price

KINDS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")


def chip(name: str) -> GpuChip:
    found = catalog.chip(name)
    assert isinstance(found, GpuChip)
    return found


def mapped(name: str, kind: str, size: int, devices: int) -> tuple[GpuMapper, Kernel]:
    on = chip(name)
    op = single(
        kind, {"bytes": size, **({} if kind == "send" else {"devices": devices})}, formats_of(on, None, None, None)
    )
    mapper = GpuMapper(on, {}, devices=devices)
    kernel = mapper.kernel(op)
    assert isinstance(kernel, Kernel)
    return mapper, kernel


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a100-sxm-80gb", "b200-sxm", "l40s"])
@pytest.mark.parametrize("devices", [2, 3, 8])
def test_alone_it_takes_the_time_of_the_closed_form(kind: str, name: str, devices: int) -> None:
    link = fastest(chip(name))
    assert link is not None
    for size in (100, 10**5, 10**7, 10**9):
        mapper, kernel = mapped(name, kind, size, devices)
        told = price(size, devices, link.bandwidth_bytes_per_s, mapper.collectives.constants(kind)).seconds[0]
        assert kernel_time_s(kernel, mapper.resources) == pytest.approx(told, rel=0.01)
        run = accelsim.simulate_operator(kind, on=name, bytes=size, devices=devices)
        assert run.summary["total_time_s"] == pytest.approx(told, rel=0.01)


def test_a_message_to_a_neighbour_is_half_of_an_all_gather_between_two() -> None:
    one = accelsim.simulate_operator("send", on="h100-sxm", bytes=10**8)
    other = accelsim.simulate_operator("all_gather", on="h100-sxm", bytes=2 * 10**8, devices=2)
    assert one.summary["total_time_s"] == pytest.approx(other.summary["total_time_s"], rel=1e-9)


def test_two_at_once_share_the_links() -> None:
    mapper, kernel = mapped("h100-sxm", "all_reduce", 10**9, 8)
    alone = kernel_time_s(kernel, mapper.resources)
    both = Segment((kernel, replace(kernel, name="other", after=())))
    runner = Runner(mapper.resources)
    runner.run(Plan("operator", (Stage("both", 1, (both,)),)))
    share = kernel.phases[0].load[0].share
    assert runner.now_ps * 1e-12 == pytest.approx(2 * share * alone, rel=0.02)


def test_demands_and_energy_are_those_of_all_gpus() -> None:
    _, kernel = mapped("h100-sxm", "all_reduce", 8 * 10**6, 8)
    assert kernel.demand(LINK) == kernel.events["link"] == 8 * 14 * 10**6
    assert kernel.demand(MEMORY) == 2 * kernel.demand(LINK)
    run = accelsim.simulate_operator("all_reduce", on="h100-sxm", bytes=8 * 10**6, devices=8)
    assert run.summary["energy_link_j"] == pytest.approx(8 * 14e6 * chip("h100-sxm").energy.link_j_per_byte)
    assert run.operators.iloc[0]["bound"] == "link"


@pytest.mark.parametrize("fidelity", ["event", "roofline"])
def test_what_cannot_be_joined(fidelity: str) -> None:
    run = accelsim.simulate_operator("all_reduce", on="h100-sxm", bytes=1000, devices=16, fidelity=fidelity)
    assert run.infeasible is not None
    assert "8 are the most that one board joins" in run.infeasible.reason
    lone = chip("h100-sxm").with_({"link": ()})
    refused = accelsim.simulate_operator("all_gather", on=lone, bytes=1000, devices=2, fidelity=fidelity)
    assert refused.infeasible is not None
    assert "no link to other GPUs" in refused.infeasible.reason
    wrong = accelsim.simulate_operator("all_gather", on="h100-sxm", bytes=1000, devices=2, chips=4)
    assert wrong.infeasible is not None


def test_one_gpu_has_nothing_to_send() -> None:
    run = accelsim.simulate_operator("all_reduce", on="h100-sxm", bytes=1000, devices=1)
    assert run.summary["total_time_s"] == pytest.approx(chip("h100-sxm").timing.launch_s)


def test_a_slow_link_limits_a_run_of_several_gpus() -> None:
    rows = [{**row, "bandwidth": "100 MB/s"} for row in chip("h100-sxm").raw["link"]]
    run = accelsim.simulate("llama-2-7b", chip("h100-sxm").with_({"link": rows}), chips=4, prompt=64, generate=2)
    bounds = run.operators.set_index("kind")["bound"]
    assert set(bounds.loc[["all_reduce", "all_gather"]]) == {"link"}
    assert run.resources.set_index("resource").loc["chip.link", "utilization"] > 0.5


@pytest.mark.parametrize("on", ["ipu-mk2-8", "groq-lpu-8", "dfx-u280-4"])
def test_other_families_have_all_reduces_only(on: str) -> None:
    run = accelsim.simulate_operator("all_gather", on=on, bytes=1000, devices=2)
    assert run.infeasible is not None
    assert "an operator of GPUs" in run.infeasible.reason
