"""The counts of the llm-viewer convention, worked out by hand, and the models that it refuses."""

import pytest

from accelsim.errors import RequestError
from accelsim.graph.llm_viewer import count
from accelsim.spec.model import Attention, Group, Latent, Layer, Mlp, Model, Moe

ATTENTION = Attention(heads=4, kv_heads=2, head_dim=8, value_dim=8)
MLP = Mlp(intermediate=96, gated=True, activation="silu")
LAYER = Layer(attention=ATTENTION, feed_forward=MLP, norm="rms", norm_bias=False)
SMALL = Model(
    source="made up for this test",
    status="assumed",
    name="small",
    family="llama",
    hidden=32,
    vocabulary=100,
    decoder=(Group(repeat=3, layers=(LAYER,)),),
    positions="rope",
    norm="rms",
    norm_bias=False,
    lm_head="own",
    max_positions=None,
    native_format="fp16",
)


def with_layers(*layers: Layer, **changes) -> Model:
    return SMALL.model_copy(update={"decoder": (Group(repeat=1, layers=layers),), **changes})


def counted(model=SMALL, phase="decode", **changes):
    arguments = {
        "batch": 2,
        "length": 10,
        "weight_bits": 4,
        "activation_bits": 16,
        "kv_bits": 8,
        "onchip_bytes": 1e6,
        **changes,
    }
    return count(model, phase, **arguments)


def row(name, **changes):
    (found,) = (operator for operator in counted(**changes).operators if operator.name == name)
    return found


def parts(operator):
    return (
        operator.ops,
        operator.load_weight_bytes,
        operator.load_act_bytes,
        operator.store_act_bytes,
        operator.load_kv_cache_bytes,
        operator.store_kv_cache_bytes,
    )


def test_operators_stand_in_the_order_of_the_tool():
    names = [operator.name for operator in counted().operators]
    assert names == [
        *("q_proj", "k_proj", "v_proj", "out_proj", "gate_proj", "up_proj", "down_proj"),
        *("qk_matmul", "sv_matmul", "softmax", "attn_norm", "mlp_norm", "attn_add", "mlp_add", "mlp_act", "lm_head"),
    ]
    fused = [operator.name for operator in counted(flash=True).operators]
    assert fused == [*names[:7], "fused_attention", *names[10:]]
    assert [operator.count for operator in counted().operators] == [3] * 15 + [1]


def test_key_projection_is_as_wide_as_the_key_heads_and_writes_the_cache():
    # 32 x 16 matrix, 2 x 10 tokens; weights of half a byte, activations of two, cache of one
    assert parts(row("k_proj", phase="prefill")) == (2 * 32 * 16 * 20, 32 * 16 / 2, 32 * 20 * 2, 0, 0, 16 * 20)
    assert parts(row("k_proj")) == (2 * 32 * 16 * 2, 32 * 16 / 2, 32 * 2 * 2, 0, 0, 16 * 2)


def test_prefill_reads_queries_as_wide_as_the_key_heads():
    # defect 4 of the tool: 2 key heads of 8 where 4 query heads are read; QK has 10 x 10 scores
    assert parts(row("qk_matmul", phase="prefill")) == (
        2 * 100 * 8 * 4 * 2,
        0,
        10 * 8 * 2 * 2 * 2,
        100 * 4 * 2 * 2,
        10 * 8 * 2 * 2,
        0,
    )
    assert row("qk_matmul").load_act_bytes == 8 * 4 * 2 * 2


def test_lm_head_counts_one_operation_per_multiply_add_and_one_sequence():
    assert parts(row("lm_head")) == (2 * 32 * 100, 32 * 100 / 2, 32 * 2, 100 * 2, 0, 0)
    assert parts(row("lm_head", phase="prefill")) == parts(row("lm_head"))


def test_activation_is_as_wide_as_the_residual_stream():
    assert parts(row("mlp_act")) == (2 * 2 * 32, 0, 2 * 2 * 32 * 2, 2 * 32 * 2, 0, 0)


def test_fused_attention_reads_keys_and_values_once_per_query_head_and_block():
    # blocks have head_dim = 8 rows, so 10 queries are two blocks; the output is 10 wide and written twice
    assert parts(row("fused_attention", phase="prefill", flash=True)) == (
        (4 * 8 + 5) * 100 * 4 * 2,
        0,
        10 * 8 * 4 * 2 * 2,
        2 * 100 * 4 * 2 * 2,
        2 * (10 * 8 * 4 * 2) * 2,
        0,
    )


def test_a_small_chip_makes_blocks_of_fewer_rows():
    # 24 bytes hold 3 rows of 8 one-byte elements: 10 queries are four blocks
    small = row("fused_attention", phase="prefill", flash=True, onchip_bytes=24.0)
    assert small.load_kv_cache_bytes == 4 * (10 * 8 * 4 * 2) * 2


def test_footprint_leaves_lm_head_and_the_new_token_out():
    matrices = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 96
    decode = counted().footprint
    assert decode.weight_bytes == 3 * matrices / 2
    assert decode.kv_cache_bytes == 3 * 2 * 16 * 10 * 2
    # one layer: q, out, gate, up, down; QK, SV, softmax; two norms, two adds, the activation
    assert decode.act_bytes == 2 * 2 * (32 + 32 + 96 + 96 + 32 + 40 + 32 + 40 + 5 * 32)
    assert decode.bytes == decode.weight_bytes + decode.kv_cache_bytes + decode.act_bytes
    prefill = counted(phase="prefill").footprint
    assert prefill.weight_bytes == decode.weight_bytes
    assert prefill.kv_cache_bytes == decode.kv_cache_bytes


def names_of(model):
    return [operator.name for operator in counted(model).operators]


def test_opt_is_given_a_gate_matrix_and_other_plain_models_are_not():
    plain = with_layers(LAYER.model_copy(update={"feed_forward": MLP.model_copy(update={"gated": False})}))
    assert "gate_proj" not in names_of(plain)
    assert "gate_proj" in names_of(plain.model_copy(update={"family": "opt"}))


def test_a_layer_with_one_norm_has_no_mlp_norm():
    parallel = with_layers(LAYER.model_copy(update={"norms": 1, "parallel": True}))
    assert "attn_norm" in names_of(parallel)
    assert "mlp_norm" not in names_of(parallel)


def test_an_explicit_head_width_is_not_looked_at():
    wide = with_layers(LAYER.model_copy(update={"attention": ATTENTION.model_copy(update={"head_dim": 16})}))
    assert row("qk_matmul", model=wide).ops == row("qk_matmul").ops


LATENT = Latent(q_rank=None, kv_rank=16, nope_dim=4, rope_dim=4)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (
            with_layers(LAYER.model_copy(update={"feed_forward": Moe(experts=8, active=2, expert=MLP)})),
            "mixture of experts",
        ),
        (
            with_layers(LAYER.model_copy(update={"attention": ATTENTION.model_copy(update={"latent": LATENT})})),
            "latent",
        ),
        (
            with_layers(LAYER, LAYER.model_copy(update={"attention": ATTENTION.model_copy(update={"window": 4})})),
            "more than one kind",
        ),
        (with_layers(LAYER.model_copy(update={"cross_attention": ATTENTION})), "cross-attention"),
        (with_layers(LAYER.model_copy(update={"norms": 4})), "4 norms per layer"),
        (with_layers(LAYER, encoder=SMALL.decoder), "has an encoder"),
        (SMALL.model_copy(update={"decoder": (), "encoder": SMALL.decoder}), "has an encoder"),
        (with_layers(LAYER, lm_head="none"), "has no lm_head"),
    ],
)
def test_models_without_rules_are_refused_with_the_reason(model, why):
    with pytest.raises(RequestError, match=rf"'small' .*{why}.*llm-viewer convention covers .*'corrected'"):
        counted(model)


def test_an_unknown_phase_and_an_empty_batch_are_refused():
    with pytest.raises(RequestError, match="phase = 'train'"):
        counted(phase="train")
    with pytest.raises(RequestError, match="batch = 0: must be positive"):
        counted(batch=0)
