"""Sweeps: points keyed, priced, stored and loaded per second of CPU, and what worker processes bring.

Ratios of places are in wall time: two workers against two bare processes that evaluate the same points side by side,
both in units of one process, measured one after the other in this run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from accelsim.explore.batches import METRICS
from accelsim.explore.frame import frame_of
from accelsim.explore.outcome import Outcome
from accelsim.explore.schema import BOOKKEEPING
from accelsim.explore.source import Remaining
from accelsim.explore.store import Store
from accelsim.explore.sweep import Sweep
from accelsim.explore.version import model_version
from benchmarks.row import Row

POINTS = 100_000
EVENTS = 4_000
"""Event points of the comparison of places: more than 20 s of one process."""

_BARE = "from benchmarks.bench_sweep import bare; bare({first}, {last})"


def columns() -> Sweep:
    """100,000 points in closed form, figures of the chip and sizes varied together."""
    return Sweep(
        {
            "batch": {"range": [1, 64], "integer": True},
            "prompt": {"range": [1, 4096], "integer": True},
            "weights": ["bf16", "fp8_e4m3", "int4_g128", "mxfp4"],
            "memory.bandwidth": {"log_range": ["1 TB/s", "8 TB/s"]},
            "sm.count": {"range": [50, 200]},
        },
        name="columns",
        fixed={"model": "llama-2-7b", "chip": "h100-sxm", "fidelity": "roofline", "generate": 2},
        sampling={"method": "random", "count": POINTS},
    )


def events(first: int, last: int, name: str = "events") -> Sweep:
    """Decode steps of Llama-2-7B at batch 1 and 2,048 tokens on H100, of which only the seed differs."""
    fixed = {"model": "llama-2-7b", "chip": "h100-sxm", "prompt": 2048, "generate": 2}
    return Sweep({"seed": list(range(first, last))}, name=name, fixed=fixed)


def bare(first: int, last: int) -> None:
    """The points without keys, store and driver."""
    from accelsim.evaluate.memo import Memo
    from accelsim.simulation import simulate

    memo = Memo()
    simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=2, memo=memo)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for seed in range(first, last):
        simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=2, seed=seed, memo=memo)


def bare_seconds(parts: int) -> float:
    """Wall time of the event points in so many bare processes, after each has warmed up."""
    edges = [EVENTS * part // parts for part in range(parts + 1)]
    commands = [_BARE.format(first=a, last=b) for a, b in pairwise(edges)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [subprocess.Popen([sys.executable, "-c", command], **pipes) for command in commands]  # type: ignore[call-overload]
    for process in processes:
        process.stdout.readline()
    began = time.perf_counter()
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in processes:
        process.wait()
    return time.perf_counter() - began


def driven_seconds(**place: object) -> float:
    """Wall time of the event points through a driver, from the time at which every worker has had a point."""
    sweep, since = events(0, EVENTS), [0.0, 0.0]

    def started(state) -> None:
        if not since[0] and state.done >= EVENTS // 20:
            since[:] = [time.perf_counter(), state.done]

    sweep.run(fresh=True, progress=started, **place)  # type: ignore[arg-type]
    return (time.perf_counter() - since[0]) * EVENTS / (EVENTS - since[1])


@contextmanager
def _elsewhere() -> Iterator[Path]:
    """A folder of its own, for stores."""
    before = Path.cwd()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(before), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def main() -> list[Row]:
    with _elsewhere():
        return [*_closed_form(), *_simulated(), *_places()]


def _closed_form() -> list[Row]:
    sweep = columns()
    _ = sweep.groups
    began = time.process_time()
    keys = sweep.keys
    source, evaluated = Remaining(sweep.groups, keys, [True] * len(keys), model_version()), []
    while (batch := source.take(0.0)) is not None:
        for outcomes in batch.evaluate():
            evaluated += outcomes
    keyed = time.process_time() - began
    fresh = columns()
    began = time.process_time()
    fresh.run(workers=1)
    whole = time.process_time() - began
    store = Store(fresh.store_path, METRICS)
    began = time.process_time()
    rows = len(frame_of(store))
    loaded = time.process_time() - began
    other = Store("other.sqlite", METRICS)
    designs = dict.fromkeys((one.key for one in evaluated), "d")
    began = time.process_time()
    for start in range(0, len(evaluated), 4096):
        other.add(evaluated[start : start + 4096], designs, "1")
    stored = time.process_time() - began
    return [
        Row("closed form, keyed and evaluated", len(keys) / keyed, "points/s CPU", 20_000, "higher"),
        Row("closed form, end to end with the store", len(keys) / whole, "points/s CPU", 10_000, "higher"),
        Row("share of the store in that", stored / whole * 100, "% CPU", 50),
        Row(f"{rows:,} rows loaded", loaded * POINTS / rows, "s CPU per 100,000", 3),
    ]


def _simulated() -> list[Row]:
    events(0, 20, "warm").run(workers=1)
    sweep = events(20, 420, "one")
    began = time.process_time()
    sweep.run(workers=1)
    whole = time.process_time() - began
    kept = Store(sweep.store_path, METRICS)
    metrics = [tuple(row[4 + len(BOOKKEEPING) + 1 :]) for row in kept.rows()]
    other = Store("again.sqlite", METRICS)
    began = time.process_time()
    for number, row in enumerate(metrics):
        other.add([Outcome(str(number), "ok", "", row, 0.01, "me")], {str(number): "d"}, "1")
    stored = time.process_time() - began
    return [
        Row("event points, rows, keys and store included", 400 / whole, "points/s CPU", 50, "higher"),
        Row("share of the store in that", stored / whole * 100, "% CPU", 5),
    ]


def _places() -> list[Row]:
    one, alone = driven_seconds(workers=1), bare_seconds(1)
    two = alone / bare_seconds(2)
    rows = [
        Row("load average", os.getloadavg()[0], ""),
        Row("event points of one process", one, "s"),
        Row("one process through the driver against a bare one", alone / one, "x"),
        Row("two bare processes against one", two, "x"),
    ]
    for name, place, target in (
        ("two workers", {"workers": 2}, 0.9),
        ("two Dask workers", {"cluster": "local", "workers": 2}, 0.8),
    ):
        speed = one / driven_seconds(**place)
        rows += [
            Row(f"{name} against one process", speed, "x"),
            Row(f"{name} against bare ones", speed / two, "x", target, "higher"),
        ]
    return rows
