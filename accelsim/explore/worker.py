"""A worker process of the local pool: batches in, outcomes out, until the driver is gone.

Started as `python -m accelsim.explore.worker FD`, so that neither the driver's script is run again nor its threads are
forked. Interrupts are the driver's business.
"""

from __future__ import annotations

import signal
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelsim.explore.outcome import Batch


def main(connection: Connection) -> None:
    """Serves until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while True:
            number, batch = connection.recv()
            _serve(connection, number, batch)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _serve(connection: Connection, number: int, batch: Batch) -> None:
    try:
        connection.send((number, [], None))  # what it takes to start and to load is no point's time
        for outcomes in batch.evaluate():
            connection.send((number, outcomes, None))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # noqa: BLE001 - the driver raises it
        connection.send((number, [], error))
    else:
        connection.send((number, None, None))


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
