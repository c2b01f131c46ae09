"""Attention over a cache as phases of the engine: thread blocks that read their part of the keys, then their sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from accelsim.graph.counts import count
from accelsim.mapping.gpu.conversion import convert_phase
from accelsim.mapping.gpu.events import VECTOR_REGISTER_BYTES, energy_events, whole
from accelsim.mapping.gpu.gemm import used
from accelsim.mapping.gpu.library import ATTENTION
from accelsim.mapping.gpu.pacing import paced
from accelsim.mapping.gpu.prefill import UNITS
from accelsim.mapping.gpu.problem import way_in
from accelsim.mapping.gpu.resources import L2, L2_PORT, MEMORY, REGISTER, SHARED, SPECIAL, TENSOR, VECTOR
from accelsim.mapping.kernel import Alternative, Demand, Kernel, Phase
from accelsim.mapping.sums import Sums
from accelsim.spec.attention import DecodeConstants, alike
from accelsim.timing.gpu import decode
from accelsim.timing.gpu.decode import SPLITS, STAGES, STEP, Decode
from accelsim.timing.gpu.gemm import MMA_DEPTH
from accelsim.timing.gpu.heads import LANE_REGISTER_BYTES, SLOT_FLOPS, SOFTMAX_FLOPS
from accelsim.timing.gpu.shapes import ACCUMULATOR_BYTES

if TYPE_CHECKING:
    from accelsim.mapping.gpu.attention import Setting

MORE: Final = ("timing.memory_latency", "l2.latency", "sm.tile_rows", ATTENTION + ".decode")


def price(at: Setting) -> Decode:
    """Its time alone on an idle chip."""
    rule = at.constants.dispatch
    always = alike(at.formats[1]) in rule.always and int(at.op.dims["head_dim"]) >= rule.always_head_dim
    packed = decode.packs(at.heads, rule, at.machine, always)
    return decode.price(at.heads, at.machine, _constants(at), rule, packed, at.copies)


def _constants(at: Setting) -> DecodeConstants:
    return at.constants.decoding(*at.formats, int(at.op.dims["head_dim"]))


def kernel(at: Setting, times: Decode) -> Kernel:
    """The kernel whose phases take that long."""
    heads, chip, sms, c = at.heads, at.chip, at.chip.sm.count, _constants(at)
    split, packed = SPLITS[int(times.candidate[0])], bool(times.packed[0])
    tiles, steps = round(float(times.tiles[0])), round(float(times.steps[0]))
    label = ("flash-decoding/packed" if packed else "flash-decoding/single") + (f"/split-{split}" if split > 1 else "")
    read, written = whole(float(times.read[0])), whole(float(times.written[0]))
    group = float(heads.query[0] * (heads.group[0] if packed else 1))
    rows = -(-group // chip.sm.tile_rows) * chip.sm.tile_rows if packed else group
    scores = float(tiles * steps * times.positions[0]) * rows
    flops = 2 * scores * float(heads.head_dim[0] + heads.value_dim[0])
    staged = float(tiles * steps * times.positions[0] * heads.staged[0])
    widened = float(tiles * steps * times.positions[0] * heads.widen[0])
    vector = scores * SOFTMAX_FLOPS
    lanes = vector * SLOT_FLOPS + widened + (0 if packed else flops)
    registers = (2 * ACCUMULATOR_BYTES * flops / 2 / MMA_DEPTH if packed else 0) + vector * LANE_REGISTER_BYTES
    shared = max(1.0, c.l2_efficiency if packed else c.single_l2_efficiency)
    moved = max(read, whole(staged / shared + float(heads.query_bytes[0])))
    partial = whole(float(decode.partial_bytes(heads)[0]) * split)
    stored = whole(float(heads.output_bytes[0])) if split == 1 else partial
    phase = Phase(
        name="blocks",
        steps=steps,
        buffers=STAGES,
        load=(Demand(MEMORY, read), Demand(L2, moved), Demand(L2_PORT, moved)),
        compute=(
            Demand(TENSOR, whole(flops / at.pair.peak.flops_per_clock) if packed else 0),
            Demand(SPECIAL, whole(scores / chip.vector.special_ops_per_clock)),
            Demand(VECTOR, whole(lanes / chip.vector.flops_per_clock)),
            Demand(SHARED, whole(staged * (1 + chip.sm.operand_reads))),
            Demand(REGISTER, whole(registers)),
        ),
        store=(Demand(MEMORY, written), Demand(L2, stored), Demand(L2_PORT, stored)),
        stores=max(1, min(steps, -(-tiles // sms))),
        fill=False,
        drain=False,
        most=at.memory.mixed(read, written),
        priced_by=label,
    )
    loop, busy = float(times.waves[0] * times.steps[0]), times.busy
    natural = {MEMORY: float(times.memory[0])}
    for name, seconds in (
        (TENSOR, busy.matrix), (SPECIAL, busy.special), (VECTOR, busy.lanes), (SHARED, busy.shared),
        (REGISTER, busy.registers), (way_in(at.machine, tiles), busy.load),
    ):  # fmt: skip
        natural[name] = loop * float(seconds[0])
    limit = max(natural, key=lambda name: natural[name])
    phases = [paced(phase, float(times.body[0]), limit, natural, at.resources)]
    added = whole(widened) + whole(at.beside.flops)
    if at.beside.flops:
        phases.append(convert_phase(chip, float(at.beside.flops), min(1.0, tiles / sms), steps, label))
    if split > 1:
        phases.append(_combine(at, partial, split, float(times.reduction[0]), label, [p.name for p in phases]))
        added += 2 * partial // ACCUMULATOR_BYTES
    events = energy_events(phases, at.op, at.pair, added)
    if not packed:  # products are the lanes' work
        events.pop(at.pair.event, None)
        events["vector"] = events.get("vector", 0) + whole(count(at.op).matrix_flops)
    units = UNITS if packed else tuple(name for name in UNITS if name != "peak")
    return Kernel(
        name=at.op.name,
        operator=at.op,
        launch_s=float(times.seconds[0] - times.body[0] - times.reduction[0]),
        phases=tuple(phases),
        events=events,
        priced_by=label + at.rule,
        constants=used((*units, *MORE), at.pair, at.beside),
        bounds={limit: "pipeline"} if natural[limit] < float(times.body[0]) / 2 else {},
        choice={
            "label": ("packed heads" if packed else "single heads") + (f", split {split}" if split > 1 else ""),
            "split": split,
            "tiles": tiles,
            "waves": -(-tiles // sms),
            "tail_tiles": tiles % sms,
            "depth_steps": steps,
            "wave_efficiency": tiles / (sms * -(-tiles // sms)),
            "calibration": at.library.attention.name,
        },
        alternatives=tuple(
            Alternative(f"split {SPLITS[i]}", float(times.candidates[0, i]))
            for i in np.argsort(times.candidates[0], kind="stable")
        ),
        sums=Sums(split, steps * STEP if split > 1 else 0, STEP, lanes=not packed),
    )


def _combine(at: Setting, partial: int, split: int, seconds: float, label: str, after: list[str]) -> Phase:
    """The splits' partial outputs and their maxima and sums become one result."""
    elements, result = partial // ACCUMULATOR_BYTES, whole(float(at.heads.output_bytes[0]))
    phase = Phase(
        name="combine",
        steps=max(1, min(split, elements)),
        buffers=STAGES,
        after=tuple(after),
        load=(Demand(L2, partial), Demand(L2_PORT, partial)),
        compute=(
            Demand(VECTOR, whole(2 * elements / at.chip.vector.flops_per_clock)),
            Demand(REGISTER, 2 * elements * VECTOR_REGISTER_BYTES),
        ),
        store=(Demand(L2, result), Demand(L2_PORT, result)),
        fill=False,
        drain=False,
        priced_by=f"{label}/combine",
    )
    return paced(phase, seconds, L2, {}, at.resources)
