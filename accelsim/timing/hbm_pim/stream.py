"""The accesses of HBM-PIM's kernels, in runs: what the host sends to one pseudo-channel.

All pseudo-channels get the same stream and run in lock-step. A kernel reads every bank once, enters the all-bank mode,
loads its micro-program, computes, leaves the mode and reads every bank again. In all-bank mode an access to bank 0 goes
to all even banks, one to bank 1 to all odd banks. The order of accesses, where barriers stand and which rows they use
are facts of SAITPublic/PIMSimulator at b464dde, whose kernels are all here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.timing.hbm_pim.channel import Access
from accelsim.timing.hbm_pim.controller_kernels import MODE_BANKS, READ, WRITE

GROUP = 8
"""Accesses between two barriers: as many as registers of one file."""


class Run(NamedTuple):
    """Accesses to one row of all even banks (bank 0) or all odd ones (bank 1), `GROUP` of them between barriers.

    Attributes:
        first: accesses up to the first barrier.
        what: what they do, for pictures.
    """

    op: int
    bank: int
    row: int
    column: int
    length: int
    first: int
    what: str


@dataclass(slots=True)
class Kernel:
    """One kernel on one pseudo-channel.

    Attributes:
        opening: accesses until PIM execution is first switched on.
        body: from there on, until it is switched off for good.
        closing: accesses that leave the all-bank mode and read every bank again.
        rows: rows of a bank that operands and results take.
        program_writes: bursts in which the micro-program is loaded.
        columns: column commands on which all blocks compute or move data, by kind: "mac", "add", "mul", "fill",
            "broadcast", "store".
    """

    opening: list[Access] = field(default_factory=list)
    body: list[Run] = field(default_factory=list)
    closing: list[Access] = field(default_factory=list)
    rows: int = 0
    program_writes: int = 0
    columns: dict[str, int] = field(default_factory=dict)

    def accesses(self) -> list[Access]:
        """The whole stream, access by access."""
        return [*self.opening, *expand(self.body), *self.closing]


def expand(runs: list[Run]) -> list[Access]:
    """The accesses of runs; the last of each `GROUP` is a barrier."""
    stream: list[Access] = []
    for run in runs:
        for i in range(run.length):
            last = (i + 1 - run.first) % GROUP == 0 or i + 1 == run.length
            stream.append(Access(run.op, run.bank, run.row, run.column + i, int(last)))
    return stream


def barrier(stream: list[Access]) -> None:
    """Let nothing pass the last access."""
    if stream:
        stream[-1] = stream[-1]._replace(barrier=1)


def gemv(part: HbmPimPart, outputs: int, inputs: int, batch: int, *, tree: bool = False, apart: bool = True) -> Kernel:
    """Products of a matrix with `batch` vectors.

    Args:
        part: the part.
        outputs: rows of the matrix that one pseudo-channel has.
        inputs: length of the vectors.
        batch: vectors, served one after the other: each reads the whole matrix.
        tree: sums of every input tile are stored and cleared, so that the host adds tiles as a tree.
        apart: every tile, result and row of zeros has a place of its own; in the source's kernel some overlap.
    """
    tiles_out, tiles_in = gemv_tiles(part, outputs, inputs)
    kernel = Kernel()
    zeros = gemv_rows(part, tiles_out, tiles_in, batch, tiles_in) if apart else ZERO_ROW
    if tree:
        _clear_rows(part, kernel.opening, zeros)
    _open(part, kernel, program_words=10 if tree else 6)
    weights = _tile_columns(part)
    half = -(-tiles_in // 2) * 2 if apart else tiles_in  # columns of an output tile in both banks of a pair
    end = tiles_out * half // 2 * weights
    results = tiles_in if tree else 1
    even, odd = range(0, tiles_in, 2), range(1, tiles_in, 2)
    for tile in range(tiles_out):
        for vector in range(batch):
            _mode(part, kernel)
            place = end + ((tile * batch + vector) * results if apart else tile + vector) * GROUP
            for k in range(tiles_in) if tree else (*even, *odd):
                _tile(part, kernel, weights * (k // 2 + tile * half // 2), bank=k % 2)
                if tree:
                    _move(part, kernel, WRITE, 1, place, "store")
                    _move(part, kernel, READ, 0, zeros * part.organization.columns, "clear")
                    place += GROUP
            if not tree:
                _move(part, kernel, WRITE, 1, place, "store")
            _mode(part, kernel)
    stores = tiles_out * batch * results
    kernel.rows = gemv_rows(part, tiles_out, tiles_in, batch, results) + tree
    passes = tiles_out * tiles_in * batch
    kernel.columns = {"mac": passes * weights, "broadcast": passes * GROUP, "store": stores * GROUP}
    if tree:
        kernel.columns["clear"] = passes * GROUP
    _close(part, kernel)
    return kernel


ZERO_ROW = 1000
"""Row of zeros with which the tree kernel clears its results."""
ELEMENTWISE_ROWS = 128
"""Rows from one operand of the element-wise kernels to the next, and to the result."""


def gemv_tiles(part: HbmPimPart, outputs: int, inputs: int) -> tuple[int, int]:
    """Tiles of the matrix of one pseudo-channel: along its outputs and along its inputs."""
    return -(-outputs // (part.pim.blocks * part.pim.grf_b)), -(-inputs // (part.pim.grf_a * part.pim.lanes))


def gemv_rows(part: HbmPimPart, tiles_out: int, tiles_in: int, batch: int, results: int) -> int:
    """Rows of a bank that a matrix and its results take; `results` per output and vector."""
    weights = tiles_out * -(-tiles_in // 2) * _tile_columns(part)
    return -(-(weights + tiles_out * batch * results * GROUP) // part.organization.columns)


def elementwise_rows(part: HbmPimPart, tiles: int, rows_apart: int | None = None) -> int:
    """Rows of a bank up to the end of the result of an element-wise kernel."""
    per_row = part.organization.columns // GROUP
    return 2 * (rows_apart or _apart(part, tiles)) + -(-tiles // per_row)


def _apart(part: HbmPimPart, tiles: int) -> int:
    return max(ELEMENTWISE_ROWS, -(-tiles * GROUP // part.organization.columns))


def elementwise_tile(part: HbmPimPart) -> int:
    """Elements of one tile of one pseudo-channel: a register's worth of accesses of every bank."""
    return part.organization.banks_per_rank * GROUP * part.pim.lanes


def elementwise(part: HbmPimPart, kind: str, tiles: int, *, rows_apart: int | None = None) -> Kernel:
    """Sum, product, ReLU or batch normalisation of vectors that lie in the banks.

    Args:
        part: the part.
        kind: "add", "mul", "relu" or "bn".
        tiles: tiles of each pseudo-channel, see `elementwise_tile`.
        rows_apart: rows from one operand to the next; enough for the tiles by default, `ELEMENTWISE_ROWS` at least.
    """
    per_row = part.organization.columns // GROUP
    apart = rows_apart or _apart(part, tiles)
    kernel = Kernel()
    _open(part, kernel, program_words=8)
    _mode(part, kernel)
    if kind == "bn":  # scale and shift of the channel
        kernel.body.append(Run(WRITE, 0, part.modes.register_row, part.modes.scalar_column, 1, 1, "scalars"))
    steps = {
        "add": ((READ, 0, "fill"), (READ, 1, "add"), (WRITE, 2, "store")),
        "mul": ((READ, 0, "fill"), (READ, 1, "mul"), (WRITE, 2, "store")),
        "relu": ((READ, 0, "fill"), (WRITE, 2, "store")),
        "bn": ((READ, 0, "mad"), (READ, 0, "mad"), (WRITE, 2, "store")),
    }[kind]
    for tile in range(tiles):
        for bank in (0, 1):
            for op, operand, what in steps:
                row = operand * apart + tile // per_row
                kernel.body.append(Run(op, bank, row, tile % per_row * GROUP, GROUP, GROUP, what))
    _mode(part, kernel)
    kernel.rows = elementwise_rows(part, tiles, apart)
    for _, _, what in steps:
        kernel.columns[what] = kernel.columns.get(what, 0) + 2 * tiles * GROUP
    _close(part, kernel)
    return kernel


def read_results(part: HbmPimPart, groups: int, first_row: int) -> list[Access]:
    """The host's reads of what a GEMV stored in the odd banks: `groups` of 8 bursts, block after block."""
    stream = []
    columns = part.organization.columns
    for group in range(groups):
        block, turn = group % part.pim.blocks, group // part.pim.blocks
        for i in range(GROUP):
            at = turn * GROUP + i
            stream.append(Access(READ, 2 * block + 1, first_row + at // columns, at % columns))
    return stream


def plain(part: HbmPimPart, op: int, first: int, count: int) -> list[Access]:
    """Consecutive bursts of plain HBM2, the `count` from number `first` on of one pseudo-channel.

    Bank, bank group, column and row follow one another from the lowest bits of the address upwards.
    """
    banks, columns = part.organization.banks_per_rank, part.organization.columns
    return [Access(op, i % banks, i // (banks * columns), i // banks % columns) for i in range(first, first + count)]


def _tile_columns(part: HbmPimPart) -> int:
    return part.pim.grf_a * part.pim.grf_b


def _park(part: HbmPimPart, stream: list[Access]) -> None:
    """Read every bank once, bank groups in turn."""
    layout = part.organization
    for bank in range(layout.banks):
        for group in range(layout.bank_groups):
            stream.append(Access(READ, group * layout.banks + bank, part.modes.park_row, 0))
    barrier(stream)


def _open(part: HbmPimPart, kernel: Kernel, program_words: int) -> None:
    stream, modes = kernel.opening, part.modes
    barrier(stream)
    _park(part, stream)
    stream += [Access(WRITE, bank, modes.enter_row, modes.enter_column) for bank in MODE_BANKS]
    barrier(stream)
    kernel.program_writes = -(-program_words // GROUP)
    for i in range(kernel.program_writes):
        stream.append(Access(WRITE, 1, modes.register_row, modes.command_column + i))
    barrier(stream)


def _close(part: HbmPimPart, kernel: Kernel) -> None:
    modes = part.modes
    kernel.closing = [Access(WRITE, bank, modes.leave_row, modes.enter_column, bank) for bank in (0, 1)]
    _park(part, kernel.closing)


def _mode(part: HbmPimPart, kernel: Kernel) -> None:
    """Switch execution of micro-programs on or off."""
    kernel.body.append(Run(WRITE, 0, part.modes.register_row, part.modes.mode_column, 1, 1, "mode"))


def _clear_rows(part: HbmPimPart, stream: list[Access], row: int) -> None:
    stream += [
        Access(WRITE, bank, row, column) for bank in range(part.organization.banks_per_rank) for column in range(GROUP)
    ]


def _tile(part: HbmPimPart, kernel: Kernel, column: int, bank: int) -> None:
    """One input tile: a broadcast to GRF_A, then a multiply-accumulate for each of its columns."""
    columns = part.organization.columns
    modes = part.modes
    kernel.body.append(Run(WRITE, 1, modes.register_row, modes.grf_a_column, GROUP, GROUP, "broadcast"))
    row, left = column // columns, _tile_columns(part)
    at = column % columns
    while left:
        count = min(left, columns - at)
        kernel.body.append(Run(READ, bank, row, at, count, min(count, GROUP), "mac"))
        row, at, left = row + 1, 0, left - count


def _move(part: HbmPimPart, kernel: Kernel, op: int, bank: int, column: int, what: str) -> None:
    """A register file to or from the banks."""
    columns = part.organization.columns
    kernel.body.append(Run(op, bank, column // columns, column % columns, GROUP, GROUP, what))
