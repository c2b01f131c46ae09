"""The planner: every split is whole, the chosen one is the fastest that fits, and more of anything never hurts."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.mapping.ipu.split import Problem, Split, splits
from accelsim.spec.ipu import IpuPart


def chip(**changes: Any) -> IpuPart:
    record = catalog.chip("ipu-gc200", {key.replace("__", "."): value for key, value in changes.items()} or None)
    assert isinstance(record, IpuPart)
    return record


def problem(rows: int, columns: int, depth: int, groups: int = 1, **more: float) -> Problem:
    figures = {"input_bytes": 2.0, "weight_bytes": 2.0, "operand_bytes": 2.0, **more}
    return Problem(groups=groups, rows=rows, columns=columns, depth=depth, **figures)


def best(what: Problem, part: IpuPart) -> Split:
    return splits(what, part.peak[0], part)[0]


SHAPES = st.builds(
    problem,
    rows=st.integers(1, 300),
    columns=st.integers(1, 9000),
    depth=st.integers(1, 9000),
    groups=st.sampled_from([1, 1, 8, 25, 2000]),
)


@given(what=SHAPES)
def test_splits_cover_the_product_and_fit(what: Problem) -> None:
    part = chip()
    found = splits(what, part.peak[0], part)
    assert found
    assert [way.cycles(part) for way in found] == sorted(way.cycles(part) for way in found)
    for way in found:
        assert 1 <= way.tiles <= part.tile.count
        assert way.workspace_bytes <= part.tile.workspace_bytes
        assert 0 < way.balance <= 1
        macs = what.groups * what.rows * what.columns * what.depth
        done = way.passes * way.steps[0].cost.multiply * way.tiles * part.peak[0].flops_per_clock / 2
        assert done >= macs


@given(what=SHAPES, factor=st.sampled_from([2, 3]))
def test_more_tiles_never_hurt(what: Problem, factor: int) -> None:
    small, large = chip(tile__count=400), chip(tile__count=400 * factor)
    assert best(what, large).cycles(large) <= best(what, small).cycles(small)


@given(what=SHAPES)
def test_more_room_and_wider_exchange_never_hurt(what: Problem) -> None:
    usual = chip()
    for better in (chip(tile__workspace="256 KiB"), chip(exchange__bandwidth="8 B/clk"), chip(tile__load="32 B/clk")):
        assert best(what, better).cycles(better) <= best(what, usual).cycles(usual)


def test_a_vector_times_a_matrix_uses_nearly_all_tiles_and_says_what_it_costs() -> None:
    part = chip()
    way = best(problem(1, 6400, 1600), part)
    assert (way.rows, way.passes) == (1, 1)
    assert way.tiles > 0.9 * part.tile.count
    assert [step.name for step in way.steps] == ["multiply", "reduce1"]


def test_many_rows_that_do_not_fit_the_workspace_take_several_passes() -> None:
    part = chip()
    assert best(problem(32, 4800, 1600), part).passes == 1
    assert best(problem(4096, 4800, 1600), part).passes > 1


def test_large_products_reach_a_good_part_of_the_peak() -> None:
    part = chip()
    what = problem(8192, 8192, 8192)
    flops = 2.0 * 8192**3
    reached = (
        flops / (best(what, part).cycles(part) / part.clock.tile.frequency_hz) / part.peak_flops_per_s(part.peak[0])
    )
    assert 0.35 < reached < 0.8


def test_a_batch_of_six_costs_far_less_than_six_vectors() -> None:
    part = chip()
    one, six = (best(problem(rows, 6400, 1600), part).cycles(part) for rows in (1, 6))
    assert one < six < 1.4 * one


def test_what_fits_no_workspace_has_no_split() -> None:
    part = chip(tile__workspace="1 KiB")
    assert splits(problem(1, 16, 500_000_000), part.peak[0], part) == []


def test_a_dearer_superstep_makes_the_planner_take_fewer() -> None:
    what = problem(1, 4800, 1600)
    counts = []
    for superstep in (100.0, 1000.0):
        part = chip(timing__superstep=superstep)
        counts.append(len(best(what, part).steps))
    assert counts == [3, 2]
