"""Normal elements and a list of outliers, on arrays."""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import packing
from accelsim.numerics.fast import odd, outlier_bytes, outlier_search, tiles
from accelsim.numerics.fast.codec import Draws, ElementCodec, Floats, widened
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.outlier_list import CentroidGrid, OutlierListReference, normal_policy
from accelsim.spec.format import OutlierListFormat


def build(record: OutlierListFormat, policy: Policy | str | None) -> OutlierListCodec:
    """The codec of a format with a list of outliers."""
    return OutlierListCodec(record, policy)


class OutlierListCodec(ScaledCodec):
    """See `OutlierListFormat` and its reference; `Parts.indices` marks outliers, whose codes are those of their format.

    With centroids, `Parts.scales` has the code of each; otherwise the scale is the tensor's and may be given.
    """

    of_tensor = True

    def __init__(self, record: OutlierListFormat, policy: Policy | str | None) -> None:
        from accelsim.numerics import registry  # it finds this module

        self.record, self.reference = record, OutlierListReference(record)
        self.policy = policy_of(policy, self.reference, record.name)
        self.normal = registry.element_codec(record.normal, normal_policy(self.policy))
        self.outlier = registry.element_codec(record.outlier, self.policy)
        self.dictionary = registry.element_codec(record.dictionary, blocks.SCALES)
        self.bits = max(record.normal.bits, record.outlier.bits)
        self.code_dtype = packing.code_dtype(self.bits)
        self.settings = () if record.centroids else ("tensor_scale",)
        self.wide = not record.centroids or self.dictionary.wide or self.outlier.wide

    @cached_property
    def _ends(self) -> tuple[float, float]:
        return float(self.reference.normal.smallest), float(self.reference.normal.largest)

    # codes

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes, marks of outliers, and the scale or the centroids."""
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.record.name)
        wide = widened(x).reshape(-1)
        if self.record.centroids:
            return self._by_centroids(wide, x.shape, draws)
        cut, scale = self._chosen(wide, settings.get("tensor_scale"))
        marks = outlier_search.marked(wide, Fraction(0), cut, self.record)
        quotients = np.empty_like(wide)
        for _, part in tiles.tiles(1, wide.size):  # in the cache
            quotients[part] = odd.quotient(wide[part], np.float64(scale))
        codes = self._codes(quotients, marks, self.normal, draws)
        return Parts(codes.reshape(x.shape), None, scale, marks.reshape(x.shape))

    def _by_centroids(self, x: NDArray[np.float64], shape: tuple[int, ...], draws: Draws | None) -> Parts:
        centre, cut = outlier_search.gaussian(x, self.reference)
        marks = outlier_search.marked(x, centre, cut, self.record)
        normal = x[~marks]
        levels = outlier_search.fitted(normal[np.isfinite(normal)], self.reference)
        values = [self.reference.level(code) for code in levels]
        grid = GridCodec(CentroidGrid(self.record.bits, values), self.normal.policy)
        codes = self._codes(x, marks, grid if len(set(values)) > 1 else None, draws)
        made = np.array(levels, dtype=self.dictionary.code_dtype)
        return Parts(codes.reshape(shape), made, None, marks.reshape(shape))

    def _codes(
        self, x: NDArray[np.float64], marks: NDArray[np.bool_], normal: ElementCodec | None, draws: Draws | None
    ) -> Codes:
        made = np.zeros(x.size, dtype=self.code_dtype)
        if normal is not None:
            narrow = np.empty(x.size, dtype=normal.code_dtype)
            normal.encode(x, narrow, draws)
            made[...] = narrow
        if marks.any():
            far = np.empty(int(marks.sum()), dtype=self.outlier.code_dtype)
            picked = None
            if draws is not None:
                drawn = draws(0, x.size)[marks]
                picked = lambda first, count: drawn[first : first + count]  # noqa: E731  # a closure of one line
            self.outlier.encode(x[marks], far, picked)
            if self.record.layout == "chunk":
                value = np.empty(far.size)
                self.outlier.decode(far, value)
                keep = (value < self._ends[0]) | (value > self._ends[1])
                marks[marks] = keep
                far = far[keep]
            made[marks] = far
        return made

    def _chosen(self, x: NDArray[np.float64], given: float | None) -> tuple[Fraction, float]:
        if given is not None:
            scale = float(self.reference.level(outlier_search.code(self.dictionary, given)))
            if scale <= 0:
                raise RequestError(f"tensor_scale = {given}: must be a positive {self.record.dictionary.name}")
            return Fraction(scale) * self.reference.limit, scale
        magnitudes = np.where(np.isnan(x), -1.0, np.abs(x))
        left = self.record.room(x.size)
        cut = 0.0
        if left < x.size:
            rest = np.partition(magnitudes, x.size - left - 1)[: x.size - left]
            cut = float(rest[np.isfinite(rest)].max(initial=0.0))
        finite = magnitudes[np.isfinite(magnitudes)]
        top, limit = (
            (cut, self.reference.limit) if cut > 0 else (finite.max(initial=0.0), blocks.limit(self.reference.outlier))
        )
        return Fraction(cut), float(self.reference.positive(Fraction(max(float(top), 0.0)) / limit))

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of parts into [rows, n]."""
        assert parts.indices is not None
        codes, marks = parts.codes.reshape(-1), parts.indices.reshape(-1).astype(bool)
        made = np.empty(codes.size)
        narrow = np.where(marks, 0, codes)
        if parts.scales is not None:
            made[...] = self._levels(parts.scales.reshape(-1))[narrow]
        else:
            self.normal.decode(narrow.astype(self.normal.code_dtype), made)
        if marks.any():
            far = np.empty(int(marks.sum()))
            self.outlier.decode(codes[marks].astype(self.outlier.code_dtype), far)
            made[marks] = far
        with np.errstate(over="ignore"):
            out[...] = (made if parts.tensor_scale is None else made * parts.tensor_scale).reshape(out.shape)

    def _levels(self, codes: Codes) -> NDArray[np.float64]:
        levels = np.empty(codes.size)
        self.dictionary.decode(np.ascontiguousarray(codes, dtype=self.dictionary.code_dtype), levels)
        return levels

    # bytes

    def pack(self, parts: Parts) -> bytes:
        """The centroids or the scale, then pages as the layout has them."""
        assert parts.indices is not None
        if parts.scales is not None:
            top = np.ascontiguousarray(parts.scales.reshape(-1), dtype=self.dictionary.code_dtype)
        else:
            assert parts.tensor_scale is not None
            found = outlier_search.code(self.dictionary, parts.tensor_scale)
            top = np.array([found], dtype=self.dictionary.code_dtype)
        codes, marks = parts.codes.reshape(-1), parts.indices.reshape(-1).astype(bool)
        return self.dictionary.pack(top) + outlier_bytes.pack(self.record, codes, marks)

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        count = self._dictionary_size
        cut = self.dictionary.storage_bytes(count)
        top = self.dictionary.unpack(data[:cut], count)
        codes, marks = outlier_bytes.unpack(self.record, data[cut:], rows * n, self._ends)
        codes, marks = codes.astype(self.code_dtype).reshape(rows, n), marks.reshape(rows, n)
        if self.record.centroids:
            return Parts(codes, top, None, marks)
        return Parts(codes, None, float(self._levels(top)[0]), marks)

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of the centroids or the scale, all codes, and the room for outliers."""
        return self.dictionary.storage_bytes(self._dictionary_size) + outlier_bytes.size(self.record, rows * n)

    @property
    def _dictionary_size(self) -> int:
        return 1 << self.record.bits if self.record.centroids else 1
