"""Make `peer_torchao.npz`: what torchao 0.18.0 (eager, CPU) gives for `peer_inputs`.

MX tensors in every scale rule, NVFP4 with and without a scale for the tensor, and the bare floats of 4 and 6 bits.
NVFP4's scale for the tensor is torchao's for the finite numbers among the inputs.

Usage, where torchao is installed: python tests/numerics/data/make_torchao.py
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torchao.prototype.mx_formats import constants, kernels
from torchao.prototype.mx_formats.config import ScaleCalculationMode
from torchao.prototype.mx_formats.mx_tensor import to_mx
from torchao.prototype.mx_formats.nvfp4_tensor import nvfp4_quantize, per_tensor_amax_to_scale

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.numerics import peer_inputs  # noqa: E402 - it lies in the checkout

ELEMENTS = {
    "mxfp4": torch.float4_e2m1fn_x2,
    "mxfp6_e2m3": constants.DTYPE_FP6_E2M3,
    "mxfp6_e3m2": constants.DTYPE_FP6_E3M2,
    "mxfp8_e4m3": torch.float8_e4m3fn,
    "mxfp8_e5m2": torch.float8_e5m2,
}
BARE = {
    "fp4_e2m1": kernels.f32_to_f4_unpacked,
    "fp6_e2m3": kernels.f32_to_f6_e2m3_unpacked,
    "fp6_e3m2": kernels.f32_to_f6_e3m2_unpacked,
}


def unpacked(codes: torch.Tensor) -> np.ndarray:
    """Two codes of each byte, the lower half first."""
    pairs = codes.view(torch.uint8).numpy()
    return np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(*pairs.shape[:-1], -1)


def main() -> None:
    made = {"version": np.array(version("torchao"))}
    for name, element in ELEMENTS.items():
        x = peer_inputs.of_block(name)
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
        for mode in ScaleCalculationMode:
            scales, codes = to_mx(torch.from_numpy(x), element, 32, mode)
            key = f"torchao/{name}/{mode.name.lower()}"
            made[f"{key}/scales"] = scales.view(torch.uint8).numpy()
            made[f"{key}/codes"] = unpacked(codes) if name == "mxfp4" else codes.view(torch.uint8).numpy()
    x = peer_inputs.of_block("nvfp4", 16)
    made["inputs/nvfp4"] = np.uint32(peer_inputs.checksum(x))
    given = torch.from_numpy(x)
    tensor_scale = per_tensor_amax_to_scale(given[torch.isfinite(given)].abs().max())
    smaller = per_tensor_amax_to_scale(torch.tensor(3.0))
    for key, scale in {"own": tensor_scale, "three": smaller, "none": None}.items():
        scales, codes = nvfp4_quantize(given, 16, scale)
        made[f"torchao/nvfp4/{key}/scales"] = scales.view(torch.uint8).numpy()
        made[f"torchao/nvfp4/{key}/codes"] = unpacked(codes)
        made[f"torchao/nvfp4/{key}/tensor_scale"] = np.float32(1.0 if scale is None else scale.item())
    for name, convert in BARE.items():
        x = peer_inputs.of_element(name)
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
        made[f"torchao/{name}"] = convert(torch.from_numpy(x)).numpy()
    np.savez_compressed(HERE / "peer_torchao.npz", **made)


if __name__ == "__main__":
    main()
