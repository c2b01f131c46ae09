"""Weights by name, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.errors import CheckpointError, RequestError, did_you_mean
from accelsim.numerics.encoded import Encoded

Stored = NDArray[Any] | Encoded
"""What a tensor is read as: numbers, or codes and scales of a format that owns scales."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor that has not been read.

    Attributes:
        shape: of its numbers.
        dtype: name of the format that it is stored in (`bf16`, `fp8_e4m3`, `mxfp4`, ...).
        nbytes: that it takes where it is stored, scales included.
        read: gives its numbers or its `Encoded`; read-only arrays.
        codes: gives the codes of a float format that numpy lacks as they are stored; None for other tensors.
    """

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    read: Callable[[], Stored]
    codes: Callable[[], NDArray[np.unsignedinteger[Any]]] | None = None


class Checkpoint(Mapping[str, Stored]):
    """Tensors by their names; immutable, and lazy: `checkpoint[name]` reads the tensor anew each time.

    Numbers come in the narrowest of binary16, binary32 and binary64 that holds them (bf16 and FP8 as binary32) and in
    the file's orientation; integers as integers.

    Args:
        entries: the tensors.
        origin: what errors call it, such as the file.
        metadata: texts beside the tensors.

    Attributes:
        origin: as given.
        metadata: as given.
    """

    __slots__ = ("_entries", "metadata", "origin")

    def __init__(self, entries: Mapping[str, Entry], *, origin: str, metadata: Mapping[str, str] | None = None) -> None:
        self._entries = dict(entries)
        self.origin = origin
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))

    @property
    def names(self) -> tuple[str, ...]:
        """Of all tensors, in the order in which they are stored or made."""
        return tuple(self._entries)

    def entry(self, name: str) -> Entry:
        """A tensor without reading it.

        Raises:
            CheckpointError: there is none of that name.
        """
        found = self._entries.get(name)
        if found is None:
            raise CheckpointError(f"{self.origin}: no tensor {name!r}{did_you_mean(name, self._entries)}")
        return found

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor.

        Raises:
            CheckpointError: there is none of that name.
        """
        return self.entry(name).shape

    def dtype(self, name: str) -> str:
        """The name of the format that a tensor is stored in.

        Raises:
            CheckpointError: there is none of that name.
        """
        return self.entry(name).dtype

    def array(self, name: str, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """The numbers of a tensor, decoded where they are codes; read-only.

        Args:
            name: of the tensor.
            dtype: float32 or float64.

        Raises:
            CheckpointError: there is none of that name.
            RequestError: another dtype.
        """
        wanted = np.dtype(dtype)
        if wanted not in (np.float32, np.float64):
            raise RequestError(f"array({name!r}, dtype={wanted}): float32 or float64")
        found = self.entry(name).read()
        if isinstance(found, Encoded):
            made: NDArray[Any] = found.format.decode(found, wanted)
        else:
            made = found.astype(wanted, copy=False)
        made.flags.writeable = False
        return made

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors where they are stored."""
        return sum(entry.nbytes for entry in self._entries.values())

    def with_entries(self, changed: Mapping[str, Entry | None]) -> Checkpoint:
        """Another checkpoint with some tensors replaced, added or (None) left out."""
        entries = {name: entry for name, entry in {**self._entries, **changed}.items() if entry is not None}
        return Checkpoint(entries, origin=self.origin, metadata=self.metadata)

    def renamed(self, new_name: Callable[[str], str | None]) -> Checkpoint:
        """Another checkpoint under other names; None leaves a tensor out.

        Raises:
            CheckpointError: two tensors would have one name.
        """
        entries: dict[str, Entry] = {}
        for name, entry in self._entries.items():
            new = new_name(name)
            if new is None:
                continue
            if new in entries:
                raise CheckpointError(f"{self.origin}: two tensors would be {new!r}, {name!r} among them")
            entries[new] = entry
        return Checkpoint(entries, origin=self.origin, metadata=self.metadata)

    def __getitem__(self, name: str) -> Stored:
        if name not in self._entries:
            raise KeyError(name)
        return self._entries[name].read()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Checkpoint({self.origin}, {len(self)} tensors, {self.nbytes} bytes)"


def made(array: NDArray[Any], dtype: str = "fp32") -> Entry:
    """An entry for numbers that are at hand; the array becomes read-only."""
    held = array.view()
    held.flags.writeable = False
    return Entry(held.shape, dtype, held.nbytes, lambda: held)


def changed(entry: Entry, change: Callable[[Stored], NDArray[Any]], *, dtype: str = "fp32") -> Entry:
    """An entry whose numbers are changed when it is read, and are stored as `dtype` from then on."""
    return replace(entry, dtype=dtype, read=lambda: change(entry.read()), codes=None)
