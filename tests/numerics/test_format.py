"""What `dataformat` takes and gives: dtypes, shapes, memory, masks, errors."""

from __future__ import annotations

import pickle

import ml_dtypes
import numpy as np
import pytest

import accelsim
from accelsim.errors import DescriptionError, RequestError, UnknownNameError
from accelsim.numerics.policy import Policy, Stochastic
from accelsim.numerics.random import draws

X = np.linspace(-9, 9, 60, dtype=np.float32).reshape(3, 4, 5)


@pytest.fixture(params=["fp8_e4m3", "fp4_e2m1", "int8", "bf16", "nf4", "fp32", "tf32", "ue4m3"])
def made(request):
    return accelsim.dataformat(request.param)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_quantizing_keeps_the_dtype_and_does_not_touch_the_input(made, dtype):
    x = X.astype(dtype)
    before = x.copy()
    found = made.quantize(x)
    assert (found.dtype, found.shape) == (x.dtype, x.shape)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(found, made.decode(made.encode(x)).astype(dtype))


def test_bfloat16_is_known_by_name_and_gives_float32(made):
    x = X.astype(ml_dtypes.bfloat16)
    assert made.quantize(x).dtype == np.float32
    np.testing.assert_array_equal(made.encode(x), made.encode(x.astype(np.float32)))


def test_integers_are_taken_as_float64(made):
    assert made.quantize(np.arange(4)).dtype == np.float64
    with pytest.raises(RequestError, match=r"beyond 2\^53"):
        made.encode(np.array([2**53 + 1]))


@pytest.mark.parametrize(
    "form",
    [
        np.asfortranarray,
        lambda x: np.ascontiguousarray(x.T).T,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1][::-1],
        lambda x: x.astype(">f4"),
        lambda x: np.broadcast_to(x, x.shape),
    ],
)
def test_memory_order_and_byte_order_do_not_matter(made, form):
    x = form(X)
    np.testing.assert_array_equal(made.encode(x), made.encode(X))
    found = made.quantize(x)
    np.testing.assert_array_equal(found, made.quantize(X))
    assert found.dtype.isnative


def test_no_axes_and_no_elements(made):
    assert made.encode(1.0).shape == ()
    assert made.quantize(np.float32(1.0)).shape == ()
    assert made.quantize(np.empty((0, 3), dtype=np.float32)).shape == (0, 3)
    assert made.decode(made.encode(np.empty(0))).shape == (0,)


def test_masked_elements_stay_masked(made):
    x = np.ma.MaskedArray(X.copy(), mask=X < 0)
    x.data[x.mask] = np.nan
    for found in (made.quantize(x), made.encode(x), made.decode(made.encode(x))):
        assert isinstance(found, np.ma.MaskedArray)
        np.testing.assert_array_equal(found.mask, x.mask)
    np.testing.assert_array_equal(made.quantize(x).compressed(), made.quantize(X[X >= 0]))


def test_out_takes_the_result(made):
    codes = np.zeros(X.shape, dtype=made.encode(X).dtype)
    assert made.encode(X, out=codes) is codes
    np.testing.assert_array_equal(codes, made.encode(X))
    values = np.zeros(X.shape, dtype=np.float32)
    assert made.decode(codes, np.float32, out=values) is values
    np.testing.assert_array_equal(values, made.quantize(X))
    spread = np.zeros((6, 4, 5), dtype=np.float32)[::2]
    np.testing.assert_array_equal(made.quantize(X, out=spread), values)
    again = X.copy()
    assert made.quantize(again, out=again) is again
    np.testing.assert_array_equal(again, values)


def test_out_may_overlap_the_input(made):
    whole = np.linspace(-9, 9, 40_001, dtype=np.float32)
    expected = made.quantize(whole[:-1])
    np.testing.assert_array_equal(made.quantize(whole[:-1], out=whole[1:]), expected)


@pytest.mark.parametrize(
    "out", [np.zeros(3, np.float32), np.zeros(X.shape, np.float64), "no array", np.broadcast_to(X, X.shape)]
)
def test_an_out_that_does_not_fit_is_refused(out):
    with pytest.raises(RequestError, match="out "):
        accelsim.dataformat("fp8_e4m3").quantize(X, out=out)


@pytest.mark.parametrize(
    "x", [np.array([1, None]), np.array([1j]), np.array(["1"]), np.array([True]), np.array([1], np.longdouble)]
)
def test_arrays_of_other_things_are_refused(x):
    with pytest.raises(RequestError, match="cannot be encoded; allowed: float16"):
        accelsim.dataformat("fp8_e4m3").encode(x)


def test_codes_of_any_integer_dtype_and_none_beyond_the_code_space():
    made = accelsim.dataformat("fp6_e2m3")
    assert made.decode(np.array([63], dtype=np.int64)) == made.decode(np.array([63], dtype=np.uint8))
    for code in (64, -1):
        with pytest.raises(RequestError, match=rf"code {code} at \(1,\) is outside of 0 to 63"):
            made.decode(np.array([0, code]))
    with pytest.raises(RequestError, match="codes must be integers"):
        made.decode(np.array([0.5]))


def test_nan_is_an_error_where_it_has_no_code_and_the_input_stays():
    made = accelsim.dataformat("fp4_e2m1")
    x = X.copy()
    x[1, 2, 3] = np.nan
    before = x.copy()
    for call in (made.encode, made.quantize, lambda x: made.quantize(x, out=x)):
        with pytest.raises(RequestError, match=r"1 NaN, the first at \(1, 2, 3\): fp4_e2m1 has no code"):
            call(x)
    np.testing.assert_array_equal(x, before)
    assert accelsim.dataformat("fp4_e2m1", Policy(nan="max")).quantize(np.nan) == 6
    assert np.signbit(accelsim.dataformat("fp4_e2m1", Policy(nan="-0")).quantize(np.nan))


@pytest.mark.parametrize(
    ("name", "policy", "message"),
    [
        ("fp8_e4m3", Policy(overflow="infinity"), "fp8_e4m3 has no infinities; try 'saturate'"),
        ("int8", Policy(overflow="nan"), "int8 has no NaN"),
        ("int8", Policy(nan="-0"), "int8 has no negative zero"),
        ("fp8_e4m3_fnuz", Policy(nan="-0"), "no negative zero"),
        ("fp8_e4m3", 3, "expected a Policy or one of"),
    ],
)
def test_a_policy_that_the_format_cannot_express_is_refused(name, policy, message):
    with pytest.raises(RequestError, match=message):
        accelsim.dataformat(name, policy)


def test_impossible_policies_are_refused_when_they_are_built():
    with pytest.raises(RequestError, match=r"rounding='nearest'\).*did you mean 'nearest-"):
        Policy(rounding="nearest")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="1 to 32 random bits"):
        Stochastic(bits=0)
    with pytest.raises(UnknownNameError, match="no policy named 'ml_dtype'"):
        accelsim.dataformat("fp8_e4m3", "ml_dtype")


@pytest.mark.parametrize("name", ["e0m0", "e12m1", "int33", "posit33", "int4_g0", "fp7_e4m3", "fp8_e4m33"])
def test_impossible_formats_are_refused(name):
    with pytest.raises((UnknownNameError, DescriptionError)):
        accelsim.dataformat(name)


def test_parameters_change_the_description():
    assert accelsim.dataformat("fp8_e4m3", exponent_bias=11).quantize(1e9) == 448 / 16
    with pytest.raises(UnknownNameError, match="exponent_bais"):
        accelsim.dataformat("fp8_e4m3", exponent_bais=11)


@pytest.mark.parametrize(("call", "message"), [
    (lambda f: f.encode(X, axis=3), "axis = 3 does not exist"),
    (lambda f: f.encode(X, random=np.zeros(X.shape, int)), "random= is for stochastic rounding"),
    (lambda f: f.encode(X, tensor_scale=1.0), "unknown keyword 'tensor_scale'"),
    (lambda f: f.decode(f.encode(X), np.float16), "float32 or float64"),
])  # fmt: skip
def test_other_wrong_arguments_are_refused(call, message):
    with pytest.raises(RequestError, match=message):
        call(accelsim.dataformat("fp8_e4m3"))


def test_a_format_is_immutable_hashable_and_travels():
    made = accelsim.dataformat("fp8_e4m3", Policy(rounding="up"))
    with pytest.raises(AttributeError, match="immutable"):
        made.policy = Policy()
    copy = pickle.loads(pickle.dumps(made))
    assert (copy, hash(copy)) == (made, hash(made))
    assert copy != accelsim.dataformat("fp8_e4m3")
    assert copy.quantize(1.01) == 1.125


@pytest.mark.parametrize("name", ["fp8_e4m3", "bf16", "int8"])
def test_stochastic_rounding_depends_on_seed_and_place_only(name, monkeypatch):
    made = accelsim.dataformat(name, Policy(rounding=Stochastic(bits=16, seed=5)))
    x = np.linspace(-3, 3, 40_000, dtype=np.float32).reshape(200, 200)
    whole = made.quantize(x)
    np.testing.assert_array_equal(made.quantize(np.asfortranarray(x)), whole)
    np.testing.assert_array_equal(made.quantize(x.astype(np.float64)), whole)
    np.testing.assert_array_equal(made.quantize(x[:50]), whole[:50])
    given = draws(5, 0, x.size, 16).reshape(x.shape)
    for row in range(0, 200, 23):
        np.testing.assert_array_equal(made.quantize(x[row], random=given[row]), whole[row])
    monkeypatch.setenv("ACCELSIM_NUMBA", "0")
    np.testing.assert_array_equal(accelsim.dataformat(name, made.policy).quantize(x), whole)
    other = accelsim.dataformat(name, Policy(rounding=Stochastic(bits=16, seed=6))).quantize(x)
    assert 0.2 < np.mean(other != whole) < 0.8 or name == "bf16"
    exact = made.quantize(whole)
    np.testing.assert_array_equal(exact, whole)
    assert abs(float(np.mean(whole - x))) < 0.01


def test_bytes_of_memory():
    assert accelsim.dataformat("fp6_e2m3").storage_bytes((3, 5)) == 12
    assert accelsim.dataformat("tf32").storage_bytes(3) == 12
    tf32 = accelsim.dataformat("tf32")
    packed = tf32.pack(tf32.encode(np.array([1.5, -2.0])))
    assert np.frombuffer(packed, "<f4").tolist() == [1.5, -2.0]
    fp4 = accelsim.dataformat("fp4_e2m1")
    assert fp4.pack(np.array([1, 2, 3])) == b"\x21\x03"
