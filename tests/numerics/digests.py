"""A digest of every format, accumulator and function on the same inputs, as JSON on standard output.

Run by `test_arithmetic_reproducible.py` in processes of different settings, with `some`, `all` or `pinned` behind it.
Inputs are made of integers, so that they are the same under every setting.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import numpy as np

from accelsim import catalog, dataformat
from accelsim.numerics import functions, registry
from accelsim.numerics.accumulator import presets
from accelsim.numerics.policy import Policy, Stochastic
from tests.contract.grids import slow

ACCUMULATORS = (
    "exact", "fp32", "fp32-fma", "fp32-truncate", "fp32-tree", "fp32-lanes16", "fp16", "fp16-fma", "fp16-tree16",
    "bf16", "bf16-fma", "bf16-lanes8", "e8m13-truncate", "e8m9-truncate", "int32", "int16-saturate", "quire8",
    "quire16",
)  # fmt: skip


def inputs(seed: int, *shape: int, spread: int = 6) -> np.ndarray:
    random = np.random.default_rng(seed)
    x = random.integers(-(1 << 23), 1 << 23, shape) * 2.0**-23
    return np.ldexp(x, random.integers(-spread, spread + 1, shape))


def digest(*arrays: Any) -> str:
    made = hashlib.sha256()
    for array in arrays:
        made.update(array if isinstance(array, bytes) else np.ascontiguousarray(array).tobytes())
    return made.hexdigest()[:16]


def of_format(name: str, policy: Policy | None = None) -> str:
    """What `encode`, `decode`, `quantize` and `pack` give, for float32 and float64."""
    f = dataformat(name, policy=policy)
    made: list[Any] = []
    for dtype in (np.float32, np.float64):
        x = inputs(4, 6, 300).astype(dtype)
        x[0, ::7], x[5, 3::11] = 0.0, -0.0
        codes = f.encode(x)
        made += [f.pack(codes), f.decode(codes), f.quantize(x)]
    return digest(*made)


def formats(*, whole: bool) -> dict[str, str]:
    """All formats with files, or the first and the last of every kind, slow ones left out; and stochastic ones."""
    kinds: dict[str, list[str]] = {}
    for name in catalog.names("formats"):
        record = catalog.format_(name)
        if record.name == name and record.kind in registry.implemented() and (whole or not slow(name)):
            kinds.setdefault(record.kind, []).append(name)
    chosen = [name for kind in kinds.values() for name in (kind if whole else dict.fromkeys((kind[0], kind[-1])))]
    stochastic = Policy(rounding=Stochastic(bits=8, seed=3))
    return {name: of_format(name) for name in chosen} | {
        f"{name}, stochastic": of_format(name, stochastic) for name in ("fp8_e4m3", "mxfp4", "int4_g128", "posit8")
    }


def products(*, whole: bool) -> dict[str, str]:
    """Every accumulator on operands that it takes; blocks, batches, special values."""
    x, y, c = inputs(1, 24, 130), inputs(2, 130, 20), inputs(3, 24, 20)
    made = {}
    for name in (*ACCUMULATORS, *presets()):
        plain = "int8" if name.startswith(("int", "groq-int")) else "posit8" if name.startswith("quire") else "fp8_e4m3"
        for form in (plain, *(("bf16",) if plain == "fp8_e4m3" else ())):
            f = dataformat(form)
            start = np.rint(c) if plain == "int8" else f.quantize(c)
            made[f"{form} {name}"] = digest(f.matmul(16 * x, y, accumulator=name, c=start).values)
    spoilt = x.copy()
    spoilt[::5, 7], spoilt[1::5, 9], spoilt[2::5, 11] = np.inf, -np.inf, np.nan
    for name in ("exact", "fp32", "fp16", "hopper-bf16", "cdna3"):
        made[f"special values, {name}"] = digest(dataformat("bf16").matmul(spoilt, y, accumulator=name).values)
    for form, name in (("mxfp4", "exact"), ("mxfp4", "fp16"), ("nvfp4", "blackwell-fp4"), ("int4_g128", "fp32")):
        made[f"{form} {name}"] = digest(dataformat(form).matmul(x, y, accumulator=name).values)
    for form in ("fp32", "bf16", "fp8_e4m3", "posit16"):
        f = dataformat(form)
        parts = x[:, :20], y[:24], c
        made[f"{form} operations"] = digest(f.fma(*parts), f.add(*parts[::2]), f.mul(*parts[1:]))
    if whole:
        wide = inputs(5, 60, 700, spread=40), inputs(6, 700, 50, spread=40)
        for name in ("exact", "fp32", "fp32-lanes16"):
            made[f"fp32 {name}"] = digest(dataformat("fp32").matmul(*wide, accumulator=name).values)
    return made


def elementary() -> dict[str, str]:
    x = inputs(7, 9_000, spread=12)
    x[:6] = 0.0, -0.0, np.inf, -np.inf, np.nan, 1e300
    return {
        name: digest(*(getattr(functions, name)(x.astype(dtype)) for dtype in (np.float64, np.float32, np.float16)))
        for name in functions.__all__
    }


def everything(*, whole: bool) -> dict[str, str]:
    """Name to digest."""
    with np.errstate(all="ignore"):
        return elementary() | products(whole=whole) | formats(whole=whole)


def pinned() -> dict[str, str]:
    """What `data/digests.json` holds: all but formats, of which there are more each month."""
    with np.errstate(all="ignore"):
        return elementary() | products(whole=False)


if __name__ == "__main__":
    amount = sys.argv[1]
    made = pinned() if amount == "pinned" else everything(whole=amount == "all")
    sys.stdout.write(json.dumps(made, indent=0) + "\n")
