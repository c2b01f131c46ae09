"""A Graphcore IPU as its description gives it: tiles with memory of their own, an exchange between them, and systems.

Rates are per clock and per tile unless the name says otherwise; the clock is `clock.tile.frequency`.
`docs/ipu.md` is the dictionary of the keys.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from accelsim.spec.assembly import Assembly
from accelsim.spec.base import (
    Bandwidth,
    BytesPerClock,
    Count,
    Description,
    EnergyPerByte,
    EnergyPerFlop,
    FlopsPerClock,
    Name,
    Record,
    Size,
    Time,
)
from accelsim.spec.device import Clock, Conversion, Native, Operands, Supply, Vector
from accelsim.spec.figures import Figures

Cycles = Annotated[float, Field(ge=0)]


class Clocks(Record):
    """Clock domains of an IPU."""

    tile: Clock


class Tile(Figures):
    """One tile: a processor with memory that no other tile reaches.

    Attributes:
        sram_bytes: its memory.
        reserved_bytes: part of it that holds programs, stacks and buffers of the exchange.
        workspace_bytes: part of it for what lives during one operator: copies of inputs, and partial sums.
        threads: worker threads, each of which issues once in as many cycles.
        load_bytes_per_clock: what weights are loaded with into the matrix unit.
    """

    count: Count
    sram_bytes: Size = Field(alias="sram")
    reserved_bytes: Size = Field(alias="reserved")
    workspace_bytes: Size = Field(alias="workspace")
    threads: Count
    load_bytes_per_clock: BytesPerClock = Field(alias="load")

    @model_validator(mode="after")
    def _room_is_left(self) -> Self:
        if self.reserved_bytes + self.workspace_bytes >= self.sram_bytes:
            raise ValueError(
                f"sram = {self.sram_bytes:g} B leaves no room for tensors beside reserved = {self.reserved_bytes:g} B "
                f"and workspace = {self.workspace_bytes:g} B"
            )
        return self


class Vertex(Figures):
    """Cycles around the arithmetic of a vertex, the program that a tile runs in a superstep.

    Attributes:
        start: of the supervisor, once per vertex.
        block: of the supervisor, per block of weights: pointers, and starting the workers.
        worker: instructions of a worker beside its products, each time that it is started.
    """

    start: Cycles
    block: Cycles
    worker: Cycles


class AmpPeak(Figures):
    """Rate of the matrix unit of one tile for one pair of operand formats, in either order.

    Attributes:
        columns: outputs of a block of weights.
        depth: inputs of a block of weights.
    """

    operands: Operands
    accumulator: str
    flops_per_clock: FlopsPerClock = Field(alias="rate")
    energy_j_per_flop: EnergyPerFlop = Field(alias="energy")
    columns: Count
    depth: Count

    @property
    def clocks_per_row(self) -> float:
        """Cycles in which one row of inputs meets a block of weights."""
        return 2.0 * self.columns * self.depth / self.flops_per_clock


class Exchange(Figures):
    """The exchange between the tiles of a chip; its schedule is compiled, so that nothing waits in it.

    Attributes:
        bytes_per_clock: into one tile, and out of it.
        sharing: neighbours that receive a broadcast together on both of their buses, each as if it had all of them.
    """

    bytes_per_clock: BytesPerClock = Field(alias="bandwidth")
    sharing: Annotated[int, Field(ge=1, le=2)]


class Bulk(Figures):
    """What every superstep costs before its first byte.

    Attributes:
        superstep: cycles of synchronisation, of starting the exchange and of calling the vertices.
    """

    superstep: Cycles


class IpuLink(Figures):
    """Links to other chips.

    Attributes:
        lanes: links of the chip.
        bytes_per_s: of one link in one direction.
        latency_s: from one chip's last instruction to the next one's first, synchronisation included, per hop.
    """

    lanes: Count
    bytes_per_s: Bandwidth = Field(alias="bandwidth")
    latency_s: Time = Field(alias="latency")


class Streaming(Figures):
    """Memory beside the chip, for what its tiles cannot hold; both figures are one chip's share."""

    capacity_bytes: Size = Field(alias="capacity")
    bytes_per_s: Bandwidth = Field(alias="bandwidth")


class IpuEnergy(Figures):
    """Energy per byte moved. Arithmetic has its energy beside its rate."""

    sram_j_per_byte: EnergyPerByte = Field(alias="sram")
    exchange_j_per_byte: EnergyPerByte = Field(alias="exchange")
    link_j_per_byte: EnergyPerByte = Field(alias="link")
    streaming_j_per_byte: EnergyPerByte = Field(alias="streaming")


class IpuPart(Description):
    """One IPU."""

    name: Name
    family: Literal["ipu"]
    generation: str
    reference_clock: Literal["tile"]
    accumulator: Name
    native: Native
    clock: Clocks
    tile: Tile
    vertex: Vertex
    peak: tuple[AmpPeak, ...] = Field(min_length=1)
    vector: Vector
    convert: tuple[Conversion, ...] = ()
    exchange: Exchange
    timing: Bulk
    link: IpuLink
    streaming: Streaming | None = None
    power: Supply
    energy: IpuEnergy

    @model_validator(mode="after")
    def _pairs_once(self) -> Self:
        seen = set()
        for row in self.peak:
            key = frozenset(row.operands)
            if key in seen:
                raise ValueError(f"peak: the pair {' x '.join(row.operands)} stands twice")
            seen.add(key)
        return self

    @property
    def usable_bytes(self) -> float:
        """Memory of all tiles for weights and KV cache."""
        return self.tile.count * (self.tile.sram_bytes - self.tile.reserved_bytes - self.tile.workspace_bytes)

    @property
    def sram_bytes_per_s(self) -> float:
        """What all tiles load from their memory into their matrix units."""
        return self.tile.count * self.tile.load_bytes_per_clock * self.clock.tile.frequency_hz

    def peak_flops_per_s(self, row: AmpPeak) -> float:
        """Rate of all matrix units together."""
        return row.flops_per_clock * self.tile.count * self.clock.tile.frequency_hz


Topology = Literal["line", "ring", "ladder", "mesh"]


class IpuSystem(Assembly):
    """Equal IPUs and how a model lies on them.

    Attributes:
        name: also the file's stem.
        part: name of the description of one IPU.
        count: IPUs.
        topology: "line", "ring", "ladder" (two rails with rungs) or "mesh" (each to each).
        neighbour_lanes: links between two chips that are neighbours.
        tensor_parallel: chips that share each layer; groups of them follow each other with the layers.
        embedding_groups: groups of chips set apart for embedding and head; 0 leaves it to the planner.
        length: "static": programs are compiled for the longest sequence of the request and attend to all of its
            positions; "growing": to those that exist.
        changes: figures of the part, by dotted key, that are others in this system.
    """

    name: Name
    family: Literal["ipu-system"]
    part: Name
    count: Count
    topology: Topology
    neighbour_lanes: Count
    tensor_parallel: Count
    embedding_groups: Annotated[int, Field(ge=0)]
    length: Literal["static", "growing"]
    changes: dict[str, Any] = Field(default_factory=dict)

    @property
    def groups(self) -> int:
        """Groups of chips that work together."""
        return self.count // self.tensor_parallel

    def __hash__(self) -> int:
        return hash((self.name, self.part, self.count, self.tensor_parallel, tuple(self.changes)))

    def degree(self) -> int:
        """Neighbours of a chip that has most of them."""
        if self.count == 1:
            return 0
        most = {"line": 2, "ring": 2, "ladder": 3, "mesh": self.count - 1}[self.topology]
        return min(most, self.count - 1)

    def hops(self, first: int, second: int) -> int:
        """Links between two chips on the shortest way; chips are numbered so that neighbours follow each other."""
        apart = abs(first - second)
        if self.topology == "mesh":
            return min(apart, 1)
        if self.topology == "ring":
            return min(apart, self.count - apart)
        if self.topology == "line":
            return apart
        (rung, rail), (other_rung, other_rail) = ((i // 2, (i % 2) ^ (i // 2 % 2)) for i in (first, second))
        return abs(rung - other_rung) + abs(rail - other_rail)

    @model_validator(mode="after")
    def _connects(self) -> Self:
        if self.topology == "ladder" and self.count > 1 and self.count % 2:
            raise ValueError(
                f"topology = 'ladder' does not connect count = {self.count} chips, for its two rails need an even "
                "number: try ring, or another count"
            )
        if self.count % self.tensor_parallel:
            raise ValueError(
                f"tensor_parallel = {self.tensor_parallel} does not divide count = {self.count}: groups of chips "
                "must be equal"
            )
        if self.embedding_groups >= self.groups > 1 or self.embedding_groups > 1 == self.groups:
            raise ValueError(
                f"embedding_groups = {self.embedding_groups} of {self.groups} leaves no chip for the layers"
            )
        return self


def lone(part: IpuPart) -> IpuSystem:
    """One chip as a system of its own."""
    return IpuSystem(
        name=part.name,
        family="ipu-system",
        part=part.name,
        count=1,
        topology="line",
        neighbour_lanes=1,
        tensor_parallel=1,
        embedding_groups=0,
        length="static",
        source=part.source,
        status=part.status,
    )
