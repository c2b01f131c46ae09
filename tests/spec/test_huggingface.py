"""Every family is read from a hand-written minimal configuration, with the defaults of the transformers library."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim.spec.huggingface import SUPPORTED, read_config, read_model_file
from accelsim.spec.model import Layer, Mlp, Model, Moe

LLAMA = {
    "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 96, "vocab_size": 100,
}  # fmt: skip
GPT2 = {"n_embd": 64, "n_layer": 4, "n_head": 8, "vocab_size": 100}
BIG_LLAMA = {**LLAMA, "hidden_size": 4096, "num_attention_heads": 32}  # large enough for default head counts


def read(family: str, **config: Any) -> Model:
    return read_config({"model_type": family, **config}, name="m", source="a test", status="assumed")


def only_layer(model: Model) -> Layer:
    (group,) = model.decoder or model.encoder
    (layer,) = group.layers
    return layer


def windows(model: Model) -> list[int | None]:
    return [layer.attention.window for group in model.decoder for _ in range(group.repeat) for layer in group.layers]


def test_llama() -> None:
    model = read("llama", **LLAMA)
    attention = only_layer(model).attention
    assert (attention.heads, attention.kv_heads, attention.head_dim, attention.rope_dim) == (8, 8, 8, 8)
    assert model.decoder[0].repeat == 4
    assert only_layer(model).feed_forward == Mlp(intermediate=96, gated=True, activation="silu")
    assert (model.positions, model.norm, model.lm_head, model.max_positions) == ("rope", "rms", "own", 2048)
    assert model.native_format == "fp32"


def test_llama_options() -> None:
    model = read(
        "llama", **LLAMA, num_key_value_heads=2, head_dim=16, attention_bias=True, mlp_bias=True,
        tie_word_embeddings=True, partial_rotary_factor=0.5, torch_dtype="bfloat16", rope_scaling={"factor": 8.0},
        hidden_act="gelu_new",
    )  # fmt: skip
    layer = only_layer(model)
    assert (layer.attention.kv_heads, layer.attention.head_dim, layer.attention.rope_dim) == (2, 16, 8)
    assert layer.attention.qkv_bias
    assert layer.attention.out_bias
    assert layer.feed_forward == Mlp(intermediate=96, gated=True, activation="gelu", bias=True)
    assert (model.lm_head, model.native_format) == ("tied", "bf16")


def test_null_kv_heads_mean_one_per_query_head_but_absent_ones_the_family_default() -> None:
    assert only_layer(read("mistral", **LLAMA, num_key_value_heads=None)).attention.kv_heads == 8
    assert only_layer(read("mistral", **BIG_LLAMA)).attention.kv_heads == 8
    assert only_layer(read("qwen2", **BIG_LLAMA)).attention.kv_heads == 32


@pytest.mark.parametrize(
    ("given", "window"), [({}, 4096), ({"sliding_window": None}, None), ({"sliding_window": 0}, None)]
)
def test_mistral_window_null_differs_from_absent(given: dict[str, Any], window: int | None) -> None:
    assert windows(read("mistral", **LLAMA, **given)) == [window] * 4


def test_mixtral() -> None:
    model = read("mixtral", **LLAMA, num_local_experts=8, num_experts_per_tok=2)
    block = only_layer(model).feed_forward
    assert isinstance(block, Moe)
    assert (block.experts, block.active, block.expert.intermediate, block.shared) == (8, 2, 96, None)
    assert windows(model) == [None] * 4


def test_qwen2_windows_start_at_max_window_layers_and_only_if_switched_on() -> None:
    kv = {"num_key_value_heads": 2, "sliding_window": 16, "max_window_layers": 3}
    assert windows(read("qwen2", **LLAMA, **kv)) == [None] * 4
    on = read("qwen2", **LLAMA, **kv, use_sliding_window=True)
    assert windows(on) == [None, None, None, 16]
    assert [group.repeat for group in on.decoder] == [3, 1]
    assert on.decoder[0].layers[0].attention.qkv_bias
    assert not on.decoder[0].layers[0].attention.out_bias


def test_layer_types_overrule_the_rule() -> None:
    types = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    model = read("qwen3", **LLAMA, num_key_value_heads=2, use_sliding_window=True, sliding_window=16, layer_types=types)
    assert windows(model) == [None, 16, 16, None]


def test_qwen3_normalises_heads_of_128() -> None:
    attention = only_layer(read("qwen3", **LLAMA, num_key_value_heads=2)).attention
    assert attention.qk_norm
    assert attention.head_dim == 128
    assert not attention.qkv_bias


def test_qwen3_moe_layers_that_are_dense() -> None:
    moe = {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 8, "num_key_value_heads": 2}
    model = read("qwen3_moe", **LLAMA, **moe, mlp_only_layers=[1], decoder_sparse_step=1)
    kinds = [type(layer.feed_forward) for group in model.decoder for _ in range(group.repeat) for layer in group.layers]
    assert kinds == [Moe, Mlp, Moe, Moe]
    spaced = read("qwen3_moe", **LLAMA, **moe, decoder_sparse_step=2)
    assert [(group.repeat, len(group.layers)) for group in spaced.decoder] == [(2, 2)]
    assert isinstance(spaced.decoder[0].layers[0].feed_forward, Mlp)


def test_all_sparse_models_need_no_dense_width() -> None:
    config = {key: value for key, value in LLAMA.items() if key != "intermediate_size"}
    moe = {"num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 8, "num_key_value_heads": 2}
    assert read("qwen3_moe", **config, **moe).layers == 4


def test_qwen2_moe_has_a_gated_shared_expert() -> None:
    model = read(
        "qwen2_moe", **LLAMA, num_key_value_heads=8, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=8,
        shared_expert_intermediate_size=32,
    )  # fmt: skip
    block = only_layer(model).feed_forward
    assert isinstance(block, Moe)
    assert block.shared is not None
    assert block.shared.intermediate == 32
    assert block.shared_gate
    assert not block.router_bias


def test_gemma() -> None:
    model = read("gemma", **LLAMA, num_key_value_heads=1)
    assert only_layer(model).attention.head_dim == 256
    assert model.lm_head == "tied"
    assert only_layer(model).feed_forward == Mlp(intermediate=96, gated=True, activation="gelu")


def test_gemma2_alternates_two_layers() -> None:
    model = read("gemma2", **LLAMA, num_key_value_heads=4, sliding_window=32)
    assert [(group.repeat, len(group.layers)) for group in model.decoder] == [(2, 2)]
    assert windows(model) == [32, None, 32, None]
    assert model.decoder[0].layers[0].norms == 4


def test_gemma2_with_an_odd_number_of_layers() -> None:
    model = read("gemma2", **{**LLAMA, "num_hidden_layers": 5}, num_key_value_heads=4)
    assert windows(model) == [4096, None, 4096, None, 4096]
    assert [(group.repeat, len(group.layers)) for group in model.decoder] == [(2, 2), (1, 1)]


def test_phi3() -> None:
    model = read("phi3", **LLAMA, sliding_window=2047, partial_rotary_factor=0.75)
    assert windows(model) == [2047] * 4
    assert only_layer(model).attention.rope_dim == 6
    assert not only_layer(model).attention.qkv_bias


def test_phi() -> None:
    model = read("phi", **LLAMA)
    layer = only_layer(model)
    assert layer.parallel
    assert layer.norms == 1
    assert layer.attention.rope_dim == 4
    assert model.lm_head_bias
    assert layer.feed_forward == Mlp(intermediate=96, gated=False, activation="gelu", bias=True)


def test_gpt2() -> None:
    model = read("gpt2", **GPT2, n_inner=None)
    layer = only_layer(model)
    assert (model.positions, model.position_rows, model.lm_head) == ("learned", 1024, "tied")
    assert layer.feed_forward == Mlp(intermediate=256, gated=False, activation="gelu", bias=True)
    assert layer.attention.qkv_bias
    assert layer.attention.rope_dim == 0
    assert only_layer(read("gpt2", **GPT2, n_inner=100)).feed_forward.intermediate == 100  # type: ignore[union-attr]


def test_gptj() -> None:
    model = read("gptj", **{**GPT2, "n_embd": 1024}, rotary_dim=32)
    layer = only_layer(model)
    assert layer.parallel
    assert layer.norms == 1
    assert layer.attention.rope_dim == 32
    assert not layer.attention.qkv_bias
    assert model.lm_head == "own"
    assert model.lm_head_bias
    assert only_layer(read("gptj", **GPT2, rotary_dim=None)).attention.rope_dim == 8


def test_gpt_neox() -> None:
    model = read("gpt_neox", **{**LLAMA, "hidden_size": 256})
    layer = only_layer(model)
    assert layer.parallel
    assert layer.norms == 2
    assert layer.attention.rope_dim == 8
    assert model.lm_head == "own"
    assert layer.feed_forward == Mlp(intermediate=96, gated=False, activation="gelu_exact", bias=True)
    assert not only_layer(read("gpt_neox", **LLAMA, use_parallel_residual=False)).parallel


OPT = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8, "ffn_dim": 256, "vocab_size": 100}


def test_opt() -> None:
    model = read("opt", **OPT, max_position_embeddings=30, word_embed_proj_dim=64)
    assert (model.position_rows, model.max_positions, model.embedding_dim) == (32, 30, None)
    assert model.final_norm
    assert not only_layer(model).post_norm
    assert only_layer(model).feed_forward == Mlp(intermediate=256, gated=False, activation="relu", bias=True)


def test_opt_350m_form() -> None:
    model = read("opt", **OPT, do_layer_norm_before=False, word_embed_proj_dim=32)
    assert only_layer(model).post_norm
    assert not model.final_norm
    assert model.embedding_dim == 32


def test_bloom() -> None:
    model = read("bloom", n_embed=64, n_layer=4, num_attention_heads=8, vocab_size=100)
    assert (model.positions, model.position_rows, model.embedding_norm, model.lm_head) == ("alibi", 0, True, "tied")
    assert only_layer(model).feed_forward.intermediate == 256  # type: ignore[union-attr]
    assert model.max_positions is None


FALCON = {"hidden_size": 64, "vocab_size": 100}


def test_falcon_7b_form_with_the_first_names() -> None:
    model = read("RefinedWebModel", **FALCON, n_layer=4, n_head=8, multi_query=True, parallel_attn=True)
    layer = only_layer(model)
    assert layer.attention.kv_heads == 1
    assert layer.norms == 1
    assert layer.parallel
    assert model.lm_head == "tied"
    assert layer.feed_forward == Mlp(intermediate=256, gated=False, activation="gelu_exact")


def test_falcon_40b_form() -> None:
    model = read(
        "falcon", **FALCON, num_hidden_layers=4, num_attention_heads=8, num_kv_heads=2, new_decoder_architecture=True
    )
    layer = only_layer(model)
    assert layer.attention.kv_heads == 2
    assert layer.norms == 2
    assert layer.parallel
    old = read("RefinedWeb", **FALCON, n_layer=4, n_head=8, n_head_kv=2, new_decoder_architecture=True)
    assert only_layer(old) == layer


def test_falcon_rw_form() -> None:
    model = read(
        "falcon", **FALCON, num_hidden_layers=4, num_attention_heads=8, multi_query=False, parallel_attn=False,
        alibi=True, bias=True,
    )  # fmt: skip
    layer = only_layer(model)
    assert model.positions == "alibi"
    assert layer.attention.rope_dim == 0
    assert layer.attention.kv_heads == 8
    assert not layer.parallel
    assert layer.norms == 2
    assert layer.attention.qkv_bias


def test_chatglm_first_generation() -> None:
    model = read("chatglm", hidden_size=64, num_layers=4, num_attention_heads=8, inner_hidden_size=256, vocab_size=100)
    layer = only_layer(model)
    assert (model.norm, model.lm_head, layer.attention.causal, layer.attention.rope_dim) == ("layer", "tied", False, 8)
    assert layer.feed_forward == Mlp(intermediate=256, gated=False, activation="gelu", bias=True)


def test_chatglm_later_generations() -> None:
    model = read(
        "chatglm", hidden_size=64, num_layers=4, num_attention_heads=8, ffn_hidden_size=96, padded_vocab_size=100,
        kv_channels=8, multi_query_attention=True, multi_query_group_num=2, add_qkv_bias=True, seq_length=50,
    )  # fmt: skip
    attention = only_layer(model).attention
    assert (attention.kv_heads, attention.rope_dim, attention.qkv_bias, attention.out_bias) == (2, 4, True, False)
    assert (model.norm, model.lm_head, model.max_positions) == ("rms", "own", 50)


def test_bert() -> None:
    model = read("bert", **LLAMA)
    layer = only_layer(model)
    assert not model.generates
    assert model.encoder[0].repeat == 4
    assert (model.token_types, model.position_rows, model.pooler, model.lm_head) == (2, 512, True, "none")
    assert layer.post_norm
    assert not layer.attention.causal
    assert not model.final_norm
    assert model.embedding_norm


T5 = {"d_model": 64, "num_layers": 4, "num_heads": 8, "d_kv": 16, "d_ff": 96, "vocab_size": 100}


def test_t5() -> None:
    model = read("t5", **T5)
    (encoder,), (decoder,) = model.encoder[0].layers, model.decoder[0].layers
    assert (model.encoder[0].repeat, model.decoder[0].repeat, model.relative_buckets) == (4, 4, 32)
    assert encoder.cross_attention is None
    assert not encoder.attention.causal
    assert encoder.norms == 2
    assert decoder.cross_attention is not None
    assert decoder.attention.causal
    assert decoder.norms == 3
    assert decoder.attention.head_dim == 16
    assert encoder.feed_forward == Mlp(intermediate=96, gated=False, activation="relu")
    assert model.lm_head == "tied"


def test_t5_1_1() -> None:
    model = read("t5", **T5, num_decoder_layers=2, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    assert model.decoder[0].repeat == 2
    assert model.lm_head == "own"
    assert model.decoder[0].layers[0].feed_forward == Mlp(intermediate=96, gated=True, activation="gelu")


DEEPSEEK = {
    **LLAMA, "n_routed_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 8, "kv_lora_rank": 24,
    "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 6,
}  # fmt: skip


def test_deepseek_v3() -> None:
    model = read("deepseek_v3", **DEEPSEEK, q_lora_rank=20, quantization_config={"quant_method": "fp8", "fmt": "e4m3"})
    dense, sparse = model.decoder
    assert (dense.repeat, sparse.repeat) == (3, 1)
    assert isinstance(dense.layers[0].feed_forward, Mlp)
    attention, block = sparse.layers[0].attention, sparse.layers[0].feed_forward
    assert attention.latent is not None
    assert (attention.head_dim, attention.value_dim, attention.latent.q_rank, attention.kv_heads) == (12, 6, 20, 8)
    assert isinstance(block, Moe)
    assert block.shared == Mlp(intermediate=8, gated=True, activation="silu")
    assert block.router_bias
    assert model.native_format == "fp8_e4m3"


@pytest.mark.parametrize("null", [None, 0])
def test_deepseek_v2_lite_form(null: int | None) -> None:
    model = read(
        "deepseek_v2", **DEEPSEEK, q_lora_rank=null, first_k_dense_replace=1, n_shared_experts=2, moe_layer_freq=2
    )
    layers = [layer for group in model.decoder for _ in range(group.repeat) for layer in group.layers]
    assert [type(layer.feed_forward) for layer in layers] == [Mlp, Mlp, Moe, Mlp]
    block, latent = layers[2].feed_forward, layers[0].attention.latent
    assert isinstance(block, Moe)
    assert block.shared is not None
    assert latent is not None
    assert block.shared.intermediate == 16
    assert not block.router_bias
    assert latent.q_rank is None


def test_every_family_has_a_test_here() -> None:
    tested = {
        "llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "gemma2", "phi3", "phi",
        "gpt2", "gptj", "gpt_neox", "opt", "bloom", "falcon", "RefinedWeb", "RefinedWebModel", "chatglm", "bert", "t5",
        "deepseek_v2", "deepseek_v3",
    }  # fmt: skip
    assert set(SUPPORTED) == tested


def test_keys_that_do_not_matter_are_ignored() -> None:
    noise = {"architectures": ["Llama"], "initializer_range": 0.02, "transformers_version": "4.31.0", "x": None}
    assert read("llama", **LLAMA, **noise) == read("llama", **LLAMA)


def test_a_model_file_carries_its_provenance() -> None:
    data = {
        "name": "mine", "source": "a paper", "status": "derived", "notes": "guessed", "parameters_published": 7,
        "parameters_source": "headline", "config": {"model_type": "llama", **LLAMA},
    }  # fmt: skip
    model = read_model_file(data, origin="mine.toml")
    assert (model.name, model.source, model.status, model.notes) == ("mine", "a paper", "derived", "guessed")
    assert (model.parameters_published, model.parameters_source) == (7, "headline")
    assert model.decoder == read("llama", **LLAMA).decoder
