"""Which modules bring a kind of format to life: those that are named after the kind."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from accelsim.errors import RequestError
from accelsim.numerics.fast.codec import ElementCodec
from accelsim.numerics.fast.grid import MOST_BITS, GridCodec
from accelsim.numerics.fast.scaled import ScaledCodec
from accelsim.numerics.policy import Policy, policy_of
from accelsim.numerics.reference.grid import Grid
from accelsim.spec.format import KINDS, Format


@cache
def _module(part: str, kind: str) -> Any:
    name = f"{__package__}.{part}.{kind}"
    return import_module(name) if find_spec(name) else None


def implemented() -> tuple[str, ...]:
    """The kinds that have behaviour."""
    return tuple(kind for kind in KINDS if _module("reference", kind))


def reference(record: Format) -> Any:
    """The exact reference of a format: a `Grid`, or for formats that own scales a `ScaledReference`.

    Raises:
        RequestError: the kind has no behaviour.
    """
    found = _module("reference", record.kind)
    if found is None:
        known = ", ".join(implemented())
        raise RequestError(
            f"{record.name}: formats of kind {record.kind!r} are priced, not computed; computed: {known}"
        )
    return found.build(record)


def grid(record: Format) -> Grid:
    """The reference of a format without scales.

    Raises:
        RequestError: it owns scales, or its kind has no behaviour.
    """
    found = reference(record)
    if not isinstance(found, Grid):
        raise RequestError(f"{record.name} carries scales and is no grid of values: name its element format instead")
    return found


def codec(record: Format, policy: Policy | str | None = None) -> ElementCodec | ScaledCodec:
    """The array path of a format under a policy (or the name of a preset).

    Raises:
        RequestError: the kind has no behaviour, or the policy cannot be expressed.
        UnknownNameError: no such preset.
    """
    found, fast = reference(record), _module("fast", record.kind)
    if not isinstance(found, Grid):
        return fast.build(record, policy)  # type: ignore[no-any-return]
    complete = policy_of(policy, found, record.name)
    if fast is not None:
        return fast.build(record, complete, found)  # type: ignore[no-any-return]
    if record.bits > MOST_BITS:
        raise RequestError(f"{record.name} has {record.bits} bits: formats of kind {record.kind!r} take {MOST_BITS}")
    return GridCodec(found, complete)


def element_codec(record: Format, policy: Policy | str | None = None) -> ElementCodec:
    """The codec of a format without scales, for codecs that are made of others.

    Raises:
        RequestError: it owns scales, its kind has no behaviour, or the policy cannot be expressed.
    """
    made = codec(record, policy)
    if not isinstance(made, ElementCodec):
        raise RequestError(f"{record.name} carries scales of its own and cannot be the element of another format")
    return made
