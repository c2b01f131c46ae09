"""KIVI: keys share scales along tokens for each channel, values along channels for each token.

Liu et al., KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache, arXiv 2402.02750. Keys have channels that are
large for all tokens, values have not; and what shares a scale along tokens must wait until a group of tokens is full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import RequestError
from accelsim.formats import dataformat
from accelsim.numerics.encoded import Encoded


@dataclass(frozen=True, slots=True, eq=False)
class KiviCache:
    """A head's keys and values.

    Attributes:
        keys: of the tokens of full groups [tokens, head_dim], scales along tokens.
        values: of the same tokens, scales along head_dim.
        late_keys: [rest, head_dim] of the tokens whose group is not full, as given.
        late_values: the same of the values.
    """

    keys: Encoded
    values: Encoded
    late_keys: NDArray[Any]
    late_values: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Bytes stored, the late tokens in 16 bits."""
        return self.keys.nbytes + self.values.nbytes + 2 * (self.late_keys.size + self.late_values.size)

    def decoded(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Keys and values of all tokens."""
        pairs = ((self.keys, self.late_keys), (self.values, self.late_values))
        first, second = (np.concatenate((e.format.decode(e, np.float64), late)) for e, late in pairs)
        return first, second


def kivi(keys: ArrayLike, values: ArrayLike, *, bits: int = 2, group: int = 32) -> KiviCache:
    """The cache of one head.

    Args:
        keys: [tokens, head_dim].
        values: [tokens, head_dim].
        bits: of an element, 2 to 8; zero points have as many and scales are fp16.
        group: tokens, or channels, that share a scale.

    Raises:
        RequestError: other shapes, bits or groups.
    """
    k, v = np.asarray(keys), np.asarray(values)
    if k.ndim != 2 or k.shape != v.shape:
        raise RequestError(f"keys and values [tokens, head_dim] are needed, not {k.shape} and {v.shape}")
    if not 2 <= bits <= 8 or group < 1:
        raise RequestError(f"bits = {bits}, group = {group}: from 2 to 8 bits, and groups from 1 on, are allowed")
    full = len(k) // group * group
    form = dataformat(f"uint{bits}_g{group}_zp")
    return KiviCache(form.encode(k[:full], axis=0), form.encode(v[:full], axis=1), k[full:].copy(), v[full:].copy())
