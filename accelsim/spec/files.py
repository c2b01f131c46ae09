"""Description files: their text, their keys, and what to say when there are none."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelsim.errors import DescriptionError, Fault, UnknownNameError

_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")


@dataclass(frozen=True, slots=True)
class File:
    """A description file.

    Attributes:
        origin: what messages call it.
        text: its content.
        raw: its keys and values.
    """

    origin: str
    text: str
    raw: dict[str, Any]


def load(path: Path, origin: str = "") -> File:
    """A TOML or (suffix .json) JSON file.

    Args:
        path: the file.
        origin: what messages call it; the path itself by default.

    Raises:
        UnknownNameError: there is no such file.
        DescriptionError: it is no text, empty, cut short or not well-formed.
    """
    origin = origin or str(path)
    text = _text(path, origin)
    if not text.strip():
        raise DescriptionError(origin, [Fault("", "the file is empty")])
    try:
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except json.JSONDecodeError as error:
        problem = f"is not valid JSON: {error.msg} (column {error.colno})" + _cut_short(error.pos >= len(text.rstrip()))
        raise DescriptionError(origin, [Fault("", problem, line=error.lineno)]) from None
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(origin, [_toml_fault(str(error), text)]) from None
    except RecursionError:
        raise DescriptionError(origin, [Fault("", "lists or tables are nested too deeply")]) from None
    if not isinstance(raw, dict):
        raise DescriptionError(
            origin, [Fault("", f"expected an object of keys and values, not a {type(raw).__name__}")]
        )
    return File(origin, text, raw)


def prose(text: str) -> str:
    """The comment lines that open a TOML text, without their marks."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines)


def _text(path: Path, origin: str) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        folder = path.parent
        siblings = [str(folder / entry.name) for entry in folder.iterdir()] if folder.is_dir() else []
        hint = "" if folder.is_dir() else f"there is no folder {str(folder)!r} either"
        raise UnknownNameError("file", str(path), siblings, hint=hint) from None
    except IsADirectoryError:
        raise DescriptionError(origin, [Fault("", "is a folder: give a .toml file in it")]) from None
    except OSError as error:
        raise DescriptionError(origin, [Fault("", f"cannot be read: {error.strerror}")]) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"is not UTF-8 text (byte 0x{data[error.start]:02x}): save it as UTF-8"
        raise DescriptionError(origin, [Fault("", problem, line=line)]) from None


def _toml_fault(message: str, text: str) -> Fault:
    found = _POSITION.search(message)
    line = int(found[1]) if found and found[1] else text.rstrip().count("\n") + 1
    problem = f"is not valid TOML: {_POSITION.sub('', message)}" + (
        f" (column {found[2]})" if found and found[2] else ""
    )
    if "Cannot" in problem:
        problem += "; a key or table may stand once only"
    else:
        problem += _cut_short("end of document" in message)
    return Fault("", problem, line=line)


def _cut_short(at_end: bool) -> str:
    return "; the file ends there: is it cut short?" if at_end else ""


def is_path(name: str) -> bool:
    """Whether text is the path of a description and not its name."""
    return Path(name).name != name or Path(name).suffix in (".toml", ".json")


def stamp(folder: Path) -> int:
    """When a folder was last changed [ns]; -1 if it is not there."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return -1


def model_name(file: Path) -> str:
    """A name for the model of a config.json: the file's stem, or that of its folder."""
    name = file.absolute().parent.name if file.stem == "config" else file.stem
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._") or "model"
