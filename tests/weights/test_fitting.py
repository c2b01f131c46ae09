from __future__ import annotations

import numpy as np
import pytest

from accelsim import catalog
from accelsim.errors import CheckpointError
from accelsim.graph import parameters
from accelsim.weights import Checkpoint, expected, of_model, open_checkpoint
from accelsim.weights.checkpoint import made
from tests.execution.truth import cases
from tests.weights import writing

NAMED = ("codellama-34b", "gpt2", "gpt2-xl", "llama-2-70b", "mistral-7b", "mixtral-8x7b", "opt-125m", "opt-175b",
         "qwen2.5-0.5b", "qwen2.5-7b", "qwen3-8b", "tinyllama-1.1b")  # fmt: skip


def held(name: str, **changes: np.ndarray | None) -> Checkpoint:
    tensors = {**cases.weights(name), **changes}
    return Checkpoint({key: made(value) for key, value in tensors.items() if value is not None}, origin="made")


@pytest.mark.parametrize("name", NAMED)
def test_the_tensors_hold_every_parameter(name):
    model = catalog.model(name)
    assert sum(int(np.prod(slot.shape, dtype=np.int64)) for slot in expected(model).values()) == parameters.count(model)


@pytest.mark.parametrize("name", cases.CONFIGS)
def test_a_file_on_disk_is_the_model(tmp_path, name):
    weights = cases.weights(name)
    writing.write(tmp_path / "model.safetensors", {key: ("F32", value) for key, value in weights.items()})
    found = of_model(open_checkpoint(tmp_path), cases.model(name))
    assert list(found) == list(weights)
    assert all(np.array_equal(found[key], value) for key, value in weights.items())


@pytest.mark.parametrize(("name", "prefix"), [("gpt2", "transformer."), ("llama-gqa", "model."), ("opt", "model.")])
def test_names_without_the_prefix_of_the_whole_model(name, prefix):
    bare = held(name).renamed(lambda key: key.removeprefix(prefix))
    assert list(of_model(bare, cases.model(name))) == list(cases.weights(name))


def test_masks_and_activation_scales_are_left_out():
    extra = {"transformer.h.0.attn.bias": np.ones((1, 1, 64, 64)), "transformer.h.0.attn.masked_bias": np.array(-1e4)}
    assert not set(of_model(held("gpt2", **extra), cases.model("gpt2"))) & set(extra)


def test_a_tied_head_may_be_repeated_and_must_be_the_same():
    table = cases.weights("llama-gqa")["model.embed_tokens.weight"]
    model = cases.model("llama-gqa")
    assert "lm_head.weight" not in of_model(held("llama-gqa", **{"lm_head.weight": table}), model)
    with pytest.raises(CheckpointError, match="set tie_word_embeddings = false"):
        of_model(held("llama-gqa", **{"lm_head.weight": table + 1}), model)


def test_what_is_missing_misshapen_or_left_over_is_named():
    changes = {
        "model.layers.1.mlp.up_proj.weight": None,
        "model.layers.0.self_attn.q_proj.weight": np.zeros((48, 47), np.float32),
        "model.layers.0.self_attn.q_proj.bias": np.zeros(48, np.float32),
    }
    with pytest.raises(CheckpointError) as caught:
        of_model(held("llama", **changes), cases.model("llama"))
    message = str(caught.value)
    assert "1 missing: model.layers.1.mlp.up_proj.weight [80, 48]" in message
    assert "1 misshapen: model.layers.0.self_attn.q_proj.weight [48, 47], expected [48, 48]" in message
    assert "1 not of a llama of this configuration: model.layers.0.self_attn.q_proj.bias" in message
    with pytest.raises(CheckpointError, match="none of the names of a llama is there"):
        of_model(held("gpt2"), cases.model("llama"))
    with pytest.raises(CheckpointError, match="two tensors would be"):
        held("llama").renamed(lambda key: "same")


def test_an_unknown_naming():
    with pytest.raises(CheckpointError, match=r"tensor names of family 'bloom' are not known.*llama"):
        expected(catalog.model("bloom-176b"))


def test_what_is_no_number_is_refused_when_it_is_read(tmp_path):
    table = cases.weights("llama")["model.norm.weight"].copy()
    table[[1, 3]] = np.nan, np.inf
    found = of_model(held("llama", **{"model.norm.weight": table}), cases.model("llama"))
    with pytest.raises(CheckpointError, match=r"'model\.norm\.weight' holds 2 NaN or infinities among 48"):
        found["model.norm.weight"]
    # the same among codes
    name = "model.layers.0.mlp.up_proj.weight"
    tensors = {key: ("F32", value) for key, value in cases.weights("llama").items()}
    codes = np.zeros((80, 48), np.uint8)
    codes[2, 5] = 0x7F
    tensors[name] = "F8_E4M3", codes
    tensors[name + "_scale"] = "F32", np.ones((80, 1), np.float32)
    writing.write(tmp_path / "model.safetensors", tensors)
    with pytest.raises(CheckpointError, match="holds 1 NaN"):
        of_model(open_checkpoint(tmp_path), cases.model("llama"))[name]
