"""Dask as the place: a real scheduler and two workers over TCP; one is killed, and then the scheduler goes."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pandas as pd
import pytest

from accelsim.explore import cluster as module
from accelsim.explore.cluster import Cluster, ClusterError
from accelsim.explore.driver import Driver, Progress
from accelsim.explore.local_cluster import LocalCluster
from accelsim.explore.store import Store

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


def test_a_cluster_gives_the_same_rows_outlives_a_worker_and_resumes_after_its_scheduler(make, tmp_path, stubs):
    local = LocalCluster(2)
    try:
        address = local.address
        assert address.startswith("tcp://")

        # the rows are those of this process, bit for bit
        axes = {"batch": [1, 2, 3], "fidelity": ["roofline", "event"]}
        frames = []
        for name, place in (("here", {"workers": 1}), ("there", {"cluster": address})):
            sweep = make(axes, name=name)
            assert sweep.run(**place).counts == {"ok": 6}
            frame = sweep.load()
            assert (frame["worker"].str.contains(f":{os.getpid()}$")).all() == (name == "here")
            frames.append(frame.drop(columns=BOOKS).sort_values("key").reset_index(drop=True))
        pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)

        # a worker is killed in mid-sweep: every point has its row
        keys, ledger = stubs.keys_of(120), tmp_path / "ledger"
        store = Store(tmp_path / "killed.sqlite", stubs.METRICS)
        designs = dict(zip(keys, keys, strict=True))
        progress = Progress(len(keys), 0)
        killer = stopped_after(20, progress, lambda: kill_a_worker(address))
        how = {"ledger": str(ledger), "seconds": 0.02}
        assert Driver(store, Cluster(address), designs, "1", progress).run(stubs.Source(keys, 4, **how))
        killer.join(timeout=10)
        assert set(store.statuses(keys).values()) == {"ok"}
        evaluated = ledger.read_text().split()
        assert set(evaluated) == set(keys)
        assert len(evaluated) - len(keys) <= 4 * 4, "only what was under way on one worker is evaluated again"

        # the scheduler is stopped: the sweep ends, says so, and keeps what came back
        store = Store(tmp_path / "stopped.sqlite", stubs.METRICS)
        progress = Progress(len(keys), 0)
        stopper = stopped_after(20, progress, local.scheduler.kill)
        with pytest.raises(ClusterError, match="run the sweep again to go on"):
            Driver(store, Cluster(address), designs, "1", progress).run(stubs.Source(keys, 4, **how))
        stopper.join(timeout=10)
        kept = store.statuses(keys)
        assert 20 <= len(kept) < len(keys)
    finally:
        local.close()
    rest = [key for key in keys if key not in kept]
    other = LocalCluster(1)
    try:
        progress = Progress(len(rest), 0)
        assert Driver(store, Cluster(other.address), designs, "1", progress).run(stubs.Source(rest, 8, **how))
    finally:
        other.close()
    assert set(store.statuses(keys)) == set(keys)


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(ClusterError, match=rf"no Dask scheduler answers at tcp://127.0.0.1:{port} within 0.5 s"):
        Cluster(f"tcp://127.0.0.1:{port}")
