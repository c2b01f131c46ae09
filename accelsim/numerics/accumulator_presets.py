"""Accumulators of machines, as data; those of GPUs equal MMA-Sim bit for bit (test_arithmetic_mma.py)."""

from __future__ import annotations

from typing import Final

from accelsim.numerics.accumulator import BF16, FP16, FP32, AnyAccumulator, Fixed, Fused, Rounded, Staged, Width

_MMA_SIM: Final = "microsoft/MMA-Sim at c785138, arXiv 2511.10909: models found by experiments on the hardware"
_DEEPGEMM: Final = (
    "MMA-Sim (arXiv 2511.10909) for the instruction; promotion in fp32 every 128 as in DeepGEMM and the DeepSeek-V3 "
    "technical report, arXiv 2412.19437, section 3.3.2"
)
_E8M13: Final = Width(8, 13)


def _fused(name: str, group: int, fraction_bits: int, **more: object) -> Fused:
    made: dict[str, object] = {"source": _MMA_SIM, "status": "measured", **more}
    return Fused(name=name, group=group, fraction_bits=fraction_bits, **made)  # type: ignore[arg-type]


def _half(name: str, group: int, fraction_bits: int) -> Fused:
    return _fused(name, group, fraction_bits, type=FP16, rounding="nearest-even")


_ALL: Final[tuple[AnyAccumulator, ...]] = (
    _fused("volta-fp16", 4, 23),
    _half("volta-fp16-half", 4, 23),
    _fused("turing-fp16", 8, 24),
    _half("turing-fp16-half", 8, 24),
    _fused("ampere-fp16", 8, 24),  # K = 16 as two groups
    _half("ampere-fp16-half", 8, 24),
    _fused("ampere-bf16", 8, 24),
    _fused("ada-fp8", 16, 13, type=_E8M13),  # K = 32 as two groups
    _half("ada-fp8-half", 16, 13),
    _fused("hopper-fp16", 16, 25),
    _half("hopper-fp16-half", 16, 25),
    _fused("hopper-bf16", 16, 25),
    _fused("hopper-fp8", 32, 13, type=_E8M13),
    _half("hopper-fp8-half", 32, 13),
    _fused("hopper-fp8-promote128", 32, 13, type=_E8M13, promotion=128, source=_DEEPGEMM, status="derived"),
    _fused("blackwell-fp16", 16, 25),
    _half("blackwell-fp16-half", 16, 25),
    _fused("blackwell-bf16", 16, 25),
    _fused("blackwell-fp8", 32, 25),
    _half("blackwell-fp8-half", 32, 25),
    _fused("blackwell-fp4", 64, 35, exact=16),
    Staged(name="cdna3", group=8, source=_MMA_SIM, status="measured"),
    Staged(name="cdna3-fp8", group=16, halves=True, reach=25, source=_MMA_SIM, status="measured"),
    Rounded(
        name="hbm-pim-fp16", type=FP16, order="lanes", width=16, status="assumed",
        source="16 lanes of fp16 multiply and add units with a register each (Lee et al., ISCA 2021); that products "
        "are rounded, and that the lanes are added by a tree at the end, is assumed",
    ),
    Rounded(
        name="aim-bf16", type=BF16, order="tree", width=16, product="exact", status="assumed",
        source="16 multipliers and an adder tree per bank (Lee et al., ISSCC 2022); that every sum of the tree is "
        "rounded to bf16 is assumed",
    ),
    Rounded(
        name="dfx-fp16", type=FP16, order="tree", width=64, status="assumed",
        source="64-wide multiply and add trees in fp16 (Hong et al., MICRO 2022); rounding at every node is assumed",
    ),
    Fixed(
        name="groq-int8", integer_bits=31, fraction_bits=0, status="assumed",
        source="int8 products into 32-bit integers (Abts et al., ISCA 2020); wrapping on overflow is assumed",
    ),
    Fused(
        name="groq-fp16", group=320, fraction_bits=None, type=FP32, rounding="nearest-even", status="assumed",
        source="dot products of 320 with one rounding at the end (Abts et al., ISCA 2020); that the incoming sum "
        "takes part in that rounding, to nearest, is assumed",
    ),
    Fused(
        name="ipu-amp", group=16, fraction_bits=None, type=FP32, rounding="nearest-even", status="assumed",
        source="accumulating matrix product units, fp16 in and fp32 out (Graphcore, Tile Vertex ISA); groups of 16 "
        "with one rounding to nearest are assumed",
    ),
)  # fmt: skip

PRESETS: Final[dict[str, AnyAccumulator]] = {record.name: record for record in _ALL}
"""Accumulators of machines by name."""
