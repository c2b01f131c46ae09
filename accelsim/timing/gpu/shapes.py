"""What the closed form of a GEMM takes and gives: shapes, figures of a chip, and times, all as arrays over points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ACCUMULATOR_BYTES: Final = 4
STEP_BYTES: Final = 128
"""Bytes of one operand row in a depth step: 64 elements of 16 bit."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The figures of a chip that a GEMM in one pair of formats meets.

    Attributes:
        sms: streaming multiprocessors.
        max_tiles: thread blocks that one SM runs together at most.
        tile_rows: rows that the matrix unit computes at least.
        clock_hz: of the SMs.
        flops_per_clock: dense rate of the matrix unit of one SM.
        vector_flops_per_clock: lanes of one SM.
        special_ops_per_clock: exponentials and the like of one SM.
        shared_bytes: shared memory of one SM.
        shared_bytes_per_clock: its port.
        operand_reads: times that a staged byte is read.
        registers_bytes: registers of one SM, which hold accumulators.
        register_bytes_per_clock: their port.
        port_bytes_per_clock: what one SM reads from L2.
        sharing: SMs that share one fetched copy of the second operand.
        l2_bytes: capacity.
        l2_bytes_per_clock: of the whole chip.
        memory_bytes_per_s: peak.
        launch_s: from one kernel to the next.
        latency_s: first byte of a read that misses L2.
        l2_latency_s: first byte of one that does not.
        streaming: share of the peak that plain streams reach, by the share of reads among the bytes.
    """

    sms: int
    max_tiles: int
    tile_rows: int
    clock_hz: float
    flops_per_clock: float
    vector_flops_per_clock: float
    special_ops_per_clock: float
    shared_bytes: float
    shared_bytes_per_clock: float
    operand_reads: float
    registers_bytes: float
    register_bytes_per_clock: float
    port_bytes_per_clock: float
    sharing: int
    l2_bytes: float
    l2_bytes_per_clock: float
    memory_bytes_per_s: float
    launch_s: float
    latency_s: float
    l2_latency_s: float
    streaming: Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Shapes:
    """Matrix products, [points] each unless said otherwise.

    Attributes:
        rows: [points, group] rows of the products of a group; one column for plain GEMMs.
        copies: how often that group occurs (the batch).
        n: output columns.
        k: depth.
        first_bytes: the activation operand, once, all copies.
        second_bytes: the weight operand, once, all copies.
        output_bytes: the result, once, all copies.
        staged_first: bytes of one element of the activation operand as it is staged, one number for all points.
        staged_second: that of the weight operand.
        step: elements of k in a depth step.
        widen_first: vector operations that widen one staged element of the activation operand.
        widen_second: that of the weight operand.
        rescale: vector operations per multiply-add for the scales of blocks, which are applied to partial sums.
    """

    rows: Array
    copies: Array
    n: Array
    k: Array
    first_bytes: Array
    second_bytes: Array
    output_bytes: Array
    staged_first: float
    staged_second: float
    step: int
    widen_first: float = 0.0
    widen_second: float = 0.0
    rescale: float = 0.0

    def __len__(self) -> int:
        return len(self.n)

    @property
    def outputs(self) -> Array:
        """Elements of the result."""
        found: Array = self.rows.sum(axis=1) * self.copies * self.n
        return found

    @property
    def products(self) -> Array:
        """Multiply-adds."""
        return self.outputs * self.k

    def part(self, start: int, stop: int) -> Shapes:
        """The points from `start` to before `stop`."""
        names = ("rows", "copies", "n", "k", "first_bytes", "second_bytes", "output_bytes")
        return replace(self, **{name: getattr(self, name)[start:stop] for name in names})


def plain(
    m: Any, n: Any, k: Any, *, first: float, second: float, output: float, step: int,
    widen: tuple[float, float] = (0.0, 0.0), rescale: float = 0.0,
) -> Shapes:  # fmt: skip
    """GEMMs [m, k] x [k, n].

    Args:
        m: rows, a number or an array; n and k likewise.
        n: columns.
        k: depth.
        first: bytes of one element of the activation operand.
        second: bytes of one element of the weight operand.
        output: bytes of one element of the result.
        step: elements of k in a depth step.
        widen: vector operations that widen one element of either operand.
        rescale: vector operations per multiply-add for the scales of blocks.
    """
    m, n, k = (array.astype(float) for array in np.broadcast_arrays(*map(np.atleast_1d, (m, n, k))))
    return Shapes(
        m[:, None],
        np.ones_like(m),
        n,
        k,
        m * k * first,
        n * k * second,
        m * n * output,
        first,
        second,
        step,
        *widen,
        rescale,
    )


@dataclass(frozen=True, slots=True)
class Traffic:
    """[points] bytes from and to memory, whatever the tile."""

    read: Array
    written: Array


@dataclass(frozen=True, slots=True)
class Times:
    """Times of the fastest candidate of every point, [points] each unless said otherwise.

    Attributes:
        seconds: launch, waves and reduction.
        body: of the waves, at the clock that they run at.
        clock: nominal clock over that clock.
        sm: of the busiest SM at the nominal clock, had it the memory for nothing.
        memory: of the stream from and to memory alone.
        reduction: of adding up split results.
        candidate: index of the tile and split.
        tiles: thread blocks.
        waves: blocks on the busiest SM, less what idle SMs recover.
        resident: blocks that run together on an SM.
        stages: depth steps that one block keeps under way.
        steps: depth steps of a block.
        fetched: bytes that one block fetches in a step.
        unit: seconds of a step on the units of an SM.
        load: seconds of all steps on the way from L2.
        hidden: seconds of a step that latency and issue ask for.
        read: bytes from memory.
        written: bytes to memory.
        candidates: [points, candidate] seconds, infinite where impossible.
    """

    seconds: Array
    body: Array
    clock: Array
    sm: Array
    memory: Array
    reduction: Array
    candidate: npt.NDArray[np.intp]
    tiles: Array
    waves: Array
    resident: Array
    stages: Array
    steps: Array
    fetched: Array
    unit: Array
    load: Array
    hidden: Array
    read: Array
    written: Array
    candidates: Array

    @staticmethod
    def joined(parts: Sequence[Times]) -> Times:
        """Points of several parts, in their order."""
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Times)}
        return Times(**columns)


def overlapped(first: Array, second: Array, overlap: float) -> Array:
    """Time of two things that mostly hide each other: the norm with this exponent, scaled so that nothing vanishes."""
    longest = np.maximum(first, second)
    return np.asarray(longest * (1 + (np.minimum(first, second) / longest) ** overlap) ** (1 / overlap))
