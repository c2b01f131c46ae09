"""Elementary functions against decimals of sixty digits; what they do at the ends; and of what they are made."""

from __future__ import annotations

import ast
import hashlib
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from accelsim.errors import RequestError
from accelsim.numerics import functions
from accelsim.numerics.functions import constants
from tests.numerics import elementary
from tests.numerics.elementary import EXACT, errors

BOUNDS = {
    "exp": 0.52, "expm1": 0.57, "log": 0.52, "tanh": 0.57, "erf": 0.52, "sin": 0.52, "cos": 0.52, "rsqrt": 0.501,
}  # fmt: skip
"""As the docstrings have them, in ulp."""

TINY, LEAST, MOST = 2.0**-1074, 2.0**-1022, 1.7976931348623157e308


def both_sides(x: np.ndarray) -> np.ndarray:
    """Points and their neighbours."""
    with np.errstate(over="ignore"):
        return np.concatenate([np.nextafter(x, -np.inf), x, np.nextafter(x, np.inf)])


def everywhere(random: np.random.Generator, count: int, low: int, high: int) -> np.ndarray:
    """All exponents from low to high alike, both signs."""
    x = random.uniform(1, 2, count) * 2.0 ** random.integers(low, high, count)
    return x * random.choice([-1.0, 1.0], count)


def exponential_edges() -> np.ndarray:
    """Where the part of ln 2 / 128 changes, and the first and last exponents."""
    k = np.concatenate([np.arange(-300, 300), np.arange(-137700, -136000, 41), np.arange(130900, 131071, 7)])
    return both_sides(np.concatenate([(k + 0.5) * np.log(2) / 128, k * np.log(2) / 128]))


def turns(random: np.random.Generator) -> np.ndarray:
    """For every fourth exponent the float64 nearest to a multiple of pi / 2: numerators of its convergents."""
    half_pi = Fraction(elementary.pi()) / 2
    found = []
    for e in range(0, 972, 4):
        ratio = half_pi / 2**e
        (p0, q0), (p1, q1), rest = (0, 1), (1, 0), ratio
        while p1 < 1 << 53:
            if p1 >= 1 << 44:
                found.append(float(p1 * 2**e))
            whole = int(rest)
            p0, q0, p1, q1 = p1, q1, whole * p1 + p0, whole * q1 + q0
            if rest == whole:
                break
            rest = 1 / (rest - whole)
    near = both_sides(np.arange(1, 200) * (np.pi / 2))
    return np.concatenate([np.array(found), near, both_sides(np.arange(1, 26) / 32), everywhere(random, 50, 100, 1000)])


def hard(name: str) -> np.ndarray:
    """Points near every boundary of a function's ways, and near its ends."""
    random = np.random.default_rng(1)
    both = np.array([1.0, -1.0])[:, None]
    match name:
        case "exp":
            ends = both_sides(np.array([0.0, TINY, 709.78, -708.39, -744.44, -745.13, 1e-17]))
            return np.concatenate([exponential_edges(), ends, random.uniform(-745.13, -708, 200)])
        case "expm1":
            ends = both_sides(np.array([0.25, -0.25, 2.0**-54, -(2.0**-54), TINY, LEAST, -40.0, -36.7, 709.78]))
            return np.concatenate([exponential_edges()[::2], ends, everywhere(random, 300, -60, 2)])
        case "tanh":
            ends = both_sides(np.array([0.125, 2.0**-27, TINY, LEAST, 20.0, 19.06, 18.7, 0.35]))
            both_ends = (both * ends).ravel()
            return np.concatenate([exponential_edges()[300:3000:3] / 2, both_ends, everywhere(random, 300, -30, 5)])
        case "log":
            parts = both_sides(1 + np.arange(129) / 128)
            near = 1 + random.choice([-1, 1], 300) * 2.0 ** -random.uniform(1, 53, 300)
            ends = np.array([TINY, 3 * TINY, LEAST, np.nextafter(LEAST, 0), MOST])
            return np.concatenate([parts, parts / 2, near, ends, both_sides(2.0 ** np.arange(-1060, 1023, 50.0))])
        case "erf":
            ends = both_sides(np.array([TINY * 5, LEAST, 2.0**-520, 2.0**-27, 5.9, 5.93, 6.0, 6.5, 1e300]))
            parts = both_sides((np.arange(96) + 0.5) / 16)
            return np.concatenate([(both * np.concatenate([ends, parts])).ravel(), everywhere(random, 200, -30, 0)])
        case "sin" | "cos":
            ends = both_sides(np.array([0.785, np.pi / 4, TINY * 5, LEAST, 2.0**-27, MOST]))[:-1]
            return np.concatenate([turns(random), -ends, ends])
    ends = both_sides(np.array([1.0, 2.0, 4.0, LEAST, 3 * TINY]))
    return np.concatenate([ends, [MOST, TINY], both_sides(4.0 ** np.arange(-500, 500, 9.0))])


def spread(name: str, count: int, seed: int = 2) -> np.ndarray:
    """Random points over all exponents where the function is neither constant nor infinite."""
    random = np.random.default_rng(seed)
    low, high = {
        "exp": (-60, 9), "expm1": (-80, 5), "tanh": (-60, 4), "erf": (-60, 2), "sin": (-60, 1023), "cos": (-30, 1023),
    }.get(name, (-1070, 1023))  # fmt: skip
    x = everywhere(random, count, low, high)
    return np.abs(x) if name in ("log", "rsqrt") else x


def check(name: str, points: np.ndarray) -> None:
    made = getattr(functions, name)(points)
    finite = np.isfinite(made)
    half_way = Decimal(MOST) + Decimal(2) ** 970  # to what would be the next number
    assert [abs(EXACT[name](x)) > half_way for x in points.tolist()] == np.isinf(made).tolist()
    off = errors(name, points[finite], made[finite])
    worst = int(np.argmax(off))
    assert off[worst] <= BOUNDS[name], f"{off[worst]} ulp at {points[finite][worst].hex()}"


@pytest.mark.parametrize("name", BOUNDS)
def test_errors_at_random_points_are_within_the_bound(name: str) -> None:
    check(name, spread(name, 2500))


@pytest.mark.parametrize("name", BOUNDS)
def test_errors_at_hard_points_are_within_the_bound(name: str) -> None:
    points = hard(name)
    check(name, points[:: max(1, len(points) // 3000)])


@pytest.mark.long
@pytest.mark.parametrize("name", BOUNDS)
def test_errors_at_many_points_are_within_the_bound(name: str) -> None:
    check(name, hard(name))
    check(name, spread(name, 40_000, seed=3))


@pytest.mark.parametrize("name", BOUNDS)
def test_docstrings_state_the_bound(name: str) -> None:
    assert f"at most {BOUNDS[name]} ulp" in getattr(functions, name).__doc__


INF, NAN = np.inf, np.nan
ENDS = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (NAN, NAN), (709.79, INF), (-745.2, 0.0), (1e308, INF),
            (-1e308, 0.0), (-745.13, TINY)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (NAN, NAN), (-1e300, -1.0), (710.0, INF),
              (-TINY, -TINY)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN), (-TINY, NAN), (NAN, NAN)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (-25.0, -1.0), (TINY, TINY)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (NAN, NAN), (-6.0, -1.0), (7.5, 1.0), (TINY, TINY)],
    "sin": [(0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN), (-TINY, -TINY)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (NAN, NAN), (TINY, 1.0)],
    "rsqrt": [(0.0, INF), (-0.0, -INF), (INF, 0.0), (-INF, NAN), (-1.0, NAN), (NAN, NAN), (4.0, 0.5), (TINY, 2.0**537)],
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_ends_and_special_values(name: str) -> None:
    points, want = np.array(ENDS[name]).T
    points[np.isnan(points)] = np.copysign(np.nan, -1)
    made = getattr(functions, name)(points)
    assert made.view(np.uint64).tolist() == np.array(want).view(np.uint64).tolist()  # signs of zeros, NaN and all


@pytest.mark.parametrize("name", ["tanh", "erf", "sin", "expm1"])
def test_odd_functions_keep_tiny_numbers(name: str) -> None:
    x = np.ldexp(1.0 + np.arange(40) / 64, np.arange(-1074, -554, 13))
    made = getattr(functions, name)(-x)
    if name == "erf":
        assert errors(name, -x, made).max() <= BOUNDS[name]
    else:
        assert np.array_equal(made, -x)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize(("dtype", "bits", "least"), [("float32", 24, -149), ("float16", 11, -24)])
def test_narrow_types_are_rounded_from_float64(name: str, dtype: str, bits: int, least: int) -> None:
    random = np.random.default_rng(4)
    x = random.uniform(0.01, 9, 300).astype(dtype)
    made = getattr(functions, name)(x)
    assert made.dtype == dtype
    assert np.array_equal(made, getattr(functions, name)(x.astype(np.float64)).astype(dtype))
    assert errors(name, x, made, bits, least).max() <= 0.5001


@pytest.mark.long
def test_every_float16_is_rounded_correctly() -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    for name in BOUNDS:
        made = getattr(functions, name)(x)
        finite = np.isfinite(made) & np.isfinite(x)
        assert errors(name, x[finite], made[finite], 11, -24).max() <= 0.5, name


def test_arrays_of_any_kind() -> None:
    x = np.linspace(-3, 3, 24).reshape(2, 3, 4)
    want = functions.exp(x)
    assert want.shape == x.shape
    assert np.array_equal(functions.exp(x.T), want.T)
    assert np.array_equal(functions.exp(x[:, ::2]), want[:, ::2])
    assert np.array_equal(functions.exp(x.astype(">f8")), want)
    assert functions.exp(np.array(1.0)).shape == ()
    assert functions.exp(np.zeros((0, 3))).shape == (0, 3)
    assert functions.exp([0, 1]).dtype == np.float64
    narrow = functions.exp(x.astype(ml_dtypes.bfloat16))
    assert narrow.dtype == np.float32
    masked = functions.log(np.ma.MaskedArray([1.0, -1.0], mask=[False, True]))
    assert masked.mask.tolist() == [False, True]
    big = np.linspace(-5, 5, 20_001)
    assert np.array_equal(functions.sin(big)[7::1000], functions.sin(big[7::1000]))  # however it is cut


def test_out_is_written_and_inputs_are_not() -> None:
    x = np.linspace(0.5, 3, 7)
    kept, out = x.copy(), np.empty(7)
    assert functions.log(x, out=out) is out
    assert np.array_equal(x, kept)
    assert np.array_equal(functions.log(x, out=x), out)  # in place
    x = np.linspace(0.5, 3, 20_000)
    want = functions.log(x[:-1])
    assert np.array_equal(functions.log(x[:-1], out=x[1:]), want)  # overlapping
    with pytest.raises(RequestError, match="out must be"):
        functions.log(kept, out=np.empty(6))
    with pytest.raises(RequestError, match="cannot be encoded"):
        functions.log(np.array(["a"]))


def test_nothing_comes_from_a_library_of_functions() -> None:
    """Only operations that IEEE 754 defines to the last bit, and such as move or compare bits."""
    allowed = {
        "abs", "array", "ascontiguousarray", "bool_", "clip", "copysign", "empty", "errstate", "float64", "full",
        "full_like", "inf", "int64", "intp", "isfinite", "isnan", "may_share_memory", "maximum", "minimum", "nan",
        "nonzero", "rint", "signbit", "sqrt", "uint64", "where", "zeros", "zeros_like",
    }  # fmt: skip
    folder = Path(functions.__file__).parent
    sources = [*folder.glob("*.py"), folder.parent / "fast" / "expansion.py"]
    assert len(sources) > 6
    for source in sources:
        tree = ast.parse(source.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
                assert node.attr in allowed | {"array_equal", "concatenate"}, f"np.{node.attr} in {source.name}"
            if isinstance(node, ast.ImportFrom) and node.module == "math":
                assert {name.name for name in node.names} <= {"factorial", "isqrt"}, source.name
            if isinstance(node, ast.Import):
                assert {name.name for name in node.names} <= {"numpy"}, source.name


# tables


def test_tables_hold_exact_values_in_two_parts() -> None:
    upper, lower = constants.roots_of_two(128)
    for j in range(0, 128, 5):
        assert abs(Fraction(upper[j]) + Fraction(lower[j]) - Fraction(elementary.exp2(j, 128))) < Fraction(2) ** -104
    sine, sine_rest, cosine, cosine_rest = constants.circle(16)
    assert len(sine) == 14
    for j in range(14):
        assert abs(Fraction(sine[j]) + Fraction(sine_rest[j]) - Fraction(EXACT["sin"](j / 16))) < Fraction(2) ** -104
        exact = Fraction(EXACT["cos"](j / 16))
        assert abs(Fraction(cosine[j]) + Fraction(cosine_rest[j]) - exact) < Fraction(2) ** -104
    inverse, logarithm, logarithm_rest = constants.logarithms(53)
    for c, x, y in zip(inverse.tolist(), logarithm.tolist(), logarithm_rest.tolist(), strict=True):
        assert abs(Fraction(x) + Fraction(y) + Fraction(EXACT["log"](c))) < Fraction(2) ** -94
        assert x * 2**42 == int(x * 2**42)


def test_coefficients_are_always_the_same() -> None:
    """Integers made them: the same on every machine, and the same as when the bounds were tested."""
    digest = hashlib.sha256()
    for table in (
        *constants.roots_of_two(128), *constants.circle(16), *constants.logarithms(53), constants.two_over_pi(),
        *(part for column in constants.error_function(16, 6, 13) for part in column),
        np.array([*constants.ln2(42), *constants.ln2(35, divisor=128), *constants.half_pi()]),
        np.array(constants.INVERSE_FACTORIALS),
    ):  # fmt: skip
        digest.update(table.tobytes())
    assert digest.hexdigest()[:16] == "4fa525e1d51fbb22"
