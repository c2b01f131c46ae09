"""DeepSeek-V2 and V3: latent attention, dense layers first, then experts with shared ones.

The multi-token-prediction layers that V3 publishes beside the model are not part of it.
"""

from __future__ import annotations

from accelsim.spec.huggingface.common import About, fold, native_format
from accelsim.spec.huggingface.experts import mixture
from accelsim.spec.huggingface.fields import HEADS, HIDDEN, INTERMEDIATE, POSITIONS, VOCABULARY, Fields
from accelsim.spec.model import Attention, Latent, Layer, Mlp, Model

# family -> defaults of first_k_dense_replace, n_shared_experts and max_position_embeddings
_DEFAULTS = {"deepseek_v2": (0, 2, 2048), "deepseek_v3": (3, 1, 4096)}


def read_deepseek(fields: Fields, about: About) -> Model:
    """Latent attention whose ranks and widths default to those of transformers; experts after the dense layers."""
    family = str(fields.get("model_type"))
    default_dense, default_shared, default_positions = _DEFAULTS[family]
    hidden, layers, vocabulary = fields.size(HIDDEN), fields.layers(), fields.size(VOCABULARY)
    attention = _attention(fields)
    activation = fields.activation(("hidden_act",), "silu")
    # in transformers' V2 the dense and shared blocks may have biases, the routed experts never
    mlp_bias = family == "deepseek_v2" and fields.flag("mlp_bias", False)

    def mlp(width: int, bias: bool = mlp_bias) -> Mlp:
        return Mlp(intermediate=width, gated=True, activation=activation, bias=bias)

    width = fields.size(("moe_intermediate_size",))
    shared = fields.size_or_none(("n_shared_experts",), default_shared)
    # V3 always has the load correction, unless its configuration names another method
    corrected = family == "deepseek_v3" and fields.get("topk_method") in (None, "noaux_tc")
    sparse = mixture(fields, mlp(width, False), mlp(shared * width) if shared else None, router_bias=corrected)
    first = fields.size_or_none(("first_k_dense_replace",), default_dense) or 0
    step = fields.size(("moe_layer_freq",), 1)
    chosen = [number >= first and number % step == 0 for number in range(layers)]
    dense = sparse if all(chosen) else mlp(fields.size(INTERMEDIATE))
    positions, stored = fields.size(POSITIONS, default_positions), native_format(fields)
    tied = fields.flag("tie_word_embeddings", False)
    fields.check()
    stack = [
        Layer(attention=attention, feed_forward=sparse if is_sparse else dense, norm="rms", norm_bias=False)
        for is_sparse in chosen
    ]
    return Model(
        **about, family=family, hidden=hidden, vocabulary=vocabulary, decoder=fold(stack), positions="rope", norm="rms",
        norm_bias=False, lm_head="tied" if tied else "own", max_positions=positions, native_format=stored,
    )  # fmt: skip


def _attention(fields: Fields) -> Attention:
    """Every head has its own key and value once the latent is expanded, so that `kv_heads` is `heads`."""
    heads, bias = fields.size(HEADS), fields.flag("attention_bias", False)
    latent = Latent(
        q_rank=fields.size_or_none(("q_lora_rank",), 1536),
        kv_rank=fields.size(("kv_lora_rank",), 512),
        nope_dim=fields.size(("qk_nope_head_dim",), 128),
        rope_dim=fields.size(("qk_rope_head_dim",), 64),
    )
    return Attention(
        heads=heads, kv_heads=heads, head_dim=latent.nope_dim + latent.rope_dim,
        value_dim=fields.size(("v_head_dim",), 128), rope_dim=latent.rope_dim, qkv_bias=bias, out_bias=bias,
        latent=latent,
    )  # fmt: skip
