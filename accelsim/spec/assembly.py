"""What all systems of equal parts have in common: their own keys, and figures of the part that are others in them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Self

from accelsim.errors import UnknownNameError
from accelsim.spec.base import Description

_ALIKE: Final = 0.75


class Assembly(Description):
    """Equal parts; a record of them has the fields `part`, the name of one, and `changes`, by dotted key."""

    if TYPE_CHECKING:
        part: str
        changes: dict[str, Any]

    def with_(self, overrides: Mapping[str, object] | None = None, /, **more: object) -> Self:
        """The same system with other values; keys that it does not have itself are figures of its part.

        Raises:
            UnknownNameError: a key without a dot that is nearly one of the system's own.
        """
        given = {**(overrides or {}), **more}
        names = {field.alias or name for name, field in type(self).model_fields.items()}
        own = {key: value for key, value in given.items() if key.split(".")[0] in names}
        rest = {key: value for key, value in given.items() if key not in own}
        for key, value in rest.items():  # the part has tables and their dotted keys: anything else was meant for here
            if "." not in key and not isinstance(value, Mapping) and get_close_matches(key, names, cutoff=_ALIKE):
                raise UnknownNameError("key", key, tuple(names), hint=f"of {self.part}: dotted keys of its tables")
        return super().with_({**own, "changes": {**self.changes, **rest}} if rest else own)
