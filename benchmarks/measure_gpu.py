"""Times kernels of a GPU of one's own, and its power, in the CSV form that `accelsim calibrate` reads.

    python benchmarks/measure_gpu.py --out mine.csv            # GEMMs, attention, streams; needs torch with CUDA
    python benchmarks/measure_gpu.py --power 3 --out mine.csv  # and 3 s of every kernel under the board's meter
    python benchmarks/measure_gpu.py --list                    # what would be timed; needs nothing
    accelsim calibrate mine.csv --chip h100-sxm --library torch-2.9

The file needs nothing of accelsim, so that it can be copied to the machine with the card. The harness, which a
calibration has to know: GEMMs go through R copies of their weights, R = ceil(L2 / weights) from 1 to 5, with one
activation and one result (`residency = "harness"`); every kernel runs 20 times before it counts; the kernels of one
turn through the copies, repeated until they take 0.2 ms or more, are captured in a CUDA graph (`--no-graph` launches
them one by one); the time of a kernel is the median over `--repeats` replays between two CUDA events, divided by the
kernels in a replay. Power is the mean of the meter's readings in the second half of the window: meters average over up
to a second, so that the first half still tells of what ran before.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SHAPE = ("m", "n", "k", "batch", "query", "kv", "heads", "kv_heads", "head_dim", "rows", "columns")
COLUMNS = (
    "kind", "gemm_dtype", *SHAPE, "latency_ms", "power_w", "window_s", "copies", "graph", "repeats", "sm_clock_mhz",
    "device", "card", "driver", "cuda", "torch", "date",
)  # fmt: skip
"""Of the CSV. Empty where they say nothing; `gemm_dtype` names the class of GEMMs in the words of public tables."""

WARM_UPS = 20
LEAST_REPLAY_S = 0.2e-3
MOST_COPIES = 5
METER_S = 0.05
"""Time between two readings of the meter."""

ROWS = (1, 4, 16, 64, 256, 1024, 2048, 8192)
"""Rows of GEMMs: from one token of a single request to a long prompt."""

WEIGHTS = (
    (1024, 1024), (2048, 2048), (6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336), (11008, 4096),
    (10240, 8192), (8192, 8192), (57344, 8192), (8192, 28672), (1536, 6144), (512, 16384), (16384, 16384),
    (32768, 512),
)  # fmt: skip
"""Columns and depth of GEMMs: small ones, projections of 7B to 70B models, and edges."""

GEMMS = ("bfloat16", "float16", "fp8")
KINDS = ("gemm", "prefill", "decode", "norm", "softmax", "activation", "copy")


@dataclass(frozen=True)
class Point:
    """One kernel to be timed: its kind, its class of GEMMs if it is one, and its sizes."""

    kind: str
    dtype: str = "bfloat16"
    sizes: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind:<10} {self.dtype:<9} " + " ".join(f"{name}={size}" for name, size in self.sizes.items())


def points(kinds: Sequence[str] = KINDS, dtypes: Sequence[str] = GEMMS) -> list[Point]:
    """What is timed, in a fixed order; GEMMs alone are 120 for each class."""
    return [point for point in _all(dtypes) if point.kind in kinds]


def _all(dtypes: Sequence[str]) -> Iterator[Point]:
    for dtype in dtypes:
        for n, k in WEIGHTS:
            for m in ROWS:
                yield Point("gemm", dtype, {"m": m, "n": n, "k": k})
    for heads, kv_heads in ((32, 32), (32, 8), (64, 8)):
        shape = {"heads": heads, "kv_heads": kv_heads, "head_dim": 128}
        for batch, length in ((1, 128), (1, 1024), (1, 4096), (1, 16384), (8, 1024), (8, 4096), (32, 512)):
            yield Point("prefill", sizes={"batch": batch, "query": length, "kv": length, **shape})
        for batch, length in ((1, 1024), (1, 8192), (1, 65536), (16, 1024), (16, 8192), (64, 2048), (256, 1024)):
            yield Point("decode", sizes={"batch": batch, "query": 1, "kv": length, **shape})
    for kind in ("norm", "softmax", "activation", "copy"):
        for columns in (4096, 8192, 16384):
            for rows in (1, 32, 512, 4096, 16384):
                yield Point(kind, sizes={"rows": rows, "columns": columns})


def copies(weight_bytes: float, l2_bytes: float) -> int:
    """Weights that GEMMs take in turn, so that L2 holds none of them from the turn before; 5 at most."""
    return int(min(MOST_COPIES, max(1, -(-l2_bytes // weight_bytes))))


class Meter:
    """The board's power in W and the SM clock in MHz: by NVML if its module is there, by nvidia-smi otherwise."""

    def __init__(self, index: int = 0) -> None:
        self._index, self._nvml, self._handle = index, None, None
        try:
            import pynvml

            pynvml.nvmlInit()
            self._nvml, self._handle = pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)
        except Exception as error:  # noqa: BLE001 - a module that is missing or does not find its library
            print(f"no NVML ({error}): power and clock by nvidia-smi", file=sys.stderr)

    def power_w(self) -> float:
        """Of the whole board."""
        if self._nvml is not None:
            return float(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1000
        return float(self._smi("power.draw"))

    def clock_mhz(self) -> float:
        """Of the SMs."""
        if self._nvml is not None:
            return float(self._nvml.nvmlDeviceGetClockInfo(self._handle, self._nvml.NVML_CLOCK_SM))
        return float(self._smi("clocks.sm"))

    def driver(self) -> str:
        """Version of the driver."""
        return self._smi("driver_version")

    def _smi(self, what: str) -> str:
        command = ["nvidia-smi", f"--id={self._index}", f"--query-gpu={what}", "--format=csv,noheader,nounits"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def over(seconds: float, run: Callable[[], object], read: Callable[[], float]) -> tuple[float, float]:
    """Runs something again and again for so long: the mean reading of the second half, and the time that it took."""
    begin = time.perf_counter()
    readings: list[tuple[float, float]] = []
    while (now := time.perf_counter() - begin) < seconds:
        run()
        if not readings or now - readings[-1][0] >= METER_S:
            readings.append((now, read()))
    late = [value for at, value in readings if at >= seconds / 2] or [readings[-1][1]]
    return statistics.fmean(late), time.perf_counter() - begin


class Card:
    """A CUDA device under torch."""

    def __init__(self, *, graph: bool, repeats: int, power_s: float) -> None:
        import torch

        if not torch.cuda.is_available():
            raise SystemExit("no CUDA device: --list shows what would be timed")
        self.torch, self.graph, self.repeats, self.power_s = torch, graph, repeats, power_s
        self.properties = torch.cuda.get_device_properties(0)
        self.meter = Meter()
        self.told = {
            "device": "", "card": self.properties.name, "driver": self.meter.driver(), "cuda": torch.version.cuda,
            "torch": torch.__version__, "date": datetime.now(UTC).date().isoformat(),
        }  # fmt: skip

    def measure(self, point: Point) -> dict[str, object]:
        """A row of the CSV.

        Raises:
            RuntimeError: what torch says of a kernel that it lacks here, or that does not fit.
        """
        with self.torch.inference_mode():
            turn = self._turn(point)
            replay, kernels = self._replay(turn)
            times = [self._once_s(replay) / kernels for _ in range(self.repeats)]
            row: dict[str, object] = {
                "kind": point.kind, "gemm_dtype": point.dtype if point.kind == "gemm" else "", **point.sizes,
                "latency_ms": f"{1e3 * statistics.median(times):.6g}", "copies": len(turn),
                "graph": int(self.graph), "repeats": self.repeats, "sm_clock_mhz": f"{self.meter.clock_mhz():.0f}",
                **self.told,
            }  # fmt: skip
            if self.power_s:
                mean, window = over(self.power_s, lambda: self._once_s(replay), self.meter.power_w)
                row |= {"power_w": f"{mean:.1f}", "window_s": f"{window:.2f}"}
        return row

    def _once_s(self, replay: Callable[[], object]) -> float:
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        replay()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) * 1e-3

    def _replay(self, turn: Sequence[Callable[[], object]]) -> tuple[Callable[[], object], int]:
        """Something that runs so many kernels, long enough for a timer."""

        def once() -> None:
            for kernel in turn:
                kernel()

        stream = self.torch.cuda.Stream()
        with self.torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                once()
        self.torch.cuda.synchronize()
        turns = max(1, round(LEAST_REPLAY_S / max(self._once_s(once), 1e-7)))

        def many() -> None:
            for _ in range(turns):
                once()

        if not self.graph:
            return many, turns * len(turn)
        captured = self.torch.cuda.CUDAGraph()
        with self.torch.cuda.graph(captured):
            many()
        for _ in range(3):
            captured.replay()
        self.torch.cuda.synchronize()
        return captured.replay, turns * len(turn)

    def _turn(self, point: Point) -> list[Callable[[], object]]:
        """The kernels of one turn: as many as there are copies of the weights."""
        sizes = point.sizes
        if point.kind == "gemm":
            return self._gemms(point.dtype, sizes["m"], sizes["n"], sizes["k"])
        if point.kind in {"prefill", "decode"}:
            return [self._attention(causal=point.kind == "prefill", **sizes)]
        return [self._stream(point.kind, sizes["rows"], sizes["columns"])]

    def _random(self, *shape: int, dtype: Any = None) -> Any:
        return self.torch.randn(*shape, device="cuda", dtype=dtype or self.torch.bfloat16)

    def _gemms(self, dtype: str, m: int, n: int, k: int) -> list[Callable[[], object]]:
        torch = self.torch
        width = 1 if dtype == "fp8" else 2
        count = copies(n * k * width, self.properties.L2_cache_size)
        if dtype != "fp8":
            element = getattr(torch, dtype)
            activation = self._random(m, k, dtype=element)
            result = torch.empty(m, n, device="cuda", dtype=element)
            weights = [self._random(n, k, dtype=element) for _ in range(count)]
            return [lambda w=weight: torch.mm(activation, w.t(), out=result) for weight in weights]
        # per-tensor scales; the activations come quantised, since the pass over them is a kernel of its own
        one = torch.ones((), device="cuda")
        activation = self._random(m, k).to(torch.float8_e4m3fn)
        weights = [self._random(n, k).to(torch.float8_e4m3fn) for _ in range(count)]
        return [
            lambda w=weight: torch._scaled_mm(activation, w.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
            for weight in weights
        ]

    def _attention(
        self, *, batch: int, query: int, kv: int, heads: int, kv_heads: int, head_dim: int, causal: bool
    ) -> Callable[[], object]:
        attend = self.torch.nn.functional.scaled_dot_product_attention
        q = self._random(batch, heads, query, head_dim)
        keys, values = (self._random(batch, kv_heads, kv, head_dim) for _ in range(2))
        return lambda: attend(q, keys, values, is_causal=causal, enable_gqa=heads != kv_heads)

    def _stream(self, kind: str, rows: int, columns: int) -> Callable[[], object]:
        torch, source = self.torch, self._random(rows, columns)
        if kind == "norm":
            weight = self._random(columns)
            return lambda: torch.nn.functional.rms_norm(source, (columns,), weight)
        if kind == "softmax":
            return lambda: torch.softmax(source, dim=-1)
        if kind == "activation":
            return lambda: torch.nn.functional.silu(source)
        target = torch.empty_like(source)
        return lambda: target.copy_(source)


def write(file: Path, rows: Iterator[dict[str, object]]) -> int:
    """Writes rows as they come, so that a run that is broken off leaves its part; how many there were."""
    count = 0
    with file.open("w", encoding="utf-8", newline="") as text:
        table = csv.DictWriter(text, COLUMNS, restval="")
        table.writeheader()
        for row in rows:
            table.writerow(row)
            text.flush()
            count += 1
    return count


def _measured(card: Card, todo: Sequence[Point]) -> Iterator[dict[str, object]]:
    for number, point in enumerate(todo, 1):
        try:
            row = card.measure(point)
        except RuntimeError as error:  # memory that is not there, a kernel that this card lacks
            print(f"left out: {point}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        print(f"[{number}/{len(todo)}] {point}  {row['latency_ms']} ms", file=sys.stderr)
        yield row


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Time a GPU's kernels for accelsim calibrate.")
    parser.add_argument("--out", type=Path, default=Path("gpu.csv"), help="CSV to write (gpu.csv)")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--dtypes", nargs="+", choices=GEMMS, default=GEMMS, metavar="TYPE", help=", ".join(GEMMS))
    parser.add_argument("--no-graph", action="store_true", help="launch kernels one by one, as eager code does")
    parser.add_argument("--repeats", type=int, default=20, help="timed replays, of which the median counts (20)")
    parser.add_argument("--power", type=float, default=0.0, metavar="S", help="seconds under the meter; 2 at least")
    parser.add_argument("--list", "--dry-run", action="store_true", help="print what would be timed, and stop")
    asked = parser.parse_args(arguments)
    if asked.repeats < 1:
        parser.error(f"--repeats {asked.repeats}: at least 1")
    if asked.power and asked.power < 2:
        parser.error(f"--power {asked.power:g}: meters average over a second, so at least 2, or 0 for none")
    todo = points(asked.only, asked.dtypes)
    if asked.list:
        print("\n".join(map(str, todo)))
        print(f"{len(todo)} kernels", file=sys.stderr)
        return 0
    try:
        card = Card(graph=not asked.no_graph, repeats=asked.repeats, power_s=asked.power)
    except ModuleNotFoundError as error:
        print(f"{error}: install torch with CUDA; --list needs neither", file=sys.stderr)
        return 1
    count = write(asked.out, _measured(card, todo))
    print(f"{count} of {len(todo)} kernels in {asked.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
