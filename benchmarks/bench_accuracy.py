"""Executing a model: CPU seconds on one core, and the memory that it takes, each run in a process of its own.

`tiny` judges the shipped model on 4,096 tokens in one format, the float64 reference included. `layer` executes one
layer of llama-2-7b's dimensions (202 M weights, a vocabulary of 256) on 128 tokens; its weights are synthetic, and are
made within the time that is given. Kernels are compiled before. Memory is what the resident set grows by while a model
is executed, over packed weights and the float32 operands and results of the two largest operators.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.row import Row

ROOT: Final = Path(__file__).resolve().parents[1]
THREADS: Final = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
TOKENS: Final = 128

TINY: Final[dict[tuple[str, str], float]] = {
    ("mxfp4", "exact"): 10, ("mxfp4", "fp32"): 10, ("fp8_e4m3/fp8_e4m3", "hopper-fp8"): 10, ("mxfp4", "h100-sxm"): 10,
    ("fp16/fp16", "hbm-pim-fp16"): 10, ("bf16", "aim-bf16"): 10, ("posit8/posit8/posit8", "quire8"): 60,
    ("posit16/posit16/posit16", "quire16"): 60,
}  # fmt: skip
"""Formats and arithmetic, and the seconds that are allowed."""

NARROW: Final = (
    "int8_channel", "fp8_e4m3", "fp6_e2m3", "mxfp8_e4m3", "mxfp4", "nvfp4", "int4_g128", "posit8_channel",
    "flint4_channel", "nf4_b64", "olive4", "gguf_q4_0",
)  # fmt: skip
SEVERAL: Final = ("mxfp4", "fp8_e4m3/fp8_e4m3", "int8_channel/int8_channel", "posit8_channel")
LAYER: Final[dict[tuple[str, str], float | None]] = {
    **{(name, "exact"): 30.0 for name in NARROW},
    **{(name, how): 30.0 for how in ("fp32", "hopper-fp8", "h100-sxm") for name in SEVERAL},
    ("bf16", "exact"): None, ("bf16", "h100-sxm"): None, ("fp16", "hopper-fp16"): None,
    ("posit8/posit8", "quire8"): None, ("fp16/fp16", "hbm-pim-fp16"): None, ("bf16", "aim-bf16"): None,
}  # fmt: skip
"""Formats and arithmetic of a layer; at most eight bits have a target."""


def child(kind: str, formats: str, arithmetic: str) -> dict[str, float]:
    """One measurement in a process of its own, on one core."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_accuracy", kind, formats, arithmetic],
        cwd=ROOT, env={**os.environ, **THREADS}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> list[Row]:
    """All measurements."""
    rows = []
    for kind, cases in (("tiny", TINY), ("layer", LAYER)):
        for (formats, arithmetic), target in cases.items():
            found = child(kind, formats, arithmetic)
            name = f"{kind}, {formats}, {arithmetic}"
            rows.append(Row(name, found["seconds"], "s CPU", target))
            said = f"{name}: {found['grown'] / 2**20:,.0f} MiB of {found['bound'] / 2**20:,.0f}"
            rows.append(Row(said, found["grown"] / found["bound"], "of the bound", 1.0 if kind == "layer" else None))
    rows.append(Row("synthetic weights of the layer", child("made", "bf16", "fp32")["seconds"], "s CPU"))
    return rows


def _layer(folder: str, hidden: int = 4096, inner: int = 11008) -> Any:
    """One layer of llama-2-7b, or a smaller one."""
    from accelsim import catalog

    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": hidden, "num_hidden_layers": 1,
        "intermediate_size": inner, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 256,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu", "torch_dtype": "bfloat16",
        "tie_word_embeddings": False,
    }  # fmt: skip
    path = Path(folder) / str(hidden) / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(config), encoding="utf-8")
    return catalog.model(path)


def _executed(model: Any, weights: Any, formats: str, arithmetic: str, tokens: Any) -> float:
    """Run a model; bytes that are allowed."""
    from accelsim.accuracy.combinations import combination
    from accelsim.execution.executor import Executor
    from accelsim.execution.run import executor
    from accelsim.execution.weights import Weights

    asked, held = combination(formats), Weights(model, weights)
    how = {"on": arithmetic} if "-sxm" in arithmetic else {"numerics": arithmetic}
    made: Executor = executor(
        model, held, weights_format=asked.weights, activations_format=asked.activations,
        kv_cache_format=asked.kv_cache, **how,
    )  # fmt: skip
    made.start(tokens)
    graph = made.prefill_graph(*tokens.shape)
    sizes = sorted(sum(4 * _elements(tensor) for tensor in (*op.inputs, *op.outputs)) for _, op in graph)
    return held.packed_bytes + sizes[-1] + sizes[-2]


def _elements(tensor: Any) -> int:
    count = 1
    for n in tensor.shape:
        count *= int(n)
    return count


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _measure(kind: str, formats: str, arithmetic: str) -> dict[str, float]:
    import numpy as np

    from accelsim import catalog
    from accelsim.accuracy.run import accuracy
    from accelsim.weights import synthetic
    from accelsim.weights.shipped import shipped, text

    if kind == "tiny":
        model, weights = catalog.model("tiny-llama"), shipped()
        tokens = np.frombuffer(text("calibration")[:1024], np.uint8).astype(np.int64).reshape(4, 256)
        _executed(model, weights, formats, arithmetic, tokens[:1, :64])
        before = _peak_bytes()
        bound = _executed(model, weights, formats, arithmetic, tokens)
        grown = _peak_bytes() - before
        how = {"on": arithmetic} if "-sxm" in arithmetic else {"numerics": arithmetic}
        since = time.process_time()
        accuracy("tiny-llama", formats, limit=4096, **how)
        return {"seconds": time.process_time() - since, "grown": grown, "bound": bound}
    with tempfile.TemporaryDirectory() as folder:
        small, model = _layer(folder, 128, 256), _layer(folder)
        tokens = np.arange(TOKENS)[None]
        _executed(small, synthetic(small), formats, arithmetic, tokens)
        weights = synthetic(model)
        if kind == "made":
            since = time.process_time()
            for name in weights:
                weights[name]
            return {"seconds": time.process_time() - since, "grown": 0.0, "bound": 1.0}
        before, since = _peak_bytes(), time.process_time()
        bound = _executed(model, weights, formats, arithmetic, tokens)
        return {"seconds": time.process_time() - since, "grown": _peak_bytes() - before, "bound": bound}


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(json.dumps(_measure(*sys.argv[1:])))
