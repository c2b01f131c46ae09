"""Outlier-victim pairs on arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import packing
from accelsim.numerics.fast import odd, tiles
from accelsim.numerics.fast.codec import Draws, Floats, widened
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.outlier_pair import OUTWARD, OutlierPairReference
from accelsim.spec.format import OutlierPairFormat

_NEAR: Final = 1e-10


def build(record: OutlierPairFormat, policy: Policy | str | None) -> OutlierPairCodec:
    """The codec of a format of pairs."""
    return OutlierPairCodec(record, policy)


class OutlierPairCodec(ScaledCodec):
    """See `OutlierPairFormat`; `Parts.indices` marks outliers, the scale is the tensor's and may be given."""

    settings = ("tensor_scale",)
    wide = True

    def __init__(self, record: OutlierPairFormat, policy: Policy | str | None) -> None:
        from accelsim.numerics import registry  # it finds this module

        self.record, self.reference = record, OutlierPairReference(record)
        self.policy = policy_of(policy, self.reference, record.name)
        rules = replace(self.policy, zero="positive", infinity="overflow", overflow="saturate")
        self.normal = registry.element_codec(record.normal, rules)
        self.outlier = registry.element_codec(record.outlier, rules)
        self.scale = registry.element_codec(record.scale, blocks.SCALES)
        self.bits, self.code_dtype = record.bits, self.normal.code_dtype
        self._edge = float(self.reference.edge)

    def _code(self, scale: float) -> int:
        codes = np.empty(1, dtype=self.scale.code_dtype)
        self.scale.encode(np.array([scale]), codes)
        return int(codes[0])

    def _chosen(self, x: Floats, given: float | None) -> float:
        if given is not None:
            scale = float(self.reference.scale.value(self._code(given)))  # type: ignore[arg-type]
            if scale <= 0:
                raise RequestError(f"tensor_scale = {given}: must be a positive {self.record.scale.name}")
            return scale
        finite = widened(x[np.isfinite(x)])
        if not finite.any():
            return 1.0
        with np.errstate(over="ignore"):
            wanted = (abs(finite.mean()) + 3 * finite.std()) / float(self.reference.limit)
        if np.isfinite(wanted):
            low, high = self._code(wanted * (1 - _NEAR)), self._code(wanted * (1 + _NEAR))
            if low == high:
                return float(self.reference.positive(low))
        return float(self.reference.chosen([tiles.exact(v) for v in x.reshape(-1).tolist()]))

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes, the tensor's scale, and marks of outliers."""
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.record.name)
        scale = self._chosen(x, settings.get("tensor_scale"))
        codes, marks = np.empty(x.shape, dtype=self.code_dtype), np.zeros(x.shape, dtype=bool)
        for r, c in tiles.tiles(x.shape[0], x.shape[1], 2):
            start = r.start * x.shape[1] + c.start
            source = None if draws is None else lambda first, count, at=start: draws(at + first, count)
            codes[r, c], marks[r, c] = self._tile(odd.quotient(widened(x[r, c]), np.float64(scale)), source)
        return Parts(codes, None, scale, marks)

    def _tile(self, q: NDArray[np.float64], draws: Draws | None) -> tuple[Codes, NDArray[np.bool_]]:
        normal = np.empty(q.size, dtype=self.code_dtype)
        self.normal.encode(q.reshape(-1), normal, draws)
        codes = normal.reshape(q.shape)
        magnitude = np.where(np.isnan(q), 0.0, np.abs(q))
        mark = magnitude >= self._edge if self.policy.rounding in OUTWARD else magnitude > self._edge
        whole = q.shape[1] // 2 * 2
        mark[:, whole:] = False
        first, second = mark[:, 0:whole:2], mark[:, 1:whole:2]
        both = first & second
        later = both & (magnitude[:, 1:whole:2] > magnitude[:, 0:whole:2])
        if self.record.both == "first":
            later &= False
        first &= ~later
        second &= ~both | later
        if mark.any():
            wide = np.empty(int(mark.sum()), dtype=self.code_dtype)
            self.outlier.encode(q[mark], wide, self._picked(mark, draws))
            codes[mark] = wide
            victims = np.zeros_like(mark)
            victims[:, 0:whole:2], victims[:, 1:whole:2] = second, first
            codes[victims] = self.record.identifier
        return codes, mark

    @staticmethod
    def _picked(mark: NDArray[np.bool_], draws: Draws | None) -> Draws | None:
        if draws is None:
            return None
        drawn = draws(0, mark.size)[mark.reshape(-1)]
        return lambda first, count: drawn[first : first + count]

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of parts into [rows, n]."""
        assert parts.tensor_scale is not None
        rows, n = parts.codes.shape
        for r, c in tiles.tiles(rows, n, 2):
            codes = np.ascontiguousarray(parts.codes[r, c])
            normal, wide = np.empty(codes.size), np.empty(codes.size)
            self.normal.decode(codes.reshape(-1), normal)
            self.outlier.decode(codes.reshape(-1), wide)
            outlier = self._beside(codes)
            made = np.where(outlier, np.nan_to_num(wide.reshape(codes.shape)), normal.reshape(codes.shape))
            whole = codes.shape[1] // 2 * 2
            victim = codes == self.record.identifier
            victim[:, whole:] = False
            with np.errstate(over="ignore"):
                out[r, c] = np.where(victim, 0.0, made) * parts.tensor_scale

    def _beside(self, codes: Codes) -> NDArray[np.bool_]:
        """Elements whose partner is an identifier."""
        made = np.zeros(codes.shape, dtype=bool)
        whole = codes.shape[1] // 2 * 2
        victim = codes == self.record.identifier
        made[:, 0:whole:2], made[:, 1:whole:2] = victim[:, 1:whole:2], victim[:, 0:whole:2]
        return made

    # bytes

    def pack(self, parts: Parts) -> bytes:
        """Codes in one stream of bits, then the tensor's scale."""
        assert parts.tensor_scale is not None
        code = np.array([self._code(parts.tensor_scale)], dtype=self.scale.code_dtype)
        return packing.pack(parts.codes, self.bits) + self.scale.pack(code)

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        cut = packing.packed_bytes(rows * n, self.bits)
        codes = packing.unpack(data[:cut], self.bits, rows * n).reshape(rows, n)
        scale = np.empty(1)
        self.scale.decode(self.scale.unpack(data[cut:], 1), scale)
        marks = self._beside(codes) & (codes != self.record.identifier)
        return Parts(codes, None, float(scale[0]), marks)

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of codes and the tensor's scale."""
        return packing.packed_bytes(rows * n, self.bits) + self.scale.storage_bytes(1)
