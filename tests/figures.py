"""Figures of descriptions, for tests that change every one of them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel


def numbers(record: BaseModel, path: str = "") -> Iterator[str]:
    """Dotted paths of all numeric figures, as in the file; rows of lists by their number."""
    for name, field in type(record).model_fields.items():
        value, here = getattr(record, name), f"{path}{field.alias or name}"
        if isinstance(value, BaseModel):
            yield from numbers(value, f"{here}.")
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for index, row in enumerate(value):
                yield from numbers(row, f"{here}.{index}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield here
