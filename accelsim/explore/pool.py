"""Local worker processes. One that dies takes nothing with it but the points it was at, and is replaced."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Final

from accelsim.errors import AccelsimError, RequestError
from accelsim.explore.executor import Event
from accelsim.explore.outcome import Batch

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    number: int | None = None
    heard_s: float | None = None
    """When it began its batch, or finished a point of it, last; None before."""


class PoolError(AccelsimError):
    """Workers that cannot be started."""


class Pool:
    """Worker processes on this machine.

    Args:
        workers: how many.
        timeout_s: a point that takes longer loses its worker; None for no limit.

    Raises:
        RequestError: a number of workers below one, or a system that cannot hand sockets to processes.
    """

    def __init__(self, workers: int, timeout_s: float | None = None) -> None:
        if workers < 1:
            raise RequestError(f"workers = {workers}: expected at least 1")
        if os.name != "posix":
            raise RequestError("worker processes need a POSIX system: use --workers 1, or --cluster")
        self.slots, self._timeout_s = workers, timeout_s
        self._workers: list[_Worker] = []
        self._waiting: deque[tuple[int, Batch]] = deque()
        self._deaths = 0

    def submit(self, number: int, batch: Batch) -> None:
        """Sends a batch to an idle worker, or keeps it until one is."""
        self._waiting.append((number, batch))
        self._send()

    def _send(self) -> None:
        while self._waiting:
            idle = next((worker for worker in self._workers if worker.number is None), None)
            if idle is None and len(self._workers) < self.slots:
                idle = _started()
                self._workers.append(idle)
            if idle is None:
                return
            number, batch = self._waiting.popleft()
            idle.number, idle.heard_s = number, None
            with suppress(BrokenPipeError, ConnectionResetError):  # a dead one's end of the line will say so
                idle.connection.send((number, batch))

    def results(self, patience_s: float) -> list[Event]:
        """Outcomes and deaths.

        Raises:
            AccelsimError: what a worker raised about the whole batch.
            PoolError: workers die before they have done anything.
        """
        by_line = {worker.connection: worker for worker in self._workers}
        found: list[Event] = []
        for line in wait(list(by_line), timeout=patience_s):
            found += self._heard(by_line[line])  # type: ignore[index]
        if self._timeout_s is not None:
            now = time.monotonic()
            for worker in list(self._workers):
                if worker.number is not None and worker.heard_s and now - worker.heard_s > self._timeout_s:
                    worker.process.kill()
                    found += self._died(worker, "timeout", f"took more than {self._timeout_s:g} s")
        self._send()
        return found

    def _heard(self, worker: _Worker) -> list[Event]:
        found: list[Event] = []
        try:
            while worker.connection.poll():
                number, outcomes, error = worker.connection.recv()
                self._deaths = 0
                worker.heard_s = time.monotonic()
                if error is not None:
                    raise error
                if outcomes is None:
                    worker.number = None
                    found.append(Event(number, [], finished=True))
                elif outcomes:
                    found.append(Event(number, outcomes))
        except (EOFError, ConnectionResetError):
            found += self._died(worker, "crashed", "")
        return found

    def _died(self, worker: _Worker, how: str, reason: str) -> list[Event]:
        worker.connection.close()
        code = worker.process.wait()
        self._workers.remove(worker)
        if how == "crashed":
            reason = (
                f"its worker was killed by {signal.Signals(-code).name}"
                if code < 0
                else f"its worker ended with {code}"
            )
            self._deaths += 1
            if self._deaths > 20 * self.slots:
                raise PoolError(f"workers end at once ({reason}); is accelsim whole? try --workers 1")
        if worker.number is None:
            return []
        return [
            Event(worker.number, [], finished=True, lost="timeout" if how == "timeout" else "crashed", reason=reason)
        ]

    def close(self, *, now: bool = False) -> None:
        """Ends the workers: idle ones by closing their line, all at once with `now`."""
        for worker in self._workers:
            worker.connection.close()
            if now or worker.number is not None:
                worker.process.kill()
        for worker in self._workers:
            try:
                worker.process.wait(timeout=5.0)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        self._workers.clear()
        self._waiting.clear()


def _started() -> _Worker:
    ours, theirs = socket.socketpair()
    environment = {
        **dict.fromkeys(_THREADS, "1"),
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
    }
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "accelsim.explore.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, process_group=0,
        )  # fmt: skip
    except OSError as error:
        raise PoolError(f"no worker process: {error.strerror}") from None
    finally:
        theirs.close()
    return _Worker(process, Connection(ours.detach()))
