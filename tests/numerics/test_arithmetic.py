"""Accumulators: the array path against the reference, on random and adversarial products; what the contract says."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import RequestError, UnknownNameError
from accelsim.numerics.accumulator import FP16, Exact, Fixed, Fused, Rounded, Width, accumulator
from accelsim.numerics.arithmetic import Operand, matmul, slow
from accelsim.numerics.arithmetic import compute as computing
from accelsim.numerics.arithmetic.compute import compute
from accelsim.numerics.arithmetic.problem import Problem
from accelsim.numerics.format import DataFormat
from accelsim.numerics.reference.arithmetic import Exponents, Segment, dot, nearest_odd, round_width
from accelsim.spec.format.names import from_name

ACCUMULATORS = {
    **{
        name: accumulator(name)
        for name in (
            "exact", "fp32", "fp32-fma", "fp16", "fp16-fma", "bf16", "bf16-fma", "e5m12", "e8m13-truncate",
            "e5m7-truncate", "fp32-tree", "fp16-tree16", "bf16-tree3", "fp32-lanes16", "fp16-lanes5", "hopper-fp8",
            "hopper-fp8-promote128", "hopper-bf16", "volta-fp16-half", "cdna3", "cdna3-fp8", "groq-fp16",
        )
    },
    "fixed down": Fixed(integer_bits=6, fraction_bits=6, rounding="down"),
    "fixed saturating": Fixed(integer_bits=5, fraction_bits=6, rounding="nearest-even", overflow="saturate"),
    "fixed toward zero": Fixed(integer_bits=30, fraction_bits=20, rounding="toward-zero"),
    "fixed wide": Fixed(integer_bits=200, fraction_bits=200),
}  # fmt: skip


def form(name: str) -> DataFormat:
    return DataFormat(from_name(name))


def random_problem(random: np.random.Generator, bits: int, spread: int, number: int) -> Problem:
    m, n, k = 2, 3, int(random.integers(0, 45))

    def matrix(rows: int, columns: int) -> np.ndarray:
        x = random.integers(-(1 << bits), 1 << bits, (rows, columns)) * 2.0**-bits
        x *= 2.0 ** random.integers(-spread, spread + 1, (rows, columns))
        x[random.random(x.shape) < 0.1] = 0
        if number % 10 == 9:
            x[random.random(x.shape) < 0.03] = [np.inf, -np.inf, np.nan][int(random.integers(3))]
        return x

    a, b, c = matrix(m, k), matrix(k, n), matrix(m, n)
    half = k // 2
    if number % 4 == 1:
        a[:, half : 2 * half], b[half : 2 * half] = a[:, :half], -b[:half]
    return Problem(a, b, c if number % 2 else None, limits=Exponents(-6, -14))


def blocks(problem: Problem, random: np.random.Generator, length: int, factor: float) -> Problem:
    m, n, k = problem.shape
    bounds = sorted({0, k, *range(0, k, length)})
    scale_a = factor * 2.0 ** random.integers(-8, 9, (m, len(bounds) - 1))
    scale_b = 2.0 ** random.integers(-8, 9, (len(bounds) - 1, n))
    return Problem(problem.a, problem.b, problem.c, scale_a, scale_b, tuple(bounds), problem.limits)


def refuse(*_: object) -> None:
    raise AssertionError("the array path left this to the reference")


@pytest.fixture(params=["numba", "numpy"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ACCELSIM_NUMBA", "1" if request.param == "numba" else "0")
    return str(request.param)


@pytest.mark.parametrize("how", ACCUMULATORS.values(), ids=ACCUMULATORS)
def test_arrays_equal_the_reference(how: object, path: str) -> None:
    random = np.random.default_rng(5)
    for number in range(40):
        problem = random_problem(random, [4, 8, 11, 24][number % 4], [2, 12, 40][number % 3], number)
        assert np.array_equal(compute(problem, how), slow.everywhere(problem, how), equal_nan=True), number


@pytest.mark.parametrize("how", ACCUMULATORS.values(), ids=ACCUMULATORS)
def test_usual_products_are_not_left_to_the_reference(how: object, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing.slow, "everywhere", refuse)
    random = np.random.default_rng(6)
    for number in range(8):
        compute(random_problem(random, 4, 2, number), how)


@pytest.mark.parametrize("factor", [1.0, 1.625])
@pytest.mark.parametrize("how", [*list(ACCUMULATORS)[:15], "fixed wide", "fixed down"])
def test_segments_equal_the_reference(how: str, factor: float, path: str) -> None:
    random = np.random.default_rng(7)
    for number in range(12):
        problem = blocks(random_problem(random, 4, 2, number), random, 16, factor)
        want = slow.everywhere(problem, ACCUMULATORS[how])
        assert np.array_equal(compute(problem, ACCUMULATORS[how]), want, equal_nan=True), number


finite = st.integers(-(2**24) + 1, 2**24 - 1).flatmap(
    lambda n: st.integers(-150, 80).map(lambda e: float(Fraction(n) * Fraction(2) ** e))
)


@given(st.lists(st.tuples(finite, finite), max_size=12), st.sampled_from(sorted(ACCUMULATORS)))
def test_any_float32_products_equal_the_reference(pairs: list[tuple[float, float]], name: str) -> None:
    a, b = (np.array([pair[i] for pair in pairs]) for i in range(2))
    problem = Problem(a[None], b[:, None])
    try:
        want = slow.everywhere(problem, ACCUMULATORS[name])
    except RequestError:
        with pytest.raises(RequestError):
            compute(problem, ACCUMULATORS[name])
    else:
        assert np.array_equal(compute(problem, ACCUMULATORS[name]), want, equal_nan=True)


def test_exact_does_not_depend_on_order_and_sequential_fp32_does() -> None:
    random = np.random.default_rng(8)
    a = random.standard_normal((4, 300)) * 2.0 ** random.integers(-20, 20, 300)
    b = random.standard_normal((300, 5))
    f, order = form("fp32"), random.permutation(300)
    for name, same in (("exact", True), ("fp32", False)):
        first = f.matmul(a, b, accumulator=name).values
        again = f.matmul(a[:, order], b[order], accumulator=name).values
        assert np.array_equal(first, again) is same


def test_exact_survives_what_float64_does_not() -> None:
    a = np.array([[2.0**100, 1.0, -(2.0**100)]])
    assert form("fp32").matmul(a, np.ones((3, 1))).values == 1
    tie = np.array([[1.0, 2.0**-24, 2.0**-100]])  # just above half an ulp
    assert form("fp32").matmul(tie, np.ones((3, 1))).values == np.float32(1 + 2.0**-23)


def test_volta_cuts_what_is_far_below_the_largest_product() -> None:
    a = [[2.0**15, -(2.0**15), 32.0]]
    made = form("fp16").matmul(a, [[2.0**15], [2.0**15], [1.0]], accumulator="volta-fp16-half", out="fp16")
    assert made.values == 0  # in order, fp32 gives 32


def test_fp32_in_sequence_is_not_what_a_blocked_blas_gives() -> None:
    random = np.random.default_rng(9)
    a, b = (random.standard_normal(shape).astype(np.float32) for shape in ((8, 2000), (2000, 8)))
    want = np.zeros((8, 8), dtype=np.float32)
    for k in range(2000):
        want = want + a[:, k, None] * b[None, k]
    assert np.array_equal(form("fp32").matmul(a, b, accumulator="fp32").values, want)
    assert not np.array_equal(a @ b, want)


@pytest.mark.parametrize(("name", "fmt"), [("quire8", "posit8"), ("quire16", "posit16"), ("quire8-es0", "posit8_es0")])
def test_the_quire_is_exact(name: str, fmt: str) -> None:
    f = form(fmt)
    random = np.random.default_rng(10)
    values = f.values
    a, b = (random.choice(values, shape) for shape in ((3, 200), (200, 4)))
    b[100:], a[:, 100:] = -b[:100], a[:, :100]
    a[:, 150:] *= 2.0 if abs(values[-1]) < 1 else 1.0
    exact = f.matmul(a, b, out=f).values
    assert np.array_equal(f.matmul(a, b, accumulator=name, out=f).values, exact)
    with pytest.raises(RequestError, match="no multiple"):
        form("fp32").matmul([[2.0**-120]], [[2.0**-120]], accumulator=name)


def test_the_quire_of_posit8_has_128_bits() -> None:
    quire = accumulator("quire8")
    assert isinstance(quire, Fixed)
    assert 1 + quire.integer_bits + quire.fraction_bits == 128
    assert quire.fraction_bits == 48


def test_sums_of_posits_equal_softposit() -> None:
    softposit = pytest.importorskip("softposit")
    f = form("posit8_es0")
    random = np.random.default_rng(11)
    for _ in range(20):
        a, b = (random.choice(f.values, 12) for _ in range(2))
        quire = softposit.quire8()
        for x, y in zip(a, b, strict=True):
            quire.qma(softposit.posit8(float(x)), softposit.posit8(float(y)))
        assert f.dot(a, b, accumulator="quire8-es0", out=f).values == float(quire.toPosit())


# what the contract says


def test_no_terms_give_c_or_zero() -> None:
    f = form("fp8_e4m3")
    for name in ("exact", "fp16", "fp32-tree", "fp32-lanes4", "hopper-fp8", "cdna3", "quire8"):
        assert np.array_equal(f.matmul(np.ones((2, 0)), np.ones((0, 3)), accumulator=name).values, np.zeros((2, 3)))
        made = f.matmul(np.ones((2, 0)), np.ones((0, 3)), accumulator=name, c=[1.0, 2, 3])
        assert np.array_equal(made.values, [[1, 2, 3]] * 2)


def test_no_rows_and_no_columns() -> None:
    assert form("bf16").matmul(np.ones((0, 4)), np.ones((4, 3))).values.shape == (0, 3)
    assert form("bf16").matmul(np.ones((5, 0, 4)), np.ones((4, 0)), accumulator="fp32").values.shape == (5, 0, 0)


@pytest.mark.parametrize("name", ["exact", "fp32", "fp16", "fp32-tree", "bf16-lanes2", "hopper-bf16", "cdna3", "int32"])
def test_infinities_and_nan_follow_ieee(name: str) -> None:
    f = form("fp32")
    inf, nan = np.inf, np.nan
    rows = [([inf, 1.0], inf), ([-inf, 1.0], -inf), ([inf, -inf], nan), ([nan, 1.0], nan), ([1.0, 2.0], 3.0)]
    for row, want in rows:
        assert np.array_equal(f.matmul([row], np.ones((2, 1)), accumulator=name).values, [[want]], equal_nan=True)
    assert np.isnan(f.matmul([[inf, 1.0]], [[0.0], [1.0]], accumulator=name).values)
    assert f.matmul([[1.0]], [[1.0]], accumulator=name, c=[[-inf]]).values == -inf


def test_overflow_before_the_opposite_infinity_is_decided_by_order() -> None:
    a = np.array([[60000.0, 60000.0, -np.inf]])
    f = form("fp32")
    assert np.isnan(f.matmul(a, np.ones((3, 1)), accumulator="fp16").values)
    assert f.matmul(a[:, ::-1], np.ones((3, 1)), accumulator="fp16").values == -np.inf
    assert f.matmul(a, np.ones((3, 1)), accumulator="exact").values == -np.inf


def test_a_zero_is_positive() -> None:
    for name in ("exact", "fp16", "e8m13-truncate", "hopper-fp8", "cdna3"):
        made = form("fp32").matmul([[-0.0, -1.0]], [[1.0], [0.0]], accumulator=name).values
        assert made == 0
        assert not np.signbit(made)


def test_batches_broadcast() -> None:
    random = np.random.default_rng(12)
    f = form("fp8_e4m3")
    a, b = random.standard_normal((3, 1, 4, 20)), random.standard_normal((2, 20, 5))
    whole = f.matmul(a, b, accumulator="fp16").values
    assert whole.shape == (3, 2, 4, 5)
    assert np.array_equal(whole[1, 0], f.matmul(a[1, 0], b[0], accumulator="fp16").values)


def test_segments_end_at_the_boundaries_of_either_operand() -> None:
    a, b = np.ones((1, 12)), np.ones((12, 1))
    left = Operand(a, np.array([[1.0, 2.0, 4.0]]), 4)
    right = Operand(b, np.array([[1.0], [3.0]]), 6)
    # segments of 4, 2, 2, 4
    assert matmul(left, right).values == 4 * 1 + 2 * 2 + 2 * 2 * 3 + 4 * 4 * 3
    wide = Operand(np.array([[1.0, 1024.0, 1.0, -1024.0]]), np.array([[1.0, 1.0]]), 2)
    coarse, ones = Rounded(type=Width(5, 3)), Operand(np.ones((4, 1)))
    assert matmul(wide, ones, accumulator=coarse).values == 1  # 1025 -> 1024, then -1023
    assert matmul(Operand(wide.values), ones, accumulator=coarse).values == 0  # 1 is lost in 1024 twice
    tail = Operand(np.ones((1, 5)), np.array([[1.0, 3.0]]), 4)
    assert matmul(tail, Operand(np.ones((5, 1)))).values == 4 + 3


def test_a_segment_enters_exactly() -> None:
    row = Operand(np.array([[3.0, 1.0, 1.0, 1.0]]), np.array([[1.0]]), 4)
    plain = Operand(np.array([[3.0, 1.0, 1.0, 1.0]]))
    ones, coarse = Operand(np.ones((4, 1))), Rounded(type=Width(5, 1), rounding="toward-zero")
    assert matmul(row, ones, accumulator=coarse).values == 6
    assert matmul(plain, ones, accumulator=coarse).values == 4  # 3, 4, then 5 -> 4 and again
    assert matmul(row, ones, accumulator=coarse, c=[[4.0]]).values == 8  # 10 -> 8
    assert matmul(plain, ones, accumulator=coarse, c=[[4.0]]).values == 6  # 7 -> 6, and again


def test_tensor_scales_multiply_once_at_the_end_in_fp32() -> None:
    third = np.float32(1) / np.float32(3)
    left = Operand(np.array([[3.0, 4.0]]), end=np.asarray(third, dtype=np.float64))
    right = Operand(np.array([[1.0], [1.0]]), end=np.asarray(np.float64(np.float32(0.1))))
    want = np.float32(7) * np.float32(third * np.float32(0.1))
    assert matmul(left, right).values == want
    assert matmul(left, right, c=[[1.0]]).values == np.float32(want + np.float32(1))


def test_results_are_rounded_once() -> None:
    f, tie = form("fp32"), [[1.0, 2.0**-4, 2.0**-40]]  # just above the middle of two E4M3 values, the lower one even
    assert f.matmul(tie, np.ones((3, 1)), out="fp8_e4m3").values == 1.125
    assert f.matmul(tie, np.ones((3, 1)), out=form("bf16")).values == 1.0625
    assert f.matmul([[448.0]], [[2.0]], out="fp8_e4m3").values == 448


def test_dot_takes_vectors() -> None:
    f = form("fp8_e4m3")
    assert f.dot([1, 2, 3], [4, 5, 6]).values == 32
    assert np.array_equal(f.dot(np.ones((2, 8)), np.ones(8), c=[1.0, 2.0]).values, [9, 10])


def test_every_pair_of_fp8_codes_adds_and_multiplies_as_fractions_do() -> None:
    f = form("fp8_e4m3")
    values = f.values
    x, y = np.meshgrid(values[::3], values[::2])
    for made, exact in ((f.add(x, y), lambda p, q: p + q), (f.mul(x, y), lambda p, q: p * q)):
        wanted = [nearest_odd(exact(Fraction(p), Fraction(q))) for p, q in zip(x.ravel(), y.ravel(), strict=True)]
        assert np.array_equal(made.ravel(), f.quantize(np.array(wanted)))


def test_add_equals_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    f = DataFormat(from_name("fp8_e4m3"), "ml_dtypes")
    codes = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn)
    x, y = np.meshgrid(codes, codes)
    for made, peer in ((f.add(x.astype(np.float32), y.astype(np.float32)), x + y),
                       (f.mul(x.astype(np.float32), y.astype(np.float32)), x * y)):  # fmt: skip
        assert np.array_equal(made, peer.astype(np.float32), equal_nan=True)
        assert np.array_equal(np.signbit(made)[made == 0], np.signbit(peer.astype(np.float32))[made == 0])


@given(finite, finite, finite)
def test_fma_rounds_once(x: float, y: float, z: float) -> None:
    made = form("fp32").fma(x, y, z)
    x, y, z = (float(form("fp32").quantize(v)) for v in (x, y, z))
    if not all(map(np.isfinite, (x, y, z))):
        return
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    with np.errstate(over="ignore", under="ignore"):
        assert made == np.float32(nearest_odd(exact))


# errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.matmul(np.ones((2, 3)), np.ones((4, 2))), "k is 3 on the left, 4 right"),
        (lambda f: f.matmul(np.ones(3), np.ones((3, 2))), "at least two dimensions"),
        (lambda f: f.matmul(np.ones((2, 2, 3)), np.ones((3, 3, 2))), "do not broadcast"),
        (lambda f: f.matmul(np.ones((2, 3)), np.ones((3, 2)), c=np.ones(3)), "c has shape"),
        (lambda f: f.matmul([[0.5]], [[1.0]], accumulator="int32"), "no multiple of 2^-0"),
        (lambda f: f.add(np.ones(3), np.ones(2)), "do not broadcast"),
        (lambda f: f.matmul(np.ones((2, 3)), np.ones((3, 2)), out=3), "3 is no format: give accelsim.dataformat"),
        (lambda f: f.matmul(np.ones((2, 3)), np.ones((3, 2)), accumulator=32), "32 is no accumulator"),
        (lambda f: f.dot(1.0, [2.0]), "at least one dimension"),
        (lambda f: f.dot([1.0], 2.0), "at least one dimension"),
        (lambda f: Fused(group=7, fraction_bits=13, promotion=128), "must divide"),
        (lambda f: Fused(group=8, fraction_bits=60), "fraction_bits = 60"),
        (lambda f: Rounded(order="lanes"), "cannot have width 0"),
        (lambda f: Width(12, 40), "2 to 10"),
        (lambda f: Fixed(integer_bits=0, fraction_bits=0), "is none"),
    ],
)
def test_bad_requests_are_clear_errors(call: object, message: str) -> None:
    f = form("fp8_e4m3")
    with pytest.raises(RequestError, match=re.escape(message)):
        call(f)


def test_scales_that_are_no_powers_of_two_do_not_align() -> None:
    scaled = Operand(np.ones((1, 4)), np.array([[1.5, 1.0]]), 2)
    with pytest.raises(RequestError, match="powers of two"):
        matmul(scaled, Operand(np.ones((4, 1))), accumulator="hopper-fp8")


def test_formats_go_by_name_where_the_name_says_it_all() -> None:
    f = form("fp8_e4m3")
    x, y = np.array([[1.0, 2.75]]), np.array([[3.3], [1.0]])
    assert (
        f.matmul(x, y, other="int4", out="bf16").values == f.matmul(x, y, other=form("int4"), out=form("bf16")).values
    )
    assert f.add(1.0, 0.3, other="int4", out="bf16") == 1.0
    assert f.fma(300.0, 3.0, 1.0, out="fp32") == 865.0  # 288 x 3 + 1
    for call in (lambda: f.matmul(x, y, other="olive4"), lambda: f.mul(1.0, 2.0, out="olive4")):
        with pytest.raises(UnknownNameError, match=r"give accelsim.dataformat\('olive4'\)"):
            call()


def test_every_nan_is_the_same() -> None:
    f = form("bf16")
    row, column = [[np.inf, 1.0]], [[0.0], [1.0]]
    want = np.float32(np.nan).view(np.uint32)
    for name in ("exact", "fp32", "bf16", "hopper-bf16", "cdna3"):
        assert f.matmul(row, column, accumulator=name).values.view(np.uint32) == want
    for made in (f.add(np.inf, -np.inf), f.mul(np.inf, 0.0), f.fma(1.0, -np.nan, 1.0)):
        assert np.float32(made).view(np.uint32) == want


def test_unknown_accumulators_are_named() -> None:
    with pytest.raises(UnknownNameError, match="hopper-fp8"):
        accumulator("hoper-fp8")
    assert isinstance(accumulator("exact"), Exact)
    assert accumulator("fp16-tree16") == Rounded(name="fp16-tree16", type=FP16, order="tree", width=16)


def test_the_reference_rounds_widths_like_numpy_rounds_half() -> None:
    random = np.random.default_rng(13)
    for x in (random.standard_normal(300) * 2.0 ** random.integers(-26, 17, 300)).astype(np.float32).tolist():
        made = round_width(Fraction(x), FP16, "nearest-even", "infinity")
        with np.errstate(over="ignore"):
            assert slow.as_float(made) == float(np.float16(x))


def test_the_reference_adds_a_row_by_hand() -> None:
    row = Segment([Fraction(1), Fraction(1, 3)], [Fraction(1), Fraction(3)])
    assert dot([row], Exact(), Fraction(1, 7)) == Fraction(15, 7)
