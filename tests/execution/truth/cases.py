"""Tiny models of each family, and weights for them that need nothing but integers: the same on every machine."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.spec.huggingface import read_config
from accelsim.spec.model import Model
from accelsim.weights import expected

PROMPT, STEPS, VOCABULARY = 12, 8, 61

_WIDTH = {"vocab_size": VOCABULARY, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
_LLAMA = {
    **_WIDTH, "num_key_value_heads": 4, "intermediate_size": 80, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False,
}  # fmt: skip

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {**_LLAMA, "model_type": "llama"},
    "llama-gqa": {**_LLAMA, "model_type": "llama", "num_key_value_heads": 2, "tie_word_embeddings": True},
    "mistral": {**_LLAMA, "model_type": "mistral", "num_key_value_heads": 2, "sliding_window": 7},
    "qwen2": {**_LLAMA, "model_type": "qwen2", "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "rope_theta": 1e6},
    "qwen3": {**_LLAMA, "model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6},
    "mixtral": {
        **_LLAMA, "model_type": "mixtral", "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2,
        "sliding_window": None, "rope_theta": 1e6,
    },
    "gpt2": {
        "model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": 48, "n_layer": 2, "n_head": 4, "n_positions": 64,
        "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new",
    },
    "opt": {
        **_WIDTH, "model_type": "opt", "ffn_dim": 96, "max_position_embeddings": 64, "word_embed_proj_dim": 48,
        "do_layer_norm_before": True, "activation_function": "relu",
    },
}  # fmt: skip
"""Configurations as `config.json` has them."""


def model(name: str) -> Model:
    """The record of a tiny model."""
    return read_config(CONFIGS[name], name=f"tiny-{name}", source="tests", status="assumed")


def tokens(name: str) -> list[int]:
    """The prompt."""
    drawn = np.random.RandomState(zlib.crc32(f"prompt of {name}".encode()))
    return [int(token) for token in drawn.randint(0, VOCABULARY, size=PROMPT)]


def weights(name: str) -> dict[str, NDArray[np.float32]]:
    """Every tensor in binary32: multiples of 2^-9, which bf16 holds too where they are below 1/2."""
    made = {}
    for tensor, slot in expected(model(name)).items():
        drawn = np.random.RandomState(zlib.crc32(f"{name}/{tensor}".encode()))
        values = drawn.randint(-127, 128, size=slot.shape).astype(np.float32) / np.float32(512)
        gain = slot.part == "norm" and tensor.endswith(".weight")
        made[tensor] = np.float32(1) + values if gain else values
    return made
