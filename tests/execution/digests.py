"""Digests of logits, as JSON: `python -m tests.execution.digests`."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import accelsim
from tests.execution.families import model, tokens, weights

_FP8: Final = {"activations_format": "fp8_e4m3", "kv_cache_format": "fp8_e4m3"}

RUNS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "fp64": ("qwen3", {"numerics": "fp64"}),
    "fp32 in tiles": ("opt", {"numerics": "fp32", "tile": 4}),
    "exact experts": ("mixtral", {"numerics": "exact", "weights_format": "int4_g32"}),
    "a GPU": ("llama-gqa", {"on": "h100-sxm", "weights_format": "mxfp4", **_FP8}),
    "a GPU in blocks": ("mistral-window", {"on": "b200-sxm", "weights_format": "nvfp4", **_FP8}),
    "memories that compute": ("llama", {"on": "gddr6-aim-32ch"}),
    "an overlay with a table": ("gpt2", {"on": "dfx-u280-1"}),
    "tiles that share a depth": ("gpt2", {"on": "ipu-mk2-8"}),
    "chips that share a depth": ("qwen2", {"on": "groq-lpu-8"}),
}  # fmt: skip
"""By what they show: a family, and settings of `accelsim.execute`."""


def digests() -> dict[str, str]:
    """SHA-256 of the logits of a prompt, of decode steps and of tokens that follow."""
    made = {}
    for what, (name, settings) in RUNS.items():
        found = accelsim.execute(
            model(name), weights(name), tokens(name, 20, batch=2), prefill=17, generate=2, **settings
        )
        assert found.infeasible is None
        made[what] = hashlib.sha256(found.logits.tobytes() + found.tokens.tobytes()).hexdigest()
    return made


if __name__ == "__main__":
    print(json.dumps(digests(), indent=1))  # noqa: T201  # what it is for
