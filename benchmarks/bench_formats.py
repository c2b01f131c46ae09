"""Conversion of 4 Mi float32 by formats of every kind, as ratios to `np.copyto` of the same arrays in the same run.

One thread, nearest even, default policy, `out=` given where there is one. A ratio is of CPU seconds, the least of
several runs; copies are timed before and after each format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from accelsim.formats import dataformat
from accelsim.numerics.format import DataFormat
from benchmarks.row import Row, cpu_seconds

ELEMENTS: Final = 4 << 20
REPEATS: Final = 7

FLOATS = ("fp8_e4m3", "fp8_e5m2", "fp6_e2m3", "fp6_e3m2", "fp4_e2m1", "bf16", "fp16", "fp8_e4m3_fnuz", "fp8_e3m4")
BLOCKS = ("mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp4", "mxfp4_rceil", "mxint8")
SMALL = (
    "int8", "int4", "ternary", "nf4", "posit8", "takum8", "lns8", "flint4", "flint8", "dybit8", "abfloat8", "pot4",
    "apot5", "hif8", "binary8p3se", "cfloat8_143", "adaptivfloat8",
)  # fmt: skip
SCALED = ("int8_channel", "int4_g128", "mx9", "gguf_q4_0", "olive4", "nf4_b64")
SEARCHED = ("ant4", "gobo3", "olaccel4")
"""Formats whose encoding is a search: a 64th of the elements is timed, without a target that they could reach."""

Targets = dict[str, float | None]
QUANTIZE: Targets = {
    **dict.fromkeys(FLOATS, 0.7), **dict.fromkeys(BLOCKS, 0.45), "nvfp4": 0.33, **dict.fromkeys(SMALL, 0.25),
    **dict.fromkeys(SCALED, 0.25), "posit16": 0.04,
}  # fmt: skip
ENCODE: Targets = {
    **dict.fromkeys(FLOATS, 0.4), **dict.fromkeys(BLOCKS, 0.25), "nvfp4": 0.25, **dict.fromkeys(SMALL, 0.25),
    **dict.fromkeys(SCALED, 0.25), "posit16": 0.04,
}  # fmt: skip
DECODE: Targets = {
    name: 0.4 for name in (*FLOATS, *SMALL, *BLOCKS, "nvfp4", *SCALED) if name not in ("bf16", "fp16")
}  # fmt: skip
"""Least ratios to np.copyto that are hoped for."""


def main() -> list[Row]:
    """Rates and ratios of all formats."""
    x = np.random.default_rng(1).standard_normal(ELEMENTS).astype(np.float32)
    out = np.empty_like(x)

    def copied() -> float:
        return cpu_seconds(lambda: np.copyto(out, x), REPEATS)

    rows = [Row("np.copyto, float32 to float32", ELEMENTS / copied() / 1e6, "M element/s")]

    def timed(what: str, name: str, action: Callable[[], object], least: float | None) -> Row:
        action()  # compiles, or reads what was compiled
        before = copied()
        taken = cpu_seconds(action, REPEATS)
        ratio = min(before, copied()) / taken
        return Row(f"{what} {name}, {ELEMENTS / taken / 1e6:,.0f} M element/s", ratio, "of copyto", least, "higher")

    def encoding(made: DataFormat) -> Callable[[], object]:
        codes = made.encode(x)
        return (lambda: made.encode(x, out=codes)) if isinstance(codes, np.ndarray) else (lambda: made.encode(x))

    for name, least in QUANTIZE.items():
        made = dataformat(name)
        rows.append(timed("quantize", name, lambda made=made: made.quantize(x, out=out), least))
    for name, least in ENCODE.items():
        rows.append(timed("encode", name, encoding(dataformat(name)), least))
    for name in SEARCHED:
        made, part = dataformat(name), x[: ELEMENTS >> 6]
        whole, taken = copied(), cpu_seconds(lambda made=made, part=part: made.encode(part), 2) * 64
        rows.append(Row(f"encode {name}, {ELEMENTS / taken / 1e6:,.1f} M element/s", whole / taken, "of copyto"))
    for name, least in DECODE.items():
        made = dataformat(name)
        codes = made.encode(x)
        rows.append(timed("decode", name, lambda made=made, c=codes: made.decode(c, np.float32, out=out), least))
    return rows
