"""From a dictionary to a `Model`: which reader a `model_type` has, and the description file around a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from accelsim.errors import DescriptionError, Fault, did_you_mean
from accelsim.spec.base import STATUSES, Status
from accelsim.spec.huggingface.chatglm import read_chatglm
from accelsim.spec.huggingface.common import About
from accelsim.spec.huggingface.deepseek import read_deepseek
from accelsim.spec.huggingface.encoders import read_bert, read_t5
from accelsim.spec.huggingface.experts import read_mixtral, read_qwen_moe
from accelsim.spec.huggingface.fields import HEADS, HIDDEN, INTERMEDIATE, LAYERS, VOCABULARY, Fields
from accelsim.spec.huggingface.layer_norm import (
    read_bloom,
    read_falcon,
    read_gpt2,
    read_gpt_neox,
    read_gptj,
    read_opt,
    read_phi,
)
from accelsim.spec.huggingface.llama import VARIANTS, read_llama_like
from accelsim.spec.huggingface.values import read_values
from accelsim.spec.model import Model

Reader = Callable[[Fields, About], Model]


def _llama_like(fields: Fields, about: About) -> Model:
    return read_llama_like(fields, about, str(fields.get("model_type")))


READERS: Final[Mapping[str, Reader]] = {
    **dict.fromkeys(VARIANTS, _llama_like),
    "mixtral": read_mixtral, "qwen2_moe": read_qwen_moe, "qwen3_moe": read_qwen_moe,
    "deepseek_v2": read_deepseek, "deepseek_v3": read_deepseek,
    "gpt2": read_gpt2, "gptj": read_gptj, "gpt_neox": read_gpt_neox, "opt": read_opt, "bloom": read_bloom,
    "phi": read_phi, "falcon": read_falcon, "RefinedWebModel": read_falcon, "RefinedWeb": read_falcon,
    "chatglm": read_chatglm, "bert": read_bert, "t5": read_t5,
}  # fmt: skip
"""The reader of each `model_type`; the last two names of Falcon are those of its first configurations."""

SUPPORTED: Final = tuple(sorted(READERS))
"""Values of `model_type` that can be read."""

_SHAPE: Final = (HIDDEN, LAYERS, HEADS, VOCABULARY, INTERMEDIATE)
_OUTER: Final = ("name", "source", "status", "notes", "parameters_published", "parameters_source", "config")
_NEEDED: Final = ("name", "source", "status", "config")


def read_config(
    config: Mapping[str, object],
    *,
    name: str,
    source: str,
    status: Status,
    parameters_published: int = 0,
    notes: str = "",
) -> Model:
    """The model that a Hugging Face `config.json` describes.

    Keys that do not determine shapes are ignored; absent ones take the defaults of the transformers library
    where these do not belong to one model size.

    Args:
        config: the parsed `config.json`.
        name: the model's name.
        source: where the configuration comes from; errors name it.
        status: how far its figures can be trusted.
        parameters_published: the published parameter count, 0 if unknown.
        notes: remarks on it.

    Raises:
        DescriptionError: an unsupported `model_type`, or all figures that are missing or wrong.
    """
    about: About = {
        "name": name, "source": source, "status": status, "parameters_published": parameters_published, "notes": notes,
    }  # fmt: skip
    return _read(config, about, source, "")


def read_model_file(data: Mapping[str, object], *, origin: str) -> Model:
    """The model of a description file: who says so, and the configuration under `[config]`.

    Args:
        data: the parsed TOML file.
        origin: the file, for errors.

    Raises:
        DescriptionError: unknown or missing keys, or a fault of the configuration.
    """
    if "config" not in data and "model_type" in data:
        problem = "this is a plain config.json: give its path where a model is asked for, or put it under [config]"
        raise DescriptionError(origin, [Fault("config", problem)])
    faults = [
        Fault(key, f"unknown key{did_you_mean(key, _OUTER)} Allowed: {', '.join(_OUTER)}")
        for key in data
        if key not in _OUTER
    ]
    faults += [Fault(key, "is missing: " + _needed(key)) for key in _NEEDED if key not in data]
    config = data.get("config", {})
    if not isinstance(config, Mapping):
        faults.append(Fault("config", "expected a table of config.json keys", repr(config)))
        config = {}
    about = {key: value for key, value in data.items() if key in _OUTER and key != "config"}
    try:
        model = _read(config, {"name": "unnamed", "source": origin, "status": "assumed", **about}, origin, "config.")
    except DescriptionError as error:
        # without a table there is nothing to say about what it holds
        raise DescriptionError(origin, [*faults, *(error.faults if config else ())]) from None
    if faults:
        raise DescriptionError(origin, faults)
    return model


def _needed(key: str) -> str:
    return {
        "name": "the name of the model, equal to the file's stem",
        "source": "where the figures come from",
        "status": "one of " + ", ".join(STATUSES),
        "config": "the table that holds the keys of the config.json",
    }[key]


def _read(config: Mapping[str, object], about: Mapping[str, Any], origin: str, prefix: str) -> Model:
    fields = Fields(config, origin, prefix)
    family = config.get("model_type")
    reader = READERS.get(family) if isinstance(family, str) else None
    if reader is None:
        _explain_family(fields, family)
        fields.check()
        raise AssertionError("an unknown family is always a fault")
    values = read_values(fields, str(family))
    try:
        return reader(fields, {**about, "values": values})
    except ValidationError as error:
        raise DescriptionError(origin, [_fault(detail) for detail in error.errors()]) from None


def _explain_family(fields: Fields, family: object) -> None:
    """Say what `model_type` may be; where it is absent, also which figures are missing."""
    supported = f"supported: {', '.join(SUPPORTED)}"
    if family is not None:
        near = did_you_mean(family, SUPPORTED) if isinstance(family, str) else ""
        fields.fault("model_type", f"this family is not supported{near or ';'} {supported}", family)
        return
    nested = fields.get("text_config")
    hint = "; the language model of this configuration is under text_config: give that table" if nested else ""
    fields.fault("model_type", f"is missing{hint}; {supported}")
    for keys in _SHAPE:
        if not fields.has(keys):
            fields.size(keys)


def _fault(detail: Any) -> Fault:
    where = ".".join(str(part) for part in detail["loc"])
    return Fault(where, str(detail["msg"]), repr(detail["input"]) if where else "")
