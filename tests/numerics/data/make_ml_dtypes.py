"""Make `peer_ml_dtypes.npz`: the codes that ml_dtypes 0.6.0 gives for `peer_inputs.of_element` of each of its floats.

Usage, where ml_dtypes is installed: python tests/numerics/data/make_ml_dtypes.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import ml_dtypes
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.numerics import peer_inputs  # noqa: E402 - it lies in the checkout

TYPES = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e4m3_ieee": ml_dtypes.float8_e4m3,
    "fp8_e4m3_fnuz": ml_dtypes.float8_e4m3fnuz,
    "fp8_e4m3_b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp8_e5m2_fnuz": ml_dtypes.float8_e5m2fnuz,
    "fp8_e3m4": ml_dtypes.float8_e3m4,
    "ue8m0": ml_dtypes.float8_e8m0fnu,
    "fp6_e2m3": ml_dtypes.float6_e2m3fn,
    "fp6_e3m2": ml_dtypes.float6_e3m2fn,
    "fp4_e2m1": ml_dtypes.float4_e2m1fn,
}


def main() -> None:
    made = {"version": np.array(ml_dtypes.__version__)}
    for name, dtype in TYPES.items():
        x = peer_inputs.of_element(name)
        with np.errstate(over="ignore", invalid="ignore"):
            codes = x.astype(dtype)
        made[f"ml_dtypes/{name}"] = codes.view(f"u{codes.itemsize}")
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
    np.savez_compressed(HERE / "peer_ml_dtypes.npz", **made)


if __name__ == "__main__":
    main()
