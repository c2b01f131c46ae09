"""Codes as bytes: a stream of bits, the first code in the lowest bits of the first byte."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError

Codes = NDArray[np.unsignedinteger[Any]]


def code_dtype(bits: int) -> np.dtype[Any]:
    """The smallest of uint8, uint16 and uint32 that holds a code."""
    return np.dtype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


def packed_bytes(count: int, bits: int) -> int:
    """Bytes of a number of codes, the last one filled up with zeros."""
    return -(-count * bits // 8)


def pack(codes: Codes, bits: int) -> bytes:
    """Codes of any shape, in C order, as a little-endian stream of bits.

    Args:
        codes: unsigned integers below 2^bits.
        bits: of each, 1 to 32.
    """
    flat = np.ascontiguousarray(codes).reshape(-1)
    if bits in (8, 16, 32):
        return flat.astype(f"<u{bits // 8}").tobytes()
    little = flat.astype("<u4").view(np.uint8).reshape(-1, 4)
    stream = np.unpackbits(little, axis=1, count=bits, bitorder="little")
    return np.packbits(stream.reshape(-1), bitorder="little").tobytes()


def unpack(data: bytes | bytearray | memoryview, bits: int, count: int) -> Codes:
    """The first `count` codes of a stream of bits.

    Raises:
        RequestError: too few or too many bytes.
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    wanted = packed_bytes(count, bits)
    if raw.size != wanted:
        raise RequestError(f"{count} codes of {bits} bits take {wanted} bytes, got {raw.size}")
    dtype = code_dtype(bits)
    if bits in (8, 16, 32):
        return raw.view(f"<u{bits // 8}").astype(dtype)
    stream = np.unpackbits(raw, count=count * bits, bitorder="little").reshape(count, bits)
    little = np.zeros((count, 4), dtype=np.uint8)
    little[:, : -(-bits // 8)] = np.packbits(stream, axis=1, bitorder="little")
    return little.reshape(-1).view("<u4").astype(dtype)
