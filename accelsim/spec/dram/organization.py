"""How a memory is divided: channels, ranks, banks, rows and columns, and how addresses spread over them."""

from __future__ import annotations

import math
import re
from typing import Final

from pydantic import model_validator

from accelsim.spec.base import Count, Sourced

_POWERS: Final = {
    "channels": 4096, "pseudo_channels": 16, "ranks": 64, "bank_groups": 16, "banks": 64, "rows": 1 << 24,
    "columns": 1 << 16, "device_bits": 1024, "bus_bits": 4096, "burst_length": 64,
}  # fmt: skip
"""Largest number of each; every one is a power of two."""

FIELDS: Final = {
    "ch": "channels", "pc": "pseudo_channels", "ra": "ranks", "bg": "bank_groups", "ba": "banks", "ro": "rows",
    "co": "accesses_per_row",
}  # fmt: skip
"""Words of an address order, and what they count; the column is counted in whole accesses."""


class Organization(Sourced):
    """Numbers of each level within the one above, and widths.

    Attributes:
        channels: channels of the whole memory: each has its own command and data bus.
        pseudo_channels: parts of a channel that share its command bus and have their own data bus.
        ranks: of a pseudo-channel (stack levels of HBM count as ranks).
        bank_groups: of a rank.
        banks: of a bank group.
        rows: of a bank.
        columns: of a row, each as wide as the bus.
        device_bits: data pins of one device.
        bus_bits: data pins of one pseudo-channel; `bus_bits / device_bits` devices work in lock-step.
        burst_length: beats of one access.
    """

    name: str
    channels: Count
    pseudo_channels: Count
    ranks: Count
    bank_groups: Count
    banks: Count
    rows: Count
    columns: Count
    device_bits: Count
    bus_bits: Count
    burst_length: Count

    @property
    def devices(self) -> int:
        """Devices of a rank."""
        return self.bus_bits // self.device_bits

    @property
    def access_bytes(self) -> int:
        """Bytes of one read or write command."""
        return self.bus_bits * self.burst_length // 8

    @property
    def row_bytes(self) -> int:
        """Bytes of an open row, over all devices of the rank."""
        return self.columns * self.bus_bits // 8

    @property
    def accesses_per_row(self) -> int:
        """Reads that cover a row."""
        return self.columns // self.burst_length

    @property
    def counts(self) -> tuple[int, ...]:
        """Nodes of each level within one of the level above, as `LEVELS`."""
        return (self.channels, self.pseudo_channels, self.ranks, self.bank_groups, self.banks)

    @property
    def all_banks(self) -> int:
        """Banks of the whole memory."""
        return math.prod(self.counts)

    @property
    def capacity_bytes(self) -> int:
        """Bytes of the whole memory."""
        return self.all_banks * self.rows * self.row_bytes

    @model_validator(mode="after")
    def _powers_of_two(self) -> Organization:
        problems = []
        for key, largest in _POWERS.items():
            value = getattr(self, key)
            if value & (value - 1) or value > largest:
                below = min(largest, 1 << (value.bit_length() - 1))
                near = f"{below} or {2 * below}" if 2 * below <= largest else str(below)
                problems.append(f"{key} = {value} is no power of two from 1 to {largest}: try {near}")
        if not problems and self.bus_bits < self.device_bits:
            problems.append(f"bus_bits = {self.bus_bits} is less than device_bits = {self.device_bits}")
        if not problems and (self.columns < self.burst_length or self.access_bytes < 1):
            problems.append(f"columns = {self.columns} must be at least burst_length = {self.burst_length}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def address_fields(order: str, organization: Organization) -> tuple[tuple[str, int, int, int], ...]:
    """Where the bits of an address go.

    Args:
        order: words of `FIELDS` from the highest bits down, such as `rorabgbachco`; a number after a word is how
            many bits of that level stand there (`roco3rabgbachco`: the upper three of the column further up).
        organization: widths of the levels.

    Returns:
        (word, lowest bit in the address, bits, lowest bit in the level) from the lowest part up; the address counts
        accesses.

    Raises:
        ValueError: unknown or missing words, or parts that do not fit.
    """
    parts = re.findall(r"([a-z]{2})(\d*)", order)
    if "".join(word + digits for word, digits in parts) != order or not order:
        raise ValueError(f"address order {order!r} is not made of {', '.join(FIELDS)}, each with bits if it is split")
    width = {word: getattr(organization, key).bit_length() - 1 for word, key in FIELDS.items()}
    problems = [f"unknown {word!r}" for word, _ in parts if word not in width]
    problems += [f"{word!r} ({FIELDS[word]}) is missing" for word in width if width[word] and word not in dict(parts)]
    for word in dict(parts):
        given = [digits for other, digits in parts if other == word]
        free, fixed = given.count(""), sum(int(digits) for digits in given if digits)
        if word in width and (free > 1 or fixed > width[word] or (not free and fixed != width[word])):
            problems.append(
                f"the parts of {word!r} must add up to its {width[word]} bits, one of them without a number"
            )
    if problems:
        raise ValueError(f"address order {order!r}: {'; '.join(problems)}; words are {', '.join(FIELDS)}")
    left = {word: width[word] - sum(int(d) for other, d in parts if other == word and d) for word in width}
    found, at, used = [], 0, dict.fromkeys(width, 0)
    for word, digits in reversed(parts):
        bits = int(digits) if digits else left[word]
        found.append((word, at, bits, used[word]))
        at, used[word] = at + bits, used[word] + bits
    return tuple(found)
