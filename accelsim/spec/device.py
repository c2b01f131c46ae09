"""A GPU or CPU as its description gives it: units, memories, links, power and energy per event.

Rates are per clock and per SM unless the name says otherwise; the clock is `clock.sm.frequency`.
An AMD compute unit and the core of a CPU are called SM here as well. `arch/README.md` is the dictionary of the keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from accelsim.errors import did_you_mean
from accelsim.spec.base import (
    STATUSES,
    Bandwidth,
    BytesPerClock,
    Count,
    Description,
    EnergyPerByte,
    EnergyPerFlop,
    EnergyPerOp,
    FlopsPerClock,
    Frequency,
    Name,
    OpsPerClock,
    Power,
    Record,
    Size,
    Sourced,
    Status,
    Time,
)
from accelsim.spec.dram import Refresh

Sparsity = Literal["dense", "2:4"]

_PAIR = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
Operands = Annotated[
    tuple[str, str], WithJsonSchema({"anyOf": [_PAIR, {"type": "array", "items": _PAIR, "minItems": 1}]})
]


class Figures(Sourced):
    """A table of figures that are not all equally well known.

    `status` is that of the best known ones; `measured`, `derived` and `assumed` list the keys below it.
    """

    measured: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    def status_of(self, key: str) -> Status:
        """How far one figure can be trusted, never better than its table; `key` is spelt as in the file."""
        lists: dict[Status, tuple[str, ...]] = {
            "measured": self.measured,
            "derived": self.derived,
            "assumed": self.assumed,
        }
        named = [status for status, keys in lists.items() if key in keys]
        return max([self.status, *named], key=STATUSES.index)

    @model_validator(mode="after")
    def _keys_exist(self) -> Self:
        fields = type(self).model_fields
        keys = {field.alias or name for name, field in fields.items()} - set(Figures.model_fields)
        named = (*self.measured, *self.derived, *self.assumed)
        for key in named:
            if key not in keys:
                raise ValueError(f"status of the unknown key {key!r}{did_you_mean(key, keys)}")
        if len(set(named)) < len(named):
            raise ValueError("a key stands in two of the lists measured, derived and assumed")
        return self


class Native(Record):
    """Formats that a run uses where it names none."""

    weights: str
    activations: str
    kv_cache: str


class Clock(Figures):
    """A clock domain; `frequency` is the one that the published peak is computed with."""

    frequency_hz: Frequency = Field(alias="frequency")


class Clocks(Record):
    """Clock domains of a GPU."""

    sm: Clock


class StreamingMultiprocessor(Figures):
    """One SM (compute unit): storage and ports.

    Attributes:
        registers_bytes: register file of one SM; holds accumulators, which limits resident tiles.
        shared_bytes: shared memory (LDS) usable by tiles; limits pipeline stages.
        max_tiles: resident thread blocks that the model puts on one SM at most.
        l2_port_bytes_per_clock: what one SM reads from L2 per clock.
        operand_sharing: tiles that share one fetched copy of the second operand: 2 for the two-SM matrix
            instructions of Blackwell and the cluster multicast of Hopper, otherwise 1.
        operand_reads: times that a staged operand byte is read from shared memory by the matrix unit.
        tile_rows: rows that its matrix unit computes at least; fewer are padded to them.
    """

    count: Count
    registers_bytes: Size = Field(alias="registers")
    register_bytes_per_clock: BytesPerClock = Field(alias="register_bandwidth")
    shared_bytes: Size = Field(alias="shared")
    shared_bytes_per_clock: BytesPerClock = Field(alias="shared_bandwidth")
    max_tiles: Count
    l2_port_bytes_per_clock: BytesPerClock = Field(alias="l2_port")
    operand_sharing: Annotated[int, Field(ge=1, le=2)]
    operand_reads: Annotated[float, Field(ge=1, le=4)]
    tile_rows: Annotated[int, Field(ge=1, le=16)] = 16


class Peak(Figures):
    """Rate of the matrix unit of one SM for one pair of operand formats.

    `operands` names the first (activation) and the second (weight, or K and V) operand. A pair stands
    for both orders unless the reverse has a row of its own. In a file, a row may list several pairs that
    share its figures; the record has one row for each. Instead of an energy, a row may name a process node
    (`accelsim list nodes`): then `accelsim.cost` says what a product and its addition take there, as for units that
    nobody has built. Decoding is shared by the products of a tile and not counted.
    """

    operands: Operands
    accumulator: str
    sparsity: Sparsity = "dense"
    flops_per_clock: FlopsPerClock = Field(alias="rate")
    energy_j_per_flop: EnergyPerFlop | None = Field(default=None, alias="energy")
    node: Name | None = None

    @model_validator(mode="after")
    def _energy_or_node(self) -> Peak:
        if (self.energy_j_per_flop is None) == (self.node is None):
            what = "no energy" if self.node is None else "both energy and node"
            raise ValueError(
                f"peak {' x '.join(self.operands)} has {what}: give energy, or node, by which formats are priced"
            )
        return self


class Vector(Figures):
    """The ordinary lanes of one SM: fp32 arithmetic and special functions (exp, rsqrt, tanh)."""

    flops_per_clock: FlopsPerClock = Field(alias="rate")
    energy_j_per_flop: EnergyPerFlop = Field(alias="energy")
    special_ops_per_clock: OpsPerClock = Field(alias="special")
    special_energy_j_per_op: EnergyPerOp = Field(alias="special_energy")


class Conversion(Sourced):
    """Formats that the vector unit widens before the matrix unit can take them.

    `flops_per_element` is the work for one element (unpack, look up, scale) in the unit of `vector.rate`:
    an instruction of one lane counts 2, since it takes the place of one fused multiply-add.
    """

    sources: tuple[str, ...] = Field(alias="from", min_length=1)
    targets: tuple[str, ...] = Field(alias="to", min_length=1)
    flops_per_element: float = Field(gt=0)


class Narrowing(Sourced):
    """Formats that the vector unit has an instruction to round results to, at the work of one element."""

    targets: tuple[str, ...] = Field(alias="to", min_length=1)
    flops_per_element: float = Field(gt=0)


class Software(Figures):
    """Work of the vector unit for one element of formats that no row of `convert` or `narrow` names.

    The structure of a format says which of these steps it takes; `accelsim.mapping.gpu.steps` adds them up.
    All in the unit of `vector.rate`, as `convert.flops_per_element`.

    Attributes:
        targets: formats that such a format can be widened to.
        table_16: a code of at most 4 bits, by a table of 16 values in registers.
        table_256: a code of at most 8 bits, by a table of 256 values in shared memory.
        fields: a wider code, by shifts and leading-bit counts.
        multiply: the product with a scale of the block, or the difference to a zero point.
        outlier: telling an outlier from a normal element, and its other way of decoding.
        round: rounding an fp32 to a grid that the machine has no instruction for.
        absmax: the share of one element in finding and applying a scale.
    """

    targets: tuple[str, ...] = Field(alias="to", min_length=1)
    table_16: float = Field(gt=0)
    table_256: float = Field(gt=0)
    fields: float = Field(gt=0)
    multiply: float = Field(gt=0)
    outlier: float = Field(gt=0)
    round: float = Field(gt=0)
    absmax: float = Field(gt=0)


class Cache(Figures):
    """The last-level cache between the SMs and the memory."""

    capacity_bytes: Size = Field(alias="capacity")
    bytes_per_clock: BytesPerClock = Field(alias="bandwidth")
    latency_s: Time = Field(alias="latency")


class MemoryController(Figures):
    """What the memory controllers of a chip have otherwise than the `[controller]` of the sheet of their memory.

    Attributes:
        command_queue: entries of a command queue.
        transaction_queue: reads waiting before the command queues of a channel, and as many writes.
        row_hit_cap: reads and writes of an open row after which a waiting row conflict may close it.
        refresh: all banks of a rank at once, bank after bank, or none.
    """

    command_queue: Count | None = None
    transaction_queue: Count | None = None
    row_hit_cap: Count | None = None
    refresh: Refresh | None = None

    @property
    def given(self) -> dict[str, int | str]:
        """The keys that differ."""
        fields = ("command_queue", "transaction_queue", "row_hit_cap", "refresh")
        return {name: value for name in fields if (value := getattr(self, name)) is not None}


class Memory(Figures):
    """Device memory.

    Its achieved bandwidth is that of the DRAM sheet of the standard at the pin rate, on as many channels as make up
    the bandwidth. `stacks` and `pins` describe how that comes about.

    Attributes:
        standard: JEDEC name in lower case (hbm2, hbm2e, hbm3, hbm3e, gddr6, gddr6x, ddr4), or the path of a DRAM sheet.
        stacks: HBM stacks, GDDR devices, or channels of DIMMs.
        pins: data pins of one stack, device or channel.
        pin_rate_bytes_per_s: what one pin moves, "5.2 Gbit/s".
        bandwidth_bytes_per_s: peak of all channels.
    """

    standard: str
    stacks: Count
    pins: Count
    pin_rate_bytes_per_s: Bandwidth = Field(alias="pin_rate")
    capacity_bytes: Size = Field(alias="capacity")
    bandwidth_bytes_per_s: Bandwidth = Field(alias="bandwidth")
    controller: MemoryController | None = None


class Link(Figures):
    """A link to other chips or to the host; the bandwidth is that of one direction, all lanes."""

    name: str
    bandwidth_bytes_per_s: Bandwidth = Field(alias="bandwidth")


class Timing(Figures):
    """Latencies that no rate covers.

    Attributes:
        launch_s: from one kernel's end to the next kernel's first instruction, in one stream.
        memory_latency_s: first byte of a read that misses L2.
        bytes_in_flight_per_sm: outstanding read bytes of one SM; with the latency it bounds what few
            SMs can draw (Little's law).
    """

    launch_s: Time = Field(alias="launch")
    memory_latency_s: Time = Field(alias="memory_latency")
    bytes_in_flight_per_sm: Size = Field(alias="in_flight")


class Supply(Figures):
    """Board power: the limit and what is drawn with no work."""

    limit_w: Power = Field(alias="limit")
    idle_w: Power = Field(alias="idle")


class Energy(Figures):
    """Energy per byte moved, by level. Arithmetic has its energy beside its rate."""

    register_j_per_byte: EnergyPerByte = Field(alias="register")
    shared_j_per_byte: EnergyPerByte = Field(alias="shared")
    l2_j_per_byte: EnergyPerByte = Field(alias="l2")
    memory_j_per_byte: EnergyPerByte = Field(alias="memory")
    link_j_per_byte: EnergyPerByte = Field(alias="link")


class GpuChip(Description):
    """A GPU: SMs with matrix and vector units behind a shared L2 cache and one device memory; or a CPU likewise."""

    name: Name
    family: Literal["gpu", "cpu"]
    generation: str
    reference_clock: Literal["sm"]
    native: Native
    clock: Clocks
    sm: StreamingMultiprocessor
    peak: tuple[Peak, ...] = Field(min_length=1)
    vector: Vector
    convert: tuple[Conversion, ...] = ()
    narrow: tuple[Narrowing, ...] = ()
    software: Software | None = None
    l2: Cache
    memory: Memory
    link: tuple[Link, ...] = ()
    timing: Timing
    power: Supply
    energy: Energy

    @field_validator("peak", mode="before")
    @classmethod
    def _one_row_per_pair(cls, rows: Any) -> Any:
        if not isinstance(rows, (list, tuple)):
            return rows
        spread: list[Any] = []
        for row in rows:
            pairs = row.get("operands") if isinstance(row, Mapping) else None
            if isinstance(pairs, (list, tuple)) and pairs and all(isinstance(pair, (list, tuple)) for pair in pairs):
                spread.extend({**row, "operands": tuple(pair)} for pair in pairs)
            else:
                spread.append(row)
        return tuple(spread)

    @model_validator(mode="after")
    def _pairs_once(self) -> GpuChip:
        seen = set()
        for row in self.peak:
            key = (*row.operands, row.accumulator, row.sparsity)
            if key in seen:
                raise ValueError(
                    f"peak: the pair {' x '.join(row.operands)} ({row.accumulator}, {row.sparsity}) stands twice"
                )
            seen.add(key)
        return self

    def peak_flops_per_s(self, row: Peak) -> float:
        """Rate of all matrix units together for one row of `peak`, at the clock that the peak is published for."""
        return row.flops_per_clock * self.sm.count * self.clock.sm.frequency_hz


DESCRIPTIVE = frozenset({"memory.stacks", "memory.pins", "link.slower", "peak.2:4"})
"""Numeric fields that explain other fields or wait for what is not simulated yet: no result depends on them.

`memory.stacks` and `memory.pins` say how the bandwidth comes about; `link.slower`, the links beside the fastest, go to
the host; and `peak.2:4`, the rows of `peak` with that sparsity, waits for pruned weights.
"""
