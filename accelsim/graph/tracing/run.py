"""A decoder of transformers on the meta device, with a recorder watching one pass."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
import transformers
from torch import nn

from accelsim.errors import RequestError
from accelsim.graph.attention import Formats, Shape
from accelsim.graph.routing import Routing
from accelsim.graph.tracing.fold import Calls
from accelsim.graph.tracing.recorder import Recorder

ATTENTION = "accelsim"
"""The name under which the recorder offers itself as an attention implementation."""

NO_DECODER = "{!r} is no decoder: only models that generate from left to right can be traced"


def record(
    config: Mapping[str, Any], *, batch: int, query: int, past: int, formats: Formats, logits: str, routing: Routing
) -> Calls:
    """The operators of one pass over `query` new tokens per sequence behind `past` cached ones.

    Raises:
        RequestError: transformers does not know the model, it is no decoder, or what it computes next
            depends on data.
    """
    model = _model(config)
    recorder = Recorder(model, _layers(model), Shape(batch, query, past), formats, routing)
    parameters = inspect.signature(model.forward).parameters
    keep = {"logits_to_keep": 1 if logits == "last" else 0} if "logits_to_keep" in parameters else {}
    if logits == "last" and not keep and query > 1:
        raise RequestError(f"{type(model).__name__} computes the logits of every position: ask for logits='all'")
    cache = _cache(recorder)
    with torch.no_grad(), _watched(model, recorder):
        try:
            if past:
                model(input_ids=_tokens(batch, past), past_key_values=cache, use_cache=True, **keep)
            with recorder:
                recorder.start()
                model(input_ids=_tokens(batch, query), past_key_values=cache, use_cache=True, **keep)
        except (RuntimeError, TypeError, ValueError) as error:  # what torch raises where the meta device has no kernel
            line = str(error).partition("\n")[0]
            raise RequestError(f"{type(model).__name__} cannot be traced on the meta device: {line}") from error
    if not recorder.causal:
        raise RequestError(NO_DECODER.format(config["model_type"]))
    return recorder.calls()


def _model(config: Mapping[str, Any]) -> nn.Module:
    family = str(config["model_type"])
    keys = {key: value for key, value in config.items() if key != "model_type"}
    try:
        known = transformers.AutoConfig.for_model(family, **keys)
    except ValueError:
        raise RequestError(f"transformers {transformers.__version__} has no model_type {family!r}") from None
    if known.is_encoder_decoder or type(known) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        raise RequestError(NO_DECODER.format(family))
    transformers.AttentionInterface.register(ATTENTION, _unbound)
    with torch.device("meta"):
        for implementation in (ATTENTION, "eager"):
            try:
                model = transformers.AutoModelForCausalLM.from_config(
                    known, dtype=torch.bfloat16, attn_implementation=implementation
                )
            except KeyError:  # older models have a table of their own, without room for ours
                continue
            return model.eval()
    raise RequestError(f"transformers builds no {family!r} on the meta device")


def _unbound(*_: Any, **__: Any) -> Any:
    raise RuntimeError("the recorder is not in place")


def _layers(model: nn.Module) -> str:
    """The path of the list of layers: the outermost one of that length."""
    count = model.config.num_hidden_layers
    found = [path for path, part in model.named_modules() if isinstance(part, nn.ModuleList) and len(part) == count]
    if not found:
        raise RequestError(f"{type(model).__name__} has no list of {count} layers")
    return str(min(found, key=len))


def _tokens(batch: int, length: int) -> torch.Tensor:
    return torch.zeros(batch, length, dtype=torch.long, device="meta")


def _cache(recorder: Recorder) -> Any:
    class Watched(transformers.DynamicCache):  # type: ignore[misc]
        """A cache that appends in place, as real ones do, where transformers copies."""

        def update(self, key: Any, value: Any, *args: Any, **keys: Any) -> Any:
            with recorder.quiet():
                kept = super().update(key, value, *args, **keys)
            recorder.append(key, value, kept)
            return kept

    return Watched()


@contextmanager
def _watched(model: nn.Module, recorder: Recorder) -> Iterator[None]:
    """Hooks on all modules, the recorder's attention and rotation in place of the model's."""
    transformers.AttentionInterface.register(ATTENTION, recorder.attention)
    module = sys.modules[type(model).__module__]
    with ExitStack() as stack:
        for path, part in model.named_modules():
            before, after = recorder.hooks(path, part)
            stack.callback(part.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(part.register_forward_hook(after, with_kwargs=True).remove)
        for name, function in vars(module).items():
            if name.startswith("apply_rotary_pos_emb") and inspect.isfunction(function):
                stack.enter_context(mock.patch.object(module, name, recorder.rotation(function)))
        yield
