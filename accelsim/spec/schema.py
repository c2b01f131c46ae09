"""JSON Schemas of the description files, so that an editor completes keys and marks faults."""

from __future__ import annotations

from typing import Annotated, Any, Union

from pydantic import Field, TypeAdapter

from accelsim.spec.base import STATUSES
from accelsim.spec.chip import Chip
from accelsim.spec.dram import Dram
from accelsim.spec.format import KINDS
from accelsim.spec.huggingface import SUPPORTED
from accelsim.spec.node import Node

_DRAFT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


def chip() -> dict[str, Any]:
    """Schema of a chip; `family` selects the keys."""
    union = TypeAdapter[Any](Annotated[Chip, Field(discriminator="family")])
    return {**_DRAFT, **union.json_schema(), "title": "accelsim chip"}


def format_() -> dict[str, Any]:
    """Schema of a number format; `kind` selects the keys."""
    kinds: Any = Union[tuple(KINDS.values())]  # noqa: UP007  the members are known only at run time
    union = TypeAdapter[Any](Annotated[kinds, Field(discriminator="kind")])
    return {**_DRAFT, **union.json_schema(), "title": "accelsim format"}


def node() -> dict[str, Any]:
    """Schema of a process node."""
    return {**_DRAFT, **Node.model_json_schema(), "title": "accelsim process node"}


def dram() -> dict[str, Any]:
    """Schema of a DRAM."""
    return {**_DRAFT, **Dram.model_json_schema(), "title": "accelsim DRAM"}


def model() -> dict[str, Any]:
    """Schema of a model: who says so, and a Hugging Face configuration, whose keys are not limited."""
    text = {"type": "string"}
    config = {
        "type": "object",
        "description": "the keys of a Hugging Face config.json",
        "properties": {"model_type": {"enum": list(SUPPORTED)}},
        "required": ["model_type"],
    }
    return {
        **_DRAFT,
        "title": "accelsim model",
        "type": "object",
        "properties": {
            "name": {**text, "description": "the file's stem"},
            "source": {**text, "minLength": 3, "description": "where the configuration comes from"},
            "status": {"enum": list(STATUSES), "description": "how far it can be trusted"},
            "notes": text,
            "parameters_published": {"type": "integer", "minimum": 0},
            "parameters_source": text,
            "config": config,
        },
        "required": ["name", "source", "status", "config"],
        "additionalProperties": False,
    }
