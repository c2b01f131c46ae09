"""`accelsim sweep` with real simulations in processes of their own: killed, interrupted, and gone on with."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

import accelsim

POINTS = 4 * 60
ROOT = Path(__file__).parents[2]
STUBS = Path(__file__).parent / "stubs"
BOOKS = ["elapsed_s", "worker", "attempt", "finished_at"]

FILE = """
[fixed]
model = "gpt2"
chip = "h100-sxm"
prompt = 64
generate = 3

[axes]
batch = [1, 2, 3, 4]
seed = { range = [0, 59], step = 1, integer = true }
"""


class Runs:
    """Runs of `accelsim sweep` with a ledger outside the store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger = folder, folder / "ledger"
        (folder / "killed.toml").write_text(FILE)

    def start(self, store: str, *more: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(STUBS), str(ROOT), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path, "ACCELSIM_TEST_LEDGER": str(self.ledger)}
        command = [sys.executable, "-m", "accelsim", "sweep", "killed.toml", "--store", store, *more]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, env=environment, cwd=self.folder, **pipes)

    def evaluated(self) -> list[str]:
        return self.ledger.read_text().split() if self.ledger.exists() else []

    def begun(self, process: subprocess.Popen[str], count: int) -> None:
        """Waits until so many evaluations have begun: not while Python starts, in mid-sweep."""
        deadline = time.monotonic() + 60
        while process.poll() is None and len(self.evaluated()) < count and time.monotonic() < deadline:
            time.sleep(0.005)

    def finished(self, store: str) -> set[str]:
        """Keys that a store holds, read as another program would."""
        if not (self.folder / store).exists():
            return set()
        with sqlite3.connect(f"file:{self.folder / store}?mode=ro", uri=True, timeout=30) as db:
            keys = {row[0] for row in db.execute("SELECT key FROM results")}
        db.close()
        return keys

    def frame(self, store: str) -> pd.DataFrame:
        """What every run must agree on, bit for bit."""
        return accelsim.load(self.folder / store).drop(columns=BOOKS)


def workers_of(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "explore.worker" in line]


def gone(pid: int) -> None:
    """Waits for an orphan, which finishes its point and ends."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        if not state.stdout.strip() or state.stdout.startswith("Z"):
            return
        time.sleep(0.01)
    raise AssertionError(f"worker {pid} outlives its driver")


def killed(runs: Runs, store: str, victim: str, chance: random.Random) -> int:
    """One run that is killed at a random moment of its sweep; evaluations that left no row."""
    before, started = runs.finished(store), len(runs.evaluated())
    process = runs.start(store, "--workers", "2")
    runs.begun(process, started + 2)
    time.sleep(chance.uniform(0.0, 0.1))
    workers = workers_of(process.pid)
    if victim != "driver" and workers:
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.kill(chance.choice(workers), signal.SIGKILL)
    if victim == "worker":
        runs.begun(process, len(runs.evaluated()) + 4)
    process.kill()
    process.communicate()
    for worker in workers:
        gone(worker)
    evaluated = runs.evaluated()[started:]
    assert not before & set(evaluated), "a point that the store had was evaluated again"
    return len(evaluated) - len(runs.finished(store) - before)


@pytest.mark.long  # `test_interrupted.py` kills a sweep of stand-ins as often in seconds
@pytest.mark.parametrize("kills", [3, 20])
def test_a_sweep_killed_at_any_moment_repeats_only_what_was_under_way(tmp_path, kills):
    runs, chance, store, repeated = Runs(tmp_path), random.Random(kills), "killed.sqlite", 0
    for number in range(kills):
        repeated += killed(runs, store, ("driver", "worker", "both")[number % 3], chance)
        if len(runs.finished(store)) == POINTS:
            store = f"killed-{number}.sqlite"
    assert repeated <= kills * 2 * 3  # two workers: a point each, and those whose outcome was on its way
    done = runs.finished(store)
    started = len(runs.evaluated())
    process = runs.start(store, "--workers", "2")
    assert f"{len(done)} were there, {POINTS - len(done)} evaluated" in process.communicate()[0]
    assert process.returncode == 0
    assert sorted(runs.evaluated()[started:]) == sorted(runs.finished(store) - done)
    accelsim.Sweep.read(tmp_path / "killed.toml").run(workers=1, store=tmp_path / "whole.sqlite")
    pd.testing.assert_frame_equal(runs.frame(store), runs.frame("whole.sqlite"), check_exact=True)
    assert len(runs.frame(store)) == POINTS


@pytest.mark.long
def test_two_drivers_share_a_store(tmp_path):
    runs = Runs(tmp_path)
    both = [runs.start("shared.sqlite", "--workers", "1") for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert set(runs.evaluated()) == runs.finished("shared.sqlite")
    assert set(runs.frame("shared.sqlite")["status"]) == {"ok"}
    assert len(runs.frame("shared.sqlite")) == POINTS
