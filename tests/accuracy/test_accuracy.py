"""Error and price of formats: the grammar, the figures, resuming, and that figures mean what they say."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from accelsim.accuracy.combinations import combinations
from accelsim.accuracy.measure import log_softmax, sqnr_db
from accelsim.accuracy.report import Accuracy
from accelsim.accuracy.run import accuracy, plan_for
from accelsim.accuracy.subject import shape_of, subject
from accelsim.errors import AccelsimError
from accelsim.graph.operator import Role
from accelsim.report import accuracy_picture
from tests.execution.families import CONFIGS


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model by path; its weights are synthetic."""
    path = tmp_path_factory.mktemp("model") / "config.json"
    path.write_text(json.dumps({**CONFIGS["llama-gqa"], "torch_dtype": "bfloat16"}))
    return path


FORMATS = "bf16,int8_channel,int4_channel,mxfp4/mxfp8_e4m3/fp8_e4m3"


@pytest.fixture(scope="module")
def found(config: Path) -> Accuracy:
    return accuracy(config, FORMATS, on="h100-sxm", limit=64, window=32)


def test_the_grammar() -> None:
    one, two, three = combinations("mxfp4, nvfp4/fp8_e4m3,mxfp4/mxfp8_e4m3/fp8_e4m3")
    assert (one.weights.name, one.activations.name, one.kv_cache.name) == ("mxfp4", "bf16", "bf16")
    assert (two.weights.name, two.activations.name, two.kv_cache.name) == ("nvfp4", "fp8_e4m3", "bf16")
    assert three.kv_cache.name == "fp8_e4m3"


@pytest.mark.parametrize(
    ("text", "match"),
    [("", "none is named"), ("a/b/c/d", "W/A/KV"), ("mxfp4//bf16", "W/A/KV"), ("mxpf4", "mxfp4")],
)
def test_formats_that_are_none(text: str, match: str) -> None:
    with pytest.raises(AccelsimError, match=match):
        combinations(text)


def test_synthetic_weights_print_no_perplexity(found: Accuracy) -> None:
    assert found.synthetic
    assert not {"perplexity", "bits_per_token", "nll_minus_fp64"} & set(found.formats.columns)
    assert found.formats["kl_nats"].notna().all()


def test_fewer_bits_are_more_noise_and_less_time(found: Accuracy) -> None:
    frame = found.formats.set_index("formats")
    noise = frame.loc[["bf16", "int8_channel", "int4_channel"], "sqnr_logits_db"]
    assert list(noise) == sorted(noise, reverse=True)
    kl = frame.loc[["bf16", "int8_channel", "int4_channel"], "kl_nats"]
    assert list(kl) == sorted(kl)
    time = frame.loc[["int4_channel", "int8_channel", "bf16"], "time_per_token_s"]
    assert list(time) == sorted(time)
    assert frame.loc["mxfp4/mxfp8_e4m3/fp8_e4m3", "kv_bytes_per_token"] * 2 == frame.loc["bf16", "kv_bytes_per_token"]


def test_noise_is_known_for_every_operator_of_every_layer(found: Accuracy) -> None:
    frame = found.operators
    assert set(frame["layer"]) == {-1, 0, 1}
    rows = frame[(frame["operator"] == "attention.qkv_proj") & (frame["formats"] == "bf16")]
    assert len(rows) == 2 * 3  # layers, and q, k and v
    name, db = found.worst(found.rows[2])[0]
    assert name.startswith("layer ")
    assert db == frame[(frame["formats"] == "int4_channel") & (frame["layer"] >= 0)]["sqnr_db"].min()


def test_float64_has_no_error(config: Path) -> None:
    made = accuracy(config, "fp32/fp32/fp32", numerics="fp64", limit=32, window=16)
    row = made.rows[0].measured
    assert row is not None
    assert row.nll_minus_reference == pytest.approx(0.0, abs=1e-6)
    assert row.top1 == 1.0


def test_what_orders_of_sums_do_is_told_apart_from_formats() -> None:
    made = accuracy("tiny-llama", "bf16,mxfp4", on=["h100-sxm", "gddr6-aim-32ch"], limit=64, window=64)
    frame = made.formats.set_index(["chip", "formats"])
    exact, noise = frame["sqnr_logits_to_exact_db"], frame["sqnr_logits_db"]
    assert exact["h100-sxm", "mxfp4"] > noise["h100-sxm", "mxfp4"] + 12
    assert 30 < exact["h100-sxm", "bf16"] < 80
    # a tree whose sums are rounded to bf16 is further from exact sums than a tensor core
    assert exact["gddr6-aim-32ch", "bf16"] < exact["h100-sxm", "bf16"] - 3
    assert "nll_minus_exact" not in frame
    each = made.operators[made.operators["formats"] == "bf16"].set_index(["chip", "layer", "operator"])
    assert each.loc[("h100-sxm", -1, "embedding"), "sqnr_to_exact_db"] == math.inf  # nothing is added up there


def test_exact_sums_are_no_different_from_themselves(config: Path) -> None:
    settings = {"limit": 64, "window": 16, "exact_difference": True}
    made = accuracy(config, "bf16,mxfp4/mxfp8_e4m3", numerics="exact", **settings)
    assert set(made.formats["nll_minus_exact"]) == {0.0}
    assert set(made.operators["sqnr_to_exact_db"]) == {math.inf}
    fp32 = accuracy(config, "fp32/fp32/fp32", numerics="fp32", **settings).formats.iloc[0]
    assert 0 < abs(fp32["nll_minus_exact"]) < 0.05
    assert fp32["exact_standard_error"] > 0
    assert 100 < fp32["sqnr_logits_to_exact_db"] < 150
    wide = accuracy(config, "fp32/fp32/fp32", numerics="fp64", **settings).formats.iloc[0]
    assert math.isnan(wide["nll_minus_exact"])


def test_likelihoods_by_the_definition() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 7)) * 4
    want = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(log_softmax(logits), want, atol=1e-12)
    assert sqnr_db(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(20.0)
    assert sqnr_db(np.ones(2), np.ones(2)) == math.inf


def test_finished_formats_are_not_run_again(config: Path, tmp_path: Path, found: Accuracy) -> None:
    kept = tmp_path / "kept.json"
    first = accuracy(config, "bf16", on="h100-sxm", limit=64, window=32, resume=kept)
    seen: list[str] = []
    again = accuracy(
        config, FORMATS, on="h100-sxm", limit=64, window=32, resume=kept, progress=lambda name, *_: seen.append(name)
    )
    assert "bf16" not in seen
    assert "int8_channel" in seen
    assert again.rows[0].measured == first.rows[0].measured
    assert again.formats.equals(found.formats)
    with pytest.raises(AccelsimError, match="another model or text"):
        accuracy(config, "bf16", on="h100-sxm", limit=32, window=32, resume=kept)
    kept.write_text("[]")
    with pytest.raises(AccelsimError, match="no file of finished formats"):
        accuracy(config, "bf16", limit=64, window=32, resume=kept)


def test_several_chips_are_rows_of_one_table(config: Path, found: Accuracy) -> None:
    made = accuracy(config, "bf16,int4_channel", on=["h100-sxm", "a100-sxm-80gb"], limit=64, window=32)
    assert list(made.formats["chip"]) == ["h100-sxm"] * 2 + ["a100-sxm-80gb"] * 2
    assert made.rows[1].measured == found.rows[2].measured
    assert made.rows[0].price != made.rows[2].price
    with pytest.raises(AccelsimError, match="different chips"):
        accuracy(config, "bf16", on=["h100-sxm", "h100-sxm"])


def test_all_layers_have_the_format_of_the_weights(config: Path, found: Accuracy) -> None:
    made = accuracy(config, "int4_channel", on="h100-sxm", limit=64, window=32, all_layers=True).rows[0]
    usual = found.rows[2]
    assert made.measured is not None and usual.measured is not None  # noqa: PT018
    assert made.measured.kl > usual.measured.kl
    assert made.price is not None and usual.price is not None  # noqa: PT018
    assert made.price.energy_j < usual.price.energy_j
    plan = plan_for(shape_of(config), combinations("int4_channel")[0], on="h100-sxm", all_layers=True)
    weights = {t.storage.name for _, t in plan.lines() if t.role is Role.WEIGHT and t.storage}
    assert weights == {"int4_channel"}


def test_the_order_of_formats_changes_nothing(config: Path, found: Accuracy) -> None:
    reverse = accuracy(config, ",".join(reversed(FORMATS.split(","))), on="h100-sxm", limit=64, window=32)
    assert {row.name: row.measured for row in reverse.rows} == {row.name: row.measured for row in found.rows}


def test_a_format_without_a_way_is_a_row_with_a_reason(config: Path) -> None:
    made = accuracy(config, "fp16,mxfp4", on="ipu-mk2-8", limit=32, window=16)
    assert made.rows[1].measured is None
    assert "mxfp4" in made.formats["problem"][1]


def test_frames_are_written(found: Accuracy, tmp_path: Path) -> None:
    (document,) = found.write(tmp_path / "a.json")
    assert json.loads(document.read_text())["formats"][0]["formats"] == "bf16"
    assert [path.name for path in found.write(tmp_path / "b.csv")] == ["b-formats.csv", "b-operators.csv"]
    with pytest.raises(AccelsimError, match=r"\.json, \.csv"):
        found.write(tmp_path / "c.txt")


@pytest.mark.parametrize("kind", accuracy_picture.KINDS)
def test_pictures(found: Accuracy, tmp_path: Path, kind: str) -> None:
    accuracy_picture.draw(found, kind, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000
    with pytest.raises(AccelsimError, match="pareto, layers"):
        accuracy_picture.draw(found, "pie")


def test_the_front() -> None:
    assert accuracy_picture.front([(3.0, 1.0), (1.0, 3.0), (2.0, 4.0), (2.0, 2.0)]) == [1, 3, 0]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"limit": 8, "window": 16}, "one window"), ({"weights": "/nowhere"}, "nowhere|tokens"),
        ({"tokens": "/nowhere"}, "no file"),
    ],
)  # fmt: skip
def test_bad_input(config: Path, settings: dict[str, object], match: str) -> None:
    with pytest.raises(AccelsimError, match=match):
        subject(config, **settings)  # type: ignore[arg-type]


def test_text_needs_a_model_of_bytes(config: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(b"x" * 600)
    with pytest.raises(AccelsimError, match="61 tokens"):
        subject(config, tokens=text)
    np.save(tmp_path / "t.npy", np.arange(60))
    assert subject(config, tokens=tmp_path / "t.npy", window=20, limit=60).windows.shape == (3, 20)
    np.save(tmp_path / "f.npy", np.ones(60))
    with pytest.raises(AccelsimError, match="whole numbers"):
        subject(config, tokens=tmp_path / "f.npy", window=20, limit=60)
