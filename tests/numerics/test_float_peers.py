"""Floats and integers against ml_dtypes, gfloat and the decode tables of peers."""

from __future__ import annotations

import csv
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from gfloat import Domain, RoundMode, Signedness, decode_float, round_float
from gfloat.formats import (
    format_info_ocp_e2m1,
    format_info_ocp_e2m3,
    format_info_ocp_e3m2,
    format_info_ocp_e4m3,
    format_info_ocp_e5m2,
    format_info_p3109,
)

from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.numerics.policy import Policy
from tests.contract import grids

TABLES = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "numerics"

PEERS = {
    "bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e4m3_ieee": ml_dtypes.float8_e4m3, "fp8_e4m3_fnuz": ml_dtypes.float8_e4m3fnuz,
    "fp8_e4m3_b11fnuz": ml_dtypes.float8_e4m3b11fnuz, "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp8_e5m2_fnuz": ml_dtypes.float8_e5m2fnuz, "fp8_e3m4": ml_dtypes.float8_e3m4, "ue8m0": ml_dtypes.float8_e8m0fnu,
    "fp6_e2m3": ml_dtypes.float6_e2m3fn, "fp6_e3m2": ml_dtypes.float6_e3m2fn, "fp4_e2m1": ml_dtypes.float4_e2m1fn,
}  # fmt: skip

NAN_PAYLOADS = {"bf16", "fp16"}  # there, NaN keeps bits of its payload; here it has one code of each sign


@pytest.mark.parametrize("double", [False, True], ids=["fp32", "fp64"])
@pytest.mark.parametrize("name", PEERS)
def test_the_ml_dtypes_preset_gives_the_codes_of_ml_dtypes(name, double):
    made = dataformat(name, "ml_dtypes")
    x = np.concatenate([grids.bulk(double), grids.deciding(name, double, 1 << 15)])
    if double and name != "fp16":
        with np.errstate(over="ignore", invalid="ignore"):  # ml_dtypes narrows float64 first, twice rounding
            x = x[(x.astype(np.float32).astype(np.float64) == x) | ~np.isfinite(x)]
    with np.errstate(over="ignore", invalid="ignore"):
        theirs = x.astype(PEERS[name]).view(np.uint8 if made.bits <= 8 else np.uint16)
    mine = made.encode(x)
    compared = ~np.isnan(x) if name in NAN_PAYLOADS else np.ones(x.size, dtype=bool)
    if name in ("fp6_e2m3", "fp6_e3m2", "fp4_e2m1"):  # NaN becomes a zero of the opposite sign; here always -0
        compared = ~(np.isnan(x) & np.signbit(x))
        assert not theirs[~compared].any()
    if name == "ue8m0":  # float32 subnormals above 2^-127 go up to 2^-126, however near they are to 2^-127
        compared = (x <= 2.0**-127) | (x >= 2.0**-126) | np.isnan(x)
        assert (theirs[~compared] == 1).all()
    wrong = np.flatnonzero((mine != theirs) & compared)
    assert wrong.size == 0, [(float(x[i]).hex(), int(mine[i]), int(theirs[i])) for i in wrong[:6]]


@pytest.mark.parametrize("name", PEERS)
def test_codes_mean_what_they_mean_to_ml_dtypes(name):
    made = dataformat(name)
    codes = np.arange(1 << made.bits).astype(np.uint8 if made.bits <= 8 else np.uint16)
    with np.errstate(invalid="ignore"):
        theirs = codes.view(PEERS[name]).astype(np.float32)
    mine = made.decode(codes)
    np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(np.signbit(mine)[mine == 0], np.signbit(theirs)[mine == 0])


@pytest.mark.parametrize(("name", "dtype"), [("int4", ml_dtypes.int4), ("int2", ml_dtypes.int2)])
def test_ml_dtypes_truncates_where_integers_round_here(name, dtype):
    """The preset is one of floats: to integers, ml_dtypes casts as C does, toward zero, and wraps beyond the range."""
    made = dataformat(name, "ml_dtypes")
    x = np.arange(8 * made.values[0], 8 * made.values[-1] + 1, dtype=np.float32) / 8
    np.testing.assert_array_equal(x.astype(dtype).astype(np.float32), np.trunc(x))
    np.testing.assert_array_equal(made.quantize(x), np.rint(x))


OCP = {
    "fp8_e4m3": format_info_ocp_e4m3, "fp8_e5m2": format_info_ocp_e5m2, "fp6_e2m3": format_info_ocp_e2m3,
    "fp6_e3m2": format_info_ocp_e3m2, "fp4_e2m1": format_info_ocp_e2m1,
}  # fmt: skip
MODES = {
    "nearest-even": RoundMode.TiesToEven, "nearest-away": RoundMode.TiesToAway, "toward-zero": RoundMode.TowardZero,
    "up": RoundMode.TowardPositive, "down": RoundMode.TowardNegative,
}  # fmt: skip


@pytest.mark.parametrize("rounding", MODES)
@pytest.mark.parametrize("name", OCP)
def test_every_rounding_is_that_of_gfloat(name, rounding):
    made = dataformat(name, Policy(rounding=rounding, overflow="saturate", infinity="saturate"))
    x = grids.deciding(name, True)
    x = x[~np.isnan(x)]
    mine = made.quantize(x)
    theirs = np.array([round_float(OCP[name], v, MODES[rounding], sat=True) for v in x.tolist()])
    if rounding == "nearest-away":  # gfloat 0.5.2 adds 1/2 in float64: one ulp below half the smallest value, it is up
        least = made.values[made.values > 0][0]
        lost = np.abs(x) == np.nextafter(least / 2, 0)
        assert set(np.abs(theirs[lost])) == {least}
        assert not mine[lost].any()
        mine, theirs = mine[~lost], theirs[~lost]
    np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("bits", "precision"), [(8, p) for p in range(1, 8)] + [(6, 3), (4, 2), (3, 1)])
@pytest.mark.parametrize("domain", ["e", "f"])
@pytest.mark.parametrize("sign", ["s", "u"])
def test_codes_of_p3109_mean_what_they_mean_to_gfloat(bits, precision, sign, domain):
    kinds = (
        Signedness.Signed if sign == "s" else Signedness.Unsigned,
        Domain.Extended if domain == "e" else Domain.Finite,
    )
    info = format_info_p3109(bits, precision, *kinds)
    made = dataformat(f"binary{bits}p{precision}{sign}{domain}")
    theirs = np.array([decode_float(info, code).fval for code in range(1 << bits)])
    np.testing.assert_array_equal(made.decode(np.arange(1 << bits), np.float64), theirs)


SHARED = {
    "float8_e4m3fn__ml_dtypes": "fp8_e4m3", "float8_e4m3__ml_dtypes": "fp8_e4m3_ieee", "ocp_e4m3__gfloat": "fp8_e4m3",
    "float8_e4m3fnuz__ml_dtypes": "fp8_e4m3_fnuz", "float8_e4m3b11fnuz__ml_dtypes": "fp8_e4m3_b11fnuz",
    "float8_e5m2__ml_dtypes": "fp8_e5m2", "float8_e5m2fnuz__ml_dtypes": "fp8_e5m2_fnuz", "ocp_e5m2__gfloat": "fp8_e5m2",
    "float8_e3m4__ml_dtypes": "fp8_e3m4", "float8_e8m0fnu__ml_dtypes": "ue8m0", "ocp_e8m0__gfloat": "ue8m0",
    "float6_e2m3fn__ml_dtypes": "fp6_e2m3", "ocp_e2m3__gfloat": "fp6_e2m3", "float6_e3m2fn__ml_dtypes": "fp6_e3m2",
    "ocp_e3m2__gfloat": "fp6_e3m2", "float4_e2m1fn__ml_dtypes": "fp4_e2m1", "ocp_e2m1__gfloat": "fp4_e2m1",
    "ocp_int8__gfloat": "int8_f6", "int4__ml_dtypes": "int4", "int2__ml_dtypes": "int2", "uint4__ml_dtypes": "uint4",
}  # fmt: skip


@pytest.mark.parametrize("table", SHARED)
def test_codes_mean_what_the_tables_of_peers_say(table):
    path = TABLES / f"{table}.csv"
    if not path.is_file():
        pytest.skip("the tables lie beside the checkout only where the project is built")
    rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
    made = dataformat(SHARED[table])
    assert len(rows) == 1 << made.bits
    codes = np.array([int(row[0]) for row in rows])
    theirs = np.array([float(row[1]) for row in rows])
    mine = made.decode(codes, np.float64)
    np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(np.signbit(mine)[mine == 0], np.signbit(theirs)[mine == 0])


@pytest.mark.parametrize(
    ("x", "saturated", "overflown"),
    [(58000, 57344, 57344), (61439, 57344, 57344), (61440, 57344, np.inf), (np.inf, 57344, np.inf)],
)
def test_overflow_of_e5m2_is_judged_after_rounding(x, saturated, overflown):
    assert dataformat("fp8_e5m2", "ocp-saturate").quantize(float(x)) == saturated
    assert dataformat("fp8_e5m2", "ocp-overflow").quantize(float(x)) == overflown


@pytest.mark.parametrize(("x", "saturated", "overflown"), [(464, 448, 448), (465, 448, np.nan), (np.inf, 448, np.nan)])
def test_overflow_of_e4m3_is_judged_after_rounding(x, saturated, overflown):
    assert dataformat("fp8_e4m3", "ocp-saturate").quantize(float(x)) == saturated
    np.testing.assert_equal(float(dataformat("fp8_e4m3", "ocp-overflow").quantize(float(x))), overflown)


def test_float64_is_not_rounded_twice():
    """1.31640625 + 2^-40 lies above a tie of E4M3 in the neighbourhood of which bfloat16 and float32 lose it."""
    x = 1.3125 + 2.0**-40  # the tie between 1.25 and 1.375
    assert dataformat("fp8_e4m3").quantize(x) == 1.375
    assert dataformat("fp8_e4m3").quantize(float(np.float32(x))) == 1.25


def test_integers_round_and_saturate():
    made = dataformat("int8")
    x = np.array([0.5, 1.5, -0.5, -1.5, 127.5, 1e9, -128.5, -129.5, np.inf, -np.inf, -0.0])
    assert made.quantize(x).tolist() == [0, 2, 0, -2, 127, 127, -128, -128, 127, -128, 0]
    assert not np.signbit(made.quantize(x)[-1])
    assert made.encode(np.array([-1.0, -128.0])).tolist() == [255, 128]
    assert dataformat("int8_symmetric").quantize(-1000.0) == -127
    with pytest.raises(RequestError, match=r"2 NaN, the first at \(1,\): int8 has no code for it"):
        made.encode(np.array([1.0, np.nan, np.nan]))
