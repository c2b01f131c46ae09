from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from accelsim.errors import RequestError
from accelsim.weights import synthetic
from accelsim.weights.synthetic import quantiles
from tests.execution.truth import cases

DIGEST = "47bb18c748bf21d3d611429ba135a8ef066d4316761b2350bc36c7d717643eb1"


def test_the_same_bits_on_every_machine():
    assert sha256(quantiles().astype("<i2").tobytes()).hexdigest().startswith("1ea009ce409dac97")
    digest = sha256()
    for name, value in sorted(synthetic(cases.model("mixtral"), seed=3).items()):
        digest.update(name.encode() + np.asarray(value, "<f4").tobytes())
    assert digest.hexdigest() == DIGEST


def test_synthetic_weights_have_the_traits_that_are_stated():
    drawn = synthetic("tinyllama-1.1b", seed=1, outliers=False)
    assert drawn.metadata == {"synthetic": "true", "seed": "1"}
    assert {drawn.dtype(name) for name in drawn} == {"bf16"}
    w = drawn.array("model.layers.3.self_attn.k_proj.weight", np.float64)
    assert w.shape == (256, 2048)
    assert np.array_equal(w, (w.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32))
    assert (w * w).mean() * 2048 == pytest.approx(1, rel=0.15)
    singular = np.sqrt(np.linalg.eigvalsh(w @ w.T)[::-1])
    assert singular[0] / singular[3] == pytest.approx(16 / 4, rel=0.35)
    assert singular[0] > 3 * singular[8]  # the head stands out of the bulk
    assert singular[8] / singular[100] < 1.6
    spread = w.std(axis=1)
    assert 0.1 < spread.std() / spread.mean() < 0.3
    assert np.array_equal(drawn["model.norm.weight"], drawn["model.norm.weight"])
    other = synthetic("tinyllama-1.1b", seed=2, outliers=False)
    assert not np.array_equal(other["model.norm.weight"], drawn["model.norm.weight"])
    with pytest.raises(RequestError, match="seed = -1"):
        synthetic("gpt2", seed=-1)


def test_synthetic_outliers_are_in_the_gains():
    plain, marked = (synthetic("tinyllama-1.1b", outliers=flag) for flag in (False, True))
    ratio = marked["model.layers.0.input_layernorm.weight"] / plain["model.layers.0.input_layernorm.weight"]
    assert sorted(set(ratio)) == [1, 16]
    assert (ratio == 16).sum() == 2048 // 512
    w, v = (found["model.layers.0.self_attn.k_proj.weight"] for found in (plain, marked))
    assert np.array_equal(w, v * ratio)
