"""Integers without a scale stand for those with one for each row; units that add integers do so exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.evaluate.resolve import mixture_format
from accelsim.execution.integers import weighted_values
from accelsim.execution.matrix import multiply, prepare
from accelsim.execution.mixtures import _blocks, mixed
from accelsim.execution.plan import Unit
from accelsim.execution.stored import Stored
from accelsim.formats import dataformat
from accelsim.numerics.accumulator import accumulator
from accelsim.weights import shipped
from tests.execution.families import model, tokens, weights

INT8 = catalog.format_("int8")
UNIT = Unit(accumulator("int32"), INT8, INT8)
RNG = np.random.default_rng(2)


def run(name: str, **settings: Any) -> Any:
    return accelsim.execute(model(name), weights(name), tokens(name), **settings)


def test_a_plain_integer_is_the_one_with_a_scale_for_each_row() -> None:
    roles = ("weights_format", "activations_format", "kv_cache_format")
    plain, scaled = (
        run("llama-gqa", numerics="exact", **dict.fromkeys(roles, form)) for form in ("int8", "int8_channel")
    )
    assert np.array_equal(plain.logits, scaled.logits)
    stored = {t.storage.name for _, t in plain.plan.lines() if t.storage is not None}
    assert "int8" in stored
    assert "int8_channel" not in stored


@pytest.mark.parametrize("form", ["int8", "int8_channel", "int4", "int4_g16", "int3_g16"])
def test_products_of_integers_are_their_values_products(form: str) -> None:
    a, b = RNG.normal(size=(5, 64)), RNG.normal(size=(64, 7))
    left, right = (dataformat(name).encode(x, axis=axis) for name, x, axis in (
        ("int8_channel", a, -1), (form if "_" in form else f"{form}_channel", b, 0)))  # fmt: skip
    values = [encoded.format.decode(encoded, np.float64) for encoded in (left, right)]
    made = multiply(
        prepare(Stored(values[0], left), UNIT, -1), prepare(Stored(values[1], right), UNIT, -2), UNIT
    )  # fmt: skip
    np.testing.assert_allclose(made, values[0] @ values[1], rtol=1e-5, atol=1e-5)


def test_scales_of_values_come_to_p_and_values_are_not_rounded_again() -> None:
    p, v = np.abs(RNG.normal(size=(3, 20))), RNG.normal(size=(20, 8))
    stored = dataformat("int8_channel").quantize(v)
    left, right = weighted_values(p, stored, UNIT)
    found = multiply(left, right, UNIT)
    scale = np.abs(stored).max(axis=1) / 127
    scaled = dataformat("int8_channel").quantize(p * scale)
    np.testing.assert_allclose(found, scaled @ (stored / scale[:, None]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chip", ["flightllm-u280", "upmem-20dimm"])
def test_decode_is_prefill_on_machines_of_integers(chip: str) -> None:
    from accelsim.execution.run import executor

    formats = {f"{role}_format": "int8" for role in ("weights", "activations", "kv_cache")}
    made = executor(model("llama-gqa"), weights("llama-gqa"), on=chip, as_decode=True, **formats)  # type: ignore[arg-type]
    fed = tokens("llama-gqa", 6)
    whole, _ = made.start(fed)
    for first in (1, 4):
        found, state = made.start(fed[:, :first])
        parts = [found]
        for at in range(first, 6):
            found, state = made.step(fed[:, at : at + 1], state)
            parts.append(found)
        assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


@pytest.mark.parametrize("chip", ["flightllm-u280", "flightllm-vhk158", "groq-lpu-1", "upmem-20dimm"])
def test_native_formats_are_executed(chip: str) -> None:
    fed = np.frombuffer(shipped.text("heldout")[:48], np.uint8).astype(np.int64)
    found, exact = (
        accelsim.execute("tiny-llama", shipped.shipped(), fed, **how) for how in ({"on": chip}, {"numerics": "fp64"})
    )
    assert found.infeasible is None
    assert np.square(found.logits - exact.logits).sum() < 0.05 * np.square(exact.logits).sum()


def test_a_mixture_keeps_its_shares() -> None:
    chip = catalog.chip("flightllm-u280")
    form = mixture_format(chip, "flightllm_w3.5")  # type: ignore[arg-type]
    assert form is not None
    x = RNG.normal(size=(256, 40))
    made = mixed(form, x)  # type: ignore[arg-type]
    values = made.format.decode(made, np.float64)
    assert made.format.name == "int4_g128"
    kept = np.count_nonzero(_blocks(values, 16), axis=1)
    assert (kept <= 16).all()
    assert np.mean(kept <= 8) == pytest.approx(0.6, abs=0.02)
    steps = values.reshape(2, 128, 40) / dataformat("fp16").decode(made.scales, np.float64)[:, None]
    assert np.mean((steps >= -4.01).all(axis=1) & (steps <= 3.01).all(axis=1)) >= 0.5
    # its error is less than that of the narrow format on the same sparsity, and the kept weights are the large ones
    assert np.square(values - x).sum() < 0.4 * np.square(x).sum()
    assert np.abs(x[values == 0]).mean() < 0.5 * np.abs(x[values != 0]).mean()


def test_a_format_that_dpus_lack_is_priced_on_the_host() -> None:
    found = accelsim.simulate(model("llama-gqa"), "upmem-20dimm", prompt=4, generate=2, weights="bf16")
    assert found.infeasible is None
    assert found.summary["time_per_output_token_s"] > 0
