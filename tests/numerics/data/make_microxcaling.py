"""Make `peer_microxcaling.npz`: what microxcaling makes of `peer_inputs` with the settings it has by default.

microxcaling (github.com/microsoft/microxcaling at 7bc4195, August 2024, MIT licence) gives numbers, no codes: the file
holds float32. `shared` is the exponent of each block's largest number as its own function finds it.

Usage, where torch is installed: python tests/numerics/data/make_microxcaling.py CHECKOUT_OF_MICROXCALING
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.numerics import peer_inputs  # noqa: E402 - it lies in the checkout

BLOCKS = {
    "mxfp4": "fp4_e2m1",
    "mxfp6_e2m3": "fp6_e2m3",
    "mxfp6_e3m2": "fp6_e3m2",
    "mxfp8_e4m3": "fp8_e4m3",
    "mxfp8_e5m2": "fp8_e5m2",
    "mxint8": "int8",
}
ELEMENTS = {
    "fp4_e2m1": "fp4_e2m1",
    "fp6_e2m3": "fp6_e2m3",
    "fp6_e3m2": "fp6_e3m2",
    "fp8_e4m3": "fp8_e4m3",
    "fp8_e5m2": "fp8_e5m2",
    "fp16": "float16",
    "bf16": "bfloat16",
    "int8_f6": "int8",
}


def main(checkout: str) -> None:
    sys.path.insert(0, checkout)
    from mx.elemwise_ops import _quantize_elemwise
    from mx.formats import ElemFormat
    from mx.mx_ops import _quantize_mx, _shared_exponents

    made = {"version": np.array("7bc4195")}
    for name, element in BLOCKS.items():
        x = peer_inputs.of_block(name)
        given = torch.from_numpy(x)
        values = _quantize_mx(given.clone(), 8, ElemFormat.from_str(element), axes=[-1], block_size=32)
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
        made[f"microxcaling/{name}"] = values.numpy()
        made[f"microxcaling/{name}/shared"] = _shared_exponents(given, axes=[-1])[:, 0].numpy()
    for name, element in ELEMENTS.items():
        x = peer_inputs.of_element(name)
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
        made[f"microxcaling/{name}"] = _quantize_elemwise(torch.from_numpy(x), ElemFormat.from_str(element)).numpy()
    np.savez_compressed(HERE / "peer_microxcaling.npz", **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
