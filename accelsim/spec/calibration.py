"""What measurements say of the kernels of one library on one chip, and what its caches hold when a kernel starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from accelsim.errors import RequestError, did_you_mean
from accelsim.spec.attention import Attention
from accelsim.spec.base import Count, Description, Name, Record, Sourced, Time
from accelsim.spec.collective import CollectiveConstants
from accelsim.spec.fitted import Fit
from accelsim.spec.format import Format, SparseFormat

CLOCKS: Final = ("burst", "sustained")
"""A kernel on a chip that was idle, or the same kernel without end, when the board's power limit sets the clock."""

LAUNCHES: Final = ("graph", "stream")
"""Kernels captured in a graph, as calibrations are, or launched one by one by the host."""

Part = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=0)]


_TWINS: Final = {"fp16": "bf16"}


class GemmConstants(Record):
    """Constants of GEMM kernels that no data sheet has; `accelsim.timing.gpu.gemm` says how they act.

    Attributes:
        start_s: of a kernel, beyond the chip's `timing.launch`: its arguments, its first byte.
        tile_start_s: start of a thread block, unless other blocks of the SM hide it.
        matrix_efficiency: part of the nominal rate that the matrix unit sustains within a depth step.
        memory_efficiency: part of what plain streams draw from the memory (its DRAM surface) that kernels draw.
        ramp_s: a stream is at half of its rate after so long.
        loaded_latency_s: of a depth step under load, from request to use; never below `timing.memory_latency`.
        l2_efficiency: bytes that SMs take in per byte that L2 or their port delivers at its peak; above 1 where more
            SMs share a fetched copy than `sm.operand_sharing` says.
        overlap: exponent of the norm that joins the times of SMs and memory; infinite would be their maximum.
        reduction_s: fixed part of adding up split results.
        issue_s: least time of a depth step of a lone block.
        recovered_tail: part of the last wave's idle time that is recovered, by stream-K or by less contention.
        epilogue: time of storing a tile over that of its bytes at the full rate of the SM's port.
        usable_l2: part of L2 that holds operands between kernels.
        l2_edge: exponent of how sharply what L2 still holds falls where the distance between uses passes that part.
        reread: part of the activations, where L2 cannot hold them, that every column of tiles reads from memory anew;
            0 for kernels that walk the result in compact patches.
        clock_drop: fall of the clock under a full matrix load.
        clock_ramp_s: length of a kernel that sees half of that fall.
        clock_edge: exponent of how suddenly it falls around that length.
    """

    start_s: Time = Field(alias="start")
    tile_start_s: Time = Field(alias="tile_start")
    matrix_efficiency: Part
    memory_efficiency: Part
    ramp_s: Time = Field(alias="ramp")
    loaded_latency_s: Time = Field(alias="loaded_latency")
    l2_efficiency: Factor
    overlap: Annotated[float, Field(ge=1)]
    reduction_s: Time = Field(alias="reduction")
    issue_s: Time = Field(alias="issue")
    recovered_tail: Annotated[float, Field(ge=0, le=1)]
    epilogue: Annotated[float, Field(ge=1)]
    usable_l2: Part
    l2_edge: Annotated[float, Field(ge=1)]
    reread: Annotated[float, Field(ge=0, le=1)] = 0.0
    clock_drop: Annotated[float, Field(ge=0)]
    clock_ramp_s: Time = Field(alias="clock_ramp")
    clock_edge: Annotated[float, Field(ge=1)]


class FormatConstants(Record):
    """Constants of another class of kernels.

    Attributes:
        kernel: name of the class, such as fp8.
        operands: activation and weight formats.
        prepass_s: fixed time of the kernel that quantises the activations before the product; 0 for none.
        prepass_bytes: bytes that it moves per activation element.
        gemm: of the product; a reduction as long as a millisecond means that these kernels split nothing.
        provenance: of these constants.
    """

    kernel: str
    operands: tuple[str, str]
    prepass_s: Time = Field(alias="prepass")
    prepass_bytes: Annotated[float, Field(ge=0)]
    gemm: GemmConstants
    provenance: Fit


class RowKernels(Sourced):
    """How wide a row a kernel of its own keeps on the chip; wider ones are read once for their sums, and once more.

    Fused kernels of serving engines do not follow these.

    Attributes:
        softmax_columns: elements of a row of a softmax.
        norm_columns: elements of a row of a norm.
    """

    softmax_columns: Count
    norm_columns: Count


class Collective(Record):
    """Constants of one operation between GPUs of this kind.

    Attributes:
        library: whose collectives.
        link: name of the chip's link that they go over.
        constants: of the operation.
        provenance: of these constants.
    """

    library: str
    link: str
    constants: CollectiveConstants
    provenance: Fit


class Board(Record):
    """Power of a board beyond what a data sheet says; `accelsim.timing.gpu.power` says how it acts.

    Attributes:
        drawn: energy that the board draws per energy of the events that its description prices: instruction issue,
            clock trees, wires and voltage conversion come on top of arithmetic, bytes and cells.
        regulated: power at which the board holds itself under load, as part of its limit.
        response: exponent by which the clock falls as the on-chip power asked for exceeds what the limit leaves.
        provenance: of these constants; its errors are those of power.
    """

    drawn: Annotated[float, Field(ge=1)]
    regulated: Part
    response: Annotated[float, Field(ge=0, le=1)]
    provenance: Fit


class Calibration(Description):
    """Constants of one kernel library on one chip.

    Attributes:
        name: chip and library; also the file's stem.
        chip: whose kernels were timed.
        library: name and version of the kernels, such as trtllm-1.3.
        default_for: families or generations of chips whose runs take these constants where nothing fits them better.
        gemm: constants of matrix products in 16-bit formats.
        provenance: of `gemm`; none where nobody timed the kernels.
        format: other pairs of formats.
        collective: operations between chips of this kind.
        rows: what softmax and norm kernels hold.
        attention: fused attention kernels, if they were measured.
        power: of the board, where it was logged.
    """

    name: Name
    chip: Name
    library: Name
    default_for: tuple[str, ...] = ()
    gemm: GemmConstants
    provenance: Fit | None = None
    format: tuple[FormatConstants, ...] = ()
    collective: tuple[Collective, ...] = ()
    rows: RowKernels | None = None
    attention: Attention | None = None
    power: Board | None = None

    @property
    def fitted(self) -> Fit:
        """Provenance of constants that were fitted.

        Raises:
            RequestError: nobody timed these kernels.
        """
        if self.provenance is None:
            raise RequestError(f"calibration {self.name}: its constants were fitted to nothing ({self.source})")
        return self.provenance

    def constants(self, activation: Format, weight: Format) -> GemmConstants:
        """Those of a pair of formats; the 16-bit ones where the pair has none of its own."""
        row = self.nearest(activation, weight)
        return self.gemm if row is None else row.gemm

    def row(self, activation: str, weight: str) -> FormatConstants | None:
        """The first class of kernels for a pair of formats, if the pair has any of its own."""
        return next((row for row in self.format if row.operands == (activation, weight)), None)

    def nearest(self, activation: Format, weight: Format) -> FormatConstants | None:
        """The class of kernels for operands, or for weights of the same element with other scales.

        Weights of N:M sparsity count as what is kept of them, and the two 16-bit formats of activations as one.
        """
        if isinstance(weight, SparseFormat):
            weight = weight.dense
        element = weight.structure.element
        names = (weight.name, weight.name if element is None else element.name)
        firsts = (activation.name, _TWINS.get(activation.name, activation.name))
        return next((row for name in names for first in firsts if (row := self.row(first, name))), None)


OPERANDS: Final = ("weights", "activations", "output")
STATES: Final = ("cold", "steady", "harness")


@dataclass(frozen=True, slots=True)
class Residency:
    """What L2 still holds of each operand when a kernel starts.

    "cold" is nothing; "steady" what the same kernel, run again and again on one set of operands, finds; "harness" what
    a benchmark finds that goes through as many copies of the operand as fill L2, five at most; a number that many.
    """

    weights: str | int = "cold"
    activations: str | int = "cold"
    output: str | int = "cold"

    @property
    def label(self) -> str:
        """In the words of `parse`."""
        states = [str(getattr(self, name)) for name in OPERANDS]
        return states[0] if len(set(states)) == 1 else ",".join(map("=".join, zip(OPERANDS, states, strict=True)))

    @staticmethod
    def parse(given: str | int | Mapping[str, str | int] | Residency | None) -> Residency:
        """From a request: one word for all operands, or a word for each.

        Args:
            given: "cold" (the default), "steady", "harness" or "harness(R)", which is R copies of the weights and
                steady activations and results; or a mapping from weights, activations, output to such a word.

        Raises:
            RequestError: anything else.
        """
        if given is None:
            return Residency()
        if isinstance(given, Residency):
            return given
        if isinstance(given, Mapping):
            for key in given:
                if key not in OPERANDS:
                    raise RequestError(
                        f"residency: no operand {key!r}{did_you_mean(str(key), OPERANDS)}; there are "
                        f"{', '.join(OPERANDS)}"
                    )
            return Residency(**{key: _state(word) for key, word in given.items()})
        state = _state(given)
        return Residency(state, state if state == "cold" else "steady", state if state == "cold" else "steady")


def _state(word: str | int) -> str | int:
    found = re.fullmatch(r"harness\((\d+)\)", word) if isinstance(word, str) else None
    copies = int(found[1]) if found else word
    if word in STATES and isinstance(word, str):
        return word
    if isinstance(copies, int) and not isinstance(copies, bool) and copies >= 1:
        return copies
    raise RequestError(
        f"residency = {word!r}: allowed are cold, steady, harness and harness(R) with R copies of the weights, at "
        f"least 1{did_you_mean(str(word), STATES)}"
    )


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which conditions the kernels of a GPU run.

    Attributes:
        library: whose kernels; None for the default of the chip.
        residency: what L2 holds when a kernel starts.
        clock: one of `CLOCKS`.
        launch: one of `LAUNCHES`.
    """

    library: str | None = None
    residency: Residency = Residency()
    clock: str = "burst"
    launch: str = "graph"
