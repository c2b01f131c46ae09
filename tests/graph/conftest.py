"""Models and formats that the tests of the graph share."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.graph.attention import Formats

REPRESENTATIVES = (
    "gpt2", "gpt-j-6b", "gpt-neox-20b", "opt-125m", "bloom-176b", "falcon-7b", "falcon-40b", "chatglm-6b", "bert-base",
    "t5-xxl", "gemma-2-9b", "phi-3-mini", "qwen3-8b", "mixtral-8x7b", "qwen1.5-moe-a2.7b", "qwen3-30b-a3b",
    "deepseek-v2-lite", "deepseek-v3", "llama-2-7b", "llama-3-8b", "mistral-7b",
)  # fmt: skip
"""At least one model of every family."""


@pytest.fixture(scope="session")
def bf16() -> Formats:
    """Everything in bf16."""
    form = catalog.format_("bf16")
    return Formats(form, form, form, form)


@pytest.fixture(params=REPRESENTATIVES)
def representative(request: pytest.FixtureRequest) -> str:
    """The name of one model of each family in turn."""
    return str(request.param)
