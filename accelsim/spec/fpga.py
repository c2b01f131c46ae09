"""An overlay on an FPGA as its description gives it: the fabric, the units laid out on it, its memories, and systems.

Cycles are of `clock.kernel`. `arch/README.md` is the dictionary of the keys.
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
    Name,
    Record,
    Size,
    Sourced,
    Time,
)
from accelsim.spec.device import Clock, Native, Operands, Supply
from accelsim.spec.figures import Figures

Cycles = Annotated[int, Field(ge=0, le=100_000)]
Amount = Annotated[float, Field(ge=0)]
FABRIC = ("dsp", "bram36", "uram", "lut")
"""What the fabric has, and every unit takes a share of."""

_FASTEST_HZ = 1.15e9
_LONGEST_BURST = 4096


class Clocks(Record):
    """Clock domains of an overlay."""

    kernel: Clock


class Fabric(Figures):
    """What the part has.

    Attributes:
        dsp: DSP slices (engines).
        bram36: block RAMs of 36 Kbit.
        uram: UltraRAMs of 288 Kbit.
        lut: look-up tables.
    """

    dsp: Count
    bram36: Count
    uram: Count
    lut: Count


class Panel(Figures):
    """A second shape of the same multipliers for several tokens at once: rows x d x l of each core."""

    rows: Count
    d: Count
    l: Count  # noqa: E741 - the field's letter for lanes


class Matrix(Figures):
    """The matrix unit: in each core, l lanes of d multipliers under an adder tree.

    A weight that is fetched meets one token (`rows` is 1); a `[panel]` is how more tokens share it.

    Attributes:
        cores: equal units, which divide heads and output columns.
        d: elements of the input vector that a lane takes in a cycle, the width of its tree; a power of two.
        l: lanes, each an output column.
        columns: output columns of one instruction on one core at most; 0 for no bound.
        operands: formats of the input vector and of the weights or keys that it multiplies.
        weights: further formats that are widened on the way in without loss of rate.
        accumulator: preset of `accelsim.numerics` that adds like it.
        multiply_cycles: latency of a multiplier.
        add_cycles: latency of an adder of the tree, and of the accumulation of its sums.
        spread_cycles: registers of each doubling of the lanes that the input vector reaches.
        sparse: whether zeros of N:M sparsity are skipped.
        energy_j_per_flop: of products and sums.
        dsp_per_multiplier: DSP slices of a multiplier; below 1 where a slice packs several.
        dsp_per_adder: of an adder; each lane has d, those of the tree and that of the accumulation.
        dsp_per_output: of what follows a lane: bias, scale and the table of activation functions.
        lut_per_multiplier: look-up tables around a multiplier and its adder.
    """

    cores: Count
    d: Annotated[int, Field(ge=1, le=4096)]
    l: Annotated[int, Field(ge=1, le=4096)]  # noqa: E741 - the field's letter for lanes
    columns: Annotated[int, Field(ge=0)]
    operands: Operands
    weights: tuple[str, ...] = ()
    accumulator: str
    multiply_cycles: Cycles
    add_cycles: Cycles
    spread_cycles: Cycles
    sparse: bool = False
    energy_j_per_flop: EnergyPerFlop = Field(alias="energy")
    dsp_per_multiplier: Amount
    dsp_per_adder: Amount
    dsp_per_output: Amount
    lut_per_multiplier: Amount

    @model_validator(mode="after")
    def _tree(self) -> Self:
        if self.d & (self.d - 1):
            raise ValueError(f"d = {self.d} is not a power of two, which an adder tree needs: 16, 32, 64, ...")
        return self


class Vector(Figures):
    """The vector unit: element-wise arithmetic, sums over a vector by a tree, and special functions by tables.

    Attributes:
        width: elements of a cycle, all cores together.
        chained: a norm or softmax is one instruction of two passes (statistics, then values); otherwise each of its
            steps is an instruction of its own.
        fused: kinds of operators that run beside the product before them; only their last sub-vector shows.
        multiply_cycles: latency of a product.
        square_cycles: latency of a square.
        add_cycles: latency of a sum, and of each level of a sum over the vector.
        exp_cycles: latency of an exponential.
        root_cycles: latency of a reciprocal or its root.
        table_cycles: latency of an activation function: look-up and interpolation.
        table_entries: of the table of activation functions.
        energy_j_per_flop: of an operation.
        special_energy_j_per_op: of a special function.
        dsp_per_multiplier: DSP slices of a lane's multiplier.
        dsp_per_adder: of a lane's adder, and of those of the tree over all lanes.
        lut_per_lane: look-up tables of a lane.
    """

    width: Annotated[int, Field(ge=1, le=4096)]
    chained: bool
    fused: tuple[Literal["activation", "add", "multiply", "rope", "kv_append"], ...]
    multiply_cycles: Cycles
    square_cycles: Cycles
    add_cycles: Cycles
    exp_cycles: Cycles
    root_cycles: Cycles
    table_cycles: Cycles
    table_entries: Count
    energy_j_per_flop: EnergyPerFlop = Field(alias="energy")
    special_energy_j_per_op: EnergyPerOp = Field(alias="special_energy")
    dsp_per_multiplier: Amount
    dsp_per_adder: Amount
    lut_per_lane: Amount


class Issue(Figures):
    """How instructions get to the units.

    Attributes:
        overhead_cycles: from the end of an instruction to the start of the next that needs it: fetch, decode,
            scoreboard, operands from and results to the register file.
        decoupled: loads, products and vector work have queues of their own, so that the heads of an operator follow
            each other through the units; otherwise an instruction starts when the one before it has ended.
        per_head: query, key and value of each head are instructions of their own, one head after the other.
        program: "token" runs one program per token from embedding to head, also in the prompt; "phase" runs the
            prompt as one pass.
        prompt_step: programs are kept for prompts of multiples of this length; shorter ones are padded.
        decode_step: the same for attended positions.
    """

    overhead_cycles: Annotated[float, Field(ge=0, le=10_000)]
    decoupled: bool
    per_head: bool
    program: Literal["token", "phase"]
    prompt_step: Count
    decode_step: Count


class Hbm(Figures):
    """Stacked memory behind a DMA with a port for each pseudo-channel.

    What a port draws is what the channel achieves on sequential bursts (sampled from its commands), no more than its
    width carries, with the latency of each burst between bursts.

    Attributes:
        dram: name of the DRAM of one stack.
        organization: preset of that DRAM.
        timing: preset of that DRAM.
        stacks: of them.
        channels: pseudo-channels that the DMA reads.
        bandwidth_bytes_per_s: as printed.
        capacity_bytes: as printed.
        port_bits: width of a port at the kernel clock.
        burst_bytes: of one request; no more than AXI allows within 4 KiB.
        outstanding: requests of a port under way.
        latency_s: from a request to its first word, seen from the fabric.
        bram_per_port: block RAMs of a port's buffers.
        lut_per_port: look-up tables of a port.
    """

    dram: Name
    organization: str
    timing: str
    stacks: Annotated[int, Field(ge=1, le=8)]
    channels: Count
    bandwidth_bytes_per_s: Bandwidth = Field(alias="bandwidth")
    capacity_bytes: Size = Field(alias="capacity")
    port_bits: Annotated[int, Field(ge=8, le=8192)]
    burst_bytes: Size = Field(alias="burst")
    outstanding: Annotated[int, Field(ge=1, le=256)]
    latency_s: Time = Field(alias="latency")
    bram_per_port: Amount
    lut_per_port: Amount

    @model_validator(mode="after")
    def _burst(self) -> Self:
        if self.burst_bytes > _LONGEST_BURST:
            raise ValueError(
                f"burst = {self.burst_bytes:g} B: an AXI burst ends at a border of {_LONGEST_BURST} B, take less "
                "and more outstanding"
            )
        return self


class Ddr(Figures):
    """Modules beside the HBM, for tables, biases and small vectors."""

    dram: Name
    organization: str
    timing: str
    channels: Annotated[int, Field(ge=1, le=8)]
    bandwidth_bytes_per_s: Bandwidth = Field(alias="bandwidth")
    capacity_bytes: Size = Field(alias="capacity")
    latency_s: Time = Field(alias="latency")


class OnChip(Figures):
    """Where vectors between operators are.

    Attributes:
        decode: True keeps them on the chip in decode, False takes them through HBM after every instruction.
        round_trip_s: what that costs an instruction beyond the bytes: store, acknowledgement, agreement of the cores,
            and load.
        uram: UltraRAMs of the buffers.
        bram36: block RAMs of the buffers.
    """

    decode: bool
    round_trip_s: Annotated[Time, Field(le=1e-3)] = Field(alias="round_trip")
    uram: Amount
    bram36: Amount


class Network(Figures):
    """Links to the next boards.

    Attributes:
        ports: links of a board.
        bandwidth_bytes_per_s: of one link and direction, before coding.
        coding: share of it that carries data.
        overhead_s: of one message to a neighbour: router, transceivers, cable.
    """

    ports: Annotated[int, Field(ge=0, le=16)]
    bandwidth_bytes_per_s: Bandwidth = Field(alias="bandwidth")
    coding: Annotated[float, Field(gt=0, le=1)]
    overhead_s: Annotated[Time, Field(le=1e-2)] = Field(alias="overhead")


class Shell(Figures):
    """What the overlay takes beside its units: host interface, scheduler, routers, register file."""

    dsp: Amount
    bram36: Amount
    uram: Amount
    lut: Amount


class MixturePart(Record):
    """A format of some of the groups."""

    format: str
    share: Annotated[float, Field(gt=0, le=1)]


class SparsityPart(Record):
    """Blocks in which n of every m weights are kept."""

    n: Annotated[int, Field(ge=0)]
    share: Annotated[float, Field(gt=0, le=1)]


class Mixture(Sourced):
    """Weights of several formats, group by group, with N:M sparsity: a name that `--weights` takes on this part.

    Attributes:
        name: of the mixture.
        groups: formats and their shares of the groups.
        m: weights of a block.
        blocks: kept weights of a block and their shares of the blocks.
        index_bits: position of a kept weight; blocks that keep all need none.
    """

    name: Name
    groups: tuple[MixturePart, ...] = Field(min_length=1)
    m: Count
    blocks: tuple[SparsityPart, ...] = Field(min_length=1)
    index_bits: Annotated[float, Field(ge=0)]

    @property
    def density(self) -> float:
        """Share of weights that are kept."""
        return sum(part.share * part.n / self.m for part in self.blocks)

    @property
    def index_bits_per_element(self) -> float:
        """Bits of positions for each weight of the dense matrix."""
        return sum(part.share * part.n / self.m * self.index_bits for part in self.blocks if part.n < self.m)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for what, parts in (("groups", self.groups), ("blocks", self.blocks)):
            total = sum(part.share for part in parts)
            if abs(total - 1) > 1e-9:
                raise ValueError(f"the shares of {what} add up to {total:g}: they must be 1")
        most = max(part.n for part in self.blocks)
        if most > self.m:
            raise ValueError(f"a block keeps n = {most} of m = {self.m} weights: n is m at most")
        return self


class Energy(Figures):
    """Energy per byte; arithmetic has its own beside its unit."""

    buffer_j_per_byte: EnergyPerByte = Field(alias="buffer")
    hbm_j_per_byte: EnergyPerByte = Field(alias="hbm")
    ddr_j_per_byte: EnergyPerByte = Field(alias="ddr")
    link_j_per_byte: EnergyPerByte = Field(alias="link")


DESCRIPTIVE = frozenset({"ddr.capacity", "matrix.columns"})
"""Figures that no run of the shipped overlays depends on: DDR holds tables and biases, which are small beside it, and
`matrix.columns` counts only where vectors leave the chip."""


class FpgaPart(Description):
    """One board with one overlay."""

    name: Name
    family: Literal["fpga"]
    overlay: str
    reference_clock: Literal["kernel"]
    native: Native
    clock: Clocks
    fabric: Fabric
    matrix: Matrix
    panel: Panel | None = None
    vector: Vector
    issue: Issue
    hbm: Hbm
    ddr: Ddr
    on_chip: OnChip
    network: Network
    shell: Shell
    mixture: tuple[Mixture, ...] = ()
    power: Supply
    energy: Energy

    @model_validator(mode="after")
    def _possible(self) -> Self:
        frequency = self.clock.kernel.frequency_hz
        if frequency > _FASTEST_HZ:
            raise ValueError(
                f"clock.kernel.frequency = {frequency:g} Hz is above {_FASTEST_HZ:g} Hz, which no DSP slice reaches; "
                "overlays run at 100 to 500 MHz"
            )
        return self

    def __hash__(self) -> int:
        return hash((self.name, self.matrix, self.vector, self.hbm, self.clock))


Topology = Literal["ring", "line", "mesh"]


class FpgaSystem(Assembly):
    """Equal boards that share each layer.

    Attributes:
        name: also the file's stem.
        part: name of the description of one board.
        count: boards.
        topology: "ring" (two links of each board), "line", or "mesh" (each to each).
        changes: figures of the part, by dotted key, that are others in this system.
    """

    name: Name
    family: Literal["fpga-system"]
    part: Name
    count: Annotated[int, Field(ge=1, le=1024)]
    topology: Topology
    changes: dict[str, Any] = Field(default_factory=dict)

    @property
    def links(self) -> int:
        """Links that a board needs."""
        if self.count == 1:
            return 0
        return self.count - 1 if self.topology == "mesh" else min(2, self.count - 1)

    @property
    def steps(self) -> int:
        """Messages one after the other until every board has what all the others had."""
        return min(1, self.count - 1) if self.topology == "mesh" else self.count - 1

    def __hash__(self) -> int:
        return hash((self.name, self.part, self.count, self.topology, tuple(self.changes)))
