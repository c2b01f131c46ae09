"""Time of a collective among GPUs that one switch or board joins, in closed form, one or many at once.

Three protocols, of which the fastest is taken: each has a fixed part and its part of the link's bandwidth. The closed
form grows with the bytes, is continuous in them and in the bandwidth of the link, and never beats the link.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.spec.collective import CollectiveConstants

Array = npt.NDArray[np.float64]

PROTOCOLS: Final = ("LL", "LL128", "Simple")
TYPICAL_DEVICES: Final = 4
"""GPUs that efficiencies are told for."""


@dataclass(frozen=True, slots=True)
class Times:
    """Collectives, [points] each.

    Attributes:
        seconds: from the launch on all GPUs to the last byte.
        fixed: part of it that no bandwidth shortens.
        wire: bytes that leave each GPU.
        protocol: index into `PROTOCOLS`.
    """

    seconds: Array
    fixed: Array
    wire: Array
    protocol: npt.NDArray[np.intp]


def wire_bytes(operation: str, size: Any, devices: Any) -> Array:
    """Bytes that each GPU sends at least, a link being as fast in one direction as in the other.

    Args:
        operation: one of `accelsim.spec.collective.OPERATIONS`.
        size: bytes of the whole tensor: what an all-reduce has on each GPU, what an all-gather leaves on each, what a
            reduce-scatter starts from on each, what an all-to-all sends from each, its own part included.
        devices: GPUs.
    """
    count = np.asarray(devices, dtype=float)
    found: Array = (2 if operation == "all_reduce" else 1) * (count - 1) / count * np.asarray(size, dtype=float)
    return found


def price(size: Any, devices: Any, link_bytes_per_s: float, constants: CollectiveConstants) -> Times:
    """Times of one operation.

    Args:
        size: bytes as in `wire_bytes`; a number or an array.
        devices: GPUs, at least two; a number or an array.
        link_bytes_per_s: of one GPU in one direction.
        constants: of the operation.
    """
    c = constants
    wire, count = np.broadcast_arrays(
        np.atleast_1d(wire_bytes(c.operation, size, devices)), np.atleast_1d(np.asarray(devices, dtype=float))
    )
    around = c.start_s + c.hop_s * (count - 1)
    growth = (count / TYPICAL_DEVICES) ** c.growth
    fixed = np.stack([around, around + c.ll128_s, around + c.simple_s])
    share = np.stack([c.ll_efficiency + 0 * growth, c.ll128_efficiency * growth, c.simple_efficiency * growth])
    seconds = fixed + wire / (link_bytes_per_s * np.minimum(share, 1.0))
    best = np.argmin(seconds, axis=0)
    at = (best, np.arange(len(best)))
    return Times(seconds[at], fixed[at], wire, best)
