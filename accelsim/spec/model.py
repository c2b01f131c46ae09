"""A Transformer by its shape: what a Hugging Face `config.json` says, brought to one vocabulary.

A model is up to two stacks (encoder, decoder). A stack is a list of groups; a group is a short list of
layers that repeats (Gemma-2: a windowed and a global layer, 21 times; DeepSeek-V3: three dense layers,
then 58 with experts). Weights of equal layers are equal in shape, so that one stands for all.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.spec.base import Count, Name, Record, Sourced

Positions = Literal["rope", "learned", "alibi", "relative", "none"]
NormKind = Literal["rms", "layer"]


class Latent(Record):
    """Multi-head latent attention (DeepSeek-V2): what is cached is `kv_rank + rope_dim` wide per token.

    Attributes:
        q_rank: width of the compressed query, None where queries are projected directly.
        kv_rank: width of the compressed key and value (cached).
        nope_dim: per-head query and key width without position.
        rope_dim: per-head query width with position; the key's is shared by all heads (cached).
    """

    q_rank: Count | None
    kv_rank: Count
    nope_dim: Count
    rope_dim: Count


class Attention(Record):
    """One attention block.

    Attributes:
        heads: query heads.
        kv_heads: key and value heads (GQA); 1 is MQA, `heads` is MHA.
        head_dim: width of one query and key head.
        value_dim: width of one value head.
        rope_dim: leading part of the head that is rotated; 0 without RoPE.
        window: number of latest positions that a query sees, itself included; None sees all.
        causal: queries see no later position.
        latent: set for MLA; then `head_dim` is `nope_dim + rope_dim`.
    """

    heads: Count
    kv_heads: Count
    head_dim: Count
    value_dim: Count
    rope_dim: Annotated[int, Field(ge=0)] = 0
    window: Count | None = None
    causal: bool = True
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: bool = False
    latent: Latent | None = None

    @model_validator(mode="after")
    def _heads_divide(self) -> Attention:
        if self.heads % self.kv_heads:
            raise ValueError(
                f"heads ({self.heads}) are not a multiple of kv_heads ({self.kv_heads}): "
                f"each key head serves the same number of query heads; try kv_heads = 1 or a divisor of {self.heads}"
            )
        if self.rope_dim > self.head_dim:
            raise ValueError(f"rope_dim ({self.rope_dim}) is wider than head_dim ({self.head_dim})")
        return self


class Mlp(Record):
    """A feed-forward block: `gated` has gate, up and down matrices, otherwise up and down."""

    intermediate: Count
    gated: bool
    activation: str
    bias: bool = False


class Moe(Record):
    """A mixture of experts: a router picks `active` of `experts` per token; `shared` runs for all tokens.

    `router_bias` is one trained number per expert (DeepSeek-V3's load correction).
    """

    experts: Count
    active: Count
    expert: Mlp
    shared: Mlp | None = None
    shared_gate: bool = False
    router_bias: bool = False

    @model_validator(mode="after")
    def _enough_experts(self) -> Moe:
        if self.active > self.experts:
            raise ValueError(f"active experts ({self.active}) exceed experts ({self.experts})")
        return self


class Layer(Record):
    """One Transformer layer.

    Attributes:
        attention: self-attention.
        cross_attention: attention to the encoder's output (encoder-decoder models).
        feed_forward: dense or mixture of experts.
        norm: kind of the norms.
        norm_bias: the norms add a trained bias.
        norms: norm operations per layer. 2: one before (or after) attention and one at the feed-forward;
            4: before and after both (Gemma-2); 1: parallel block that shares its norm (GPT-J, Falcon-7B);
            3: with a cross-attention between.
        parallel: attention and feed-forward read the same input and are added together.
        post_norm: the norms follow the residual additions instead of preceding the blocks (BERT, OPT-350M).
    """

    attention: Attention
    cross_attention: Attention | None = None
    feed_forward: Mlp | Moe
    norm: NormKind
    norm_bias: bool
    norms: Annotated[int, Field(ge=1, le=4)] = 2
    parallel: bool = False
    post_norm: bool = False


class Group(Record):
    """Layers that repeat in this order."""

    repeat: Count
    layers: tuple[Layer, ...] = Field(min_length=1)


class RopeScaling(Record):
    """Rotary frequencies of Llama 3.1, slowed down beyond the context that the model was first trained on.

    Wavelengths below `original_positions / high` stay, those above `original_positions / low` are `factor` times as
    long, and those between go over smoothly.
    """

    factor: Annotated[float, Field(ge=1)]
    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]
    original_positions: Count


class Values(Record):
    """What the numbers of a model depend on and its shapes do not; families that can be executed have it.

    Attributes:
        norm_epsilon: added to the mean square (RMS) or to the variance (LayerNorm).
        rope_theta: base of the rotary frequencies; 0 without RoPE.
        rope_scaling: how they are stretched; None where they are not, and linear scaling is `rope_factor`.
        rope_factor: positions are divided by it.
        position_offset: row of the position table that position 0 reads (OPT: 2).
        renormalize: the weights of a token's chosen experts are scaled to sum to 1.
    """

    norm_epsilon: Annotated[float, Field(gt=0)]
    rope_theta: Annotated[float, Field(ge=0)] = 0.0
    rope_scaling: RopeScaling | None = None
    rope_factor: Annotated[float, Field(ge=1)] = 1.0
    position_offset: Annotated[int, Field(ge=0)] = 0
    renormalize: bool = True


class Model(Sourced):
    """A Transformer.

    Attributes:
        family: the `model_type` of its configuration.
        hidden: width of the residual stream.
        vocabulary: rows of the token embedding.
        decoder: groups that generate tokens (or, encoder-only, nothing).
        encoder: groups that read the prompt of an encoder-decoder or encoder-only model.
        positions: how positions enter.
        position_rows: rows of a learned position table, else 0.
        relative_buckets: rows of a table of relative positions, one column per head; each stack has one (T5), else 0.
        token_types: rows of a segment table (BERT), else 0.
        embedding_dim: width of the embedding where it is not `hidden`; a matrix without bias
            then leads from it to `hidden`, and another back before lm_head (OPT-350M).
        embedding_norm: a norm follows the embedding (BLOOM, BERT).
        final_norm: a norm precedes lm_head.
        lm_head: maps to the vocabulary: with the embedding's weights ("tied"), its own, or not at all.
        lm_head_bias: lm_head adds a bias.
        pooler: a square layer on the first position (BERT).
        max_positions: context that the model was made for; None is unlimited.
        native_format: format of the published weights.
        parameters_published: the published parameter count, 0 if unknown.
        parameters_source: where that count comes from and whether it is exact or a headline figure.
        values: what its numbers depend on, None for families that are priced but not executed.
    """

    name: Name
    family: str
    hidden: Count
    vocabulary: Count
    decoder: tuple[Group, ...] = ()
    encoder: tuple[Group, ...] = ()
    positions: Positions
    position_rows: Annotated[int, Field(ge=0)] = 0
    relative_buckets: Annotated[int, Field(ge=0)] = 0
    token_types: Annotated[int, Field(ge=0)] = 0
    embedding_dim: Count | None = None
    embedding_norm: bool = False
    final_norm: bool = True
    norm: NormKind
    norm_bias: bool
    lm_head: Literal["tied", "own", "none"]
    lm_head_bias: bool = False
    pooler: bool = False
    max_positions: Count | None
    native_format: str
    parameters_published: Annotated[int, Field(ge=0)] = 0
    parameters_source: str = ""
    values: Values | None = None

    @model_validator(mode="after")
    def _has_a_stack(self) -> Model:
        if not self.decoder and not self.encoder:
            raise ValueError("a model needs an encoder or a decoder")
        return self

    @property
    def layers(self) -> int:
        """Layers of both stacks."""
        return sum(group.repeat * len(group.layers) for group in (*self.encoder, *self.decoder))

    @property
    def generates(self) -> bool:
        """Whether there is a decode phase; encoder-only models have none."""
        return bool(self.decoder)
