"""Make `peer_softposit.npz`: what softposit 0.3.4.4 makes of `peer_inputs.of_posit`, and what its codes mean.

softposit has es = 2 for 2 to 32 bits, and the older layouts posit8 with es = 0 and posit16 with es = 1. There are no
wheels of it: it is built from source with a C compiler, which is why the tests read this file.

Usage, where softposit is installed: python tests/numerics/data/make_softposit.py
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import softposit

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.numerics import peer_inputs  # noqa: E402 - it lies in the checkout


def kind(bits: int, es: int) -> object:
    """A new posit."""
    if es == 2:
        return softposit.posit_2(x=bits)
    return softposit.posit8(0) if bits == 8 else softposit.posit16(0)


def read(code: int, bits: int, es: int) -> float:
    """What a code means."""
    made = kind(bits, es)
    made.fromBits(code << 32 - bits if es == 2 else code)
    return float(made)


def write(x: float, bits: int, es: int) -> int:
    """The code of a number."""
    if es == 2:
        return softposit.convertDoubleToPX2(x, bits).v >> 32 - bits
    return type(kind(bits, es))(x).v.v


def main() -> None:
    made = {"version": np.array(version("softposit"))}
    cases = [(f"posit{n}", n, 2) for n in range(2, 33)] + [("posit8_es0", 8, 0), ("posit16_es1", 16, 1)]
    for name, bits, es in cases:
        x = peer_inputs.of_posit(bits, es)
        codes = np.unique(np.linspace(0, (1 << bits) - 1, min(1 << bits, 600)).astype(np.int64))
        found = [write(v, bits, es) for v in x.tolist()]
        values = [read(c, bits, es) for c in codes.tolist()]
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
        made[name] = np.array(found).astype(np.uint32)
        made[f"{name}/values"] = np.array(values, dtype=np.float64)
    np.savez_compressed(HERE / "peer_softposit.npz", **made)


if __name__ == "__main__":
    main()
