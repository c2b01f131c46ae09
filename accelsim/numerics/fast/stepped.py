"""Grids whose steps are no points of a table, but lie far apart: one comparison for each upper half of a float32."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import jit
from accelsim.numerics.fast import stepped_kernels
from accelsim.numerics.fast.codec import CHUNK, Draws, Floats
from accelsim.numerics.fast.grid import GridCodec
from accelsim.numerics.packing import Codes

_HALF = np.uint32(0xFFFF)


class SteppedCodec(GridCodec):
    """The engine of all grids with a faster way for small logarithmic ones."""

    @cached_property
    def _halves(self) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any]] | None:
        """The step within each upper half and the codes on both sides; None where some half has several.

        In the halves of infinity the step is infinity itself, and NaN, which no comparison holds for, lies below.
        """
        if self._only_rounded:  # -0 and the numbers beside it, of other codes, have the same upper half
            return None
        pattern = np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)
        inner, outer = pattern.view(np.float32), (pattern | _HALF).view(np.float32)
        positive = np.arange(1 << 16) < 1 << 15
        low, high = np.where(positive, inner, outer), np.where(positive, outer, inner)
        first, last = (np.searchsorted(self._steps32, end, side="right") for end in (low, high))
        infinite = np.isinf(inner)
        usual = ~np.isnan(low) & ~np.isnan(high)
        padded = np.append(self._steps32, np.float32(np.inf))
        found = padded[first]
        if (usual & (last > first) & (padded[last - 1] != found)).any():  # those beyond float32 fall together
            return None
        steps = np.where(infinite, inner, np.where(usual & (last > first), found, np.float32(np.inf)))
        below, above = self._search(low), self._search(high)
        below[infinite], above[infinite] = self._search(outer[infinite]), self._search(inner[infinite])
        return steps.astype(np.float32), below, above

    @cached_property
    def _half_values(self) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        return self._halves and (self._decoded32[self._halves[1]], self._decoded32[self._halves[2]])

    def encode(self, x: Floats, codes: Codes, draws: Draws | None = None) -> bool:
        """Write the codes of x; True if it met a NaN and the policy calls that an error."""
        if draws or x.dtype != np.float32 or not jit.enabled() or self._halves is None:
            return super().encode(x, codes, draws)
        jit.compiled(stepped_kernels.encode_by_step)(x, *self._halves, codes)
        return self._refused(x)

    def quantize(self, x: Floats, out: Floats, draws: Draws | None = None) -> bool:
        """Write the values that x rounds to; returns what `encode` does."""
        if draws or x.dtype != np.float32 or not jit.enabled():
            return super().quantize(x, out, draws)
        refused = self._refused(x)  # first: out may be x
        if self._halves is not None and self._half_values is not None:
            jit.compiled(stepped_kernels.quantize_by_step)(x, self._halves[0], *self._half_values, out)
            return refused
        codes = np.empty(min(x.size, CHUNK), dtype=self.code_dtype)
        for start in range(0, x.size, CHUNK):
            part = x[start : start + CHUNK]
            self.encode(part, codes[: part.size])
            self.decode(codes[: part.size], out[start : start + CHUNK])
        return refused
