"""Recompute `truth.npz`: the logits of the transformers library for the models and weights of `cases.py`.

    python -m tests.execution.truth.make_truth

Needs torch and transformers. For each case: the greedy tokens, and the logits of the prompt and of eight decode steps
with a cache, in binary32. Attention and experts are the library's plain ones ("eager").
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.execution.truth import cases

FILE = Path(__file__).with_name("truth.npz")


def logits(name: str) -> tuple[list[int], NDArray[Any]]:
    """The greedy tokens, and [PROMPT + STEPS, vocabulary] logits, of transformers."""
    import torch
    from safetensors.numpy import save_file
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        # through a checkpoint, so that the names and layouts of `accelsim.weights.expected` are put to the test
        config = {**cases.CONFIGS[name], "dtype": "float32"}
        Path(folder, "config.json").write_text(json.dumps(config), encoding="utf-8")
        save_file(cases.weights(name), Path(folder, "model.safetensors"), metadata={"format": "pt"})
        plain = {"attn_implementation": "eager", "experts_implementation": "eager"}
        network, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True, **plain
        )
    unloaded = {key: report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if report[key]}
    if unloaded:
        raise SystemExit(f"{name}: {unloaded}")
    network.eval()
    rows, chosen, cache = [], [], None
    given = torch.tensor([cases.tokens(name)])
    with torch.no_grad():
        for _ in range(1 + cases.STEPS):
            out = network(given, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            rows.append(out.logits[0].numpy())
            given = out.logits[:, -1:].argmax(dim=-1)
            chosen.append(int(given))
    return chosen, np.concatenate(rows)


def main() -> None:
    """Write the file."""
    made: dict[str, NDArray[Any]] = {}
    for name in cases.CONFIGS:
        chosen, found = logits(name)
        best = np.sort(found[cases.PROMPT - 1 :])[:, -2:]
        if (np.diff(best) < 1e-3 * np.abs(found).max()).any():
            raise SystemExit(f"{name}: two tokens are nearly as good, so that rounding decides: take other weights")
        made |= {f"{name}/tokens": np.array(chosen), f"{name}/logits": found}
    np.savez_compressed(FILE, **made)


if __name__ == "__main__":
    main()
