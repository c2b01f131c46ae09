"""Does it fit: weights, KV cache and activations against the capacity, and what would help."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Final

from accelsim import catalog
from accelsim.devices.base import Device, Padding
from accelsim.evaluate.phases import Passes, Work
from accelsim.results import Rows
from accelsim.spec.infeasible import Infeasible
from accelsim.units import show

NARROWER: Final = ("fp8_e4m3", "int4_g128")
"""Weight formats that are proposed where a model does not fit."""


def rows(work: Passes, device: Device) -> Rows:
    """A row per phase, each with its longest context, and with what the device's layouts add to it."""
    capacity = float(device.capacity_bytes)
    graphs = [(work.first, work.prefill())]
    if int(work.generate) > 1:
        graphs.append(("decode", work.decode(int(work.generate) - 1)))
    result = []
    for phase, graph in graphs:
        weights, cache, held = (float(value) for value in work.footprint(phase, graph))
        more_weights, more_cache = device.padding_bytes(graph) if isinstance(device, Padding) else (0.0, 0.0)
        weights, cache = weights + more_weights, cache + more_cache
        peak = weights + cache + held
        result.append(
            {
                "phase": phase,
                "weights_bytes": weights,
                "kv_cache_bytes": cache,
                "activations_bytes": held,
                "peak_bytes": peak,
                "capacity_bytes": capacity,
                "fits": peak <= capacity,
            }
        )
    return result


def does_not_fit(work: Passes, used: Rows, capacity: float, chip: str) -> Infeasible | None:
    """None where the run fits; else the demand, the bound and what would make it fit."""
    worst = max(used, key=lambda row: row["peak_bytes"])
    if worst["fits"]:
        return None
    weights, cache, held = worst["weights_bytes"], worst["kv_cache_bytes"], worst["activations_bytes"]
    missing = worst["peak_bytes"] - capacity
    return Infeasible(
        kind="capacity",
        reason=(
            f"{show(weights, 'B')} of weights, {show(cache, 'B')} of KV cache and {show(held, 'B')} of activations "
            f"do not fit {show(capacity, 'B')} of {chip} memory: {show(missing, 'B')} too much"
        ),
        demand=worst["peak_bytes"],
        bound=capacity,
        unit="B",
        set_by=("model", "weights", "kv_cache", "batch", "prompt", "generate", "memory.capacity"),
        levers=tuple(_levers(work, weights, cache, held, capacity)),
    )


def _levers(work: Passes, weights: float, cache: float, held: float, capacity: float) -> list[str]:
    if not isinstance(work, Work):
        return ["smaller dimensions", "a narrower format"]
    levers = []
    room = capacity - cache - held
    if room > 0:
        now = work.formats.weights.bits_per_element
        for name in NARROWER:
            if (bytes_ := _weights_in(work, name)) < min(weights, room):
                levers.append(f"--weights {name} ({show(bytes_, 'B')})")
        if not levers and (bits := now * room / weights) >= 1:
            levers.append(f"--weights of at most {min(bits, now):.1f} bits instead of {now:g}")
    per_sequence = (cache + held) / int(work.batch)
    if weights < capacity and int(work.batch) > 1 and (fitting := int((capacity - weights) / per_sequence)) >= 1:
        levers.append(f"--batch {fitting} instead of {work.batch}")
    if weights < capacity and int(work.batch) == 1 and cache:
        tokens = int(work.prompt) + int(work.generate)
        fitting = max(0, int((capacity - weights - held) / cache * tokens))
        levers.append(f"about {fitting} tokens of context instead of {tokens}")
    levers.append(f"{ceil((weights + cache + held) / capacity)} chips of this memory")
    return levers


def _weights_in(work: Work, name: str) -> float:
    """Bytes of the weights with the linear layers in another format."""
    chosen = catalog.format_(name)
    other = replace(work, formats=replace(work.formats, weights=chosen))
    return float(other.footprint("prefill", work.prefill())[0])
