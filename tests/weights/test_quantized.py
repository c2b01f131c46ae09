"""Checkpoints that others quantised: the values are those of their own rules, and the codes are theirs."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

from accelsim.errors import CheckpointError
from accelsim.numerics import Encoded
from accelsim.weights import open_checkpoint
from tests.weights import writing

RNG = np.random.default_rng(5)


def opened(folder, tensors, **settings):
    writing.write(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps({"quantization_config": settings}))
    return open_checkpoint(folder)


def words(codes: np.ndarray, bits: int) -> np.ndarray:
    """Rows of unsigned codes in words of 32 bits, the first lowest."""
    each = 32 // bits
    padded = np.pad(codes.astype(np.uint64), ((0, 0), (0, -codes.shape[1] % each)))
    parts = padded.reshape(len(codes), -1, each) << (np.arange(each, dtype=np.uint64) * np.uint64(bits))
    return np.bitwise_or.reduce(parts, axis=2).astype(np.uint32).view(np.int32)


def encoded(checkpoint, name) -> Encoded:
    found = checkpoint[name]
    assert isinstance(found, Encoded)
    assert found.codes.shape == found.shape == checkpoint.shape(name)
    assert checkpoint.dtype(name) == found.format.name
    # what packs and unpacks is whole
    again = found.format.unpack(found.format.pack(found), found.shape, found.axis)
    assert np.array_equal(again.codes, found.codes)
    return found


FP8 = {"F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2}


@pytest.mark.parametrize("dtype", FP8)
@pytest.mark.parametrize("scales", [(1,), (), (6, 1), (6,), (6, 4)])
@pytest.mark.parametrize("stored", ["F32", "BF16"])
def test_fp8_with_scales(tmp_path, dtype, scales, stored):
    codes = RNG.normal(size=(6, 128)).astype(FP8[dtype]).view(np.uint8)
    scale = writing.bf16(RNG.uniform(0.01, 2, size=scales))
    numbers = (scale.astype(np.uint32) << 16).view(np.float32)
    given = scale if stored == "BF16" else numbers
    found = opened(tmp_path, {"l.weight": (dtype, codes), "l.weight_scale": (stored, given)})
    assert list(found) == ["l.weight"]
    made = encoded(found, "l.weight")
    assert np.array_equal(made.codes, codes)
    spread = (
        numbers.reshape(-1, 1)
        if scales in ((6,), (6, 1))
        else np.repeat(numbers, 32, axis=1)
        if scales == (6, 4)
        else numbers.reshape(())
    )
    wanted = codes.view(FP8[dtype]).astype(np.float64) * spread
    assert np.array_equal(found.array("l.weight", np.float64), wanted)
    assert found.entry("l.weight").nbytes == codes.size + given.nbytes


def test_squares_of_deepseek(tmp_path):
    codes = RNG.normal(size=(200, 300)).astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    scale = RNG.uniform(1e-4, 1e-2, size=(2, 3)).astype(np.float32)
    tensors = {"l.weight": ("F8_E4M3", codes), "l.weight_scale_inv": ("F32", scale)}
    found = opened(tmp_path, tensors, weight_block_size=[128, 128])
    spread = np.repeat(np.repeat(scale, 128, 0)[:200], 128, 1)[:, :300]
    wanted = codes.view(ml_dtypes.float8_e4m3fn).astype(np.float64) * spread
    assert np.array_equal(encoded(found, "l.weight").format.decode(found["l.weight"], np.float64), wanted)
    assert found.entry("l.weight").nbytes == 60_000 + 24
    with pytest.raises(CheckpointError, match=r"has shape \(2, 3\); with its weight goes \(4, 5\)"):
        opened(tmp_path, tensors, weight_block_size=[64, 64])
    with pytest.raises(CheckpointError, match="weight_block_size"):
        opened(tmp_path, tensors, weight_block_size=[0, 64])


def test_int8_with_and_without_zero_points(tmp_path):
    codes = RNG.integers(-128, 128, size=(4, 64)).astype(np.int8)
    scale = RNG.uniform(0.01, 2, size=(4, 1)).astype(np.float32)
    points = np.array([[3], [-5], [0], [127]], np.int8)
    tensors = {"l.weight": ("I8", codes), "l.weight_scale": ("F32", scale)}
    found = opened(tmp_path, tensors)
    assert encoded(found, "l.weight").format.name.startswith("int8_channel")
    assert np.array_equal(found.array("l.weight", np.float64), codes * scale.astype(np.float64))
    shifted = opened(tmp_path, {**tensors, "l.weight_zero_point": ("I8", points)})
    assert list(shifted) == ["l.weight"]
    wanted = (codes.astype(np.float64) - points) * scale
    assert np.array_equal(shifted.array("l.weight", np.float64), wanted)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("shifted", [False, True])
def test_words_of_compressed_tensors(tmp_path, bits, shifted):
    rows, columns, length = 6, 64, 32
    codes = RNG.integers(0, 1 << bits, size=(rows, columns))
    points = RNG.integers(0, 1 << bits, size=(rows, columns // length))
    scale = RNG.uniform(0.01, 2, size=points.shape).astype(np.float16)
    tensors = {
        "l.weight_packed": ("I32", words(codes, bits)),
        "l.weight_scale": ("F16", scale),
        "l.weight_shape": ("I64", np.array([rows, columns], np.int64)),
        "l.input_scale": ("F32", np.ones(1, np.float32)),
    }
    if shifted:
        tensors["l.weight_zero_point"] = "I32", words(points.T, bits).T
    found = opened(tmp_path, tensors)
    assert sorted(found) == ["l.input_scale", "l.weight"]
    encoded(found, "l.weight")
    zero = np.repeat(points, length, 1) if shifted else 1 << bits - 1
    wanted = (codes - zero) * np.repeat(scale, length, 1).astype(np.float64)
    assert np.array_equal(found.array("l.weight", np.float64), wanted)
    tensors["l.weight_g_idx"] = "I32", (np.arange(columns) // length).astype(np.int32)
    assert np.array_equal(opened(tmp_path, tensors).array("l.weight", np.float64), wanted)
    tensors["l.weight_g_idx"] = "I32", (np.arange(columns) % 2).astype(np.int32)
    with pytest.raises(CheckpointError, match="out of order"):
        opened(tmp_path, tensors)


@pytest.mark.parametrize("version", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [4, 8])
def test_words_of_gptq(tmp_path, version, symmetric, bits):
    inputs, outputs, length = 64, 16, 32
    codes = RNG.integers(0, 1 << bits, size=(inputs, outputs))
    points = RNG.integers(1, 1 << bits, size=(inputs // length, outputs))
    points = np.full_like(points, 1 << bits - 1) if symmetric else points
    scale = RNG.uniform(0.01, 2, size=points.shape).astype(np.float16)
    tensors = {
        "l.qweight": ("I32", words(codes.T, bits).T),
        "l.qzeros": ("I32", words(points - (version == "gptq"), bits)),
        "l.scales": ("F16", scale),
        "l.g_idx": ("I32", (np.arange(inputs) // length).astype(np.int32)),
        "l.bias": ("F16", np.zeros(outputs, np.float16)),
    }
    found = opened(tmp_path, tensors, bits=bits, checkpoint_format=version)
    assert sorted(found) == ["l.bias", "l.weight"]
    made = encoded(found, "l.weight")
    assert made.shape == (outputs, inputs)
    assert (made.mask_or_indices is None) == symmetric
    wanted = ((codes - np.repeat(points, length, 0)) * np.repeat(scale, length, 0).astype(np.float64)).T
    assert np.array_equal(found.array("l.weight", np.float64), wanted)
    # without the configuration, the bits follow from g_idx
    if version == "gptq":
        assert np.array_equal(opened(tmp_path, tensors).array("l.weight", np.float64), wanted)


def test_gptq_that_is_not_read(tmp_path):
    def tensors(**changes):
        usual = {
            "l.qweight": ("I32", np.zeros((8, 16), np.int32)),
            "l.qzeros": ("I32", np.full((2, 2), 0x77777777, np.int32)),
            "l.scales": ("F16", np.ones((2, 16), np.float16)),
            "l.g_idx": ("I32", (np.arange(64) // 32).astype(np.int32)),
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    assert encoded(opened(tmp_path, tensors()), "l.weight").format.bits == 4
    cases = [
        ({"l.g_idx": ("I32", np.arange(64, dtype=np.int32) % 2)}, {}, "out of order"),
        ({"l.g_idx": None}, {}, "give the bits in quantization_config"),
        ({}, {"bits": 3}, "3 bits an element: read are 2, 4, 8"),
        ({"l.qweight": ("I32", np.zeros((64, 2), np.int32))}, {}, "AWQ's packing is not read"),
        ({"l.qzeros": ("I32", np.full((2, 2), -1, np.int32))}, {}, "zero point 16, which 4 bits do not"),
        ({"l.qzeros": ("I32", np.zeros((2, 3), np.int32))}, {}, "with its weight goes"),
        ({"l.scales": ("F16", np.ones((3, 16), np.float16))}, {}, "3 groups, which do not divide 64"),
        ({"l.scales": ("F16", np.full((2, 16), np.nan, np.float16))}, {}, "NaN or infinities"),
        ({"l.qzeros": None}, {}, "no tensor 'l.qzeros'"),
    ]
    for changes, settings, message in cases:
        with pytest.raises(CheckpointError, match=message):
            opened(tmp_path, tensors(**changes), **settings)["l.weight"]


def test_mxfp4_of_gpt_oss(tmp_path):
    blocks = RNG.integers(0, 256, size=(2, 6, 3, 16), dtype=np.uint8)
    scales = RNG.integers(100, 140, size=(2, 6, 3), dtype=np.uint8)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    found = opened(tmp_path, {name + "_blocks": ("U8", blocks), name + "_scales": ("U8", scales)})
    assert list(found) == [name]
    made = encoded(found, name)
    assert made.shape == (2, 6, 96)
    values = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    table = np.concatenate((values, -values))
    wanted = np.empty((2, 6, 3, 32))
    wanted[..., 0::2], wanted[..., 1::2] = table[blocks & 15], table[blocks >> 4]
    wanted = wanted * 2.0 ** (scales[..., None].astype(int) - 127)
    assert np.array_equal(found.array(name, np.float64), wanted.reshape(2, 6, 96))
    assert found.entry(name).nbytes == made.nbytes == 2 * 6 * 3 * 17
    with pytest.raises(CheckpointError, match="expected uint8, with 16 bytes to a scale"):
        opened(tmp_path, {name + "_blocks": ("U8", blocks[..., :8]), name + "_scales": ("U8", scales)})


def test_parts_that_do_not_fit(tmp_path):
    weight = "F8_E4M3", np.zeros((6, 128), np.uint8)
    cases = [
        ({"l.weight": weight, "l.weight_scale": ("F32", np.ones((5, 1), np.float32))}, "with a weight of"),
        ({"l.weight": weight, "l.weight_scale": ("F32", np.ones((6, 5), np.float32))}, "groups of equal length"),
        ({"l.weight": weight, "l.weight_scale": ("I8", np.ones((6, 1), np.int8))}, "scales are fp32, fp16, bf16"),
        ({"l.weight_scale": ("F32", np.ones(1, np.float32))}, "belongs to no FP8 or int8"),
        ({"l.weight": weight, "l.weight_scale": ("F32", np.full(1, np.inf, np.float32))}, "NaN or infinities"),
        ({"l.weight": ("I8", np.zeros(3, np.int8)), "l.weight_scale": ("F32", np.ones(1, np.float32))}, "a matrix"),
    ]
    for tensors, message in cases:
        with pytest.raises(CheckpointError, match=message):
            opened(tmp_path, tensors)["l.weight"]
