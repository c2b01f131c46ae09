"""What the numbers of a model depend on, read from configurations."""

from __future__ import annotations

import pytest

from accelsim.errors import DescriptionError
from accelsim.spec.huggingface import read_config
from accelsim.spec.model import Model, RopeScaling, Values

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 32,
    "intermediate_size": 96,
}  # fmt: skip


def read(**config: object) -> Model:
    return read_config(config, name="tiny", source="a test", status="assumed")


def test_figures_come_from_the_configuration() -> None:
    found = read(**LLAMA, rms_norm_eps=1e-5, rope_theta=5e5).values
    assert found == Values(norm_epsilon=1e-5, rope_theta=5e5)


def test_newer_configurations_keep_the_base_inside() -> None:
    found = read(**LLAMA, rope_parameters={"rope_type": "default", "rope_theta": 1e6}).values
    assert found == Values(norm_epsilon=1e-6, rope_theta=1e6)


def test_rotary_scalings() -> None:
    linear = read(**LLAMA, rope_scaling={"type": "linear", "factor": 4.0}).values
    assert linear is not None
    assert linear.rope_factor == 4.0
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    found = read(**LLAMA, rope_scaling={**llama3, "original_max_position_embeddings": 8192}).values
    assert found is not None
    assert found.rope_scaling == RopeScaling(factor=8.0, low=1.0, high=4.0, original_positions=8192)
    with pytest.raises(DescriptionError, match="original_max_position_embeddings"):
        read(**LLAMA, rope_scaling=llama3)


def test_what_is_not_computed_has_no_values() -> None:
    assert read(**LLAMA, rope_scaling={"rope_type": "yarn", "factor": 4.0}).values is None
    bloom = {"model_type": "bloom", "hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 32}
    assert read(**bloom).values is None


@pytest.mark.parametrize(("key", "value"), [("rms_norm_eps", 2.0), ("rope_theta", 0.5), ("rope_theta", True)])
def test_impossible_figures(key: str, value: object) -> None:
    with pytest.raises(DescriptionError, match=key):
        read(**LLAMA, **{key: value})
