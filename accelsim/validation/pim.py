"""Cycle counts of public simulators of memories beside ours.

Peers, all run for this table: SAITPublic/PIMSimulator at b464dde, arkhadem/aim_simulator at 0f28a07, DRAMsim3 at
2981759 with a driver of its own (100,000 requests of 64 B, as fast as it takes them; random ones over 1 GiB),
AttAcc at c600051 with Ramulator 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from accelsim import catalog
from accelsim.simulation import simulate_operator
from accelsim.timing.aim import machine, trace
from accelsim.timing.dram import controller
from accelsim.timing.dram import pattern as patterns

NOT_MODELLED: Final = "not modelled yet"
_PIM, _AIM, _DRAM, _ATTACC = "PIMSimulator", "aim_simulator", "DRAMsim3", "AttAcc"


@dataclass(frozen=True, slots=True)
class Row:
    """One case.

    Attributes:
        peer: simulator that the figure comes from.
        on: system or memory, by its name here.
        what: kernel, variant and shape.
        cycles: of the peer.
        ours: our cycles; None for what is not modelled.
    """

    peer: str
    on: str
    what: str
    cycles: int
    ours: int | None

    @property
    def difference(self) -> float | None:
        """Ours over the peer's, less one."""
        return None if self.ours is None else self.ours / self.cycles - 1


GEMV: Final = (
    (1, 64, 128, 1, 750), (1, 64, 130, 1, 1138), (1, 64, 384, 1, 1479), (1, 64, 1024, 1, 3662), (1, 64, 1024, 2, 7037),
    (1, 64, 1024, 8, 26823), (1, 128, 1024, 1, 7037), (1, 64, 2048, 1, 6970), (1, 64, 4096, 1, 13166),
    (1, 256, 4096, 1, 51941), (64, 4096, 128, 1, 750), (64, 1024, 1024, 1, 3662), (64, 4096, 256, 1, 1138),
    (64, 4096, 512, 1, 1867), (64, 4096, 1024, 4, 13389), (64, 4096, 4096, 1, 13166),
)  # fmt: skip
"""Pseudo-channels, outputs, inputs, batch, cycles of a GEMV on HBM-PIM."""

ELEMENTWISE: Final = (
    (1, "add", 2048, 731), (1, "add", 8192, 1697), (1, "add", 16384, 3349), (1, "add", 65536, 11806),
    (64, "add", 131072, 731), (64, "add", 1048576, 3349), (64, "mul", 1048576, 3349), (1, "relu", 2048, 613),
    (1, "relu", 16384, 2042), (64, "relu", 1048576, 2042),
)  # fmt: skip
"""Pseudo-channels, operator, elements, cycles on HBM-PIM."""

PLAIN: Final[tuple[tuple[int, str, dict[str, Any], int], ...]] = (
    (1, "matmul", {"m": 1, "n": 64, "k": 1024}, 9173), (64, "matmul", {"m": 1, "n": 4096, "k": 4096}, 36082),
    (64, "add", {"elements": 1048576}, 6651), (64, "relu", {"elements": 1048576}, 4564),
)  # fmt: skip
"""The same operands streamed through the same memory without PIM."""

AIM_GEMV: Final = (
    (1, 16, 1024, 415), (32, 1024, 1024, 701), (32, 1024, 4096, 2801), (32, 4096, 1024, 2417), (32, 4096, 4096, 9665),
)  # fmt: skip
"""Channels, outputs, inputs, cycles of a GEMV on GDDR6-AiM."""

_ALL_BANKS = "0xffffffff"
ALL_INSTRUCTIONS: Final = "\n".join([
    *(f"W MEM {i} 2 {8 + i}" for i in range(4)), *["W GPR 0"] * 8,
    *(f"AiM WR_SBK {gpr} {1 << i} 0 0" for gpr in (0, 1) for i in range(4)),
    "AiM WR_GB 2 2 15", "AiM WR_BIAS 4 15",
    "W CFR 0 1", "AiM MAC_ABK 2 15 0", "W CFR 0 0", "AiM MAC_ABK 2 15 0",
    "W CFR 0 1", "AiM MAC_SBK 2 15 0 0", "W CFR 0 0", "AiM MAC_SBK 2 15 0 0",
    "W CFR 1 1", "AiM EWMUL 2 15 0", "W CFR 1 0", "AiM EWMUL 2 15 0",
    "W CFR 2 1", "AiM AF 15", "AiM RD_MAC 8 15", "AiM RD_AF 12 15", "AiM EWADD 4 8 12",
    "AiM COPY_BKGB 2 15 0 0", "AiM COPY_GBBK 2 15 0 0",
    *(f"AiM RD_SBK 20 {1 << (i // 2)} 0 0" for i in range(8)),
    *(f"AiM WR_ABK 4 {1 << i} 5" for i in range(4)), "AiM EOC",
])  # fmt: skip
"""Every kind of host instruction once, in the order of the public simulator's overview trace."""


def _program(lines: Iterator[str] | list[str]) -> str:
    return "\n".join([*lines, "AiM EOC"])


def _macs(rows: int, columns: int, mask: str) -> str:
    return _program(f"AiM MAC_ABK {columns} {mask} {row}" for row in range(rows))


AIM_TRACES: Final = (
    ("end of commands", _program([]), 2),
    ("MAC, 1 channel, 1 column", _macs(1, 1, "0x1"), 59),
    ("MAC, 1 channel, 16 columns", _macs(1, 16, "0x1"), 89),
    ("MAC, 1 channel, 1 row", _macs(1, 64, "0x1"), 185),
    ("MAC, 1 channel, 2 rows", _macs(2, 64, "0x1"), 411),
    ("MAC, 1 channel, 16 rows", _macs(16, 64, "0x1"), 3575),
    ("MAC, 32 channels, 16 rows", _macs(16, 64, _ALL_BANKS), 3575),
    ("MAC, 1,024 rows", _macs(1024, 64, _ALL_BANKS), 231383),
    ("RD_MAC, 1,024 times", _program([f"AiM RD_MAC 0 {_ALL_BANKS}"] * 1024), 3106),
    ("WR_BIAS, 1,024 times", _program([f"AiM WR_BIAS 0 {_ALL_BANKS}"] * 1024), 2083),
    ("every instruction", ALL_INSTRUCTIONS, 689),
)
"""Traces of host instructions, and their cycles."""

STREAMS: Final = (
    ("dramsim3-hbm2-8gb", "sequential", 26939), ("dramsim3-hbm2-8gb", "random", 105043),
    ("dramsim3-ddr4-3200", "sequential", 602230), ("dramsim3-ddr4-3200", "random", 496751),
)  # fmt: skip
"""Memory, pattern, cycles of 100,000 reads."""

ATTENTION: Final = (
    ("bank", 3810), ("bank, no power limit", 2818), ("bank group", 13403), ("bank group, no power limit", 8837),
    ("buffer die", 36415), ("buffer die, no power limit", 36415),
)  # fmt: skip
"""Where the units are, cycles of attention over 2,048 positions by 12 heads of 128 on AttAcc's HBM3-PIM."""


def _cycles(kind: str, on: str, key: str = "cycles", **options: Any) -> int:
    return int(simulate_operator(kind, on=on, scope="peer", **options).summary[key])


def _hbm_pim() -> Iterator[Row]:
    for channels, n, k, m, cycles in GEMV:
        on = f"hbm-pim-{channels}pch"
        what = f"GEMV {n}x{k}" + (f", batch {m}" if m > 1 else "")
        yield Row(_PIM, on, what, cycles, _cycles("matmul", on, m=m, n=n, k=k))
    on = "hbm-pim-64pch"
    yield Row(_PIM, on, "tree GEMV 4096x1024", 4680, _cycles("matmul", on, m=1, n=4096, k=1024, variant="tree"))
    for channels, kind, elements, cycles in ELEMENTWISE:
        on = f"hbm-pim-{channels}pch"
        yield Row(_PIM, on, f"{kind} {elements}", cycles, _cycles(kind, on, elements=elements))
    for channels, kind, sizes, cycles in PLAIN:
        on = f"hbm-pim-{channels}pch"
        shape = "x".join(str(v) for key, v in sizes.items() if key != "m")
        yield Row(_PIM, on, f"{kind} {shape} without PIM", cycles, _cycles(kind, on, variant="plain", **sizes))
    for channels, n in ((64, 4096), (1, 64)):
        on = f"hbm-pim-{channels}pch"
        ours = _cycles("matmul", on, "readout_cycles", m=1, n=n, k=1024)
        yield Row(_PIM, on, f"reading the results of GEMV {n}x1024", 181, ours)


def _aim() -> Iterator[Row]:
    for channels, n, k, cycles in AIM_GEMV:
        on = f"gddr6-aim-{channels}ch"
        yield Row(_AIM, on, f"GEMV {n}x{k}", cycles, _cycles("matmul", on, m=1, n=n, k=k))
    part: Any = catalog.chip("gddr6-aim")
    for what, text, cycles in AIM_TRACES:
        program = trace.parse(text, part.organization, 32)
        yield Row(_AIM, "gddr6-aim-32ch", what, cycles, machine.run(program, part, 32, scope="peer").cycles)


def _dram() -> Iterator[Row]:
    for name, pattern, cycles in STREAMS:
        record = catalog.dram(name)
        served = controller.serve(record, *patterns.stream(record, pattern, 100_000, 1.0))
        yield Row(_DRAM, name, f"100,000 reads, {pattern}", cycles, served.cycles)


def _attacc() -> Iterator[Row]:
    for place, cycles in ATTENTION:
        yield Row(_ATTACC, "hbm3-pim", f"attention, units at the {place}", cycles, None)


_PARTS: Final[tuple[Callable[[], Iterator[Row]], ...]] = (_hbm_pim, _aim, _dram, _attacc)


def rows() -> tuple[Row, ...]:
    """All cases, computed anew."""
    return tuple(row for part in _PARTS for row in part())
