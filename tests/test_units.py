"""Is a quantity read as what it says, and is a slip explained?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import units
from accelsim.errors import UnitError


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("3.35 TB/s", "B/s", 3.35e12),
        ("5.2336 Gbit/s", "B/s", 5.2336e9 / 8),
        ("5.2336 Gb/s", "B/s", 5.2336e9 / 8),
        ("80 GB", "B", 80e9),
        ("80 GiB", "B", 80 * 2**30),
        ("228 KiB", "B", 228 * 1024),
        ("256 kB", "B", 256e3),
        ("1.83GHz", "Hz", 1.83e9),
        ("600 ns", "s", 600e-9),
        ("4.5 µs", "s", 4.5e-6),  # micro sign
        ("4.5 μs", "s", 4.5e-6),  # Greek mu
        ("3.92 pJ/bit", "J/B", 3.92e-12 * 8),
        ("4096 FLOP/clk", "FLOP/clk", 4096),
        ("2048 MAC/clk", "FLOP/clk", 4096),
        ("814 mm2", "m2", 814e-6),
        ("1_000_000 B", "B", 1e6),
        ("  -1.5e3  W ", "W", -1500),
        ("1 TB / s", "B/s", 1e12),
    ],
)
def test_quantities_are_read_in_si(text: str, unit: str, value: float) -> None:
    assert units.parse(text, unit) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("3.35 TB", "B/s", 'expected a bandwidth (B/s): did you mean "3.35 TB/s"?'),
        ("80 GB/s", "B", 'expected a size (B): did you mean "80 GB"?'),
        ("3.92 pJ", "J/B", 'did you mean "3.92 pJ/B"?'),
        ("700", "W", 'has no unit: expected a power (W), for example "700 W"'),
        ("80 KB", "B", '"KB" is ambiguous: write kB for 1000 or KiB for 1024'),
        ("3,35 TB/s", "B/s", "decimals follow a point, not a comma"),
        ("800 mB/s", "B/s", 'unknown unit "mB/s": did you mean "800 MB/s"?'),
        ("3.35 tb/s", "B/s", 'did you mean "3.35 TB/s"?'),
        ("800 Gbps", "B/s", 'did you mean "800 Gbit/s"?'),
        ("900 GBps", "B/s", 'did you mean "900 GB/s"?'),
        ("989 TFLOPS", "FLOP/s", 'did you mean "989 TFLOP/s"?'),
        ("64 bytes/cycle", "B/clk", 'did you mean "64 B/clk"?'),
        ("700 W", "B/s", 'expected a bandwidth (B/s), not W: for example "3.35 TB/s"'),
        ("3 apples", "B", 'unknown unit "apples": expected a size (B), for example "80 GB"'),
        ("fast", "Hz", "expected a frequency (Hz), a number with its unit"),
        ("", "s", 'expected a time (s), a number with its unit, for example "600 ns"'),
        ("nan GB", "B", "a number with its unit"),
        ("1e400 B", "B", "is too large for a number"),
        ("1e99999999999999999999 B", "B", "is too large for a number"),
        ("2 E", "B", 'unknown unit "E"'),
        ("4 km2", "m2", 'unknown unit "km2"'),
    ],
)
def test_a_slip_is_explained(text: str, unit: str, message: str) -> None:
    with pytest.raises(UnitError) as caught:
        units.parse(text, unit)
    assert message in str(caught.value)


@given(st.integers(min_value=1, max_value=10**9))
def test_the_spelling_of_a_figure_does_not_change_it(value: int) -> None:
    assert units.parse(f"{value} us", "s") == units.parse(f"{value}000 ns", "s") == units.parse(f"{value}e-6 s", "s")
    assert units.parse(f"{value} TB/s", "B/s") == float(value * 10**12)
    assert units.parse(f"{value} pJ/bit", "J/B") == units.parse(f"{8 * value} pJ/B", "J/B")


def test_no_two_spellings_are_one_symbol() -> None:
    spellings = [prefix + base for base in units._BASE for prefix in units._PREFIXES[base]]
    assert len(set(spellings)) == len(spellings)


@pytest.mark.parametrize("unit", units.CANONICAL)
def test_the_example_of_a_unit_is_well_formed(unit: str) -> None:
    assert units.parse(units.example(unit), unit) > 0
    assert unit in units.meaning(unit)


@given(
    value=st.floats(min_value=1e-18, max_value=1e24),
    unit=st.sampled_from(units.CANONICAL),
    digits=st.integers(min_value=2, max_value=12),
    sign=st.sampled_from([-1, 1]),
)
def test_what_is_shown_is_read_back(value: float, unit: str, digits: int, sign: int) -> None:
    shown = units.show(sign * value, unit, digits)
    assert units.parse(shown, unit) == pytest.approx(sign * value, rel=0.51 * 10 ** (1 - digits))


@given(value=st.floats(min_value=1e-13, max_value=9.9e20), unit=st.sampled_from(["B/s", "s", "J", "Hz"]))
def test_a_shown_number_has_one_to_three_places_before_the_point(value: float, unit: str) -> None:
    if unit == "B/s" and value < 1:  # a thousandth of a byte has no prefix
        return
    number = float(units.show(value, unit).split()[0])
    assert 1 <= number < 1000


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (2.63e12, "B/s", "2.63 TB/s"),
        (999.96e9, "B/s", "1.00 TB/s"),
        (5.3e-3, "s", "5.30 ms"),
        (0.0, "W", "0 W"),
        (814e-6, "m2", "814 mm2"),
        (float("inf"), "s", "inf s"),
        (0.25, "B/clk", "0.250 B/clk"),
        (-1234.0, "J", "-1.23 kJ"),
    ],
)
def test_numbers_for_people(value: float, unit: str, shown: str) -> None:
    assert units.show(value, unit) == shown


def test_picoseconds_are_whole() -> None:
    assert units.seconds_to_ps(1 / 1.83e9) == 546
    assert units.seconds_to_ps(2.5e-12) == 2
