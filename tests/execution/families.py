"""Tiny models of every family that is executed: configurations, seeded weights, and their logits by plain numpy.

`logits` is written from the definition of the models, one token list at a time, without a cache, in float64: nothing of
the executor is used, so that both can be compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.spec.huggingface import read_config
from accelsim.spec.model import Model

Array = NDArray[Any]

_BASE = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 61, "intermediate_size": 48,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 1e4, "tie_word_embeddings": False,
}  # fmt: skip

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {**_BASE, "model_type": "llama", "num_key_value_heads": 4},
    "llama-gqa": {**_BASE, "model_type": "llama", "num_key_value_heads": 2, "tie_word_embeddings": True},
    "mistral-window": {**_BASE, "model_type": "mistral", "num_key_value_heads": 2, "sliding_window": 5},
    "mixtral": {
        **_BASE, "model_type": "mixtral", "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2,
    },
    "qwen2": {**_BASE, "model_type": "qwen2", "num_key_value_heads": 2},
    "qwen3": {**_BASE, "model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 16},
    "gpt2": {
        "model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 61,
        "activation_function": "gelu_new",
    },
    "opt": {
        "model_type": "opt", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 61,
        "ffn_dim": 48, "max_position_embeddings": 64, "word_embed_proj_dim": 32,
    },
}  # fmt: skip
"""By name of the test case."""


def model(name: str) -> Model:
    """The record of a configuration."""
    return read_config(CONFIGS[name], name=f"tiny-{name}", source="a test", status="assumed")


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Tensors of a checkpoint, [out, in] but for GPT-2's."""
    kind = config["model_type"]
    if kind == "gpt2":
        h = config["n_embd"]
        made: dict[str, tuple[int, ...]] = {"wte.weight": (config["vocab_size"], h), "wpe.weight": (64, h)}
        for i in range(config["n_layer"]):
            at = f"h.{i}."
            linear = {
                "attn.c_attn": (h, 3 * h),
                "attn.c_proj": (h, h),
                "mlp.c_fc": (h, 4 * h),
                "mlp.c_proj": (4 * h, h),
            }
            for name, shape in linear.items():
                made |= {f"{at}{name}.weight": shape, f"{at}{name}.bias": shape[1:]}
            made |= {f"{at}{n}.{p}": (h,) for n in ("ln_1", "ln_2") for p in ("weight", "bias")}
        return made | {"ln_f.weight": (h,), "ln_f.bias": (h,)}
    h, v = config["hidden_size"], config["vocab_size"]
    if kind == "opt":
        f, start = config["ffn_dim"], "model.decoder."
        made = {f"{start}embed_tokens.weight": (v, h), f"{start}embed_positions.weight": (66, h)}
        for i in range(config["num_hidden_layers"]):
            at = f"{start}layers.{i}."
            linear = {f"self_attn.{x}": (h, h) for x in ("q_proj", "k_proj", "v_proj", "out_proj")}
            for name, shape in {**linear, "fc1": (f, h), "fc2": (h, f)}.items():
                made |= {f"{at}{name}.weight": shape, f"{at}{name}.bias": shape[:1]}
            norms = ("self_attn_layer_norm", "final_layer_norm")
            made |= {f"{at}{n}.{p}": (h,) for n in norms for p in ("weight", "bias")}
        return made | {f"{start}final_layer_norm.{p}": (h,) for p in ("weight", "bias")}
    heads, kv, f = config["num_attention_heads"], config["num_key_value_heads"], config["intermediate_size"]
    d = config.get("head_dim", h // heads)
    made = {"model.embed_tokens.weight": (v, h), "model.norm.weight": (h,)}
    if not config["tie_word_embeddings"]:
        made["lm_head.weight"] = (v, h)
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        widths = {"q_proj": heads * d, "k_proj": kv * d, "v_proj": kv * d}
        made |= {f"{at}self_attn.{x}.weight": (n, h) for x, n in widths.items()}
        made[f"{at}self_attn.o_proj.weight"] = (h, heads * d)
        if kind == "qwen2":
            made |= {f"{at}self_attn.{x}.bias": (n,) for x, n in widths.items()}
        if kind == "qwen3":
            made |= {f"{at}self_attn.{x}_norm.weight": (d,) for x in "qk"}
        if kind == "mixtral":
            made[f"{at}block_sparse_moe.gate.weight"] = (config["num_local_experts"], h)
            for e in range(config["num_local_experts"]):
                expert = f"{at}block_sparse_moe.experts.{e}."
                made |= {f"{expert}w1.weight": (f, h), f"{expert}w3.weight": (f, h), f"{expert}w2.weight": (h, f)}
        else:
            made |= {f"{at}mlp.{x}_proj.weight": (f, h) for x in ("gate", "up")}
            made[f"{at}mlp.down_proj.weight"] = (h, f)
        made |= {f"{at}{n}.weight": (h,) for n in ("input_layernorm", "post_attention_layernorm")}
    return made


def weights(name: str, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Seeded tensors; gains are near 1, the rest is normal with a spread that keeps activations near 1."""
    random = np.random.default_rng(seed)
    made = {}
    for tensor, shape in _shapes(CONFIGS[name]).items():
        gain = tensor.endswith("norm.weight") or (".ln_" in f".{tensor}" and tensor.endswith("weight"))
        spread = 0.1 if len(shape) == 1 else 1.5 / np.sqrt(CONFIGS[name].get("hidden_size", 32))
        made[tensor] = (float(gain) + random.normal(scale=spread, size=shape)).astype(np.float32)
    return made


def tokens(name: str, count: int = 12, batch: int = 1, seed: int = 1) -> NDArray[np.int64]:
    """Seeded tokens, [batch, count]."""
    return np.random.default_rng(seed).integers(0, CONFIGS[name]["vocab_size"], size=(batch, count))


# the models by definition, in float64


def logits(name: str, given: dict[str, NDArray[np.float32]], fed: NDArray[np.int64]) -> Array:
    """[positions, vocabulary] for one list of tokens."""
    w = {key: value.astype(np.float64) for key, value in given.items()}
    config = CONFIGS[name]
    rule = {"gpt2": _gpt2, "opt": _opt}.get(config["model_type"], _llama)
    return rule(config, w, fed)


def _layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def _rms(x: Array, weight: Array) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * weight


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _attend(q: Array, k: Array, v: Array, window: int | None = None) -> Array:
    """[heads, positions, width] each."""
    n = q.shape[1]
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    seen = (j <= i) & (True if window is None else j > i - window)
    s = np.where(seen, q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2]), -np.inf)
    return (_softmax(s) @ v).transpose(1, 0, 2).reshape(n, -1)


def _heads(x: Array, heads: int) -> Array:
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def _rotate(x: Array, theta: float) -> Array:
    """[heads, positions, width]."""
    half = x.shape[2] // 2
    angle = np.arange(x.shape[1])[:, None] * theta ** (-np.arange(half) / half)
    c, s = np.cos(angle), np.sin(angle)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * c - second * s, second * c + first * s], axis=-1)


def _llama(config: dict[str, Any], w: dict[str, Array], fed: NDArray[np.int64]) -> Array:
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    x = w["model.embed_tokens.weight"][fed]
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        n = _rms(x, w[f"{at}input_layernorm.weight"])
        q, k, v = (
            n @ w[f"{at}self_attn.{p}_proj.weight"].T + w.get(f"{at}self_attn.{p}_proj.bias", 0.0) for p in "qkv"
        )
        q, k, v = _heads(q, heads), _heads(k, kv), _heads(v, kv)
        if f"{at}self_attn.q_norm.weight" in w:
            q, k = (_rms(y, w[f"{at}self_attn.{p}_norm.weight"]) for p, y in (("q", q), ("k", k)))
        q, k = _rotate(q, config["rope_theta"]), _rotate(k, config["rope_theta"])
        k, v = (np.repeat(y, heads // kv, axis=0) for y in (k, v))
        x = x + _attend(q, k, v, config.get("sliding_window")) @ w[f"{at}self_attn.o_proj.weight"].T
        n = _rms(x, w[f"{at}post_attention_layernorm.weight"])
        x = x + (_mixture(config, w, at, n) if "num_local_experts" in config else _gated(w, f"{at}mlp.", n))
    table = w["model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    return _rms(x, w["model.norm.weight"]) @ table.T


def _silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def _gated(w: dict[str, Array], at: str, n: Array) -> Array:
    inner = _silu(n @ w[f"{at}gate_proj.weight"].T) * (n @ w[f"{at}up_proj.weight"].T)
    return inner @ w[f"{at}down_proj.weight"].T


def _mixture(config: dict[str, Any], w: dict[str, Array], at: str, n: Array) -> Array:
    at += "block_sparse_moe."
    share = _softmax(n @ w[f"{at}gate.weight"].T)
    made = np.zeros_like(n)
    for row, p in enumerate(share):
        best = np.argsort(-p)[: config["num_experts_per_tok"]]
        for e in best:
            expert = f"{at}experts.{e}."
            inner = _silu(w[f"{expert}w1.weight"] @ n[row]) * (w[f"{expert}w3.weight"] @ n[row])
            made[row] += p[e] / p[best].sum() * (w[f"{expert}w2.weight"] @ inner)
    return made


def _gpt2(config: dict[str, Any], w: dict[str, Array], fed: NDArray[np.int64]) -> Array:
    x = w["wte.weight"][fed] + w["wpe.weight"][: len(fed)]
    for i in range(config["n_layer"]):
        at = f"h.{i}."
        n = _layer_norm(x, w[f"{at}ln_1.weight"], w[f"{at}ln_1.bias"])
        qkv = np.split(n @ w[f"{at}attn.c_attn.weight"] + w[f"{at}attn.c_attn.bias"], 3, axis=1)
        q, k, v = (_heads(y, config["n_head"]) for y in qkv)
        x = x + _attend(q, k, v) @ w[f"{at}attn.c_proj.weight"] + w[f"{at}attn.c_proj.bias"]
        n = _layer_norm(x, w[f"{at}ln_2.weight"], w[f"{at}ln_2.bias"])
        u = n @ w[f"{at}mlp.c_fc.weight"] + w[f"{at}mlp.c_fc.bias"]
        u = u / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3)))
        x = x + u @ w[f"{at}mlp.c_proj.weight"] + w[f"{at}mlp.c_proj.bias"]
    return _layer_norm(x, w["ln_f.weight"], w["ln_f.bias"]) @ w["wte.weight"].T


def _opt(config: dict[str, Any], w: dict[str, Array], fed: NDArray[np.int64]) -> Array:
    start = "model.decoder."
    x = w[f"{start}embed_tokens.weight"][fed] + w[f"{start}embed_positions.weight"][2 : len(fed) + 2]

    def linear(y: Array, name: str) -> Array:
        return y @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(y: Array, name: str) -> Array:
        return _layer_norm(y, w[f"{name}.weight"], w[f"{name}.bias"])

    for i in range(config["num_hidden_layers"]):
        at = f"{start}layers.{i}."
        n = norm(x, f"{at}self_attn_layer_norm")
        q, k, v = (_heads(linear(n, f"{at}self_attn.{p}_proj"), config["num_attention_heads"]) for p in "qkv")
        x = x + linear(_attend(q, k, v), f"{at}self_attn.out_proj")
        n = norm(x, f"{at}final_layer_norm")
        x = x + linear(np.maximum(linear(n, f"{at}fc1"), 0), f"{at}fc2")
    return norm(x, f"{start}final_layer_norm") @ w[f"{start}embed_tokens.weight"].T
