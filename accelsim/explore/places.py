"""Which place evaluates the points of a sweep: this process, worker processes, or a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import numpy as np

from accelsim.errors import RequestError
from accelsim.explore.executor import Executor, InProcess
from accelsim.explore.groups import Group

SMALL_SIMULATIONS: Final = 8
SMALL_COLUMNS: Final = 40_000
"""No more points than these are not worth the start of worker processes."""


def check_place(workers: int | None, cluster: str | None) -> None:
    """Refuses what can be no place, before anything is opened.

    Raises:
        RequestError: a number of workers below one, no dask.distributed, or what is no address.
    """
    if workers is not None and workers < 1:
        raise RequestError(f"workers = {workers}: expected at least 1")
    if cluster is not None:
        from accelsim.explore.cluster import check_address

        check_address(cluster)


def executor_for(
    groups: Sequence[Group], wanted: Sequence[bool], workers: int | None, cluster: str | None, timeout_s: float | None
) -> Executor:
    """What evaluates the points that are wanted.

    Args:
        groups: of the sweep.
        wanted: whether a point is to be evaluated, by its position.
        workers: processes; 1 is this one. By default this one for few points, else one per core.
        cluster: address of a Dask scheduler, or "local".
        timeout_s: a point that takes longer loses its worker.

    Raises:
        AccelsimError: a cluster that cannot be reached.
    """
    if cluster is not None:
        from accelsim.explore.cluster import Cluster

        return Cluster(cluster, workers, timeout_s)
    if workers is None:
        chosen = np.asarray(wanted, dtype=bool)
        columns = sum(int(chosen[group.rows].sum()) for group in groups if group.vectorised)
        small = int(chosen.sum()) - columns <= SMALL_SIMULATIONS and columns <= SMALL_COLUMNS
        workers = 1 if small and timeout_s is None else os.cpu_count() or 1
    if workers == 1 and timeout_s is None:
        return InProcess()
    from accelsim.explore.pool import Pool

    return Pool(workers, timeout_s)
