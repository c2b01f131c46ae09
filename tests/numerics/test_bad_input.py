"""Whatever cannot be meant is refused in words that say what is allowed; nothing wraps silently."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import dataformat
from accelsim.errors import AccelsimError, DescriptionError, RequestError, UnknownNameError
from accelsim.numerics.policy import Policy, Stochastic

X = np.linspace(-9, 9, 60, dtype=np.float32).reshape(3, 4, 5)
BARE = ("fp8_e4m3", "bf16", "int8", "nf4", "posit16", "posit8", "lns8", "fp32")
OWNING = ("mxfp4", "int4_g128", "int8_tensor", "nvfp4", "nvfp4_4over6", "mx9", "gguf_q4_k", "gguf_q8_0", "olive4",
          "adaptivfloat8", "cfloat8_143", "ant4", "nf4_b64_dq", "uint4_g128_zp")  # fmt: skip


# names and parameters


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fp8_e4m4x", "nearest: fp8_e4m3"), ("mxfp5", "nearest: mxfp4"), ("mxfp4_foo", "nearest: mxfp4"),
        ("int4_g0", "no format named"), ("int4_g-1", "no format named"), ("int0", "no format named"),
        ("int8_f-1", "no format named"), ("fp7_e4m3", "no format named"), ("", "no format named ''"),
        ("missing.toml", "no file named"),
    ],
)  # fmt: skip
def test_unknown_names_come_with_their_neighbours(name, message):
    with pytest.raises(UnknownNameError, match=message):
        dataformat(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("e0m0", "exponent or a mantissa bit"), ("e12m1", "at most 11"), ("e8m24", "2 to 32"),
        ("e3m2_b999999", "exponent_bias = 999999 +must be at most"), ("int33", "bits = 33 +must be at most 32"),
        ("int8_f9999", "at most 64"), ("posit1", "at least 2"), ("posit33", "at most 32"),
        ("posit8_es9", "es = 9 +must be at most"), ("takum1", "at least 2"), ("flint1", "at least 2"),
        ("flint2", "3 to 8 bits"), ("flint9", "at most 8"), ("dybit1", "at least 2"), ("apot9", "at most 8"),
        ("binary8p9se", "8 bits hold at most 7"), ("binary8p0se", "at least 1"), ("binary1p1se", "at least 3"),
        ("int4_g128_g128", "carries scales of its own"), ("int4_channel_g8", "carries scales of its own"),
    ],
)  # fmt: skip
def test_impossible_sizes_in_names_say_what_is_possible(name, message):
    with pytest.raises(DescriptionError, match=message):
        dataformat(name)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("fp8_e4m3", {"exponent_bits": 0, "mantissa_bits": 0}, "exponent or a mantissa bit"),
        ("fp8_e4m3", {"mantissa_bits": -1}, "must not be negative"),
        ("fp8_e4m3", {"exponent_bits": 40}, "at most 11"),
        ("mxfp4", {"length": 0}, "at least 1"), ("mxfp4", {"length": 2.5}, "whole number"),
        ("mx9", {"length": 0}, "at least 1"), ("mxfp4", {"element": "nope"}, "no format named 'nope'"),
        ("mxfp4", {"element": "mxfp4"}, "scales of its own"), ("nvfp4", {"scale": "mxfp4"}, "scales of its own"),
        ("nvfp4", {"targets": []}, "at least 1"), ("nvfp4", {"targets": [0]}, "must be positive"),
        ("posit8", {"es": 9}, "at most"), ("posit8", {"es": -1}, "must not be negative"),
        ("posit8", {"bits": 1}, "at least 2"), ("posit8", {"regime_limit": 0}, "at least 1"),
        ("int8", {"bits": 0}, "at least 1"), ("int8", {"bits": "x"}, "whole number"),
        ("int4_g128", {"scale_rule": "percentile"}, "needs percentile"),
        ("int4_g128", {"scale_rule": "percentile", "percentile": 101}, "at most 100"),
        ("gguf_q4_0", {"layout": "q9"}, "must be one of q4_0"),
        ("adaptivfloat8", {"exponent_bits": 9}, "at most 8"), ("tf32", {"container_bits": 8}, "less than the 19 bits"),
    ],
)  # fmt: skip
def test_impossible_parameters_are_refused(name, parameters, message):
    with pytest.raises(DescriptionError, match=message):
        dataformat(name, **parameters)


@pytest.mark.parametrize("source", [None, 3, 1.5, ["fp8_e4m3"], b"fp8_e4m3"])
def test_what_is_no_name_is_no_format(source):
    with pytest.raises(RequestError, match="is no format: give a name"):
        dataformat(source)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "1 to 32"), ({"bits": 33}, "1 to 32"), ({"bits": 2.5}, "whole number"),
        ({"bits": "a"}, "whole number"), ({"bits": True}, "whole number"), ({"seed": -1}, "from 0 to"),
        ({"seed": 1 << 64}, "from 0 to"), ({"seed": 0.5}, "whole number"),
    ],
)  # fmt: skip
def test_random_bits_and_seeds_are_whole_numbers(arguments, message):
    with pytest.raises(RequestError, match=message):
        Stochastic(**arguments)


# arrays


@pytest.mark.parametrize("name", ["fp8_e4m3", "posit16", "mxfp4", "nvfp4", "gguf_q4_0"])
@pytest.mark.parametrize("call", ["encode", "quantize"])
@pytest.mark.parametrize(
    "x",
    [
        None, "1.5", b"1.5", {}, [1, None], [1 + 2j], ["1"], [True], np.array([2**70]), np.zeros(2, np.longdouble),
        np.zeros(2, "M8[D]"), np.zeros(2, [("a", "f4")]),
    ],
    ids=lambda x: getattr(x, "dtype", type(x).__name__),
)  # fmt: skip
def test_what_is_no_array_of_numbers_is_refused(name, call, x):
    with pytest.raises(RequestError, match="cannot be encoded; allowed: float16, bfloat16, float32, float64"):
        getattr(dataformat(name), call)(x)


@pytest.mark.parametrize("name", ["fp8_e4m3", "mxfp4"])
def test_ragged_lists_are_refused(name):
    with pytest.raises(RequestError, match="nested lists must all have one length"):
        dataformat(name).encode([[1.0, 2.0], [3.0]])


def test_ragged_codes_are_refused():
    with pytest.raises(RequestError, match="nested lists must all have one length"):
        dataformat("fp8_e4m3").decode([[1, 2], [3]])


@pytest.mark.parametrize("x", [[2**53 + 1], [-(2**53) - 1], np.array([2**64 - 1], np.uint64)])
@pytest.mark.parametrize("name", ["int8", "fp32", "mxint8"])
def test_integers_that_no_float_holds_are_refused(name, x):
    with pytest.raises(RequestError, match=r"integers beyond 2\^53"):
        dataformat(name).quantize(x)


def test_integers_within_range_saturate_and_do_not_wrap():
    assert dataformat("int8").encode([128, 300, 2**31, -129, -(2**40)]).tolist() == [127, 127, 127, 128, 128]
    assert dataformat("uint4").encode([-1, 16, 255, 256, 2**32]).tolist() == [0, 15, 15, 15, 15]
    assert dataformat("int4_g128", scale="fp32").encode([7e30, 7e38, -7e30]).codes.tolist() == [0, 7, 0]


@pytest.mark.parametrize("name", ["fp8_e4m3", *OWNING])
@pytest.mark.parametrize("axis", [3, -4, 1.0, None, (0, 1), True, "0"])
def test_an_axis_that_does_not_exist_is_refused(name, axis):
    made = dataformat(name)
    for call in (made.encode, made.quantize):
        with pytest.raises(RequestError, match="does not exist: the array has 3 axes"):
            call(X, axis=axis)
    with pytest.raises(RequestError, match="does not exist"):
        made.storage_bytes(X.shape, axis)


@pytest.mark.parametrize("shape", [-1, (3, -4), (3, 4.5), 4.5, "ab", None, [[1]]])
@pytest.mark.parametrize("name", ["fp8_e4m3", "mxfp4"])
def test_an_impossible_shape_is_refused(name, shape):
    made = dataformat(name)
    for call in (made.storage_bytes, lambda shape: made.unpack(b"", shape)):
        with pytest.raises(RequestError, match="whole number from 0 on, or a tuple"):
            call(shape)


# NaN


@pytest.mark.parametrize("call", ["encode", "quantize"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["int8", "fp4_e2m1", "nf4", "flint4", "int4_g128", "int8_tensor", "mx9", "gguf_q6_k",
                                  "olive4", "adaptivfloat8", "ant4"])  # fmt: skip
def test_nan_without_a_place_is_counted_and_located(name, dtype, call):
    made = dataformat(name)
    for axis in (-1, 0, 1):
        x = X.astype(dtype)
        x[1, 2, 3] = x[2, 0, 1] = np.nan
        before = x.copy()
        with pytest.raises(RequestError, match=rf"^2 NaN, the first at \(1, 2, 3\): {name} .*try policy=Policy\(nan="):
            getattr(made, call)(x, axis=axis)
        np.testing.assert_array_equal(x, before)
    with pytest.raises(RequestError, match=r"1 NaN, the first at \(\)"):
        getattr(made, call)(np.nan)


# codes and bytes


@pytest.mark.parametrize("name", ["fp6_e2m3", "int4", "posit12", "nf4", "uint3"])
def test_codes_outside_of_the_code_space_are_refused(name):
    made = dataformat(name)
    beyond = 1 << made.bits
    for code in (beyond, -1, 2**40, 2**64 - 1):
        dtype = np.uint64 if code > 2**63 else np.int64
        for call in (made.decode, made.pack):
            with pytest.raises(RequestError, match=f"outside of 0 to {beyond - 1}, the {made.bits}-bit codes"):
                call(np.array([0, code], dtype=dtype))


@pytest.mark.parametrize("codes", [[1.0], [True], ["1"], [None], [2**70]])
def test_codes_are_integers(codes):
    with pytest.raises(RequestError, match="codes must be integers"):
        dataformat("fp8_e4m3").decode(codes)


def test_digits_and_bytes_that_stand_for_nothing_are_refused():
    made = dataformat("ternary_packed")
    with pytest.raises(RequestError, match="code 3 at 1 is no digit: there are 3"):
        made.pack([0, 3])
    with pytest.raises(RequestError, match="byte 243 is no 5 digits: they make 0 to 242"):
        made.unpack(bytes([243]), 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dataformat("mxfp4").decode([1, 2]), "owns scales: give the Encoded"),
        (lambda: dataformat("mxfp4").pack([1, 2]), "owns scales: give the Encoded"),
        (lambda: dataformat("fp4_e2m1").decode(dataformat("mxfp4").encode(X)), "owns no scales"),
        (lambda: dataformat("fp4_e2m1").pack(dataformat("mxfp4").encode(X)), "owns no scales"),
        (lambda: dataformat("mxfp8_e4m3").decode(dataformat("mxfp4").encode(X)), "encoded as mxfp4, not as mxfp8_e4m3"),
        (lambda: dataformat("fp8_e4m3").decode([1], "junk"), "float32 or float64"),
        (lambda: dataformat("fp8_e4m3").decode([1], np.int8), "float32 or float64"),
        (lambda: dataformat("fp8_e4m3").unpack(b"ab", 3), "takes 3 bytes, got 2"),
        (lambda: dataformat("mxfp4").unpack(b"ab", (2, 32)), "takes 34 bytes, got 2"),
        (lambda: dataformat("fp8_e4m3").unpack("abc", 3), "must be bytes, not str"),
        (lambda: dataformat("fp8_e4m3").unpack(3, 3), "must be bytes, not int"),
        (lambda: dataformat("nvfp4").encode(X, tensor_scale=-1), "must be a positive fp32"),
        (lambda: dataformat("nvfp4").encode(X, tensor_scale=np.nan), "must be a positive fp32"),
        (lambda: dataformat("nvfp4").encode(X, tensor_scale="1"), "must be a number"),
        (lambda: dataformat("nvfp4").encode(X, bias=1), "unknown keyword 'bias'"),
        (lambda: dataformat("adaptivfloat8").encode(X, bias=1.5), "whole number"),
        (lambda: dataformat("adaptivfloat8").encode(X, bias=10**9), "whole number from"),
    ],
)  # fmt: skip
def test_other_wrong_arguments_are_refused(call, message):
    with pytest.raises(AccelsimError, match=message):
        call()


def test_random_integers_must_fit():
    made = dataformat("int8", Policy(rounding=Stochastic(3)))
    for random, message in ((np.full(X.shape, 8), "outside of 0 to 7"), (np.zeros(3, int), r"random has shape \(3,\)"),
                            (X, "must be integers"), (-np.ones(X.shape, int), "outside of 0 to 7")):  # fmt: skip
        with pytest.raises(RequestError, match=message):
            made.encode(X, random=random)


# any array that is one


def _same(found, wanted):
    for part in ("codes", "scales", "mask_or_indices"):
        np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part))
    assert found.tensor_scale == wanted.tensor_scale


@pytest.mark.parametrize("name", OWNING)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_memory_order_byte_order_and_protection_do_not_matter_to_scales(name, axis):
    made = dataformat(name)
    locked = X.copy()
    locked.flags.writeable = False
    wanted, values = made.encode(X, axis=axis), made.quantize(X, axis=axis)
    for x in (
        np.asfortranarray(X),
        np.repeat(X, 2, axis=1)[:, ::2],
        X[::-1][::-1],
        X.astype(">f4"),
        locked,
        X.tolist(),
    ):
        exact = np.asarray(x).astype(np.float32)
        np.testing.assert_array_equal(exact, X)
        _same(made.encode(x, axis=axis), wanted)
        np.testing.assert_array_equal(made.quantize(x, axis=axis).astype(np.float32), values)
    np.testing.assert_array_equal(locked, X)


@pytest.mark.parametrize("name", [*BARE, *OWNING])
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1,), (1, 1)])
def test_no_axes_no_elements_and_one_element(name, shape):
    made = dataformat(name)
    x = np.full(shape, 1.5, dtype=np.float32)
    encoded = made.encode(x)
    assert made.decode(encoded).shape == made.quantize(x).shape == shape
    np.testing.assert_array_equal(made.decode(encoded).astype(np.float32), made.quantize(x))
    packed = made.pack(encoded)
    assert len(packed) == made.storage_bytes(shape)
    np.testing.assert_array_equal(made.decode(made.unpack(packed, shape)), made.decode(encoded))
    np.testing.assert_array_equal(made.decode(made.unpack(bytearray(packed), shape)), made.decode(encoded))


@pytest.mark.parametrize("name", OWNING)
def test_masked_elements_are_zeros_to_scales_and_stay_masked(name):
    made = dataformat(name)
    x = np.ma.MaskedArray(X.copy(), mask=np.abs(X) > 6)
    x.data[x.mask] = np.nan
    found = made.quantize(x)
    assert isinstance(found, np.ma.MaskedArray)
    np.testing.assert_array_equal(found.mask, x.mask)
    np.testing.assert_array_equal(found.data, made.quantize(x.filled(0)))
    _same(made.encode(x), made.encode(x.filled(0)))
    assert np.isnan(x.data[x.mask]).all()


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", [*BARE, *OWNING])
def test_out_takes_results_over_and_beside_the_input(name, axis):
    made = dataformat(name)
    wanted, values = made.encode(X, axis=axis), made.quantize(X, axis=axis)
    plain = getattr(wanted, "codes", wanted)
    codes = np.full(X.shape, 1, dtype=plain.dtype)
    given = made.encode(X, axis=axis, out=codes)
    assert given is codes or np.shares_memory(given.codes, codes)
    np.testing.assert_array_equal(codes, plain)
    decoded = made.decode(wanted)
    target = np.full(X.shape, np.nan, dtype=decoded.dtype)
    assert made.decode(wanted, out=target) is target
    np.testing.assert_array_equal(target, decoded)
    swapped = np.full(X.shape, np.nan, dtype=decoded.dtype.newbyteorder())
    np.testing.assert_array_equal(made.decode(wanted, out=swapped), decoded)
    itself = X.copy()
    assert made.quantize(itself, axis=axis, out=itself) is itself
    np.testing.assert_array_equal(itself, values)
    twice = np.concatenate([X, X])
    made.quantize(twice[1:4], axis=axis, out=twice[2:5])
    np.testing.assert_array_equal(twice[2:5], made.quantize(np.concatenate([X, X])[1:4], axis=axis))
    spread = np.zeros((6, 4, 5), dtype=np.float32)[::2]
    np.testing.assert_array_equal(made.quantize(X, axis=axis, out=spread), values)


@pytest.mark.parametrize("name", ["fp8_e4m3", "posit16", "mxfp4", "nvfp4", "adaptivfloat8"])
def test_an_out_that_does_not_fit_is_refused_and_not_touched(name):
    made = dataformat(name)
    encoded = made.encode(X)
    code, value = getattr(encoded, "codes", encoded).dtype, made.decode(encoded).dtype
    for call, dtype in ((made.encode, code), (made.quantize, np.dtype(np.float32)), (made.decode, value)):
        x = encoded if call == made.decode else X
        for out in (np.zeros(3, dtype), np.zeros(X.shape, np.int16), np.zeros(X.shape[::-1], dtype), [0], X.tolist()):
            with pytest.raises(RequestError, match=rf"out must be a {dtype} array of shape \(3, 4, 5\)"):
                call(x, out=out)
        locked = np.zeros(X.shape, dtype)
        locked.flags.writeable = False
        with pytest.raises(RequestError, match="out is read-only"):
            call(x, out=locked)
        assert not locked.any()
