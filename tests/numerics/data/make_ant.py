"""Make `peer_ant.npz`: the levels that ANT and OliVe take for numbers around every one of theirs.

Both are in github.com/clevercool/ANT-Quantization at bc84067. Their CUDA operation (a scan of the list of levels in
binary32, the last of the nearest within 102400 wins) is replaced by the same scan in numpy; all else is their Python.
ANT: `QuantBase.forward` with the lists that its quantisers make, whose largest level is 10. OliVe: `_forward` of its
quantiser for pairs, at alpha = the largest normal level so that its scale is 1; what it returns is taken to the nearest
level, because (q - x) + x, its last step, rounds.

The file holds, for each list, its levels and the number of the level, in ascending order, that each input went to.

Usage, where torch is installed: python tests/numerics/data/make_ant.py CHECKOUT_OF_ANT_QUANTIZATION
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.numerics import peer_inputs  # noqa: E402 - it lies in the checkout

ARGS = SimpleNamespace(w_up=150, a_up=150, w_low=75, a_low=75, percent=100, search=False, no_outlier=False)
LISTS = [("int", 4), ("int", 8), ("flint", 3), ("flint", 4), ("flint", 8), ("pot", 4), ("float", 4)]
PAIRS = [("int", 4), ("flint", 4), ("int", 8)]


def scan(x: torch.Tensor, levels: torch.Tensor) -> tuple[torch.Tensor, None]:
    """What `quant_forward_cuda_kernel` does, one level after the other."""
    values, nearest = x.numpy(), np.full(x.shape, 102400, dtype=np.float32)
    made = np.zeros(x.shape, dtype=np.float32)
    for level in levels.numpy().astype(np.float32):
        with np.errstate(all="ignore"):
            distance = np.abs(values - level)
            better = distance <= nearest
        nearest, made = np.where(better, distance, nearest), np.where(better, level, made)
    return torch.from_numpy(made), None


def load(folder: Path) -> ModuleType:
    """The module with the quantisers of one of the two."""
    sys.modules["quant_cuda"] = stub = ModuleType("quant_cuda")
    stub.quant = scan
    sys.modules["quant_affine"] = ModuleType("quant_affine")  # imported, and not used by what is run here
    spec = spec_from_file_location(folder.parent.name, folder / "quant_modules.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def number(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Which level a value is, or is nearest to."""
    return np.abs(values[:, None].astype(np.float64) - levels).argmin(axis=1).astype(np.int16)


def main(checkout: str) -> None:
    root, made = Path(checkout), {"version": np.array("bc84067")}
    ant = load(root / "ant_quantization" / "antquant")
    for kind, bits in LISTS:
        for signed in (True, False):
            quantiser = ant.Quantizer(mode=kind, bit=bits, is_signed=signed, args=ARGS)
            levels = getattr(quantiser, f"{kind}_value")()
            x = peer_inputs.of_levels(levels.numpy())
            values = ant.QuantBase.forward(torch.from_numpy(x), levels).numpy()
            key, unique = f"ant/{kind}{bits}{'s' if signed else 'u'}", np.unique(levels.numpy())
            assert np.isin(values, unique).all()
            assert not np.signbit(values[values == 0]).any()
            made |= {f"{key}/levels": levels.numpy(), key: number(values, unique)}
            made[f"inputs/{key}"] = np.uint32(peer_inputs.checksum(x))
    olive = load(root / "olive_quantization" / "antquant")
    for kind, bits in PAIRS:
        quantiser = olive.Quantizer(mode=kind, bit=bits, is_signed=True, args=ARGS)
        quantiser.quant_grid.data = getattr(quantiser, f"{kind}_value")()
        quantiser.outliers.data = quantiser.outlier_value()
        quantiser.is_perchannel = False
        quantiser.alpha.data = torch.max(quantiser.quant_grid)
        levels = np.unique(np.concatenate([quantiser.quant_grid.numpy(), quantiser.outliers.numpy()]))
        x = peer_inputs.of_pairs(levels)
        values = quantiser._forward(torch.from_numpy(x)).numpy()
        key = f"olive/{kind}{bits}"
        made |= {f"{key}/levels": levels, key: number(values, levels)}
        made[f"inputs/{key}"] = np.uint32(peer_inputs.checksum(x))
        x, both = peer_inputs.of_levels(levels), torch.cat((quantiser.quant_grid, quantiser.outliers))
        made[f"{key}/single"] = number(olive.QuantBase.forward(torch.from_numpy(x), both).numpy(), levels)
        made[f"inputs/{key}/single"] = np.uint32(peer_inputs.checksum(x))
    np.savez_compressed(HERE / "peer_ant.npz", **made)


if __name__ == "__main__":
    main(*sys.argv[1:])
