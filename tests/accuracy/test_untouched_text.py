"""Bounds on text that nothing has looked at: bytes 65,537 to 115,319 of the held-out text of workloads/tiny.

Every other test, table and search reads bytes 0 to 65,536 at most, and training reads none of the file. The bounds
below were committed before this text was executed for the first time; what came out stands in docs/execution.md, a
miss in DEVIATIONS.md.
"""

from __future__ import annotations

from math import exp, log

import pytest

from accelsim.accuracy.report import Accuracy
from accelsim.accuracy.run import accuracy
from accelsim.weights import shipped
from tests.weights import trigram

FIRST = 65_537
WINDOWS = (115_320 - FIRST) // 256

FORMATS = "bf16,mxfp8_e4m3,mxfp8_e4m3/mxfp8_e4m3,int3_channel,int2_channel,bf16/int8_channel,bf16/int8_tensor"
OUTLIER_FORMATS = "bf16,bf16/int8_channel,bf16/int8_tensor"

# stated
MOST_BITS_PER_BYTE = 2.5
MXFP8_WITHIN = 0.01  # of the perplexity
INT3_NATS, INT3_ERRORS = 0.02, 2  # more nats per byte than float64, and standard errors of it
INT2_TIMES_INT3 = 10
TENSOR_NATS, TENSOR_TIMES_TOKEN = 0.2, 5  # what outliers add to int8 activations with one scale for the tensor

MISSED = {"mxfp8, activations too"}
"""What did not come out as stated: see DEVIATIONS.md."""


def added(found: Accuracy) -> dict[str, float]:
    """Nats per byte more than float64."""
    return {row.name: row.measured.nll_minus_reference for row in found.rows if row.measured}


@pytest.mark.long
def test_the_stated_bounds(tmp_path):
    text = shipped.text("heldout")[FIRST:]
    path = tmp_path / "untouched.txt"
    path.write_bytes(text)
    limit = WINDOWS * 256
    plain = accuracy("tiny-llama", FORMATS, tokens=path, limit=limit)
    outliers = accuracy("tiny-llama-outliers", OUTLIER_FORMATS, tokens=path, limit=limit)
    more, marked = added(plain), added(outliers)
    errors = {row.name: row.measured.standard_error for row in plain.rows if row.measured}
    bits = plain.reference_nll / log(2)
    gram = trigram.bits(shipped.text("train"), text[:limit]).mean()
    said = {name: f"{nats:+.5f} +- {errors[name]:.5f}" for name, nats in more.items()}
    report = f"{plain.predicted} bytes: {bits:.4f} bits per byte, 3-gram {gram:.4f}; nats: {said}, outliers: {marked}"
    print(report)  # noqa: T201  shown by pytest -s
    per_tensor, per_token = (marked[f"bf16/int8_{x}"] - more[f"bf16/int8_{x}"] for x in ("tensor", "channel"))
    held = {
        "bits per byte": bits <= MOST_BITS_PER_BYTE,
        "below the 3-gram": bits < gram,
        "mxfp8": abs(exp(more["mxfp8_e4m3"]) - 1) < MXFP8_WITHIN,
        "mxfp8, activations too": abs(exp(more["mxfp8_e4m3/mxfp8_e4m3"]) - 1) < MXFP8_WITHIN,
        "int3": more["int3_channel"] > max(INT3_NATS, INT3_ERRORS * errors["int3_channel"]),
        "int2": more["int2_channel"] > INT2_TIMES_INT3 * more["int3_channel"],
        "outliers, one scale per tensor": per_tensor > TENSOR_NATS,
        "outliers, tensor against token": per_tensor > TENSOR_TIMES_TOKEN * per_token,
    }
    assert {name for name, fits in held.items() if not fits} == MISSED, report
    assert exp(more["mxfp8_e4m3/mxfp8_e4m3"]) - 1 < 2.5 * MXFP8_WITHIN
