"""Methods on the shipped model with outliers, each in its own setting: less divergence than rounding to nearest.

What methods choose, they choose by 2,048 tokens of the calibration text; they are judged on held-out text.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from accelsim import catalog
from accelsim.accuracy.combinations import combination
from accelsim.accuracy.report import Accuracy
from accelsim.accuracy.run import accuracy, plan_for
from accelsim.accuracy.subject import shape_of
from accelsim.cli import app
from accelsim.errors import AccelsimError
from accelsim.graph.operator import Role

CHIPS = catalog.names("arch")
OUTLIERS = "tiny-llama-outliers"
SETTINGS = {
    "clip": "int3_tensor", "gptq": "int3_tensor", "awq": "int3_channel", "smooth": "int8_channel/int8_tensor",
    "rotate": "int8_channel/int8_tensor", "kivi": "bf16/bf16/uint2_g32_zp", "ant": "int4_tensor",
    "olive": "int4_tensor", "split": "int8_channel/int8_channel",
}  # fmt: skip
"""Where each of them belongs: weights with one scale, activations with outliers, a KV cache of two bits."""


def judged(method: str, limit: int, formats: str = "", **settings: object) -> tuple[float, float]:
    """Divergence from float64 of rounding to nearest and of the method, nats per token."""
    formats = formats or SETTINGS[method]
    found = accuracy(OUTLIERS, formats, method=["rtn", method], limit=limit, **settings)  # type: ignore[arg-type]
    nearest, other = (row.measured.kl for row in found.rows if row.measured)
    return nearest, other


@pytest.mark.parametrize("method", ["split", "olive"])
def test_it_improves_on_rounding_to_nearest_on_a_little_text(method: str) -> None:
    nearest, other = judged(method, 256)
    assert other < nearest


@pytest.mark.long
@pytest.mark.parametrize("method", SETTINGS)
def test_it_improves_on_rounding_to_nearest(method: str) -> None:
    nearest, other = judged(method, 4096)
    assert other < nearest


@pytest.mark.long
@pytest.mark.parametrize("formats", ["int2_g32", "int2_channel", "int3_g32", "int4_g32"])
def test_gptq_improves_on_it_at_all_widths(formats: str) -> None:
    nearest, other = judged("gptq", 2048, formats)
    assert other < 0.7 * nearest


@pytest.fixture(scope="module")
def several() -> Accuracy:
    return accuracy(
        OUTLIERS, "int8_channel/int8_channel", method="rtn,rotate,kivi,split", on="h100-sxm", limit=32, window=16
    )


def test_a_row_for_every_format_and_method(several: Accuracy) -> None:
    assert list(several.formats["method"]) == ["rtn", "rotate", "kivi", "split"]
    assert several.rows[2].measured is None
    assert "uint2_g32_zp" in several.formats["problem"][2]
    assert several.rows[0].measured is not None
    assert several.rows[1].measured is not None
    # noise of operators is that of the rotated function, not the difference of two functions
    noise = [row.measured.sqnr_db for row in several.rows if row.measured]
    hidden = [key for key in noise[0] if key[2] == "hidden" and key[1] is not None]
    assert hidden
    assert all(noise[1][key] > 10 for key in hidden)
    # what is executed and not priced is said
    assert "not priced" in several.formats["note"][3]
    assert several.rows[3].price == several.rows[0].price


def test_methods_that_change_formats_are_priced_in_them() -> None:
    found = accuracy(OUTLIERS, "int4_tensor", method="rtn,olive", on="h100-sxm", limit=16, window=16)
    assert [row.bits_per_weight for row in found.rows] == [4.0, 4.0]
    assert "weights in olive4" in found.rows[1].note
    plan = plan_for(shape_of(OUTLIERS), combination("int4_tensor"), on="h100-sxm", method="olive")
    assert "olive4" in {t.storage.name for _, t in plan.lines() if t.role is Role.WEIGHT and t.storage}


def test_finished_methods_are_not_run_again(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    settings = {"limit": 32, "window": 16, "resume": kept}
    first = accuracy(OUTLIERS, "int4_tensor", method="rtn,rotate", **settings)  # type: ignore[arg-type]
    seen: list[str] = []
    again = accuracy(
        OUTLIERS, "int4_tensor", method="rotate,rtn", progress=lambda name, *_: seen.append(name), **settings  # type: ignore[arg-type]
    )  # fmt: skip
    assert not seen
    assert [row.measured for row in again.rows] == [row.measured for row in reversed(first.rows)]
    assert first.rows[0].measured != first.rows[1].measured


def test_static_scales_name_their_text() -> None:
    found = accuracy(OUTLIERS, "int8_channel/int8_tensor", scales="static", on="h100-sxm", limit=32, window=16)
    row = found.rows[0]
    assert "static scales of 2,048 tokens of calibration text" in row.note
    assert row.measured is not None
    assert row.price is not None
    dynamic = accuracy(OUTLIERS, "int8_channel/int8_tensor", on="h100-sxm", limit=32, window=16).rows[0]
    assert dynamic.price is not None
    assert row.price.time_s < dynamic.price.time_s  # no pass of its own
    assert not any("prefill and decode differ" in text for text in row.measured.warnings)


def test_the_command_names_methods_and_refuses_others() -> None:
    asked = ["accuracy", OUTLIERS, "--formats", "int4_tensor", "--limit", "16", "--window", "16", "--method"]
    done = CliRunner().invoke(app, [*asked, "rtn,clip"])
    assert done.exit_code == 0, done.output
    assert any("method" in line and "perplexity" in line for line in done.stdout.splitlines())
    assert "int4_tensor, clip: weights: scales of least squared error" in done.stdout
    with pytest.raises(AccelsimError, match="nearest: clip"):
        CliRunner().invoke(app, [*asked, "clipp"], catch_exceptions=False)
    none = CliRunner().invoke(app, [*asked, "kivi"])
    assert none.exit_code == 1
    assert "kivi chooses scales of a KV cache" in none.stdout
    with pytest.raises(AccelsimError, match="none is named"):
        accuracy(OUTLIERS, "bf16", method=" , ")
    with pytest.raises(AccelsimError, match="leave method out"):
        accuracy(OUTLIERS, "bf16,int8_channel", method="clip", search=0.1)


@pytest.mark.long
@pytest.mark.parametrize("chip", sorted(CHIPS))
def test_int8_has_a_row_or_a_reason_on_every_chip(chip: str) -> None:
    try:
        found = accuracy("tiny-llama", "int8/int8/int8,int8,bf16,fp16/fp16/fp16", on=chip, limit=64, window=64)
    except AccelsimError as error:
        assert "models run on chips" in str(error) or "LLM-Viewer" in str(error)  # noqa: PT017
        return
    done = [row.name for row in found.rows if row.measured]
    assert done
    assert all(row.problem for row in found.rows if not row.measured)
