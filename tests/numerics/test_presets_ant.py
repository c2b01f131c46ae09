"""The presets of ANT and OliVe against levels that their quantisers took; every difference is listed with its cause."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.formats import dataformat
from tests.numerics import peer_data, peer_inputs, tables

FAR = 102400
"""No level that is farther away than this is taken: the result stays 0."""

# list of ANT: our format and its parameters
LISTS = {
    "int4s": ("int4", {}), "int4u": ("uint4", {}), "int8s": ("int8", {}), "int8u": ("uint8", {}),
    "flint3s": ("flint3", {}), "flint3u": ("flint3u", {}), "flint4s": ("flint4", {}), "flint4u": ("flint4u", {}),
    "flint8s": ("flint8", {}), "flint8u": ("flint8u", {}), "pot4s": ("pot4", {}), "pot4u": ("pot4", {"signed": False}),
    "float4s": ("e3m0", {}), "float4u": ("ue3m1", {"nan": "none"}),
}  # fmt: skip

# Steps of these are no powers of two: levels are rounded to fp32, so that what is a tie there is none here, or the
# other way round; so many inputs beside one go to the other neighbour.
UNEVEN = {"int4s": 6, "int4u": 5, "int8s": 84, "int8u": 62, "float4u": 1}


def levels(key):
    found = peer_data.of("ant")[f"{key}/levels"]
    return np.unique(found), peer_data.checked(peer_inputs.of_levels(found), "ant", key)


@pytest.mark.parametrize("name", LISTS)
def test_levels_are_those_of_ant_but_for_known_differences(name):
    unique, x = levels(f"ant/{name}")
    assert x.size >= 4096
    theirs = peer_data.of("ant")[f"ant/{name}"].astype(int)
    ours, parameters = LISTS[name]
    made = dataformat(ours, "ant", **parameters)
    np.testing.assert_allclose(made.values / made.values[-1] * 10, unique, rtol=1e-6)
    with np.errstate(invalid="ignore"):
        got = made.quantize(x.astype(np.float64) * (made.values[-1] / 10))  # to the side of every tie that x is on
        distance = np.abs(x[:, None].astype(np.float64) - unique[[0, -1]]).min(axis=1)
    assert not np.signbit(got[got == 0]).any()
    mine, zero = np.searchsorted(made.values, got), int(np.searchsorted(unique, 0))
    differ = np.flatnonzero(mine != theirs)
    clipped = (x < 0) & (unique[0] == 0)
    far = (distance > FAR) & (mine != zero)
    assert (theirs[far] == zero).all()
    rest = differ[~far[differ]]
    if name in ("flint8u", "pot4u"):  # in fp32, several levels are equally far, and the last of them wins
        assert rest.size == 33
        assert ((x[rest] <= -(2.0**13)) & clipped[rest] & (unique[theirs[rest]] < 2.0**-7)).all()
        return
    assert rest.size == UNEVEN.get(name, 0)
    ties = (unique[1:].astype(np.float64) + unique[:-1]) / 2
    nearest = ties[np.abs(ties - x[rest, None]).argmin(axis=1)] if rest.size else x[rest]
    assert (np.abs(x[rest] - nearest) <= 2 * np.spacing(np.abs(x[rest]))).all()
    assert (np.abs(mine - theirs)[rest] == 1).all()


@pytest.mark.parametrize("sign", ["s", "u"])
@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("kind", ["int", "float"])
def test_levels_are_those_of_the_tables_of_ant(kind, bits, sign):
    """Their largest is 1 there; floats have three exponent bits, or two if no more are left, and only finite values."""
    expected = sorted({tables.number(row[1]) for row in tables.rows(f"ant_{kind}_value_{bits}b_{sign}__ANT")})
    if kind == "int":
        made = dataformat(f"{'u' if sign == 'u' else ''}int{bits}")
    else:
        exponent = min(3, bits - (sign == "s"))
        mantissa = bits - (sign == "s") - exponent
        made = dataformat(
            f"{'u' if sign == 'u' else ''}e{exponent}m{mantissa}", nan="none", infinities=False, zero=True
        )
    assert made.values.size == len(expected)
    np.testing.assert_allclose(made.values / made.values[-1], expected, rtol=2.0**-22)  # fp32, scaled to 10 and back


PAIRS = {"int4": ("olive4", 4.0), "flint4": ("olive4_flint", 2.0), "int8": ("olive8", 0.25)}


def of_authors(name):
    """Our format with what the authors' code does where it is not what the paper says."""
    ours, scale = PAIRS[name]
    if name != "int8":
        return dataformat(ours, "olive", both="first"), scale
    outlier = dataformat("abfloat8", exponent_bits=2, mantissa_bits=5, exponent_bias=2).record
    record = dataformat(ours, both="first").record.model_copy(update={"outlier": outlier})
    return dataformat(record, "olive"), scale


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_those_of_olive(name):
    """Scale 1 there is the largest normal level; the first of two outliers survives, whichever is larger."""
    key = f"olive/{name}"
    found = peer_data.of("ant")[f"{key}/levels"]
    x = peer_data.checked(peer_inputs.of_pairs(found), "ant", key)
    made, scale = of_authors(name)
    np.testing.assert_array_equal(made.quantize(x, tensor_scale=scale), found[peer_data.of("ant")[key]])


@pytest.mark.parametrize("name", PAIRS)
def test_single_numbers_are_those_of_olive_but_for_what_is_far(name):
    key = f"olive/{name}"
    found = peer_data.of("ant")[f"{key}/levels"]
    x = peer_data.checked(peer_inputs.of_levels(found), "ant", f"{key}/single")
    theirs = found[peer_data.of("ant")[f"{key}/single"]]
    made, scale = of_authors(name)
    mine = made.quantize(np.stack([x, np.zeros_like(x)], axis=1), tensor_scale=scale)[:, 0]
    far = np.abs(x) > FAR + found[-1]
    np.testing.assert_array_equal(np.where(far, 0, mine), theirs)
    assert (np.abs(mine[far]) == found[-1]).all()


def test_the_larger_outlier_survives_as_in_the_paper():
    x = np.float32([100.0, 300.0, -300.0, 100.0])
    assert dataformat("olive4", "olive").quantize(x, tensor_scale=4.0).tolist() == [0, 256, -256, 0]
    assert of_authors("int4")[0].quantize(x, tensor_scale=4.0).tolist() == [96, 0, -256, 0]
