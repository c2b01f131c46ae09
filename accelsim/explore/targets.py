"""What the key of an axis addresses: a keyword of the request, or a dotted key of chip, model or format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from accelsim import catalog, units
from accelsim.errors import AccelsimError, RequestError, UnitError, UnknownNameError
from accelsim.mapping.gpu.library import libraries
from accelsim.spec import read
from accelsim.spec.calibration import CLOCKS, LAUNCHES, Residency
from accelsim.spec.chip import FAMILIES, Chip, ModelSystem
from accelsim.spec.format import Format
from accelsim.spec.model import Model
from accelsim.spec.request import CONVENTIONS, FIDELITIES, LOGITS, SCALES, STREAMS
from accelsim.spec.system import System

Kind = Literal["request", "chip", "model", "format", "tensor", "parameter"]

COUNTS: Final[Mapping[str, int]] = {"batch": 1, "prompt": 1, "generate": 0, "seed": 0}
"""Whole numbers of a request, and the least that each may be."""

FORMATS: Final = ("weights", "activations", "kv_cache")
TENSORS: Final = "tensor_formats"
"""Formats of single tensors: a table, `name=format` with commas, "none"; or a key for each, after a dot."""
OFFLOADS: Final = ("none", "weights", "kv_cache", "weights+kv_cache")
"""What a GPU may leave with its host."""

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "fidelity": FIDELITIES, "convention": CONVENTIONS, "logits": LOGITS, "streams": STREAMS,
    "clock": CLOCKS, "launch": LAUNCHES, "scales": SCALES, "offload": OFFLOADS,
}  # fmt: skip
_SWITCHES: Final = ("fuse", "fold", "flash")
_OTHER: Final = ("routing", "host", "chips", "library", "residency", TENSORS)
KEYWORDS: Final = ("model", "chip", *COUNTS, *FORMATS, *_CHOICES, *_SWITCHES, *_OTHER)
"""Keys of a request."""

_ALIASES: Final = {"system": "chip", "on": "chip"}
_NOT_YET: Final = frozenset({"technique", "techniques", "serving", "trace", "policy", "accumulator"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where the values of an axis go.

    Attributes:
        kind: what they change.
        key: the keyword of a request; of a format, which one; else empty.
        path: dotted key within chip, model or format, or the name of a tensor; empty if it is the whole.
    """

    kind: Kind
    key: str
    path: str = ""


def target(name: str) -> Target:
    """What a dotted key addresses.

    Raises:
        RequestError: something that cannot be simulated yet.
        UnknownNameError: neither a keyword of a request nor a dotted key; lists the nearest.
    """
    head, _, rest = name.partition(".")
    head = _ALIASES.get(head, head)
    if head in _NOT_YET:
        raise RequestError(
            f"{name}: a sweep cannot vary this yet, simulate() has no such keyword; keys: {', '.join(KEYWORDS)}, and "
            "dotted keys of chip, model and formats"
        )
    if not rest:
        if head in KEYWORDS:
            return Target("request", head)
        figures = "figures of a chip have dots (memory.bandwidth) or follow chip. (chip.count)"
        raise UnknownNameError("axis", name, KEYWORDS, hint=f"keys: {', '.join(KEYWORDS)}; {figures}")
    if head == "model":
        return Target("model", "model", rest)
    if head in FORMATS:
        return Target("format", head, rest)
    if head == TENSORS:
        return Target("tensor", head, rest)
    return Target("chip", "chip", rest if head == "chip" else name)


def chip_of(value: Any) -> Chip:
    """A chip by name, path or record, or from a table: `base` and figures of its own, or a whole description."""
    if not isinstance(value, Mapping):
        return catalog.chip(value)
    table = dict(value)
    if "base" in table:
        base = catalog.chip(table.pop("base"))
        table.pop("name", None)
        return base.with_(dict(_flat(table)))
    family = table.get("family")
    if family not in FAMILIES:
        raise RequestError(f"a chip in a table needs `base`, the name of another, or a family: {', '.join(FAMILIES)}")
    found: Chip = read.validate(FAMILIES[family], table, origin=f"chip {table.get('name', '')}")
    return found


def changed_chip(chosen: Mapping[Target, Any]) -> Chip:
    """The chip of a design, with the figures that are its own."""
    chip = chip_of(chosen[Target("request", "chip")])
    changes = {to.path: value for to, value in chosen.items() if to.kind == "chip"}
    return chip.with_(changes) if changes else chip


def format_of(chosen: Mapping[Target, Any], name: str) -> Format | None:
    """A format of a design, with the fields that are its own; None is the chip's native one.

    Raises:
        RequestError: fields of a format that is not named.
    """
    inner = {to.path: value for to, value in chosen.items() if to.kind == "format" and to.key == name}
    given = chosen.get(Target("request", name))
    if inner and given is None:
        raise RequestError(f"{', '.join(inner)} of {name}: name the format, {name} is not set")
    return catalog.format_(given, inner or None) if given is not None else None


def tensor_formats(chosen: Mapping[Target, Any]) -> dict[str, Format]:
    """Formats of single tensors of a design, by the name of the tensor.

    Raises:
        RequestError: a text that is no `name=format`.
        UnknownNameError: no such format.
    """
    given = dict(_pairs(chosen.get(Target("request", TENSORS))))
    given |= {to.path: value for to, value in chosen.items() if to.kind == "tensor"}
    return {name: catalog.format_(form) for name, form in given.items()}


def _pairs(given: Any) -> list[tuple[str, Any]]:
    if given is None or given == "none":
        return []
    if isinstance(given, Mapping):
        return _flat(given)
    parts = [part.strip().partition("=") for part in given.split(",")] if isinstance(given, str) else []
    if not parts or not all(name and equals and form for name, equals, form in parts):
        raise RequestError(
            f'{TENSORS} = {given!r}: expected a table such as {{ "down_proj.weight" = "mxfp4" }}, the same as text '
            'with = and commas, or "none"'
        )
    return [(name, form) for name, _, form in parts]


def chip_label(value: Any) -> str:
    """What the column calls a chip: its name; for a table without one, its base and what differs."""
    if not isinstance(value, Mapping):
        return chip_of(value).name
    if "name" in value:
        return str(value["name"])
    rest = {key: item for key, item in _flat(value) if key != "base"}
    return f"{value.get('base', 'chip')} {' '.join(f'{key}={item}' for key, item in rest.items())}".strip()


def _flat(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in table.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return found


def si(value: Any) -> Any:
    """A quantity with its unit as an SI number; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip("+-.")[:1].isdecimal():
        return value
    for unit in units.CANONICAL:
        try:
            return units.parse(value, unit)
        except UnitError:
            continue
    return value


def checked(
    name: str,
    to: Target,
    values: Sequence[Any],
    chips: Sequence[Chip],
    models: Sequence[Model],
    *,
    everywhere: bool = True,
) -> list[Any]:
    """The values of an axis as they are applied: quantities in SI, every one allowed.

    Args:
        name: of the axis, for messages.
        to: where they go.
        values: as the sweep has them.
        chips: chips that figures may belong to.
        models: models that keys may belong to.
        everywhere: a figure must exist in every chip; otherwise in one at least.

    Raises:
        RequestError: a value that is not allowed, or a key that no chip has, with what was tried.
    """
    return [_one(name, to, value, chips, models, everywhere) for value in values]


def _one(name: str, to: Target, value: Any, chips: Sequence[Chip], models: Sequence[Model], everywhere: bool) -> Any:
    found = applied(to, value)
    if to.kind == "request":
        _keyword(name, to.key, value)
    elif to.kind == "chip":
        _apply(name, value, [partial(_with, chip, to.path, value, found) for chip in chips], everywhere)
    elif to.kind == "tensor":
        _keyword(name, "weights", value)
    elif to.kind == "model":
        _apply(name, value, [partial(catalog.model, each.name, {to.path: value}) for each in models], everywhere)
    return found


def applied(to: Target, value: Any) -> Any:
    """A value that is allowed as it is applied: quantities of parameters and of the chip in SI."""
    return si(value) if to.kind in ("parameter", "chip") else value


def _with(chip: Chip, path: str, given: Any, figure: Any) -> None:
    """Both the user's spelling, for its unit, and the figure must be allowed."""
    changed = chip.with_({path: given})
    if figure is not given:
        chip.with_({path: figure})
    if isinstance(changed, System | ModelSystem):
        catalog.part(changed)


def _apply(name: str, value: Any, tries: Sequence[Callable[[], object]], everywhere: bool) -> None:
    failed: AccelsimError | None = None
    worked = False
    for action in tries:
        try:
            action()
            worked = True
        except AccelsimError as error:
            failed = failed or error
    if failed and (everywhere or not worked):
        hint = "\n  an axis for some of the chips only: give it `when`, a condition" if len(tries) > 1 else ""
        raise RequestError(f"axis {name} = {value!r}: {failed}{hint}") from None


def _keyword(name: str, key: str, value: Any) -> None:
    """Refuses what `simulate` would refuse."""
    try:
        if key == "model":
            catalog.model(value)
        elif key == "chip":
            chip_of(value)
        elif key in FORMATS:
            if not isinstance(value, Format):
                catalog.format_(value)
        elif key == "host":
            catalog.chip(value)
        elif key == "residency":
            Residency.parse(value)
        elif key == TENSORS:
            tensor_formats({Target("request", TENSORS): value})
        elif key == "library" and value not in libraries():
            raise UnknownNameError("library", str(value), libraries(), hint="all: accelsim list calibrations")
    except AccelsimError as error:
        raise RequestError(f"axis {name} = {value!r}: {error}") from None
    least = COUNTS.get(key)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if least is not None and (not whole or value < least):
        raise RequestError(f"axis {name} = {value!r}: expected a whole number of at least {least}")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise RequestError(f"axis {name} = {value!r}: allowed are {', '.join(_CHOICES[key])}")
    if key in _SWITCHES and not isinstance(value, bool):
        raise RequestError(f"axis {name} = {value!r}: expected true or false")
    if key == "chips" and value != "auto" and not (whole and value >= 1):
        raise RequestError(f'axis {name} = {value!r}: expected a whole number of at least 1, or "auto"')
