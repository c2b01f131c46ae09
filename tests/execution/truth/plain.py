"""The forward pass as its formulas say, in binary64 and with all positions at once: nothing of the package's own.

Llama, Mistral, Qwen2, Qwen3 and Mixtral, GPT-2 and OPT, with their weights under the names of their checkpoints.
`watch(name, x)` sees the input of every linear layer and may replace it, and `cached` the keys and values
[..., heads, tokens, head_dim] of Llama's kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Watch = Callable[[str, Array], Array]


def forward(
    config: Mapping[str, Any],
    weights: Mapping[str, Array],
    tokens: Sequence[int] | Array,
    watch: Watch = lambda name, x: x,
    dtype: Any = np.float64,
    cached: Watch = lambda name, x: x,
) -> Array:
    """[..., tokens, vocabulary] logits of [..., tokens]."""
    held = {name: np.asarray(value, dtype) for name, value in weights.items()}
    if config["model_type"] in ("gpt2", "opt"):
        return (_gpt2 if config["model_type"] == "gpt2" else _opt)(config, held, np.asarray(tokens), watch)
    return _llama(config, held, np.asarray(tokens), watch, cached)


def _llama(config: Mapping[str, Any], w: Mapping[str, Array], tokens: Array, watch: Watch, cached: Watch) -> Array:
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    dim = config.get("head_dim") or config["hidden_size"] // heads
    eps = config["rms_norm_eps"]
    x = w["model.embed_tokens.weight"][tokens]
    angle = _angles(tokens.shape[-1], dim, config["rope_theta"])
    for i in range(config["num_hidden_layers"]):
        base = f"model.layers.{i}."
        a = f"{base}self_attn."
        h = _rms(x, w[base + "input_layernorm.weight"], eps)
        q, k, v = (_heads(_linear(w, f"{a}{p}_proj", h, watch), n) for p, n in (("q", heads), ("k", kv), ("v", kv)))
        if a + "q_norm.weight" in w:
            q, k = _rms(q, w[a + "q_norm.weight"], eps), _rms(k, w[a + "k_norm.weight"], eps)
        k, v = cached(a + "keys", _rotate(k, angle)), cached(a + "values", v)
        mixed = _attend(_rotate(q, angle), k, v, config.get("sliding_window"))
        x = x + _linear(w, a + "o_proj", mixed, watch)
        h = _rms(x, w[base + "post_attention_layernorm.weight"], eps)
        x = x + (_experts(config, w, base, h, watch) if "num_local_experts" in config else _swiglu(w, base, h, watch))
    x = _rms(x, w["model.norm.weight"], eps)
    return x @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T


def _swiglu(w: Mapping[str, Array], base: str, h: Array, watch: Watch, names: str = "mlp.{}_proj") -> Array:
    gate, up = (_linear(w, base + names.format(part), h, watch) for part in ("gate", "up"))
    return _linear(w, base + names.format("down"), gate / (1 + np.exp(-gate)) * up, watch)


def _experts(config: Mapping[str, Any], w: Mapping[str, Array], base: str, h: Array, watch: Watch) -> Array:
    score = _linear(w, base + "block_sparse_moe.gate", h, watch)
    chosen = np.argsort(-score, axis=-1, kind="stable")[..., : config["num_experts_per_tok"]]
    share = _softmax(np.take_along_axis(score, chosen, -1))
    out = np.zeros_like(h)
    for expert in range(config["num_local_experts"]):
        own = f"{base}block_sparse_moe.experts.{expert}."
        named = {
            own + new + ".weight": w[own + old + ".weight"]
            for new, old in zip(("gate", "up", "down"), ("w1", "w3", "w2"), strict=True)
        }
        made = _swiglu(named, own, h, watch, "{}")
        out += made * (share * (chosen == expert)).sum(-1, keepdims=True)
    return out


def _gpt2(config: Mapping[str, Any], w: Mapping[str, Array], tokens: Array, watch: Watch) -> Array:
    eps, heads = config["layer_norm_epsilon"], config["n_head"]
    x = w["transformer.wte.weight"][tokens] + w["transformer.wpe.weight"][: tokens.shape[-1]]
    for i in range(config["n_layer"]):
        base = f"transformer.h.{i}."
        h = _linear(w, base + "attn.c_attn", _layer_norm(w, base + "ln_1", x, eps), watch, turned=True)
        q, k, v = (_heads(part, heads) for part in np.split(h, 3, axis=-1))
        x = x + _linear(w, base + "attn.c_proj", _attend(q, k, v, None), watch, turned=True)
        h = _linear(w, base + "mlp.c_fc", _layer_norm(w, base + "ln_2", x, eps), watch, turned=True)
        h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        x = x + _linear(w, base + "mlp.c_proj", h, watch, turned=True)
    return _layer_norm(w, "transformer.ln_f", x, eps) @ w["transformer.wte.weight"].T


def _opt(config: Mapping[str, Any], w: Mapping[str, Array], tokens: Array, watch: Watch) -> Array:
    root, heads = "model.decoder.", config["num_attention_heads"]
    x = w[root + "embed_tokens.weight"][tokens] + w[root + "embed_positions.weight"][2 : 2 + tokens.shape[-1]]
    for i in range(config["num_hidden_layers"]):
        base = f"{root}layers.{i}."
        h = _layer_norm(w, base + "self_attn_layer_norm", x, 1e-5)
        q, k, v = (_heads(_linear(w, f"{base}self_attn.{p}_proj", h, watch), heads) for p in "qkv")
        x = x + _linear(w, base + "self_attn.out_proj", _attend(q, k, v, None), watch)
        h = _linear(w, base + "fc1", _layer_norm(w, base + "final_layer_norm", x, 1e-5), watch)
        x = x + _linear(w, base + "fc2", np.maximum(h, 0), watch)
    return _layer_norm(w, root + "final_layer_norm", x, 1e-5) @ w[root + "embed_tokens.weight"].T


def _linear(w: Mapping[str, Array], name: str, x: Array, watch: Watch, *, turned: bool = False) -> Array:
    weight = w[name + ".weight"]
    made = watch(name, x) @ (weight if turned else weight.T)
    return made + w[name + ".bias"] if name + ".bias" in w else made


def _rms(x: Array, gain: Array, eps: float) -> Array:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + x.dtype.type(eps)) * gain


def _layer_norm(w: Mapping[str, Array], name: str, x: Array, eps: float) -> Array:
    middle = x - x.mean(-1, keepdims=True)
    return middle / np.sqrt((middle * middle).mean(-1, keepdims=True) + eps) * w[name + ".weight"] + w[name + ".bias"]


def _heads(x: Array, heads: int) -> Array:
    """[..., tokens, heads dim] -> [..., heads, tokens, dim]."""
    return x.reshape(*x.shape[:-1], heads, -1).swapaxes(-2, -3)


def _angles(length: int, dim: int, theta: float) -> Array:
    return np.outer(np.arange(length), theta ** -(np.arange(0, dim, 2) / dim))


def _rotate(x: Array, angle: Array) -> Array:
    cosine, sine = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate((first * cosine - second * sine, second * cosine + first * sine), axis=-1)


def _attend(q: Array, k: Array, v: Array, window: int | None) -> Array:
    groups = q.shape[-3] // k.shape[-3]
    k, v = k.repeat(groups, axis=-3), v.repeat(groups, axis=-3)
    ahead = np.arange(q.shape[-2])[:, None] - np.arange(k.shape[-2])
    hidden = (ahead < 0) | (ahead >= window if window else False)
    score = np.where(hidden, -np.inf, q @ k.swapaxes(-1, -2) / _root(q))
    mixed = _softmax(score) @ v
    return mixed.swapaxes(-2, -3).reshape(*mixed.shape[:-3], mixed.shape[-2], -1)


def _root(q: Array) -> Any:
    """The square root of a head's width, in the dtype of the heads."""
    return q.dtype.type(math.sqrt(q.shape[-1]))


def _softmax(x: Array) -> Array:
    grown = np.exp(x - x.max(-1, keepdims=True))
    return grown / grown.sum(-1, keepdims=True)
