"""The llm-viewer convention through `simulate`: the survey's numbers come out of the public call."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from accelsim.errors import RequestError
from accelsim.simulation import simulate

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "survey" / "llm_viewer_totals.csv"
MODELS = {"7b": "llama-2-7b", "13b": "llama-2-13b", "70b": "llama-2-70b"}
CHIPS = {
    "nvidia_A6000": "llm-viewer-a6000",
    "nvidia_A100_80G": "llm-viewer-a100-80g",
    "nvidia_H100": "llm-viewer-h100",
}


def test_llama_2_7b_on_a6000_as_the_tool_prints_it() -> None:
    """Totals of LLM-Viewer at 472f71f for batch 1, 2,048 tokens, 16 bits (own run, shared research notes 3.1)."""
    summary = simulate(
        "llama-2-7b", "llm-viewer-a6000", convention="llm-viewer", fidelity="roofline", generate=2
    ).summary
    assert summary["prefill_time_s"] == pytest.approx(0.2268786, rel=1e-6)
    assert summary["time_per_output_token_s"] == pytest.approx(0.0186369, rel=2e-6)
    assert summary["fits"] is True


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference folder is not beside this checkout")
def test_all_420_totals() -> None:
    with REFERENCE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 420
    for row in rows:
        run = simulate(
            MODELS[row["model"]],
            CHIPS[row["hw"]],
            convention="llm-viewer",
            fidelity="roofline",
            batch=int(row["batch"]),
            prompt=int(row["seq"]),
            generate=2,
            weights=f"int{row['w']}",
            activations=f"int{row['a']}",
            kv_cache=f"int{row['kv']}",
            flash=row["flash"] == "True",
        )
        phase = next(p for p in run.rows("phases") if p["phase"] == row["stage"])
        memory = next(p for p in run.rows("memory") if p["phase"] == row["stage"])
        assert phase["time_s"] == pytest.approx(float(row["inference_time"]), rel=1e-9)
        assert phase["flops"] == pytest.approx(float(row["OPs"]), rel=1e-9)
        assert phase["bytes"] == pytest.approx(float(row["memory_access"]), rel=1e-9)
        assert memory["peak_bytes"] == pytest.approx(float(row["memory_consumption"]), rel=1e-9)


def test_several_decode_steps_read_a_growing_cache() -> None:
    """Step i reads prompt + i - 1 positions; the sum over a request equals the steps one by one."""
    request = {"convention": "llm-viewer", "fidelity": "roofline"}
    whole = simulate("llama-2-7b", "llm-viewer-a6000", prompt=100, generate=5, **request).summary  # type: ignore[arg-type]
    steps = [
        simulate("llama-2-7b", "llm-viewer-a6000", prompt=100 + i, generate=2, **request).summary["decode_time_s"]  # type: ignore[arg-type]
        for i in range(4)
    ]
    assert whole["decode_time_s"] == pytest.approx(sum(steps), rel=1e-12)


def test_what_does_not_fit_is_reported_and_priced() -> None:
    run = simulate("llama-2-70b", "llm-viewer-a6000", convention="llm-viewer", fidelity="roofline")
    assert run.ok
    assert run.summary["fits"] is False
    assert run.summary["total_time_s"] > 0
    assert "does not fit" in run.warnings[0]


def test_it_prices_our_own_chips_by_their_few_figures() -> None:
    ours = simulate("llama-2-7b", "a100-sxm-80gb", convention="llm-viewer", fidelity="roofline", generate=2).summary
    theirs = simulate(
        "llama-2-7b", "llm-viewer-a100-80g", convention="llm-viewer", fidelity="roofline", generate=2
    ).summary
    assert ours["prefill_time_s"] == pytest.approx(theirs["prefill_time_s"], rel=1e-3)


def test_events_are_bad_input() -> None:
    with pytest.raises(
        RequestError, match=r"convention 'llm-viewer' is a roofline, fidelity is 'event'.*--fidelity roofline"
    ):
        simulate("llama-2-7b", "llm-viewer-a6000", convention="llm-viewer")


def test_its_chips_run_in_its_convention_only() -> None:
    with pytest.raises(RequestError, match="carries only the figures of LLM-Viewer: use convention llm-viewer"):
        simulate("llama-2-7b", "llm-viewer-a6000")
