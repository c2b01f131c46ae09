"""Conversion of 4 Mi float32 by every kind of format, as a ratio to `np.copyto` on the same array in the same run.

One thread, nearest-even, default policy, `out=` given; the best of several runs, since other jobs only slow them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from accelsim.formats import dataformat
from benchmarks.row import Row

ELEMENTS = 4 << 20
REPEATS = 7

FLOATS = ("fp8_e4m3", "fp8_e5m2", "fp6_e2m3", "fp6_e3m2", "fp4_e2m1", "bf16", "fp16", "fp8_e4m3_fnuz", "e3m4")
BLOCKS = ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp4", "mxfp4_rceil", "mxint8")
SMALL = (
    "int8", "int4", "ternary", "nf4", "posit8", "posit6", "takum8", "lns8", "flint4", "flint8", "dybit8", "abfloat8",
    "pot4", "apot5", "hif8", "binary8p3se", "cfloat8_143", "adaptivfloat8",
)  # fmt: skip
WIDE = ("posit16",)

QUANTIZE = {**dict.fromkeys(FLOATS, 0.7), **dict.fromkeys(BLOCKS, 0.45), "nvfp4": 0.33, **dict.fromkeys(SMALL, 0.25),
            **dict.fromkeys(WIDE, 0.04)}  # fmt: skip
ENCODE = {**dict.fromkeys(FLOATS, 0.4), **dict.fromkeys(SMALL, 0.25), **dict.fromkeys(WIDE, 0.04)}
DECODE = {**dict.fromkeys(FLOATS, 0.4), **dict.fromkeys(SMALL, 0.4)}
"""Least ratios to np.copyto. Encoding and decoding of formats that own a scale is shown without a target."""


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest run, after one that compiles."""
    work()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> list[Row]:
    """Rates and ratios of all formats."""
    x = np.random.default_rng(1).standard_normal(ELEMENTS).astype(np.float32)
    out = np.empty_like(x)

    def copy() -> float:
        return best(lambda: np.copyto(out, x))

    limit = copy()
    rows = [Row("np.copyto, float32 to float32", ELEMENTS / limit / 1e6, "M element/s")]
    for name, least in QUANTIZE.items():
        made = dataformat(name)
        limit = copy()
        taken = best(lambda made=made: made.quantize(x, out=out))
        rows.append(
            Row(
                f"quantize {name}: {ELEMENTS / taken / 1e6:,.0f} M/s, of copyto",
                min(limit, copy()) / taken,
                "",
                least,
                "higher",
            )
        )
    for name, least in ENCODE.items():
        made = dataformat(name)
        codes = made.encode(x)
        if not isinstance(codes, np.ndarray):
            continue
        limit = copy()
        taken = best(lambda made=made, codes=codes: made.encode(x, out=codes))
        rows.append(
            Row(
                f"encode {name}: {ELEMENTS / taken / 1e6:,.0f} M/s, of copyto",
                min(limit, copy()) / taken,
                "",
                least,
                "higher",
            )
        )
    for name, least in DECODE.items():
        made = dataformat(name)
        codes = made.encode(x)
        if not isinstance(codes, np.ndarray) or made.bits > 8:
            continue
        limit = copy()
        taken = best(lambda made=made, codes=codes: made.decode(codes, np.float32, out=out))
        rows.append(
            Row(
                f"decode {name}: {ELEMENTS / taken / 1e6:,.0f} M/s, of copyto",
                min(limit, copy()) / taken,
                "",
                least,
                "higher",
            )
        )
    return rows
