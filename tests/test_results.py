"""The public contract of a run: columns, types, sums, definitions, and exports that read back equal."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import accelsim
from accelsim import simulate, simulate_operator
from accelsim.energy import COMPONENTS
from accelsim.errors import AccelsimError, RequestError
from accelsim.graph.operator import Kind
from accelsim.results import BOUNDS, COLUMNS, FRAMES, Run
from accelsim.results import export as export_
from accelsim.results.columns import STATUS, TEXT, TRUTH, WHOLE, kind, unit
from accelsim.spec.request import Request

EXACT = 1e-12  # energies and times are the same numbers added in another order


SHORT = {"prompt": 256, "generate": 4}
MAKE: dict[str, Callable[[], Run]] = {
    "event": lambda: simulate("llama-2-7b", "h100-sxm", batch=2, **SHORT),
    "roofline": lambda: simulate("llama-2-7b", "h100-sxm", batch=2, fidelity="roofline", **SHORT),
    "narrow": lambda: simulate("llama-3-8b", "a100-sxm-80gb", weights="int4", **SHORT),
    "experts": lambda: simulate("mixtral-8x7b", "mi300x", prompt=64, generate=2, routing="zipf:1.0:drawn"),
    "first token": lambda: simulate("gpt2-xl", "a40", prompt=128, generate=1),
    "encoder": lambda: simulate("bert-base", "v100", prompt=128),
    "encoder and decoder": lambda: simulate("t5-xxl", "h100-sxm", prompt=64, generate=3),
    "operator": lambda: simulate_operator("matmul", m=64, n=4096, k=4096, on="a100-sxm-80gb"),
    "llm-viewer": lambda: simulate(
        "llama-2-7b", "llm-viewer-a6000", fidelity="roofline", convention="llm-viewer", generate=2
    ),
    "infeasible": lambda: simulate("llama-2-70b", "h100-sxm"),
}
FEASIBLE = [name for name in MAKE if name != "infeasible"]
EVENT = [name for name in FEASIBLE if name not in ("roofline", "llm-viewer")]
ENERGETIC = [name for name in FEASIBLE if name != "llm-viewer"]


class _Runs(dict[str, Run]):
    """Each run is made when a test first asks for it."""

    def __missing__(self, name: str) -> Run:
        self[name] = MAKE[name]()
        return self[name]


RUNS = _Runs()


@pytest.fixture(params=list(MAKE))
def run(request) -> Run:
    return RUNS[request.param]


@pytest.fixture(params=FEASIBLE)
def feasible(request) -> Run:
    return RUNS[request.param]


@pytest.fixture(params=EVENT)
def event(request) -> Run:
    return RUNS[request.param]


@pytest.fixture(params=ENERGETIC)
def energetic(request) -> Run:
    return RUNS[request.param]


# Columns and types


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_has_exactly_its_columns_in_order(run, name):
    assert list(getattr(run, name).columns) == list(COLUMNS[name])
    assert list(run.summary) == list(COLUMNS["summary"])
    for row in run.rows(name):
        assert set(row) == set(COLUMNS[name])


@pytest.mark.parametrize("name", FRAMES)
def test_cells_are_numbers_or_words_and_nothing_else(run, name):
    frame = getattr(run, name)
    for column in frame:
        cells, wanted = frame[column], kind(name, column)
        if wanted == "text":
            assert all(isinstance(cell, str) and cell for cell in cells), column
        elif wanted == "bool":
            assert cells.dtype == np.dtype(bool)
        elif wanted == "int" and not cells.isna().any():
            assert cells.dtype == np.dtype("int64"), column
        else:
            assert cells.dtype == np.dtype("float64"), column


def test_the_sets_of_typed_columns_name_columns_that_exist():
    everywhere = {column for name in FRAMES for column in COLUMNS[name]}
    assert everywhere >= TEXT
    assert everywhere >= TRUTH
    for name, columns in WHOLE.items():
        assert set(COLUMNS[name]) >= columns


def test_only_counts_that_the_tool_does_not_know_are_no_integers(run):
    unknown = {
        (name, column)
        for name in FRAMES
        for column in WHOLE[name]
        if getattr(run, name)[column].dtype != np.dtype("int64")
    }
    assert unknown == ({("phases", "cycles")} if run is RUNS["llm-viewer"] else set())


def test_words_come_from_the_fixed_vocabularies(feasible):
    operators = feasible.operators
    assert set(operators["bound"]) <= set(BOUNDS)
    assert set(operators["status"]) <= set(STATUS)
    assert set(feasible.resources["unit"]) <= {"B", "clk", "ps"}
    for name in ("phases", "operators", "memory", "timeline"):
        assert set(getattr(feasible, name)["phase"]) <= {"prefill", "decode", "operator"}


@pytest.mark.parametrize("name", ENERGETIC)
def test_kinds_are_those_of_the_graph(name):
    assert set(RUNS[name].operators["kind"]) <= {str(kind) for kind in Kind}


def test_the_summary_cannot_be_changed(run):
    with pytest.raises(TypeError):
        run.summary["energy_j"] = 0.0


def test_summary_values_are_plain_python_numbers(run):
    assert {type(value) for value in run.summary.values()} <= {int, float, bool}


def test_frames_carry_their_units(feasible):
    attrs = feasible.operators.attrs
    assert (attrs["schema"], attrs["frame"]) == (1, "operators")
    assert attrs["units"]["time_s"] == "s"
    assert attrs["units"]["intensity_flops_per_byte"] == "FLOP/B"
    assert "bound" not in attrs["units"]


@pytest.mark.parametrize(
    ("column", "symbol"),
    [
        ("time_per_output_token_s", "s/token"), ("decode_tokens_per_s", "token/s"), ("energy_per_token_j", "J/token"),
        ("achieved_bandwidth_bytes_per_s", "B/s"), ("average_power_w", "W"), ("start_ps", "ps"), ("cycles", "clk"),
        ("energy_l2_j", "J"), ("steps", ""), ("utilization", ""), ("dram_bytes", "B"), ("flops", "FLOP"),
    ],
)  # fmt: skip
def test_the_unit_is_read_from_the_name(column, symbol):
    assert unit(column) == symbol


def test_no_two_columns_of_one_name_disagree_about_their_unit_of_text():
    for name in FRAMES:
        for column in COLUMNS[name]:
            assert (kind(name, column) != "text") or unit(column) == ""


# Sums


def test_operators_add_up_to_their_phase(feasible):
    for phase in feasible.rows("phases"):
        mine = feasible.operators[feasible.operators["phase"] == phase["phase"]]
        assert len(mine)
        for column in ("flops", "bytes", "dram_bytes"):
            assert math.fsum(mine[column]) == pytest.approx(phase[column], rel=EXACT)
        assert math.fsum(mine["time_s"]) == pytest.approx(phase["time_s"], rel=EXACT)


def test_bytes_of_an_operator_are_its_roles_together(feasible):
    operators = feasible.operators
    parts = operators[["weight_bytes", "kv_bytes", "activation_bytes"]].sum(axis=1)
    assert np.allclose(parts, operators["bytes"], rtol=EXACT, atol=0)


def test_energy_of_operators_and_static_energy_make_the_phase(energetic):
    for phase in energetic.rows("phases"):
        mine = energetic.operators[energetic.operators["phase"] == phase["phase"]]
        total = math.fsum(mine["energy_j"]) + phase["energy_static_j"]
        assert total == pytest.approx(phase["energy_j"], rel=EXACT)


def test_energy_adds_up_by_component_phase_and_resource(energetic):
    summary = energetic.summary
    whole = pytest.approx(summary["energy_j"], rel=EXACT)
    assert math.fsum(summary[f"energy_{name}_j"] for name in COMPONENTS) == whole
    assert math.fsum(energetic.phases["energy_j"]) == whole
    assert math.fsum(energetic.resources["energy_j"]) == whole
    for name in COMPONENTS:
        parts = math.fsum(energetic.phases[f"energy_{name}_j"])
        assert parts == pytest.approx(summary[f"energy_{name}_j"], rel=EXACT)


def test_the_timeline_adds_up_to_the_resources(event):
    timeline, repeat = event.timeline, event.timeline["repeat"]
    for row in event.rows("resources"):
        mine = timeline["resource"] == row["resource"]
        busy_ps = ((timeline["end_ps"] - timeline["start_ps"]) * repeat)[mine].sum()
        assert busy_ps == round(row["busy_s"] * 1e12), row["resource"]
        assert (timeline["bytes"] * repeat)[mine].sum() == row["bytes"]
        assert (timeline["amount"] * repeat)[mine].sum() == row["amount"]
        # an energy that no interval of the resource carries would be missing here
        assert math.fsum((timeline["energy_j"] * repeat)[mine]) == pytest.approx(row["energy_j"], rel=EXACT)


def test_nothing_is_busy_longer_than_the_run_and_no_rate_is_exceeded(event):
    resources = event.resources
    assert (resources["busy_s"] <= event.summary["total_time_s"] * (1 + EXACT)).all()
    assert (resources["utilization"] <= 1 + 1e-9).all()


def test_intervals_of_a_resource_do_not_overlap(event):
    for _, mine in event.timeline.groupby("resource"):
        ordered = mine.sort_values("start_ps")
        assert (ordered["start_ps"].to_numpy()[1:] >= ordered["end_ps"].to_numpy()[:-1]).all()


def test_device_memory_moves_what_the_operators_move(event):
    memory = event.resources.set_index("resource").loc["chip.memory"]
    assert memory["bytes"] == pytest.approx(event.summary["dram_bytes"], rel=EXACT)


# Definitions


def test_the_definitions_of_the_summary(feasible):
    s, asked = feasible.summary, feasible.request
    assert s["time_to_first_token_s"] == s["prefill_time_s"] == feasible.phases["time_s"][0]
    assert s["total_time_s"] == pytest.approx(s["prefill_time_s"] + s["decode_time_s"], rel=EXACT)
    tokens = asked.batch * (asked.generate or asked.prompt)
    assert s["tokens_per_s"] == pytest.approx(tokens / s["total_time_s"], rel=EXACT)
    assert s["achieved_bandwidth_bytes_per_s"] == pytest.approx(s["dram_bytes"] / s["total_time_s"], rel=EXACT)
    if asked.generate > 1:
        per_token = s["decode_time_s"] / (asked.generate - 1)
        assert s["time_per_output_token_s"] == pytest.approx(per_token, rel=EXACT)
        assert s["decode_tokens_per_s"] == pytest.approx(asked.batch / per_token, rel=EXACT)
    assert s["fits"] is (s["peak_memory_bytes"] <= s["memory_capacity_bytes"])
    assert s["peak_memory_bytes"] == feasible.memory["peak_bytes"].max()


def test_energy_power_and_cycles(energetic):
    s, asked = energetic.summary, energetic.request
    tokens = asked.batch * (asked.generate or asked.prompt)
    assert s["energy_per_token_j"] == pytest.approx(s["energy_j"] / tokens, rel=EXACT)
    assert s["average_power_w"] == pytest.approx(s["energy_j"] / s["total_time_s"], rel=EXACT)
    clock_hz = accelsim.chip(asked.chip).clock.sm.frequency_hz
    assert s["cycles"] == round(s["total_time_s"] * clock_hz)
    assert s["power_excess_w"] == max(0.0, *(energetic.phases["average_power_w"] - s["power_limit_w"]))


def test_ratios_of_rows(feasible):
    for frame in (feasible.phases, feasible.operators):
        assert np.allclose(frame["achieved_flops_per_s"], frame["flops"] / frame["time_s"], rtol=EXACT, atol=0)
        assert np.allclose(frame["achieved_bytes_per_s"], frame["dram_bytes"] / frame["time_s"], rtol=EXACT, atol=0)
    operators = feasible.operators
    intensity = operators["flops"] / operators["bytes"]
    assert np.allclose(operators["intensity_flops_per_byte"], intensity, rtol=EXACT, atol=0)


def test_memory_is_what_it_holds(run):
    memory = run.memory
    assert len(memory)
    parts = memory[["weights_bytes", "kv_cache_bytes", "activations_bytes"]].sum(axis=1)
    assert np.allclose(parts, memory["peak_bytes"], rtol=EXACT, atol=0)
    assert (memory["fits"] == (memory["peak_bytes"] <= memory["capacity_bytes"])).all()


@pytest.mark.parametrize("name", ["first token", "encoder", "operator"])
def test_without_decode_steps_there_is_no_time_per_token(name):
    run = RUNS[name]
    assert len(run.phases) == 1
    assert run.summary["decode_time_s"] == 0.0
    assert math.isnan(run.summary["time_per_output_token_s"])
    assert math.isnan(run.summary["decode_tokens_per_s"])
    assert run.summary["tokens_per_s"] > 0
    assert run.summary["energy_per_token_j"] > 0


def test_a_model_that_generates_nothing_counts_prompt_tokens():
    run = RUNS["encoder"]
    assert run.request.generate == 0
    assert run.summary["tokens_per_s"] == pytest.approx(128 / run.summary["total_time_s"])
    assert run.memory["kv_cache_bytes"].tolist() == [0.0]


def test_event_and_roofline_give_the_same_rows_and_the_same_work():
    event, roofline = RUNS["event"], RUNS["roofline"]
    keys = ["phase", "name", "kind", "count"]
    assert event.operators[keys].equals(roofline.operators[keys])
    for column in ("flops", "bytes", "weight_bytes", "kv_bytes", "activation_bytes"):
        assert np.allclose(event.operators[column], roofline.operators[column], rtol=EXACT, atol=0)
    assert event.resources["resource"].isin(roofline.resources["resource"]).sum() >= 5
    assert roofline.timeline.empty
    assert roofline.summary["events"] == 0
    assert event.summary["total_time_s"] > roofline.summary["total_time_s"]


def test_roofs_are_peak_rates_that_nothing_exceeds(feasible):
    roofs = dict(feasible.roofs)
    bandwidth = roofs.pop("memory")
    assert (feasible.operators["achieved_bytes_per_s"] <= bandwidth * (1 + 1e-9)).all()
    assert (feasible.operators["achieved_flops_per_s"] <= max(roofs.values()) * (1 + 1e-9)).all()


def test_roofs_name_the_pairs_that_were_used():
    assert set(RUNS["event"].roofs) == {"memory", "vector", "bf16 x bf16"}
    chip = accelsim.chip("h100-sxm")
    assert RUNS["event"].roofs["memory"] == chip.memory.bandwidth_bytes_per_s
    assert RUNS["event"].roofs["bf16 x bf16"] == pytest.approx(989.4e12, rel=1e-3)  # H100 data sheet
    assert set(RUNS["llm-viewer"].roofs) == {"memory", "fp16 x fp16"}


# A run that did not take place


def test_an_infeasible_run_has_empty_frames_of_the_right_types_and_its_memory():
    run = RUNS["infeasible"]
    assert (run.ok, run.status) == (False, "infeasible")
    for name in ("phases", "operators", "resources", "timeline"):
        frame = getattr(run, name)
        assert frame.empty
        assert list(frame.columns) == list(COLUMNS[name])
        for column in WHOLE[name]:
            assert frame[column].dtype == np.dtype("int64")
    assert not run.memory["fits"].any()
    assert run.summary["fits"] is False
    assert math.isnan(run.summary["total_time_s"])
    assert run.summary["peak_memory_bytes"] > run.summary["memory_capacity_bytes"]
    assert run.roofs == {}


def test_pictures_of_a_run_that_did_not_take_place_are_refused():
    with pytest.raises(AccelsimError, match=r"nothing to draw: the run is infeasible, .*weights.*do not fit"):
        RUNS["infeasible"].plot.roofline()


# Text


def test_the_short_form_says_what_ran_and_what_came_out():
    text = repr(RUNS["event"])
    assert text.startswith("<Run llama-2-7b on h100-sxm, batch 2, prompt 256, generate 4, event: first token after ")
    assert " per token, " in text
    assert " tokens/s, " in text
    assert text.endswith(" J>")
    assert "infeasible, 138 GB of weights" in repr(RUNS["infeasible"])
    assert "nan" not in repr(RUNS["encoder"]) + repr(RUNS["llm-viewer"]) + repr(RUNS["first token"])
    assert len(text) < 200


def test_an_unknown_frame_is_named_with_the_nearest_one():
    with pytest.raises(RequestError, match=r"no frame 'operator'.*did you mean 'operators'"):
        RUNS["event"].rows("operator")


# Exports


def _read_back(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype=frame.dtypes.to_dict())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_frames_read_back_equal(run, suffix, tmp_path):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    written = run.write(tmp_path / f"run{suffix}")
    assert [path.name for path in written] == [f"run-{name}{suffix}" for name in ("summary", *FRAMES)]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    for path, name in zip(written[1:], FRAMES, strict=True):
        frame = getattr(run, name)
        pd.testing.assert_frame_equal(_read_back(path, frame), frame, check_exact=True)
    row = _read_back(written[0], run.summary_frame())
    pd.testing.assert_frame_equal(row, run.summary_frame(), check_exact=True)
    assert row["model"][0] == run.request.model
    assert row["status"][0] == run.status


def test_the_json_document_is_complete_and_strict(run, tmp_path):
    (path,) = run.write(tmp_path / "run.json")

    def refuse(word: str) -> None:
        pytest.fail(f"{word} is no JSON")

    document = json.loads(path.read_text("utf-8"), parse_constant=refuse)
    assert document["schema"] == 1
    assert document["status"] == run.status
    assert Request(**document["request"]) == run.request
    assert document["warnings"] == list(run.warnings)
    assert (document["infeasible"] is None) is run.ok
    for key, value in run.summary.items():
        assert document["summary"][key] == (value if math.isfinite(value) else None), key
    for name in FRAMES:
        frame = getattr(run, name)
        back = pd.DataFrame(document[name], columns=list(frame.columns)).astype(frame.dtypes.to_dict())
        pd.testing.assert_frame_equal(back, frame, check_exact=True)


def test_the_document_leaves_the_timeline_out_unless_asked():
    run = RUNS["event"]
    assert "timeline" not in run.to_dict()
    assert len(run.to_dict(timeline=True)["timeline"]) == len(run.timeline)


def test_what_is_not_finite_becomes_null():
    made = export_.json_ready({"a": math.inf, "b": [np.float64("nan"), -math.inf], "c": (np.int64(3), np.bool_(True))})
    assert made == {"a": None, "b": [None, None], "c": [3, True]}
    assert json.dumps(made, allow_nan=False)


@pytest.mark.parametrize("name", ["run.xlsx", "run", "run.jsn"])
def test_another_suffix_is_refused_with_those_that_exist(name, tmp_path):
    with pytest.raises(RequestError, match=r"allowed are names that end in \.json, \.csv, \.parquet") as error:
        RUNS["event"].write(tmp_path / name)
    assert ("did you mean '.json'" in str(error.value)) is (name == "run.jsn")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(export_, "find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r'pip install "accelsim\[parquet\]"'):
        RUNS["event"].write(tmp_path / "run.parquet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_a_folder_that_is_not_there_is_an_error(suffix, tmp_path):
    with pytest.raises(RequestError, match=r"cannot write .*run.*: there is no folder .*missing"):
        RUNS["event"].write(tmp_path / "missing" / f"run{suffix}")


def test_an_interrupted_export_leaves_what_was_there(tmp_path, monkeypatch):
    before = tmp_path / "run-summary.csv"
    before.write_text("old", "utf-8")
    calls = []

    def interrupted(frame: pd.DataFrame, path: Path) -> None:
        calls.append(path)
        path.write_text("half", "utf-8")
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(export_, "_csv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RUNS["event"].write(tmp_path / "run.csv")
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_text("utf-8") == "old"


def test_a_run_travels_between_processes(run):
    back = pickle.loads(pickle.dumps(run))
    assert back.request == run.request
    assert repr(dict(back.summary)) == repr(dict(run.summary))  # NaN is not equal to itself
    assert back.infeasible == run.infeasible
    for name in FRAMES:
        pd.testing.assert_frame_equal(getattr(back, name), getattr(run, name), check_exact=True)


# The docs


def test_the_docs_hold_the_generated_table():
    docs = Path(__file__).resolve().parents[1] / "docs"
    table = (docs / "examples" / "columns.out").read_text("utf-8")
    assert (docs / "results.md").read_text("utf-8").endswith(table)
    for name, columns in COLUMNS.items():
        assert f"### run.{name}\n" in table
        for column, meaning in columns.items():
            assert f"| `{column}` | {unit(column)} | {kind(name, column)} |" in table
            assert meaning
