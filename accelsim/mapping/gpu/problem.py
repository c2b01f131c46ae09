"""A matrix operator in the sizes that its kernels see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelsim.graph.numbers import Number
from accelsim.graph.operator import Kind, Operator
from accelsim.mapping.gpu.events import whole
from accelsim.mapping.gpu.memory import MemoryPort
from accelsim.mapping.gpu.pairs import Pair
from accelsim.mapping.gpu.resources import L2, L2_PORT
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.shapes import STEP_BYTES, Machine, Shapes


@dataclass(frozen=True, slots=True)
class Problem:
    """A (batched or grouped) matrix multiplication in bytes.

    Attributes:
        rows: rows of each independent product; one entry for a plain GEMM, one per expert for a group.
        copies: how often that list of products occurs (the batch).
        n: output columns.
        k: depth.
        first_bytes: the activation operand, once.
        second_bytes: the weight (or KV) operand, once.
        output_bytes: the result, once.
        depth_first: bytes of one element of the activation operand as it is staged.
        depth_second: bytes of one element of the weight operand as it is staged.
        step: elements of k in a depth step.
    """

    rows: tuple[int, ...]
    copies: int
    n: int
    k: int
    first_bytes: int
    second_bytes: int
    output_bytes: int
    depth_first: float
    depth_second: float
    step: int


def problem(op: Operator, pair: Pair, bits: Mapping[str, float]) -> Problem:
    """The sizes of a matrix operator; `bits` gives the bits of the formats that reach the matrix unit."""
    d = op.dims
    first, second = op.operand_formats()
    rows: tuple[int, ...]
    if op.kind in (Kind.SCORES, Kind.CONTEXT):
        group = int(d["heads"] / d["kv_heads"])
        copies = int(d["batch"] * d["kv_heads"])
        inner = (d["kv"], d["head_dim"]) if op.kind is Kind.SCORES else (d["value_dim"], d["kv"])
        rows, n, k = (int(d["query"]) * group,), int(inner[0]), int(inner[1])
    else:
        copies, n, k = int(d["batch"]), int(d["n"]), int(d["k"])
        rows = (int(d["m"]),)
        loads = op.attributes.get("loads")
        if loads is not None:
            rows = _whole_rows(np.asarray(loads, dtype=float), int(d["m"]))
    element = max(bits.get(pair.operands[0], first.bits), 1) / 8
    return Problem(
        rows,
        copies,
        n,
        k,
        whole(op.inputs[0].bytes),
        whole(_total(op, inputs=True)),
        whole(_total(op, inputs=False)),
        first.bytes_per_element,
        second.bytes_per_element,
        max(1, int(STEP_BYTES / element)),
    )


def _whole_rows(loads: npt.NDArray[np.float64], total: int) -> tuple[int, ...]:
    """Expected loads as whole rows, at least 1 each, that add up to no fewer than all tokens' picks."""
    rows = np.maximum(1, np.floor(loads))
    missing = max(0, total - int(rows.sum()))
    rows[np.argsort(rows - loads, kind="stable")[:missing]] += 1
    return tuple(int(r) for r in rows)


def _total(op: Operator, *, inputs: bool) -> Number:
    total: Number = 0
    for tensor in op.inputs[1:] if inputs else op.outputs:
        total = total + tensor.bytes
    return total


def shapes(size: Problem, pair: Pair) -> Shapes:
    """The same as a single point of the closed form."""
    return Shapes(
        rows=np.array([size.rows], dtype=float),
        copies=np.array([float(size.copies)]),
        n=np.array([float(size.n)]),
        k=np.array([float(size.k)]),
        first_bytes=np.array([float(size.first_bytes)]),
        second_bytes=np.array([float(size.second_bytes)]),
        output_bytes=np.array([float(size.output_bytes)]),
        staged_first=size.depth_first,
        staged_second=size.depth_second,
        step=size.step,
        widen_first=pair.first.flops_per_element if pair.first else 0.0,
        widen_second=pair.second.flops_per_element if pair.second else 0.0,
        rescale=pair.rescale,
    )


def machine(chip: GpuChip, pair: Pair, memory: MemoryPort) -> Machine:
    """The figures of a chip that a product of this pair of formats meets."""
    # a chip that cannot keep enough under way never sees the whole rate of a stream
    reach = memory.share(chip.sm.count * chip.timing.bytes_in_flight_per_sm)
    return Machine(
        sms=chip.sm.count,
        max_tiles=chip.sm.max_tiles,
        tile_rows=chip.sm.tile_rows,
        clock_hz=chip.clock.sm.frequency_hz,
        flops_per_clock=pair.peak.flops_per_clock,
        vector_flops_per_clock=chip.vector.flops_per_clock,
        special_ops_per_clock=chip.vector.special_ops_per_clock,
        shared_bytes=chip.sm.shared_bytes,
        shared_bytes_per_clock=chip.sm.shared_bytes_per_clock,
        operand_reads=chip.sm.operand_reads,
        registers_bytes=chip.sm.registers_bytes,
        register_bytes_per_clock=chip.sm.register_bytes_per_clock,
        port_bytes_per_clock=chip.sm.l2_port_bytes_per_clock,
        sharing=chip.sm.operand_sharing,
        l2_bytes=chip.l2.capacity_bytes,
        l2_bytes_per_clock=chip.l2.bytes_per_clock,
        memory_bytes_per_s=chip.memory.bandwidth_bytes_per_s,
        launch_s=chip.timing.launch_s,
        latency_s=chip.timing.memory_latency_s,
        l2_latency_s=chip.l2.latency_s,
        streaming=lambda reads: np.minimum(memory.streamings(reads), reach),
    )


def way_in(machine: Machine, tiles: float) -> str:
    """What is narrower between L2 and the SMs when so many tiles run: their ports, or L2 itself."""
    active = min(tiles, machine.sms)
    return L2_PORT if machine.port_bytes_per_clock < machine.l2_bytes_per_clock / active else L2
