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
    wire, count = _points(size, devices, constants)
    fixed = _fixed_s(count, constants)
    seconds = fixed + _transfer_s(wire, count, link_bytes_per_s, constants)
    best = np.argmin(seconds, axis=0)
    at = (best, np.arange(len(best)))
    return Times(seconds[at], fixed[at], wire, best)


def ways_s(size: Any, devices: Any, link_bytes_per_s: float, constants: CollectiveConstants) -> Array:
    """[protocols, points] seconds; arguments as of `price`."""
    wire, count = _points(size, devices, constants)
    return _fixed_s(count, constants) + _transfer_s(wire, count, link_bytes_per_s, constants)


def _points(size: Any, devices: Any, constants: CollectiveConstants) -> tuple[Array, Array]:
    wire = np.atleast_1d(wire_bytes(constants.operation, size, devices))
    sent, count = np.broadcast_arrays(wire, np.atleast_1d(np.asarray(devices, dtype=float)))
    return sent, count


def _fixed_s(count: Array, constants: CollectiveConstants) -> Array:
    around = constants.start_s + constants.hop_s * (count - 1)
    return np.stack([around, around + constants.ll128_s, around + constants.simple_s])


def _transfer_s(wire: Array, count: Array, link_bytes_per_s: float, constants: CollectiveConstants) -> Array:
    growth = (count / TYPICAL_DEVICES) ** constants.growth
    shares = (constants.ll128_efficiency * growth, constants.simple_efficiency * growth)
    share = np.stack([np.full(len(count), constants.ll_efficiency), *shares])
    found: Array = wire / (link_bytes_per_s * np.minimum(share, 1.0))
    return found
