"""The shipped model tells formats apart; the bounds are those that the suite was designed for, not fitted ones.

Held-out text of workloads/tiny, windows of 256 bytes, stride 256; the first byte of a window is context only.
"""

from __future__ import annotations

from math import exp, log

import pytest

from accelsim.accuracy.report import Accuracy
from accelsim.accuracy.run import accuracy

FORMATS = "bf16,mxfp8_e4m3,int3_channel,int2_channel,bf16/int8_channel,bf16/int8_tensor"


def added(found: Accuracy) -> dict[str, float]:
    """Nats per byte more than float64."""
    return {row.name: row.measured.nll_minus_reference for row in found.rows if row.measured}


@pytest.fixture(scope="module")
def plain() -> Accuracy:
    return accuracy("tiny-llama", FORMATS, limit=2048)


def test_coarse_integers_are_visibly_worse_and_mxfp8_is_within_a_percent(plain: Accuracy) -> None:
    more = added(plain)
    errors = {row.name: row.measured.standard_error for row in plain.rows if row.measured}
    assert abs(exp(more["mxfp8_e4m3"]) - 1) < 0.01
    assert abs(exp(more["bf16"]) - 1) < 0.002
    assert more["int3_channel"] > 0.02
    assert more["int3_channel"] > 2 * errors["int3_channel"]
    assert more["int2_channel"] > 10 * more["int3_channel"]


def test_outliers_hurt_scales_of_tensors_far_more_than_scales_of_tokens(plain: Accuracy) -> None:
    outliers = accuracy("tiny-llama-outliers", "bf16,bf16/int8_channel,bf16/int8_tensor", limit=2048)
    more, before = added(outliers), added(plain)
    assert abs(outliers.reference_nll - plain.reference_nll) < 1e-9  # the same function
    per_tensor = more["bf16/int8_tensor"] - before["bf16/int8_tensor"]
    per_token = more["bf16/int8_channel"] - before["bf16/int8_channel"]
    assert per_tensor > 0.2
    assert per_tensor > 5 * per_token
    assert more["bf16"] == pytest.approx(before["bf16"], abs=1e-6)


@pytest.mark.long
def test_bits_per_byte_on_64_ki_held_out_tokens() -> None:
    found = accuracy("tiny-llama", "bf16,mxfp8_e4m3,nvfp4,mxfp4", limit=1 << 16)
    assert found.predicted == 255 * 256
    assert found.reference_nll / log(2) < 2.5
    apart = {row.name: row.measured.kl for row in found.rows if row.measured}
    assert apart["bf16"] < apart["mxfp8_e4m3"] < apart["nvfp4"] < apart["mxfp4"]
    # likelihoods of these bytes do not tell bf16 from mxfp8_e4m3: +0.0001 +- 0.0001 and +0.0000 +- 0.0003 nats
    more = added(found)
    assert max(more["bf16"], more["mxfp8_e4m3"]) < more["nvfp4"] < more["mxfp4"]
