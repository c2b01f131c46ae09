import math
from contextlib import suppress

import pytest

import accelsim
from accelsim import catalog
from accelsim.devices.pim.upmem import Upmem
from accelsim.errors import DescriptionError, RequestError
from accelsim.simulation import simulate_trace
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.upmem import Work, cycles

PART = catalog.chip("upmem")
DPUS = 20 * 128


def run(kind="matmul", **more):
    return accelsim.simulate_operator(kind, **{"on": "upmem-20dimm", **more})


def work(instructions, tasklets, reads=(0, 0.0)):
    return Work(instructions, instructions / tasklets, reads, (0, 0.0), tasklets)


def test_published_rates_come_out_of_the_description():
    # survey, table 2: 80.4 GB/s = 128 x 628 MB/s; PrIM measured 628.23 MB/s for one DPU
    assert PART.stream_bytes_per_s == pytest.approx(80.4e9, rel=1e-3)
    assert PART.stream_bytes_per_s / 128 == pytest.approx(628.23e6, rel=1e-4)
    # 44.8 against the survey's 43.8: DEVIATIONS.md
    assert PART.instructions_per_s == pytest.approx(44.8e9)
    assert PART.instructions_per_s / 43.8e9 == pytest.approx(1.023, abs=1e-3)
    system = catalog.chip("upmem-20dimm")
    assert system.count * PART.dimm.dpus * PART.dimm.mram_bytes == 160 * 2**30


@pytest.mark.parametrize(
    ("format_", "operation", "measured"),
    [("int32", "add", 58.56e6), ("int32", "multiply", 10.27e6), ("fp32", "add", 4.91e6), ("fp32", "multiply", 1.91e6)],
)
def test_loops_take_the_measured_time(format_, operation, measured):
    """Operations per second of one DPU in PrIM's loop: load, address, operation, store, count and branch."""
    loop, row = PART.loop, PART.formats[format_]
    instructions = loop.load + loop.address + getattr(row, operation) + loop.store + loop.control
    assert PART.dpu.frequency_hz / instructions == pytest.approx(measured, rel=0.01)


def test_eleven_tasklets_fill_the_pipeline():
    alone, ten, eleven, sixteen = (cycles(PART, work(110_000, n)).total for n in (1, 10, 11, 16))
    assert alone == 110_000 * 11 + 13
    assert ten == 121_000 + 13
    assert eleven == sixteen == 110_000 + 13


@pytest.mark.parametrize(
    ("format_", "measured"),
    [
        ("int32", {1: 69.2941, 2: 34.6475, 4: 17.3262, 8: 8.66466, 10: 6.93822, 11: 6.31261, 16: 6.28186, 24: 6.28288}),
        ("fp32", {1: 820.807, 2: 410.319, 4: 205.201, 8: 102.603, 10: 82.1479, 11: 74.7428, 16: 74.5888, 24: 74.7102}),
    ],
)
def test_tasklets_fill_the_pipeline_as_measured(format_, measured):
    """Million cycles of 1,048,576 additions on one DPU: CMU-SAFARI/prim-benchmarks at 75763f4, the counts of
    Microbenchmarks/Arithmetic-Throughput/profile/ADD_{INT32,FLOAT}_tl*.txt; the loop works in the scratchpad."""
    loop = PART.loop
    each = loop.load + loop.address + PART.formats[format_].add + loop.store + loop.control
    for tasklets, million in measured.items():
        assert cycles(PART, work(each * 2**20, tasklets)).total == pytest.approx(million * 1e6, rel=0.004)


def test_transfers_go_one_after_the_other():
    found = cycles(PART, work(100, 11, reads=(10, 10 * 2048.0)))
    assert found.dma == 10 * (77 + 40 + 1024)
    assert found.total == math.ceil(found.dma) + 13


def test_gemv_is_bound_by_software_multiplication():
    found = run(m=1, n=DPUS * 64, k=4096, scope="peer")
    assert found.rows("operators")[0]["bound"] == "compute"
    # 64 outputs, 4,096 products of 35 instructions: two loads, an address, 29 + 1, two of control
    assert found.summary["cycles"] == pytest.approx(64 * 4096 * 35, rel=1e-3)
    dma = next(row for row in found.rows("resources") if row["resource"] == "memory.dma")
    assert dma["utilization"] < 0.2


def test_few_outputs_leave_tasklets_idle():
    few = run(m=1, n=DPUS, k=4096, scope="peer")
    assert few.rows("operators")[0]["bound"] == "pipeline"
    assert few.summary["cycles"] > 11 * 4096 * 35


def test_a_batch_and_formats():
    one = run(m=1, n=DPUS * 16, k=1024, scope="peer").summary["cycles"]
    assert run(m=3, n=DPUS * 16, k=1024, scope="peer").summary["cycles"] == 3 * one
    narrow = run(m=1, n=DPUS * 16, k=1024, scope="peer", format="int8")
    assert narrow.request.weights == "int8"
    assert 4 < one / narrow.summary["cycles"] < 6
    assert run(m=1, n=16, k=16, format="bf16").infeasible.kind == "unsupported"


def test_the_host_carries_inputs_and_results():
    peer, physical = (run(m=1, n=DPUS * 16, k=1024, scope=scope) for scope in ("peer", "physical"))
    extra = physical.summary["cycles"] - peer.summary["cycles"]
    into, out = 64 * 4 * 1024 / 16.88e9, 64 * 16 * 8 / 4.74e9
    assert extra == pytest.approx((into + out) * 350e6, abs=2)
    rows = physical.rows("timeline")
    assert [row["name"] for row in rows] == ["write", "program", "read"]
    assert rows[-1]["end_ps"] == pytest.approx(physical.summary["total_time_s"] * 1e12, rel=1e-3)


def test_sums_cost_more_on_the_way_than_in_the_banks():
    inside, whole = (run("add", elements=DPUS * 4096, scope=scope) for scope in ("peer", "physical"))
    assert inside.rows("operators")[0]["bound"] == "memory"
    assert whole.rows("operators")[0]["bound"] == "host"
    assert run("relu", elements=DPUS * 4096, scope="peer").summary["cycles"] < inside.summary["cycles"]


def test_the_peak_bounds_every_kernel():
    for ask in ({"kind": "matmul", "m": 1, "n": 5000, "k": 700}, {"kind": "mul", "elements": 10**6}):
        assert run(**ask, fidelity="roofline").summary["cycles"] <= run(**ask, scope="peer").summary["cycles"]


def noticed(part):
    """Everything that a figure may change: cycles, energy, capacity and rates of kernels of every kind."""
    device = Upmem(catalog.chip("upmem-20dimm"), part)
    found = [device.capacity_bytes, part.stream_bytes_per_s, part.instructions_per_s]
    matmuls = [("int32", 70_000, 700), ("int32", 20, 64), ("int8", 70_000, 700), ("fp32", 70_000, 700)]
    asked = [(format_, "matmul", {"m": 2, "n": n, "k": k}) for format_, n, k in matmuls]
    asked += [("int32", kind, {"elements": 10**7}) for kind in ("add", "mul", "relu")]
    for format_, kind, dims in asked:
        device = Upmem(catalog.chip("upmem-20dimm"), part, format_)
        for how in ({"scope": "peer", "fidelity": "event"}, {"scope": "physical", "fidelity": "event"}):
            run = device.operator(kind, dims, variant="plain", **how)
            refused = isinstance(run, Infeasible)
            found.append(run.reason if refused else (run.cycles, [spent.joules for spent in run.spent]))
    return found


def figures():
    """Dotted key and value of every figure of the part."""
    for table, rows in PART.raw.items():
        if isinstance(rows, dict) or table == "arithmetic":
            for at, row in enumerate([rows] if isinstance(rows, dict) else rows):
                place = table if isinstance(rows, dict) else f"{table}.{at}"
                for key, value in row.items():
                    if key not in ("source", "status", "notes", "measured", "derived", "assumed", "format"):
                        yield f"{place}.{key}", value


def test_no_figure_is_dead():
    usual, dead = noticed(PART), []
    for key, value in figures():
        number, _, unit = str(value).partition(" ")
        changed = []
        for other in (float(number) * 2, float(number) / 2):
            with suppress(DescriptionError):  # more tasklets than the hardware holds: it limits what can be described
                changed.append(PART.with_({key: f"{other:g} {unit}" if unit else type(value)(other)}))
        if len(changed) == 2 and all(noticed(part) == usual for part in changed):
            dead.append(key)
    assert not dead


def test_power_is_that_of_busy_chips():
    found = run(m=1, n=DPUS * 16, k=1024)
    assert found.summary["average_power_w"] == pytest.approx(20 * 16 * 1.2)


def test_too_large_is_a_result():
    bank = run(m=1, n=DPUS * 16_384, k=4096)
    assert bank.infeasible.kind == "capacity"
    assert bank.infeasible.bound == 64 * 2**20
    scratch = run(m=1, n=16, k=16, overrides={"dpu.tasklets": 24, "dma.block": "2 KiB"})
    assert "WRAM" in scratch.infeasible.reason


def test_bad_figures_and_requests():
    with pytest.raises(DescriptionError, match="hardware holds 1 to 24"):
        PART.with_({"dpu.tasklets": 25})
    with pytest.raises(DescriptionError, match="native = 'int4'"):
        PART.with_({"native": "int4"})
    with pytest.raises(RequestError, match="programs of their own"):
        simulate_trace("absent", on="upmem-20dimm")
