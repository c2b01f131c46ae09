"""The bytes of GGUF blocks, as llama.cpp's ggml-common.h and ggml-quants.c lay them out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def pack(layout: str, codes: Bytes, scales: NDArray[Any], fine: NDArray[Any] | None) -> Bytes:
    """[blocks, bytes] of [blocks, length] codes, scale codes, and [blocks, sub-blocks] scales within."""
    if layout == "q8_0":
        return np.concatenate([_halves(scales), codes], axis=1)
    if layout == "q4_0":
        return np.concatenate([_halves(scales), codes[:, :16] | (codes[:, 16:] << 4)], axis=1)
    assert fine is not None
    if layout == "q4_k":
        half = codes.reshape(-1, 4, 2, 32)
        nibbles = (half[:, :, 0] | (half[:, :, 1] << 4)).reshape(-1, 128)
        ends = [_halves(scales & np.uint32(0xFFFF)), _halves(scales >> np.uint32(16))]
        return np.concatenate([*ends, _pack_k4(fine), nibbles], axis=1)
    part = codes.reshape(-1, 2, 4, 32)
    low = np.stack([part[:, :, 0] & 15 | (part[:, :, 2] & 15) << 4, part[:, :, 1] & 15 | (part[:, :, 3] & 15) << 4], 2)
    high = part[:, :, 0] >> 4 | part[:, :, 1] >> 4 << 2 | part[:, :, 2] >> 4 << 4 | part[:, :, 3] >> 4 << 6
    return np.concatenate([low.reshape(-1, 128), high.reshape(-1, 64), fine, _halves(scales)], axis=1)


def unpack(layout: str, raw: Bytes) -> tuple[Bytes, NDArray[Any], NDArray[Any] | None]:
    """What `pack` packed."""
    if layout == "q8_0":
        return raw[:, 2:], _from_halves(raw[:, :2]), None
    if layout == "q4_0":
        return np.concatenate([raw[:, 2:] & 15, raw[:, 2:] >> 4], axis=1), _from_halves(raw[:, :2]), None
    if layout == "q4_k":
        nibbles = raw[:, 16:].reshape(-1, 4, 32)
        codes = np.stack([nibbles & 15, nibbles >> 4], axis=2).reshape(-1, 256)
        d, dmin = _from_halves(raw[:, :2]).astype(np.uint32), _from_halves(raw[:, 2:4]).astype(np.uint32)
        return codes, d | dmin << np.uint32(16), _unpack_k4(raw[:, 4:16])
    low, high = raw[:, :128].reshape(-1, 2, 2, 32), raw[:, 128:192].reshape(-1, 2, 32)
    quarters = [low[:, :, 0] & 15, low[:, :, 1] & 15, low[:, :, 0] >> 4, low[:, :, 1] >> 4]
    codes = np.stack([q | (high >> 2 * k & 3) << 4 for k, q in enumerate(quarters)], axis=2)
    return codes.reshape(-1, 256), _from_halves(raw[:, 208:]), raw[:, 192:208]


def _pack_k4(fine: NDArray[np.uint16]) -> Bytes:
    """Twelve bytes of eight 6-bit scales and minima: the upper two bits of the last four lie above the first four."""
    sc, m = (fine & 63).astype(np.uint8), (fine >> 6).astype(np.uint8)
    first = sc[:, :4] | sc[:, 4:] >> 4 << 6
    second = m[:, :4] | m[:, 4:] >> 4 << 6
    return np.concatenate([first, second, sc[:, 4:] & 15 | (m[:, 4:] & 15) << 4], axis=1)


def _unpack_k4(raw: Bytes) -> NDArray[np.uint16]:
    first, second, last = raw[:, :4], raw[:, 4:8], raw[:, 8:]
    sc = np.concatenate([first & 63, last & 15 | first >> 6 << 4], axis=1)
    m = np.concatenate([second & 63, last >> 4 | second >> 6 << 4], axis=1)
    made: NDArray[np.uint16] = sc.astype(np.uint16) | m.astype(np.uint16) << np.uint16(6)
    return made


def _halves(codes: NDArray[Any]) -> Bytes:
    return codes.astype("<u2").view(np.uint8).reshape(-1, 2)


def _from_halves(raw: Bytes) -> NDArray[np.uint16]:
    return np.ascontiguousarray(raw).reshape(-1).view("<u2").astype(np.uint16)
