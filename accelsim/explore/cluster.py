"""Dask distributed as a place for points: more than one machine, by the address of its scheduler.

Workers are the user's own (`dask worker ADDRESS` where accelsim is installed), or two to a few processes here with
"local". A worker that dies hands its batch to another; a batch of which workers keep dying comes back.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from contextlib import suppress
from importlib import import_module
from itertools import chain
from typing import Any, Final

from accelsim.errors import AccelsimError, RequestError
from accelsim.explore.executor import Event
from accelsim.explore.local_cluster import START_S, LocalCluster
from accelsim.explore.outcome import Batch, Outcome

CONNECT_S: Final = 10.0
"""A scheduler that has not answered for so long is not there."""

ALIVE_S: Final = 5.0
"""So long a scheduler may be out of reach before the sweep ends."""

_one_at_a_time = threading.Lock()


def _library(name: str) -> Any:
    """A library without annotations."""
    return import_module(name)


class ClusterError(AccelsimError):
    """A scheduler that cannot be reached, or was lost."""


def evaluated(batch: Batch) -> list[Outcome]:
    """What a worker does with a batch; one at a time, whatever threads it has."""
    with _one_at_a_time:
        return list(chain.from_iterable(batch.evaluate()))


class Cluster:
    """A Dask scheduler and its workers.

    Args:
        address: of the scheduler, such as "tcp://10.0.0.1:8786"; "local" starts one with worker processes here.
        workers: processes of a local one; as many as there are cores by default.
        timeout_s: a point that takes longer loses its worker; None for no limit.

    Raises:
        RequestError: no dask.distributed.
        ClusterError: no scheduler answers.
    """

    streams = False

    def __init__(self, address: str, workers: int | None = None, timeout_s: float | None = None) -> None:
        try:
            distributed = _library("distributed")
        except ImportError:
            raise RequestError('--cluster needs dask.distributed: pip install "accelsim[cluster]"') from None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self.address, self._timeout_s = address, timeout_s
        self._own: LocalCluster | None = None
        if address == "local":
            self._own = LocalCluster(workers or os.cpu_count() or 1)
            address = self._own.address
        try:
            self._client: Any = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            self._close_own()
            raise ClusterError(
                f"no Dask scheduler answers at {address} within {CONNECT_S:g} s ({error}): is it running, and is the "
                "address that which it printed? `--cluster local` starts one here"
            ) from None
        if self._own is not None:
            self._client.wait_for_workers(1, timeout=START_S)
        self._killed: type[BaseException] = distributed.KilledWorker
        self._events: queue.Queue[tuple[int, Any]] = queue.Queue()
        self._futures: dict[int, Any] = {}
        self._since: dict[int, float] = {}
        self._lost_s = 0.0

    @property
    def slots(self) -> int:
        """Two batches for each worker, so that none waits for the next; one where time is taken of each."""
        with suppress(OSError, RuntimeError, ValueError):
            count = len(self._client.scheduler_info(n_workers=-1)["workers"])
            return max(1, count) * (1 if self._timeout_s else 2)
        return 1

    def submit(self, number: int, batch: Batch) -> None:
        """Hands a batch to the scheduler."""
        future = self._client.submit(evaluated, batch, pure=False, retries=0)
        self._futures[number], self._since[number] = future, time.monotonic()
        future.add_done_callback(lambda done, number=number: self._events.put((number, done)))

    def results(self, patience_s: float) -> list[Event]:
        """Batches that are done.

        Raises:
            ClusterError: the scheduler is gone.
            AccelsimError: what a worker raised about the whole batch.
        """
        found: list[Event] = []
        wait_s = patience_s
        while True:
            try:
                number, future = self._events.get(timeout=wait_s) if wait_s else self._events.get_nowait()
            except queue.Empty:
                break
            wait_s = 0.0
            if self._futures.pop(number, None) is not None:
                found.append(self._done(number, future))
        self._check()
        return found + self._late()

    def _done(self, number: int, future: Any) -> Event:
        self._since.pop(number, None)
        try:
            if future.status == "finished":
                return Event(number, future.result(timeout=CONNECT_S), finished=True)
            error = future.exception(timeout=CONNECT_S) if future.status == "error" else None
        except (OSError, TimeoutError):  # of the connection: what the batch itself raised is not raised here
            raise ClusterError(f"the Dask scheduler at {self.address} is gone; {_AGAIN}") from None
        if error is not None:
            if isinstance(error, self._killed):
                return Event(number, [], finished=True, lost="crashed", reason="workers of the cluster died of it")
            raise error
        raise ClusterError(f"the Dask scheduler at {self.address} has dropped what it was given; {_AGAIN}")

    def _check(self) -> None:
        """Whether the scheduler is there."""
        if self._client.status == "running":
            self._lost_s = 0.0
            return
        self._lost_s = self._lost_s or time.monotonic()
        if self._client.status == "closed" or time.monotonic() - self._lost_s > ALIVE_S:
            raise ClusterError(f"the Dask scheduler at {self.address} is gone; {_AGAIN}")

    def _late(self) -> list[Event]:
        """Batches that take too long: their workers are started anew."""
        if self._timeout_s is None:
            return []
        found = []
        for number, since in list(self._since.items()):
            if time.monotonic() - since <= self._timeout_s:
                continue
            future = self._futures.pop(number)
            del self._since[number]
            where = [worker for worker, keys in self._client.processing().items() if future.key in keys]
            future.cancel()
            if where:
                self._client.restart_workers(where, timeout=CONNECT_S, raise_for_error=False)
            found.append(
                Event(number, [], finished=True, lost="timeout", reason=f"took more than {self._timeout_s:g} s")
            )
        return found

    def close(self, *, now: bool = False) -> None:
        """Leaves the scheduler; ends it, if it is a local one."""
        if now:
            with suppress(Exception):
                self._client.cancel(list(self._futures.values()), force=True)
        with suppress(Exception):
            self._client.close(timeout=1.0 if now else CONNECT_S)
        self._close_own()

    def _close_own(self) -> None:
        if self._own is not None:
            self._own.close()


_AGAIN: Final = "what was finished is kept: run the sweep again to go on"
