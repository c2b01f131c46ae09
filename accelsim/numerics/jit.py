"""Compiled kernels: numba on first use, none at all with ACCELSIM_NUMBA=0.

A kernel and the helpers that it inlines share one source file, because numba's cache watches only a kernel's own.
Where no cache can be written, kernels are compiled anew in each process, and a warning says so once.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

_log: Final = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])


def enabled() -> bool:
    """Whether kernels are compiled; ACCELSIM_NUMBA=0 leaves everything to numpy, with the same results."""
    return os.environ.get("ACCELSIM_NUMBA", "1") != "0"


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled form of a function; the first call of each signature compiles, or reads the cache."""
    import numba  # half a second: not before the first kernel runs

    _log.info("compiling %s, or reading it from the cache", function.__qualname__)
    try:
        made = numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # numba found no place that it may write to
        _warn_uncached()
        made = numba.njit(function, nogil=True)
    return made  # type: ignore[no-any-return]


@cache
def _warn_uncached() -> None:
    message = (
        "compiled kernels cannot be cached here and are compiled in every process: set NUMBA_CACHE_DIR to a folder"
    )
    warnings.warn(message, RuntimeWarning, stacklevel=4)
