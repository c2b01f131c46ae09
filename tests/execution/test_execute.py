"""Logits of every family: by definition, with and without a cache, in every reference mode."""

from __future__ import annotations

import numpy as np
import pytest

import accelsim
from tests.execution.families import CONFIGS, logits, model, tokens, weights

NAMES = sorted(CONFIGS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fuse", [True, False])
def test_float64_gives_the_logits_of_the_definition(name: str, fuse: bool) -> None:
    given, fed = weights(name), tokens(name)
    found = accelsim.execute(model(name), given, fed, numerics="fp64", fuse=fuse)
    want = logits(name, given, fed[0])
    assert found.logits.dtype == np.float64
    np.testing.assert_allclose(found.logits[0], want, rtol=0, atol=1e-12 * np.abs(want).max())


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_within_1e_5_of_the_largest_logit(name: str) -> None:
    given, fed = weights(name), tokens(name)
    found = accelsim.execute(model(name), given, fed, numerics="fp32", prefill=4)
    want = logits(name, given, fed[0])
    assert found.logits.dtype == np.float32
    np.testing.assert_allclose(found.logits[0], want, rtol=0, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("name", NAMES)
def test_exact_decode_equals_prefill_bit_for_bit_wherever_the_prompt_is_split(name: str) -> None:
    given, fed = weights(name), tokens(name, count=9, batch=2)
    the_model = model(name)
    whole = accelsim.execute(the_model, given, fed, numerics="exact").logits
    for prefill in range(1, fed.shape[1]):
        split = accelsim.execute(the_model, given, fed, numerics="exact", prefill=prefill).logits
        assert split.tobytes() == whole.tobytes()
