"""What a configuration can have wrong, and the message that says so."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim.errors import DescriptionError
from accelsim.spec.huggingface import read_config, read_model_file

LLAMA: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 96,
    "vocab_size": 100,
}  # fmt: skip
FILE: dict[str, Any] = {"name": "mine", "source": "a paper", "status": "derived", "config": LLAMA}


def faults(config: dict[str, Any]) -> dict[str, str]:
    """Key path to problem."""
    with pytest.raises(DescriptionError) as caught:
        read_config(config, name="m", source="dir/config.json", status="assumed")
    assert str(caught.value).startswith("dir/config.json: ")
    return {fault.path: fault.problem for fault in caught.value.faults}


def without(*keys: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in LLAMA.items() if key not in keys} | more


def test_unknown_family_names_the_nearest_and_all() -> None:
    problem = faults({"model_type": "lama"})["model_type"]
    assert "did you mean 'llama'?" in problem
    assert "deepseek_v3" in problem
    assert "t5" in problem


def test_unknown_family_with_nothing_near() -> None:
    problem = faults({**LLAMA, "model_type": "whisper-xyz"})["model_type"]
    assert "not supported; supported: " in problem


def test_family_of_a_wrong_type() -> None:
    assert set(faults({**LLAMA, "model_type": 5})) == {"model_type"}


def test_no_family_says_what_else_is_missing() -> None:
    found = faults({"hidden_size": 64, "layers": 3})
    assert "is missing; supported: " in found["model_type"]
    assert set(found) == {
        "model_type", "num_hidden_layers", "num_attention_heads", "vocab_size", "intermediate_size"
    }  # fmt: skip


def test_nested_text_model_is_pointed_at() -> None:
    assert "under text_config" in faults({"text_config": {"model_type": "llama"}})["model_type"]


def test_a_missing_key_names_its_aliases() -> None:
    problem = faults(without("num_hidden_layers"))["num_hidden_layers"]
    assert problem == "is missing (or n_layer, num_layers): expected a positive whole number"


def test_null_is_not_missing() -> None:
    assert faults({**LLAMA, "vocab_size": None})["vocab_size"].startswith("is null")


@pytest.mark.parametrize("value", ["4096", 64.0, True, [64]])
def test_wrong_types(value: object) -> None:
    assert (
        faults({**LLAMA, "hidden_size": value})["hidden_size"] == "expected a whole number without quotes or decimals"
    )


@pytest.mark.parametrize("value", [0, -3])
def test_zero_and_negative_sizes(value: int) -> None:
    assert faults({**LLAMA, "vocab_size": value})["vocab_size"] == "must be 1 or more"


def test_absurd_number_of_layers() -> None:
    assert "more than 10000 layers" in faults({**LLAMA, "num_hidden_layers": 10**9})["num_hidden_layers"]


def test_heads_not_divisible_by_kv_heads_names_both() -> None:
    problem = faults({**LLAMA, "num_key_value_heads": 3})["num_key_value_heads"]
    assert problem.startswith("8 query heads are not a multiple of 3 KV heads:")
    assert "divisor of 8" in problem


def test_kv_heads_that_are_a_family_default_are_called_so() -> None:
    problem = faults({**LLAMA, "model_type": "mistral", "hidden_size": 96, "num_attention_heads": 12})
    assert (
        "12 query heads are not a multiple of 8 KV heads (the default of this family)" in problem["num_key_value_heads"]
    )


def test_hidden_not_divisible_by_heads() -> None:
    problem = faults({**LLAMA, "hidden_size": 65})["hidden_size"]
    assert problem.startswith("is not a multiple of num_attention_heads = 8")
    assert "head_dim" in problem
    read_config({**LLAMA, "hidden_size": 65, "head_dim": 8}, name="m", source="test", status="assumed")


def test_aliases_that_disagree() -> None:
    assert "disagrees with num_hidden_layers = 4" in faults({**LLAMA, "n_layer": 5})["n_layer"]


def test_all_faults_at_once_and_each_once() -> None:
    found = faults(without("vocab_size", hidden_size="64", num_key_value_heads=3, mlp_bias=1, hidden_act="gelu-ish"))
    assert set(found) == {"vocab_size", "hidden_size", "num_key_value_heads", "mlp_bias", "hidden_act"}
    assert found["mlp_bias"] == "expected true or false"
    assert "known: silu" in found["hidden_act"]


def test_a_fault_of_a_figure_that_is_read_twice_is_said_once() -> None:
    with pytest.raises(DescriptionError) as caught:
        read_config({"model_type": "gptj"}, name="m", source="test", status="assumed")
    paths = [fault.path for fault in caught.value.faults]
    assert sorted(paths) == ["hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size"]


def test_more_active_experts_than_there_are() -> None:
    moe = {**LLAMA, "model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 5}
    assert faults(moe)["num_experts_per_tok"] == "a token takes 5 experts, but there are only 4"


def test_rotated_part_outside_the_head() -> None:
    assert "at most 1" in faults({**LLAMA, "partial_rotary_factor": 1.5})["partial_rotary_factor"]
    gptj = {"model_type": "gptj", "n_embd": 64, "n_layer": 2, "n_head": 8, "vocab_size": 100, "rotary_dim": 64}
    assert faults(gptj)["rotary_dim"] == "is wider than a head, which has 8"


def test_unknown_stored_format() -> None:
    assert "known: float32, float16" in faults({**LLAMA, "torch_dtype": "floaty"})["torch_dtype"]


def test_layer_types_of_the_wrong_length_or_word() -> None:
    config = {**LLAMA, "model_type": "qwen3", "num_key_value_heads": 8}
    assert "list of 4 words" in faults({**config, "layer_types": ["full_attention"]})["layer_types"]
    assert "sliding_attention" in faults({**config, "layer_types": ["linear_attention"] * 4})["layer_types"]


def test_layer_numbers_that_are_none() -> None:
    moe = {
        **LLAMA, "model_type": "qwen3_moe", "num_key_value_heads": 8, "num_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 8,
    }  # fmt: skip
    assert faults({**moe, "mlp_only_layers": "all"})["mlp_only_layers"] == "expected a list of layer numbers"


def test_forms_that_are_not_supported_are_refused() -> None:
    assert "only false is" in faults({**LLAMA, "model_type": "bert", "is_decoder": True})["is_decoder"]
    opt = {**without("intermediate_size"), "model_type": "opt", "ffn_dim": 9, "layer_norm_elementwise_affine": False}
    assert "only true is" in faults(opt)["layer_norm_elementwise_affine"]
    falcon = {**LLAMA, "model_type": "falcon", "num_ln_in_parallel_attn": 3}
    assert faults(falcon)["num_ln_in_parallel_attn"] == "must be 1 or 2"


def test_a_name_that_no_model_may_have() -> None:
    with pytest.raises(DescriptionError, match="name = 'My Model'") as caught:
        read_config(LLAMA, name="My Model", source="test", status="assumed")
    assert caught.value.faults[0].path == "name"


def file_faults(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(DescriptionError) as caught:
        read_model_file(data, origin="mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    return {fault.path: fault.problem for fault in caught.value.faults}


def test_a_misspelt_outer_key() -> None:
    assert (
        "did you mean 'parameters_published'?" in file_faults({**FILE, "parameter_published": 1})["parameter_published"]
    )


def test_missing_provenance_and_a_fault_inside_are_reported_together() -> None:
    data = {"name": "mine", "config": {**LLAMA, "vocab_size": 0}}
    found = file_faults(data)
    assert set(found) == {"source", "status", "config.vocab_size"}
    assert "datasheet, measured, derived, assumed" in found["status"]


def test_a_file_without_a_configuration() -> None:
    assert set(file_faults({key: value for key, value in FILE.items() if key != "config"})) == {"config"}
    assert file_faults({**FILE, "config": 3})["config"] == "expected a table of config.json keys"


def test_a_plain_configuration_is_told_from_a_model_file() -> None:
    assert "plain config.json" in file_faults(LLAMA)["config"]


def test_a_status_that_does_not_exist() -> None:
    assert "'datasheet', 'measured', 'derived' or 'assumed'" in file_faults({**FILE, "status": "sure"})["status"]
