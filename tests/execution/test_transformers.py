"""The executor against the transformers library: prefill and eight decode steps of every family."""

from __future__ import annotations

import numpy as np
import pytest

import accelsim
from accelsim.spec.huggingface import read_config
from tests.execution.truth import cases, make_truth


@pytest.mark.parametrize("name", cases.CONFIGS)
@pytest.mark.parametrize("fuse", [True, False])
def test_float32_logits_equal_those_of_transformers(name: str, fuse: bool) -> None:
    """To 1e-5 of the largest logit; the tokens that follow each other are the same."""
    with np.load(make_truth.FILE) as stored:
        wanted, chosen = stored[f"{name}/logits"], stored[f"{name}/tokens"]
    model = read_config(cases.CONFIGS[name], name=f"tiny-{name}", source="a test", status="assumed")
    found = accelsim.execute(model, cases.weights(name), cases.tokens(name), generate=len(chosen), fuse=fuse)
    assert found.logits[0].shape == wanted.shape
    assert np.abs(found.logits[0] - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert np.array_equal(found.tokens[0, cases.PROMPT :], chosen)
