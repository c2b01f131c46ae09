"""Presets against what their peers gave for single numbers; every difference is listed with its cause.

The peers ran in `data/make_*.py`; a preset with blocks or pairs is in `test_presets_blocks.py` and `_ant.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.numerics import registry
from accelsim.numerics.policy import PRESETS
from tests.contract import grids
from tests.numerics import peer_data, peer_inputs

Singles = NDArray[np.float32]
Codes = NDArray[np.int64]
PEERS = {
    "ml_dtypes": "ml_dtypes", "torch": "torch", "torchao": "torchao", "gfloat": "gfloat", "ocp-saturate": "gfloat",
    "ocp-overflow": "gfloat", "p3109": "gfloat", "microxcaling": "microxcaling", "ant": "ant", "olive": "ant",
}  # fmt: skip
SMALL = {"fp4_e2m1": 7, "fp6_e2m3": 7.75, "fp6_e3m2": 30}  # from here on, magnitudes round beyond the largest


@dataclass(frozen=True)
class Known:
    """A difference: for which inputs, what the peer gives (None: anything) and why."""

    where: Callable[[Singles], NDArray[np.bool_]]
    theirs: Callable[[Singles], Codes] | int | None
    why: str


def bits(x: Singles) -> Codes:
    return x.view(np.uint32).astype(np.int64)


def payload(quiet: int) -> Callable[[Singles], Codes]:
    """NaNs of fp16 with the upper bits of the payload of fp32."""

    def made(x: Singles) -> Codes:
        rest = bits(x) >> 13 & 0x3FF | quiet
        return bits(x) >> 16 & 0x8000 | 0x7C00 | np.where(rest == 0, 1, rest)

    return made


def nans_but(code: int, made: Callable[[Singles], Codes]) -> Callable[[Singles], NDArray[np.bool_]]:
    return lambda x: np.isnan(x) & (made(x) & 0x7FFF != code)


def of_magnitude(x: Singles) -> Codes:
    """Codes of E8M0 as if numbers had no sign."""
    magnitude = np.where(x == 0, np.float32(2.0**-127), np.abs(x))
    return dataformat("ue8m0", "torch").encode(magnitude).astype(np.int64)


def within(low: float, high: float) -> Callable[[Singles], NDArray[np.bool_]]:
    return lambda x: (x > low) & (x < high)


def sign_dropped(x: Singles) -> Codes:
    magnitude = np.abs(x)
    return np.where((magnitude > 2.0**-127) & (magnitude < 1.5 * 2.0**-127), 1, of_magnitude(x))


TINY = 0.75 * 2.0**-127
BELOW = within(2.0**-127, 1.5 * 2.0**-127)
RAISES = "gfloat raises an error at an overflow where there is neither infinity nor NaN and sat is false"
OPEN = "OCP leaves open which NaN is written; gfloat writes the one with all bits set"
UNSIGNED = "gfloat does not round negative numbers to unsigned formats: the mode of P3109 saturates them at zero"

KNOWN: dict[str, list[Known]] = {
    "ml_dtypes/fp16": [Known(nans_but(0x7E00, payload(0)), payload(0), "numpy keeps the payload of NaN in fp16")],
    "ml_dtypes/ue8m0": [Known(BELOW, 1, "float32 subnormals above 2^-127 go up to 2^-126")],
    "torch/bf16": [
        Known(lambda x: np.isnan(x) & ~np.signbit(x), 0xFFFF, "every NaN becomes the negative one with all bits set")
    ],
    "torch/fp16": [Known(nans_but(0x7FFF, payload(0x200)), payload(0x200), "NaN keeps its payload and becomes quiet")],
    "torch/ue8m0": [
        Known(within(-1.5 * 2.0**127, 2.0**-149), sign_dropped, "the sign is dropped, and zero becomes 2^-127"),
        Known(BELOW, 1, "float32 subnormals above 2^-127 go up to 2^-126"),
    ],
    "ocp-saturate/ue8m0": [
        Known(lambda x: (x < TINY) & np.isfinite(x), 255, "gfloat gives NaN for what rounds to less than 2^-127"),
        Known(np.isneginf, 254, "gfloat drops the sign of an infinity where there is no sign"),
    ],
}
for name in SMALL:
    KNOWN[f"ml_dtypes/{name}"] = [
        Known(lambda x: np.isnan(x) & np.signbit(x), 0, "NaN becomes a zero of the opposite sign, here always -0")
    ]
    KNOWN[f"torchao/{name}"] = [
        Known(np.isnan, None, "NaN is refused here; there, integer arithmetic on its bits makes some code of it")
    ]
for name, edge in SMALL.items():
    for preset in ("gfloat", "ocp-overflow"):
        KNOWN[f"{preset}/{name}"] = [Known(lambda x, edge=edge: np.abs(x) >= edge, -1, RAISES)]
for preset in ("gfloat", "ocp-overflow"):
    KNOWN[f"{preset}/int8_f6"] = [Known(lambda x: (x >= 127.5 / 64) | (x < -128.5 / 64), -1, RAISES)]
    KNOWN[f"{preset}/ue8m0"] = [Known(within(0, TINY), 255, "gfloat rounds to values that have no code (its #62)")]
for preset in ("ocp-saturate", "ocp-overflow"):
    for name in ("fp8_e4m3", "fp8_e5m2"):
        KNOWN[f"{preset}/{name}"] = [Known(np.isnan, 255, OPEN)]
KNOWN["ocp-overflow/fp8_e4m3"] = [Known(lambda x: np.isnan(x) | (np.abs(x) > 464), 255, OPEN)]
for key in [key for key in peer_data.of("gfloat") if key.startswith("p3109/") and key[-2] == "u"]:
    name = key.removeprefix("p3109/")
    finite, last = name[-1] == "f", (1 << int(name[6])) - 1
    least = float(dataformat(name).values[1])
    KNOWN[key] = [
        Known(lambda x, half=least / 2: (x < -half) & np.isfinite(x), last if finite else -1, UNSIGNED),
        Known(np.isneginf, last - 1, "gfloat drops the sign of an infinity where there is no sign"),
    ]

CASES = [
    key
    for peer in ("ml_dtypes", "torch", "torchao", "gfloat")
    for key in peer_data.of(peer)
    if key.count("/") == 1 and not key.startswith("inputs/") and key.split("/")[1] not in peer_inputs.BLOCKS
]


def inputs(peer: str, name: str) -> Singles:
    if name.startswith("binary"):
        return peer_data.checked(
            peer_inputs.singles(peer_inputs.points(*peer_inputs.p3109(int(name[6]), int(name[8]), name[9]))), peer, name
        )
    return peer_data.checked(peer_inputs.of_element(name), peer, name)


@pytest.mark.parametrize("key", CASES)
def test_codes_are_those_of_the_peer_but_for_known_differences(key):
    preset, name = key.split("/")
    x, theirs = inputs(PEERS[preset], name), peer_data.of(PEERS[preset])[key].astype(np.int64)
    assert x.size >= 4096
    made = dataformat(name, preset)
    refused = np.isnan(x) & (made.policy.nan == "error")
    mine = made.encode(np.where(refused, np.float32(0), x)).astype(np.int64)
    mine[refused] = -1
    expected, explained = mine.copy(), np.zeros(x.size, dtype=bool)
    for known in KNOWN.get(key, []):
        at = known.where(x)
        assert at.any(), known.why
        if known.theirs is None:
            expected[at] = theirs[at]
        else:
            expected[at] = known.theirs(x[at]) if callable(known.theirs) else known.theirs
        explained |= at
    wrong = np.flatnonzero(expected != theirs)
    assert wrong.size == 0, [(float(x[i]).hex(), hex(bits(x)[i]), int(mine[i]), int(theirs[i])) for i in wrong[:6]]
    same = np.flatnonzero(explained & (mine == theirs))
    assert same.size == 0, ("no difference, though listed", [float(x[i]).hex() for i in same[:6]])


LEAST = {
    "fp4_e2m1": 2.0**-1, "fp6_e2m3": 2.0**-3, "fp6_e3m2": 2.0**-4, "fp8_e4m3": 2.0**-9, "fp8_e5m2": 2.0**-16,
    "fp16": 2.0**-24, "int8_f6": 2.0**-6,
}  # fmt: skip
ENDS = SMALL | {"fp8_e4m3": 464, "int8_f6": np.inf}  # where the peer goes on to an infinity that has no code


@pytest.mark.parametrize(
    "name", ["fp4_e2m1", "fp6_e2m3", "fp6_e3m2", "fp8_e4m3", "fp8_e5m2", "fp16", "bf16", "int8_f6"]
)
def test_values_are_those_of_microxcaling_but_for_known_differences(name):
    """It has no codes: its numbers are compared, and may be no values of the format."""
    x = inputs("microxcaling", name)
    theirs = peer_data.of("microxcaling")[f"microxcaling/{name}"]
    made = dataformat("int8_f6_symmetric" if name == "int8_f6" else name, "microxcaling")
    refused = np.isnan(x) & (made.policy.nan == "error")
    mine = made.quantize(np.where(refused, np.float32(0), x))
    expected = np.where(refused, np.float32(np.nan), mine)  # it makes NaN of NaN, code or none
    magnitude = np.abs(x)
    if name in ENDS:
        expected = np.where(magnitude >= ENDS[name], np.copysign(np.float32(np.inf), x), expected)
    if name in LEAST:  # |x| + 1/2 in fp32 is 1 for the number before 1/2
        before = magnitude == np.nextafter(np.float32(LEAST[name] / 2), np.float32(0))
        assert before.sum() == 2
        expected = np.where(before, np.copysign(np.float32(LEAST[name]), x), expected)
    if name != "int8_f6":  # the logarithm of the largest float is 128, which makes infinity over infinity
        expected = np.where(magnitude == np.finfo(np.float32).max, np.float32(np.nan), expected)
    np.testing.assert_array_equal(expected, theirs)
    if name != "int8_f6":  # signs of zeros, too; -0 itself loses it there
        np.testing.assert_array_equal(np.signbit(expected)[theirs == 0], np.signbit(theirs)[theirs == 0])


def test_the_microxcaling_preset_takes_the_sign_of_minus_zero_only():
    made = dataformat("fp4_e2m1", "microxcaling")
    for x in (np.float32([-0.0, -0.1, 0.0]), np.array([-0.0, -0.1, 0.0]), np.float16([-0.0, -0.1, 0.0])):
        assert np.signbit(made.quantize(x)).tolist() == [False, True, False]
        assert made.encode(x).tolist() == [0, 8, 0]
    assert dataformat("fp32", "microxcaling").encode(np.float32([-0.0, -1e-45])).tolist() == [0, 0x80000001]
    assert dataformat("mxfp4", "microxcaling").encode(np.float32([-0.0, -0.1, 4.0])).codes.tolist() == [0, 8, 6]


@pytest.mark.parametrize("name", [name for name in grids.bare() if grids.record_of(name).bits <= 8])
def test_zeros_of_the_microxcaling_preset_are_those_of_the_reference(name):
    made = dataformat(name, "microxcaling")
    x = np.array([-0.0, 0.0, -1e-3, -1e-40, 1e-40, -0.1, 0.1, -1e9, 0.0, -0.0])
    for given in (x, x.astype(np.float32)):
        codes = made.encode(given)
        np.testing.assert_array_equal(codes, grids.reference_codes(grids.grid_of(name), given, made.policy))
        values, decoded = made.quantize(given), made.decode(codes, np.float64)
        np.testing.assert_array_equal(values, decoded.astype(given.dtype))
        np.testing.assert_array_equal(np.signbit(values), np.signbit(decoded))


def test_every_shipped_format_takes_every_preset():
    """But for GGUF, whose rounding is that of its files."""
    other = {preset for preset, record in PRESETS.items() if record.rounding != "nearest-even"}
    for name in grids.shipped():
        kind = grids.record_of(name).kind
        for preset in PRESETS if kind in registry.implemented() else ():
            if kind == "gguf" and preset in other:
                with pytest.raises(RequestError, match="rounds as its file format is written"):
                    dataformat(name, preset)
            else:
                assert dataformat(name, preset).policy.overflow


def test_presets_state_the_versions_that_were_run():
    for preset, peer in PEERS.items():
        if PRESETS[preset].version:
            assert PRESETS[preset].version == str(peer_data.of(peer)["version"])
    assert set(PEERS) == set(PRESETS)
