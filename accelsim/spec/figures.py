"""Tables of figures that are not all equally well known."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from accelsim.errors import did_you_mean
from accelsim.spec.base import STATUSES, Sourced, Status


class Figures(Sourced):
    """A table of figures that are not all equally well known.

    `status` is that of the best known ones; `measured`, `derived` and `assumed` list the keys below it.
    """

    measured: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()

    def status_of(self, key: str) -> Status:
        """How far one figure can be trusted, never better than its table; `key` is spelt as in the file."""
        lists: dict[Status, tuple[str, ...]] = {
            "measured": self.measured,
            "derived": self.derived,
            "assumed": self.assumed,
        }
        named = [status for status, keys in lists.items() if key in keys]
        return max([self.status, *named], key=STATUSES.index)

    @model_validator(mode="after")
    def _keys_exist(self) -> Self:
        fields = type(self).model_fields
        keys = {field.alias or name for name, field in fields.items()} - set(Figures.model_fields)
        named = (*self.measured, *self.derived, *self.assumed)
        for key in named:
            if key not in keys:
                raise ValueError(f"status of the unknown key {key!r}{did_you_mean(key, keys)}")
        if len(set(named)) < len(named):
            raise ValueError("a key stands in two of the lists measured, derived and assumed")
        return self
