"""The bytes of a list of outliers: the two layouts of `OutlierListFormat`, without what stands before them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import packing
from accelsim.numerics.packing import Codes
from accelsim.spec.format import OutlierListFormat
from accelsim.spec.format.outliers import COUNT_BITS

_Marks = NDArray[np.bool_]


def size(record: OutlierListFormat, count: int) -> int:
    """Bytes of so many elements."""
    pages = -(-count // record.page)
    if record.layout == "chunk":
        return packing.packed_bytes(pages, _chunk_bits(record))
    room = int(_rooms(record, count).sum())
    stream = packing.packed_bytes(count, record.bits) + pages * COUNT_BITS // 8
    return stream + packing.packed_bytes(room, record.index_bits) + packing.packed_bytes(room, record.outlier.bits)


def pack(record: OutlierListFormat, codes: Codes, marks: _Marks) -> bytes:
    """Flat codes, of outliers where they are marked, as bytes."""
    return _chunks(record, codes, marks) if record.layout == "chunk" else _list(record, codes, marks)


def unpack(record: OutlierListFormat, data: bytes, count: int, ends: tuple[float, float]) -> tuple[Codes, _Marks]:
    """Flat codes, and which are those of outliers.

    Args:
        record: the format.
        data: exactly `size(record, count)` bytes.
        count: elements.
        ends: smallest and largest normal element; in a chunk, outliers are what lies beyond.

    Raises:
        RequestError: more outliers in a page than it has room for, or places beyond its end.
    """
    return _from_chunks(record, data, count, ends) if record.layout == "chunk" else _from_list(record, data, count)


def _rooms(record: OutlierListFormat, count: int) -> NDArray[np.int64]:
    """The outliers that each page has room for."""
    whole, rest = divmod(count, record.page)
    return np.array([record.room(record.page)] * whole + [record.room(rest)] * (rest > 0), dtype=np.int64)


def _list(record: OutlierListFormat, codes: Codes, marks: _Marks) -> bytes:
    rooms = _rooms(record, codes.size)
    at = np.flatnonzero(marks)
    counts = np.bincount(at // record.page, minlength=len(rooms)) if len(rooms) else rooms
    slots = _slots(rooms, counts)
    places, far = np.zeros(int(rooms.sum()), dtype=np.uint32), np.zeros(int(rooms.sum()), dtype=np.uint32)
    places[slots], far[slots] = at % record.page, codes[at]
    normal = np.where(marks, 0, codes)
    parts = (packing.pack(normal, record.bits), counts.astype("<u4").tobytes())
    return b"".join((*parts, packing.pack(places, record.index_bits), packing.pack(far, record.outlier.bits)))


def _from_list(record: OutlierListFormat, data: bytes, count: int) -> tuple[Codes, _Marks]:
    rooms = _rooms(record, count)
    room = int(rooms.sum())
    cuts = np.cumsum([
        packing.packed_bytes(count, record.bits), len(rooms) * COUNT_BITS // 8,
        packing.packed_bytes(room, record.index_bits),
    ]).tolist()  # fmt: skip
    codes = packing.unpack(data[: cuts[0]], record.bits, count).astype(np.uint32)
    counts = np.frombuffer(data[cuts[0] : cuts[1]], "<u4").astype(np.int64)
    places = packing.unpack(data[cuts[1] : cuts[2]], record.index_bits, room)
    far = packing.unpack(data[cuts[2] :], record.outlier.bits, room)
    if (counts > rooms).any():
        page = int(np.flatnonzero(counts > rooms)[0])
        raise RequestError(f"page {page} says {counts[page]} outliers, and has room for {rooms[page]}")
    slots = _slots(rooms, counts)
    at = places[slots].astype(np.int64) + np.repeat(np.arange(len(rooms)), counts) * record.page
    if (at >= count).any():
        raise RequestError(f"an outlier stands at {int(at.max())}, behind the last of {count} elements")
    marks = np.zeros(count, dtype=bool)
    marks[at], codes[at] = True, far[slots]
    return codes, marks


def _slots(rooms: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which places of the list are taken: the first ones of each page's room."""
    starts = np.cumsum(rooms) - rooms
    within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(starts, counts) + within


# chunks


def _chunk_bits(record: OutlierListFormat) -> int:
    more = record.outlier.bits - record.bits
    return record.page * record.bits + record.pointer_bits + record.index_bits + more


def _chunks(record: OutlierListFormat, codes: Codes, marks: _Marks) -> bytes:
    pages, low = -(-codes.size // record.page), record.bits
    padded = np.zeros(pages * record.page, dtype=np.int64)
    padded[: codes.size] = codes
    place = np.zeros(pages, dtype=np.int64)
    at = np.flatnonzero(marks)
    place[at // record.page] = at % record.page
    first = np.arange(pages) * record.page + place
    upper = -(padded[first] >> low - 1 & 1) & (1 << record.outlier.bits - low) - 1
    upper[at // record.page] = padded[at] >> low
    bits = np.zeros((pages, _chunk_bits(record)), dtype=np.uint8)
    cut = record.page * low
    bits[:, :cut] = _bits(padded, low).reshape(pages, cut)
    cut += record.pointer_bits
    bits[:, cut : cut + record.index_bits] = _bits(place, record.index_bits)
    bits[:, cut + record.index_bits :] = _bits(upper, record.outlier.bits - low)
    return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


def _from_chunks(record: OutlierListFormat, data: bytes, count: int, ends: tuple[float, float]) -> tuple[Codes, _Marks]:
    pages, low, wide = -(-count // record.page), record.bits, record.outlier.bits
    width = _chunk_bits(record)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=pages * width, bitorder="little").reshape(pages, width)
    cut = record.page * low
    codes = _numbers(bits[:, :cut].reshape(-1, low))
    cut += record.pointer_bits
    place = _numbers(bits[:, cut : cut + record.index_bits])
    at = np.arange(pages) * record.page + place
    far = codes[at] | _numbers(bits[:, cut + record.index_bits :]) << low
    value = far - ((far >> wide - 1) << wide)
    outlier = ((value < ends[0]) | (value > ends[1])) & (at < count)
    marks = np.zeros(codes.size, dtype=bool)
    marks[at[outlier]], codes[at[outlier]] = True, far[outlier]
    return codes[:count].astype(np.uint32), marks[:count]


def _bits(numbers: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """[count, width] bits, the lowest first."""
    return (numbers[:, None] >> np.arange(width) & 1).astype(np.uint8)


def _numbers(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    made: NDArray[np.int64] = bits.astype(np.int64) @ (np.int64(1) << np.arange(bits.shape[1]))
    return made
