"""Points whose evaluation sleeps, writes its key to a ledger, and may kill its worker; cheap to import."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass, replace

from accelsim.explore.outcome import Outcome

METRICS = ("value",)


@dataclass(frozen=True)
class Stub:
    keys: tuple[str, ...]
    ledger: str
    seconds: float = 0.0
    poison: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()

    def evaluate(self):
        for key in self.keys:
            line = f"{key}\n".encode()
            descriptor = os.open(self.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(descriptor, line)  # appended at once: workers write to one file
            os.close(descriptor)
            if key in self.poison:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60 if key in self.slow else self.seconds)
            yield [Outcome(key, "ok", "", (float(int(key, 16) % 97),), self.seconds, str(os.getpid()))]

    @property
    def in_turn(self):
        return True

    def only(self, keys):
        return replace(self, keys=tuple(key for key in self.keys if key in set(keys)))


def keys_of(count):
    return [f"{number:04x}" for number in range(count)]


class Source:
    def __init__(self, keys, size, **how):
        self.left = [tuple(keys[start : start + size]) for start in range(0, len(keys), size)]
        self.how = how

    def take(self, each_s):
        return Stub(self.left.pop(0), **self.how) if self.left else None

    def elsewhere(self):
        self.left.reverse()


def drive(store, ledger, count, workers, seconds):
    """One run of a driver over the points that the store does not have, as `Sweep.run` makes it."""
    from accelsim.explore.driver import Driver, Progress
    from accelsim.explore.pool import Pool
    from accelsim.explore.store import Store

    opened = Store(store, METRICS)
    keys = keys_of(count)
    known = opened.statuses(keys)
    opened.plan(keys, keys, [[key] for key in keys], {"axes": ["point"]})
    pool = Pool(workers)
    driver = Driver(opened, pool, dict(zip(keys, keys, strict=True)), "1", Progress(count, len(known)))
    driver.run(Source([key for key in keys if key not in known], 4, ledger=ledger, seconds=seconds))
    opened.close()


if __name__ == "__main__":
    from sweep_stub import drive  # under its name, by which workers find what they are sent

    drive(sys.argv[1], sys.argv[2], int(sys.argv[3]), 2, float(sys.argv[4]))
