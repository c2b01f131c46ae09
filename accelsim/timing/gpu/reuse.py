"""What of a kernel's operands the last-level cache still holds from the run before."""

from __future__ import annotations

from typing import Any, Final

POWER: Final = 4
"""How sharply the part that is held falls where the reuse distance passes the usable size; as for GEMMs."""


def missed(state: str | int, bytes_: Any, usable_bytes: float) -> Any:
    """Part of the bytes of a kernel without weights that goes to memory.

    Args:
        state: of its residency: "cold" holds nothing, "steady" and "harness" what one run leaves, a number that many
            copies.
        bytes_: all that it reads and writes, a number or an array.
        usable_bytes: of the cache.
    """
    if state == "cold":
        return 1.0
    copies = 1 if state in ("steady", "harness") else int(state)
    ratio = (copies * bytes_ / usable_bytes) ** POWER
    return ratio / (1 + ratio)
