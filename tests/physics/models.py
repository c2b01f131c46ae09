"""Shipped models with fewer layers: every structure, quickly simulated."""

from __future__ import annotations

from accelsim import catalog
from accelsim.spec.model import Model


def few_layers(name: str, repeat: int = 2, vocabulary: int = 1000) -> Model:
    """The model with at most `repeat` repetitions of each group of layers."""
    model = catalog.model(name)

    def shorter(groups: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(group.model_copy(update={"repeat": min(group.repeat, repeat)}) for group in groups)

    return model.model_copy(
        update={"decoder": shorter(model.decoder), "encoder": shorter(model.encoder), "vocabulary": vocabulary}
    )
