"""The KV cache of Llama-2-7B: 512 KiB for a token, 2 GiB for 4,096 of them.

The example of NVIDIA's note "Mastering LLM Techniques: Inference Optimization", which multiplies 2 tensors x 32 layers
x 4,096 wide x 2 B by 4,096 tokens. Varied: context. Held fixed: batch 1, 16 bits, an A6000, once as the survey's tool
counts and once corrected. The two agree on the cache of a prompt; where it passes the weights is the turn.

    python sweeps/survey/kv_cache.py [--out FOLDER]
"""

from __future__ import annotations

import sys

import experiment
import pandas as pd
from matplotlib.figure import Figure

import accelsim

CONTEXTS = (1, 1024, 2048, 4096, 8192, 16_384, 24_576, 24_832, 25_600, 26_624, 32_768)
KIB = 1024


def frame() -> pd.DataFrame:
    """A row per convention and context."""
    rows = []
    for context in CONTEXTS:
        ours = accelsim.simulate(
            "llama-2-7b", "a6000", prompt=context, generate=2, fidelity="roofline",
            weights="fp16", activations="fp16", kv_cache="fp16",
        )  # fmt: skip
        for name, run in (("llm-viewer", experiment.viewer("llama-2-7b", prompt=context)), ("corrected", ours)):
            memory = experiment.phase(run, "prefill")
            columns = ("weights_bytes", "kv_cache_bytes", "activations_bytes")
            rows.append({"convention": name, "context": context} | {key: memory[key] for key in columns})
    return pd.DataFrame(rows)


def checks(found: pd.DataFrame) -> list[experiment.Check]:
    """Bytes of 1, 1,024 and 4,096 tokens in both conventions, and where the cache passes the weights."""
    place = "its formula for the size of a KV cache"
    result = []
    for name, rows in found.groupby("convention"):
        cache = rows.set_index("context")["kv_cache_bytes"]
        for context, kib in ((1, 512), (1024, 512 * KIB), (4096, 2 * KIB * KIB)):
            what = f"{name}: cache of {context:,} tokens, KiB"
            result.append(experiment.near(what, cache[context] / KIB, kib, 1e-9, "stated", place))
        passed = experiment.first(
            (row["context"], row["kv_cache_bytes"] > row["weights_bytes"]) for row in rows.to_dict("records")
        )
        low, high = (24_577, 24_832) if name == "llm-viewer" else (25_601, 26_624)
        what = f"{name}: first context with more cache than weights"
        result.append(experiment.within(what, passed, low, high, "turn", "weights / 512 KiB"))
    return result


def picture(found: pd.DataFrame) -> Figure:
    """Cache and weights over the context."""
    with experiment.drawn("KV cache of Llama-2-7B, batch 1, fp16: 512 KiB for each token") as made:
        axes = made.subplots()
        rows = found[found["convention"] == "corrected"]
        axes.plot(rows["context"], rows["kv_cache_bytes"] / 2**30, lw=2, label="KV cache")
        for name, style in (("corrected", "-"), ("llm-viewer", "--")):
            weights = found[found["convention"] == name]["weights_bytes"].iloc[0] / 2**30
            axes.axhline(weights, color="#D55E00", ls=style, label=f"weights, {name}: {weights:.2f} GiB")
        axes.set_xlabel("context, tokens")
        axes.set_ylabel("memory, GiB")
        axes.set_xlim(0, None)
        axes.set_ylim(0, None)
        axes.legend()
    return made


if __name__ == "__main__":
    experiment.main(sys.modules[__name__])
