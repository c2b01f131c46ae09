"""Killed, interrupted, crashed, late: what was finished is kept, and nothing is computed twice."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from accelsim.explore.driver import CRASHES, Driver, Progress
from accelsim.explore.executor import InProcess
from accelsim.explore.outcome import Outcome
from accelsim.explore.pool import Pool
from accelsim.explore.store import Store

POINTS = 160
ROOT = Path(__file__).parents[2]


def rows(path):
    """What a store holds, read as another program would."""
    if not Path(path).exists():
        return {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as db:
        try:
            return dict(db.execute("SELECT key, m_value FROM results"))
        except sqlite3.OperationalError:  # killed before its tables were made
            return {}


def children(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def lines(ledger):
    return ledger.read_text().split() if ledger.exists() else []


def test_twenty_kills_of_driver_and_workers_repeat_only_what_was_under_way(tmp_path, stubs):
    store, ledger = tmp_path / "killed.sqlite", tmp_path / "ledger"
    command = [sys.executable, stubs.__file__, str(store), str(ledger), str(POINTS), "0.01"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    chance = random.Random(8)
    kills = repeated = 0
    while kills < 20:
        before, started = set(rows(store)), len(lines(ledger))
        process = subprocess.Popen(command, env=environment)
        since = time.monotonic()
        while process.poll() is None and len(lines(ledger)) < started + 2 and time.monotonic() - since < 20:
            time.sleep(0.005)  # not while Python starts: in mid-sweep
        time.sleep(chance.uniform(0.0, 0.08))
        workers = children(process.pid)
        what = chance.choice(["driver", "worker", "both"])
        if what != "driver" and workers:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.kill(chance.choice(workers), signal.SIGKILL)
        if what != "worker":
            process.kill()
        elif process.poll() is None:
            time.sleep(chance.uniform(0.0, 0.08))
            process.kill()
        process.wait()
        kills += 1
        for worker in workers:  # an orphan finishes its point and ends
            deadline = time.monotonic() + 10
            while alive(worker) and time.monotonic() < deadline:
                time.sleep(0.005)
        evaluated = lines(ledger)[started:]
        assert not before & set(evaluated), "a point that the store had was evaluated again"
        repeated += len(evaluated) - len(set(rows(store)) - before)
        if len(rows(store)) == POINTS:
            store, ledger = tmp_path / f"killed{kills}.sqlite", tmp_path / f"ledger{kills}"
            command[2:4] = [str(store), str(ledger)]
    assert repeated <= 20 * 2 * 3  # two workers: a point each, and those whose outcome was on its way
    subprocess.run(command, env=environment, check=True)
    whole = tmp_path / "whole.sqlite"
    subprocess.run([*command[:2], str(whole), str(tmp_path / "other"), str(POINTS), "0"], env=environment, check=True)
    assert rows(store) == rows(whole)
    assert len(rows(store)) == POINTS


def driven(store, source, executor, keys, **how):
    progress = Progress(len(keys), 0)
    driver = Driver(store, executor, dict(zip(keys, keys, strict=True)), "1", progress, **how)
    return driver, progress, source


def test_a_point_that_kills_its_worker_is_a_row_and_all_others_are_done(tmp_path, stubs):
    store, keys, ledger = Store(tmp_path / "s.sqlite", ("value",)), stubs.keys_of(12), tmp_path / "ledger"
    source = stubs.Source(keys, 6, ledger=str(ledger), poison=(keys[3],))
    driver, progress, source = driven(store, source, Pool(2), keys)
    assert driver.run(source)
    statuses = store.statuses(keys)
    assert statuses.pop(keys[3]) == "crashed"
    assert set(statuses.values()) == {"ok"}
    assert progress.counts == {"ok": 11, "crashed": 1}
    done = lines(ledger)
    assert done.count(keys[3]) == CRASHES
    assert all(done.count(key) == 1 for key in keys if key != keys[3])
    reason = store._db.execute("SELECT reason, attempt FROM results WHERE status = 'crashed'").fetchone()
    assert "SIGKILL" in reason[0]
    assert reason[1] == CRASHES


def test_a_point_that_takes_too_long_is_a_row(tmp_path, stubs):
    store, keys = Store(tmp_path / "s.sqlite", ("value",)), stubs.keys_of(6)
    source = stubs.Source(keys, 3, ledger=str(tmp_path / "ledger"), slow=(keys[1],))
    driver, progress, source = driven(store, source, Pool(2, timeout_s=1.0), keys)
    assert driver.run(source)
    assert progress.counts == {"ok": 5, "timeout": 1}
    assert store.statuses([keys[1]]) == {keys[1]: "timeout"}


def test_an_interrupt_ends_within_a_second_and_keeps_what_is_finished(tmp_path, stubs):
    store, keys, ledger = Store(tmp_path / "s.sqlite", ("value",)), stubs.keys_of(400), tmp_path / "ledger"
    source = stubs.Source(keys, 8, ledger=str(ledger), seconds=0.02)
    driver, progress, source = driven(store, source, Pool(2), keys)
    sent = []

    def interrupt():
        while progress.done < 20:
            time.sleep(0.01)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    # a process that was started in the background ignores the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            driver.run(source)
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - sent[0] < 1.0
    kept = store.statuses(keys)
    assert len(kept) == progress.done >= 20
    assert len(lines(ledger)) - len(kept) <= 2 + 2  # under way, or handed over as the interrupt came


def test_the_budget_ends_a_run_and_the_next_goes_on(tmp_path, stubs):
    store, keys, ledger = Store(tmp_path / "s.sqlite", ("value",)), stubs.keys_of(40), tmp_path / "ledger"
    source = stubs.Source(keys, 1, ledger=str(ledger), seconds=0.05)
    driver, progress, source = driven(store, source, Pool(1), keys, budget_s=0.5)
    assert driver.run(source) is False
    assert 0 < progress.done < 40
    rest = [key for key in keys if key not in store.statuses(keys)]
    driver, _, source = driven(store, stubs.Source(rest, 8, ledger=str(ledger)), Pool(1), keys)
    assert driver.run(source)
    assert sorted(lines(ledger)) == keys


def test_two_drivers_share_a_store(tmp_path, stubs):
    keys, ledger = stubs.keys_of(60), tmp_path / "ledger"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, stubs.__file__, str(tmp_path / "s.sqlite"), str(ledger), "60", "0.01"]
    both = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert sorted(rows(tmp_path / "s.sqlite")) == keys


def test_a_driver_that_meets_another_goes_elsewhere(tmp_path, stubs):
    """The other one finishes what this one has just begun; both began with the same points."""
    keys, ledger = stubs.keys_of(24), tmp_path / "ledger"
    store, other = (Store(tmp_path / "s.sqlite", ("value",)) for _ in range(2))
    source = stubs.Source(keys, 4, ledger=str(ledger))
    take = source.take

    def meets(each_s):
        batch = take(each_s)
        if batch and keys[0] in batch.keys:  # after this one has looked for them in the store
            taken.append(batch.keys)
        return batch

    taken = []
    source.take = meets
    statuses = store.statuses

    def late(asked):
        found = statuses(asked)
        for done in taken:
            other.add([Outcome(key, "ok", "", (0.0,), 0.0, "other") for key in done], dict.fromkeys(keys, "d"), "1")
        taken.clear()
        return found

    store.statuses = late
    driver, _, source = driven(store, source, InProcess(), keys)
    assert driver.run(source)
    assert set(statuses(keys).values()) == {"ok"}
    assert lines(ledger) == [*keys[:4], *(key for start in range(20, 0, -4) for key in keys[start : start + 4])]
    assert dict(store._chosen("key, worker", "key", keys))[keys[0]] == "other", "who is second changes nothing"
