"""How a product is split over the tiles of a chip: the planner.

[rows, depth] x [depth, columns], for several independent groups. Weights lie on the tiles for good; inputs are sent to
the tiles that need them, partial sums to the tiles that add them up. The planner prices every split with the rules of
`accelsim.timing.ipu` and takes the fastest that fits the workspace of a tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, isqrt

from accelsim.mapping.sums import WHOLE, Sums
from accelsim.spec.ipu import AmpPeak, IpuPart
from accelsim.timing.ipu.vertex import PARTIAL_BYTES, Cost, product, reduction

_MOST_DEPTH_PARTS = 128
_SINGLE_STAGE = 16
"""From this many partial sums on, they are added in two stages (lib/poplin/ConvReducePlan.cpp)."""

_ORDER = "from the first to the last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A product on one chip.

    Attributes:
        groups: independent products, such as heads.
        rows: of inputs, per group.
        columns: outputs, per group.
        depth: inputs that are summed.
        input_bytes: of one input element.
        weight_bytes: of one weight as stored.
        operand_bytes: of one weight as the matrix unit takes it.
        convert_flops: work of the vector unit to widen one weight.
    """

    groups: int
    rows: int
    columns: int
    depth: int
    input_bytes: float
    weight_bytes: float
    operand_bytes: float
    convert_flops: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One superstep: what the fullest tile receives, then what it computes; `tiles` take part."""

    name: str
    receive_bytes: float
    cost: Cost
    tiles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One way to split a product.

    Attributes:
        rows: parts of the rows, each with a copy of the weights.
        columns: parts of the columns.
        depth: parts of the depth, whose partial sums are added.
        passes: how often everything runs, on fewer rows each time.
        steps: supersteps of one pass.
        tiles: tiles with weights.
        workspace_bytes: of the fullest tile.
        balance: arithmetic of the mean tile over that of the fullest; tiles without work included.
        sums: the parts of the depth, and the stages in which they are added.
    """

    rows: int
    columns: int
    depth: int
    passes: int
    steps: tuple[Step, ...]
    tiles: int
    workspace_bytes: float
    balance: float
    sums: Sums = WHOLE

    @property
    def label(self) -> str:
        """For people: parts of rows, columns and depth."""
        text = f"{self.rows} x {self.columns} x {self.depth}"
        return text if self.passes == 1 else f"{text}, {self.passes} passes"

    def cycles(self, part: IpuPart) -> float:
        """All passes."""
        return self.passes * sum(
            part.timing.superstep + step.receive_bytes / part.exchange.bytes_per_clock + step.cost.cycles(part)
            for step in self.steps
        )


def splits(problem: Problem, row: AmpPeak, part: IpuPart) -> list[Split]:
    """Every split that fits the workspace, fastest first; empty if none does."""
    found: list[Split] = []
    passes, room = 1, part.tile.workspace_bytes
    while True:
        rows = ceil(problem.rows / passes)
        here = [_split(problem, rows, shape, passes, row, part) for shape in _shapes(problem, rows, row, part)]
        found += [split for split in here if split.workspace_bytes <= room]
        if rows == 1 or all(split.workspace_bytes <= room for split in here):
            return sorted(found, key=lambda s: (s.cycles(part), len(s.steps), s.tiles))
        passes = min(problem.rows, passes * 2)


def _shapes(problem: Problem, rows: int, row: AmpPeak, part: IpuPart) -> Iterator[tuple[int, int, int]]:
    """Numbers of parts of rows, columns and depth that the tiles of one group allow."""
    tiles = max(1, part.tile.count // problem.groups)
    wide, deep = ceil(problem.columns / row.columns), ceil(problem.depth / row.depth)
    seen = set()
    row_parts = 1
    while row_parts <= min(rows, tiles):
        for parts in range(1, min(deep, tiles // row_parts, _MOST_DEPTH_PARTS) + 1):
            depth_parts = ceil(deep / ceil(deep / parts))
            room = tiles // (row_parts * depth_parts)
            for most in (room, room - room % part.exchange.sharing):
                column_parts = min(wide, max(1, most))
                shape = (row_parts, ceil(wide / ceil(wide / column_parts)), depth_parts)
                if shape not in seen:
                    seen.add(shape)
                    yield shape
        row_parts *= 2


def _split(problem: Problem, rows: int, shape: tuple[int, int, int], passes: int, row: AmpPeak, part: IpuPart) -> Split:
    row_parts, column_parts, depth_parts = shape
    m = ceil(rows / row_parts)
    wide = ceil(ceil(problem.columns / row.columns) / column_parts)
    deep = ceil(ceil(problem.depth / row.depth) / depth_parts)
    serial = ceil(problem.groups / part.tile.count)
    together = ceil(problem.groups / serial)
    tiles = together * row_parts * column_parts * depth_parts
    k, n = min(deep * row.depth, problem.depth), min(wide * row.columns, problem.columns)
    inputs = m * k * problem.input_bytes
    copied = k * n * problem.weight_bytes if row_parts > 1 else 0.0
    shared = _sharing(row_parts * depth_parts * together, column_parts, part)
    blocks = wide * deep
    cost = product(part, row, blocks=blocks * serial, rows=m, bytes_per_weight=problem.operand_bytes)
    if problem.convert_flops:
        weights = blocks * row.columns * row.depth * serial
        cost += Cost(vector=weights * problem.convert_flops / part.vector.flops_per_clock)
    steps = [Step(name="multiply", receive_bytes=serial * (inputs / shared + copied), cost=cost, tiles=tiles)]
    outputs = serial * m * n
    for number, depth in enumerate(_stages(depth_parts), start=1):
        outputs = ceil(outputs / depth)
        steps.append(
            Step(
                name=f"reduce{number}",
                receive_bytes=outputs * (depth - 1) * PARTIAL_BYTES,
                cost=reduction(part, outputs=outputs, depth=depth),
                tiles=tiles,
            )
        )
    # weights are widened a column of blocks at a time
    widened = deep * row.depth * row.columns * problem.operand_bytes if problem.convert_flops else 0.0
    useful = problem.groups * rows * problem.columns * problem.depth
    return Split(
        rows=row_parts,
        columns=column_parts,
        depth=depth_parts,
        passes=passes,
        steps=tuple(steps),
        tiles=tiles,
        workspace_bytes=inputs + copied + widened + m * wide * row.columns * PARTIAL_BYTES,
        balance=useful / (serial * m * wide * row.columns * deep * row.depth * part.tile.count),
        sums=_sums(depth_parts, deep * row.depth),
    )


def _sharing(strips: int, columns: int, part: IpuPart) -> int:
    """Neighbours that receive the same inputs together; an odd number of them leaves a tile idle beside the last."""
    sharing = part.exchange.sharing
    slots = ceil(columns / sharing) * sharing
    return sharing if columns >= sharing and strips * slots <= part.tile.count else 1


def _stages(parts: int) -> tuple[int, ...]:
    """Partial sums that each stage adds up."""
    if parts == 1:
        return ()
    if parts < _SINGLE_STAGE:
        return (parts,)
    first = isqrt(parts - 1) + 1
    return (first, ceil(parts / first))


def _sums(parts: int, extent: int) -> Sums:
    """Partial sums stay in fp32 (`PARTIAL_BYTES`); those that a stage adds up lie one behind the other."""
    stages = _stages(parts)
    if not stages:
        return WHOLE
    inner = Sums(stages[0], extent, assumed=_ORDER)
    if len(stages) == 1:
        return inner
    return Sums(stages[1], stages[0] * extent, within=Sums(stages[0], extent), assumed=_ORDER)
