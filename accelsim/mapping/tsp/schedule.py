"""A static schedule, and the check that a machine without queues, arbiters or stalls can run it.

An instruction is a run of equal steps on one queue of one slice. It takes vectors from streams at the cycle at which
they pass, works `delay` cycles, and gives vectors to streams, which carry them one place per cycle. Nothing waits:
what is a cycle too early or too late takes another vector, or none. The check is arithmetic on runs; `replay` does the
same cycle by cycle, for small schedules and for tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from accelsim.errors import ScheduleError
from accelsim.mapping.tsp.steps import Steps, equal, meet

SHOWN = 3
"""Conflicts that an error names."""


@dataclass(frozen=True, slots=True)
class Take:
    """A vector that a step needs from a stream: that of the source's step with the same number.

    Attributes:
        source: name of the run that gave it.
        direction: 1 eastward, -1 westward; 0 for a link, where places do not matter.
        stream: number of the stream, or of the link.
    """

    source: str
    direction: int
    stream: int


@dataclass(frozen=True, slots=True)
class Give:
    """A vector put on a stream.

    Attributes:
        direction: 1 eastward, -1 westward; 0 for a link to another chip.
        stream: number of the stream, or of the link.
        reach: place of the farthest slice that takes it.
    """

    direction: int
    stream: int
    reach: int


@dataclass(frozen=True, slots=True)
class Need:
    """Something that must have been done before, in memory or in a slice.

    Burst b of the run needs burst (b + 1) x `per` - 1 - `lag` of the source, the same step of it or the `whole` burst;
    with `per` = 0 everything that the source does. What is needed is its result, or with `issued` only that it has
    begun (weights may be replaced once the last vector is on its way through them).
    """

    source: str
    per: int = 0
    lag: int = 0
    whole: bool = False
    issued: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One instruction, repeated.

    Attributes:
        name: unique in its program.
        unit: the queue that issues it; it issues once per cycle.
        place: of its slice, the vector slice at 0, east positive.
        steps: cycles of issue, on the lowest tile.
        delay: cycles from a step to what it gives or stores.
        held: cycles for which a step occupies its unit.
        takes: vectors from streams.
        gives: vectors to streams.
        needs: what must be done before.
    """

    name: str
    unit: str
    place: int
    steps: Steps
    delay: int
    held: int = 1
    takes: tuple[Take, ...] = ()
    gives: tuple[Give, ...] = ()
    needs: tuple[Need, ...] = ()

    @property
    def done(self) -> int:
        """The first cycle after its last step and what that gives or stores."""
        return self.steps.last + max(self.delay, self.held - 1) + 1

    def moved(self, cycles: int) -> Run:
        """The same run, later."""
        return replace(self, steps=self.steps.moved(cycles))


@dataclass(frozen=True, slots=True)
class Program:
    """What one chip does for one operator; its peers do the same at the same cycles.

    Attributes:
        runs: instructions.
        tiles: tiles of a slice: each gets an instruction one cycle after the one below.
    """

    runs: tuple[Run, ...]
    tiles: int

    @property
    def cycles(self) -> int:
        """From the first issue to the last result on the last tile."""
        return max((run.done for run in self.runs), default=0) + self.tiles - 1 if self.runs else 0


@dataclass(frozen=True, slots=True)
class Conflict:
    """Why a schedule cannot run.

    Attributes:
        kind: "unit" (used twice), "stream" (two vectors in one place), "arrival" (no vector, or another one, when it is
            taken), "order" (used before it is there) or "source" (nobody gives it).
        runs: names of the runs.
        where: unit or stream.
        cycle: when it happens first, as far as it is known.
    """

    kind: str
    runs: tuple[str, ...]
    where: str
    cycle: int

    def __str__(self) -> str:
        return f"{self.kind}: {' and '.join(self.runs)} at {self.where}, cycle {self.cycle}"


def check(program: Program, name: str = "schedule") -> None:
    """Says nothing about a schedule that the machine can run.

    Raises:
        ScheduleError: naming the first conflicts.
    """
    found = conflicts(program)
    if found:
        rest = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
        raise ScheduleError(f"{name}: " + "; ".join(map(str, found[:SHOWN])) + rest)


def conflicts(program: Program) -> list[Conflict]:
    """Everything that keeps a machine without queues from running a schedule."""
    runs = {run.name: run for run in program.runs}
    if len(runs) < len(program.runs):
        raise ScheduleError("a program has two runs of one name")
    return [*_units(program.runs), *_streams(program.runs), *_arrivals(runs), *_orders(runs)]


def _units(runs: Iterable[Run]) -> Iterator[Conflict]:
    """Queues that would have to issue twice in a cycle."""
    by_unit: dict[str, list[Run]] = {}
    for run in runs:
        by_unit.setdefault(run.unit, []).append(run)
    for unit, users in by_unit.items():
        for run in users:
            if run.held > 1 and _shortest(run.steps) < run.held:
                yield Conflict("unit", (run.name,), unit, run.steps.first)
        for index, run in enumerate(users):
            for other in users[index + 1 :]:
                cycle = meet(run.steps, other.steps, run.held, other.held)
                if cycle is not None:
                    yield Conflict("unit", (run.name, other.name), unit, cycle)


def _shortest(steps: Steps) -> int:
    """The least distance of two steps that follow each other."""
    gaps = [steps.stride] if steps.length > 1 else []
    if steps.bursts > 1:
        gaps.append(steps.period - (steps.length - 1) * steps.stride)
    return min(gaps, default=2**62)


def _streams(runs: Iterable[Run]) -> Iterator[Conflict]:
    """Vectors that would be on one hop of a stream at one cycle.

    A vector keeps cycle - direction x place as it moves: two are in each other's way where these agree and their ways
    overlap. Where one ends, at the slice that takes it, another may begin.
    """
    ways: dict[tuple[int, int], list[tuple[Run, Steps, int, int]]] = {}
    for run in runs:
        for give in run.gives:
            if give.direction:
                low, high = sorted((run.place, give.reach))
                front = run.steps.moved(run.delay - give.direction * run.place)
                ways.setdefault((give.direction, give.stream), []).append((run, front, low, high))
    for (direction, stream), users in ways.items():
        where = f"stream {stream} {'east' if direction > 0 else 'west'}"
        for index, (run, front, low, high) in enumerate(users):
            for other, other_front, other_low, other_high in users[index + 1 :]:
                if low >= other_high or other_low >= high:
                    continue
                cycle = meet(front, other_front)
                if cycle is not None:
                    place = max(low, other_low) if direction > 0 else min(high, other_high)
                    yield Conflict("stream", (run.name, other.name), where, cycle + direction * place)


def _arrivals(runs: dict[str, Run]) -> Iterator[Conflict]:
    """Vectors that are not there, or are others, when a step takes them."""
    for run in runs.values():
        for take in run.takes:
            source = runs.get(take.source)
            give = source and next((g for g in source.gives if _reaches(source, g, take, run.place)), None)
            if source is None or give is None:
                yield Conflict("source", (run.name, take.source), _stream(take), run.steps.first)
                continue
            hops = abs(run.place - source.place) if take.direction else 0
            if not equal(source.steps.moved(source.delay + hops), run.steps):
                yield Conflict("arrival", (run.name, source.name), _stream(take), run.steps.first)


def _reaches(source: Run, give: Give, take: Take, place: int) -> bool:
    """Whether what a run gives comes by where it is taken."""
    if (give.direction, give.stream) != (take.direction, take.stream):
        return False
    if not give.direction:
        return True
    way = give.direction * (place - source.place)
    return 0 < way <= give.direction * (give.reach - source.place)


def _stream(take: Take) -> str:
    if not take.direction:
        return f"link {take.stream}"
    return f"stream {take.stream} {'east' if take.direction > 0 else 'west'}"


def _orders(runs: dict[str, Run]) -> Iterator[Conflict]:
    """What is used before it is there. Both patterns are linear in burst and step, so that their corners decide."""
    for run in runs.values():
        for need in run.needs:
            source = runs.get(need.source)
            if source is None:
                yield Conflict("source", (run.name, need.source), run.unit, run.steps.first)
            elif (late := _late(run, source, need)) is not None:
                yield Conflict("order", (run.name, source.name), run.unit, late)


def _late(run: Run, source: Run, need: Need) -> int | None:
    """The first cycle, at a corner of the pattern, at which a run's step comes before what it needs."""
    mine, theirs = run.steps, source.steps
    delay = 1 if need.issued else source.delay
    if not need.per:
        return mine.first if mine.first < theirs.last + delay else None
    if (mine.bursts * need.per - need.lag) > theirs.bursts or (not need.whole and mine.length > theirs.length):
        return mine.first
    first = -(-(need.lag + 1) // need.per) - 1  # the first burst that needs anything
    for burst in {min(max(first, 0), mine.bursts - 1), mine.bursts - 1}:
        wanted = (burst + 1) * need.per - 1 - need.lag
        if wanted < 0:
            continue
        for step in {0, mine.length - 1}:
            other = theirs.length - 1 if need.whole else step
            ready = theirs.first + wanted * theirs.period + other * theirs.stride + delay
            now = mine.first + burst * mine.period + step * mine.stride
            if now < ready:
                return now
    return None
