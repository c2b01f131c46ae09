"""Overrides of the presets in use by the names that a sheet's reader knows: `timing.nRAS`, `organization.banks`."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from accelsim.errors import UnknownNameError
from accelsim.spec.dram import expression
from accelsim.spec.dram.organization import Organization
from accelsim.spec.dram.protocol import OPTIONAL
from accelsim.spec.faults import keys_of

KINDS: Final = ("organization", "timing")
_PROVENANCE: Final = ("source", "status", "notes")
_OF_TIMING: Final = ("name", "tCK_ps", "cycles", "assumed", *_PROVENANCE)


def paths(raw: Mapping[str, Any], overrides: Mapping[str, object]) -> dict[str, object]:
    """The same overrides by the paths of the file.

    `timing.KEY` and `organization.KEY` are those of the preset in use, which `selected.timing` among the overrides may
    choose; `timing.0.KEY` and `timing.NAME.KEY` those of a preset by number or name. A JEDEC parameter need not name
    the table `cycles` that it stands in, and one that may be absent (`protocol.OPTIONAL`) can be set where it is.

    Args:
        raw: nested keys of the description.
        overrides: dotted key to value.

    Raises:
        UnknownNameError: a key that such a preset does not have.
    """
    found: dict[str, object] = {}
    for name, value in overrides.items():
        kind, _, rest = name.partition(".")
        if kind not in KINDS or not rest or not isinstance(raw.get(kind), list):
            found[name] = value
            continue
        index, key = _preset(raw[kind], kind, rest, _chosen(raw, overrides, kind))
        if kind == "timing" and key:
            parameter = key.removeprefix("cycles.")
            own = parameter == key and key.split(".")[0] in _OF_TIMING
            key = key if own else f"cycles.{parameter}"
        _check(name, key, raw, raw[kind][index])
        found[".".join((kind, str(index), *([key] if key else ())))] = value
    return found


def absent(raw: Mapping[str, Any], named: Mapping[str, object]) -> dict[str, Any]:
    """The description with zeros, which mean the same, for absent parameters among the overrides; empty if none is.

    Args:
        raw: nested keys of the description.
        named: what `paths` gave.
    """
    changed: dict[str, Any] = {}
    for name in named:
        kind, _, rest = name.partition(".")
        index, _, parameter = rest.partition(".cycles.")
        if kind == "timing" and parameter in OPTIONAL and parameter not in raw[kind][int(index)]["cycles"]:
            changed = changed or deepcopy(dict(raw))
            changed[kind][int(index)]["cycles"][parameter] = 0
    return changed


def _chosen(raw: Mapping[str, Any], overrides: Mapping[str, object], kind: str) -> object:
    """Name of the preset in use once the overrides hold."""
    selected = overrides.get("selected", raw.get("selected", {}))
    return overrides.get(f"selected.{kind}", selected.get(kind) if isinstance(selected, Mapping) else None)


def _preset(presets: list[Any], kind: str, rest: str, chosen: object) -> tuple[int, str]:
    """Number of the preset that a key is of, and the key without it."""
    names = [preset.get("name", "") for preset in presets]
    first, _, behind = rest.partition(".")
    if first.isdecimal():
        if int(first) < len(presets):
            return int(first), behind
        known = ", ".join(f"{index} ({name})" for index, name in enumerate(names))
        raise UnknownNameError("preset", f"{kind}.{first}", names, hint=f"[[{kind}]] has: {known}")
    for index, name in enumerate(names):
        if rest == name or rest.startswith(f"{name}."):
            return index, rest[len(name) + 1 :]
    return (names.index(chosen) if chosen in names else 0), rest


def _check(name: str, key: str, raw: Mapping[str, Any], preset: Mapping[str, Any]) -> None:
    """Refuse a key that the preset does not have, with those that it has."""
    kind = name.partition(".")[0]
    first, _, parameter = key.partition(".")
    if kind == "organization":
        known = tuple(own for own in keys_of(Organization) if own not in _PROVENANCE)
        wrong = key if first not in ("", *known, *_PROVENANCE) else ""
    else:
        cycles = tuple(preset.get("cycles", ()))
        known = ("tCK_ps", *cycles)
        wrong = parameter if parameter and parameter not in (*cycles, *_settable(raw)) else ""
    if wrong:
        near = [name.removesuffix(wrong) + own for own in known]
        raise UnknownNameError("key", name, near, hint=f"{kind} {preset.get('name')} has: {', '.join(known)}")


def _settable(raw: Mapping[str, Any]) -> set[str]:
    """Parameters that may be absent and that a constraint or the controller reads."""
    latencies = [row.get("latency") for row in raw.get("protocol", {}).get("constraints", ())]
    read = {name for latency in latencies if isinstance(latency, str) for name in expression.names(latency)}
    return {"nREFI", "nREFIpb"} | read.intersection(OPTIONAL)
