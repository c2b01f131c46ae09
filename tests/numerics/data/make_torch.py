"""Make `peer_torch.npz`: the codes that torch 2.13.0 (CPU) gives for `peer_inputs.of_element` of each of its floats.

Usage, where torch is installed: python tests/numerics/data/make_torch.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.numerics import peer_inputs  # noqa: E402 - it lies in the checkout

TYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8_e4m3": torch.float8_e4m3fn,
    "fp8_e4m3_fnuz": torch.float8_e4m3fnuz,
    "fp8_e5m2": torch.float8_e5m2,
    "fp8_e5m2_fnuz": torch.float8_e5m2fnuz,
    "ue8m0": torch.float8_e8m0fnu,
}


def main() -> None:
    made = {"version": np.array(torch.__version__.split("+")[0])}
    for name, dtype in TYPES.items():
        x = peer_inputs.of_element(name)
        codes = torch.from_numpy(x).to(dtype)
        integer = torch.int16 if codes.element_size() == 2 else torch.uint8
        made[f"torch/{name}"] = codes.view(integer).numpy().view(f"u{codes.element_size()}")
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
    np.savez_compressed(HERE / "peer_torch.npz", **made)


if __name__ == "__main__":
    main()
