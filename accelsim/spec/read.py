"""From nested keys to a record: validation that reports every fault at once, and dotted overrides."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from accelsim.errors import DescriptionError, RequestError, UnknownNameError, nearest
from accelsim.spec.faults import dotted, faults_of, keys_of, record_at
from accelsim.spec.lines import Path, key_lines, line_of

R = TypeVar("R", bound=BaseModel)

_OVERRIDDEN = "; overridden: "
_PROVENANCE = ("source", "status", "notes", "measured", "derived", "assumed")


def validate(
    record_type: type[R],
    raw: Mapping[str, Any],
    *,
    origin: str,
    text: str | None = None,
    si: bool = False,
    formats: Callable[[str], object] | None = None,
) -> R:
    """A record from nested keys, as `tomllib` gives them.

    Args:
        record_type: the record to make.
        raw: keys and values in the user's spelling.
        origin: file or call that the keys come from, for the message.
        text: the TOML text, for line numbers.
        si: take plain numbers as SI values of quantities; otherwise a quantity is text with its unit.
        formats: finds the record of a number format that the description names; without it, only those that
            need no file are found.

    Raises:
        DescriptionError: with every fault.
    """
    try:
        return record_type.model_validate(raw, context={"si": si, "formats": formats})
    except ValidationError as error:
        raise DescriptionError(origin, faults_of(error, record_type, raw, text)) from None


def with_lines(error: DescriptionError, text: str) -> DescriptionError:
    """The same error with the line of every fault that had none."""
    lines = key_lines(text)

    def line(path: str) -> int:
        return line_of(lines, tuple(int(part) if part.isdigit() else part for part in path.split(".")))

    return DescriptionError(error.origin, [f if f.line else replace(f, line=line(f.path)) for f in error.faults])


def apply(
    raw: Mapping[str, Any], overrides: Mapping[str, object], record_type: type[BaseModel] | None = None
) -> dict[str, Any]:
    """A deep copy with other values at some dotted paths.

    A list of tables is indexed by number (`peak.0.rate`) or by a text that only one of its tables holds
    (`link.nvlink.bandwidth`; a list within it joins with "x": `peak.bf16xbf16.rate`). Text that replaces
    a number, a list or a table is read as TOML, so that a command line can give any of them. An
    overridden figure comes from no datasheet any more: its status becomes "assumed" (that of the whole
    table where figures have none of their own) and the table's source names it.

    Args:
        raw: nested keys.
        overrides: dotted path to value; a whole table may be replaced.
        record_type: type of the record, whose optional keys may then be set although `raw` lacks them.

    Raises:
        UnknownNameError: a path that does not exist.
        RequestError: an empty path.
    """
    result = deepcopy(dict(raw))
    for name, value in overrides.items():
        path = _resolve(result, name, record_type)
        table: Any = _at(result, path[:-1])
        key: Any = path[-1]
        current = table[key] if isinstance(table, list) else table.get(key)
        new = _like(current, deepcopy(value))
        if new != current:
            table[key] = new
            of = path[:-1]
            if record_type and len(of) > 1 and record_at(record_type, of) is None:
                of = of[:-1]  # a table of free keys: where they come from stands in the one around it
            _mark(_at(result, of), str(key), overrides, of, record_type)
    return result


def _resolve(raw: dict[str, Any], name: str, record_type: type[BaseModel] | None) -> Path:
    """The path of a dotted name, every part of which exists."""
    if not name:
        raise RequestError("an override needs a key, such as memory.bandwidth")
    path: Path = ()
    here: Any = raw
    for part in name.split("."):
        if isinstance(here, Mapping):
            known: Iterable[str] = here
            if record_type and (owner := record_at(record_type, path)):
                known = dict.fromkeys((*here, *keys_of(owner)))
            if part not in known:
                raise _unknown(name, path, part, here, known)
            path, here = (*path, part), here.get(part)
        elif isinstance(here, list):
            index = _index(here, part)
            if index is None:
                raise _unknown(name, path, part, here, map(str, range(len(here))))
            path, here = (*path, index), here[index]
        else:
            raise UnknownNameError("key", name, [dotted(path)], hint=f"{dotted(path)} holds a value and no keys")
    return path


def _index(items: list[Any], part: str) -> int | None:
    if part.isdecimal():
        return int(part) if int(part) < len(items) else None
    tables = [(index, item) for index, item in enumerate(items) if isinstance(item, Mapping)]
    found = [
        index
        for index, item in tables
        if any(part == ("x".join(map(str, value)) if isinstance(value, list) else value) for value in item.values())
    ]
    return found[0] if len(found) == 1 else None


def _unknown(name: str, path: Path, part: str, here: Any, known: Iterable[str]) -> UnknownNameError:
    """The error for one part of a name, with the nearest whole names."""
    names = [key for key in known if key not in _PROVENANCE]
    rest = name.split(".")[len(path) + 1 :]
    whole = []
    for close in nearest(part, names):
        below = here[close] if isinstance(here, Mapping) and close in here else None
        exists = bool(rest) and isinstance(below, Mapping) and rest[0] in below
        whole.append(".".join((*map(str, path), close, *(rest if exists else ()))))
    where = f"[{dotted(path)}] has" if path else "there are"
    return UnknownNameError("key", name, whole, hint=f"{where}: {', '.join(names)}")


def _at(raw: Any, path: Path) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _like(current: object, value: object) -> object:
    """Text in place of a number, a list or a table, read as what it stands for."""
    if not isinstance(value, str) or isinstance(current, (str, type(None))):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _mark(
    table: Any, key: str, overrides: Mapping[str, object], path: Path, record_type: type[BaseModel] | None
) -> None:
    """Say in a table's provenance that a figure of it is the user's own."""
    if not isinstance(table, dict) or key in ("name", *_PROVENANCE) or "source" not in table:
        return
    prefix = f"{dotted(path)}." if path else ""
    if f"{prefix}source" not in overrides:
        original, _, keys = str(table["source"]).partition(_OVERRIDDEN)
        earlier = [name for name in keys.split(", ") if name and name != key]
        table["source"] = original + _OVERRIDDEN + ", ".join([*earlier, key])
    owner = record_at(record_type, path) if record_type else None
    if owner and "assumed" in keys_of(owner):
        for status in (name for name in ("measured", "derived", "assumed") if name in keys_of(owner)):
            table[status] = [name for name in table.get(status, ()) if name != key]
        table["assumed"].append(key)
    elif f"{prefix}status" not in overrides:
        table["status"] = "assumed"
