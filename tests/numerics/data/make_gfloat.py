"""Make `peer_gfloat.npz`: the codes that gfloat 0.5.2 gives for `peer_inputs`; -1 where it raises an error.

gfloat is the peer of four presets: `gfloat` (no saturation, which is what its functions do unless told otherwise),
`ocp-overflow` (the same, for the formats of OCP), `ocp-saturate` (its `sat=True`) and `p3109` (its `sat=True` for
finite numbers; IEEE P3109 calls the mode that keeps infinities SatPropagate, which gfloat has not, so that infinities
are converted without `sat`).

Usage, where gfloat is installed: python tests/numerics/data/make_gfloat.py
"""

from __future__ import annotations

import math
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gfloat import Domain, Signedness, encode_float, round_float
from gfloat.block import compute_scale_amax, encode_block
from gfloat.formats import (
    format_info_bfloat16,
    format_info_binary16,
    format_info_mxfp4_e2m1,
    format_info_mxfp6_e2m3,
    format_info_mxfp6_e3m2,
    format_info_mxfp8_e4m3,
    format_info_mxfp8_e5m2,
    format_info_mxint8,
    format_info_ocp_e2m1,
    format_info_ocp_e2m3,
    format_info_ocp_e3m2,
    format_info_ocp_e4m3,
    format_info_ocp_e5m2,
    format_info_ocp_e8m0,
    format_info_ocp_int8,
    format_info_p3109,
)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.numerics import peer_inputs  # noqa: E402 - it lies in the checkout

OCP = {
    "fp4_e2m1": format_info_ocp_e2m1,
    "fp6_e2m3": format_info_ocp_e2m3,
    "fp6_e3m2": format_info_ocp_e3m2,
    "fp8_e4m3": format_info_ocp_e4m3,
    "fp8_e5m2": format_info_ocp_e5m2,
    "ue8m0": format_info_ocp_e8m0,
    "int8_f6": format_info_ocp_int8,
}
OTHERS = {"bf16": format_info_bfloat16, "fp16": format_info_binary16}
BLOCKS = {
    "mxfp4": format_info_mxfp4_e2m1,
    "mxfp6_e2m3": format_info_mxfp6_e2m3,
    "mxfp6_e3m2": format_info_mxfp6_e3m2,
    "mxfp8_e4m3": format_info_mxfp8_e4m3,
    "mxfp8_e5m2": format_info_mxfp8_e5m2,
    "mxint8": format_info_mxint8,
}
P3109 = [(8, 1), (8, 3), (8, 4), (8, 5), (8, 7), (6, 3), (4, 2), (3, 1)]


def code(info: object, x: float, sat: bool) -> int:
    """The code of a number, or -1 where gfloat has none."""
    try:
        return encode_float(info, round_float(info, x, sat=sat))
    except (ValueError, OverflowError):
        return -1


def block(info: object, x: np.ndarray) -> list[int]:
    """The scale's code and the elements'."""
    try:
        scale = float(compute_scale_amax(info.etype.emax, x))
        return list(encode_block(info, scale, (x / scale).tolist()))
    except (ValueError, OverflowError):
        return [-1] * (x.size + 1)


def main() -> None:
    made = {"version": np.array(version("gfloat"))}
    for name, info in (OCP | OTHERS).items():
        x = peer_inputs.of_element(name)
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
        for preset in ("gfloat", "ocp-overflow", "ocp-saturate") if name in OCP else ("gfloat",):
            codes = [code(info, v, preset == "ocp-saturate") for v in x.tolist()]
            made[f"{preset}/{name}"] = np.array(codes, dtype=np.int32)
    for bits, precision in P3109:
        for sign, signedness in (("s", Signedness.Signed), ("u", Signedness.Unsigned)):
            x = peer_inputs.singles(peer_inputs.points(*peer_inputs.p3109(bits, precision, sign)))
            for domain, kind in (("e", Domain.Extended), ("f", Domain.Finite)):
                name, info = (
                    f"binary{bits}p{precision}{sign}{domain}",
                    format_info_p3109(bits, precision, signedness, kind),
                )
                codes = [code(info, v, sat=not math.isinf(v) or domain == "f") for v in x.tolist()]
                made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
                made[f"p3109/{name}"] = np.array(codes, dtype=np.int16)
    for name, info in BLOCKS.items():
        x = peer_inputs.of_block(name)
        made[f"inputs/{name}"] = np.uint32(peer_inputs.checksum(x))
        with np.errstate(all="ignore"):
            made[f"gfloat/{name}"] = np.array([block(info, row) for row in x.astype(np.float64)], dtype=np.int16)
    np.savez_compressed(HERE / "peer_gfloat.npz", **made)


if __name__ == "__main__":
    main()
