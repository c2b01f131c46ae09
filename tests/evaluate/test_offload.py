"""A GPU that leaves tensors with its host: what that costs in time, memory, energy, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import accelsim
from accelsim.errors import RequestError, UnknownNameError

HOST = "xeon-silver-4215-2s"
SMALL: dict[str, Any] = {"prompt": 256, "generate": 3}
LINK = 32e9
"""PCIe 4 of the A6000, slower than the memory of its host."""


def run(offload: Any = (), **request: Any) -> accelsim.Run:
    kept = {"offload": offload, "host": HOST} if offload else {}
    return accelsim.simulate("gpt2-xl", "a6000", **{**SMALL, **kept, **request})


@pytest.fixture(scope="module", params=["roofline", "event"])
def runs(request):
    fidelity = request.param
    return {what: run(what, fidelity=fidelity) for what in ("", "weights", "kv_cache", ("weights", "kv_cache"))}


def link(found: accelsim.Run) -> dict[str, Any]:
    return next(row for row in found.rows("resources") if row["resource"] == "host.link")


def test_weights_pass_over_the_link_once_in_every_pass(runs):
    weights = sum(row["weight_bytes"] for row in runs["weights"].rows("operators"))
    assert link(runs["weights"])["bytes"] == pytest.approx(weights, rel=1e-6)
    assert runs["weights"].summary["decode_time_s"] == pytest.approx(
        sum(row["weight_bytes"] for row in runs["weights"].rows("operators") if row["phase"] == "decode") / LINK,
        rel=0.08,
    )


def test_projections_are_bound_by_the_link(runs):
    bound = {row["name"]: row["bound"] for row in runs["weights"].rows("operators") if row["phase"] == "decode"}
    assert bound["layers.attention.qkv_proj"] == bound["layers.mlp.down_proj"] == "link"
    assert bound["layers.attention.attend"] != "link"
    attention = next(row for row in runs["kv_cache"].rows("operators") if row["name"] == "layers.attention.attend")
    assert attention["bytes"] > 0
    assert link(runs["kv_cache"])["bytes"] > 0


def test_device_memory_holds_buffers_instead(runs):
    full, kept = (runs[what].rows("memory")[-1] for what in ("", "weights"))
    assert kept["weights_bytes"] < 0.2 * full["weights_bytes"]
    assert kept["kv_cache_bytes"] == full["kv_cache_bytes"]
    assert runs["weights"].summary["peak_memory_bytes"] == max(r["peak_bytes"] for r in runs["weights"].rows("memory"))
    assert runs["weights"].summary["weights_bytes"] == kept["weights_bytes"]


def test_copies_go_through_device_memory_and_are_paid_for(runs):
    plain, kept = runs[""], runs["weights"]
    more = kept.summary["dram_bytes"] - plain.summary["dram_bytes"]
    assert more == pytest.approx(link(kept)["bytes"], rel=0.01)
    assert kept.summary["energy_link_j"] == pytest.approx(link(kept)["bytes"] * 8 * 1.3e-12, rel=1e-6)
    assert plain.summary["energy_link_j"] == 0


def test_both_take_at_least_as_long_as_either(runs):
    both = runs[("weights", "kv_cache")].summary["decode_time_s"]
    assert both >= max(runs[what].summary["decode_time_s"] for what in ("weights", "kv_cache"))
    assert runs["kv_cache"].summary["decode_time_s"] > runs[""].summary["decode_time_s"]


def test_events_never_beat_the_roofline():
    roofline, event = (run("weights", fidelity=fidelity).summary for fidelity in ("roofline", "event"))
    assert 1 <= event["decode_time_s"] / roofline["decode_time_s"] < 1.2


def test_a_board_at_its_limit_slows_neither_the_link_nor_saves_its_energy():
    kept, held = (run("kv_cache", prompt=1024, overrides={"power.limit": limit}) for limit in ("300 W", "150 W"))
    assert held.summary["prefill_time_s"] > 1.1 * kept.summary["prefill_time_s"]
    assert link(held)["busy_s"] == pytest.approx(link(kept)["busy_s"], rel=1e-6)
    assert link(held)["bytes"] == link(kept)["bytes"]
    assert held.summary["energy_link_j"] == kept.summary["energy_link_j"]


def test_one_gpu_keeps_its_tensors_with_a_host():
    found = run("weights", fidelity="roofline", chips=2)
    assert found.infeasible is not None
    assert found.infeasible.kind == "unsupported"
    assert "chips = 1" in found.infeasible.levers
    assert run("weights", fidelity="roofline", chips="auto").request.chip == "a6000"


def test_the_slower_of_link_and_host_memory_sets_the_rate():
    slow = run("weights", fidelity="roofline", overrides={"link.1.bandwidth": "1 TB/s"})
    assert pytest.approx(link(slow)["bytes"] / link(slow)["busy_s"], rel=1e-6) == 230.4e9


def test_what_does_not_fit_the_card_fits_with_its_host():
    asked: dict[str, Any] = {"prompt": 128, "generate": 2, "fidelity": "roofline"}
    assert not accelsim.simulate("llama-2-70b", "a6000", **asked).ok
    assert accelsim.simulate("llama-2-70b", "a6000", offload="weights", host=HOST, **asked).ok


def test_what_does_not_fit_the_host_is_told():
    found = accelsim.simulate(
        "bloom-176b", "a6000", prompt=128, generate=2, fidelity="roofline", offload="weights", host=HOST
    )
    assert found.infeasible is not None
    assert HOST in found.infeasible.reason
    assert found.infeasible.kind == "capacity"


@pytest.mark.parametrize(
    ("on", "asked", "error", "words"),
    [
        ("a6000", {"offload": "weights"}, RequestError, "name the host"),
        ("a6000", {"offload": "weigths", "host": HOST}, UnknownNameError, "weights"),
        ("a6000", {"offload": "weights", "host": "h100-sxm"}, RequestError, "family cpu"),
        ("a6000", {"host": HOST}, RequestError, "offload"),
        ("groq-lpu-8", {"offload": "weights", "host": HOST}, RequestError, "GPUs fetch"),
        ("llm-viewer-a6000", {"offload": "weights", "host": HOST}, RequestError, "GPUs fetch"),
    ],
)
def test_what_cannot_be_kept_is_refused(on, asked, error, words):
    with pytest.raises(error, match=words):
        accelsim.simulate("gpt2-xl", on, **SMALL, **asked)


def test_the_survey_s_convention_has_no_host():
    with pytest.raises(RequestError, match="llm-viewer has no host"):
        run("weights", convention="llm-viewer", fidelity="roofline")
