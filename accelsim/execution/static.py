"""Scales of whole tensors that are known before the run: the largest magnitude on calibration text decides."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.execution.stored import Stored, converter, decoded, store, valued
from accelsim.numerics import registry
from accelsim.numerics.encoded import Encoded
from accelsim.spec.format import BlockFormat, Format

Array = NDArray[Any]
Key = tuple[str, int | None, str]


class StaticScales:
    """One scale for every operator, layer and tensor.

    While it learns, tensors are scaled by their own numbers, and the largest magnitudes are kept; afterwards elements
    beyond them saturate.
    """

    def __init__(self) -> None:
        self._peaks: dict[Key, float] = {}
        self.learns = True

    def store(self, x: Array, form: Format | None, key: Key, where: str) -> Stored:
        """A tensor rounded to its storage format at the scale that is known; formats without scales as ever.

        Args:
            x: of any shape.
            form: storage format.
            key: operator, layer and tensor.
            where: the tensor, for errors.

        Raises:
            RequestError: a tensor that the calibration did not meet, or NaN.
        """
        named = None if form is None else valued(form, whole=True)
        if not isinstance(named, BlockFormat) or named.granularity != "tensor":
            return store(x, form, where)
        if self.learns:
            self._peaks[key] = max(self._peaks.get(key, 0.0), float(np.abs(x).max(initial=0)))
            return store(x, named, where)
        if key not in self._peaks:
            raise RequestError(f"{where}: calibration text has not met it; give more of it")
        scale, step = _scale(named, self._peaks[key])
        codec: Any = registry.codec(named, converter(named).policy)
        rows = np.ascontiguousarray(x.reshape(1, -1))
        if np.isnan(rows).any():
            raise RequestError(f"{where}: {int(np.isnan(rows).sum())} NaN")
        codes = codec.codes_at(rows, scale).reshape(x.shape)
        encoded = Encoded(
            codes=codes, scales=scale.reshape(()), tensor_scale=None, mask_or_indices=None, axis=x.ndim - 1,
            shape=x.shape, format=converter(named), policy=converter(named).policy,
        )  # fmt: skip
        clipped = int(np.count_nonzero(np.abs(x) > np.float64(self._peaks[key]) + step))
        return Stored(decoded(encoded).astype(x.dtype), encoded, clipped)


@cache
def _scale(form: BlockFormat, peak: float) -> tuple[Array, float]:
    """The code [1, 1] of the scale of a largest magnitude, and half a step there: what is beyond saturates."""
    codec: Any = registry.codec(form, converter(form).policy)
    made = codec.plain_rows(np.array([[peak]]))
    value = float(codec.rules.values(made.scales)[0, 0])
    values = np.sort(codec.element.decoded[np.isfinite(codec.element.decoded)])
    return made.scales, value * float(values[-1] - values[-2]) / 2


def refuse_own_scales(form: Format) -> None:
    """Refuse activations whose scales are found for each token or block.

    Raises:
        RequestError: with the format to name in its place.
    """
    made = valued(form, whole=True)
    if made.scaled and not (isinstance(made, BlockFormat) and made.granularity == "tensor" and not made.zero_point):
        element = made.structure.element
        near = f": name {element.name}_tensor" if element is not None and not element.scaled else ""
        raise RequestError(
            f"scales = 'static' with activations in {form.name}: its scales are found for each token or block "
            f"at run time; static are those of whole tensors{near}"
        )
