"""Passes through the vector slice, and sums and maxima over the lanes of a vector."""

from __future__ import annotations

from math import ceil, log2

from accelsim.mapping.tsp.resources import MXM, PIPELINE, VXM
from accelsim.mapping.tsp.schedule import Give, Program, Run, Take
from accelsim.mapping.tsp.section import Section, memory_port, side_name
from accelsim.mapping.tsp.steps import Steps
from accelsim.spec.tsp import TspPart
from accelsim.timing.tsp.floorplan import EAST, SIDES, WEST, Floorplan
from accelsim.timing.tsp.floorplan import VXM as MIDDLE
from accelsim.timing.tsp.rates import RESULT_BYTES, bytes_at_once, vector_pass


def passes(part: TspPart, name: str, *, elements: int, operations: int, read: int, written: int) -> tuple[Section, ...]:
    """Elements from memory slices through chained ALUs and back; nothing is stored with `written` = 0.

    What is more bytes than streams and memory ports move at once comes and goes in several sections.

    Args:
        part: the chip.
        name: of the phase.
        elements: of the result.
        operations: per element.
        read: bytes of all operands per element.
        written: bytes of all results per element.
    """
    parts = max(1, ceil(max(read, written) / bytes_at_once(part)))
    if parts == 1:
        return (_pass(part, name, elements, operations, read, written),)
    return tuple(
        _pass(part, f"{name}{index}", elements, ceil(operations / parts), ceil(read / parts), ceil(written / parts))
        for index in range(parts)
    )


def _pass(part: TspPart, name: str, elements: int, operations: int, read: int, written: int) -> Section:
    lanes = part.lanes.vector
    operations = max(1, operations)
    vectors = max(1, ceil(elements / lanes))
    rate = vector_pass(part, operations, read, written)
    # more vectors at once come from slices farther away, which the last few are not worth
    width = min(
        range(1, min(rate.width, vectors) + 1),
        key=lambda w: (ceil(vectors / w) * rate.stride + ceil(w / 2) * max(read, written) * 2 // part.mem.banks, w),
    )
    entries = ceil(vectors / width)
    steps, delay = Steps(0, entries, rate.stride), part.vxm.latency * operations
    runs: list[Run] = []
    used = {EAST: [0, 0], WEST: [0, 0]}  # ports of reads and of writes
    for number in range(width):
        side = SIDES[number % 2]
        here, takes, gives, stores = side_name(side), [], [], []
        for _ in range(read):
            port = used[side][0]
            used[side][0] += 1
            place, unit = memory_port(part, side, 2 * port)
            label = f"{here}.read{port}"
            runs.append(
                Run(
                    name=label, unit=unit, place=place, steps=steps.moved(-part.mem.read - abs(place)),
                    delay=part.mem.read, gives=(Give(-side, port, MIDDLE),),
                )
            )  # fmt: skip
            takes.append(Take(label, -side, port))
        label = f"vector{number}"
        for _ in range(written):
            port = used[side][1]
            used[side][1] += 1
            place, unit = memory_port(part, side, 2 * port + 1)
            gives.append(Give(side, port, place))
            stores.append(
                Run(
                    name=f"{here}.write{port}", unit=unit, place=place, steps=steps.moved(delay + abs(place)),
                    delay=part.mem.write, takes=(Take(label, side, port),),
                )
            )  # fmt: skip
        runs.append(
            Run(
                name=label, unit=f"vxm.{number}", place=MIDDLE, steps=steps, delay=delay, takes=tuple(takes),
                gives=tuple(gives),
            )
        )  # fmt: skip
        runs += stores
    program = _from_zero(runs, part)
    steady = min(entries * rate.stride, program.cycles)
    units = {VXM: steady * min(width * operations, part.vxm.alus)}
    return Section(name, program, steady, VXM, PIPELINE, units, lanes, "tsp/vector")


def lane_sums(part: TspPart, name: str, rows: int) -> Section:
    """Sums over the lanes of `rows` vectors: a product with ones in a plane, whose sums reach every lane."""
    plan = Floorplan.of(part)
    far, streams = plan.mxm, range(RESULT_BYTES)
    give = Steps(0, rows, 1)
    arrive = give.moved(part.vxm.latency + plan.mxm)
    back = arrive.moved(part.lanes.tiles + part.mxm.latency + plan.mxm)
    runs = [
        Run(
            name="partial", unit="vxm.0", place=MIDDLE, steps=give, delay=part.vxm.latency,
            gives=tuple(Give(EAST, stream, far) for stream in streams),
        ),
        Run(
            name="ones", unit="E.mxm0", place=far, steps=arrive, delay=part.lanes.tiles + part.mxm.latency,
            takes=tuple(Take("partial", EAST, stream) for stream in streams),
            gives=tuple(Give(WEST, stream, MIDDLE) for stream in streams),
        ),
        Run(
            name="sums", unit="vxm.1", place=MIDDLE, steps=back, delay=part.vxm.latency,
            takes=tuple(Take("ones", WEST, stream) for stream in streams),
        ),
    ]  # fmt: skip
    program = _from_zero(runs, part)
    units = {VXM: 2 * rows, MXM: rows * part.mxm.planes}
    return Section(name, program, rows, MXM, PIPELINE, units, part.lanes.vector, "tsp/lane-sums")


def lane_maxima(part: TspPart, name: str, rows: int) -> Section:
    """Maxima over the lanes of `rows` vectors: the switch slice shifts by halves, the vector slice compares."""
    plan = Floorplan.of(part)
    streams, far = range(RESULT_BYTES), plan.sxm
    turn = 2 * plan.sxm + part.sxm.latency + part.vxm.latency
    steps = max(1, ceil(log2(part.lanes.vector)))
    chunk = min(rows, turn)
    chunks = ceil(rows / chunk)
    now = Steps(0, chunk, 1, chunks, steps * turn + chunk)
    runs: list[Run] = []
    for number in range(steps):
        start = now.moved(number * turn)
        give, shift = f"compare{number}", f"shift{number}"
        takes = tuple(Take(f"shift{number - 1}", WEST, stream) for stream in streams) if number else ()
        runs += [
            Run(
                name=give, unit="vxm.0", place=MIDDLE, steps=start, delay=part.vxm.latency, takes=takes,
                gives=tuple(Give(EAST, stream, far) for stream in streams),
            ),
            Run(
                name=shift, unit="E.sxm", place=far, steps=start.moved(part.vxm.latency + plan.sxm),
                delay=part.sxm.latency, takes=tuple(Take(give, EAST, stream) for stream in streams),
                gives=tuple(Give(WEST, stream, MIDDLE) for stream in streams),
            ),
        ]  # fmt: skip
    runs.append(
        Run(
            name="maxima", unit="vxm.0", place=MIDDLE, steps=now.moved(steps * turn), delay=part.vxm.latency,
            takes=tuple(Take(f"shift{steps - 1}", WEST, stream) for stream in streams),
        )
    )  # fmt: skip
    steady = now.count
    return Section(
        name, _from_zero(runs, part), steady, VXM, PIPELINE, {VXM: steady}, part.lanes.vector,
        "tsp/lane-maxima",
    )  # fmt: skip


def _from_zero(runs: list[Run], part: TspPart) -> Program:
    """The program of runs whose first step is at cycle 0."""
    earliest = min(run.steps.first for run in runs)
    return Program(tuple(run.moved(-earliest) for run in runs), part.lanes.tiles)
