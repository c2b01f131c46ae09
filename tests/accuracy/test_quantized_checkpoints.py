"""Checkpoints that others quantised, from the folder to the row: their codes are executed, planned and priced."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.accuracy.combinations import combination
from accelsim.accuracy.price import price
from accelsim.accuracy.run import accuracy
from accelsim.execution.run import executor
from accelsim.formats import dataformat
from accelsim.graph.operator import Role
from accelsim.numerics.encoded import Encoded
from accelsim.weights import of_model, open_checkpoint
from tests.execution.families import CONFIGS, tokens, weights
from tests.weights import writing
from tests.weights.test_quantized import words

NAME = "llama"
Array = np.ndarray[Any, Any]
Tensors = dict[str, tuple[str, Any]]


def fp8(base: str, held: Encoded) -> Tensors:
    """FP8 with a scale for each output."""
    scale = dataformat("fp32").decode(held.scales)
    return {f"{base}.weight": ("F8_E4M3", held.codes), f"{base}.weight_scale": ("F32", scale)}


def mxfp4(base: str, held: Encoded) -> Tensors:
    """The layout of gpt-oss: two codes a byte, the first in the lower half, and scales beside them."""
    pairs = held.codes.reshape(len(held.codes), -1, 16, 2)
    packed = (pairs[..., 0] | pairs[..., 1] << 4).astype(np.uint8)
    return {f"{base}.weight_blocks": ("U8", packed), f"{base}.weight_scales": ("U8", held.scales)}


def _unsigned(held: Encoded) -> Array:
    """Codes of int4 from 0 to 15, 8 for zero."""
    return (held.codes.astype(np.int64) ^ 8) & 15


def compressed(base: str, held: Encoded) -> Tensors:
    """Compressed-tensors, packed in words."""
    return {
        f"{base}.weight_packed": ("I32", words(_unsigned(held), 4)),
        f"{base}.weight_scale": ("F16", dataformat("fp16").decode(held.scales).astype(np.float16)),
        f"{base}.weight_shape": ("I64", np.array(held.shape, np.int64)),
    }


def gptq(base: str, held: Encoded) -> Tensors:
    """GPTQ's first version, whose zero points are stored less one."""
    out, inputs = held.shape
    groups = held.scales.shape[1]  # type: ignore[union-attr]
    return {
        f"{base}.qweight": ("I32", words(_unsigned(held), 4).T.copy()),
        f"{base}.qzeros": ("I32", words(np.full((groups, out), 7), 4)),
        f"{base}.scales": ("F16", dataformat("fp16").decode(held.scales).astype(np.float16).T.copy()),
        f"{base}.g_idx": ("I32", (np.arange(inputs) // (inputs // groups)).astype(np.int32)),
    }


LAYOUTS: dict[str, tuple[str, Callable[[str, Encoded], Tensors], dict[str, Any]]] = {
    "fp8": ("fp8_e4m3_channel", fp8, {}), "gpt-oss": ("mxfp4", mxfp4, {}),
    "compressed-tensors": ("int4_g16", compressed, {}), "gptq": ("int4_g16", gptq, {"bits": 4}),
}  # fmt: skip
"""The format that a checkpoint is quantised to, and how its parts are written."""


@pytest.fixture(params=["fp8", "gpt-oss", "gptq", pytest.param("compressed-tensors", marks=pytest.mark.long)])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Encoded]]:
    """A folder with a quantised model, and the codes in it."""
    form, parts, settings = LAYOUTS[request.param]
    config = {**CONFIGS[NAME], "intermediate_size": 64, "torch_dtype": "bfloat16", "quantization_config": settings}
    rng, tensors, codes = np.random.default_rng(3), {}, {}
    for name, array in weights(NAME).items():
        if ".layers." in name and array.ndim == 2:
            shape = tuple(64 if n == 48 else n for n in array.shape)
            codes[name] = dataformat(form).encode(rng.normal(scale=0.3, size=shape).astype(np.float32))
            tensors |= parts(name.removesuffix(".weight"), codes[name])
        else:
            tensors[name] = "BF16", writing.bf16(array)
    writing.write(tmp_path / "model.safetensors", tensors)
    (tmp_path / "config.json").write_text(json.dumps(config))
    np.save(tmp_path / "tokens.npy", tokens(NAME, 48)[0])
    return tmp_path, codes


def test_nothing_is_quantised_again(written: tuple[Path, dict[str, Encoded]]) -> None:
    folder, codes = written
    found = open_checkpoint(folder)
    for name, held in codes.items():
        read = found[name]
        assert isinstance(read, Encoded)
        assert np.array_equal(read.codes, held.codes)
        assert np.array_equal(read.format.decode(read, np.float64), held.format.decode(held, np.float64))
    # executed: the values of the codes, in the format of the checkpoint, whatever else is asked for
    model = catalog.model(folder)
    held_weights = of_model(found, model)
    numbers = {name: held_weights.array(name, np.float64) for name in held_weights}
    asked, wanted, other = (
        accelsim.execute(model, given, tokens(NAME), numerics="exact", weights_format=form).logits
        for given, form in ((held_weights, None), (numbers, None), (held_weights, "int2_channel"))
    )
    assert np.array_equal(asked, wanted)
    assert np.array_equal(asked, other)


def test_plan_and_price_are_those_of_the_checkpoint(written: tuple[Path, dict[str, Encoded]]) -> None:
    folder, codes = written
    model = catalog.model(folder)
    held = of_model(open_checkpoint(folder), model)
    own = next(iter(open_checkpoint(folder)[name] for name in codes)).format.record  # type: ignore[union-attr]
    plan = executor(model, held, on="h100-sxm", weights_format="bf16").plan
    stored = {
        t.name.rpartition(".")[0].rpartition(".")[2]: t.storage.name
        for _, t in plan.lines()  # type: ignore[union-attr]
        if t.role is Role.WEIGHT and t.storage is not None
    }
    assert {stored[x] for x in ("q_proj", "o_proj", "up_proj", "down_proj")} == {own.name}
    assert stored["lm_head"] == stored["token_embedding"] == "bf16"
    settings = {"weights": folder, "tokens": folder / "tokens.npy", "limit": 48, "window": 24}
    found = accuracy(folder, "bf16,int2_channel", on="h100-sxm", **settings)  # type: ignore[arg-type]
    first, second = found.rows
    assert first.measured is not None
    assert first.measured == second.measured
    assert not found.synthetic
    assert first.bits_per_weight == pytest.approx(own.bits_per_element)
    # priced as a model whose layers are in that format
    layers = dict.fromkeys((f"{x}_proj.weight" for x in ("q", "k", "v", "o", "gate", "up", "down")), own)
    assert first.price == price(model, "h100-sxm", combination("bf16"), layers)
    assert first.price != price(model, "h100-sxm", combination("bf16"))


def test_methods_serve_what_is_left_of_it(written: tuple[Path, dict[str, Encoded]]) -> None:
    folder, _ = written
    found = accuracy(
        folder, "bf16/bf16/uint2_g8_zp", method="rtn,kivi,gptq", weights=folder, tokens=folder / "tokens.npy",
        limit=24, window=24,
    )  # fmt: skip
    assert found.rows[0].measured is not None
    assert found.rows[1].measured is not None
    assert found.rows[2].measured is None
    assert found.rows[2].problem
