"""Graphs of models that only transformers knows: one pass without weights, recorded call by call.

The builder (`accelsim.graph.build`) needs no torch and knows some twenty families. The tracer checks it and
brings in other decoders; it needs the extra `trace`. Models run on torch's meta device, where tensors have
shapes and no content, so that no weights are downloaded or allocated.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.graph.attention import Formats
from accelsim.graph.operator import Graph
from accelsim.graph.routing import Routing
from accelsim.spec import files
from accelsim.spec.request import LOGITS

PHASES = ("prefill", "decode")
NULLABLE = ("q_lora_rank", "sliding_window", "n_shared_experts", "rotary_dim", "n_inner", "word_embed_proj_dim")
"""Keys where our TOML files write 0 for null."""

UNIFORM = Routing()


def trace(
    config: Mapping[str, Any] | str | PathLike[str],
    *,
    phase: str,
    batch: int = 1,
    prompt: int = 2048,
    step: int = 1,
    formats: Formats | None = None,
    logits: str = "last",
    routing: Routing = UNIFORM,
) -> Graph:
    """The graph of one phase of a decoder, as transformers computes it.

    Attention comes out unfused, with the model's own KV heads; `accelsim.graph.transforms` apply.

    Args:
        config: keys of a `config.json`, the path of one (or of its folder), or the name of a model.
        phase: "prefill", or "decode" for one step.
        batch: sequences.
        prompt: tokens per sequence in prefill.
        step: decode step, from 1: one token per sequence attends to prompt + step positions.
        formats: storage formats; bf16 throughout if not given.
        logits: positions that lm_head covers in prefill: "last" or "all".
        routing: popularity of experts; which tokens go where is data, which a trace does not have.

    Raises:
        RequestError: torch or transformers is missing, a size is no whole number of at least 1, or the
            model is none that can be traced.
    """
    for name, value, allowed in (("phase", phase, PHASES), ("logits", logits, LOGITS)):
        if value not in allowed:
            raise RequestError(f"{name} = {value!r}: allowed are {', '.join(allowed)}")
    for name, number in (("batch", batch), ("prompt", prompt), ("step", step)):
        if not _is_whole(number):
            raise RequestError(f"{name} = {number!r}: expected a whole number of at least 1")
    keys, label = _configuration(config)
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise RequestError(
            f"tracing needs {error.name}, which is not installed: pip install 'accelsim[trace]' brings torch and "
            "transformers; `accelsim graph` builds the known families without them"
        ) from None
    from accelsim.graph.tracing.fold import fold
    from accelsim.graph.tracing.run import record

    if formats is None:
        bf16 = catalog.format_("bf16")
        formats = Formats(bf16, bf16, bf16, bf16)
    past = prompt + step - 1 if phase == "decode" else 0
    calls = record(
        keys, batch=batch, query=1 if past else prompt, past=past, formats=formats, logits=logits, routing=routing
    )
    return Graph(label, phase, fold(calls))


def _is_whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _configuration(config: Mapping[str, Any] | str | PathLike[str]) -> tuple[dict[str, Any], str]:
    """The keys of a `config.json`, and what to call the model."""
    if isinstance(config, Mapping):
        keys, label = dict(config), str(config.get("model_type", "model"))
    else:
        file = catalog.path("models", config)
        raw = files.load(file).raw
        if file.suffix == ".json":
            keys, label = dict(raw), file.parent.name if file.stem == "config" else file.stem
        else:
            written = raw.get("config", {})
            keys = {key: None if key in NULLABLE and value == 0 else value for key, value in written.items()}
            label = file.stem
    if not isinstance(keys.get("model_type"), str):
        raise RequestError(f"the configuration of {label} has no model_type, by which transformers finds the model")
    return keys, label
