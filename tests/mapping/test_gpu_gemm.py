"""Matrix multiplication in tiles: what is moved, what is computed, and how time answers to sizes and figures."""

from __future__ import annotations

from itertools import product
from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.evaluate.gemms import kernels
from accelsim.graph.counts import count
from accelsim.mapping.gpu import problem
from accelsim.mapping.gpu.resources import L2, L2_PORT, MEMORY, REGISTER, SHARED, TENSOR, VECTOR
from accelsim.mapping.kernel import Kernel
from accelsim.spec.calibration import Conditions, Residency
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.gemm import candidates
from accelsim.timing.gpu.shapes import STEP_BYTES
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
    step = kernel.choice["depth_steps"] * split * STEP_BYTES / 2
    assert k <= step < k + split * STEP_BYTES / 2 + 1e-9


@given(chips, sizes, sizes, sizes)
def test_memory_moves_at_least_every_operand_and_the_result_once(name: str, m: int, n: int, k: int) -> None:
    kernel = mapped(name).matmul(m, n, k)
    operands, result = 2 * (m * k + k * n), 2 * m * n
    spilled_reads = loads(kernel, MEMORY) - operands
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
    assert on.time_s(kernel) == pytest.approx(times[0], rel=1e-12)
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


@given(chips, sizes, sizes, sizes, st.sampled_from([2, 8, 100]), st.sampled_from(["cold", "steady", "harness(3)"]))
def test_a_smaller_l2_never_lowers_time(name: str, m: int, n: int, k: int, factor: int, state: str) -> None:
    chip = chip_of(name)
    capacity = chip.l2.capacity_bytes
    large, small = (
        kernels(chip.with_({"l2.capacity": c}), "fp16", conditions=Conditions(residency=Residency.parse(state)))
        for c in (capacity, capacity / factor)
    )
    assert small.price(m, n, k).seconds[0] >= large.price(m, n, k).seconds[0] * (1 - 1e-12)


@pytest.mark.parametrize(
    "figure",
    ["memory.bandwidth", "clock.sm.frequency", "l2.bandwidth", "l2.capacity", "sm.l2_port", "sm.shared_bandwidth",
     "sm.register_bandwidth", "peak.0.rate", "sm.shared", "sm.registers"],
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
def test_one_tile_more_than_sms_takes_longer_by_what_is_not_recovered(name: str) -> None:
    plain = chip_of(name)  # one row of tiles moves much: memory and L2 that never bind make it compute-bound
    ports = {"memory.bandwidth": 50 * plain.memory.bandwidth_bytes_per_s, "l2.bandwidth": 50 * plain.l2.bytes_per_clock}
    on = kernels(plain.with_({**ports, "sm.l2_port": "1 kB/clk"}), "fp16")
    sms, c = on.machine.sms, on.library.calibration.gemm
    over = on.price([128, 128], [128 * sms, 128 * (sms + 1)], 65_536)
    index = candidates().pairs.index(((128, 128), 1))
    first, second = (float(column[index]) for column in over.candidates)
    lost = 1 - c.recovered_tail * (1 - 1 / sms)
    assert second / first == pytest.approx(1 + lost, rel=0.03)


def test_a_kernel_of_one_tile_takes_what_its_constants_say(tiny_chip: GpuChip) -> None:
    on = Mapped(tiny_chip)
    kernel = on.matmul(16, 64, 64)
    assert kernel.choice["tiles"] == kernel.choice["depth_steps"] == 1
    c, timing = on.mapper.library.calibration.gemm, tiny_chip.timing
    operands, stored = 2 * 64 * (16 + 64), 2 * 16 * 64
    rate = 100e9 * on.mapper.memory.streaming(operands / (operands + stored)) * c.memory_efficiency
    moved = operands + stored
    memory = moved / rate + c.ramp_s * moved / (moved + c.ramp_s * rate)
    step = max(c.loaded_latency_s / kernel.choice["stages"], c.issue_s, operands / (64e9 * c.l2_efficiency))
    sm = step + c.epilogue * stored / 64e9 + c.tile_start_s
    body = (sm**c.overlap + memory**c.overlap) ** (1 / c.overlap)
    # the clock hardly falls in so short a time
    assert on.time_s(kernel) == pytest.approx(timing.launch_s + c.start_s + body, rel=1e-3)


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
            tile = alternative.label.split(" split ")[0]
            tm, tn = (int(part) for part in tile.split("x"))
            m, n = (kernel.operator.dims[key] for key in "mn")
            assert ceil(m / tm) * ceil(n / tn) < 2 * on.chip.sm.count


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
    assert loads(big, L2) / big.choice["tiles"] < loads(big_twin, L2) / big_twin.choice["tiles"]


@given(st.lists(st.floats(0.01, 300), min_size=1, max_size=60))
def test_loads_of_experts_become_whole_rows_that_keep_every_pick(raw: list[float]) -> None:
    total = max(len(raw), round(sum(raw)))
    loads_ = sorted((value / sum(raw) * total for value in raw), reverse=True)
    assume(all(value > 0 for value in loads_))
    import numpy as np

    rows = problem._whole_rows(np.asarray(loads_), total)
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
