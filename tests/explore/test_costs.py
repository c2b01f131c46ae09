"""Area and cost as columns of a sweep: what constraints, objectives and derived columns can name."""

from __future__ import annotations

import json

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.cost import area, money
from accelsim.errors import RequestError
from accelsim.explore import executed


def test_area_and_cost_are_those_of_each_chip_and_exclude_before_anything_runs(make):
    axes = {"chip": ["a100-sxm-80gb", "h100-sxm", "b200-sxm"], "sm.count": [80, 108], "chips": [1]}
    sweep = make(axes, constraints={"small": "area_mm2 <= 800"}, derived={"dollars_each": "cost_usd / batch"},
                 fixed={"batch": 2})  # fmt: skip
    assert sweep.run(workers=1).points == len(sweep.load())
    assert sweep.design.excluded == 6 - len(sweep.load())
    for row in sweep.load().to_dict("records"):
        chip = catalog.chip(row["chip"], {"sm.count": row["sm.count"]})
        assert row["area_mm2"] == pytest.approx(area.of(chip).total_m2 * 1e6, rel=1e-12)
        assert row["cost_usd"] == pytest.approx(money.cost(chip).total_usd, rel=1e-12)
        assert row["dollars_each"] == row["cost_usd"] / 2
        assert row["area_mm2"] <= 800
    assert set(sweep.load()["chip"]) == {"a100-sxm-80gb", "h100-sxm"}, "no area is known of a B200: no [die]"


def test_a_chip_without_a_die_costs_nan_and_several_chips_cost_several_times(make):
    axes = {"chip": ["b200-sxm", "h100-sxm"], "chips": [1, 2]}
    frame_of = make(axes, objectives={"cost_usd": "min"})
    frame_of.run(workers=1)
    frame = frame_of.load().set_index(["chip", "chips"])
    assert np.isnan(frame.loc["b200-sxm", "cost_usd"]).all()
    assert frame.loc[("h100-sxm", 2), "cost_usd"] == 2 * frame.loc[("h100-sxm", 1), "cost_usd"]
    assert frame.loc[("h100-sxm", 2), "area_mm2"] == frame.loc[("h100-sxm", 1), "area_mm2"]


def test_they_are_no_columns_of_sweeps_that_do_not_ask(make):
    sweep = make({"batch": [1]})
    sweep.run(workers=1)
    assert not {"area_mm2", "cost_usd"} & set(sweep.load().columns)


def test_a_system_costs_all_its_chips_and_power_and_fits_are_constraints(make):
    axes = {"chip": ["groq-lpu-576", "a100-sxm-80gb"], "batch": [1, 256]}
    sweep = make(axes, constraints=["power_w < 400", "fits", "cost_usd < 1e5"])
    sweep.run(workers=1)
    frame = sweep.load().set_index(["chip", "batch"])
    assert frame.loc[("groq-lpu-576", 1), "cost_usd"] == pytest.approx(576 * money.cost("groq-tsp").total_usd)
    assert not frame.loc["groq-lpu-576", "meets_constraints"].any(), "576 chips draw more than 400 W"
    held = frame["average_power_w"] < 400
    assert (frame["meets_constraints"] == (held & frame["fits"])).all()
    assert frame.loc[("a100-sxm-80gb", 1), "meets_constraints"]


@pytest.mark.parametrize("fidelity", ["roofline", "event"])
def test_formats_of_single_tensors_are_axes_and_what_simulate_gives(make, fidelity):
    axes = {
        "tensor_formats": ["none", {"up_proj.weight": "int4_g128"}, "up_proj.weight=int4_g128,down_proj.weight=mxfp4"],
        "tensor_formats.q_proj.weight": ["bf16", "fp8_e4m3"],
    }
    sweep = make(axes, fixed={"fidelity": fidelity})
    sweep.run(workers=1)
    frame = sweep.load()
    assert list(frame["status"]) == ["ok"] * 6
    assert frame["key"].is_unique
    assert list(frame["tensor_formats"])[2] == "up_proj.weight=int4_g128"
    for row in frame.to_dict("records"):
        own = {} if row["tensor_formats"] == "none" else dict(p.split("=") for p in row["tensor_formats"].split(","))
        own |= {"q_proj.weight": row["tensor_formats.q_proj.weight"]}
        run = accelsim.simulate("gpt2", "h100-sxm", prompt=64, generate=2, fidelity=fidelity, tensor_formats=own)
        assert row["total_time_s"] == run.summary["total_time_s"]
        assert row["energy_j"] == run.summary["energy_j"]


def test_the_same_tensor_formats_by_table_and_text_are_one_row(make):
    table = make({"tensor_formats": [{"up_proj.weight": "mxfp4"}]})
    text = make({"tensor_formats": ["up_proj.weight=mxfp4"]})
    dotted = make({"tensor_formats.up_proj.weight": ["mxfp4"]})
    fixed = make({"batch": [1]}, fixed={"tensor_formats": {"up_proj.weight": "mxfp4"}})
    plain = make({"batch": [1]})
    assert table.keys == text.keys == dotted.keys == fixed.keys
    assert plain.keys != table.keys


def test_tensor_formats_that_are_none_are_told(make):
    with pytest.raises(RequestError, match=r"tensor_formats = 'up_proj.weight': expected a table"):
        _ = make({"tensor_formats": ["up_proj.weight"]}).design
    with pytest.raises(RequestError, match="nearest: mxfp4"):
        _ = make({"tensor_formats.up_proj.weight": ["mxfp44"]}).design
    with pytest.raises(RequestError, match="no tensor is named 'up_projj"):
        _ = make({"tensor_formats.up_projj.weight": ["mxfp4"]}).groups


def test_error_is_executed_once_and_excludes_before_anything_is_priced(make, monkeypatch):
    monkeypatch.setattr(executed, "TOKENS", 256)
    axes = {"weights": ["bf16", "int2_g32", "int8_channel"], "memory.bandwidth": ["2 TB/s", "4 TB/s"]}
    asked = {"fixed": {"model": "llama-2-7b", "activations": "bf16"}, "constraints": ["kl_nats < 0.01"]}
    sweep = make(axes, **asked)
    assert sweep.design.excluded == 2
    sweep.run(workers=1)
    frame = sweep.load().set_index(["weights", "memory.bandwidth"])["kl_nats"]
    assert 0 < frame[("bf16", 2e12)] == frame[("bf16", 4e12)] < frame[("int8_channel", 4e12)] < 0.01
    assert len(json.loads(executed.FILE.read_text("utf-8"))) == 3, "one for each format, whatever the bandwidth"
    monkeypatch.setattr(executed, "_truth", lambda tokens: pytest.fail("executed again"))
    assert make(axes, **asked).design.excluded == 2
