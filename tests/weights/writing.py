"""Files of the safetensors kind, written by the letter of the format, and bent where a test wants it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

ITEM = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I16": 2, "I32": 4, "I64": 8}


def header_of(tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    """The header of tensors that follow each other."""
    made, at = {}, 0
    for name, (dtype, shape) in tensors.items():
        end = at + math.prod(shape) * ITEM.get(dtype, 1)
        made[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    return made


def write(path: Path, tensors: Mapping[str, tuple[str, Any]], metadata: dict[str, str] | None = None) -> Path:
    """A file of arrays whose bytes are those of the dtype beside them."""
    arrays = {name: np.asarray(array) for name, (_, array) in tensors.items()}
    header = header_of({name: (dtype, arrays[name].shape) for name, (dtype, _) in tensors.items()})
    if metadata is not None:
        header = {"__metadata__": metadata, **header}
    return raw(path, padded(header), b"".join(array.tobytes() for array in arrays.values()))


def padded(header: dict[str, Any]) -> bytes:
    """The header as text, with spaces behind it so that the data begins at a multiple of eight bytes."""
    text = json.dumps(header).encode()
    return text + b" " * (-len(text) % 8)


def raw(path: Path, header: bytes, data: bytes, length: int | None = None) -> Path:
    """A file of this header and these bytes; `length` is what it claims for the header."""
    path.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header + data)
    return path


def bf16(values: Any) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """The upper halves of binary32 numbers."""
    return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)
