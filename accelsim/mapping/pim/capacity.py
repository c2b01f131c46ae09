"""What does not fit into the banks: a result with what is asked, what is there, and what would help."""

from __future__ import annotations

from accelsim.spec.infeasible import Infeasible


def too_large(used: int, channel_bytes: int, channels: int, set_by: str, unit: str = "channels") -> Infeasible:
    """An operator that needs more than the banks hold.

    Args:
        used: bytes that it needs, padding included.
        channel_bytes: capacity of one channel.
        channels: how many there are.
        set_by: the sizes that ask for so much, as words.
        unit: what a channel is called there.
    """
    capacity = channel_bytes * channels
    return Infeasible(
        "capacity",
        f"{set_by} take {used} bytes of the {capacity} bytes of {channels} {unit}, padding included",
        demand=float(used),
        bound=float(capacity),
        unit="B",
        set_by=(set_by, "organization.rows"),
        levers=(f"more {unit}", "a smaller operator"),
    )
