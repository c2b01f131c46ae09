"""Dask as the place: a real scheduler and two workers over TCP; workers are killed, schedulers go."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from accelsim.explore import cluster as module
from accelsim.explore.cluster import Cluster, ClusterError
from accelsim.explore.driver import Driver, Progress
from accelsim.explore.local_cluster import LocalCluster
from accelsim.explore.store import Store

STUBS = Path(__file__).parent / "stubs"
BOOKS = ["elapsed_s", "worker", "attempt", "finished_at"]


def stopped_after(count, progress, action):
    """Runs an action in mid-sweep."""

    def wait():
        while progress.done < count:
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def kill_a_worker(address):
    """The process that computes, not the one that looks after it."""
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        workers = list(client.run(os.getpid).values())
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)


@pytest.fixture(scope="module")
def address():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(STUBS))
        local = LocalCluster(2)
    yield local.address
    local.close()


@pytest.fixture
def drive(tmp_path, stubs):
    """Drives points of the stub on a cluster, with a store and a ledger of the test."""

    def drive(address, keys, size, *, progress=None, timeout_s=None, **how):
        store = Store(tmp_path / "s.sqlite", stubs.METRICS)
        designs = dict(zip(keys, keys, strict=True))
        driver = Driver(store, Cluster(address, timeout_s=timeout_s), designs, "1", progress or Progress(len(keys), 0))
        try:
            assert driver.run(stubs.Source(keys, size, ledger=str(tmp_path / "ledger"), **how))
        finally:
            store.close()

    return drive


def statuses(path, keys):
    store = Store(path / "s.sqlite", ("value",))
    found = store.statuses(keys)
    store.close()
    return found


def test_a_cluster_gives_the_rows_of_this_process_bit_for_bit(make, address):
    assert address.startswith("tcp://")
    axes = {"batch": [1, 2, 3], "fidelity": ["roofline", "event"]}
    frames = []
    places = {"here": {"workers": 1}, "there": {"cluster": address}, "timed": {"cluster": address, "timeout_s": 60.0}}
    for name, place in places.items():
        sweep = make(axes, name=name)
        assert sweep.run(**place).counts == {"ok": 6}
        frame = sweep.load()
        assert (frame["worker"].str.contains(f":{os.getpid()}$")).all() == (name == "here")
        frames.append(frame.drop(columns=BOOKS).sort_values("key").reset_index(drop=True))
    pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)
    pd.testing.assert_frame_equal(frames[0], frames[2], check_exact=True)


def test_a_worker_is_killed_in_mid_sweep_and_every_point_has_its_row(tmp_path, stubs, drive, address):
    keys, progress = stubs.keys_of(120), Progress(120, 0)
    killer = stopped_after(20, progress, lambda: kill_a_worker(address))
    drive(address, keys, 4, progress=progress, seconds=0.02)
    killer.join(timeout=10)
    assert set(statuses(tmp_path, keys).values()) == {"ok"}
    evaluated = (tmp_path / "ledger").read_text().split()
    assert set(evaluated) == set(keys)
    assert len(evaluated) - len(keys) <= 4 * 4, "only what was under way on one worker is evaluated again"


def test_a_point_that_takes_too_long_is_a_row_and_no_other_point_pays_for_it(tmp_path, stubs, drive, address):
    keys, progress = stubs.keys_of(12), Progress(12, 0)
    drive(address, keys, 6, progress=progress, timeout_s=1.0, slow=(keys[3],), seconds=0.3)
    assert progress.counts == {"ok": 11, "timeout": 1}
    assert statuses(tmp_path, keys)[keys[3]] == "timeout"
    evaluated = (tmp_path / "ledger").read_text().split()
    assert sorted(evaluated) == keys, "each once: six points of 0.3 s may take longer than one"


@pytest.mark.long
def test_a_point_that_kills_its_workers_is_found_among_its_batch(tmp_path, stubs, drive, address):
    keys, progress = stubs.keys_of(8), Progress(8, 0)
    drive(address, keys, 4, progress=progress, poison=(keys[6],))
    assert progress.counts == {"ok": 7, "crashed": 1}
    assert statuses(tmp_path, keys)[keys[6]] == "crashed"
    # among the others, among its four, among two, and by itself; three workers each time
    assert (tmp_path / "ledger").read_text().split().count(keys[6]) <= 4 * 3


def test_an_interrupt_ends_within_a_second(tmp_path, stubs, drive, address):
    keys, progress, sent = stubs.keys_of(200), Progress(200, 0), []

    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread = stopped_after(12, progress, interrupt)
        with pytest.raises(KeyboardInterrupt):
            drive(address, keys, 4, progress=progress, seconds=0.05)
        ended = time.monotonic()
        thread.join(timeout=10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended - sent[0] < 1.0
    assert 12 <= len(statuses(tmp_path, keys)) == progress.done < len(keys)


def test_a_scheduler_that_is_stopped_ends_the_sweep_and_another_goes_on(tmp_path, stubs, drive, address):
    keys, progress = stubs.keys_of(60), Progress(60, 0)
    local = LocalCluster(1)
    try:
        stopper = stopped_after(12, progress, local.scheduler.kill)
        with pytest.raises(ClusterError, match="run the sweep again to go on"):
            drive(local.address, keys, 4, progress=progress, seconds=0.02)
        stopper.join(timeout=10)
    finally:
        local.close()
    kept = statuses(tmp_path, keys)
    assert 12 <= len(kept) < len(keys)
    before = (tmp_path / "ledger").read_text().split()
    drive(address, [key for key in keys if key not in kept], 8)
    assert set(statuses(tmp_path, keys)) == set(keys)
    assert not set(kept) & set((tmp_path / "ledger").read_text().split()[len(before) :])


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(ClusterError, match=rf"no Dask scheduler answers at tcp://127.0.0.1:{port} within 0.5 s"):
        Cluster(f"tcp://127.0.0.1:{port}")
