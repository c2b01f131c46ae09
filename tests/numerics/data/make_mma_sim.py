"""Make `mma_sim.npz`: what MMA-Sim computes for every tile of `tests/numerics/mma_tiles.py`.

MMA-Sim (github.com/microsoft/MMA-Sim at c785138, MIT licence; arXiv 2511.10909) models matrix instructions of GPUs
from experiments on the hardware. Each instruction is set to a single dot product (m = n = 1) and called once per tile.
The file holds result bits only, one uint32 per tile; results in fp16 fill the lower half.

Usage, where torch is installed: python tests/numerics/data/make_mma_sim.py CHECKOUT_OF_MMA_SIM
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def main(checkout: str) -> None:
    sys.path[:0] = [checkout, str(HERE.parents[2])]
    import torch
    from mmasim.simulator import amd, nv_ptx

    from tests.numerics.mma_tiles import CASES, FORMATS, tiles

    types = {
        "fp16": torch.float16,
        "bf16": torch.bfloat16,
        "fp32": torch.float32,
        "fp8_e4m3": torch.float8_e4m3fn,
        "fp8_e5m2": torch.float8_e5m2,
        "fp8_e4m3_fnuz": torch.float8_e4m3fnuz,
        "fp8_e5m2_fnuz": torch.float8_e5m2fnuz,
        "e8m0": torch.float8_e8m0fnu,
        "ue4m3": torch.float8_e4m3fn,
    }

    def tensor(codes: np.ndarray, name: str) -> torch.Tensor:
        if name == "fp4_e2m1":
            return torch.from_numpy((codes[:, 0::2] | codes[:, 1::2] << np.uint64(4)).astype(np.uint8))
        bits = FORMATS[name].bits if name in FORMATS else 8
        return torch.from_numpy(codes.astype(f"i{bits // 8}" if bits > 8 else "u1")).view(types[name])

    def instruction(case):
        if case.arch == "CDNA3":
            return amd.mfma(case.arch, case.qualifier)
        if case.arch == "Hopper":
            return nv_ptx.wgmma(case.arch, case.qualifier)
        if case.arch == "Blackwell":
            return (nv_ptx.tcgen05mma_block_scale if case.block else nv_ptx.tcgen05mma)(case.arch, case.qualifier)
        return nv_ptx.mma(case.arch, case.qualifier)

    made = {}
    for case in CASES:
        given, run = tiles(case), instruction(case)
        run.m = run.n = 1
        a, b, c = tensor(given.a, case.a), tensor(given.b, case.b), tensor(given.c[:, None], case.c)
        scales = [tensor(codes, case.scale) for codes in (given.scale_a, given.scale_b)] if case.block else []
        results = np.zeros(len(a), dtype=np.uint32)
        for i in range(len(a)):
            arguments = [a[i : i + 1], b[i : i + 1].T, c[i : i + 1]]
            if scales:
                arguments += [scales[0][i : i + 1], scales[1][i : i + 1].T]
            result = run(*arguments)
            results[i] = int(result.view(torch.uint16 if result.dtype == torch.float16 else torch.uint32).item())
        made[case.key] = results
        sys.stderr.write(f"{case.key}\n")
    np.savez_compressed(HERE / "mma_sim.npz", **made)


if __name__ == "__main__":
    main(sys.argv[1])
