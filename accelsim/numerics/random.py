"""Random bits that depend on the seed and the place of an element only: Philox 4x32 with ten rounds.

Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL: Final = (0x9E3779B9, 0xBB67AE85)
_LOW: Final = np.uint64(0xFFFFFFFF)
_32: Final = np.uint64(32)


def philox(counter: tuple[NDArray[np.uint64], ...], key: tuple[int, int]) -> tuple[NDArray[np.uint64], ...]:
    """Four 32-bit words for each counter.

    Args:
        counter: four arrays of 32-bit words.
        key: two 32-bit words.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        first, second = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (second >> _32) ^ c1 ^ np.uint64(k0), second & _LOW, (first >> _32) ^ c3 ^ np.uint64(k1), first & _LOW,
        )  # fmt: skip
        k0, k1 = k0 + _WEYL[0] & 0xFFFFFFFF, k1 + _WEYL[1] & 0xFFFFFFFF
    return c0, c1, c2, c3


def draws(seed: int, first: int, count: int, bits: int) -> NDArray[np.uint64]:
    """The random integers of elements first to first + count - 1: the upper bits of Philox's first word.

    Args:
        seed: 64 bits, the key.
        first: flat index of the first element, the counter.
        count: elements.
        bits: of each integer, 1 to 32.
    """
    index = np.arange(first, first + count, dtype=np.uint64)
    none = np.zeros_like(index)
    words = philox((index & _LOW, index >> _32, none, none), (seed & 0xFFFFFFFF, seed >> 32))
    return words[0] >> np.uint64(32 - bits)
