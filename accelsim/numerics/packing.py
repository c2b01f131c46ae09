"""Codes as bytes: a stream of bits, the first code in the lowest bits of the first byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError

Codes = NDArray[np.unsignedinteger[Any]]
Bytes = NDArray[np.uint8]

_GROUP: Final = 8
"""Codes that fill whole bytes, whatever their bits, and one word of 64 bits with a byte for each."""
_ROW: Final = 1 << 15
"""Codes of a stream that are packed at a time."""
_WORDS: Final = 1 << 18
"""Words that are worked on at a time, so that they stay in a near cache."""


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
    if bits < 8:
        whole = flat.size - flat.size % _ROW
        tail = pack_rows(flat[None, whole:], bits).tobytes()[: packed_bytes(flat.size - whole, bits)]
        return pack_rows(flat[:whole].reshape(-1, _ROW), bits).tobytes() + tail
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
    if bits < 8:
        rows, rest = divmod(count, _ROW)
        cut = packed_bytes(rows * _ROW, bits)
        tail = np.zeros((1, -(-rest // _GROUP) * bits), dtype=np.uint8)
        tail[0, : raw.size - cut] = raw[cut:]
        full = unpack_rows(raw[:cut].reshape(rows, -1), bits, _ROW).reshape(-1) if rows else raw[:0]
        return np.concatenate([full, unpack_rows(tail, bits, rest)[0]])
    stream = np.unpackbits(raw, count=count * bits, bitorder="little").reshape(count, bits)
    little = np.zeros((count, 4), dtype=np.uint8)
    little[:, : -(-bits // 8)] = np.packbits(stream, axis=1, bitorder="little")
    return little.reshape(-1).view("<u4").astype(dtype)


def pack_rows(codes: Codes, bits: int) -> Bytes:
    """Rows of codes, each a stream of bits of its own: [rows, bytes], the last group of eight filled up with zeros.

    Args:
        codes: [rows, n], unsigned integers below 2^bits.
        bits: of each, 1 to 8.
    """
    rows, n = codes.shape
    groups = -(-n // _GROUP)
    made = np.empty((rows, groups, bits), dtype=np.uint8)
    if not made.size:
        return made.reshape(rows, 0)
    for part in _some(rows, groups):
        padded = np.zeros((part.stop - part.start, groups * _GROUP), dtype=np.uint8)
        padded[:, :n] = codes[part]
        words = padded.view("<u8")
        for step in range(3 * (bits < _GROUP)):  # neighbours move together: fields of 16, 32 and 64 bits
            low = _fields(bits << step, 16 << step)
            words = (words & low) | (((words >> np.uint64(8 << step)) & low) << np.uint64(bits << step))
        squeezed = words.view(np.uint8).reshape(-1, groups, _GROUP)
        for byte in range(bits):  # copies of three bytes each would be slower
            made[part, :, byte] = squeezed[..., byte]
    return made.reshape(rows, groups * bits)


def unpack_rows(data: Bytes, bits: int, n: int) -> Bytes:
    """The first n codes of each row that `pack_rows` made, [rows, n]."""
    rows, groups = len(data), data.shape[1] // bits
    made = np.empty((rows, n), dtype=np.uint8)
    if not made.size:
        return made
    for part in _some(rows, groups):
        padded = np.zeros((part.stop - part.start, groups, _GROUP), dtype=np.uint8)
        squeezed = data[part].reshape(-1, groups, bits)
        for byte in range(bits):
            padded[..., byte] = squeezed[..., byte]
        words = padded.view("<u8")[..., 0]
        for step in reversed(range(3 * (bits < _GROUP))):
            low = _fields(bits << step, 16 << step)
            words = (words & low) | (((words >> np.uint64(bits << step)) & low) << np.uint64(8 << step))
        made[part] = np.ascontiguousarray(words).view(np.uint8)[:, :n]
    return made


def _some(rows: int, words: int) -> Iterator[slice]:
    step = max(1, _WORDS // max(words, 1))
    for at in range(0, rows, step):
        yield slice(at, min(at + step, rows))


def _fields(bits: int, width: int) -> np.uint64:
    """A word whose fields of `width` bits have their lowest `bits` set."""
    return np.uint64(sum(((1 << bits) - 1) << at for at in range(0, 64, width)))
