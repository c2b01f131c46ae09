import json
import math

import numpy as np
import pytest

import accelsim
from accelsim import catalog, cli
from accelsim.devices.pim.aim import Aim
from accelsim.errors import RequestError, UnknownNameError
from accelsim.simulation import simulate_trace
from accelsim.spec.aim import DESCRIPTIVE

PART = catalog.chip("gddr6-aim")
TRACE = """\
AiM WR_GB 64 0 0xffffffff
AiM WR_BIAS 0 0xffffffff
AiM MAC_ABK 64 0xffffffff 0
AiM RD_MAC 0 0xffffffff
AiM EOC
"""


def gemv(n, k, m=1, **more):
    return accelsim.simulate_operator("matmul", m=m, n=n, k=k, **{"on": "gddr6-aim-32ch", **more})


@pytest.mark.parametrize(
    ("n", "k", "cycles"), [(1024, 1024, 701), (1024, 4096, 2801), (4096, 1024, 2417), (4096, 4096, 9665)]
)
def test_cycles_of_gemvs_as_the_public_simulator_counts_them(n, k, cycles):
    run = gemv(n, k, scope="peer")
    assert run.summary["cycles"] == cycles
    assert run.summary["total_time_s"] == pytest.approx(cycles * 0.5e-9)
    assert run.request.scope == "peer"


def test_one_channel():
    assert gemv(16, 1024, on="gddr6-aim-1ch", scope="peer").summary["cycles"] == 415


def test_everything_counts_by_default():
    peer, physical = gemv(4096, 4096, scope="peer"), gemv(4096, 4096)
    assert physical.request.scope == "physical"
    assert physical.summary["cycles"] > 1.3 * peer.summary["cycles"]
    without = gemv(4096, 4096, overrides={"timing.nREFI": 10**9, "timing.nFAW": 1})
    # what is left of both options: three groups of banks open one cycle later each
    rows = 8 * 4
    assert 0 <= without.summary["cycles"] - peer.summary["cycles"] <= 4 * rows


def test_a_batch_repeats_the_pass():
    one, eight = (gemv(4096, 1024, m=m, scope="peer").summary["cycles"] for m in (1, 8))
    assert 7.9 * one < eight < 8 * one


def test_twice_the_channels_take_half_the_passes():
    one, two = gemv(4096, 4096, scope="peer"), gemv(4096, 4096, scope="peer", on="gddr6-aim-card-32")
    assert two.summary["cycles"] == gemv(2048, 4096, scope="peer").summary["cycles"] < one.summary["cycles"]


def test_energy_adds_up_from_published_powers():
    run = gemv(4096, 1024, scope="peer")
    parts = {row["resource"]: row["energy_j"] for row in run.rows("resources")}
    # 8 passes of one row in 16 banks of 32 channels, 64 columns each
    assert parts["memory.activate"] == pytest.approx(8 * 16 * 32 * 66.3e-3 * 44.5e-9)
    assert parts["memory.mac"] == pytest.approx(8 * 64 * 32 * 3 * 438.15e-3 * 1e-9)
    # 64 columns of input, and bias and result of every pass
    assert parts["memory.interface"] == pytest.approx((64 + 2 * 8) * 32 * 32 * 8 * 5.5e-12)
    assert run.summary["energy_j"] == pytest.approx(sum(parts.values()))
    low, high = 32 * 0.18315, 32 * (0.26375 + 7e-5)
    assert low < parts["memory.background"] / run.summary["total_time_s"] < high


def test_refresh_costs_energy_only_where_it_counts():
    energy = {
        scope: next(
            r["energy_j"] for r in gemv(4096, 4096, scope=scope).rows("resources") if "refresh" in r["resource"]
        )
        for scope in ("peer", "physical")
    }
    assert energy["peer"] == 0 < energy["physical"]


@pytest.mark.parametrize(("kind", "cycles"), [("mul", 1662), ("relu", 12501)])
def test_elements(kind, cycles):
    elements = 1_000_000 if kind == "mul" else 89_088
    run = accelsim.simulate_operator(kind, elements=elements, on="gddr6-aim-32ch", scope="peer")
    assert run.ok
    if kind == "mul":
        assert run.summary["cycles"] == cycles
    table = accelsim.simulate_operator(kind, rows=2, columns=elements // 2, on="gddr6-aim-32ch", scope="peer")
    assert table.summary["cycles"] == run.summary["cycles"]


def test_sums_go_over_the_pins():
    run = accelsim.simulate_operator("add", elements=32768, on="gddr6-aim-32ch")
    commands = {row["name"] for row in run.rows("timeline")}
    assert {"RD", "WR"} <= commands
    assert "MAC16" not in commands
    assert run.rows("operators")[0]["bound"] == "memory"


def test_the_peak_bounds_every_kernel():
    for n, k in ((4096, 1024), (11008, 4096), (16, 16)):
        peak, run = gemv(n, k, fidelity="roofline"), gemv(n, k, scope="peer")
        assert peak.summary["cycles"] <= run.summary["cycles"]
        assert math.isnan(peak.summary["energy_j"])
    # 32 channels x 16 banks x 16 lanes x 2 FLOP at 1 GHz
    assert gemv(16384, 16384, fidelity="roofline").roofs["bf16 x bf16"] == pytest.approx(16.384e12)


def test_frames_and_timeline():
    run = gemv(1024, 1024, scope="peer")
    assert run.timeline["name"].value_counts()["ACT16"] == 2
    macs = run.timeline[run.timeline["name"] == "MAC16"]
    assert list(macs["repeat"]) == [64, 64]
    assert macs["period_ps"].unique().tolist() == [1000]
    assert run.timeline["end_ps"].max() <= 701 * 500
    assert run.phases["cycles"].tolist() == [701]
    assert run.memory["fits"].all()
    assert run.operators["priced_by"].tolist() == ["aim_gemv"]
    assert run.to_dict()["summary"]["cycles"] == 701


def test_too_large_is_a_result():
    run = gemv(200_000, 200_000)
    assert run.infeasible.kind == "capacity"
    assert run.infeasible.demand > run.infeasible.bound == 32 * 2**29
    assert not run.memory["fits"].any()


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        ({"kind": "softmax", "rows": 4, "columns": 4}, "no command for softmax"),
        ({"kind": "matmul", "m": 1, "n": 4, "k": 4, "format": "fp16"}, "compute in bf16"),
        ({"kind": "matmul", "m": 1, "n": 4, "k": 4, "batch": 2}, "independent products"),
        ({"kind": "matmul", "m": 1, "n": 4, "k": 4, "chips": 2}, "number of parts"),
    ],
)
def test_what_it_cannot_do_is_a_result(ask, reason):
    run = accelsim.simulate_operator(on="gddr6-aim-32ch", **ask)
    assert run.infeasible.kind == "unsupported"
    assert reason in run.infeasible.reason


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        ({"scope": "per"}, "scope = 'per': allowed are peer, physical.*did you mean 'peer'"),
        ({"variant": "tree"}, "variant = 'tree': allowed are plain"),
        ({"m": 0}, "m = 0: expected a whole number"),
        ({"elements": 4}, "unknown dimension 'elements'"),
        ({"on": "h100-sxm", "scope": "peer"}, "scope = 'peer': h100-sxm has none"),
        ({"on": "gddr6-aim"}, "systems of memories"),
    ],
)
def test_bad_requests(ask, message):
    with pytest.raises(RequestError, match=message):
        gemv(**{"n": 16, "k": 16, **ask})


def test_overrides_reach_system_and_part():
    assert gemv(4096, 1024, overrides={"count": 64}, scope="peer").summary["cycles"] == 1273
    with pytest.raises(UnknownNameError, match="nRPP"):
        gemv(16, 16, overrides={"timing.nRPP": 3})
    assert catalog.part(catalog.chip("gddr6-aim-32ch", {"timing.nRP": 40})).timing.nRP == 40


MIXED = "\n".join([
    *["AiM COPY_BKGB 4 0xffffffff 0 0", "AiM COPY_GBBK 4 0xffffffff 1 1", "AiM AF 0xffffffff", "AiM WR_ABK 0 1 3"],
    *[f"{kind} MEM 0 {bank} {row}" for row in range(9) for kind in "WR" for bank in (0, 1, 4)],
    *["W MEM 0 5 1"] * 30, *["R MEM 0 6 2"] * 10, *["W MEM 0 7 1"] * 9, "AiM RD_SBK 0 1 0 0",
    *[f"R MEM 0 6 {row}" for row in range(20, 50)], *[f"W MEM 0 {4 + row % 2} {row}" for row in range(30)], "AiM EOC",
])  # fmt: skip


def figures(part, tmp_path):
    """What any figure of the part may move: times, energies, capacity, and what traces reach."""
    device = Aim(catalog.chip("gddr6-aim-32ch"), part)
    file = tmp_path / "mixed.trace"
    file.write_text(MIXED)
    found = [device.capacity_bytes, device.trace_channels]
    runs = [
        device.operator("matmul", {"m": 1, "n": 4096, "k": 2048}, scope="physical", variant="plain", fidelity="event")
    ]
    if device.trace_channels == 32:
        runs.append(device.trace(file, scope="physical"))
    return [*found, *((r.cycles, [part.joules for part in r.spent]) for r in runs)]


NUMBERS = [
    f"{table}.{field.alias or name}"
    for table in ("organization", "controller", "power")
    for name, field in type(getattr(PART, table)).model_fields.items()
    if isinstance(getattr(getattr(PART, table), name), int | float)
]


@pytest.mark.parametrize("key", NUMBERS)
def test_no_figure_is_dead(key, tmp_path):
    table, _, field = key.partition(".")
    value = PART.raw[table][field]
    number, _, unit = str(value).partition(" ")
    # powers of two stay powers of two; the queue must be short enough to be felt
    changed = float(number) / 2 if table != "controller" else 3 if field == "queue" else 1 - float(number)
    changed = f"{changed} {unit}" if unit else type(value)(changed) or 2
    if key == "controller.write_low":
        changed = 0.79
    same = figures(PART, tmp_path) == figures(PART.with_({key: changed}), tmp_path)
    assert same == (key in DESCRIPTIVE)


def test_trace_files(tmp_path):
    file = tmp_path / "kernel.trace"
    file.write_text(TRACE)
    run = simulate_trace(file, on="gddr6-aim-32ch", scope="peer")
    # the same as a GEMV of one pass, but for the instruction that selects the global buffer
    assert run.summary["cycles"] == gemv(512, 1024, scope="peer").summary["cycles"] - 1
    assert run.summary["flops"] == 2 * 512 * 1024
    file.write_text("AiM MAC 1\n")
    with pytest.raises(RequestError, match=r"kernel\.trace, line 1: unknown instruction 'MAC'"):
        simulate_trace(file, on="gddr6-aim-32ch")
    with pytest.raises(RequestError, match="takes no command traces"):
        simulate_trace(file, on="h100-sxm")


def test_products_as_the_units_round_them():
    """Sixteen products by a tree and then into the accumulator, every sum in bf16: what `aim-bf16` says."""
    bf16 = accelsim.dataformat("bf16")
    draw = np.random.default_rng(3)
    x, w = (np.asarray(bf16.quantize(draw.standard_normal(shape))) for shape in ((1, 64), (64, 5)))
    got = bf16.matmul(x, w, accumulator="aim-bf16", out="bf16").values

    def rounded(v):
        return float(bf16.quantize(np.array([v]))[0])

    for o in range(5):
        total = 0.0
        for column in range(0, 64, 16):
            level = [float(x[0, i]) * float(w[i, o]) for i in range(column, column + 16)]
            while len(level) > 1:
                level = [rounded(a + b) for a, b in zip(level[::2], level[1::2], strict=True)]
            total = rounded(total + level[0])
        assert got[0, o] == total


def test_the_command_line(capsys, tmp_path):
    file = tmp_path / "kernel.trace"
    file.write_text(TRACE)
    assert cli.main(("trace", str(file), "--on", "gddr6-aim-32ch", "--scope", "peer")) == 0
    assert "aim_trace" in capsys.readouterr().out
    shape = ("--m", "1", "--n", "4096", "--k", "1024")
    assert cli.main(("operator", "matmul", *shape, "--on", "gddr6-aim-32ch", "--scope", "peer", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["cycles"] == 2417
