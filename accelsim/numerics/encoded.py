"""An encoded tensor whose format owns scales: codes, and all that is needed to read them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.policy import Policy

if TYPE_CHECKING:
    from accelsim.numerics.format import DataFormat


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Immutable; its arrays are read-only.

    Attributes:
        codes: unsigned element codes, in the shape of the tensor; of an outlier, the code in its own format.
        scales: codes of the scales in the block grid's shape: that of the tensor with `axis` replaced by the number
            of blocks along it; () for one scale of the tensor; one code for each centroid; None where there is none.
        tensor_scale: what belongs to the whole tensor: a scale, or the exponent bias that was chosen; None where
            there is none.
        mask_or_indices: which elements are outliers, or which candidate a block chose; None where that means nothing.
        axis: along which elements share scales, counted from 0.
        shape: of the tensor.
        format: that made it and can read it.
        policy: under which it was made.
    """

    codes: NDArray[np.unsignedinteger[Any]]
    scales: NDArray[np.unsignedinteger[Any]] | None
    tensor_scale: float | None
    mask_or_indices: NDArray[Any] | None
    axis: int
    shape: tuple[int, ...]
    format: DataFormat
    policy: Policy

    def __post_init__(self) -> None:
        for name in ("codes", "scales", "mask_or_indices"):
            value = getattr(self, name)
            if value is not None:
                view = np.asarray(value).view()  # a scalar becomes an array without axes
                view.flags.writeable = False
                object.__setattr__(self, name, view)

    @property
    def nbytes(self) -> int:
        """Bytes when packed."""
        return self.format.storage_bytes(self.shape, self.axis)

    def transposed(self) -> Encoded | None:
        """The last two axes exchanged, of two; None where scales do not follow the shape. Tables have one axis."""
        parts = (self.scales, self.mask_or_indices)
        if len(self.shape) != 2 or any(part is not None and part.ndim > 2 for part in parts):
            return None
        scales, indices = (part if part is None or part.ndim < 2 else part.T for part in parts)
        return replace(
            self, codes=self.codes.T, scales=scales, mask_or_indices=indices, axis=1 - self.axis, shape=self.shape[::-1]
        )

    def sliced(self, axis: int, part: slice) -> Encoded | None:
        """Some elements along an axis that shares no scales; None where scales do not follow the shape."""
        at = axis % len(self.shape)
        parts = (self.scales, self.mask_or_indices)
        rank = len(self.shape)
        if at == self.axis or rank < 2 or any(x is not None and x.ndim not in (0, 1, rank) for x in parts):
            return None
        here = (*(slice(None),) * at, part)
        scales, indices = (x if x is None or x.ndim < 2 else x[here] for x in parts)
        codes = self.codes[here]
        return replace(self, codes=codes, scales=scales, mask_or_indices=indices, shape=codes.shape)
