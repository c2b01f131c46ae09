"""Decoders with LayerNorm and a plain feed-forward: GPT-2, GPT-J, GPT-NeoX, OPT, BLOOM, Phi and Falcon.

Each reader states what its family does; `_decoder` puts the records together.
"""

from __future__ import annotations

from typing import Any

from accelsim.spec.huggingface.common import About, even_head_dim, fold, kv_heads, native_format, rotary_dim
from accelsim.spec.huggingface.fields import HEADS, HIDDEN, INTERMEDIATE, POSITIONS, VOCABULARY, Fields
from accelsim.spec.model import Attention, Layer, Mlp, Model

_ACTIVATION = ("activation_function", "activation", "hidden_act")


def read_gpt2(fields: Fields, about: About) -> Model:
    """Learned positions, biases everywhere, the feed-forward four times as wide unless `n_inner` says otherwise."""
    rows = fields.size(POSITIONS, 1024)
    return _decoder(
        fields, about, positions="learned", position_rows=rows, max_positions=rows, activation="gelu_new", tied=True
    )


def read_gptj(fields: Fields, about: About) -> Model:
    """Attention and feed-forward in parallel behind one norm; `rotary_dim` of each head is rotated."""
    head_dim = _head_dim(fields)
    rope_dim = fields.size_or_none(("rotary_dim",), 64) or head_dim
    if fields.sound(HEADS, HIDDEN, ("rotary_dim",)) and rope_dim > head_dim:
        fields.fault("rotary_dim", f"is wider than a head, which has {head_dim}", rope_dim)
    return _decoder(
        fields, about, positions="rope", rope_dim=rope_dim, max_positions=fields.size(POSITIONS, 2048), norms=1,
        parallel=True, attention_bias=False, activation="gelu_new", tied=False, lm_head_bias=True,
    )  # fmt: skip


def read_gpt_neox(fields: Fields, about: About) -> Model:
    """Two norms per layer even where attention and feed-forward run in parallel; a quarter of each head is rotated."""
    return _decoder(
        fields, about, positions="rope", rope_dim=rotary_dim(fields, _head_dim(fields), "rotary_pct", 0.25),
        max_positions=fields.size(POSITIONS, 2048), parallel=fields.flag("use_parallel_residual", True),
        attention_bias=fields.flag("attention_bias", True), activation="gelu", tied=False, intermediate_needed=True,
    )  # fmt: skip


def read_opt(fields: Fields, about: About) -> Model:
    """The position table has two rows more than positions; OPT-350M norms last and has a narrower embedding."""
    positions, norm_first = fields.size(POSITIONS, 2048), fields.flag("do_layer_norm_before", True)
    bias = fields.flag("enable_bias", True)
    if not fields.flag("layer_norm_elementwise_affine", True):
        fields.fault("layer_norm_elementwise_affine", "norms without weights are not supported; only true is", False)
    hidden, width = fields.size(HIDDEN), fields.size_or_none(("word_embed_proj_dim",))
    return _decoder(
        fields, about, positions="learned", position_rows=positions + 2, max_positions=positions,
        post_norm=not norm_first, final_norm=norm_first and not fields.flag("_remove_final_layer_norm", False),
        attention_bias=bias, mlp_bias=bias, embedding_dim=width if width != hidden else None, activation="relu",
        tied=True, intermediate_needed=True,
    )  # fmt: skip


def read_bloom(fields: Fields, about: About) -> Model:
    """ALiBi, a norm after the embedding, biases everywhere, the feed-forward always four times as wide."""
    return _decoder(
        fields, about, positions="alibi", max_positions=fields.size_or_none(POSITIONS), embedding_norm=True,
        activation="gelu_pytorch_tanh", tied=True, intermediate=4 * fields.size(HIDDEN),
    )  # fmt: skip


def read_phi(fields: Fields, about: About) -> Model:
    """Attention and feed-forward in parallel behind one norm, biases everywhere, lm_head's included."""
    return _decoder(
        fields, about, positions="rope", rope_dim=rotary_dim(fields, _head_dim(fields), default=0.5),
        max_positions=fields.size(POSITIONS, 2048), key_heads=kv_heads(fields, fields.size(HEADS), None), norms=1,
        parallel=True, qk_norm=fields.flag("qk_layernorm", False), activation="gelu_new", tied=False, lm_head_bias=True,
        intermediate_needed=True,
    )  # fmt: skip


def read_falcon(fields: Fields, about: About) -> Model:
    """Falcon in its three forms: parallel with one KV head (7B), grouped with two norms (40B, 180B), serial (RW)."""
    heads, grouped = fields.size(HEADS), fields.flag("new_decoder_architecture", False)
    ungrouped = 1 if fields.flag("multi_query", True) else heads
    key_heads = kv_heads(fields, heads, None) if grouped else ungrouped
    parallel = fields.flag("parallel_attn", True)
    norms = fields.size(("num_ln_in_parallel_attn",), 2 if grouped else 1) if parallel else 2
    if norms > 2:
        fields.fault("num_ln_in_parallel_attn", "must be 1 or 2", norms)
    alibi, bias, positions = fields.flag("alibi", False), fields.flag("bias", False), fields.size(POSITIONS, 2048)
    return _decoder(
        fields, about, positions="alibi" if alibi else "rope", rope_dim=0 if alibi else _head_dim(fields),
        max_positions=positions, key_heads=key_heads, norms=min(norms, 2), parallel=parallel or grouped,
        attention_bias=bias, mlp_bias=bias, activation="gelu", tied=True,
    )  # fmt: skip


def _head_dim(fields: Fields) -> int:
    return max(1, fields.size(HIDDEN) // fields.size(HEADS))


def _decoder(
    fields: Fields, about: About, *, activation: str, tied: bool, key_heads: int | None = None, rope_dim: int = 0,
    attention_bias: bool = True, qk_norm: bool = False, mlp_bias: bool = True, intermediate: int | None = None,
    intermediate_needed: bool = False, norms: int = 2, parallel: bool = False, post_norm: bool = False, **rest: Any,
) -> Model:  # fmt: skip
    """The model, once everything is read; `activation` and `tied` are defaults and `rest` goes to `Model`.

    `intermediate` is the width of the feed-forward where the configuration has no say; without
    `intermediate_needed` it defaults to four times `hidden`.
    """
    hidden, layers, heads = fields.size(HIDDEN), fields.layers(), fields.size(HEADS)
    head_dim = even_head_dim(fields, hidden, heads)
    width = intermediate or fields.size(INTERMEDIATE, None if intermediate_needed else 4 * hidden)
    function, vocabulary = fields.activation(_ACTIVATION, activation), fields.size(VOCABULARY)
    share, stored = fields.flag("tie_word_embeddings", tied), native_format(fields)
    fields.check()
    layer = Layer(
        attention=Attention(
            heads=heads, kv_heads=key_heads or heads, head_dim=head_dim, value_dim=head_dim, rope_dim=rope_dim,
            qkv_bias=attention_bias, out_bias=attention_bias, qk_norm=qk_norm,
        ),
        feed_forward=Mlp(intermediate=width, gated=False, activation=function, bias=mlp_bias),
        norm="layer", norm_bias=True, norms=norms, parallel=parallel, post_norm=post_norm,
    )  # fmt: skip
    return Model(
        **about, family=str(fields.get("model_type")), hidden=hidden, vocabulary=vocabulary,
        decoder=fold([layer] * layers), norm="layer", norm_bias=True, lm_head="tied" if share else "own",
        native_format=stored, **rest,
    )  # fmt: skip
