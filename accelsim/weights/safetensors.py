"""Files of the safetensors kind, memory-mapped: a length, a header of JSON, and raw bytes.

Eight bytes give the header's length, little-endian; the header maps each tensor's name to its dtype, shape and place;
the rest are the tensors, in C order and little-endian, without holes and without overlap. The rules are those of the
format's description (github.com/huggingface/safetensors, README, "Format"); a header that breaks one is refused with
the name of the tensor that does.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import CheckpointError, did_you_mean
from accelsim.weights.checkpoint import Checkpoint, Entry
from accelsim.weights.storage import DTYPES, Storage, values

LONGEST_HEADER: Final = 100_000_000
"""Bytes; the format's own limit."""

_LENGTH_BYTES: Final = 8
_KEYS: Final = frozenset({"dtype", "shape", "data_offsets"})
_MOST_ELEMENTS: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor in a file.

    Attributes:
        storage: its dtype.
        shape: as stored.
        begin: offset of its first byte, counted from the end of the header.
        end: offset behind its last byte.
    """

    storage: Storage
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(path: str | os.PathLike[str]) -> Checkpoint:
    """The tensors of one file; only the header is read.

    Args:
        path: of the file. It stays mapped as long as the checkpoint, or an array from it, lives.

    Raises:
        CheckpointError: no such file, or a truncated or lying header, with the tensor's name.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size < _LENGTH_BYTES:
                raise CheckpointError(f"{file}: {size} bytes are too few for a safetensors file, which begins with 8")
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be read: {error.strerror}") from None
    start, header = _header(mapped, size, str(file))
    places = _places(header, size - start, str(file))
    data = np.frombuffer(mapped, dtype=np.uint8, offset=start)
    entries = {name: _entry(data, place) for name, place in places.items()}
    return Checkpoint(entries, origin=str(file), metadata=_metadata(header, str(file)))


def _entry(data: NDArray[np.uint8], place: Place) -> Entry:
    codes = partial(_stored, data, place) if place.storage.coded else None
    return Entry(place.shape, place.storage.name, place.end - place.begin, partial(_read, data, place), codes)


def _stored(data: NDArray[np.uint8], place: Place) -> NDArray[Any]:
    return data[place.begin : place.end].view(place.storage.stored).reshape(place.shape)


def _read(data: NDArray[np.uint8], place: Place) -> NDArray[Any]:
    """A tensor's numbers: a view of the file where they can be used as they lie, else a copy."""
    made = np.asarray(values(_stored(data, place), place.storage))
    usable = made.flags.aligned and made.dtype.isnative
    made = made if usable else made.astype(made.dtype.newbyteorder("="))
    made.flags.writeable = False
    return made


def _header(mapped: mmap.mmap, size: int, origin: str) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the header's object."""
    length = int.from_bytes(mapped[:_LENGTH_BYTES], "little")
    if length > LONGEST_HEADER:
        raise CheckpointError(
            f"{origin}: the header claims {length} bytes; at most {LONGEST_HEADER} are allowed: no safetensors file?"
        )
    start = _LENGTH_BYTES + length
    if start > size:
        raise CheckpointError(f"{origin}: the header claims {length} bytes, but the file ends after {size}: truncated?")
    text = mapped[_LENGTH_BYTES:start]
    if not text.startswith(b"{"):
        raise CheckpointError(f"{origin}: the header begins with {text[:1]!r}, not with '{{': no safetensors file")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=partial(_unique, origin))
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits is a ValueError, too
        raise CheckpointError(f"{origin}: the header is no JSON: {error}") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{origin}: the header is a {type(header).__name__}, not an object of tensors")
    return start, header


def _unique(origin: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise CheckpointError(f"{origin}: the header has {key!r} twice")
        made[key] = value
    return made


def _metadata(header: Mapping[str, Any], origin: str) -> Mapping[str, str]:
    given = header.get("__metadata__", {})
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise CheckpointError(f"{origin}: __metadata__ must map texts to texts")
    return given


def _places(header: Mapping[str, Any], data_bytes: int, origin: str) -> dict[str, Place]:
    """Every tensor's place, all of them together covering the data exactly."""
    places = {name: _place(name, value, origin) for name, value in header.items() if name != "__metadata__"}
    reached, before = 0, ""
    for name, place in sorted(places.items(), key=lambda item: (item[1].begin, item[1].end)):
        if place.begin < reached:
            raise CheckpointError(f"{origin}: tensor {name!r} begins at byte {place.begin}, inside {before!r}")
        if place.begin > reached:
            raise CheckpointError(f"{origin}: nothing uses bytes {reached} to {place.begin}, before tensor {name!r}")
        if place.end > data_bytes:
            raise CheckpointError(
                f"{origin}: tensor {name!r} ends at byte {place.end}, but there are {data_bytes}: truncated?"
            )
        reached, before = place.end, name
    if reached != data_bytes:
        raise CheckpointError(f"{origin}: {data_bytes - reached} bytes behind the last tensor belong to none")
    return places


def _place(name: str, value: Any, origin: str) -> Place:
    where = f"{origin}: tensor {name!r}"
    if not isinstance(value, dict) or set(value) != _KEYS:
        raise CheckpointError(f"{where}: expected an object with exactly the keys {', '.join(sorted(_KEYS))}")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    storage = DTYPES.get(dtype) if isinstance(dtype, str) else None
    if storage is None:
        hint = did_you_mean(str(dtype), DTYPES)
        raise CheckpointError(f"{where}: dtype {dtype!r} is not read{hint}; read are {', '.join(DTYPES)}")
    if not _whole(shape):
        raise CheckpointError(f"{where}: shape {shape!r} must be a list of whole numbers from 0 on")
    if not _whole(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise CheckpointError(f"{where}: data_offsets {offsets!r} must be two whole numbers, the end not first")
    count = 1
    for length in shape:
        count *= length
        if count > _MOST_ELEMENTS:
            raise CheckpointError(f"{where}: shape {shape} has more elements than any file")
    begin, end = offsets
    wanted = count * storage.stored.itemsize
    if end - begin != wanted:
        raise CheckpointError(
            f"{where}: {dtype} of shape {shape} takes {wanted} bytes, data_offsets span {end - begin}"
        )
    return Place(storage, tuple(shape), begin, end)


def _whole(value: Any) -> bool:
    return isinstance(value, list) and all(type(part) is int and part >= 0 for part in value)
