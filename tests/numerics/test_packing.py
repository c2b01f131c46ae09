"""Codes below a byte lie in one stream of bits, by words as bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.numerics import packing


def bit_by_bit(codes, bits):
    stream = (codes.reshape(-1, 1) >> np.arange(bits)) & 1
    return np.packbits(stream.reshape(-1), bitorder="little").tobytes()


@pytest.mark.parametrize("bits", range(1, 8))
@pytest.mark.parametrize("count", [0, 1, 7, 8, 13, (1 << 15) + 5])
def test_a_stream_of_bits(bits, count):
    codes = np.random.default_rng(count).integers(0, 1 << bits, count, dtype=np.uint8)
    data = packing.pack(codes, bits)
    assert data == bit_by_bit(codes, bits)
    assert np.array_equal(packing.unpack(data, bits, count), codes)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("n", [0, 3, 24, 37])
def test_rows_are_streams_of_their_own(bits, n):
    codes = np.random.default_rng(n).integers(0, 1 << bits, (70, n), dtype=np.uint8)
    packed = packing.pack_rows(codes, bits)
    assert packed.shape == (70, -(-n // 8) * bits)
    assert packed[5].tobytes()[: packing.packed_bytes(n, bits)] == bit_by_bit(codes[5], bits)
    assert np.array_equal(packing.unpack_rows(packed, bits, n), codes)
