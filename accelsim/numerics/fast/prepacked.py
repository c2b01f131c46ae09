"""FP6-LLM's layout: planes of 1, 2 and 4 bits in the order in which threads of a tensor core take them.

The layout is that of weight_prepacking.h of FP6-LLM (Xia et al., USENIX ATC 2024), in other words: an element's row is
64 i + 16 k + 8 h + r and its place in the row 16 j + 8 c + 2 t + e; thread 4 r + t meets it at (i, j, k, c, h, e).
"""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.fast.block import BlockCodec
from accelsim.numerics.fast.scaled import Parts
from accelsim.numerics.policy import Policy
from accelsim.spec.format import PrepackedFormat
from accelsim.spec.format.prepacked import TILE

_SPLIT = (4, 2, 8, 2, 4, 2)  # k, h, r of the rows of a tile, c, t, e of 16 elements of a row
_WORD = 32


def build(record: PrepackedFormat, policy: Policy | str | None) -> PrepackedCodec:
    """The codec of a prepacked format."""
    return PrepackedCodec(record, policy)


class PrepackedCodec(BlockCodec):
    """A block codec with other bytes."""

    def pack(self, parts: Parts) -> bytes:
        """The planes of all codes, then the scales."""
        rows, n = parts.codes.shape
        codes = np.pad(parts.codes, ((0, -rows % TILE), (0, -n % TILE))).astype(np.uint32)
        threads = _by_thread(codes)
        planes = (_words(threads >> np.uint32(low) & np.uint32((1 << width) - 1), width) for low, width in self._planes)
        return b"".join(planes) + self.rules.scale.pack(np.asarray(parts.scales).reshape(-1))

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        high, wide = rows + -rows % TILE, n + -n % TILE
        threads, start = np.zeros((_WORD, high * wide // _WORD), dtype=np.uint32), 0
        for low, width in self._planes:
            stop = start + high * wide * width // 8
            threads |= _fragments(data[start:stop], width) << np.uint32(low)
            start = stop
        codes = np.ascontiguousarray(_by_place(threads, high, wide)[:rows, :n].astype(self.code_dtype))
        shape = (rows, 1 if n else 0)
        return Parts(codes, self.rules.scale.unpack(data[start:], rows * shape[1]).reshape(shape))

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of whole tiles and of the scales."""
        high, wide = rows + -rows % TILE, n + -n % TILE
        return high * wide * self.bits // 8 + self.rules.scale.storage_bytes(rows if n else 0)

    @property
    def _planes(self) -> list[tuple[int, int]]:
        """(lowest bit, width) of each plane, the uppermost first."""
        widths = [width for width in (1, 2, 4) if self.bits & width]
        return [(self.bits - end, width) for end, width in zip(accumulate(widths), widths, strict=True)]


def _by_thread(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """[32 threads, codes of each] of [rows, n]."""
    rows, n = codes.shape
    k, h, r, c, t, e = _SPLIT
    split = codes.reshape(rows // TILE, k, h, r, n // 16, c, t, e)
    return np.ascontiguousarray(split.transpose(3, 6, 0, 4, 1, 5, 2, 7)).reshape(_WORD, rows * n // _WORD)


def _by_place(threads: NDArray[np.uint32], rows: int, n: int) -> NDArray[np.uint32]:
    """The [rows, n] of `_by_thread`."""
    k, h, r, c, t, e = _SPLIT
    split = threads.reshape(r, t, rows // TILE, n // 16, k, c, h, e)
    return np.ascontiguousarray(split.transpose(2, 4, 6, 0, 3, 5, 1, 7)).reshape(rows, n)


def _order(width: int) -> list[int]:
    """Which fragment of a word stands first, second, ...: those that one shift brings into place are neighbours."""
    return [i for first in (1, 3, 0, 2) for i in range(first, _WORD // width, 4)]


def _shifts(width: int) -> NDArray[np.uint32]:
    return np.arange(_WORD - width, -1, -width, dtype=np.uint32)


def _words(fragments: NDArray[np.uint32], width: int) -> bytes:
    """[threads, fragments] as words, those of all threads side by side."""
    taken = fragments.reshape(_WORD, -1, _WORD // width)[:, :, _order(width)]
    words = np.bitwise_or.reduce(taken << _shifts(width), axis=2)
    return np.ascontiguousarray(words.T, dtype="<u4").tobytes()


def _fragments(data: bytes, width: int) -> NDArray[np.uint32]:
    """[threads, fragments] of the words of a plane."""
    words = np.frombuffer(data, "<u4").reshape(-1, _WORD).T.astype(np.uint32)
    taken = words[:, :, None] >> _shifts(width) & np.uint32((1 << width) - 1)
    made = np.empty_like(taken)
    made[:, :, _order(width)] = taken
    return made.reshape(_WORD, -1)
