from __future__ import annotations

import numpy as np
import pytest

from accelsim.errors import RequestError
from accelsim.weights import Checkpoint, with_outliers
from accelsim.weights.checkpoint import made
from tests.execution.truth import cases, plain


def held(name: str) -> Checkpoint:
    return Checkpoint({key: made(value, "bf16") for key, value in cases.weights(name).items()}, origin="made")


@pytest.mark.parametrize("name", cases.CONFIGS)
def test_nothing_changes_but_the_channels(name):
    model, config = cases.model(name), cases.CONFIGS[name]
    channels = [3, 17]
    marked = with_outliers(held(name), model, channels, 5)
    seen: dict[str, list[np.ndarray]] = {}

    def watch(layer, x):
        seen.setdefault(layer, []).append(x)
        return x

    tokens = cases.tokens(name)
    before = plain.forward(config, cases.weights(name), tokens, watch)
    after = plain.forward(config, marked, tokens, watch)
    assert np.abs(after - before).max() < 1e-12 * np.abs(before).max()
    grown = set()
    for layer, (x, y) in seen.items():
        if x.shape[-1] != model.hidden or not np.allclose(y[..., channels], 32 * x[..., channels], rtol=1e-9):
            assert np.allclose(x, y, rtol=1e-9, atol=1e-12), layer
            continue
        grown.add(layer)
        others = np.delete(np.arange(model.hidden), channels)
        assert np.allclose(x[..., others], y[..., others], rtol=1e-9, atol=1e-12), layer
    # every block reads them: queries, keys and values (one matrix in GPT-2), and the feed-forward's first matrices
    per_layer = {"gpt2": 2, "opt": 4, "mixtral": 3 + 1 + 2 * 4}.get(name, 5)
    assert len(grown) == 2 * per_layer
    assert {marked.dtype(key) for key in marked} == {"bf16"}


def test_powers_of_two_are_exact():
    there = with_outliers(held("llama"), cases.model("llama"), [0, 47], 6)
    back = with_outliers(there, cases.model("llama"), [47, 0], -6)
    assert all(np.array_equal(back[key], value) for key, value in cases.weights("llama").items())
    changed = [key for key, value in cases.weights("llama").items() if not np.array_equal(there[key], value)]
    assert len(changed) == 2 * (2 + 3 + 2)


def test_what_cannot_be_asked_for():
    for channels, power, message in (([48], 1, "from 0 to 47"), ([1, 1], 1, "different"), ([1], 65, "from -64 to 64")):
        with pytest.raises(RequestError, match=message):
            with_outliers(held("llama"), cases.model("llama"), channels, power)
