"""A schedule cycle by cycle: every step issued, every vector moved hop by hop. Slow, and obviously right."""

from __future__ import annotations

from collections.abc import Iterator

from accelsim.mapping.tsp.schedule import Need, Program, Run

Vector = tuple[str, int]
"""Name of the run that gave it, number of the step."""


def runs_through(program: Program) -> bool:
    """Whether a machine without queues gets through: no unit and no place of a stream twice, nothing missing or late.

    Takes time and memory with the number of steps times hops; meant for programs of some thousand steps.
    """
    runs = {run.name: run for run in program.runs}
    return _units_free(program) and _streams_carry(program, runs) and _ready(runs)


def _units_free(program: Program) -> bool:
    busy: set[tuple[str, int]] = set()
    for run in program.runs:
        for cycle in run.steps:
            for offset in range(run.held):
                if (run.unit, cycle + offset) in busy:
                    return False
                busy.add((run.unit, cycle + offset))
    return True


def _streams_carry(program: Program, runs: dict[str, Run]) -> bool:
    carried: dict[tuple[int, int, int, int], Vector] = {}  # by the place that a hop leads to
    for run in program.runs:
        for give in run.gives:
            for number, cycle in enumerate(run.steps):
                for key in _way(run, give.direction, give.stream, give.reach, cycle + run.delay):
                    if key in carried:
                        return False
                    carried[key] = (run.name, number)
    for run in program.runs:
        for take in run.takes:
            if take.source not in runs or runs[take.source].steps.count != run.steps.count:
                return False
            for number, cycle in enumerate(run.steps):
                place = run.place if take.direction else 0
                if carried.get((take.direction, take.stream, place, cycle)) != (take.source, number):
                    return False
    return True


def _way(run: Run, direction: int, stream: int, reach: int, start: int) -> Iterator[tuple[int, int, int, int]]:
    """(direction, stream, place, cycle) at which one vector arrives, hop by hop."""
    if not direction:
        yield (0, stream, 0, start)
        return
    for hop in range(1, direction * (reach - run.place) + 1):
        yield (direction, stream, run.place + direction * hop, start + hop)


def _ready(runs: dict[str, Run]) -> bool:
    for run in runs.values():
        for need in run.needs:
            source = runs.get(need.source)
            if source is None or not _need_met(run, source, need):
                return False
    return True


def _need_met(run: Run, source: Run, need: Need) -> bool:
    theirs = list(source.steps)
    width, delay = source.steps.length, 1 if need.issued else source.delay
    for number, cycle in enumerate(run.steps):
        burst, step = divmod(number, run.steps.length)
        if not need.per:
            wanted = len(theirs) - 1
        else:
            other = (burst + 1) * need.per - 1 - need.lag
            if other < 0:
                continue
            if other >= source.steps.bursts or (not need.whole and step >= width):
                return False
            wanted = other * width + (width - 1 if need.whole else step)
        if cycle < theirs[wanted] + delay:
            return False
    return True
