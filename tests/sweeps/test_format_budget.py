"""Formats within an error budget: executed on little text, on two chips of different kinds."""

from __future__ import annotations

import json

import pytest

from accelsim.explore import executed
from accelsim.explore.sweep import Sweep


@pytest.fixture(scope="module")
def experiment(load):
    return load("format_budget")


def test_a_gpu_buys_four_bits_and_banks_that_multiply_bf16_stay_with_it(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(executed, "TOKENS", 256)
    found = experiment.frame(
        tmp_path / "found.sqlite", ["h100-sxm", "gddr6-aim-32ch"], ["bf16", "int8_channel", "int4_g128"]
    )
    error = found.set_index(["chip", "weights"])["error"]
    assert error["h100-sxm", "bf16"] < error["gddr6-aim-32ch", "bf16"], "banks add in bf16"
    assert 0.01 < error["h100-sxm", "int4_g128"] < 0.03
    loose, tight = (experiment.best(found, budget) for budget in (0.03, 0.005))
    assert loose.loc["h100-sxm", "format"] == "int4_g128"
    assert loose.loc["h100-sxm", "gain"] == pytest.approx(2.30, rel=0.03)
    assert tight.loc["h100-sxm", "format"] == "int8_channel", "the turn: a tighter budget"
    assert tight.loc["h100-sxm", "gain"] == pytest.approx(1.61, rel=0.03)
    assert loose.loc["gddr6-aim-32ch", "format"] == tight.loc["gddr6-aim-32ch", "format"] == "bf16"
    assert len(json.loads(executed.FILE.read_text("utf-8"))) == 6
    experiment.picture(found).savefig(tmp_path / "made.png")
    assert (tmp_path / "made.png").stat().st_size > 10_000


def test_the_file_asks_for_the_budget_as_a_constraint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = Sweep.read("format_budget").spec
    assert spec.constraints == {"budget": "kl_nats <= 0.03"}
    monkeypatch.setattr(executed, "error", lambda chosen: (0.1 if str(chosen) and "int3" in repr(chosen) else 0.01,))
    design = Sweep.read("format_budget").design
    assert design.excluded == len(spec.axes["chip"].values or ())
