"""Sentences for what pydantic finds wrong: key, value as written, line, what is allowed, what was meant."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from accelsim import units
from accelsim.errors import Fault, did_you_mean, nearest
from accelsim.spec.base import Quantity
from accelsim.spec.lines import Path, key_lines, line_of

_LONGEST_VALUE = 60


def faults_of(
    error: ValidationError, record: type[BaseModel], raw: object, text: str | None = None
) -> tuple[Fault, ...]:
    """Every error of a validation as a fault, in the order of the file.

    Args:
        error: what pydantic raised.
        record: the type that was validated.
        raw: the mapping that was validated.
        text: its TOML text, for line numbers.
    """
    lines = key_lines(text) if text else {}
    details = error.errors(include_url=False)
    meant = _meant(details, record, raw)
    paths = [_path(detail, raw) for detail in details]
    found: dict[tuple[str, str], Fault] = {}
    for detail, path in zip(details, paths, strict=True):
        if detail["type"] == "missing" and path in meant:
            continue  # the misspelt key beside it says so already
        if detail["type"] == "too_short" and any(len(inside) > len(path) == _shared(path, inside) for inside in paths):
            continue  # elements with faults were not counted
        value = written(_follow(raw, path)[0])
        fault = Fault(dotted(path), _sentence(detail, path, record), value, line_of(lines, path))
        found.setdefault((fault.path, fault.problem), fault)
    return tuple(sorted(found.values(), key=lambda fault: fault.line))


def _shared(path: Path, other: Path) -> int:
    """How many parts two paths begin with alike."""
    return next((at for at, (one, two) in enumerate(zip(path, other, strict=False)) if one != two), len(path))


def dotted(path: Path) -> str:
    """A key path as it is written in messages and overrides."""
    return ".".join(map(str, path))


def keys_of(record: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a table, in the user's spelling."""
    return tuple(field.alias or name for name, field in record.model_fields.items())


def record_at(record: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The type of the table (or of the elements of the list of tables) at a path; None where there is none."""
    found: type[BaseModel] | None = record
    for part in path:
        if isinstance(part, int):
            continue
        field = _field(found, part) if found else None
        found = _record_in(field.annotation) if field else None
    return found


def unit_at(record: type[BaseModel], path: Path) -> str:
    """Canonical unit of the quantity at a path; empty where there is none."""
    owner = record_at(record, path[:-1]) if path else None
    field = _field(owner, path[-1]) if owner else None
    if not field:
        return ""
    # an optional quantity (`Size | None`) carries its marker within the annotation, a plain one beside it
    inner = (meta for part in get_args(field.annotation) for meta in getattr(part, "__metadata__", ()))
    return next((meta.unit for meta in (*field.metadata, *inner) if isinstance(meta, Quantity)), "")


def written(value: object) -> str:
    """A value as TOML has it; tables and long lists are left out."""
    if isinstance(value, Mapping) or value is None:
        return ""
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, Mapping) for item in value):
            return ""
        text = "[" + ", ".join(map(written, value)) + "]"
    elif isinstance(value, (str, bool)):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def _meant(details: Sequence[Any], record: type[BaseModel], raw: object) -> set[Path]:
    """Paths of the keys that misspelt ones were meant to be."""
    found: set[Path] = set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            path = _path(detail, raw)
            owner = record_at(record, path[:-1])
            close = nearest(str(path[-1]), keys_of(owner), count=1) if owner else ()
            found.update((*path[:-1], name) for name in close)
    return found


def _path(detail: Any, raw: object) -> Path:
    """Pydantic's location without its own marks (the member of a union, the name of a validator)."""
    loc = detail["loc"]
    path: list[str | int] = []
    here = raw
    for at, part in enumerate(loc):
        if isinstance(here, (list, tuple)) and isinstance(part, int):
            part = _row(here, part, loc[at + 1 :], detail)
        if _has(here, part):
            path.append(part)
            here = here[part]  # type: ignore[index]
        elif at == len(loc) - 1 and isinstance(here, Mapping):
            path.append(part)
    return tuple(path)


def _row(items: Sequence[Any], index: int, rest: Sequence[str | int], detail: Any) -> int:
    """Index in the file of an element that the record may have moved, by splitting a row before it."""
    candidates: tuple[int, ...] = (index, *range(len(items)))
    for candidate in candidates:
        value, inside = _follow(items, (candidate, *rest))
        if detail["type"] == "missing":
            parent = _follow(items, (candidate, *rest[:-1]))[0]
            if not inside and isinstance(parent, Mapping) and not _has(parent, rest[-1]):
                return candidate
        elif inside and value == detail["input"]:
            return candidate
    return index


def _has(here: object, part: str | int) -> bool:
    if isinstance(here, Mapping):
        return part in here
    return isinstance(here, (list, tuple)) and isinstance(part, int) and part < len(here)


def _follow(raw: Any, path: Sequence[str | int]) -> tuple[Any, bool]:
    """The value at a path, and whether the path exists."""
    for part in path:
        if not _has(raw, part):
            return None, False
        raw = raw[part]
    return raw, True


def _field(record: type[BaseModel], key: str | int) -> FieldInfo | None:
    return next((f for name, f in record.model_fields.items() if (f.alias or name) == key), None)


def _record_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _record_in(part))), None)


def _sentence(detail: Any, path: Path, record: type[BaseModel]) -> str:
    make = _SENTENCES.get(detail["type"])
    return make(detail.get("ctx", {}), path, record) if make else str(detail["msg"])


_Maker = Callable[[dict[str, Any], Path, type[BaseModel]], str]


def _table(path: Path) -> str:
    """The table that holds a key, as the reader finds it in the file."""
    names = [str(part) for part in path[:-1] if isinstance(part, str)]
    inside_list = any(isinstance(part, int) for part in path[:-1])
    if not names:
        return "at the top level"
    return "in " + ("[[" if inside_list else "[") + ".".join(names) + ("]]" if inside_list else "]")


def _unknown(ctx: dict[str, Any], path: Path, record: type[BaseModel]) -> str:
    owner = record_at(record, path[:-1])
    known = keys_of(owner) if owner else ()
    return f"unknown key {_table(path)}" + (did_you_mean(str(path[-1]), known) or f"; allowed: {', '.join(known)}")


def _missing(ctx: dict[str, Any], path: Path, record: type[BaseModel]) -> str:
    owner = record_at(record, path[:-1])
    field = _field(owner, path[-1]) if owner else None
    where = _table(path)
    if field and get_origin(field.annotation) is tuple and not _record_in(field.annotation):
        return f"needs {len(get_args(field.annotation))} values"
    if path[-1] == "source":
        return f"missing: provenance is mandatory, say where the figures {where} come from"
    if path[-1] == "status":
        return f"missing: provenance is mandatory, say how far the figures {where} can be trusted: " + _choices(field)
    unit = unit_at(record, path)
    if unit:
        return f'missing {where}: {units.meaning(unit)}, for example "{units.example(unit)}"'
    if field and _record_in(field.annotation):
        kind = "list of tables" if get_origin(field.annotation) is tuple else "table"
        return f"missing: this {kind} is needed"
    return f"missing {where}" + (f": {_choices(field)}" if _literals(field) else "")


def _literals(field: FieldInfo | None) -> tuple[str, ...]:
    annotation = field.annotation if field else None
    return tuple(map(str, get_args(annotation))) if get_origin(annotation) is Literal else ()


def _choices(field: FieldInfo | None) -> str:
    names = _literals(field)
    return f"one of {', '.join(names)}" if len(names) > 1 else f"it must be {names[0]!r}"


def _choice(ctx: dict[str, Any], path: Path, record: type[BaseModel]) -> str:
    owner = record_at(record, path[:-1])
    field = _field(owner, path[-1]) if owner else None
    if not _literals(field):
        return f"must be {ctx['expected']}"
    return "must be " + _choices(field).removeprefix("it must be ")


def _bound(relation: str, key: str) -> _Maker:
    def sentence(ctx: dict[str, Any], path: Path, record: type[BaseModel]) -> str:
        unit = unit_at(record, path)
        limit = "zero" if ctx[key] == 0 else f"{ctx[key]:g}"
        text = "must not be negative" if (relation, limit) == ("at least", "zero") else f"must be {relation} {limit}"
        return text + (f': {units.meaning(unit)}, for example "{units.example(unit)}"' if unit else "")

    return sentence


def _is_list(ctx: dict[str, Any], path: Path, record: type[BaseModel]) -> str:
    name = dotted(path)
    return f"must be a list of tables: write [[{name}]]" if record_at(record, path) else "must be a list: [..., ...]"


def _is_table(ctx: dict[str, Any], path: Path, record: type[BaseModel]) -> str:
    return f"must be a table: write [{dotted(tuple(part for part in path if isinstance(part, str)))}]"


def _fixed(text: str) -> _Maker:
    return lambda ctx, path, record: text.format(**ctx)


_SENTENCES: dict[str, _Maker] = {
    "extra_forbidden": _unknown,
    "missing": _missing,
    "literal_error": _choice,
    "value_error": lambda ctx, path, record: str(ctx["error"]),
    "greater_than": _bound("greater than", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("less than", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "int_type": _fixed("must be a whole number, without quotes or decimals"),
    "float_type": _fixed("must be a number, without quotes"),
    "finite_number": _fixed("must be a finite number"),
    "bool_type": _fixed("must be true or false"),
    "string_type": _fixed("must be text in quotes"),
    "string_too_short": _fixed("says too little: at least {min_length} characters"),
    "string_pattern_mismatch": _fixed("may hold lower-case letters, digits, '.', '_' and '-', a letter or digit first"),
    "too_short": _fixed("needs at least {min_length} entries, has {actual_length}"),
    "too_long": _fixed("takes at most {max_length} entries, has {actual_length}"),
    "tuple_type": _is_list,
    "model_type": _is_table,
    "dict_type": _is_table,
}
