"""A tensor streaming processor (Groq TSP, LPU) and systems of it, as their descriptions give them.

A chip is slices in space: in the middle the vector slice (VXM), outward memory slices (MEM), the switch slice (SXM)
and the matrix slices (MXM), the same on the other side. Streams run past them, one hop per cycle. Delays are in cycles
of `clock.core.frequency` unless they are times.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from accelsim.spec.assembly import Assembly
from accelsim.spec.base import (
    Bandwidth,
    Count,
    Description,
    EnergyPerByte,
    EnergyPerFlop,
    EnergyPerOp,
    Frequency,
    Name,
    Power,
    Record,
    Size,
    Time,
)
from accelsim.spec.device import Native
from accelsim.spec.die import PublishedDie
from accelsim.spec.figures import Figures

Cycles = Annotated[int, Field(ge=0)]


class TspClock(Figures):
    """The one clock of the chip."""

    frequency_hz: Frequency = Field(alias="frequency")


class TspClocks(Record):
    """Clock domains."""

    core: TspClock


class Lanes(Figures):
    """Vectors and the streams that carry them.

    Attributes:
        tiles: tiles of a slice; an instruction reaches them one cycle apart (N of the timing rule).
        per_tile: lanes of a tile, one byte each.
        streams: streams in each direction; each is one byte per lane and moves one slice per cycle.
    """

    tiles: Count
    per_tile: Count
    streams: Annotated[int, Field(ge=8, le=256)]

    @property
    def vector(self) -> int:
        """Elements (and bytes of one stream) of a whole vector."""
        return self.tiles * self.per_tile


class Mem(Figures):
    """Memory slices.

    Attributes:
        slices: of both hemispheres together.
        slice_bytes: capacity of one slice.
        banks: banks of a slice; each serves one vector per cycle.
        read: cycles from a read to its vector on the stream.
        write: cycles from a vector at the slice to its being stored.
    """

    slices: Count
    slice_bytes: Size = Field(alias="capacity")
    banks: Annotated[int, Field(ge=1, le=8)]
    read: Cycles
    write: Cycles

    @model_validator(mode="after")
    def _two_hemispheres(self) -> Self:
        if self.slices % 2 or self.slices < 16:
            raise ValueError(f"slices = {self.slices}: two hemispheres need an even number of at least 16")
        return self


class Mxm(Figures):
    """Matrix slices.

    Attributes:
        planes: of both hemispheres together; each is a square of as many multipliers as a vector has lanes.
        weight_streams: streams from which a plane can load weights at once.
        latency: cycles from the last element of a vector to its result, beside the tiles' own cycles.
    """

    planes: Count
    weight_streams: Count
    latency: Cycles

    @model_validator(mode="after")
    def _two_hemispheres(self) -> Self:
        if self.planes % 2:
            raise ValueError(f"planes = {self.planes}: two hemispheres need an even number")
        return self


class TspPeak(Figures):
    """What a plane multiplies.

    Attributes:
        operands: formats of activation and weight, in either order.
        accumulator: format of the sums.
        preset: the accumulator of `accelsim.numerics` that computes them bit by bit.
        planes: planes that hold one matrix of weights together, one byte of each weight in each.
        vector_cycles: cycles between two vectors through the same weights.
        energy_j_per_flop: multiplier and adder.
    """

    operands: tuple[str, str]
    accumulator: str
    preset: Name
    planes: Annotated[int, Field(ge=1, le=2)]
    vector_cycles: Count
    energy_j_per_flop: EnergyPerFlop = Field(alias="energy")


class Vxm(Figures):
    """The vector slice.

    Attributes:
        alus: ALUs of each lane; chained, one operation each per cycle.
        latency: cycles of one ALU operation.
        energy_j_per_op: one operation in one lane.
    """

    alus: Annotated[int, Field(ge=4, le=1024)]
    latency: Cycles
    energy_j_per_op: EnergyPerOp = Field(alias="energy")


class Sxm(Figures):
    """The switch slices: shifts, permutations, transposes.

    Attributes:
        latency: cycles of one of them.
    """

    latency: Cycles


class C2c(Figures):
    """Links to other chips.

    Attributes:
        links: of one chip.
        bytes_per_s: one direction of one link.
        latency_s: from a vector's last byte at one chip to the vector at the other's receiver.
        send: cycles from a vector at the link to its first byte on it, and at the receiver to its stream.
    """

    links: Count
    bytes_per_s: Bandwidth = Field(alias="bandwidth")
    latency_s: Time = Field(alias="latency")
    send: Cycles


class TspTiming(Figures):
    """What the static schedule has between operators.

    Attributes:
        turnaround: cycles between the last result of an operator and the first instruction of one that needs it,
            beyond the ways through the slices.
    """

    turnaround: Cycles


class TspConversion(Figures):
    """Formats that the vector slice turns into others on the way to the matrix planes.

    Attributes:
        sources: formats that are stored.
        targets: formats that planes multiply.
        operations: ALU operations for one element.
    """

    sources: tuple[str, ...] = Field(alias="from", min_length=1)
    targets: tuple[str, ...] = Field(alias="to", min_length=1)
    operations: Annotated[int, Field(ge=1, le=64)]


class TspPower(Figures):
    """A card."""

    limit_w: Power = Field(alias="limit")
    idle_w: Power = Field(alias="idle")


class TspEnergy(Figures):
    """Energy of moving a byte.

    Attributes:
        sram_j_per_byte: into or out of a memory slice.
        stream_j_per_byte: one hop of a stream.
        link_j_per_byte: from chip to chip.
    """

    sram_j_per_byte: EnergyPerByte = Field(alias="sram")
    stream_j_per_byte: EnergyPerByte = Field(alias="stream")
    link_j_per_byte: EnergyPerByte = Field(alias="link")


class TspPart(Description):
    """One chip."""

    name: Name
    family: Literal["tsp"]
    reference_clock: Literal["core"]
    native: Native
    clock: TspClocks
    lanes: Lanes
    mem: Mem
    mxm: Mxm
    peak: tuple[TspPeak, ...] = Field(min_length=1)
    vxm: Vxm
    sxm: Sxm
    c2c: C2c
    timing: TspTiming
    convert: tuple[TspConversion, ...] = ()
    power: TspPower
    energy: TspEnergy
    die: PublishedDie | None = None

    @property
    def capacity_bytes(self) -> float:
        """Memory of all slices."""
        return self.mem.slices * self.mem.slice_bytes

    @property
    def sram_bytes_per_clock(self) -> int:
        """Bytes that all banks serve in a cycle."""
        return self.mem.slices * self.mem.banks * self.lanes.vector

    @property
    def stream_bytes_per_clock(self) -> int:
        """Bytes that all streams carry past one place in a cycle, both directions."""
        return 2 * self.lanes.streams * self.lanes.vector

    def peak_flops_per_s(self, row: TspPeak) -> float:
        """All planes together."""
        matrices = self.mxm.planes / row.planes
        return 2 * matrices * self.lanes.vector**2 / row.vector_cycles * self.clock.core.frequency_hz

    @model_validator(mode="after")
    def _planes_hold_weights(self) -> Self:
        for row in self.peak:
            if (self.mxm.planes // 2) % row.planes:
                raise ValueError(
                    f"peak {' x '.join(row.operands)} needs {row.planes} planes for a matrix, which do not divide the "
                    f"{self.mxm.planes // 2} of a hemisphere: try planes = {2 * row.planes}, {4 * row.planes}, ..."
                )
        if self.mxm.weight_streams >= self.lanes.streams:
            raise ValueError(
                f"mxm.weight_streams = {self.mxm.weight_streams}: weights and activations share the "
                f"{self.lanes.streams} streams that lead to a hemisphere's planes"
            )
        return self

    @model_validator(mode="after")
    def _links_reach_memory(self) -> Self:
        if self.mem.slices // 2 * self.mem.banks < self.c2c.links:
            raise ValueError(
                f"c2c.links = {self.c2c.links}: half of them read and write the {self.mem.slices // 2} slices of a "
                f"hemisphere with {self.mem.banks} banks each, which have too few ports: more slices, or fewer links"
            )
        return self

    def __hash__(self) -> int:
        return hash((self.name, self.clock.core.frequency_hz, self.mxm.planes, self.vxm.alus))


class Fabric(Figures):
    """How chips are joined.

    Attributes:
        node: chips of a node; each is linked to every other one.
        local_links: links of a chip that stay within its node.
        global_links: links of a chip that leave it.
        group: nodes of a group (rack), where there are too many for a link from each to each.
        group_links: links between two nodes of a group.
    """

    node: Annotated[int, Field(ge=1, le=64)]
    local_links: Annotated[int, Field(ge=0)]
    global_links: Annotated[int, Field(ge=0)]
    group: Count
    group_links: Count

    @model_validator(mode="after")
    def _full_mesh(self) -> Self:
        if self.local_links < self.node - 1:
            raise ValueError(
                f"local_links = {self.local_links} does not join the {self.node} chips of a node each to each: it "
                f"takes {self.node - 1}"
            )
        return self

    @property
    def ports(self) -> int:
        """Links that leave a node."""
        return self.node * self.global_links

    def largest(self) -> int:
        """Nodes that the links can join: a group with a link to every other, if one level is not enough."""
        outside = max(0, self.ports - (self.group - 1) * self.group_links)
        return max(1, self.ports + 1 if self.ports else 1, self.group * (self.group * outside + 1) if self.ports else 1)


class TspSystem(Assembly):
    """Chips in nodes that share each layer, and nodes that follow each other with the layers.

    Attributes:
        name: also the file's stem.
        part: name of the description of one chip.
        count: chips.
        fabric: how they are joined.
        changes: figures of the part, by dotted key, that are others in this system.
    """

    name: Name
    family: Literal["tsp-system"]
    part: Name
    count: Count
    fabric: Fabric
    changes: dict[str, Any] = Field(default_factory=dict)

    @property
    def width(self) -> int:
        """Chips that share each layer: those of a node."""
        return min(self.count, self.fabric.node)

    @property
    def nodes(self) -> int:
        """Nodes of the system."""
        return self.count // self.width

    def __hash__(self) -> int:
        return hash((self.name, self.part, self.count, tuple(self.changes)))

    @model_validator(mode="after")
    def _connects(self) -> Self:
        if self.count > self.fabric.node and self.count % self.fabric.node:
            whole = self.count // self.fabric.node * self.fabric.node
            raise ValueError(
                f"count = {self.count} is no whole number of nodes of {self.fabric.node} chips: try {whole} or "
                f"{whole + self.fabric.node}"
            )
        if self.nodes > self.fabric.largest():
            raise ValueError(
                f"count = {self.count}: {self.nodes} nodes do not connect; {self.fabric.ports} links leave each, which "
                f"join {self.fabric.largest()} nodes ({self.fabric.largest() * self.fabric.node} chips) at most: fewer "
                "chips, or more fabric.global_links"
            )
        return self


def lone(part: TspPart) -> TspSystem:
    """A system of one chip, for a part that is named without one."""
    fabric = Fabric(
        node=1, local_links=0, global_links=0, group=1, group_links=1, source="a chip on its own", status="derived"
    )
    return TspSystem(
        name=part.name, family="tsp-system", part=part.name, count=1, fabric=fabric, source=part.source,
        status=part.status,
    )  # fmt: skip
