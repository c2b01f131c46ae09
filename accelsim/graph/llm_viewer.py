"""What LLM-Viewer counts: operations and bytes of every operator, by its own rules.

The `llm-viewer` counting convention reproduces hahnyuan/LLM-Viewer at 472f71f (the tool behind Table 1 of
the survey arXiv 2402.16363), its defects included, so that published figures can be compared. The
`corrected` convention of `accelsim.graph` is the one to believe; `docs/counting.md` lists the differences.

Batch, length and bits may be numbers or numpy arrays that broadcast: everything below is arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from accelsim.errors import RequestError
from accelsim.graph.numbers import Number, minimum
from accelsim.spec.model import Layer, Mlp, Model

Phase = Literal["prefill", "decode"]

_SOFTMAX_OPS: Final = 5.0  # maximum, subtract, exp, sum, divide
_NORM_OPS: Final = 7.0  # sum, subtract, square, sum, divide, multiply, add
_ACTIVATION_OPS: Final = 2.0


@dataclass(frozen=True, slots=True)
class OperatorCount:
    """One operator of one layer.

    Attributes:
        name: the tool's name.
        count: times that it runs in the phase: the number of layers, or 1 for lm_head.
        ops: operations of one run; a multiply-add is two.
        load_weight_bytes: weights read in one run.
        load_act_bytes: activations read.
        store_act_bytes: activations written.
        load_kv_cache_bytes: keys and values read from the cache.
        store_kv_cache_bytes: keys and values appended to the cache.
    """

    name: str
    count: int
    ops: Number
    load_weight_bytes: Number = 0.0
    load_act_bytes: Number = 0.0
    store_act_bytes: Number = 0.0
    load_kv_cache_bytes: Number = 0.0
    store_kv_cache_bytes: Number = 0.0

    @property
    def bytes(self) -> Number:
        """All memory traffic of one run."""
        return (
            self.load_weight_bytes
            + self.load_act_bytes
            + self.store_act_bytes
            + self.load_kv_cache_bytes
            + self.store_kv_cache_bytes
        )


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory that the tool reports. Embedding, lm_head and the token just generated are not in it.

    Attributes:
        weight_bytes: weights of all layers.
        kv_cache_bytes: keys and values of `length` positions, all layers.
        act_bytes: outputs of all operators of one layer, as if none was ever freed.
    """

    weight_bytes: Number
    kv_cache_bytes: Number
    act_bytes: Number

    @property
    def bytes(self) -> Number:
        """The tool's memory consumption."""
        return self.act_bytes + (self.weight_bytes + self.kv_cache_bytes)


@dataclass(frozen=True, slots=True)
class Counts:
    """The operators of a phase in the tool's order, lm_head last, and the memory that it takes."""

    operators: tuple[OperatorCount, ...]
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the tool reads from a model's configuration."""

    layers: int
    hidden: float
    heads: float
    kv_heads: float
    head_dim: float
    intermediate: float
    vocabulary: float
    gated: bool
    norms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Attention:
    """Sequences, query positions and key positions."""

    batch: Number
    queries: Number
    length: Number


def count(
    model: Model,
    phase: Phase,
    *,
    batch: Number,
    length: Number,
    weight_bits: Number,
    activation_bits: Number,
    kv_bits: Number,
    flash: bool = False,
    onchip_bytes: float,
) -> Counts:
    """Operations and bytes of one prefill, or of one decode step.

    Args:
        model: a decoder whose layers are all alike and whose feed-forward is dense.
        phase: "prefill" reads `length` tokens; "decode" makes one token over a KV cache of `length`.
        batch: sequences.
        length: prompt length (prefill) or positions in the KV cache (decode).
        weight_bits: bits of one weight; scales of block formats are not counted.
        activation_bits: bits of one activation.
        kv_bits: bits of one element of the KV cache.
        flash: one fused attention operator in place of QK, softmax and SV.
        onchip_bytes: on-chip storage of the chip; it bounds the rows of a FlashAttention block.

    Raises:
        RequestError: a model that the tool has no rules for, an unknown phase, or a size that is not positive.
    """
    if phase not in ("prefill", "decode"):
        raise RequestError(f"phase = {phase!r}: the llm-viewer convention counts 'prefill' and 'decode'")
    shape = _shape(model)
    batch, length = _sizes("batch", batch), _sizes("length", length)
    weight = _sizes("weight_bits", weight_bits) / 8.0
    act = _sizes("activation_bits", activation_bits) / 8.0
    kv = _sizes("kv_bits", kv_bits) / 8.0
    work = _Attention(batch, queries=length if phase == "prefill" else 1.0, length=length)
    tokens = batch * work.queries

    linears = _linears(shape, tokens, weight, act, kv)
    if flash:
        attention = _fused_attention(shape, work, act, kv, onchip_bytes)
    else:
        # defect 4: a prefill reads Q as wide as the key heads
        attention = _attention(shape, work, shape.kv_heads if phase == "prefill" else shape.heads, act, kv)
    layer = [*linears, *attention, *_elementwise(shape, tokens, act)]
    # the tool takes weights and KV cache from the prefill of `length` tokens in both phases
    prefill = linears if phase == "prefill" else _linears(shape, batch * length, weight, act, kv)
    footprint = Footprint(
        weight_bytes=_total([row.load_weight_bytes * shape.layers for row in prefill]),
        kv_cache_bytes=_total([row.store_kv_cache_bytes * shape.layers for row in prefill]),
        act_bytes=_total([row.store_act_bytes for row in layer]),
    )
    return Counts((*layer, _lm_head(shape, batch, weight, act)), footprint)


def _linears(shape: _Shape, tokens: Number, weight: Number, act: Number, kv: Number) -> list[OperatorCount]:
    kv_width = shape.hidden * shape.kv_heads / shape.heads
    matrices = [
        ("q_proj", shape.hidden, shape.hidden),
        ("k_proj", shape.hidden, kv_width),
        ("v_proj", shape.hidden, kv_width),
        ("out_proj", shape.hidden, shape.hidden),
        ("gate_proj", shape.hidden, shape.intermediate),
        ("up_proj", shape.hidden, shape.intermediate),
        ("down_proj", shape.intermediate, shape.hidden),
    ]
    rows = []
    for name, inputs, outputs in matrices:
        if name == "gate_proj" and not shape.gated:
            continue
        cached = name in ("k_proj", "v_proj")
        rows.append(
            OperatorCount(
                name,
                shape.layers,
                ops=inputs * outputs * tokens * 2.0,
                load_weight_bytes=inputs * outputs * weight,
                load_act_bytes=inputs * tokens * act,
                store_act_bytes=0.0 if cached else outputs * tokens * act,
                store_kv_cache_bytes=outputs * tokens * kv if cached else 0.0,
            )
        )
    return rows


def _attention(shape: _Shape, work: _Attention, query_heads: float, act: Number, kv: Number) -> list[OperatorCount]:
    scores = work.queries * work.length * shape.heads * work.batch
    output = work.queries * shape.head_dim * shape.heads * work.batch
    cache = work.length * shape.head_dim * work.batch * shape.kv_heads * kv
    return [
        OperatorCount(
            "qk_matmul",
            shape.layers,
            ops=scores * shape.head_dim * 2.0,
            load_act_bytes=work.queries * shape.head_dim * work.batch * query_heads * act,
            store_act_bytes=scores * act,
            load_kv_cache_bytes=cache,
        ),
        OperatorCount(
            "sv_matmul",
            shape.layers,
            ops=scores * shape.head_dim * 2.0,
            load_act_bytes=scores * act,
            store_act_bytes=output * act,
            load_kv_cache_bytes=cache,
        ),
        OperatorCount(
            "softmax",
            shape.layers,
            ops=scores * _SOFTMAX_OPS,
            load_act_bytes=scores * act,
            store_act_bytes=scores * act,
        ),
    ]


def _fused_attention(
    shape: _Shape, work: _Attention, act: Number, kv: Number, onchip_bytes: float
) -> list[OperatorCount]:
    scores = work.queries * work.length * shape.heads * work.batch
    block_rows = minimum(_ceil(onchip_bytes / (kv * shape.head_dim)), shape.head_dim)
    blocks = _ceil(work.queries / block_rows)
    return [
        OperatorCount(
            "fused_attention",
            shape.layers,
            ops=scores * (shape.head_dim * 4.0 + _SOFTMAX_OPS),
            load_act_bytes=work.queries * shape.head_dim * work.batch * shape.heads * act,
            # defect 5: the output is taken as wide as the scores, and written twice
            store_act_bytes=scores * act * 2.0,
            # defect 6: K and V are read once per query head, shared or not
            load_kv_cache_bytes=blocks * work.length * shape.head_dim * work.batch * shape.heads * kv * 2.0,
        )
    ]


def _elementwise(shape: _Shape, tokens: Number, act: Number) -> list[OperatorCount]:
    row = tokens * shape.hidden
    norms = [OperatorCount(name, shape.layers, row * _NORM_OPS, 0.0, row * act, row * act) for name in shape.norms]
    # defect 3: an addition reads one of its operands
    adds = [OperatorCount(name, shape.layers, row, 0.0, row * act, row * act) for name in ("attn_add", "mlp_add")]
    # defect 2: the activation is as wide as the residual stream, not as the feed-forward
    activation = OperatorCount("mlp_act", shape.layers, row * _ACTIVATION_OPS, 0.0, row * act * 2.0, row * act)
    return [*norms, *adds, activation]


def _lm_head(shape: _Shape, batch: Number, weight: Number, act: Number) -> OperatorCount:
    # defect 1: one operation per multiply-add, and the activations of one sequence only
    return OperatorCount(
        "lm_head",
        1,
        ops=batch * shape.hidden * shape.vocabulary,
        load_weight_bytes=shape.hidden * shape.vocabulary * weight,
        load_act_bytes=shape.hidden * act,
        store_act_bytes=shape.vocabulary * act,
    )


def _shape(model: Model) -> _Shape:
    if model.encoder:
        raise _unsupported(model, "has an encoder", "decoder-only models")
    if model.lm_head == "none":
        raise _unsupported(model, "has no lm_head", "models that generate tokens")
    layers = [layer for group in model.decoder for layer in group.layers]
    if any(layer != layers[0] for layer in layers):
        raise _unsupported(model, "has layers of more than one kind", "models whose layers are all alike")
    mlp = _dense(model, layers[0])
    attention = layers[0].attention
    return _Shape(
        layers=model.layers,
        hidden=float(model.hidden),
        heads=float(attention.heads),
        kv_heads=float(attention.kv_heads),
        # defect 11: an explicit head width is not looked at, so the projections are hidden x hidden
        head_dim=float(model.hidden // attention.heads),
        intermediate=float(mlp.intermediate),
        vocabulary=float(model.vocabulary),
        # defect 12: OPT is given a gate matrix that it does not have
        gated=mlp.gated or model.family == "opt",
        norms=("attn_norm",) if layers[0].norms == 1 else ("attn_norm", "mlp_norm"),
    )


def _dense(model: Model, layer: Layer) -> Mlp:
    """The feed-forward block, if the tool has rules for such a layer."""
    if not isinstance(layer.feed_forward, Mlp):
        raise _unsupported(model, "has a mixture of experts", "models with one dense feed-forward block")
    if layer.attention.latent is not None:
        raise _unsupported(model, "has multi-head latent attention", "multi-head, multi-query and grouped attention")
    if layer.cross_attention is not None:
        raise _unsupported(model, "has cross-attention", "decoder-only models")
    if layer.norms > 2:
        raise _unsupported(model, f"has {layer.norms} norms per layer", "one or two norms per layer")
    return layer.feed_forward


def _unsupported(model: Model, what: str, allowed: str) -> RequestError:
    return RequestError(
        f"model {model.name!r} {what}: the llm-viewer convention covers {allowed}; "
        "try convention = 'corrected', which counts every model"
    )


def _sizes(name: str, value: Number) -> Number:
    """As floating point, in which no product of sizes overflows."""
    if np.any(value <= 0):
        raise RequestError(f"{name} = {np.min(value)}: must be positive")
    return value.astype(np.float64) if isinstance(value, np.ndarray) else float(value)


def _ceil(value: Number) -> Number:
    return np.ceil(value) if isinstance(value, np.ndarray) else float(math.ceil(value))


def _total(values: list[Number]) -> Number:
    total: Number = 0.0
    for value in values:
        total = total + value
    return total
