from __future__ import annotations

import json
import struct
import tracemalloc

import ml_dtypes
import numpy as np
import pytest

from accelsim.errors import CheckpointError, RequestError
from accelsim.weights import open_checkpoint
from tests.weights import writing

ALL = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2, "I8": np.int8, "U8": np.uint8,
    "I16": np.int16, "I32": np.int32, "I64": np.int64,
}  # fmt: skip


@pytest.mark.parametrize("dtype", ALL)
def test_every_code_of_every_dtype_reads_as_its_number(tmp_path, dtype):
    kind = np.dtype(ALL[dtype])
    words = np.arange(1 << 16, dtype="<u2") if kind.itemsize == 2 else np.random.default_rng(1).bytes(1 << 16)
    array = np.frombuffer(words, dtype=kind).reshape(-1, 32)
    # an odd byte before it: what follows lies off every boundary
    path = writing.write(tmp_path / "a.safetensors", {"odd": ("U8", np.zeros(1, np.uint8)), "x": (dtype, array)})
    opened = open_checkpoint(path)
    assert opened.shape("x") == array.shape
    wide = kind if kind.kind in "iu" else np.float64 if kind.itemsize == 8 else np.float32
    with np.errstate(invalid="ignore"):
        assert np.array_equal(opened["x"], array.astype(wide), equal_nan=kind.kind != "i")
    assert opened["x"].flags.aligned
    assert opened["x"].dtype.isnative
    if kind.kind not in "iu":
        with np.errstate(invalid="ignore"):
            assert np.array_equal(opened.array("x", np.float64), array.astype(np.float64), equal_nan=True)


def test_names_shapes_and_metadata(tmp_path):
    tensors = {"b": ("F32", np.zeros((2, 3))), "a": ("F16", np.ones(())), "none": ("F32", np.zeros((0, 4)))}
    tensors = {name: (dtype, np.asarray(x, np.dtype(ALL[dtype]))) for name, (dtype, x) in tensors.items()}
    opened = open_checkpoint(writing.write(tmp_path / "a.safetensors", tensors, {"format": "np"}))
    assert opened.names == ("b", "a", "none")
    assert [opened.shape(name) for name in opened] == [(2, 3), (), (0, 4)]
    assert [opened.dtype(name) for name in opened] == ["fp32", "fp16", "fp32"]
    assert opened.metadata == {"format": "np"}
    assert opened.nbytes == 26
    assert opened["a"] == 1
    with pytest.raises(CheckpointError, match="no tensor 'bb': did you mean 'b'"):
        opened.shape("bb")
    with pytest.raises(KeyError):
        opened["bb"]
    with pytest.raises(ValueError, match="read-only"):
        opened["b"][0] = 1
    with pytest.raises(RequestError, match="float32 or float64"):
        opened.array("b", np.float16)


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    big = np.zeros((1 << 11, 1 << 10), np.float32)
    path = writing.write(tmp_path / "a.safetensors", {"big": ("F32", big), "small": ("F32", np.ones(3, np.float32))})
    tracemalloc.start()
    opened = open_checkpoint(path)
    view = opened["big"]
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert view.base is not None
    assert opened["small"].tolist() == [1, 1, 1]


def test_the_package_reads_and_writes_the_same(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    arrays = {"w": np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32), "h": np.arange(6, dtype=np.float16)}
    package.save_file(arrays, tmp_path / "a.safetensors", metadata={"by": "package"})
    opened = open_checkpoint(tmp_path / "a.safetensors")
    assert all(np.array_equal(opened[name], value) for name, value in arrays.items())
    writing.write(tmp_path / "b.safetensors", {"w": ("F32", arrays["w"]), "h": ("F16", arrays["h"])})
    assert all(
        np.array_equal(value, arrays[name]) for name, value in package.load_file(tmp_path / "b.safetensors").items()
    )


def header(**changed):
    """A header of two tensors of 8 and 4 bytes, with changes to the second."""
    first = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    return {"a": first, "b": {"dtype": "F16", "shape": [2, 1], "data_offsets": [8, 12], **changed}}


LIES = {
    "overlap": (header(data_offsets=[6, 10]), "'b' begins at byte 6, inside 'a'"),
    "hole": (header(data_offsets=[10, 14]), "nothing uses bytes 8 to 10, before tensor 'b'"),
    "beyond": (header(shape=[4, 1], data_offsets=[8, 16]), "'b' ends at byte 16, but there are 12"),
    "rest": (header(shape=[1], data_offsets=[8, 10]), "2 bytes behind the last tensor"),
    "size": (header(shape=[3, 1]), "F16 of shape [3, 1] takes 6 bytes, data_offsets span 4"),
    "backward": (header(data_offsets=[12, 8]), "data_offsets [12, 8]"),
    "negative": (header(data_offsets=[-4, 0]), "data_offsets [-4, 0]"),
    "float": (header(data_offsets=[8.0, 12.0]), "data_offsets [8.0, 12.0]"),
    "shape": (header(shape=[-2, -1]), "shape [-2, -1] must be"),
    "truth": (header(shape=[True, 2]), "shape [True, 2] must be"),
    "text": (header(shape="2"), "shape '2' must be"),
    "huge": (header(shape=[1 << 40, 1 << 40]), "more elements than any file"),
    "dtype": (header(dtype="F4"), "dtype 'F4' is not read"),
    "no dtype": (header(dtype=None), "dtype None is not read"),
    "key": (header(strides=[1]), "'b': expected an object with exactly the keys data_offsets, dtype, shape"),
    "list": ([1], "begins with b'[', not with '{'"),
    "tensor": ({"a": 3}, "'a': expected an object"),
    "metadata": ({"__metadata__": {"n": 3}, **header()}, "__metadata__ must map texts to texts"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused_by_name(tmp_path, name):
    given, message = LIES[name]
    path = writing.raw(tmp_path / "bad.safetensors", json.dumps(given).encode(), bytes(12))
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(path)
    assert message in str(caught.value)
    assert "bad.safetensors" in str(caught.value)


def test_a_file_that_is_cut_or_is_none(tmp_path):
    path, text = tmp_path / "bad.safetensors", json.dumps(header()).encode()
    cases = [
        (b"", "0 bytes are too few"),
        (b"\0" * 7, "7 bytes are too few"),
        (struct.pack("<Q", 5) + b"{}", "the header claims 5 bytes, but the file ends after 10"),
        (struct.pack("<Q", 1 << 40) + b"{}", "at most 100000000 are allowed"),
        (struct.pack("<Q", 2) + b"[]", "begins with b'['"),
        (struct.pack("<Q", 0), "begins with b''"),
        (struct.pack("<Q", 3) + b"{]}", "is no JSON"),
        (struct.pack("<Q", 3) + b'{"\xff', "is no JSON"),
        (struct.pack("<Q", len(text)) + text + bytes(11), "'b' ends at byte 12, but there are 11"),
        (struct.pack("<Q", len(text)) + text + bytes(13), "1 bytes behind the last tensor"),
    ]
    for content, message in cases:
        path.write_bytes(content)
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(path)
        assert message in str(caught.value)
    for bad in (b'{"a":' * 100_000, b'{"a":{"shape":[' + b"9" * 10_000 + b"]}}"):
        writing.raw(path, bad, b"")
        with pytest.raises(CheckpointError, match="is no JSON"):
            open_checkpoint(path)
    doubled = text[:-1] + b',"a":' + json.dumps(header()["a"]).encode() + b"}"
    writing.raw(path, doubled, bytes(12))
    with pytest.raises(CheckpointError, match="the header has 'a' twice"):
        open_checkpoint(path)
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        open_checkpoint(tmp_path / "none.safetensors")


def shards(folder, placed):
    for number in (1, 2):
        names = [name for name, file in placed.items() if file.endswith(f"{number}.safetensors")]
        tensors = {name: ("F32", np.full(2, number, np.float32)) for name in names}
        writing.write(folder / f"model-0000{number}.safetensors", tensors)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 16}, "weight_map": placed}))
    return index


def test_an_index_over_shards(tmp_path):
    placed = {"b": "model-00002.safetensors", "a": "model-00001.safetensors"}
    index = shards(tmp_path, placed)
    for path in (index, tmp_path):
        opened = open_checkpoint(path)
        assert opened.names == ("b", "a")
        assert [opened[name][0] for name in opened] == [2, 1]
    faults = [
        ({"weight_map": {"a": "model-00009.safetensors"}}, "cannot be read"),
        ({"weight_map": {"c": "model-00001.safetensors"}}, "no tensor 'c'"),
        ({"weight_map": {"a": "../x.safetensors"}}, "neighbours of their index"),
        ({"weight_map": {"a": 1}}, "expected weight_map"),
        ({}, "expected weight_map"),
    ]
    for content, message in faults:
        index.write_text(json.dumps(content))
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(index)
    index.write_text("{")
    with pytest.raises(CheckpointError, match="is no JSON"):
        open_checkpoint(index)


def test_a_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"no \.safetensors file in it"):
        open_checkpoint(tmp_path)
    one = {"x": ("F32", np.ones(1, np.float32))}
    writing.write(tmp_path / "first.safetensors", one)
    assert open_checkpoint(tmp_path).names == ("x",)
    writing.write(tmp_path / "second.safetensors", one)
    with pytest.raises(CheckpointError, match=r"2 files of weights.*first\.safetensors, second"):
        open_checkpoint(tmp_path)
    writing.write(tmp_path / "model.safetensors", {"y": one["x"]})
    assert open_checkpoint(tmp_path).names == ("y",)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"quantization_config": 3}')
    with pytest.raises(CheckpointError, match="must be an object"):
        open_checkpoint(tmp_path)
