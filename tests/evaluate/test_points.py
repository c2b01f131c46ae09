"""Many points at once are the same as one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.devices.families import device_for
from accelsim.errors import RequestError, UnknownNameError
from accelsim.evaluate.phases import Work
from accelsim.evaluate.points import evaluate_points
from accelsim.evaluate.resolve import formats_of, reachable
from accelsim.graph.routing import Routing
from accelsim.simulation import simulate

ROOM = {"memory.capacity": "9 PB"}


def drawn(count: int) -> dict[str, object]:
    random = np.random.default_rng(7)
    return {
        "batch": random.integers(1, 65, count),
        "prompt": random.integers(1, 4096, count),
        "generate": random.integers(1, 6, count),
        "weights": random.choice(["bf16", "fp8_e4m3", "mxfp4"], count).tolist(),
        "kv_cache": random.choice(["bf16", "fp8_e4m3"], count).tolist(),
        "memory.bandwidth": random.uniform(1e12, 8e12, count),
        "clock.sm.frequency": random.uniform(1e9, 2e9, count),
        "power.idle": random.uniform(50, 200, count),
    }


@pytest.mark.parametrize("name", ["llama-2-7b", "mixtral-8x7b", "gemma-2-9b", "deepseek-v2-lite", "t5-xxl"])
def test_every_metric_of_every_point_equals_a_single_run(name: str) -> None:
    points = drawn(24)
    table = evaluate_points(catalog.model(name), catalog.chip("h100-sxm"), points)
    for index in range(24):
        one = {key: values[index] if not isinstance(values, int) else values for key, values in points.items()}
        figures = {key: float(one.pop(key)) for key in ("memory.bandwidth", "clock.sm.frequency", "power.idle")}
        run = simulate(
            name,
            "h100-sxm",
            fidelity="roofline",
            overrides={**figures, **ROOM},
            **{key: value if isinstance(value, str) else int(value) for key, value in one.items()},
        )
        assert run.ok
        for metric, values in table.items():
            if metric in ("memory_capacity_bytes", "fits"):
                continue  # the single runs were given room
            assert values[index] == pytest.approx(run.summary[metric], rel=1e-12, nan_ok=True), (metric, one)


@settings(max_examples=20)
@given(
    batch=st.integers(1, 64),
    prompt=st.integers(1, 8192),
    steps=st.integers(1, 5),
    name=st.sampled_from(["gpt2", "llama-3-8b", "qwen3-30b-a3b", "mistral-7b"]),
)
def test_arrays_equal_plain_numbers(batch: int, prompt: int, steps: int, name: str) -> None:
    """The vectorised sum over steps against Python numbers, step by step and operator by operator."""
    model, chip = catalog.model(name), catalog.chip("a100-sxm-80gb")
    formats = formats_of(chip, "int4_g128", None, None)
    device = device_for(chip, {form.name: form.bits for form in reachable(chip, formats)})
    work = Work(model, formats, batch, prompt, steps + 1, "last", Routing(), True)
    prefill = sum(block.repeat * device.roofline(op).time_s for block, op in work.prefill())
    decode = sum(
        block.repeat * device.roofline(op).time_s for step in range(1, steps + 1) for block, op in work.decode(step)
    )
    table = evaluate_points(
        model, chip, {"batch": [batch], "prompt": prompt, "generate": steps + 1, "weights": "int4_g128"}
    )
    assert table["prefill_time_s"][0] == pytest.approx(prefill, rel=1e-12)
    assert table["decode_time_s"][0] == pytest.approx(decode, rel=1e-12)


def test_a_point_that_does_not_fit_is_priced_and_says_so() -> None:
    table = evaluate_points(catalog.model("llama-2-70b"), catalog.chip("h100-sxm"), {"memory.capacity": [80e9, 200e9]})
    assert table["fits"].tolist() == [False, True]
    assert table["total_time_s"][0] == table["total_time_s"][1] > 0


def test_bad_columns_are_refused() -> None:
    model, chip = catalog.model("gpt2"), catalog.chip("h100-sxm")
    with pytest.raises(UnknownNameError, match=r"no column named 'memory\.bandwith'[\s\S]*nearest: memory\.bandwidth"):
        evaluate_points(model, chip, {"memory.bandwith": [1e12]})
    with pytest.raises(RequestError, match="different lengths"):
        evaluate_points(model, chip, {"batch": [1, 2], "prompt": [1, 2, 3]})
    with pytest.raises(RequestError, match="batch must be whole numbers of at least 1"):
        evaluate_points(model, chip, {"batch": [0, 2]})
