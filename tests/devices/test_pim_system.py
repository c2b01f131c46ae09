"""Whole models on memories that compute: who does what, what it costs, and what it is compared with."""

from __future__ import annotations

import math

import pytest

import accelsim
from accelsim import catalog
from accelsim.devices.families import device_for
from accelsim.devices.pim.ordinary import host_of
from accelsim.errors import RequestError, UnknownNameError
from accelsim.evaluate.resolve import formats_of, reachable
from accelsim.graph import build, transforms
from accelsim.mapping.gpu.memory import port

HBM, AIM, UPMEM = "hbm-pim-64pch", "gddr6-aim-32ch", "upmem-20dimm"
SHORT = {"prompt": 64, "generate": 3}


@pytest.fixture(scope="module")
def runs():
    made = {}

    def run(on, **request):
        key = (on, repr(sorted(request.items())))
        if key not in made:
            made[key] = accelsim.simulate("llama-2-7b", on, **{**SHORT, **request})
        return made[key]

    return run


def rows(run, phase="decode"):
    return {row["name"]: row for row in run.rows("operators") if row["phase"] == phase}


def device(on, **overrides):
    system = catalog.chip(on, overrides or None)
    formats = formats_of(system, None, None, None)
    return device_for(system, {form.name: form.bits for form in reachable(system, formats)}), formats


@pytest.mark.parametrize("on", [HBM, AIM])
def test_weights_stay_in_the_memory_for_decoding_and_go_to_the_host_for_the_prompt(runs, on):
    run = runs(on)
    linear = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj", "lm_head")
    decode, prefill = rows(run), rows(run, "prefill")
    for name in linear:
        (found,) = (row for full, row in decode.items() if full.endswith(name))
        assert found["placement"] == "pim"
        assert found["pim_time_s"] < found["host_time_s"]
        assert found["time_s"] == pytest.approx(found["pim_time_s"], rel=0.1)  # but for where refreshes fall
    for full, row in prefill.items():
        if row["kind"] == "matmul" and not full.endswith("lm_head"):
            assert row["placement"] == "host"
            assert row["host_time_s"] < row["pim_time_s"]
    assert decode["layers.attention.rope_kv_append"]["placement"] == "host"
    assert math.isnan(decode["layers.attention.rope_kv_append"]["pim_time_s"])


@pytest.mark.parametrize("on", [HBM, AIM])
def test_the_best_placement_is_no_slower_than_either_alone(runs, on):
    best = runs(on).summary["decode_time_s"]
    assert best < runs(on, overrides={"placement": "host"}).summary["decode_time_s"]
    assert best <= runs(on, overrides={"placement": "pim"}).summary["decode_time_s"]


def test_the_host_alone_is_a_gpu_with_as_many_ordinary_stacks(runs):
    alone = runs("hbm-pim-64pch-plain")
    gpu = accelsim.simulate(
        "llama-2-7b", "a100-sxm-80gb", weights="fp16", activations="fp16", kv_cache="fp16", **SHORT,
        overrides={"memory.bandwidth": "1024 GB/s", "memory.capacity": "32 GiB", "memory.standard": "hbm2",
                   "memory.stacks": 64, "memory.pins": 64, "memory.pin_rate": "2 Gbit/s"},
    )  # fmt: skip
    assert alone.summary["total_time_s"] == gpu.summary["total_time_s"]
    assert alone.summary["memory_capacity_bytes"] == gpu.summary["memory_capacity_bytes"] == 32 * 2**30
    assert runs(HBM).summary["memory_capacity_bytes"] == 16 * 2**30


def test_another_host_takes_its_place(runs):
    named, other = runs(HBM), runs(HBM, host="h100-sxm")
    assert other.summary["prefill_time_s"] < named.summary["prefill_time_s"]
    assert rows(other)["layers.mlp.down_proj"]["pim_time_s"] < rows(other)["layers.mlp.down_proj"]["host_time_s"]
    with pytest.raises(RequestError, match="h100-sxm has none"):
        accelsim.simulate("llama-2-7b", "h100-sxm", host="a100-sxm-80gb")
    with pytest.raises(UnknownNameError, match="no-such-chip"):
        accelsim.simulate("llama-2-7b", HBM, host="no-such-chip")
    with pytest.raises(RequestError, match="expected a chip of family gpu or cpu"):
        accelsim.simulate("llama-2-7b", HBM, host="gddr6-aim")


def test_a_gpu_has_no_choice(runs):
    run = accelsim.simulate("llama-2-7b", "a100-sxm-80gb", **SHORT)
    assert {row["placement"] for row in run.rows("operators")} == {"chip"}
    assert all(math.isnan(row["host_time_s"]) for row in run.rows("operators"))


@pytest.mark.parametrize("on", [HBM, AIM])
def test_replayed_and_run_again_are_the_same(runs, on):
    folded, whole = runs(on), runs(on, fold=False)
    assert folded.summary["decode_time_s"] == whole.summary["decode_time_s"]
    assert folded.summary["energy_j"] == pytest.approx(whole.summary["energy_j"], rel=1e-12)


@pytest.mark.parametrize("on", [HBM, AIM, UPMEM])
def test_never_faster_than_its_roofline(runs, on):
    event, closed = runs(on), runs(on, fidelity="roofline")
    for name in ("prefill_time_s", "decode_time_s"):
        assert event.summary[name] > closed.summary[name]


@pytest.mark.parametrize("on", [HBM, AIM])
def test_energy_adds_up_by_component_and_by_resource(runs, on):
    run = runs(on)
    parts = [value for key, value in run.summary.items() if key.startswith("energy_") and key.count("_") == 2]
    assert sum(parts) == pytest.approx(run.summary["energy_j"], rel=1e-9)
    resources = {row["resource"]: row for row in run.rows("resources")}
    assert sum(row["energy_j"] for row in resources.values()) == pytest.approx(run.summary["energy_j"], rel=1e-9)
    for name in ("memory.activate", "memory.mac", "memory.interface", "memory.refresh"):
        assert resources[name]["energy_j"] > 0


def test_refreshes_fall_where_they_fall(runs):
    """Equal layers do not take equal times: the phase of refresh is carried from each to the next."""
    run = runs(HBM)
    starts = [row for row in run.rows("timeline") if row["name"].endswith("o_proj") and row["resource"] == "memory.pim"]
    assert len({row["end_ps"] - row["start_ps"] for row in starts}) > 1
    still = runs(HBM, overrides={"costs.refresh": False})
    rows_ = [r for r in still.rows("timeline") if r["name"].endswith("o_proj") and r["resource"] == "memory.pim"]
    assert len({row["end_ps"] - row["start_ps"] for row in rows_}) == 1
    assert still.summary["decode_time_s"] < run.summary["decode_time_s"]


def test_heads_that_share_keys_gain_nothing_in_the_memory():
    made, formats = device(HBM)
    times = {}
    for kv_heads in (8, 32):
        model = catalog.model("llama-2-7b", {"num_key_value_heads": kv_heads})
        graph = transforms.fuse(build.decode(model, batch=1, prompt=4000, step=1, formats=formats))
        op = next(op for _, op in graph if op.kind == "attention")
        placed = made.kernel(op).placement
        times[kv_heads] = placed.host_s, placed.pim_s
    assert times[8][0] < 0.5 * times[32][0]  # the host reads a quarter of the cache
    assert times[8][1] == pytest.approx(times[32][1], rel=0.15)


def test_a_cache_for_the_units_costs_masked_writes():
    made, formats = device(HBM, placement="pim")
    model = catalog.model("llama-2-7b")
    graph = transforms.fuse(build.decode(model, batch=2, prompt=500, step=1, formats=formats))
    host, _ = device(HBM, placement="host")
    name = "layers.attention.rope_kv_append"
    mine, plain = (
        {kernel.name: kernel for _, kernel in d.plan(graph).kernels()}[name] for d in (made, host)
    )  # fmt: skip
    assert mine.events["memory"] - plain.events["memory"] == 2 * 32 * 128 * 30


def test_the_cache_lies_as_its_first_step_wanted():
    made, formats = device(HBM)
    model = catalog.model("llama-2-7b")

    def step(prompt):
        graph = transforms.fuse(build.decode(model, batch=1, prompt=prompt, step=1, formats=formats))
        kernels = {kernel.name: kernel for _, kernel in made.plan(graph).kernels()}
        return kernels["layers.attention.attend"].placement

    first, later = step(64), step(6000)
    assert first.where == later.where == "host"
    assert later.pim_s < later.host_s


def test_padding_counts_as_memory(runs):
    run = runs(HBM)
    model = accelsim.simulate("llama-2-7b", "a100-sxm-80gb", weights="fp16", kv_cache="fp16", **SHORT)
    assert run.summary["weights_bytes"] > model.summary["weights_bytes"]
    plain = runs("hbm-pim-64pch-plain")
    assert plain.summary["weights_bytes"] == model.summary["weights_bytes"]


def test_what_does_not_fit_the_banks_is_a_result():
    run = accelsim.simulate("llama-2-13b", HBM, **SHORT)
    assert not run.ok
    assert run.infeasible.kind == "capacity"
    assert run.infeasible.bound == 16 * 2**30


def test_other_formats_are_the_hosts():
    run = accelsim.simulate("llama-2-7b", HBM, weights="int4_g128", **SHORT)
    found = rows(run)["layers.mlp.down_proj"]
    assert found["placement"] == "host"
    assert math.isnan(found["pim_time_s"])


def test_experts_are_products_of_their_own():
    run = accelsim.simulate("mixtral-8x7b", HBM, prompt=32, generate=2, overrides={"count": 512})
    found = rows(run)["layers.moe.experts.gate_up_proj"]
    assert found["placement"] == "pim"
    more = accelsim.simulate("mixtral-8x7b", HBM, prompt=32, generate=2, batch=32, overrides={"count": 512})
    assert rows(more)["layers.moe.experts.gate_up_proj"]["placement"] == "host"


def test_parts_behind_a_link_pay_for_the_way():
    near, far = (
        accelsim.simulate("llama-2-7b", "gddr6-aim-card-32", **SHORT, overrides={"link": link})
        for link in ("nvlink3", "pcie4")
    )
    assert near.summary["decode_time_s"] < far.summary["decode_time_s"]
    resources = {row["resource"]: row for row in far.rows("resources")}
    assert resources["host.card_link"]["bytes"] > 0
    with pytest.raises(RequestError, match="a100-sxm-80gb has nvlink3, pcie4"):
        accelsim.simulate("llama-2-7b", "gddr6-aim-card-32", **SHORT, overrides={"link": "cxl"})


def test_parts_beside_the_host_leave_its_memory_alone():
    run = accelsim.simulate("llama-2-7b", UPMEM, **SHORT)
    assert run.ok
    assert run.summary["memory_capacity_bytes"] == catalog.chip(catalog.chip(UPMEM).host).memory.capacity_bytes
    assert rows(run)["layers.attention.attend"]["placement"] == "host"


def test_the_host_beside_the_dpus_is_the_cpu_with_the_channels_that_are_left():
    """Two of twelve channels: wide products go to the DPUs, those with few outputs to each tasklet to the host."""
    run = accelsim.simulate("llama-2-7b", UPMEM, **SHORT)
    placed = {name: row["placement"] for name, row in rows(run).items() if row["kind"] == "matmul"}
    assert placed.pop("layers.attention.o_proj") == placed.pop("layers.mlp.down_proj") == "host"
    assert set(placed.values()) == {"pim"}
    down = rows(run)["layers.mlp.down_proj"]
    host = host_of(catalog.chip(UPMEM))
    assert host.memory.bandwidth_bytes_per_s == 38.4e9
    assert down["host_time_s"] / down["count"] == pytest.approx(
        4096 * 11008 / port(host).streaming_bytes_per_s, rel=0.02
    )
    assert down["host_time_s"] < down["pim_time_s"] < 3 * down["host_time_s"]


def test_another_host_keeps_all_of_its_memory():
    system = catalog.chip(UPMEM)
    assert host_of(system).memory.bandwidth_bytes_per_s == 2 * 19.2e9
    other = system.with_({"host": "a100-sxm-80gb"})
    assert host_of(other) == catalog.chip("a100-sxm-80gb")
    changed = other.with_({"host_changes": {"memory.bandwidth": "1 TB/s"}})
    assert host_of(changed).memory.bandwidth_bytes_per_s == 1e12
    with pytest.raises(UnknownNameError, match=r"memory\.bandwith"):
        host_of(system.with_({"host_changes": {"memory.bandwith": "1 TB/s"}}))


def test_parts_beside_the_host_hold_no_more_than_they_have_room_for():
    """A card of eight channels has 4 GiB: some operators of each layer find no room and stay with the host."""
    run = accelsim.simulate("llama-2-7b", "gddr6-aim-card-16", **SHORT, overrides={"count": 8, "placement": "pim"})
    placed = {name: row["placement"] for name, row in rows(run).items() if row["kind"] == "matmul"}
    assert set(placed.values()) == {"pim", "host"}


@pytest.mark.parametrize("concurrent", [False, True])
def test_kernels_side_by_side_wait_for_the_mode_unless_rows_have_two_buffers(concurrent):
    run = accelsim.simulate(
        "llama-2-7b", HBM, **SHORT, streams="graph", fuse=False, overrides={"concurrent_access": concurrent}
    )
    memory = next(row for row in run.rows("resources") if row["resource"] == "chip.memory")
    assert (memory["blocked_s"] == 0) is concurrent


def test_a_lone_part_runs_no_model():
    with pytest.raises(RequestError, match="systems of memories that compute"):
        accelsim.simulate("llama-2-7b", "hbm-pim", **SHORT)


@pytest.mark.parametrize(
    ("on", "misspelt", "meant"),
    [(HBM, "placment", "placement"), ("ipu-mk2-8", "topologi", "topology"), ("groq-lpu-8", "cuont", "count"),
     ("dfx-u280-4", "topolgy", "topology")],
)  # fmt: skip
def test_a_misspelt_key_of_a_system_is_not_taken_for_one_of_its_part(on, misspelt, meant):
    with pytest.raises(UnknownNameError, match=f"nearest: {meant}"):
        accelsim.simulate("llama-2-7b", on, overrides={misspelt: "mesh"}, **SHORT)


def test_parts_beside_the_host_add_to_the_power_that_is_allowed():
    host = catalog.chip(catalog.chip(UPMEM).host)
    run = accelsim.simulate("llama-2-7b", UPMEM, **SHORT)
    # 20 DIMMs of 16 chips, 1.2 W each
    assert run.summary["power_limit_w"] == pytest.approx(host.power.limit_w + 20 * 16 * 1.2, rel=0.02)
