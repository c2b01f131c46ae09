"""ChatGLM: the first generation (6B) and the second and third (ChatGLM2-6B, ChatGLM3-6B), which share a name only."""

from __future__ import annotations

from accelsim.spec.huggingface.common import About, even_head_dim, fold, kv_heads, native_format
from accelsim.spec.huggingface.fields import HEADS, HIDDEN, POSITIONS, VOCABULARY, Fields
from accelsim.spec.model import Attention, Layer, Mlp, Model, NormKind

_SECOND_GENERATION = ("padded_vocab_size", "ffn_hidden_size", "kv_channels", "multi_query_attention")


def read_chatglm(fields: Fields, about: About) -> Model:
    """Whichever generation the keys tell."""
    return (_second if fields.has(_SECOND_GENERATION) else _first)(fields, about)


def _first(fields: Fields, about: About) -> Model:
    """LayerNorm, plain feed-forward, biases; the prompt is read without a causal mask (a prefix language model)."""
    hidden, layers, heads = fields.size(HIDDEN), fields.layers(), fields.size(HEADS)
    head_dim = even_head_dim(fields, hidden, heads)
    width, vocabulary = fields.size(("inner_hidden_size",)), fields.size(VOCABULARY)
    bias, positions = fields.flag("use_bias", True), fields.size(POSITIONS, 2048)
    tied, stored = fields.flag("tie_word_embeddings", True), native_format(fields)
    fields.check()
    layer = Layer(
        attention=Attention(
            heads=heads, kv_heads=heads, head_dim=head_dim, value_dim=head_dim, rope_dim=head_dim, causal=False,
            qkv_bias=bias, out_bias=bias,
        ),
        feed_forward=Mlp(intermediate=width, gated=False, activation="gelu", bias=bias), norm="layer", norm_bias=True,
    )  # fmt: skip
    return Model(
        **about, family="chatglm", hidden=hidden, vocabulary=vocabulary, decoder=fold([layer] * layers),
        positions="rope", norm="layer", norm_bias=True, lm_head="tied" if tied else "own", max_positions=positions,
        native_format=stored,
    )  # fmt: skip


def _second(fields: Fields, about: About) -> Model:
    """RMSNorm, SwiGLU, grouped keys; half of each head is rotated, and lm_head never shares the embedding."""
    hidden, layers, heads = fields.size(HIDDEN), fields.layers(), fields.size(HEADS)
    head_dim = fields.size(("kv_channels",), 128)
    grouped = fields.flag("multi_query_attention", False)
    key_heads = kv_heads(fields, heads, 1, ("multi_query_group_num",)) if grouped else heads
    width, vocabulary = fields.size(("ffn_hidden_size",)), fields.size(("padded_vocab_size", *VOCABULARY))
    bias, rms = fields.flag("add_bias_linear", False), fields.flag("rmsnorm", True)
    qkv_bias = fields.flag("add_qkv_bias", False) or bias
    final_norm, positions = fields.flag("post_layer_norm", True), fields.size(POSITIONS, 2048)
    stored = native_format(fields)
    fields.check()
    norm: NormKind = "rms" if rms else "layer"
    layer = Layer(
        attention=Attention(
            heads=heads, kv_heads=key_heads, head_dim=head_dim, value_dim=head_dim, rope_dim=head_dim // 2,
            qkv_bias=qkv_bias, out_bias=bias,
        ),
        feed_forward=Mlp(intermediate=width, gated=True, activation="silu", bias=bias), norm=norm, norm_bias=not rms,
    )  # fmt: skip
    return Model(
        **about, family="chatglm", hidden=hidden, vocabulary=vocabulary, decoder=fold([layer] * layers),
        positions="rope", final_norm=final_norm, norm=norm, norm_bias=not rms, lm_head="own", max_positions=positions,
        native_format=stored,
    )  # fmt: skip
