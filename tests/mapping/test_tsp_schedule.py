"""Schedules of real operators are legal; the check and the cycle-by-cycle replay agree on them and on mutants."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import ScheduleError
from accelsim.mapping.tsp import exchange, matrix, vector
from accelsim.mapping.tsp.replay import runs_through
from accelsim.mapping.tsp.schedule import Give, Need, Program, Run, Take, check, conflicts
from accelsim.mapping.tsp.section import Section
from accelsim.mapping.tsp.steps import Steps
from accelsim.timing.tsp.rates import loads
from tests.mapping.tsp_parts import part, tiny


def product(kind: str, m: int, k: int, n: int) -> Section:
    chip = tiny()
    row = chip.peak[0] if kind == "int8" else chip.peak[1]
    convert = chip.convert[0] if kind == "converted" else None
    ways = loads(chip, row, 2.0 if kind == "fp16" else 1.0, 2, convert)
    return matrix.section(chip, row, matrix.tilings(chip, row, ways, vectors=m, k=k, n=n)[0][1], kind, 2)


def sections() -> dict[str, Section]:
    chip = tiny()
    return {
        "int8 GEMV": product("int8", 1, 70, 130),
        "fp16 GEMM": product("fp16", 9, 64, 96),
        "converted GEMV": product("converted", 1, 96, 64),
        "converted GEMM": product("converted", 40, 64, 64),
        "pass": vector.passes(chip, "pass", elements=300, operations=3, read=4, written=2)[0],
        "statistic": vector.passes(chip, "statistic", elements=300, operations=2, read=2, written=0)[0],
        "lane sums": vector.lane_sums(chip, "sums", 5),
        "lane maxima": vector.lane_maxima(chip, "maxima", 50),
        "exchange": exchange.send(chip, "send", 7, 3, within=True),
        "three hops": exchange.send(chip, "send", 2, 4, within=False, hops=3),
    }


SECTIONS = sections()


@pytest.mark.parametrize("name", SECTIONS)
def test_a_schedule_is_legal_by_arithmetic_and_cycle_by_cycle(name: str) -> None:
    program = SECTIONS[name].program
    assert conflicts(program) == []
    assert runs_through(program)
    assert min(run.steps.first for run in program.runs) == 0


def mutants(program: Program) -> list[tuple[str, str, Program]]:
    """(what, run, program): every instruction a cycle earlier or later, a hop dropped, two sends swapped."""
    found = []
    for index, run in enumerate(program.runs):
        others = program.runs[:index], program.runs[index + 1 :]

        def made(new: Run, parts: tuple[tuple[Run, ...], tuple[Run, ...]] = others) -> Program:
            return Program((*parts[0], new, *parts[1]), program.tiles)

        found += [("shift", run.name, made(run.moved(cycles))) for cycles in (1, -1)]
        if run.place:
            nearer = run.place - (1 if run.place > 0 else -1)
            found.append(("hop", run.name, made(replace(run, place=nearer))))
    sends = [run for run in program.runs if any(not give.direction for give in run.gives)]
    for first, second in itertools.pairwise(sends):
        swapped = {first.name: second.takes, second.name: first.takes}
        runs = tuple(replace(run, takes=swapped.get(run.name, run.takes)) for run in program.runs)
        found.append(("swap", first.name, Program(runs, program.tiles)))
    return found


@pytest.mark.parametrize("name", SECTIONS)
def test_a_mutant_is_named_or_proved_legal(name: str) -> None:
    caught = 0
    for what, run, mutant in mutants(SECTIONS[name].program):
        found = conflicts(mutant)
        assert (found == []) == runs_through(mutant), (what, run, [str(conflict) for conflict in found])
        if found:
            caught += 1
            assert any(run in conflict.runs for conflict in found), (what, run)
            with pytest.raises(ScheduleError, match=r"unit|stream|arrival|order|source"):
                check(mutant, name)
    assert caught >= len(SECTIONS[name].program.runs)


def test_a_shift_of_any_instruction_of_a_product_is_caught() -> None:
    for what, run, mutant in mutants(SECTIONS["fp16 GEMM"].program):
        if what == "shift" and not run.partition(".")[2].startswith("results"):
            assert conflicts(mutant), run


def run(name: str, unit: str, first: int, **more: object) -> Run:
    made: dict[str, object] = {"place": 0, "delay": 1, "steps": Steps(first), **more}
    return Run(name=name, unit=unit, **made)  # type: ignore[arg-type]


def kinds(*runs: Run) -> list[str]:
    program = Program(runs, 1)
    found = conflicts(program)
    assert runs_through(program) == (not found)
    return [conflict.kind for conflict in found]


def test_each_kind_of_conflict_by_hand() -> None:
    assert kinds(run("a", "x", 3), run("b", "x", 3)) == ["unit"]
    assert kinds(run("a", "x", 3, held=4), run("b", "x", 6)) == ["unit"]
    assert kinds(run("a", "x", 0, steps=Steps(0, 3, 2), held=3)) == ["unit"]
    assert kinds(run("a", "x", 3, held=4), run("b", "x", 7)) == []
    # a vector given at place 0 at cycle 1 passes place 2 at cycle 3; another one is put there just then
    there = run("a", "x", 0, gives=(Give(1, 0, 5),))
    assert kinds(there, run("b", "y", 2, place=2, gives=(Give(1, 0, 5),))) == ["stream"]
    assert kinds(there, run("b", "y", 3, place=2, gives=(Give(1, 0, 5),))) == []
    assert kinds(there, run("b", "y", 2, place=5, gives=(Give(1, 0, 9),))) == []  # the first one ends where it begins
    taken = run("b", "y", 6, place=5, takes=(Take("a", 1, 0),))
    assert kinds(there, taken) == []
    assert kinds(there, taken.moved(1)) == ["arrival"]
    assert kinds(there, replace(taken, place=6)) == ["source"]  # it does not go that far
    assert kinds(there, replace(taken, takes=(Take("a", 1, 1),))) == ["source"]
    assert kinds(there, replace(taken, takes=(Take("nobody", 1, 0),))) == ["source"]
    assert kinds(there, run("b", "y", 1, needs=(Need("a"),))) == []
    assert kinds(there, run("b", "y", 0, needs=(Need("a"),))) == ["order"]
    assert kinds(there, run("b", "y", 0, needs=(Need("nobody"),))) == ["source"]


def test_needs_by_bursts() -> None:
    source = run("a", "x", 0, steps=Steps(0, 2, 1, 3, 10), delay=4)  # done at 4, 5; 14, 15; 24, 25
    assert kinds(source, run("b", "y", 4, steps=Steps(4, 2, 1, 3, 10), needs=(Need("a", 1),))) == []
    assert kinds(source, run("b", "y", 3, steps=Steps(3, 2, 1, 3, 10), needs=(Need("a", 1),))) == ["order"]
    assert kinds(source, run("b", "y", 4, steps=Steps(4, 2, 1, 3, 10), needs=(Need("a", 1, whole=True),))) == ["order"]
    assert kinds(source, run("b", "y", 25, steps=Steps(25), needs=(Need("a", 3, whole=True),))) == []
    assert kinds(source, run("b", "y", 24, steps=Steps(24), needs=(Need("a", 3, whole=True),))) == ["order"]
    assert kinds(source, run("b", "y", 0, steps=Steps(0, 2, 1, 3, 15), needs=(Need("a", 1, lag=1),))) == []
    assert kinds(source, run("b", "y", 1, steps=Steps(1, 2, 1, 3, 1 + 9), needs=(Need("a", 1, issued=True),))) == []
    assert kinds(source, run("b", "y", 50, steps=Steps(50, 2, 1, 4, 10), needs=(Need("a", 1),))) == ["order"]


@given(st.data())
def test_whatever_the_chip_its_schedules_are_legal(data: st.DataObject) -> None:
    """Sections check themselves when they are made: an illegal program would raise."""

    def pick(*values: int) -> int:
        return data.draw(st.sampled_from(values))

    chip = part(
        lanes__tiles=pick(1, 5, 20), lanes__streams=pick(8, 9, 16, 32, 64), mem__slices=pick(32, 44, 88),
        mem__banks=pick(1, 2, 3), mem__read=pick(0, 5), mxm__planes=pick(4, 8, 12), mxm__weight_streams=pick(1, 4, 7),
        vxm__alus=pick(4, 5, 16, 64), vxm__latency=pick(0, 4), c2c__bandwidth=f"{pick(1, 14, 1000)} GB/s",
    )  # fmt: skip
    row, convert, out = chip.peak[pick(0, 1)], data.draw(st.sampled_from([None, *chip.convert])), pick(1, 2, 4)
    ways = loads(chip, row, 1.0 if convert else row.planes, out, convert)
    assert ways
    shape = {
        "vectors": pick(1, 2, 40, 999),
        "k": pick(1, 100, 320, 5000),
        "n": pick(1, 128, 9000),
        "copies": pick(1, 5),
    }
    options = matrix.tilings(chip, row, ways, **shape)
    made = [
        matrix.section(chip, row, options[0][1], "product", out),
        *vector.passes(
            chip, "pass", elements=pick(1, 320, 99_999), operations=pick(1, 20, 70), read=pick(1, 4, 40),
            written=pick(0, 2, 8),
        ),
        exchange.send(chip, "send", pick(1, 7, 11), pick(1, 20), within=True, hops=pick(1, 3)),
    ]  # fmt: skip
    for section in made:
        assert section.cycles >= section.steady > 0


def test_two_runs_of_one_name_are_refused() -> None:
    with pytest.raises(ScheduleError, match="two runs of one name"):
        conflicts(Program((run("a", "x", 0), run("a", "y", 1)), 1))
