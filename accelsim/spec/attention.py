"""What measurements say of the fused attention kernels of one library on one chip.

`accelsim.timing.gpu.prefill` and `accelsim.timing.gpu.decode` say how the constants act.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from accelsim.spec.base import Count, Record, Sourced, Time
from accelsim.spec.fitted import Fit

Part = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=0)]


class PrefillConstants(Record):
    """Constants of attention over a prompt.

    Attributes:
        start_s: of a kernel, beyond the chip's `timing.launch`.
        tile_start_s: start and end of a query tile, which nothing hides.
        matrix_efficiency: part of the nominal rate that the matrix unit sustains within a block of keys.
        special_efficiency: part of the nominal rate of exponentials.
        serial: part of the shorter of products, exponentials and the other work on scores that the longest does
            not hide; 1 where they take turns.
        block_s: fixed time of a block of keys.
        epilogue: time of fetching the queries and storing the results of a tile over that of their bytes at the
            full rate of L2 or its port.
        makespan_tail: part of the longest tile that is added to an even share of the work.
        memory_efficiency: part of what plain streams draw from the memory that kernels draw.
        usable_l2: part of L2 that holds operands between kernels.
        overlap: exponent of the norm that joins the times of SMs and memory.
        clock_drop: fall of the clock under a full matrix load.
        clock_ramp_s: length of a kernel that sees half of that fall.
    """

    start_s: Time = Field(alias="start")
    tile_start_s: Time = Field(alias="tile_start")
    matrix_efficiency: Part
    special_efficiency: Part
    serial: Annotated[float, Field(ge=0, le=1)]
    block_s: Time = Field(alias="block")
    epilogue: Annotated[float, Field(ge=1)]
    makespan_tail: Annotated[float, Field(ge=0, le=1)]
    memory_efficiency: Part
    usable_l2: Part
    overlap: Annotated[float, Field(ge=1)]
    clock_drop: Annotated[float, Field(ge=0)]
    clock_ramp_s: Time = Field(alias="clock_ramp")


class DecodeConstants(Record):
    """Constants of attention of a few queries over a cache.

    Packed kernels take all query heads of a KV head together; the others, one query head each.

    Attributes:
        start_s: of a packed kernel, beyond the chip's `timing.launch`.
        tile_start_s: start of a thread block of a packed kernel.
        matrix_efficiency: part of the nominal rate that the matrix unit sustains.
        l2_efficiency: bytes that SMs of packed kernels take in per byte that L2 or their port delivers at its peak.
        loaded_latency_s: least time of a step of keys; never below the chip's latencies over the steps under way.
        single_start_s: as `start_s`, of a kernel for single heads.
        single_tile_start_s: as `tile_start_s`.
        single_l2_efficiency: as `l2_efficiency`.
        vector_efficiency: part of the lanes' rate that kernels for single heads sustain.
        recovered_tail: part of the last wave's idle time that is recovered.
        memory_efficiency: part of what plain streams draw from the memory that kernels draw.
        ramp_s: a stream is at half of its rate after so long.
        usable_l2: part of L2 that holds a cache between kernels.
        overlap: exponent of the norm that joins the times of SMs and memory.
        reduction_s: fixed part of joining the parts of a split cache; never below `l2.latency`.
    """

    start_s: Time = Field(alias="start")
    tile_start_s: Time = Field(alias="tile_start")
    matrix_efficiency: Part
    l2_efficiency: Factor
    loaded_latency_s: Time = Field(alias="loaded_latency")
    single_start_s: Time = Field(alias="single_start")
    single_tile_start_s: Time = Field(alias="single_tile_start")
    single_l2_efficiency: Factor
    vector_efficiency: Part
    recovered_tail: Annotated[float, Field(ge=0, le=1)]
    memory_efficiency: Part
    ramp_s: Time = Field(alias="ramp")
    usable_l2: Part
    overlap: Annotated[float, Field(ge=1)]
    reduction_s: Time = Field(alias="reduction")


class PrefillVariant(Record):
    """Constants that kernels for some formats or head widths have otherwise; what is not given is as elsewhere.

    Attributes:
        operands: formats of the queries, and of the keys and values in the cache.
        head_dim: of these kernels only; of all if not given.
    """

    operands: tuple[str, str]
    head_dim: Count | None = None
    start_s: Time | None = Field(default=None, alias="start")
    tile_start_s: Time | None = Field(default=None, alias="tile_start")
    matrix_efficiency: Part | None = None


class DecodeVariant(Record):
    """As `PrefillVariant`, of packed kernels."""

    operands: tuple[str, str]
    head_dim: Count | None = None
    start_s: Time | None = Field(default=None, alias="start")
    tile_start_s: Time | None = Field(default=None, alias="tile_start")
    loaded_latency_s: Time | None = Field(default=None, alias="loaded_latency")


class Dispatch(Sourced):
    """Which kernel a library takes for decoding: rules of its code, not constants.

    Attributes:
        least_group: fewest query heads per KV head that are packed.
        most_group: most of them; beyond, every query head reads its keys and values itself.
        fill: packed kernels are taken where KV heads times blocks of keys (whole ones, at least one) are at least
            this part of the SMs.
        always: formats of caches that are packed whatever `fill` says.
        always_head_dim: least head width for that.
        block: positions that packed kernels read whole.
        single_block: those that the others do.
    """

    least_group: Count
    most_group: Count
    fill: Annotated[float, Field(ge=0)] = 0.0
    always: tuple[str, ...] = ()
    always_head_dim: Count = 1
    block: Count
    single_block: Count


class Attention(Record):
    """Attention kernels of one library on one chip.

    Attributes:
        prefill: over prompts.
        prefill_for: what is otherwise for some formats; the last fitting row that says something counts.
        prefill_provenance: of both; none where nobody timed them.
        decode: few queries over a cache.
        decode_for: what is otherwise for some formats.
        decode_provenance: of both.
        dispatch: which kernel is taken for decoding.
    """

    prefill: PrefillConstants
    prefill_for: tuple[PrefillVariant, ...] = ()
    prefill_provenance: Fit | None = None
    decode: DecodeConstants
    decode_for: tuple[DecodeVariant, ...] = ()
    decode_provenance: Fit | None = None
    dispatch: Dispatch

    def prefilling(self, query: str, kv: str, head_dim: int) -> PrefillConstants:
        """The constants of prompts in these formats."""
        return self.prefill.model_copy(update=_told(self.prefill_for, query, kv, head_dim))

    def decoding(self, query: str, kv: str, head_dim: int) -> DecodeConstants:
        """The constants of decoding in these formats."""
        return self.decode.model_copy(update=_told(self.decode_for, query, kv, head_dim))


_ALIKE: Final = {"fp16": "bf16", "fp8_e5m2": "fp8_e4m3", "int8": "fp8_e4m3"}


def alike(form: str) -> str:
    """The measured format of which kernels do the same work."""
    return _ALIKE.get(form, form)


def _told(rows: Iterable[PrefillVariant | DecodeVariant], query: str, kv: str, head_dim: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in rows:
        if row.operands == (alike(query), alike(kv)) and row.head_dim in (None, head_dim):
            given = row.model_dump(exclude={"operands", "head_dim"})
            found.update({name: value for name, value in given.items() if value is not None})
    return found
