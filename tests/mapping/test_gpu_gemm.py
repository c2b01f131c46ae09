"""Matrix multiplication in tiles: what is moved, what is computed, and how time answers to sizes and figures."""

from __future__ import annotations

from itertools import product
from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.graph.counts import count
from accelsim.mapping.gpu import gemm
from accelsim.mapping.gpu.resources import L2, L2_PORT, MEMORY, REGISTER, SHARED, TENSOR, VECTOR
from accelsim.mapping.kernel import Kernel
from accelsim.spec.device import GpuChip
from tests.mapping.operators import Mapped

CHIPS = ("h100-sxm", "a100-sxm-80gb", "mi300x", "v100", "b200-sxm")
sizes = st.integers(1, 5000)
chips = st.sampled_from(CHIPS)
MAPPED: dict[str, Mapped] = {}


def mapped(name: str) -> Mapped:
    """One mapper per chip: nothing in it changes."""
    if name not in MAPPED:
        MAPPED[name] = Mapped(chip_of(name))
    return MAPPED[name]


def chip_of(name: str) -> GpuChip:
    """A shipped GPU."""
    chip = catalog.chip(name)
    assert isinstance(chip, GpuChip)
    return chip


def tiles_of(kernel: Kernel) -> tuple[int, int, int]:
    """Rows and columns of a tile, and splits of the depth."""
    rows, columns = (int(part) for part in kernel.choice["tile"].split("x"))
    return rows, columns, kernel.choice["split"]


def loads(kernel: Kernel, resource: str) -> int:
    """Units loaded in all phases."""
    return sum(d.amount for phase in kernel.phases for d in phase.load if d.resource == resource)


def stores(kernel: Kernel, resource: str) -> int:
    """Units stored in all phases."""
    return sum(d.amount for phase in kernel.phases for d in phase.store if d.resource == resource)


@given(chips, sizes, sizes, sizes)
def test_tiles_cover_the_output_exactly_once(name: str, m: int, n: int, k: int) -> None:
    on = mapped(name)
    kernel = on.matmul(m, n, k)
    tm, tn, split = tiles_of(kernel)
    sms = on.chip.sm.count
    assert kernel.choice["tiles"] == ceil(m / tm) * ceil(n / tn) * split
    assert kernel.choice["waves"] == ceil(kernel.choice["tiles"] / sms)
    assert kernel.choice["tail_tiles"] == kernel.choice["tiles"] % sms
    per_wave = {"waves": sms, "tail": kernel.choice["tail_tiles"]}
    in_phases = sum(
        phase.steps // kernel.choice["depth_steps"] * per_wave[phase.name]
        for phase in kernel.phases
        if phase.name in per_wave
    )
    assert in_phases == kernel.choice["tiles"]
    step = kernel.choice["depth_steps"] * split * gemm.DEPTH_BYTES / 2
    assert k <= step < k + split * gemm.DEPTH_BYTES / 2 + 1e-9


@given(chips, sizes, sizes, sizes)
def test_memory_moves_at_least_every_operand_and_the_result_once(name: str, m: int, n: int, k: int) -> None:
    kernel = mapped(name).matmul(m, n, k)
    operands, result = 2 * (m * k + k * n), 2 * m * n
    reread = kernel.choice["reread_bytes"]
    assert reread >= 0
    spilled_reads = loads(kernel, MEMORY) - operands - reread
    assert spilled_reads >= 0
    # what is spilled between the splits is written and read again
    assert stores(kernel, MEMORY) == result + spilled_reads
    assert kernel.events["memory"] == kernel.demand(MEMORY)


@given(chips, sizes, sizes, sizes)
def test_what_comes_from_memory_passes_through_l2(name: str, m: int, n: int, k: int) -> None:
    kernel = mapped(name).matmul(m, n, k)
    assert loads(kernel, L2) >= loads(kernel, MEMORY)
    assert loads(kernel, L2) == loads(kernel, L2_PORT)
    assert stores(kernel, L2) == stores(kernel, L2_PORT) >= 2 * m * n


@given(chips, sizes, sizes, sizes)
def test_every_product_is_computed_and_padding_is_not_charged_as_arithmetic(name: str, m: int, n: int, k: int) -> None:
    on = mapped(name)
    kernel = on.matmul(m, n, k)
    rate = next(row for row in on.chip.peak if row.operands == on.mapper.chip.peak[0].operands).flops_per_clock
    assert kernel.demand(TENSOR) * rate >= 2 * m * n * k
    tensor = [units for event, units in kernel.events.items() if event.startswith("tensor:")]
    assert tensor == [2 * m * n * k]


@given(chips, sizes, sizes, sizes)
def test_the_choice_is_the_fastest_of_what_was_considered(name: str, m: int, n: int, k: int) -> None:
    on = mapped(name)
    kernel = on.matmul(m, n, k)
    times = [alternative.time_s for alternative in kernel.alternatives]
    assert times == sorted(times)
    assert kernel.alternatives[0].label == kernel.choice["label"]
    assert on.time_s(kernel) == times[0]
    assert len({alternative.label for alternative in kernel.alternatives}) == len(times)


@given(st.sampled_from([name for name in CHIPS if chip_of(name).sm.operand_sharing == 1]), sizes, sizes, sizes)
def test_doubling_a_dimension_never_makes_it_faster(name: str, m: int, n: int, k: int) -> None:
    on = mapped(name)
    before = on.time_s(on.matmul(m, n, k))
    for larger in ((2 * m, n, k), (m, 2 * n, k), (m, n, 2 * k)):
        # a result of a few bytes does not divide evenly over the steps
        assert on.time_s(on.matmul(*larger)) >= before * (1 - 1e-4), larger


@given(st.sampled_from([name for name in CHIPS if chip_of(name).sm.operand_sharing == 2]), sizes, sizes, sizes)
def test_doubling_with_multicast_gains_at_most_what_two_sms_fetch_together(name: str, m: int, n: int, k: int) -> None:
    """Two tiles that share a fetched operand have twice the bytes in flight of one tile that fetches it alone."""
    on = mapped(name)
    before = on.time_s(on.matmul(m, n, k)) - on.chip.timing.launch_s
    for larger in ((2 * m, n, k), (m, 2 * n, k), (m, n, 2 * k)):
        assert on.time_s(on.matmul(*larger)) - on.chip.timing.launch_s >= before / 2, larger


@given(chips, sizes, sizes, sizes, st.integers(1, 200))
def test_a_little_more_never_costs_less_than_one_wave_less(name: str, m: int, n: int, k: int, more: int) -> None:
    """Between multiples of a tile time may fall: a ragged edge fills SMs that stood idle. Never below the roofline."""
    on = mapped(name)
    kernel = on.matmul(m + more, n, k)
    rate = on.chip.peak_flops_per_s(on.chip.peak[0])
    moved = 2 * ((m + more) * k + k * n + (m + more) * n)
    assert on.time_s(kernel) >= max(2 * (m + more) * n * k / rate, moved / on.chip.memory.bandwidth_bytes_per_s)


@given(chips, sizes, sizes, sizes, st.sampled_from([2, 8, 100]))
def test_a_smaller_l2_never_lowers_traffic_of_a_tiling_nor_time(name: str, m: int, n: int, k: int, factor: int) -> None:
    large = mapped(name)
    small = Mapped(large.chip.with_({"l2.capacity": large.chip.l2.capacity_bytes / factor}))
    before, after = large.matmul(m, n, k), small.matmul(m, n, k)
    # whole bytes do not divide evenly over the steps
    assert small.time_s(after) >= large.time_s(before) * (1 - 1e-4)
    if after.choice["label"] == before.choice["label"]:
        assert after.demand(MEMORY) >= before.demand(MEMORY)


@pytest.mark.parametrize("name", CHIPS)
def test_a_much_smaller_l2_raises_memory_traffic_of_a_large_product(name: str) -> None:
    large = mapped(name)
    small = Mapped(large.chip.with_({"l2.capacity": large.chip.l2.capacity_bytes / 100}))
    k = int(large.chip.l2.capacity_bytes / 4096 / 4)  # both operands fill half of L2
    before, after = large.matmul(4096, 4096, k), small.matmul(4096, 4096, k)
    assert before.choice["reread_bytes"] == 0
    assert after.demand(MEMORY) > 1.2 * before.demand(MEMORY)


@pytest.mark.parametrize(
    "figure",
    ["memory.bandwidth", "clock.sm.frequency", "l2.bandwidth", "l2.capacity", "sm.l2_port", "sm.shared_bandwidth",
     "sm.register_bandwidth", "timing.in_flight", "peak.0.rate", "sm.shared", "sm.registers"],
)  # fmt: skip
@given(chips, sizes, sizes, sizes, st.sampled_from([1.3, 2.0, 4.0]))
def test_more_of_a_figure_never_hurts(figure: str, name: str, m: int, n: int, k: int, factor: float) -> None:
    on = mapped(name)
    better = Mapped(raised(on.chip, figure, factor))
    assert better.time_s(better.matmul(m, n, k)) <= on.time_s(on.matmul(m, n, k)) + 1e-12


def raised(chip: GpuChip, path: str, factor: float) -> GpuChip:
    """The chip with one figure multiplied."""
    value: object = chip
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else _field(value, part)  # type: ignore[index]
    assert isinstance(value, int | float)
    return chip.with_({path: type(value)(value * factor)})


def _field(record: object, key: str) -> object:
    for name, field in type(record).model_fields.items():  # type: ignore[attr-defined]
        if key in (field.alias, name):
            return getattr(record, name)
    raise KeyError(key)


@given(chips, st.integers(1, 40), st.integers(1, 40), sizes)
def test_twice_the_sms_cost_at_most_the_stores_that_they_leave_to_the_end(
    name: str, rows: int, columns: int, k: int
) -> None:
    """Waves of more tiles are fewer: with a single one, no result leaves while others are computed."""
    on = mapped(name)
    better = Mapped(on.chip.with_({"sm.count": 2 * on.chip.sm.count}))
    m, n = 128 * rows, 256 * columns
    at_the_end = 2 * m * n / on.chip.memory.bandwidth_bytes_per_s
    assert better.time_s(better.matmul(m, n, k)) <= on.time_s(on.matmul(m, n, k)) + at_the_end


@pytest.mark.parametrize("name", CHIPS)
def test_one_tile_more_than_sms_takes_nearly_twice_as_long(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "TILES", ((128, 128),))
    monkeypatch.setattr(gemm, "SPLITS", (1,))
    plain = chip_of(name)  # one row of tiles moves much: ports that never bind make it compute-bound
    ports = {"memory.bandwidth": 50 * plain.memory.bandwidth_bytes_per_s, "l2.bandwidth": 50 * plain.l2.bytes_per_clock}
    on = Mapped(plain.with_({**ports, "timing.in_flight": "1 MiB", "sm.l2_port": "1 kB/clk"}))
    sms, k = on.chip.sm.count, 65_536
    full, over = (on.matmul(128, 128 * tiles, k) for tiles in (sms, sms + 1))
    assert full.choice["waves"] == 1
    assert over.choice["waves"] == 2
    ratio = (on.time_s(over) - on.chip.timing.launch_s) / (on.time_s(full) - on.chip.timing.launch_s)
    assert 1.97 < ratio <= 2.0 + 1e-9


def test_a_kernel_of_one_tile_and_one_step_pays_load_compute_and_store_in_sequence(tiny_chip: GpuChip) -> None:
    on = Mapped(tiny_chip)
    kernel = on.matmul(16, 64, 64)
    assert kernel.choice["tiles"] == kernel.choice["depth_steps"] == 1
    timing = tiny_chip.timing
    in_flight = min((16 + 64) * 128 * kernel.choice["stages"], timing.bytes_in_flight_per_sm)
    drawn = 100e9 * on.mapper.memory.share(in_flight)
    stored = 100e9 * on.mapper.memory.share(timing.bytes_in_flight_per_sm, reads=0.0)
    assert drawn < in_flight / timing.memory_latency_s  # Little's law
    load = max(2 * 64 * (16 + 64) / drawn, 2 * 64 * (16 + 64) / 64e9)
    operands_in_shared = 2 * 64 * (16 + 64) * (1 + tiny_chip.sm.operand_reads) / 128e9
    compute = max(2 * 16 * 64 * 64 / 1024 / 1e9, operands_in_shared)
    store = max(2 * 16 * 64 / stored, 2 * 16 * 64 / 64e9)
    expected = timing.launch_s + timing.memory_latency_s + load + compute + store
    assert on.time_s(kernel) == pytest.approx(expected, rel=1e-9)


def test_splitting_the_depth_is_considered_only_where_sms_stand_idle() -> None:
    on = mapped("h100-sxm")
    few, many = on.matmul(16, 512, 16_384), on.matmul(8192, 8192, 4096)
    assert few.choice["split"] > 1
    assert [phase.name for phase in few.phases][-1] == "reduce"
    assert all("split" not in alternative.label or "16x64" in alternative.label for alternative in few.alternatives[:1])
    assert many.choice["split"] == 1
    for kernel in (few, many):
        for alternative in kernel.alternatives:
            if " split " not in alternative.label:
                continue
            tile, split = alternative.label.split(" split ")
            tm, tn = (int(part) for part in tile.split("x"))
            m, n, k = (kernel.operator.dims[key] for key in "mnk")
            assert ceil(m / tm) * ceil(n / tn) < 2 * on.chip.sm.count
            assert k >= int(split) * 64


def test_a_split_writes_fp32_partials_and_reads_them_again() -> None:
    kernel = mapped("h100-sxm").matmul(16, 512, 16_384)
    split = kernel.choice["split"]
    reduce = kernel.phases[-1]
    partials = 4 * 16 * 512 * split
    assert {d.resource: d.amount for d in reduce.load}[L2] == partials
    written = sum(d.amount for phase in kernel.phases[:-1] for d in phase.store if d.resource == L2)
    assert written == partials
    assert stores(kernel, MEMORY) == 2 * 16 * 512
    # one addition per partial result, charged as vector arithmetic
    assert kernel.events["vector"] == 16 * 512 * split
    assert set(reduce.after or ()) == {phase.name for phase in kernel.phases[:-1]}


def test_multicast_spares_l2_only_where_tiles_share_an_operand() -> None:
    on, alone = mapped("h100-sxm"), Mapped(chip_of("h100-sxm").with_({"sm.operand_sharing": 1}))
    row, twin = on.matmul(16, 65_536, 4096), alone.matmul(16, 65_536, 4096)
    assert row.choice["label"] == twin.choice["label"]
    assert loads(row, L2) == loads(twin, L2), "a single row of tiles has nobody to share with"
    big, big_twin = on.matmul(8192, 8192, 4096), alone.matmul(8192, 8192, 4096)
    assert loads(big, L2) < loads(big_twin, L2)


@given(st.lists(st.floats(0.01, 300), min_size=1, max_size=60))
def test_loads_of_experts_become_whole_rows_that_keep_every_pick(raw: list[float]) -> None:
    total = max(len(raw), round(sum(raw)))
    loads_ = sorted((value / sum(raw) * total for value in raw), reverse=True)
    assume(all(value > 0 for value in loads_))
    import numpy as np

    rows = gemm._whole_rows(np.asarray(loads_), total)
    assert sum(rows) >= total
    assert all(row >= 1 for row in rows)
    if min(loads_) >= 1:
        assert sum(rows) == total
        assert all(abs(row - load) < 1 + 1e-9 for row, load in zip(rows, loads_, strict=True))


@pytest.mark.parametrize(("rate", "resource"), [("sm.shared_bandwidth", SHARED), ("sm.register_bandwidth", REGISTER)])
def test_every_port_on_the_way_can_be_the_limit(rate: str, resource: str) -> None:
    on = mapped("h100-sxm")
    slow = Mapped(raised(on.chip, rate, 1e-3))
    kernel = slow.matmul(4096, 4096, 4096)
    alone = kernel.demand(resource) / slow.mapper.resources[resource].rate
    assert slow.time_s(kernel) == pytest.approx(alone, rel=0.05)
    assert slow.time_s(kernel) > 50 * on.time_s(on.matmul(4096, 4096, 4096))


def test_the_arithmetic_of_the_graph_is_what_energy_is_charged_for() -> None:
    on = mapped("a100-sxm-80gb")
    for m, n, k in product((1, 17, 300), repeat=3):
        kernel = on.matmul(m, n, k)
        assert (
            sum(v for e, v in kernel.events.items() if e.startswith("tensor:")) == count(kernel.operator).matrix_flops
        )
        assert kernel.demand(VECTOR) == 0 or kernel.choice["split"] > 1
