"""Philox against its published known answers."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.numerics.random import draws, philox

# Random123 1.14, kat_vectors: philox4x32, 10 rounds
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    words = philox(tuple(np.array([word], dtype=np.uint64) for word in counter), key)
    assert tuple(int(word[0]) for word in words) == expected


def test_draws_depend_on_the_place_only():
    whole = draws(9, 0, 1000, 7)
    assert whole.max() < 128
    np.testing.assert_array_equal(np.concatenate([draws(9, 0, 13, 7), draws(9, 13, 987, 7)]), whole)
    np.testing.assert_array_equal(draws(9, 0, 1000, 3), whole >> np.uint64(4))
    assert (draws(10, 0, 1000, 7) != whole).mean() > 0.9
    assert draws(9, 1 << 40, 2, 7).shape == (2,)
