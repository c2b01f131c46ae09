"""What a tensor's bytes mean: the dtypes of safetensors, and their exact values as binary32 or binary64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.formats import dataformat


@dataclass(frozen=True, slots=True)
class Storage:
    """A dtype of the file format.

    Attributes:
        name: of our format; for integers beyond 8 bits, which are indices and packed codes, numpy's.
        stored: numpy's dtype of the bytes, little-endian; unsigned codes where numpy has no such number.
        coded: whether the bytes are codes of the format `name`.
    """

    name: str
    stored: np.dtype[Any]
    coded: bool = False


DTYPES: Final[Mapping[str, Storage]] = {
    "F64": Storage("float64", np.dtype("<f8")),
    "F32": Storage("fp32", np.dtype("<f4")),
    "F16": Storage("fp16", np.dtype("<f2")),
    "BF16": Storage("bf16", np.dtype("<u2"), coded=True),
    "F8_E4M3": Storage("fp8_e4m3", np.dtype("u1"), coded=True),
    "F8_E5M2": Storage("fp8_e5m2", np.dtype("u1"), coded=True),
    "I8": Storage("int8", np.dtype("i1")),
    "U8": Storage("uint8", np.dtype("u1")),
    "BOOL": Storage("bool", np.dtype("?")),
    "I16": Storage("int16", np.dtype("<i2")),
    "I32": Storage("int32", np.dtype("<i4")),
    "I64": Storage("int64", np.dtype("<i8")),
}
"""Those that are read, by their name in the header."""


def values(raw: NDArray[Any], storage: Storage) -> NDArray[Any]:
    """The numbers of stored elements: as they are, or codes decoded to binary32, which holds every one of them."""
    if not storage.coded:
        return raw
    if storage.name == "bf16":
        return (raw.astype(np.uint32) << np.uint32(16)).view(np.float32)
    made: NDArray[np.float32] = _table(storage.name)[raw]
    return made


@cache
def _table(name: str) -> NDArray[np.float32]:
    return np.asarray(dataformat(name).decode(np.arange(256, dtype=np.uint8), np.float32))
