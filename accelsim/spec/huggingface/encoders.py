"""Models with an encoder: BERT (encoder and pooler, no head) and T5 in its first and its 1.1 form."""

from __future__ import annotations

from accelsim.spec.huggingface.common import About, even_head_dim, fold, native_format
from accelsim.spec.huggingface.fields import HEADS, HIDDEN, INTERMEDIATE, LAYERS, POSITIONS, VOCABULARY, Fields
from accelsim.spec.model import Attention, Layer, Mlp, Model

_DECODER_LAYERS = ("num_decoder_layers",)


def read_bert(fields: Fields, about: About) -> Model:
    """Norms after the residual additions, a segment table and a norm on the embedding; heads for tasks are left out."""
    hidden, layers, heads = fields.size(HIDDEN), fields.layers(), fields.size(HEADS)
    head_dim, width = even_head_dim(fields, hidden, heads), fields.size(INTERMEDIATE)
    activation, vocabulary = fields.activation(("hidden_act",), "gelu"), fields.size(VOCABULARY)
    rows, types = fields.size(POSITIONS, 512), fields.size(("type_vocab_size",), 2)
    if fields.flag("is_decoder", False):
        fields.fault("is_decoder", "BERT as a decoder is not supported; only false is", True)
    stored = native_format(fields)
    fields.check()
    layer = Layer(
        attention=Attention(
            heads=heads, kv_heads=heads, head_dim=head_dim, value_dim=head_dim, causal=False, qkv_bias=True,
            out_bias=True,
        ),
        feed_forward=Mlp(intermediate=width, gated=False, activation=activation, bias=True), norm="layer",
        norm_bias=True, post_norm=True,
    )  # fmt: skip
    return Model(
        **about, family="bert", hidden=hidden, vocabulary=vocabulary, encoder=fold([layer] * layers),
        positions="learned", position_rows=rows, token_types=types, embedding_norm=True, final_norm=False, norm="layer",
        norm_bias=True, lm_head="none", pooler=True, max_positions=rows, native_format=stored,
    )  # fmt: skip


def read_t5(fields: Fields, about: About) -> Model:
    """Encoder and decoder of width `d_model` with heads of width `d_kv`; a table of relative positions in each.

    `feed_forward_proj` is "relu" in T5 and "gated-gelu" in T5 1.1, whose `tie_word_embeddings` is false.
    """
    hidden, encoder, heads = fields.size(HIDDEN), fields.layers(), fields.size(HEADS)
    decoder = fields.layers(_DECODER_LAYERS, encoder) if fields.sound(LAYERS) else 1
    head_dim, width = fields.size(("d_kv", "head_dim"), 64), fields.size(INTERMEDIATE)
    buckets, vocabulary = fields.size(("relative_attention_num_buckets",), 32), fields.size(VOCABULARY)
    gated, activation = _projection(fields)
    tied, stored = fields.flag("tie_word_embeddings", True), native_format(fields)
    positions = fields.size_or_none(POSITIONS)
    fields.check()

    def attention(causal: bool) -> Attention:
        return Attention(heads=heads, kv_heads=heads, head_dim=head_dim, value_dim=head_dim, causal=causal)

    mlp = Mlp(intermediate=width, gated=gated, activation=activation)
    reading = Layer(attention=attention(causal=False), feed_forward=mlp, norm="rms", norm_bias=False)
    writing = Layer(
        attention=attention(causal=True), cross_attention=attention(causal=False), feed_forward=mlp, norm="rms",
        norm_bias=False, norms=3,
    )  # fmt: skip
    return Model(
        **about, family="t5", hidden=hidden, vocabulary=vocabulary, encoder=fold([reading] * encoder),
        decoder=fold([writing] * decoder), positions="relative", relative_buckets=buckets, norm="rms", norm_bias=False,
        lm_head="tied" if tied else "own", max_positions=positions, native_format=stored,
    )  # fmt: skip


def _projection(fields: Fields) -> tuple[bool, str]:
    """Whether the feed-forward is gated, and its activation; "gated-gelu" means the tanh form, as in transformers."""
    key = "feed_forward_proj"
    text = fields.get(key)
    if text is None:
        return False, "relu"
    if text == "gated-gelu":
        return True, "gelu"
    name = text.removeprefix("gated-") if isinstance(text, str) else text
    return name != text, fields.activation_named(key, name)
