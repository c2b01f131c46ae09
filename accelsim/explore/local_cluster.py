"""A Dask scheduler and its workers as processes of this machine, over TCP, as on any cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from accelsim.errors import AccelsimError

START_S: Final = 60.0
_DEATHS: Final = "2"
"""So many workers may die of one batch; then it comes back."""

_IDLE: Final = "2 minutes"
"""A scheduler that nobody has asked for so long ends, and its workers with it: its driver has been killed."""

_SETTINGS: Final = {
    "SCHEDULER__ALLOWED_FAILURES": _DEATHS,
    "SCHEDULER__IDLE_TIMEOUT": _IDLE,
    "SCHEDULER__ACTIVE_MEMORY_MANAGER__START": "False",
    "ADMIN__LOW_LEVEL_LOG_LENGTH": "0",
    "WORKER__PROFILE__ENABLED": "False",  # samples a worker's stack 100 times a second
    "COMM__COMPRESSION": "False",  # records and results are small
}
"""Settings of `distributed`, by the names of their environment variables."""


class LocalCluster:
    """Started when made; ended by `close`.

    Args:
        workers: worker processes, each with one thread.

    Attributes:
        address: of the scheduler.
        scheduler: its process.
        workers: the processes that look after one worker each, and start it anew if it dies.

    Raises:
        AccelsimError: the scheduler does not start.
    """

    def __init__(self, workers: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="accelsim-dask-")
        contact = Path(self._folder.name) / "scheduler.json"
        listen = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(contact)]
        self.scheduler = self._start("dask_scheduler", listen)
        self.workers: list[subprocess.Popen[bytes]] = []
        try:
            self.address = self._contact(contact)
            self.workers += [self._start("dask_worker", self._worker()) for _ in range(workers)]
        except BaseException:
            self.close(now=True)
            raise

    def _worker(self) -> list[str]:
        folder = ["--local-directory", self._folder.name]
        return [self.address, "--nthreads", "1", "--nworkers", "1", "--no-dashboard", "--memory-limit", "0", *folder]

    def _start(self, what: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            **{f"DASK_DISTRIBUTED__{name}": value for name, value in _SETTINGS.items()},
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{what}", *arguments], env=environment, process_group=0,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _contact(self, file: Path) -> str:
        """The address, once the scheduler has written it."""
        began = time.monotonic()
        while time.monotonic() - began < START_S and self.scheduler.poll() is None:
            try:
                return str(json.loads(file.read_text())["address"])
            except (OSError, ValueError, KeyError):
                time.sleep(0.05)
        raise AccelsimError("the Dask scheduler of --cluster local does not start: is dask.distributed whole?")

    def close(self, *, now: bool = False) -> None:
        """Ends all processes; with `now`, without a word."""
        processes = (*self.workers, self.scheduler)
        for process in processes:
            if now and os.name == "posix":
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # and the worker that it looks after
            else:
                process.terminate()
        for process in processes:
            try:
                process.wait(timeout=3.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()
