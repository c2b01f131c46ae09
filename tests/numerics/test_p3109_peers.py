"""Every format of IEEE P3109 with 3 to 8 bits, and some wider ones, against gfloat: what codes mean, and rounding."""

from __future__ import annotations

import numpy as np
import pytest
from gfloat import Domain, RoundMode, Signedness, decode_ndarray, round_ndarray
from gfloat.formats import format_info_p3109

from accelsim.formats import dataformat
from accelsim.numerics.policy import Policy
from tests.numerics import peer_inputs

SIZES = [(bits, p) for bits in range(3, 9) for p in range(1, bits + 1)]
WIDE = [(9, 4), (10, 10), (11, 1), (12, 5), (14, 13), (15, 6), (16, 8), (16, 11)]
ROUNDINGS = {
    "nearest-even": RoundMode.TiesToEven, "nearest-away": RoundMode.TiesToAway, "toward-zero": RoundMode.TowardZero,
    "up": RoundMode.TowardPositive, "down": RoundMode.TowardNegative,
}  # fmt: skip
KINDS = [(sign, domain) for sign in "su" for domain in "ef"]


def info(bits, precision, sign, domain):
    return format_info_p3109(
        bits,
        precision,
        Signedness.Signed if sign == "s" else Signedness.Unsigned,
        Domain.Extended if domain == "e" else Domain.Finite,
    )


@pytest.mark.parametrize(("bits", "precision"), SIZES + WIDE)
def test_codes_mean_what_they_mean_to_gfloat(bits, precision):
    for sign, domain in KINDS:
        if precision == bits and sign == "s":
            continue  # no exponent is left
        made = dataformat(f"binary{bits}p{precision}{sign}{domain}")
        codes = np.arange(1 << bits)
        theirs = decode_ndarray(info(bits, precision, sign, domain), codes)
        np.testing.assert_array_equal(made.decode(codes, np.float64), theirs)


@pytest.mark.parametrize(("bits", "precision"), SIZES + WIDE)
def test_numbers_round_as_they_do_to_gfloat(bits, precision):
    """Saturating, on every value and boundary with the float64s beside them; gfloat's ties away add 1/2 in float64."""
    for sign, domain in KINDS:
        if precision == bits and sign == "s":
            continue
        fields = peer_inputs.p3109(bits, precision, sign)
        near = peer_inputs.points(*fields)
        near = near[np.isfinite(near)]
        with np.errstate(over="ignore"):
            x = np.concatenate([near, np.nextafter(near, 0), np.nextafter(near, np.inf), [1e300, 1e-300]])
        x = np.concatenate([x, -x]) if sign == "s" else x
        name, theirs_of = f"binary{bits}p{precision}{sign}{domain}", info(bits, precision, sign, domain)
        for rounding, mode in ROUNDINGS.items():
            mine = dataformat(name, Policy(rounding=rounding, overflow="saturate")).quantize(x)
            with np.errstate(all="ignore"):
                theirs = round_ndarray(theirs_of, x, mode, sat=True)
            kept = np.isfinite(x)
            if rounding == "nearest-away":
                kept &= np.abs(x) != np.nextafter(near[near > 0][0], 0)
            np.testing.assert_array_equal(mine[kept], theirs[kept], err_msg=f"{name} {rounding}")
