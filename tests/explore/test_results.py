"""What a sweep gives is what single calls give, whoever computed it, and it comes out of the store as it went in."""

from __future__ import annotations

import math
import sqlite3

import numpy as np
import pandas as pd
import pytest

import accelsim
from accelsim.errors import AccelsimError, RequestError
from accelsim.explore.batches import METRICS, VersionError
from accelsim.explore.frame import export
from accelsim.explore.outcome import Outcome
from accelsim.explore.source import Remaining
from accelsim.explore.store import Store, StoreError
from accelsim.explore.version import model_version

BOOKS = ["elapsed_s", "worker", "attempt", "finished_at"]


def plain(frame):
    """What every engine must agree on, bit for bit."""
    return frame.drop(columns=BOOKS).sort_values("key").reset_index(drop=True)


def same(first, second):
    return first == second or (math.isnan(first) and math.isnan(second))


def test_a_thousand_points_at_once_equal_a_thousand_calls_on_every_column(make):
    axes = {
        "batch": {"range": [1, 256]}, "prompt": {"range": [1, 8192]}, "generate": {"range": [0, 5]},
        "weights": ["bf16", "fp8_e4m3", "int4_g128"], "memory.bandwidth": {"log_range": ["1 TB/s", "8 TB/s"]},
        "memory.capacity": {"log_range": ["10 GB", "200 GB"]}, "sm.count": {"range": [50, 200]},
        "model": ["gpt2", "qwen3-30b-a3b"],
    }  # fmt: skip
    sweep = make(axes, sampling={"method": "random", "count": 1000, "seed": 3})
    assert sweep.run(workers=1).counts["ok"] > 300
    frame = sweep.load()
    assert len(frame) == 1000
    assert set(frame["status"]) == {"ok", "infeasible"}
    for row in frame.to_dict("records"):
        figures = {name: row[name] for name in ("memory.bandwidth", "memory.capacity", "sm.count")}
        run = accelsim.simulate(
            row["model"], "h100-sxm", fidelity="roofline", overrides=figures, weights=row["weights"],
            **{name: row[name] for name in ("batch", "prompt", "generate")},
        )  # fmt: skip
        assert run.status == row["status"]
        if run.ok:
            assert all(same(float(row[name]), float(run.summary[name])) for name in METRICS)
        else:
            assert row["reason"] == run.infeasible.reason
            assert all(math.isnan(row[name]) for name in METRICS if name != "fits")
            assert not row["fits"]


def test_simulations_equal_single_calls_and_share_what_they_can(make):
    sweep = make({"batch": [1, 3], "seed": [0, 1], "chip": ["h100-sxm", "hbm-pim-64pch"]}, fixed={"fidelity": "event"})
    sweep.run(workers=1)
    for row in sweep.load().to_dict("records"):
        run = accelsim.simulate("gpt2", row["chip"], batch=row["batch"], seed=row["seed"], prompt=64, generate=2)
        assert all(same(float(row[name]), float(run.summary[name])) for name in METRICS)


def test_points_share_graphs_and_mappings(make, monkeypatch):
    from accelsim.evaluate.memo import Memo
    from accelsim.explore import batches

    memo, found = Memo(), []
    monkeypatch.setattr(batches, "_memo", lambda: memo)
    for asked in ("work", "device"):
        method = getattr(Memo, asked)

        def noted(self, *args, method=method, asked=asked):
            made = method(self, *args)
            found.append((asked, id(made)))
            return made

        monkeypatch.setattr(Memo, asked, noted)
    make({"batch": [1, 2], "seed": list(range(8))}, fixed={"fidelity": "event"}).run(workers=1)
    assert (len(memo._works), len(memo._devices)) == (2, 2), "one graph and one mapping for each batch"
    assert len([one for one in found if one[0] == "work"]) == 16
    assert len(set(found)) == 2 + 2


def test_processes_give_the_same_rows_bit_for_bit(make):
    axes = {"batch": [1, 2, 3], "fidelity": ["roofline", "event"], "weights": ["bf16", "fp8_e4m3"]}
    frames = []
    for workers in (1, 2):
        sweep = make(axes, name=f"with-{workers}")
        sweep.run(workers=workers)
        frames.append(plain(sweep.load()))
    pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)
    assert set(frames[0].dtypes.astype(str)) <= {"float64", "int64", "category", "bool", "str", "object"}


def test_points_of_several_groups_go_to_a_worker_together(make):
    sweep = make({"seed": list(range(30))}, fixed={"fidelity": "event"})
    source = Remaining(sweep.groups, sweep.keys, [True] * 30, model_version())
    first, second = source.take(0.0), source.take(0.02)
    assert (len(first.keys), len(second.keys)) == (1, 12)  # 12 points of 20 ms: a quarter of a second
    assert len({part.shared for part in second.parts}) == 1
    assert second.in_turn
    assert second.only(second.keys[3:5]).keys == second.keys[3:5]
    assert [one.key for outcomes in second.evaluate() for one in outcomes] == list(second.keys)


@pytest.mark.parametrize(
    "axes", [{"seed": list(range(30))}, {"batch": list(range(1, 31))}, {"batch": [1, 2], "seed": list(range(15))}]
)
def test_a_source_that_goes_elsewhere_still_gives_every_point_once(make, axes):
    sweep = make(axes, fixed={"fidelity": "event"})
    orders = []
    for _ in range(4):
        source = Remaining(sweep.groups, sweep.keys, [True] * 30, model_version())
        taken = [*source.take(0.0).keys, *source.take(0.05).keys]
        source.elsewhere()
        while batch := source.take(0.05):
            taken += batch.keys
        assert sorted(taken) == sorted(sweep.keys)
        source.elsewhere()
        assert source.take(0.0) is None
        orders.append(tuple(taken))
    assert len(set(orders)) > 1


def test_a_longer_axis_evaluates_the_new_points_only_and_another_question_none(make):
    first = make({"batch": [1, 2]}, name="grows")
    assert first.run(workers=1).counts == {"ok": 2}
    longer = make({"batch": [1, 2, 4]}, name="grows")
    summary = longer.run(workers=1)
    assert (summary.known, summary.counts) == (2, {"ok": 1})
    asked = make({"batch": [1, 2, 4]}, name="grows", objectives={"energy_j": "min"}, constraints=["energy_j < 1"],
                 derived={"edp": "energy_j * total_time_s"}, plot={"x": "batch", "y": "edp"})  # fmt: skip
    assert asked.run(workers=1).counts == {}
    frame = asked.load()
    assert frame["batch"].tolist() == [1, 2, 4]
    assert frame["edp"].tolist() == (frame["energy_j"] * frame["total_time_s"]).tolist()
    assert frame["meets_constraints"].tolist() == (frame["energy_j"] < 1).tolist()


def test_a_point_that_raises_is_a_row_and_is_tried_again_only_on_request(make, monkeypatch):
    from accelsim.explore import batches

    simulate = batches.simulate

    def fails(*args, batch, **request):
        if batch == 2:
            raise ZeroDivisionError("of the test")
        return simulate(*args, batch=batch, **request)

    monkeypatch.setattr(batches, "simulate", fails)
    sweep = make({"batch": [1, 2, 4]}, fixed={"fidelity": "event"})
    assert sweep.run(workers=1).counts == {"ok": 2, "failed": 1}
    frame = sweep.load()
    assert frame["status"].tolist() == ["ok", "failed", "ok"]
    assert frame["reason"][1] == "ZeroDivisionError: of the test"
    monkeypatch.setattr(batches, "simulate", simulate)
    assert sweep.run(workers=1).counts == {}
    assert sweep.run(workers=1, retry_failed=True).counts == {"ok": 1}
    assert set(sweep.load()["status"]) == {"ok"}


def test_rows_of_other_code_are_taken_on_request_and_marked(make, monkeypatch):
    import accelsim.explore.sweep as module

    sweep = make({"batch": [1, 2]}, name="versions")
    sweep.run(workers=1)
    monkeypatch.setattr(module, "model_version", lambda: "0" * 16)
    other = make({"batch": [1, 2]}, name="versions")
    assert set(other.keys).isdisjoint(sweep.keys)
    assert len(other.load()) == 0
    assert other.run(workers=1, accept_version=True).counts == {}
    frame = other.load()
    assert frame["reused"].all()
    assert frame["key"].tolist() == other.keys
    assert set(frame["model_version"]) == {model_version()}


def test_a_worker_of_another_version_refuses(make):
    sweep = make({"batch": [1]})
    batch = Remaining(sweep.groups, sweep.keys, [True], "another").take(0.0)
    with pytest.raises(VersionError, match="runs other code"):
        list(batch.evaluate())


def test_fresh_renames_the_store_and_begins_anew(make):
    sweep = make({"batch": [1]})
    sweep.run(workers=1)
    assert sweep.run(workers=1, fresh=True).counts == {"ok": 1}
    assert len(list(sweep.store_path.parent.glob("sweep-*.sqlite"))) == 1


def test_results_by_sweep_store_and_name(make):
    sweep = make({"batch": [1, 2], "weights": ["bf16"]}, name="mine")
    with pytest.raises(RequestError, match="run the sweep first"):
        sweep.load()
    sweep.run(workers=1)
    frames = [accelsim.load(source) for source in (sweep, "mine", sweep.store_path)]
    for frame in frames:
        pd.testing.assert_frame_equal(frame, frames[0])
    assert list(frames[0])[:5] == ["key", "status", "reason", "batch", "weights"]
    assert [name for name in frames[0] if name in METRICS] == list(METRICS)
    assert frames[0].attrs["axes"] == ["batch", "weights"]


def test_numbers_survive_the_store(tmp_path):
    store = Store(tmp_path / "s.sqlite", METRICS)
    odd = [math.nan, math.inf, -math.inf, 1e-320, 0.1 + 0.2]
    rows = [dict.fromkeys(METRICS, 1.0) | {"cycles": 2**70 + place, "events": 5, "fits": True, "energy_j": value}
            for place, value in enumerate(odd)]  # fmt: skip
    outcomes = [Outcome(f"{place}", "ok", "", tuple(row.values()), 0.1, "me") for place, row in enumerate(rows)]
    keys = [one.key for one in outcomes]
    store.add(outcomes, dict(zip(keys, keys, strict=True)), "1")
    store.plan(keys, keys, [[2**64 + place, math.inf] for place in range(5)], {"axes": ["seed", "limit"]})
    from accelsim.explore.frame import frame_of

    frame = frame_of(store)
    assert all(same(a, b) for a, b in zip(frame["energy_j"], odd, strict=True))
    assert frame["cycles"].tolist() == [2**70 + place for place in range(5)]
    assert frame["seed"].tolist() == [2**64 + place for place in range(5)]
    assert frame["limit"].tolist() == [math.inf] * 5
    assert (frame["events"].dtype, frame["fits"].dtype) == (np.int64, bool)


def test_export_and_back(make, tmp_path):
    sweep = make({"batch": [1, 2], "weights": ["bf16", "mxfp4"]})
    sweep.run(workers=1)
    frame = sweep.load()
    back = pd.read_parquet(export(frame, tmp_path / "frame.parquet"))
    pd.testing.assert_frame_equal(back, frame, check_like=True)
    text = pd.read_csv(export(frame, tmp_path / "frame.csv"))
    assert text["energy_j"].tolist() == frame["energy_j"].tolist()
    with pytest.raises(RequestError, match=r"\.csv, \.parquet"):
        export(frame, tmp_path / "frame.xlsx")


def test_stores_that_are_none_or_of_another_version_are_refused_and_left_alone(tmp_path):
    file = tmp_path / "s.sqlite"
    Store(file, METRICS).close()
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"version 99, this accelsim knows those up to 2.*--fresh"):
        Store(file, METRICS)
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (99,)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine (x)")
    with pytest.raises(StoreError, match="another SQLite file"):
        Store(other, METRICS)
    text = tmp_path / "text.sqlite"
    text.write_text("no database at all, but long enough for a header" * 40)
    with pytest.raises(StoreError, match="is no store"):
        Store(text, METRICS)
    Store(tmp_path / "few.sqlite", ("one",)).close()
    with pytest.raises(StoreError, match="other metrics"):
        Store(tmp_path / "few.sqlite", METRICS)


def test_a_store_of_the_version_before_is_brought_to_this_one_with_all_its_rows(make):
    sweep = make({"batch": [1, 2, 4]}, name="old")
    sweep.run(workers=1)
    before = sweep.load()
    with sqlite3.connect(sweep.store_path) as db:  # as version 1 had it
        db.execute("ALTER TABLE results RENAME TO new")
        metrics = ", ".join(f'"m_{name}"' for name in METRICS)
        db.execute(
            "CREATE TABLE results (key TEXT PRIMARY KEY, design TEXT, status TEXT, reason TEXT, elapsed_s REAL, "
            f"worker TEXT, attempt INTEGER, finished_at REAL, model_version TEXT, {metrics}) WITHOUT ROWID"
        )
        db.execute("INSERT INTO results SELECT * FROM new")
        db.execute("DROP TABLE new")
        db.execute("CREATE INDEX designs ON results (design)")
        db.execute("PRAGMA user_version = 1")
    db.close()
    longer = make({"batch": [1, 2, 4, 8]}, name="old")
    summary = longer.run(workers=1)
    assert (summary.known, summary.counts) == (3, {"ok": 1})
    pd.testing.assert_frame_equal(longer.load().head(3), before, check_exact=True)
    with sqlite3.connect(sweep.store_path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
        assert (
            db.execute("SELECT name FROM sqlite_master WHERE name LIKE 'results_%' OR name = 'designs'").fetchall()
            == []
        )
    db.close()


def test_a_full_disk_keeps_what_was_finished(tmp_path):
    store = Store(tmp_path / "s.sqlite", ("value",))
    store.add([Outcome("first", "ok", "", (1.0,), 0.1, "me")], {"first": "d"}, "1")
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 1}")
    many = [Outcome(f"{place:060d}", "failed", "x" * 500, None, 0.1, "me") for place in range(1000)]
    with pytest.raises(StoreError, match="no room left on the disk; what was finished before is kept"):
        store.add(many, {one.key: "d" for one in many}, "1")
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert store.statuses(["first", many[0].key]) == {"first": "ok"}
    store.add(many, {one.key: "d" for one in many}, "1")


def test_a_store_where_none_can_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        Store(tmp_path / "file" / "s.sqlite", METRICS)


def test_times_that_are_none(make):
    for name in ("timeout_s", "budget_s"):
        with pytest.raises(AccelsimError, match="a time above zero"):
            make({"batch": [1]}).run(**{name: 0})


def test_what_a_sweep_comes_to_is_known_before_it_runs(make):
    sweep = make({"batch": [1, 2, 4], "weights": ["bf16", "fp8_e4m3"]}, constraints=["batch < 4"])
    outline = sweep.outline(rows=3)
    assert (outline.points, outline.excluded, outline.groups, outline.columns, outline.known) == (4, 2, 2, 4, 0)
    assert 0 < outline.total_s < 10
    assert outline.first.shape == (3, 2)
    sweep.run(workers=1)
    assert sweep.outline().known == 4


def test_axes_have_the_unit_of_their_text_or_of_the_chip_s_figure(make):
    axes = {"memory.bandwidth": [3e12], "memory.capacity": {"derive": "memory.bandwidth / 50"}, "batch": [1],
            "clock.sm.frequency": ["1.2 GHz"], "power.idle": ["50 W"]}  # fmt: skip
    sweep = make(axes, parameters={"slack": {"values": ["2 ms"]}}, name="units")
    sweep.run(workers=1)
    assert sweep.load().attrs["axis_units"] == {
        "memory.bandwidth": "B/s", "memory.capacity": "B", "clock.sm.frequency": "Hz", "power.idle": "W", "slack": "s",
    }  # fmt: skip
