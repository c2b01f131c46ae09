"""Finished combinations in a file, so that a run that was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, Final

from accelsim.accuracy.measure import Measured, Reference
from accelsim.accuracy.subject import Subject
from accelsim.errors import RequestError
from accelsim.results.export import write_whole


def digest(judged: Subject) -> str:
    """Of what all finished combinations of a file have in common."""
    said = hashlib.sha256(f"{judged.name}|{judged.model}|{judged.text}".encode())
    said.update(judged.windows.tobytes())
    return said.hexdigest()


def key(formats: str, chip: object, numerics: str | None, *more: object) -> str:
    """Of one combination: its name, and a digest of the arithmetic that it is executed in."""
    said = "|".join(map(str, (chip, numerics, *more)))
    return f"{formats}|{hashlib.sha256(said.encode()).hexdigest()[:16]}"


_BY_TENSOR: Final = ("sqnr_db", "sqnr_to_exact_db")


class Kept:
    """Finished combinations in a file."""

    def __init__(self, path: str | PathLike[str] | None, digest: str) -> None:
        self._path, self._digest = None if path is None else Path(path), digest
        self._rows: dict[str, Any] = {}
        self.nll = float("nan")
        if self._path is not None and not self._path.parent.is_dir():
            raise RequestError(f"resume: cannot write {self._path}: there is no folder {str(self._path.parent)!r}")
        if self._path is not None and self._path.is_file():
            try:
                found = json.loads(self._path.read_text(encoding="utf-8"))
                same, rows, nll = found["digest"] == digest, found["rows"], found["reference_nll"]
            except (ValueError, KeyError, TypeError):
                raise RequestError(f"{self._path}: no file of finished formats; name another, or remove it") from None
            if not same:
                raise RequestError(
                    f"{self._path}: its formats were executed on another model or text; name another file"
                )
            self._rows, self.nll = rows, float(nll)

    def get(self, name: str) -> Measured | None:
        """A finished combination."""
        found = self._rows.get(name)
        if found is None:
            return None
        noise = {name: {(op, layer, tensor): float(db) for op, layer, tensor, db in found[name]} for name in _BY_TENSOR}
        return Measured(**{**found, **noise, "warnings": tuple(found["warnings"])})

    def put(self, name: str, found: Measured, truth: Reference) -> None:
        """Keep one more."""
        noise = {
            table: [[*key, db if isfinite(db) else str(db)] for key, db in getattr(found, table).items()]
            for table in _BY_TENSOR
        }
        self._rows[name] = {**asdict(found), **noise}
        self.nll = float(truth.nll.mean())
        if self._path is None:
            return
        document = json.dumps({"digest": self._digest, "reference_nll": self.nll, "rows": self._rows}, indent=1)
        write_whole({self._path: lambda p: p.write_text(document + "\n", encoding="utf-8")})
