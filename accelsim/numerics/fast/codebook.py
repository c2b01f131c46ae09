"""Codebooks: the engine of small grids, and digits that share a byte."""

from __future__ import annotations

import numpy as np

from accelsim.errors import RequestError
from accelsim.numerics import packing
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.codebook import CodebookGrid
from accelsim.spec.format import CodebookFormat


def build(record: CodebookFormat, policy: Policy, grid: CodebookGrid) -> GridCodec:
    """The codec of a codebook."""
    return DigitCodec(record, policy, grid) if record.digits_per_byte else GridCodec(grid, policy)


class DigitCodec(GridCodec):
    """Codes are digits of a number in base `levels`, several to a byte, the first one lowest."""

    def __init__(self, record: CodebookFormat, policy: Policy, grid: CodebookGrid) -> None:
        super().__init__(grid, policy)
        self._per_byte = record.digits_per_byte or 1
        self._weights = len(record.levels) ** np.arange(self._per_byte)
        self._base = len(record.levels)

    def pack(self, codes: Codes) -> bytes:
        """One byte per group of digits."""
        if codes.size and int(codes.max()) >= self._base:
            at = int(np.argmax(codes >= self._base))
            raise RequestError(f"code {int(codes[at])} at {at} is no digit: there are {self._base}")
        padded = np.zeros(self.storage_bytes(codes.size) * self._per_byte, dtype=np.int64)
        padded[: codes.size] = codes
        return (padded.reshape(-1, self._per_byte) @ self._weights).astype(np.uint8).tobytes()

    def unpack(self, data: bytes, count: int) -> Codes:
        """The digits of bytes."""
        numbers = np.frombuffer(data, np.uint8).astype(np.int64)
        most = self._base**self._per_byte
        if numbers.size and int(numbers.max()) >= most:
            raise RequestError(f"byte {int(numbers.max())} is no {self._per_byte} digits: they make 0 to {most - 1}")
        digits = numbers[:, None] // self._weights % self._base
        return digits.reshape(-1)[:count].astype(packing.code_dtype(self.bits))

    def storage_bytes(self, count: int) -> int:
        """Bytes of packed digits."""
        return -(-count // self._per_byte)
