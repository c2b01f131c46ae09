"""A chip as LLM-Viewer sees it: two peak rates, one bandwidth, one on-chip size.

LLM-Viewer (hahnyuan/LLM-Viewer, the tool of the survey arXiv 2402.16363) prices every operator with a
roofline of these figures. They ship as chips of their own family, so that its results can be reproduced
without touching the descriptions that the rest of accelsim computes with.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from accelsim.spec.base import Bandwidth, Description, FlopRate, Name, OpRate, Size, Sourced


class LlmViewerPeak(Sourced):
    """Dense matrix rates; every operator, softmax and norms included, runs at one of them.

    Attributes:
        fp16_flops_per_s: used unless weights, activations and KV cache all have at most 8 bits.
        int8_ops_per_s: used then; None where the tool has no figure.
    """

    fp16_flops_per_s: FlopRate = Field(alias="fp16")
    int8_ops_per_s: OpRate | None = Field(default=None, alias="int8")


class LlmViewerMemory(Sourced):
    """Device memory. The tool knows no capacity: the figure is the card's and serves to report fits."""

    bandwidth_bytes_per_s: Bandwidth = Field(alias="bandwidth")
    capacity_bytes: Size = Field(alias="capacity")


class LlmViewerOnchip(Sourced):
    """On-chip storage, from which the tool takes the rows of a FlashAttention block."""

    capacity_bytes: Size = Field(alias="capacity")


class LlmViewerChip(Description):
    """Hardware figures of LLM-Viewer for one card; only the llm-viewer convention prices with them."""

    name: Name
    family: Literal["llm-viewer"]
    peak: LlmViewerPeak
    memory: LlmViewerMemory
    onchip: LlmViewerOnchip


DESCRIPTIVE = frozenset({"onchip.capacity"})
"""Figures without effect at their size: a block has at most head_dim rows, which all of these chips hold."""
