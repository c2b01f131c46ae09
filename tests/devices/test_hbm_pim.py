"""HBM-PIM through the public door: scopes, variants, costs that can be switched, energy by part, bad input."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim import catalog, cli
from accelsim.errors import DescriptionError, RequestError
from accelsim.results.columns import KERNEL_SUMMARY
from accelsim.simulation import simulate_trace
from accelsim.spec.hbm_pim import DESCRIPTIVE
from tests.timing.hbm_pim_cases import TYPED, cases


def gemv(m, n, k, on="hbm-pim-64pch", **more):
    return accelsim.simulate_operator("matmul", m=m, n=n, k=k, on=on, **more)


def parts(run):
    return {row["resource"]: row["energy_j"] for row in run.rows("resources")}


@pytest.mark.parametrize(
    ("m", "n", "k", "on", "cycles"),
    [
        (1, 4096, 1024, "hbm-pim-64pch", 3662),
        (1, 4096, 4096, "hbm-pim-64pch", 13166),
        (4, 4096, 1024, "hbm-pim-64pch", 13389),
        (1, 64, 130, "hbm-pim-1pch", 1138),
        (2, 512, 2048, "hbm-pim-4pch", 26494),
        (1, 4096, 4096, "hbm-pim-16pch", 51941),
    ],
)
def test_cycles_of_gemvs_as_the_public_simulator_counts_them(m, n, k, on, cycles):
    run = gemv(m, n, k, on, scope="peer")
    assert run.summary["cycles"] == cycles
    assert run.summary["total_time_s"] == pytest.approx(cycles * 1e-9)
    assert run.summary["readout_cycles"] >= 181


def test_every_counted_row_through_the_public_door():
    off = []
    for case in cases(TYPED):
        if case.cycles > 20_000:
            continue
        on = catalog.chip("hbm-pim-64pch", {"count": case.channels})
        kind = "matmul" if case.kind.startswith("GEMV") else case.kind.lower()
        dims = {"m": case.batch, "n": case.outputs, "k": case.inputs}
        variant = "plain" if case.device == "plain" else "tree" if case.kind == "GEMVTREE" else "pim"
        run = accelsim.simulate_operator(
            kind, on=on, scope="peer", variant=variant, **(dims if kind == "matmul" else {"elements": case.outputs})
        )
        if run.summary["readout_cycles" if case.device == "readout" else "cycles"] != case.cycles:
            off.append((case, dict(run.summary)))
    assert not off


def test_variants_are_other_kernels():
    tree, plain = (gemv(1, 4096, 1024, scope="peer", variant=name) for name in ("tree", "plain"))
    assert tree.summary["cycles"] == 4680
    assert plain.operators.priced_by[0] == "hbm2_stream"
    assert plain.summary["cycles"] > 2 * gemv(1, 4096, 1024, scope="peer").summary["cycles"]
    assert accelsim.simulate_operator("mul", elements=2**20, on="hbm-pim-64pch", scope="peer").summary["cycles"] == 3349
    with pytest.raises(RequestError, match="allowed are pim, tree, plain"):
        gemv(1, 64, 64, variant="trea")


def test_everything_counts_by_default_and_each_cost_can_be_switched_off():
    peer, whole = gemv(1, 4096, 4096, scope="peer").summary, gemv(1, 4096, 4096)
    assert whole.request.scope == "physical"
    figures = whole.summary
    assert set(KERNEL_SUMMARY) <= set(figures)
    assert figures["cycles"] == sum(figures[name] for name in KERNEL_SUMMARY)
    without = gemv(1, 4096, 4096, overrides={"costs.readout": False}).summary
    assert figures["cycles"] - without["cycles"] == figures["readout_cycles"] == 181
    alone = {"costs.readout": False, "costs.host_reduce": False, "costs.activation_window": False}
    assert gemv(1, 4096, 4096, overrides=alone).summary["cycles"] == peer["cycles"]
    unrefreshed = gemv(1, 4096, 4096, overrides={"costs.refresh": False}).summary["kernel_cycles"]
    assert 3 * 337 <= figures["kernel_cycles"] - unrefreshed <= 3 * 365
    narrow = gemv(1, 64, 64, overrides={"timing.nFAW": 60}).summary["kernel_cycles"]
    assert narrow > gemv(1, 64, 64).summary["kernel_cycles"]


def test_the_host_adds_lanes_and_tiles():
    plain, tree = gemv(1, 4096, 4096), gemv(1, 4096, 4096, variant="tree")
    host = {run.request.variant: run.rows("resources")[-1] for run in (plain, tree)}
    assert host["pim"]["resource"] == host["tree"]["resource"] == "host.vector"
    assert host["pim"]["amount"] == 4096 * 15
    assert host["tree"]["amount"] == 4096 * (16 * 32 - 1)
    assert tree.summary["readout_cycles"] > 20 * plain.summary["readout_cycles"]


def test_padding_and_what_the_public_simulator_leaves_out():
    small = accelsim.simulate_operator("add", elements=3000, on="hbm-pim-1pch", scope="peer")
    assert small.summary["cycles"] == 731
    assert "952 elements fill no tile" in small.warnings[0]
    whole = accelsim.simulate_operator("add", elements=3000, on="hbm-pim-1pch")
    assert not whole.warnings
    assert whole.summary["kernel_cycles"] == 1053
    assert gemv(1, 1, 1).summary["kernel_cycles"] == gemv(1, 4096, 128).summary["kernel_cycles"]


def test_small_shapes_lose_to_plain_hbm2():
    """1024 outputs on 64 pseudo-channels are padded to 4096: 0.68 of the speed of plain HBM2, as measured there."""
    pim, plain = (gemv(1, 1024, 1024, scope="peer", variant=name).summary["cycles"] for name in ("pim", "plain"))
    assert plain / pim == pytest.approx(0.68, abs=0.01)


def test_energy_by_part_adds_up_from_its_constants():
    run = gemv(1, 4096, 1024, scope="peer")
    energy = catalog.chip("hbm-pim").energy
    found = parts(run)
    assert math.fsum(found.values()) == pytest.approx(run.summary["energy_j"])
    macs = 4096 * 1024
    assert found["memory.mac"] == pytest.approx(macs * energy.mac_j)
    # each weight is read once, and with it the results are written, and the ends of the kernel read 32 bursts
    weights, results, ends = macs * 2, 4096 * 32, 64 * (32 + 1 + 2 + 4 + 2) * 32
    assert found["memory.column"] == pytest.approx((weights + results + ends) * energy.column_j_per_byte)
    sent = 64 * (8 * 8 * 32) + ends
    assert found["memory.interface"] == pytest.approx(sent * energy.interface_j_per_byte)
    assert found["memory.background"] == pytest.approx(64 * 3662e-9 * energy.background_w)
    # 16 rows of 8 banks for 8 tiles, one of them opened again after the refresh, one for results; 20 + 16 single rows
    rows = 8 * (16 + 1 + 1) + 36
    assert found["memory.activate"] == pytest.approx(64 * rows * 1024 * energy.activate_j_per_byte, rel=0.05)


def test_pim_saves_the_way_out():
    pim, plain = gemv(1, 4096, 4096), gemv(1, 4096, 4096, variant="plain")
    assert parts(pim)["memory.interface"] < 0.05 * parts(plain)["memory.interface"]
    assert pim.summary["energy_j"] < 0.3 * plain.summary["energy_j"]


@pytest.mark.parametrize("key", ["activate", "column", "bank_to_group", "group_to_io", "tsv", "interface", "register"])
def test_every_energy_constant_counts(key):
    more = gemv(1, 64, 256, on="hbm-pim-1pch", overrides={f"energy.{key}": "100 pJ/bit"}).summary["energy_j"]
    assert more > 1.5 * gemv(1, 64, 256, on="hbm-pim-1pch").summary["energy_j"]


def noticed():
    """Everything that a figure may change: cycles, read-out, energy and memory of kernels of every kind."""

    def of(run):
        return {key: run.summary[key] for key in ("cycles", "readout_cycles", "energy_j", "memory_capacity_bytes")}

    def all_of(changes):
        on = catalog.chip("hbm-pim-1pch", changes)
        return [
            *(of(gemv(2, 128, 256, on, variant=variant)) for variant in ("pim", "tree", "plain")),
            *(of(accelsim.simulate_operator(kind, on=on, elements=30_000)) for kind in ("add", "relu")),
        ]

    return all_of


def others(key, value):
    """Another value or two of a figure."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        number, unit = value.split(" ")
        return [f"{float(number) * 2} {unit}"]
    return [1] if key == "ranks" else [value * 2, max(1, value // 4)]


def test_every_figure_counts_or_is_listed_as_descriptive():
    all_of = noticed()
    wide = {"timing.nFAW": 60}  # of the shipped figures, four times tRRD_S is the window: it binds nowhere
    usual = all_of(wide)
    raw = catalog.chip("hbm-pim").raw
    dead = []
    for table in ("organization", "pim", "timing", "controller", "costs", "energy"):
        for key, value in raw[table].items():
            path = f"{table}.{key}"
            if key in ("source", "status", "notes", "assumed", "derived") or path in DESCRIPTIVE or key == "element":
                continue
            try:
                if all(all_of({**wide, path: other}) == usual for other in others(key, value)):
                    dead.append(path)
            except DescriptionError:
                pass  # the machine cannot be built otherwise
    assert not dead


@given(
    name=st.sampled_from(
        ["nRL", "nWL", "nCCDL", "nRCDRD", "nRCDWR", "nRP", "nRAS", "nRRDS", "nWR", "nWTRL", "nCCDS", "nRTPL"]
    ),
    more=st.integers(3, 8),
)
@settings(max_examples=15)
def test_slower_timings_never_make_anything_faster(name, more):
    value = getattr(catalog.chip("hbm-pim").timing, name)
    # without refresh: one that falls behind the end of a faster kernel costs it nothing
    common = {"timing.nRC": 47 + 2 * more, "costs.refresh": False}
    base = gemv(1, 128, 256, on="hbm-pim-1pch", overrides=common)
    slow = gemv(1, 128, 256, on="hbm-pim-1pch", overrides={**common, f"timing.{name}": value + more})
    assert slow.summary["cycles"] >= base.summary["cycles"]


def test_a_shape_beyond_the_memory_is_a_result():
    run = gemv(1, 40960, 40960, on="hbm-pim-1pch")
    assert run.infeasible.kind == "capacity"
    assert run.infeasible.bound == 256 * 2**20
    assert run.infeasible.demand > 2 * 40960**2 * 0.99
    assert "organization.rows" in run.infeasible.set_by
    assert not accelsim.simulate_operator("add", elements=10**9, on="hbm-pim-1pch").ok
    assert not accelsim.simulate_operator("add", elements=10**9, on="hbm-pim-1pch", variant="plain").ok
    assert gemv(1, 8192, 8192, on="hbm-pim-1pch", scope="peer").ok


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timing.nRC": 30}, "nRC = 30 is below nRAS = 33"),
        ({"timing.nRC": 40}, r"more than two cycles below nRAS \+ nRP = 47"),
        ({"timing.nREFI": 600}, "leaves no time between refreshes"),
        ({"organization.rows": 10000}, "rows = 10000 is not a power of two"),
        ({"organization.banks": 8}, "HBM2 has 16 banks in 4 groups"),
        ({"modes.enter_row": 99999}, "lies beyond the 16384 rows"),
        ({"controller.queue": 4}, "greater than or equal to 16|at least 16"),
        ({"pim.grf_b": 16}, "8 blocks of 16 lanes"),
    ],
)
def test_figures_that_contradict_each_other_are_named(change, said):
    with pytest.raises(DescriptionError, match=said):
        gemv(1, 64, 64, overrides=change)


def test_batch_normalisation_is_a_kernel_here_and_nowhere_else():
    """Two multiply-adds with scalars of each value read it twice, from one row where an addition opens two."""
    run = accelsim.simulate_operator("batchnorm", elements=2048 * 8, on="hbm-pim-1pch", scope="peer")
    add = accelsim.simulate_operator("add", elements=2048 * 8, on="hbm-pim-1pch", scope="peer")
    relu = accelsim.simulate_operator("relu", elements=2048 * 8, on="hbm-pim-1pch", scope="peer")
    assert relu.summary["cycles"] < run.summary["cycles"] < add.summary["cycles"]
    assert run.summary["flops"] == 4 * 2048 * 8
    with pytest.raises(RequestError, match="batchnorm is a kernel of memories that compute"):
        accelsim.simulate_operator("batchnorm", elements=64, on="h100-sxm")


def test_there_is_no_trace_format():
    with pytest.raises(RequestError, match="no public trace format"):
        simulate_trace("a.trace", on="hbm-pim-1pch")


def test_the_timeline_tells_the_commands():
    run = gemv(1, 64, 256, on="hbm-pim-1pch")
    rows = run.rows("timeline")
    macs = [row for row in rows if row["name"] == "mac"]
    assert sum(row["repeat"] for row in macs) == 128
    assert {row["resource"] for row in macs} == {"memory.channel[0].banks[even]", "memory.channel[0].banks[odd]"}
    assert macs[0]["period_ps"] == 4000
    ends = [row["start_ps"] + (row["repeat"] - 1) * row["period_ps"] for row in rows]
    assert max(ends) < (run.summary["kernel_cycles"] + run.summary["readout_cycles"]) * 1000
    assert any(row["name"] == "RD" and row["start_ps"] > run.summary["kernel_cycles"] * 1000 for row in rows)


def test_the_cube_is_shown_beside_what_was_published(capsys):
    """Table 2 of the survey: 2 TB/s against the 1.23 TB/s per cube that 128 units at 300 MHz give."""
    assert cli.main(["show", "hbm-pim-cube", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    by_name = {row["what"]: row for row in figures}
    assert by_name["arithmetic"]["ours"] == pytest.approx(1.2288e12)
    assert by_name["bandwidth inside the banks"]["ours"] == pytest.approx(1.2288e12)
    assert by_name["bandwidth at the pins"]["ours"] == pytest.approx(307.2e9)
    survey = by_name["bandwidth inside the banks, Table 2 of the survey"]
    assert survey["published"] == "2 TB/s"
    assert survey["ours_by_published"] == pytest.approx(0.614, abs=0.001)
    assert "contradicts" in survey["notes"]


def test_the_command_line_runs_one_kernel(capsys):
    arguments = ["operator", "matmul", "--on", "hbm-pim-64pch", "--m", "1", "--n", "4096", "--k", "1024"]
    assert cli.main([*arguments, "--scope", "peer", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["summary"]["cycles"] == 3662
