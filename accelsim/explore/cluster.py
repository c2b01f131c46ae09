"""Dask distributed as a place for points: more than one machine, by the address of its scheduler.

Workers are the user's own (`dask worker ADDRESS` where accelsim is installed), or two to a few processes here with
"local". A worker that dies hands its batch to another; a batch of which workers keep dying comes back.

Outcomes come back with the end of their batch. Where the time of a point is limited, its worker tells of every point
as it is done, so that a late one is known by name and no time counts in which its batch waited for a worker.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
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

_HURRY_S: Final = 0.3  # an interrupt waits no longer for the scheduler's good-bye
_SLOTS_S: Final = 1.0  # the scheduler is asked how many workers there are no more often than this

_one_at_a_time = threading.Lock()


def _library(name: str = "distributed") -> Any:
    """A library without annotations.

    Raises:
        RequestError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise RequestError('--cluster needs dask.distributed: pip install "accelsim[cluster]"') from None


def check_address(address: str) -> None:
    """Refuses what is no address of a scheduler.

    Raises:
        RequestError: neither "local" nor such as "tcp://10.0.0.1:8786"; or no dask.distributed.
    """
    comm = _library("distributed.comm")
    try:
        if address != "local":
            comm.get_address_host_port(address, strict=True)
    except ValueError as error:
        raise RequestError(
            f"--cluster {address}: expected local, or the address of a scheduler such as tcp://10.0.0.1:8786 ({error})"
        ) from None


class ClusterError(AccelsimError):
    """A scheduler that cannot be reached, or was lost."""


def evaluated(batch: Batch) -> list[Outcome]:
    """What a worker does with a batch; one at a time, whatever threads it has."""
    with _one_at_a_time:
        return list(chain.from_iterable(batch.evaluate()))


def told(batch: Batch, number: int, topic: str) -> list[Outcome]:
    """The same, telling the driver of its start and of every point as it is done."""
    worker = _library().get_worker()
    with _one_at_a_time:
        worker.log_event(topic, (number, worker.address, b""))
        found = []
        for outcomes in batch.evaluate():
            worker.log_event(topic, (number, worker.address, pickle.dumps(outcomes)))
            found += outcomes
        return found


@dataclass(slots=True)
class _Sent:
    """A batch that the scheduler has.

    Attributes:
        future: its end.
        since_s: when its worker was heard of last; None before its start.
        worker: the address of that worker.
        given: points that the driver has.
    """

    future: Any
    since_s: float | None = None
    worker: str = ""
    given: set[str] = field(default_factory=set)


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

    def __init__(self, address: str, workers: int | None = None, timeout_s: float | None = None) -> None:
        distributed = _library()
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        self.address, self._timeout_s = address, timeout_s
        self._own: LocalCluster | None = None
        if address == "local":
            self._own = LocalCluster(workers or os.cpu_count() or 1)
            address = self._own.address
        try:
            self._client = self._connected(distributed, address)
        except BaseException:  # an interrupt, too, leaves no processes behind
            self._close_own()
            raise
        self._killed: Any = distributed.KilledWorker
        self._events: queue.Queue[tuple[int, Any]] = queue.Queue()
        self._sent: dict[int, _Sent] = {}
        self._lost_s = 0.0
        self._workers, self._counted_s = 1, float("-inf")
        self._topic = f"accelsim-{uuid.uuid4().hex}"
        if timeout_s is not None:
            self._client.subscribe_topic(self._topic, lambda event: self._events.put((event[1][0], event[1])))

    def _connected(self, distributed: Any, address: str) -> Any:
        try:
            client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise ClusterError(
                f"no Dask scheduler answers at {address} within {CONNECT_S:g} s ({error}): is it running, and is the "
                "address that which it printed? `--cluster local` starts one here"
            ) from None
        if self._own is not None:
            client.wait_for_workers(1, timeout=START_S)
        return client

    @property
    def slots(self) -> int:
        """Two batches for each worker, so that none waits for the next; one where time is taken of each."""
        if time.monotonic() - self._counted_s > _SLOTS_S:
            with suppress(OSError, RuntimeError, ValueError):
                self._workers = max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
            self._counted_s = time.monotonic()
        return self._workers * (1 if self._timeout_s else 2)

    def submit(self, number: int, batch: Batch) -> None:
        """Hands a batch to the scheduler."""
        work = (evaluated, batch) if self._timeout_s is None else (told, batch, number, self._topic)
        future = self._client.submit(*work, pure=False, retries=0)
        self._sent[number] = _Sent(future)
        future.add_done_callback(lambda done, number=number: self._events.put((number, done)))

    def results(self, patience_s: float) -> list[Event]:
        """Batches that are done, and points where their time is limited.

        Raises:
            ClusterError: the scheduler is gone.
            AccelsimError: what a worker raised about the whole batch.
        """
        found: list[Event] = []
        wait_s = patience_s
        while True:
            try:
                number, what = self._events.get(timeout=wait_s) if wait_s else self._events.get_nowait()
            except queue.Empty:
                break
            wait_s = 0.0
            if number in self._sent:
                found.append(self._heard(number, *what[1:]) if isinstance(what, tuple) else self._done(number, what))
        self._check()
        return found + self._late()

    def _heard(self, number: int, worker: str, content: bytes) -> Event:
        sent = self._sent[number]
        sent.since_s, sent.worker = time.monotonic(), worker
        return Event(number, self._new(sent, pickle.loads(content) if content else []))

    def _new(self, sent: _Sent, outcomes: list[Outcome]) -> list[Outcome]:
        """Those that the driver does not have: a second worker begins the batch of a dead one anew."""
        new = [one for one in outcomes if one.key not in sent.given]
        sent.given.update(one.key for one in new)
        return new

    def _done(self, number: int, future: Any) -> Event:
        sent = self._sent.pop(number)
        try:
            if future.status == "finished":
                return Event(number, self._new(sent, future.result(timeout=CONNECT_S)), finished=True)
            error = future.exception(timeout=CONNECT_S) if future.status == "error" else None
        except (OSError, TimeoutError):  # of the connection: what the batch itself raised is not raised here
            raise ClusterError(f"the Dask scheduler at {self.address} is gone; {_AGAIN}") from None
        if error is not None:
            if isinstance(error, self._killed):
                reason, deaths = "workers of the cluster died of it", error.allowed_failures + 1
                return Event(number, [], finished=True, lost="crashed", reason=reason, deaths=deaths, known=False)
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
        """Batches at whose point their worker is for too long: it is started anew."""
        if self._timeout_s is None:
            return []
        found, now = [], time.monotonic()
        for number, sent in list(self._sent.items()):
            if sent.since_s is None or now - sent.since_s <= self._timeout_s:
                continue
            del self._sent[number]
            sent.future.cancel()
            # beside the sweep: the other workers go on
            threading.Thread(target=self._restart, args=(sent.worker,), daemon=True).start()
            found.append(
                Event(number, [], finished=True, lost="timeout", reason=f"took more than {self._timeout_s:g} s")
            )
        return found

    def _restart(self, worker: str) -> None:
        with suppress(Exception):  # one that cannot be started anew is one less, and may end its point some day
            self._client.restart_workers([worker], timeout=CONNECT_S, raise_for_error=False)

    def close(self, *, now: bool = False) -> None:
        """Leaves the scheduler; ends it, if it is a local one."""
        if now and self._own is None:
            with suppress(Exception):
                self._client.cancel([sent.future for sent in self._sent.values()], force=True)
        with suppress(Exception):
            self._client.close(timeout=_HURRY_S if now or self._own else CONNECT_S)
        self._close_own()

    def _close_own(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None


_AGAIN: Final = "what was finished is kept: run the sweep again to go on"
