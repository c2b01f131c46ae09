"""The builder, family by family, against what each architecture is known to do."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.graph import build, footprint, parameters
from accelsim.graph.attention import Formats
from accelsim.graph.counts import count
from accelsim.graph.operator import Graph, Kind, Operator, Role
from accelsim.graph.transforms import fuse
from accelsim.spec.huggingface import read_config
from accelsim.spec.model import Model


def config(**keys: Any) -> Model:
    return read_config(keys, name="m", source="a test", status="assumed")


def prefill(name: str, bf16: Formats, **keys: Any) -> Graph:
    return build.prefill(catalog.model(name), **{"batch": 2, "prompt": 16, "formats": bf16, **keys})


def decode(name: str, bf16: Formats, **keys: Any) -> Graph:
    return build.decode(catalog.model(name), **{"batch": 2, "prompt": 16, "step": 3, "formats": bf16, **keys})


def ops(graph: Graph) -> dict[str, Operator]:
    found = {op.name: op for _, op in graph}
    assert len(found) == sum(len(block.operators) for block in graph.blocks), "a name occurs twice"
    return found


def stems(graph: Graph, block: int) -> list[str]:
    return [op.name.split(".", 1)[-1] for op in graph.blocks[block].operators]


def weight_elements(graph: Graph) -> int:
    return sum(block.repeat * prod(tensor.shape) for block, tensor in footprint.weights(graph))


@pytest.mark.parametrize("name", catalog.names("models"))
def test_the_graph_holds_every_parameter(name: str, bf16: Formats) -> None:
    model, graph = catalog.model(name), prefill(name, bf16)
    assert weight_elements(graph) == parameters.count(model)
    assert weight_elements(fuse(graph)) == parameters.count(model)


ODD = {
    "opt-350m": {
        "model_type": "opt", "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "ffn_dim": 4096,
        "vocab_size": 50272, "word_embed_proj_dim": 512, "do_layer_norm_before": False, "max_position_embeddings": 2048,
    },
    "mla with biases": {
        "model_type": "deepseek_v3", "hidden_size": 10, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 9, "moe_intermediate_size": 4, "n_routed_experts": 5, "num_experts_per_tok": 2,
        "first_k_dense_replace": 1, "vocab_size": 6, "q_lora_rank": 7, "kv_lora_rank": 6, "qk_nope_head_dim": 4,
        "qk_rope_head_dim": 2, "v_head_dim": 3, "attention_bias": True,
    },
    "phi with norms of the heads": {
        "model_type": "phi", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "vocab_size": 9,
        "intermediate_size": 20, "qk_layernorm": True, "partial_rotary_factor": 0.5,
    },
    "falcon-rw": {
        "model_type": "falcon", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "vocab_size": 9,
        "alibi": True, "multi_query": False, "parallel_attn": False, "bias": True,
    },
    "t5 of the first form": {
        "model_type": "t5", "d_model": 10, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4, "d_kv": 3,
        "d_ff": 7, "vocab_size": 11, "relative_attention_num_buckets": 8,
    },
    "llama with biases": {
        "model_type": "llama", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "vocab_size": 9,
        "intermediate_size": 20, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_the_graph_holds_every_parameter_of_odd_models(name: str, bf16: Formats) -> None:
    model = config(**ODD[name])
    graph = build.prefill(model, batch=2, prompt=5, formats=bf16)
    assert weight_elements(graph) == weight_elements(fuse(graph)) == parameters.count(model)


def test_gpt2_has_learned_positions_biases_and_a_tied_head(bf16: Formats) -> None:
    graph = prefill("gpt2", bf16)
    found = ops(graph)
    token, position = found["embedding"].inputs
    assert (token.shape, token.moved) == ((50257, 768), 32 * 768)
    assert (position.shape, position.moved) == ((1024, 768), 16 * 768)  # the same rows for both sequences
    assert count(found["embedding"]).vector_flops == 32 * 768
    assert found["lm_head"].inputs[1].name == token.name
    assert [t.shape for t in found["layers.attention.q_proj"].inputs[1:]] == [(768, 768), (768,)]
    assert not any(op.kind is Kind.ROPE for op in found.values())
    assert graph.blocks[1].repeat == 12


def test_gptj_is_parallel_behind_one_norm_and_rotates_a_quarter(bf16: Formats) -> None:
    graph = prefill("gpt-j-6b", bf16)
    found = ops(graph)
    assert [op.kind for op in graph.blocks[1].operators].count(Kind.NORM) == 1
    assert found["layers.attention.q_proj"].inputs[0].name == found["layers.mlp.up_proj"].inputs[0].name == "normed"
    assert stems(graph, 1)[-2:] == ["attention_add", "mlp_add"]
    rope = found["layers.attention.rope"]
    assert rope.dims["elements"] == 32 * 2 * 16 * 64  # of 256 per head
    assert [t.moved for t in rope.inputs[:2]] == [32 * 16 * 64] * 2
    assert found["lm_head"].inputs[2].shape == (50400,)
    assert len(found["layers.attention.q_proj"].inputs) == 2
    assert len(found["layers.mlp.up_proj"].inputs) == 3


def test_neox_is_parallel_behind_two_norms(bf16: Formats) -> None:
    found = ops(prefill("gpt-neox-20b", bf16))
    assert found["layers.mlp.up_proj"].inputs[0].name == found["layers.mlp_norm"].outputs[0].name == "mlp_normed"
    assert found["layers.attention.q_proj"].inputs[0].name == found["layers.attention_norm"].outputs[0].name
    assert found["layers.attention.rope"].dims["elements"] == 32 * 2 * 64 * 24


def test_opt_350m_norms_last_and_widens_its_embedding(bf16: Formats) -> None:
    model = config(**ODD["opt-350m"])
    assert parameters.count(model) == 331_196_416  # facebook/opt-350m
    graph = build.prefill(model, batch=2, prompt=5, formats=bf16)
    found = ops(graph)
    assert [op.name for op in graph.blocks[0].operators] == ["embedding", "project_in", "position_embedding"]
    assert (found["project_in"].dims["k"], found["project_in"].dims["n"]) == (512, 1024)
    assert (found["project_out"].dims["m"], found["project_out"].dims["k"], found["project_out"].dims["n"]) == (
        2,
        1024,
        512,
    )
    assert (found["lm_head"].dims["k"], found["lm_head"].inputs[1].name) == (512, found["embedding"].inputs[0].name)
    kinds = [op.kind for op in graph.blocks[1].operators]
    assert kinds[0] is Kind.MATMUL
    assert kinds[-2:] == [Kind.ADD, Kind.NORM]
    assert "final_norm" not in found


def test_bloom_has_a_norm_on_its_embedding_and_alibi(bf16: Formats) -> None:
    graph = prefill("bloom-176b", bf16)
    found = ops(graph)
    assert [op.kind for op in graph.blocks[0].operators] == [Kind.EMBEDDING, Kind.NORM]
    assert not any(op.kind is Kind.ROPE for op in found.values())
    softmax = found["layers.attention.softmax"]
    assert count(softmax).vector_flops == (4 + 2) * 2 * 112 * 16 * 16  # slope times distance, added


@pytest.mark.parametrize(("name", "norms", "kv_heads", "width"), [("falcon-7b", 1, 1, 64), ("falcon-40b", 2, 8, 512)])
def test_falcon_shares_its_keys(name: str, norms: int, kv_heads: int, width: int, bf16: Formats) -> None:
    graph = prefill(name, bf16)
    found = ops(graph)
    assert [op.kind for op in graph.blocks[1].operators].count(Kind.NORM) == norms
    assert found["layers.attention.k_proj"].dims["n"] == found["layers.attention.v_proj"].dims["n"] == width
    assert found["layers.attention.scores"].dims["kv_heads"] == kv_heads
    assert found["layers.attention.kv_append"].bytes(Role.KV_CACHE) == 32 * 2 * width * 2


def test_chatglm_reads_its_prompt_without_a_mask_and_keeps_a_cache(bf16: Formats) -> None:
    first, step = ops(prefill("chatglm-6b", bf16)), ops(decode("chatglm-6b", bf16))
    fused = ops(fuse(prefill("chatglm-6b", bf16)))["layers.attention.attend"]
    assert not first["layers.attention.scores"].attributes["causal"]
    assert count(fused).matrix_flops == 2 * 2 * 32 * 16 * 16 * 256  # every pair
    assert step["layers.attention.scores"].dims["kv"] == 19
    assert step["layers.attention.kv_append"].dims["elements"] == 2 * 2 * 4096


def test_bert_reads_and_does_not_generate(bf16: Formats) -> None:
    model, graph = catalog.model("bert-base"), prefill("bert-base", bf16)
    found = ops(graph)
    assert [t.name for t in found["embedding"].inputs] == [
        "token_embedding.weight", "position_embedding.weight", "token_type_embedding.weight",
    ]  # fmt: skip
    assert found["embedding"].inputs[2].moved == 2 * 768
    assert stems(graph, 0) == ["embedding", "embedding_norm"]
    assert stems(graph, 1) == [
        "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.scores", "attention.softmax",
        "attention.context", "attention.o_proj", "attention_add", "attention_norm", "mlp.up_proj", "mlp.activation",
        "mlp.down_proj", "mlp_add", "mlp_norm",
    ]  # fmt: skip
    assert found["layers.attention.q_proj"].inputs[0].name == found["layers.mlp_norm"].outputs[0].name == "hidden"
    assert not any(op.bytes(Role.KV_CACHE) for op in found.values())
    assert (found["pooler"].dims["m"], "lm_head" in found) == (2, False)
    assert not model.generates
    with pytest.raises(RequestError, match="bert-base is encoder-only: it has no decode phase"):
        build.decode(model, batch=1, prompt=4, step=1, formats=bf16)


def test_t5_makes_keys_of_the_prompt_once(bf16: Formats) -> None:
    graph = prefill("t5-xxl", bf16)
    found = ops(graph)
    assert [(block.name, block.repeat) for block in graph.blocks] == [
        ("encoder.embedding", 1), ("encoder[0:24]", 24), ("encoder.head", 1), ("cross_attention", 24), ("embedding", 1),
        ("layers[0:24]", 24), ("head", 1),
    ]  # fmt: skip
    keys = found["layers.cross_attention.k_proj"]
    assert (keys.dims["m"], keys.dims["n"], keys.inputs[0].name) == (
        32,
        4096,
        found["encoder.final_norm"].outputs[0].name,
    )
    assert found["encoder.attention.q_proj"].dims["m"] == 32
    assert found["layers.attention.q_proj"].dims["m"] == 2  # one token starts each sequence
    assert found["layers.cross_attention.scores"].inputs[1].name == "cross_k_cache"
    assert found["layers.cross_attention.scores"].dims["kv"] == 16
    assert not any(tensor.role is Role.KV_CACHE for op in graph.blocks[1].operators for tensor in op.outputs)
    step = ops(decode("t5-xxl", bf16))
    assert step["layers.attention.scores"].dims["kv"] == 4  # step 3 sees the start token and its own three
    assert step["layers.cross_attention.scores"].dims["kv"] == 16
    assert "layers.cross_attention.k_proj" not in step
    assert "encoder.embedding" not in step


def test_t5_adds_its_table_of_distances_to_the_scores(bf16: Formats) -> None:
    found = ops(prefill("t5-xxl", bf16))
    assert found["encoder.position_bias"].inputs[0].shape == (32, 64)
    assert found["encoder.position_bias"].outputs[0].shape == (64, 16, 16)
    assert found["position_bias"].outputs[0].shape == (64, 1, 1)
    assert found["encoder.attention.softmax"].inputs[1].name == "position_bias"
    assert len(found["layers.cross_attention.softmax"].inputs) == 1
    assert ops(decode("t5-xxl", bf16))["position_bias"].outputs[0].shape == (64, 1, 4)


def test_gemma2_alternates_windows_and_norms_both_ends(bf16: Formats) -> None:
    graph = decode("gemma-2-9b", bf16, prompt=8000)
    found = ops(graph)
    (block,) = [b for b in graph.blocks if b.name.startswith("layers")]
    assert (block.name, block.repeat) == ("layers[0:42]", 21)
    assert found["layers[0::2].attention.scores"].dims["kv"] == 4096
    assert found["layers[1::2].attention.scores"].dims["kv"] == 8003
    assert [op.kind for op in block.operators].count(Kind.NORM) == 8
    assert found["layers[0::2].attention_post_norm"].inputs[0].name == "attended"
    assert found["layers[0::2].mlp_post_norm"].inputs[0].name == "fed"


def test_a_window_shorter_than_the_prompt_still_reads_every_key(bf16: Formats) -> None:
    scores = ops(prefill("gemma-2-9b", bf16, prompt=6000))["layers[0::2].attention.scores"]
    assert (scores.dims["kv"], scores.dims["past"], scores.attributes["window"]) == (6000, 0, 4096)


def test_qwen3_norms_queries_and_keys_per_head(bf16: Formats) -> None:
    found = ops(prefill("qwen3-8b", bf16))
    q, k = found["layers.attention.q_norm"], found["layers.attention.k_norm"]
    assert (q.dims["rows"], q.dims["elements"], q.inputs[1].shape) == (32 * 32, 32 * 32 * 128, (128,))
    assert k.dims["rows"] == 32 * 8


def test_mixtral_routes_to_two_of_eight(bf16: Formats) -> None:
    found = ops(prefill("mixtral-8x7b", bf16))
    up = found["layers.moe.experts.up_proj"]
    assert up.dims["m"] == 32 * 2
    assert up.inputs[1].shape == (8, 4096, 14336)
    assert found["layers.moe.router"].dims["n"] == 8
    assert found["layers.moe.combine"].dims == {"elements": 32 * 4096, "active": 2}


def test_qwen2_moe_scales_its_shared_expert(bf16: Formats) -> None:
    found = ops(prefill("qwen1.5-moe-a2.7b", bf16))
    assert found["layers.moe.shared.up_proj"].dims["n"] == 5632
    assert found["layers.moe.shared_gate"].dims["n"] == 1
    assert [t.name for t in found["layers.moe.shared_gate.multiply"].inputs] == ["shared", "shared_scale"]
    assert found["layers.moe.add_shared"].outputs[0].name == "fed"


def test_deepseek_expands_its_latent_over_a_prompt(bf16: Formats) -> None:
    graph = prefill("deepseek-v3", bf16)
    found = ops(graph)
    assert [(b.name, b.repeat) for b in graph.blocks[1:3]] == [("layers[0:3]", 3), ("layers[3:61]", 58)]
    assert "layers[0:3].mlp.up_proj" in found
    assert found["layers[3:61].moe.route"].inputs[1].shape == (256,)
    expand, scores = found["layers[0:3].attention.kv_b_proj"], found["layers[0:3].attention.scores"]
    assert (expand.dims["k"], expand.dims["n"]) == (512, 128 * 256)
    assert (scores.dims["kv_heads"], scores.dims["head_dim"], scores.dims["value_dim"]) == (128, 192, 128)
    assert scores.inputs[1].elements == 32 * (128 * 128 + 64)  # the rotary key is shared by all heads
    assert found["layers[0:3].attention.kv_append"].bytes(Role.KV_CACHE) == 32 * 576 * 2
    assert not any("absorb" in name for name in found)


def test_deepseek_absorbs_the_expansion_one_token_at_a_time(bf16: Formats) -> None:
    found = ops(decode("deepseek-v3", bf16))
    scores, context = found["layers[0:3].attention.scores"], found["layers[0:3].attention.context"]
    assert (scores.dims["kv_heads"], scores.dims["head_dim"], scores.dims["value_dim"]) == (1, 576, 512)
    assert scores.bytes(Role.KV_CACHE) == 2 * 19 * 576 * 2
    assert context.bytes(Role.KV_CACHE) == 0  # the values are part of the keys
    absorb = [found[f"layers[0:3].attention.{part}_absorb"] for part in "qv"]
    assert [prod(op.inputs[1].shape) for op in absorb] == [128 * 128 * 512] * 2
    assert "layers[0:3].attention.kv_b_proj" not in found


def test_deepseek_v2_lite_projects_queries_directly(bf16: Formats) -> None:
    found = ops(prefill("deepseek-v2-lite", bf16))
    assert found["layers[0:1].attention.q_proj"].dims["n"] == 16 * 192
    assert "layers[1:27].moe.shared.up_proj" in found
    assert len(found["layers[1:27].moe.route"].inputs) == 1  # V2 has no load correction


def test_logits_of_the_last_or_of_all_positions(bf16: Formats) -> None:
    assert ops(prefill("llama-2-7b", bf16))["lm_head"].dims["m"] == 2
    assert ops(prefill("llama-2-7b", bf16, logits="all"))["lm_head"].dims["m"] == 32
    with pytest.raises(RequestError, match="logits = 'first': allowed are last, all"):
        prefill("llama-2-7b", bf16, logits="first")


def test_repeats_add_up_to_the_layers(representative: str, bf16: Formats) -> None:
    model, graph = catalog.model(representative), prefill(representative, bf16)
    starts = ("layers[", "encoder[")
    spans = {
        b.name: int(b.name.split(":")[1][:-1]) - int(b.name.split("[")[1].split(":")[0])
        for b in graph.blocks
        if b.name.startswith(starts)
    }
    assert sum(spans.values()) == model.layers
