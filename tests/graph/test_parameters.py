"""Parameter counts against an independent list of tensor shapes, and by part."""

from __future__ import annotations

from math import prod
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from accelsim.graph.parameters import PARTS, active, count, count_by_part
from accelsim.spec.huggingface import read_config
from accelsim.spec.model import Model


def read(**config: Any) -> Model:
    return read_config(config, name="m", source="a test", status="assumed")


@st.composite
def llama_configs(draw: st.DrawFn) -> dict[str, Any]:
    """Legal configurations of the Llama kind with every switch that changes a shape."""
    groups, per_group = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    heads = groups * per_group
    family = draw(st.sampled_from(["llama", "qwen2", "qwen3", "mistral", "gemma2"]))
    config = {
        "model_type": family, "num_attention_heads": heads, "num_key_value_heads": groups,
        "hidden_size": heads * draw(st.integers(1, 9)), "num_hidden_layers": draw(st.integers(1, 9)),
        "intermediate_size": draw(st.integers(1, 200)), "vocab_size": draw(st.integers(1, 300)),
        "tie_word_embeddings": draw(st.booleans()),
    }  # fmt: skip
    if family != "qwen2":
        config["head_dim"] = draw(st.integers(1, 20))
    if family in ("llama", "qwen3", "gemma2"):
        config["attention_bias"] = draw(st.booleans())
    if family == "llama":
        config["mlp_bias"] = draw(st.booleans())
    return config


def tensor_shapes(config: dict[str, Any]) -> list[tuple[int, ...]]:
    """Shapes of a checkpoint's tensors, listed one by one as their modules declare them."""
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head_dim = config.get("head_dim", hidden // config["num_attention_heads"])
    q, kv = config["num_attention_heads"] * head_dim, config["num_key_value_heads"] * head_dim
    bias = config.get("attention_bias", False)
    qkv_bias = config["model_type"] == "qwen2" or bias
    shapes: list[tuple[int, ...]] = [(vocabulary, hidden), (hidden,)]
    if not config["tie_word_embeddings"]:
        shapes.append((vocabulary, hidden))
    for _ in range(config["num_hidden_layers"]):
        shapes += [(q, hidden), (kv, hidden), (kv, hidden), (hidden, q)]
        shapes += [(inner, hidden), (inner, hidden), (hidden, inner)]
        shapes += [(hidden,)] * (4 if config["model_type"] == "gemma2" else 2)
        shapes += [(q,), (kv,), (kv,)] * qkv_bias + [(hidden,)] * bias
        shapes += [(inner,), (inner,), (hidden,)] * config.get("mlp_bias", False)
        shapes += [(head_dim,), (head_dim,)] * (config["model_type"] == "qwen3")
    return shapes


@given(llama_configs())
def test_count_equals_the_sum_of_the_tensors(config: dict[str, Any]) -> None:
    model = read(**config)
    assert count(model) == sum(prod(shape) for shape in tensor_shapes(config))
    assert active(model) == count(model)


@given(llama_configs())
def test_layers_survive_folding(config: dict[str, Any]) -> None:
    assert read(**config).layers == config["num_hidden_layers"]


def test_parts_of_gpt2() -> None:
    model = read(model_type="gpt2", n_embd=768, n_layer=12, n_head=12, vocab_size=50257)
    # 12 layers of 4 d^2 + 4 d, 8 d^2 + 5 d and two LayerNorms; a LayerNorm at the end
    assert count_by_part(model) == {
        "embedding": 50257 * 768,
        "positions": 1024 * 768,
        "attention": 12 * (4 * 768**2 + 4 * 768),
        "feed_forward": 12 * (8 * 768**2 + 5 * 768),
        "norms": 25 * 2 * 768,
    }


MOE = {
    "model_type": "qwen2_moe", "hidden_size": 10, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 3,
    "shared_expert_intermediate_size": 5, "vocab_size": 7,
}  # fmt: skip


def test_parts_of_a_mixture() -> None:
    parts = count_by_part(read(**MOE))
    assert tuple(parts) == tuple(part for part in PARTS if part in parts)
    assert parts["experts"] == 2 * 6 * 3 * 10 * 3
    assert parts["feed_forward"] == 2 * 3 * 10 * 5  # the shared expert
    assert parts["router"] == 2 * (6 * 10 + 10)  # and its gate
    assert parts["lm_head"] == 70


def test_active_leaves_out_the_experts_a_token_does_not_visit() -> None:
    model = read(**MOE)
    assert count(model) - active(model) == 2 * (6 - 2) * 3 * 10 * 3


def test_parts_of_t5() -> None:
    model = read(
        model_type="t5", d_model=10, num_layers=2, num_decoder_layers=3, num_heads=4, d_kv=3, d_ff=7, vocab_size=11,
        relative_attention_num_buckets=8,
    )  # fmt: skip
    attention = 4 * 10 * 12
    assert count_by_part(model) == {
        "embedding": 110,  # shared by both stacks and lm_head
        "positions": 2 * 8 * 4,  # one table per stack
        "attention": (2 + 3 * 2) * attention,
        "feed_forward": 5 * 2 * 10 * 7,
        "norms": (2 * 2 + 3 * 3 + 2) * 10,
    }


def test_parts_of_bert() -> None:
    model = read(
        model_type="bert", hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
        vocab_size=20, max_position_embeddings=9,
    )  # fmt: skip
    assert count_by_part(model) == {
        "embedding": 20 * 8 + 2 * 8,
        "positions": 9 * 8,
        "attention": 2 * (4 * 64 + 4 * 8),
        "feed_forward": 2 * (2 * 96 + 12 + 8),
        "norms": (2 * 2 + 1) * 16,
        "pooler": 72,
    }


def test_parts_of_latent_attention() -> None:
    model = read(
        model_type="deepseek_v3", hidden_size=10, num_hidden_layers=2, num_attention_heads=2, intermediate_size=9,
        moe_intermediate_size=4, n_routed_experts=5, num_experts_per_tok=2, first_k_dense_replace=1, vocab_size=6,
        q_lora_rank=7, kv_lora_rank=6, qk_nope_head_dim=4, qk_rope_head_dim=2, v_head_dim=3,
    )  # fmt: skip
    parts = count_by_part(model)
    assert parts["attention"] == 2 * (10 * 7 + 7 * 2 * 6 + 10 * (6 + 2) + 6 * 2 * (4 + 3) + 2 * 3 * 10)
    assert parts["norms"] == 2 * (2 * 10 + 7 + 6) + 10
    assert parts["router"] == 5 * 10 + 5  # weights and the load correction
    assert parts["feed_forward"] == 3 * 10 * 9 + 3 * 10 * 4  # a dense layer and a shared expert


def test_narrow_embedding_of_opt_350m() -> None:
    config = {
        "model_type": "opt", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 16,
        "vocab_size": 20, "max_position_embeddings": 6,
    }  # fmt: skip
    wide, narrow = read(**config), read(**config, word_embed_proj_dim=4, do_layer_norm_before=False)
    assert count_by_part(narrow)["embedding"] == 20 * 4 + 2 * 4 * 8
    assert count_by_part(wide)["norms"] - count_by_part(narrow)["norms"] == 16  # no final norm
    assert count_by_part(wide)["positions"] == (6 + 2) * 8
