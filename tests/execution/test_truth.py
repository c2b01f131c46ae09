"""The fixtures of the transformers library, and the plain formulas beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.execution.truth import cases, make_truth, plain


@pytest.fixture(scope="module")
def truth():
    with np.load(make_truth.FILE) as stored:
        return dict(stored)


@pytest.mark.parametrize("name", cases.CONFIGS)
def test_the_plain_formulas_give_the_logits_of_transformers(truth, name):
    wanted, chosen = truth[f"{name}/logits"], truth[f"{name}/tokens"]
    made = plain.forward(cases.CONFIGS[name], cases.weights(name), [*cases.tokens(name), *chosen[:-1]])
    assert np.abs(made - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert np.array_equal(made[cases.PROMPT - 1 :].argmax(-1), chosen)


def test_the_cases_tell_their_families_apart(truth):
    # the window hides keys, the gain of a query head counts, grouped heads are not all heads, two experts of four work
    for name, key, other in (
        ("mistral", "sliding_window", None),
        ("qwen3", "rms_norm_eps", 0.1),
        ("llama", "rope_theta", 100.0),
        ("mixtral", "num_experts_per_tok", 3),
    ):
        tokens = cases.tokens(name)
        changed = plain.forward({**cases.CONFIGS[name], key: other}, cases.weights(name), tokens)
        wanted = truth[f"{name}/logits"][: cases.PROMPT]
        assert np.abs(changed - wanted).max() > 1e-3 * np.abs(wanted).max(), name


@pytest.mark.parametrize("name", cases.CONFIGS)
def test_transformers_still_says_so(truth, name):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    chosen, found = make_truth.logits(name)
    assert chosen == list(truth[f"{name}/tokens"])
    assert np.abs(found - truth[f"{name}/logits"]).max() < 1e-5 * np.abs(found).max()


def test_every_case_is_stored(truth):
    assert {key.partition("/")[0] for key in truth} == set(cases.CONFIGS)
    assert Path(make_truth.FILE).stat().st_size < 100_000
