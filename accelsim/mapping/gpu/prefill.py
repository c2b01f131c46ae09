"""Attention over a prompt as a phase of the engine: all tiles of queries with all blocks of keys that they visit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from accelsim.mapping.gpu.conversion import convert_phase
from accelsim.mapping.gpu.events import energy_events, whole
from accelsim.mapping.gpu.gemm import used
from accelsim.mapping.gpu.library import ATTENTION
from accelsim.mapping.gpu.memory import FIGURE
from accelsim.mapping.gpu.pacing import paced
from accelsim.mapping.gpu.resources import L2, L2_PORT, MEMORY, REGISTER, SHARED, SPECIAL, TENSOR, VECTOR
from accelsim.mapping.kernel import Alternative, Demand, Kernel, Phase
from accelsim.mapping.sums import Sums
from accelsim.timing.gpu import prefill
from accelsim.timing.gpu.gemm import MMA_DEPTH
from accelsim.timing.gpu.heads import LANE_REGISTER_BYTES, SLOT_FLOPS, SOFTMAX_FLOPS
from accelsim.timing.gpu.prefill import TILES, Prefill
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES

if TYPE_CHECKING:
    from accelsim.mapping.gpu.attention import Setting

UNITS: Final = (
    "sm.count",
    "clock.sm.frequency",
    "peak",
    "vector.rate",
    "vector.special",
    "sm.shared_bandwidth",
    "sm.register_bandwidth",
    "sm.l2_port",
    "sm.operand_reads",
    "l2.capacity",
    "l2.bandwidth",
    "memory.bandwidth",
    FIGURE,
    "timing.launch",
)
"""Figures of a chip behind every kernel of attention."""

STAGES: Final = 2


def price(at: Setting) -> Prefill:
    """Its time alone on an idle chip."""
    constants = at.constants.prefilling(*at.formats, int(at.op.dims["head_dim"]))
    return prefill.price(at.heads, at.machine, constants, at.copies)


def kernel(at: Setting, times: Prefill) -> Kernel:
    """The kernel whose phase takes that long."""
    heads, chip, sms = at.heads, at.chip, at.chip.sm.count
    tile = TILES[int(times.candidate[0])]
    tiles, blocks, longest = (round(float(x[0])) for x in (times.tiles, times.blocks, times.longest))
    label = f"flash-attention/{tile}x{tile}"
    read, written = whole(float(times.read[0])), whole(float(times.written[0]))
    scores = blocks * tile * tile
    flops = 2 * scores * float(heads.head_dim[0] + heads.value_dim[0])
    staged = blocks * tile * float(heads.staged[0])
    widened = blocks * tile * float(heads.widen[0])
    widened += tiles * tile * float(heads.head_dim[0] * heads.widen_query[0])
    vector = scores * SOFTMAX_FLOPS
    accumulated = 2 * ACCUMULATOR_BYTES * flops / 2 / MMA_DEPTH + vector * LANE_REGISTER_BYTES
    moved, stored = max(read, whole(staged + float(heads.query_bytes[0]))), whole(float(heads.output_bytes[0]))
    phase = Phase(
        name="blocks",
        steps=longest,
        buffers=STAGES,
        load=(Demand(MEMORY, read), Demand(L2, moved), Demand(L2_PORT, moved)),
        compute=(
            Demand(TENSOR, whole(flops / at.pair.peak.flops_per_clock)),
            Demand(SPECIAL, whole(scores / chip.vector.special_ops_per_clock)),
            Demand(VECTOR, whole((vector * SLOT_FLOPS + widened) / chip.vector.flops_per_clock)),
            Demand(SHARED, whole(staged * (1 + chip.sm.operand_reads))),
            Demand(REGISTER, whole(accumulated)),
        ),
        store=(Demand(MEMORY, written), Demand(L2, stored), Demand(L2_PORT, stored)),
        stores=max(1, min(longest, -(-tiles // sms))),
        fill=False,
        drain=False,
        most=at.memory.mixed(read, written),
        priced_by=label,
    )
    # a unit is busy for its part of every block, whatever else the busiest SM waits for
    part = {
        name: float(seconds[0] / times.pace[0])
        for name, seconds in (
            (TENSOR, times.busy.matrix), (SPECIAL, times.busy.special), (VECTOR, times.busy.lanes),
            (SHARED, times.busy.shared), (REGISTER, times.busy.registers),
        )
    }  # fmt: skip
    sm = float(times.sm[0])
    natural = {MEMORY: float(times.memory[0]), **{name: sm * share for name, share in part.items()}}
    limit = max(natural, key=lambda name: natural[name])
    phases = [paced(phase, float(times.body[0]), limit, natural, at.resources)]
    if at.beside.flops:
        phases.append(convert_phase(chip, float(at.beside.flops), min(1.0, tiles / sms), longest, label))
    return Kernel(
        name=at.op.name,
        operator=at.op,
        launch_s=float(times.seconds[0] - times.body[0]),
        phases=tuple(phases),
        events=energy_events(phases, at.op, at.pair, whole(widened) + whole(at.beside.flops)),
        priced_by=label + at.rule,
        constants=used((*UNITS, ATTENTION + ".prefill"), at.pair, at.beside),
        bounds={limit: "pipeline"} if natural[limit] < float(times.body[0]) / 2 else {},
        choice={
            "label": f"{tile} rows x {tile}",
            "tile": f"{tile}x{tile}",
            "tiles": tiles,
            "waves": -(-tiles // sms),
            "tail_tiles": tiles % sms,
            "depth_steps": longest,
            "wave_efficiency": float(blocks * times.pace[0] / (sms * sm)),
            "clock": float(1 / times.clock[0]),
            "calibration": at.library.attention.name,
        },
        alternatives=tuple(
            Alternative(f"{TILES[i]} rows x {TILES[i]}", float(times.candidates[0, i]))
            for i in np.argsort(times.candidates[0], kind="stable")
        ),
        sums=Sums(tile=tile),
    )
