"""A sweep's description as `show` prints it."""

from __future__ import annotations

from rich.table import Table

from accelsim.cli.render import Shown
from accelsim.spec.sweep import SweepSpec


def described(spec: SweepSpec, name: str) -> Shown:
    """A sweep: its axes, and all keys as they are written."""
    axes = Table(box=None, pad_edge=False, header_style="bold")
    axes.add_column("axis")
    axes.add_column("values")
    for key, axis in {**spec.axes, **spec.parameters}.items():
        given = axis.model_dump(exclude_defaults=True)
        values = given.pop("values", None)
        said = [", ".join(map(str, values))] if values else []
        axes.add_row(key, "; ".join([*said, *(f"{name} = {value}" for name, value in given.items())]))
    return {"name": name, **spec.model_dump(exclude_defaults=True)}, [axes]
