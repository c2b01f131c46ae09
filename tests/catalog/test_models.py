"""Every shipped model loads, and its parameters are those that were published."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from accelsim.graph.parameters import active, count
from accelsim.spec.huggingface import read_model_file
from accelsim.spec.model import Model

FOLDER = Path(__file__).resolve().parents[2] / "workloads" / "models"
NAMES = sorted(path.stem for path in FOLDER.glob("*.toml"))

EXACT = {
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "bloom-176b": 176_247_271_424,
    "chatglm-6b": 6_173_286_400,
    "chatglm3-6b": 6_243_584_000,
    "codellama-34b": 33_743_970_304,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v3": 671_026_419_200,
    "falcon-180b": 178_557_088_768,
    "falcon-40b": 41_303_293_952,
    "falcon-7b": 6_921_720_704,
    "gemma-2-27b": 27_227_128_320,
    "gemma-2-9b": 9_241_705_984,
    "gemma-2b": 2_506_172_416,
    "gpt-j-6b": 6_050_882_784,
    "gpt-neox-20b": 20_554_567_680,
    "gpt2-345m": 354_823_168,
    "gpt2-774m": 774_030_080,
    "gpt2-large": 774_030_080,
    "gpt2-medium": 354_823_168,
    "gpt2-xl": 1_557_611_200,
    "gpt2": 124_439_808,
    "llama-13b": 13_015_864_320,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-2-7b": 6_738_415_616,
    "llama-3-70b": 70_553_706_496,
    "llama-3-8b": 8_030_261_248,
    "llama-3.1-405b": 405_853_388_800,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-8b": 8_030_261_248,
    "llama-7b": 6_738_415_616,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "opt-1.3b": 1_315_758_080,
    "opt-125m": 125_239_296,
    "opt-13b": 12_853_473_280,
    "opt-6.7b": 6_658_473_984,
    "phi-2": 2_779_683_840,
    "phi-3-mini": 3_821_079_552,
    "qwen1.5-moe-a2.7b": 14_315_784_192,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-72b": 72_706_203_648,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-235b-a22b": 235_093_634_560,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-32b": 32_762_123_264,
    "qwen3-8b": 8_190_735_360,
    "t5-xxl": 11_135_332_352,
    "tiny-llama": 1_049_728,
    "tinyllama-1.1b": 1_100_048_384,
}
"""Totals of the published checkpoints, shared tensors once, without task heads and multi-token prediction."""

HEADLINE = {
    "gpt2-1.5b-dfx": (1_500_000_000, 0.041, "arXiv 2209.10797: 1.5B, whose width of 1,600 became 1,536 for 24 heads"),
    "mixtral-8x22b": (
        141_000_000_000,
        0.005,
        "headline of Mistral AI's announcement of Mixtral 8x22B (141B total, 39B active)",
    ),
    "opt-175b": (175_000_000_000, 0.005, "headline of arXiv 2205.01068, table 1"),
    "opt-30b": (30_000_000_000, 0.005, "headline of arXiv 2205.01068, table 1"),
    "opt-66b": (66_000_000_000, 0.005, "headline of arXiv 2205.01068, table 1"),
}
"""Published only as a rounded figure: count, tolerance (the rounding of the last digit printed), source."""

ACTIVE = {
    "mixtral-8x7b": (12.9e9, 0.005, "arXiv 2401.04088: 13B active, 12.9B on Mistral AI's page"),
    "mixtral-8x22b": (39e9, 0.013, "Mistral AI's announcement of Mixtral 8x22B: 39B active, two digits"),
    "qwen1.5-moe-a2.7b": (2.7e9, 0.019, "its name: A2.7B, two digits"),
    "qwen3-235b-a22b": (22e9, 0.023, "its name: A22B, two digits"),
    "deepseek-v3": (37e9, 0.0151, "arXiv 2412.19437: 37B active, two digits; ours counts the embedding in full"),
}
"""Parameters used per token: published, tolerance (half a unit of the last digit printed), source."""


def load(name: str) -> Model:
    path = FOLDER / f"{name}.toml"
    return read_model_file(tomllib.loads(path.read_text(encoding="utf-8")), origin=str(path))


def test_every_model_has_a_published_total_here() -> None:
    assert set(NAMES) == set(EXACT) | set(HEADLINE)
    assert len(NAMES) >= 35


@pytest.mark.parametrize("name", NAMES)
def test_file(name: str) -> None:
    text = (FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    model = load(name)
    assert text.startswith("# ")
    assert model.name == name
    assert model.parameters_published == (EXACT[name] if name in EXACT else HEADLINE[name][0])
    assert model.parameters_source.startswith("exact" if name in EXACT else "headline")
    assert model.status in ("datasheet", "assumed")
    assert model.status == "datasheet" or model.notes


@pytest.mark.parametrize(("name", "published"), EXACT.items())
def test_exact_totals(name: str, published: int) -> None:
    assert count(load(name)) == published


@pytest.mark.parametrize(("name", "published"), HEADLINE.items())
def test_headline_totals(name: str, published: tuple[int, float, str]) -> None:
    total, tolerance, _ = published
    assert count(load(name)) == pytest.approx(total, rel=tolerance)


@pytest.mark.parametrize(("name", "published"), ACTIVE.items())
def test_active_parameters(name: str, published: tuple[float, float, str]) -> None:
    total, tolerance, _ = published
    assert active(load(name)) == pytest.approx(total, rel=tolerance)


def test_groups_of_peculiar_models() -> None:
    assert [(group.repeat, len(group.layers)) for group in load("gemma-2-9b").decoder] == [(21, 2)]
    assert [(group.repeat, len(group.layers)) for group in load("deepseek-v3").decoder] == [(3, 1), (58, 1)]
    assert [(group.repeat, len(group.layers)) for group in load("deepseek-v2-lite").decoder] == [(1, 1), (26, 1)]
    assert load("mistral-7b").decoder[0].layers[0].attention.window == 4096
    assert load("qwen2.5-7b").decoder[0].layers[0].attention.window is None
    assert not load("bert-base").generates


def test_formats_of_the_published_weights() -> None:
    assert {name: load(name).native_format for name in ("gpt2", "llama-2-7b", "llama-3-8b", "deepseek-v3")} == {
        "gpt2": "fp32", "llama-2-7b": "fp16", "llama-3-8b": "bf16", "deepseek-v3": "fp8_e4m3",
    }  # fmt: skip
