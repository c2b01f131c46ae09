"""Formats that weights have before anything is asked for: those of a quantised checkpoint."""

from __future__ import annotations

from accelsim.errors import RequestError
from accelsim.execution.layer import split
from accelsim.execution.weights import Weights
from accelsim.graph.operator import Graph, Role
from accelsim.spec.format import Format
from accelsim.spec.model import Model

_UNQUANTISED = ("norm.weight", "embedding.weight", ".bias")


def formats_given(model: Model, graph: Graph, held: Weights) -> dict[str, Format]:
    """Formats of the matrices that a checkpoint has quantised, by their names in the graph without the layer.

    They stay as they are, whatever format is asked for, and are planned and priced so.

    Raises:
        RequestError: layers that differ, since repeated layers are one operator with one format.
    """
    names = {t.name for _, op in graph for part in (op, *op.parts) for t in part.inputs if t.role is Role.WEIGHT}
    made: dict[str, Format] = {}
    for whole in sorted(names):
        _, name = split(whole, 0)
        if name == whole or name.endswith(_UNQUANTISED):
            continue
        found = {held.format_of(layer, name) for layer in range(model.layers)}
        if len(found) > 1:
            said = ", ".join(sorted("numbers" if form is None else form.name for form in found))
            raise RequestError(f"{model.name}: {name} is {said} by layer; repeated layers have one format each tensor")
        (form,) = found
        if form is not None:
            made[name] = form
    return made
