"""A matrix product on one chip: weights stream into the planes tile by tile, activations pass, sums come back."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from accelsim.mapping.sums import Sums
from accelsim.mapping.tsp.resources import CONVERT, LOAD, MXM, PIPELINE
from accelsim.mapping.tsp.schedule import Give, Need, Program, Run, Take
from accelsim.mapping.tsp.section import Section, side_name
from accelsim.mapping.tsp.steps import Steps
from accelsim.spec.format import Format
from accelsim.spec.tsp import TspPart, TspPeak
from accelsim.timing.tsp.floorplan import SIDES, Floorplan
from accelsim.timing.tsp.floorplan import VXM as MIDDLE
from accelsim.timing.tsp.rates import RESULT_BYTES, Load, reserved_slices

_ORDER = "from the first to the last, one rounding at the end"


@dataclass(frozen=True, slots=True)
class Tiling:
    """How the weights of equal products are cut into tiles for all planes of a chip.

    Attributes:
        way: how weights reach the planes.
        vectors: activations that pass each tile.
        depth: tiles one below the other that make a sum.
        columns: tiles beside each other, of all products.
        splits: parts of the depth that are summed apart and added afterwards.
        rows: rows of a tile in use.
        sets: arrivals that bring a tile.
        stride: cycles between them.
        rounds: tiles that a group of planes goes through.
        per_column: of them, tiles of one column.
    """

    way: Load
    vectors: int
    depth: int
    columns: int
    splits: int
    rows: int
    sets: int
    stride: int
    rounds: int
    per_column: int

    @property
    def tile_cycles(self) -> int:
        """Cycles of a tile."""
        return self.sets * self.stride

    @property
    def steady(self) -> int:
        """Cycles of all tiles."""
        return self.rounds * self.tile_cycles

    @property
    def label(self) -> str:
        """For people."""
        apart = f", depth in {self.splits}" if self.splits > 1 else ""
        tiles = f"{self.depth} x {self.columns} tiles on {2 * self.way.groups} groups of planes"
        return f"{tiles}: {self.rounds} rounds of {self.tile_cycles} clk{apart}"

    def sums(self, stored: Format | None) -> Sums:
        """Tiles of one column take the sum of the tile above; parts leave the planes as results do, and are merged.

        Args:
            stored: format of the results.
        """
        group = self.rows if self.depth > 1 else 0
        if self.splits == 1:
            return Sums(group=group)
        return Sums(self.splits, self.per_column * self.rows, stored=stored, group=group, assumed=_ORDER)


def tilings(
    part: TspPart, row: TspPeak, ways: list[Load], *, vectors: int, k: int, n: int, copies: int = 1
) -> list[tuple[int, Tiling]]:
    """Ways to cut `copies` products [vectors, k] x [k, n], the shortest first, with their cycles.

    The depth is cut into tiles of equal height, so that none is nearly empty. Splitting it keeps groups of planes busy
    that have no column of their own, at the price of a pass that adds the parts. The cycles are those of the tiles, of
    loading the first one and of that pass; what all ways have in common is left out.
    """
    lanes = part.lanes.vector
    depth, columns = ceil(k / lanes), ceil(n / lanes) * copies
    rows = ceil(ceil(k / depth) / part.lanes.per_tile) * part.lanes.per_tile
    adding = 2 * Floorplan.of(part).mem + part.mem.read + part.mem.write + part.vxm.latency + part.lanes.tiles
    found: dict[tuple[int, int], tuple[int, Tiling]] = {}
    for way in ways:
        sets, groups = way.sets(rows), 2 * way.groups
        stride = max(way.stride, ceil(vectors * row.vector_cycles / sets))
        for splits in range(1, min(groups, depth) + 1):
            per_column = ceil(depth / splits)
            rounds = ceil(columns * splits / groups) * per_column
            added = 0 if splits == 1 else adding + ceil(vectors * columns * splits / part.vxm.alus)
            tiling = Tiling(way, vectors, depth, columns, splits, rows, sets, stride, rounds, per_column)
            cycles = tiling.steady + tiling.tile_cycles + added
            key = (way.groups, splits)
            if key not in found or cycles < found[key][0]:
                found[key] = cycles, tiling
    return sorted(found.values(), key=lambda item: (item[0], item[1].splits, item[1].way.groups))


def section(part: TspPart, row: TspPeak, tiling: Tiling, name: str, out_bytes: int) -> Section:
    """The program of a tiling, both hemispheres, and what it asks for."""
    way = tiling.way
    runs: list[Run] = []
    for side in SIDES:
        runs += _hemisphere(part, row, tiling, side, out_bytes)
    earliest = min(run.steps.first for run in runs)
    program = Program(tuple(run.moved(-earliest) for run in runs), part.lanes.tiles)
    steady, planes = min(tiling.steady, program.cycles), 2 * way.groups * way.size
    loading = tiling.rounds * tiling.sets * planes * way.rows / part.mxm.weight_streams
    units = {LOAD: ceil(loading), MXM: tiling.rounds * tiling.vectors * row.vector_cycles * planes}
    pace, rule = LOAD, "tsp/weights"
    if tiling.stride > way.stride:
        pace, rule = MXM, "tsp/tiles"
    elif way.convert is not None:
        pace, rule = CONVERT, "tsp/convert"
    if way.convert is not None:
        units[CONVERT] = tiling.rounds * tiling.sets * 2 * way.groups * way.rows * way.convert.operations
    if pace == MXM:
        units[MXM] = steady * planes  # what the loading of whole sets of rows leaves free is a part of the pace
    return Section(name, program, steady, pace, PIPELINE, units, part.lanes.vector, rule)


def _hemisphere(part: TspPart, row: TspPeak, tiling: Tiling, side: int, out_bytes: int) -> list[Run]:
    """Runs of one hemisphere. Weights reach the planes at cycle 0; what comes before is negative."""
    plan, here, way, size = Floorplan.of(part), side_name(side), tiling.way, row.planes
    far = side * plan.mxm
    results, activations = reserved_slices(part, size, way.groups, out_bytes)
    tile = tiling.tile_cycles
    arrive = Steps(0, tiling.sets, tiling.stride, tiling.rounds, tile)
    runs: list[Run] = []
    rows: list[list[Take]] = [[] for _ in range(way.groups)]
    first_slice = results + activations + 1
    slices = plan.mem - first_slice + 1
    for lane in range(way.sources):
        place = side * (first_slice + lane % slices)
        unit = f"{here}.mem{abs(place)}.{lane // slices}"
        label = f"{here}.weights{lane}"
        if way.convert is None:
            steps = arrive.moved(-part.mem.read - abs(far - place))
            give = Give(side, lane, far)
            rows[lane // size % way.groups].append(Take(label, side, lane))
        else:
            lead = part.mem.read + abs(place) + part.vxm.latency * way.convert.operations + plan.mxm
            steps = arrive.moved(-lead)
            give = Give(-side, RESULT_BYTES * way.groups + lane, MIDDLE)
        runs.append(Run(name=label, unit=unit, place=place, steps=steps, delay=part.mem.read, gives=(give,)))
    if way.convert is not None:
        runs += _conversion(part, way, side, size, arrive, rows)
    done = part.lanes.tiles + part.mxm.latency
    width = way.rows * way.groups * size
    for group in range(way.groups):
        unit = f"{here}.mxm{group}"
        load, pass_ = f"{here}.load{group}", f"{here}.multiply{group}"
        runs.append(
            Run(
                name=load, unit=f"{unit}.load", place=far, steps=arrive, delay=1, takes=tuple(rows[group]),
                needs=(Need(pass_, 1, lag=2, whole=True, issued=True),),
            )
        )  # fmt: skip
        computes = Steps(tile, tiling.vectors, row.vector_cycles, tiling.rounds, tile)
        base = width + group * way.act
        takes = []
        for byte in range(size):
            port = group * size + byte
            place = side * (results + 1 + port // part.mem.banks)
            label = f"{here}.activations{port}"
            steps = computes.moved(-part.mem.read - abs(far - place))
            runs.append(
                Run(
                    name=label, unit=f"{here}.mem{abs(place)}.{port % part.mem.banks}", place=place, steps=steps,
                    delay=part.mem.read, gives=(Give(side, base + byte, far),),
                )
            )  # fmt: skip
            takes.append(Take(label, side, base + byte))
        runs.append(
            Run(
                name=pass_, unit=unit, place=far, steps=computes, delay=done, takes=tuple(takes),
                needs=(Need(load, 1, whole=True),),
            )
        )  # fmt: skip
        runs += _results(part, tiling, Destination(side, group, base, out_bytes, done, computes))
    return runs


def _conversion(part: TspPart, way: Load, side: int, size: int, arrive: Steps, rows: list[list[Take]]) -> list[Run]:
    """Weights through the ALUs; what they give is added to the takes of each group's planes."""
    assert way.convert is not None
    plan, here = Floorplan.of(part), side_name(side)
    delay = part.vxm.latency * way.convert.operations
    runs = []
    total = way.rows * way.groups
    for number in range(total):
        fed = min(way.sources - 1, number * way.sources // total)
        label = f"{here}.convert{number}"
        source = Take(f"{here}.weights{fed}", -side, RESULT_BYTES * way.groups + fed)
        streams = range(number * size, (number + 1) * size)
        runs.append(
            Run(
                name=label, unit=f"vxm.{here}{number * way.convert.operations}", place=MIDDLE,
                steps=arrive.moved(-delay - plan.mxm), delay=delay, takes=(source,),
                gives=tuple(Give(side, stream, side * plan.mxm) for stream in streams),
            )
        )  # fmt: skip
        rows[number % way.groups] += [Take(label, side, stream) for stream in streams]
    return runs


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the sums of a group of planes go.

    Attributes:
        side: hemisphere.
        group: of planes.
        base: first outward stream of the results.
        size: bytes of a result.
        done: cycles from the last activation to its sums.
        computes: when activations pass.
    """

    side: int
    group: int
    base: int
    size: int
    done: int
    computes: Steps


def _results(part: TspPart, tiling: Tiling, sums: Destination) -> list[Run]:
    """Sums from the planes inward, through an ALU, and into memory slices near the middle."""
    plan, here, side, group = Floorplan.of(part), side_name(sums.side), sums.side, sums.group
    far, period = side * plan.mxm, tiling.per_column * tiling.tile_cycles
    start = sums.computes.first + period - tiling.tile_cycles + sums.done
    out = Steps(start, tiling.vectors, sums.computes.stride, tiling.rounds // tiling.per_column, period)
    streams = range(RESULT_BYTES * group, RESULT_BYTES * (group + 1))
    label, narrow = f"{here}.sums{group}", f"{here}.narrow{group}"
    runs = [
        Run(
            name=label, unit=f"{here}.mxm{group}.out", place=far, steps=out, delay=1,
            gives=tuple(Give(-side, stream, MIDDLE) for stream in streams),
            needs=(Need(f"{here}.multiply{group}", tiling.per_column),),
        )
    ]  # fmt: skip
    rounded = out.moved(1 + plan.mxm)
    ports = [group * sums.size + byte for byte in range(sums.size)]
    places = [side * (1 + port // part.mem.banks) for port in ports]
    runs.append(
        Run(
            name=narrow, unit=f"vxm.{here}narrow{group}", place=MIDDLE, steps=rounded, delay=part.vxm.latency,
            takes=tuple(Take(label, -side, stream) for stream in streams),
            gives=tuple(Give(side, sums.base + byte, place) for byte, place in enumerate(places)),
        )
    )  # fmt: skip
    for byte, (port, place) in enumerate(zip(ports, places, strict=True)):
        runs.append(
            Run(
                name=f"{here}.results{port}", unit=f"{here}.mem{abs(place)}.{port % part.mem.banks}", place=place,
                steps=rounded.moved(part.vxm.latency + abs(place)), delay=part.mem.write,
                takes=(Take(narrow, side, sums.base + byte),),
            )
        )  # fmt: skip
    return runs
