"""Boards with one overlay each as resources: what they serve, and who shares what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from accelsim.mapping.fpga.fabric import shapes
from accelsim.mapping.kernel import Demand, Resource
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.fpga import ports

MATRIX: Final = "core.matrix"
VECTOR: Final = "core.vector"
ISSUE: Final = "core.issue"
HBM: Final = "hbm"
DDR: Final = "ddr"
RING: Final = "link"
ROUTER: Final = "router"


@dataclass(frozen=True)
class Layout:
    """A part, how many boards of it work together, and how they are linked.

    Attributes:
        part: one board.
        boards: of them.
        steps: messages one after the other until all boards have what all had.
        links: links that a board needs.
    """

    part: FpgaPart
    boards: int = 1
    steps: int = 0
    links: int = 0

    @classmethod
    def of(cls, part: FpgaPart, system: FpgaSystem | None) -> Layout:
        """The layout of a lone part, or of a system of it."""
        return cls(part) if system is None else cls(part, system.count, system.steps, system.links)

    def name(self, resource: str) -> str:
        """The full name of a resource; boards in lock-step are one of it."""
        return f"chip.{resource}" if self.boards == 1 else f"chip.board[0:{self.boards}].{resource}"

    @property
    def clock_hz(self) -> float:
        """The kernel clock."""
        return self.part.clock.kernel.frequency_hz

    @property
    def cores(self) -> int:
        """Cores of all boards."""
        return self.boards * self.part.matrix.cores

    @cached_property
    def port_bytes_per_s(self) -> float:
        """One port of the HBM while its bursts run."""
        return ports.port_bytes_per_s(self.part.hbm, self.clock_hz)

    @cached_property
    def burst_share(self) -> float:
        """Share of it between bursts that wait for their first word."""
        return ports.burst_share(self.part.hbm, self.port_bytes_per_s)

    @property
    def peak_flops_per_s(self) -> float:
        """All multipliers and adders in the shape that has most of them."""
        return 2.0 * self.cores * max(shape.products for shape in shapes(self.part)) * self.clock_hz

    @property
    def link_bytes_per_s(self) -> float:
        """What all boards send at once: a message on one link in a ring, on every link where each reaches each."""
        network = self.part.network
        at_once = (self.boards - 1) / self.steps if self.steps else 1
        return self.boards * at_once * network.bandwidth_bytes_per_s * network.coding

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """Units and ports by name; equal boards and cores are one resource with a count."""
        part, boards, clock = self.part, self.boards, self.clock_hz
        hbm, ddr = part.hbm, part.ddr
        channels = boards * hbm.channels
        made = (
            (MATRIX, "clk", self.cores * clock, self.cores, "compute", "tensor"),
            (VECTOR, "clk", self.cores * clock, self.cores, "vector", "vector"),
            (ISSUE, "clk", boards * clock, boards, "issue", ""),
            (HBM, "B", channels * self.port_bytes_per_s, channels, "memory", "memory"),
            (DDR, "B", boards * ports.ddr_bytes_per_s(ddr), boards * ddr.channels, "memory", "memory"),
            (RING, "B", self.link_bytes_per_s, boards, "link", "link"),
            (ROUTER, "clk", boards * clock, boards, "sync", ""),
        )
        return {self.name(name): Resource(self.name(name), *rest) for name, *rest in made}  # type: ignore[arg-type]

    def demand(self, resource: str, amount: float, share: float = 1.0) -> tuple[Demand, ...]:
        """A demand of whole units; nothing where there is none."""
        units = whole(amount)
        return (Demand(self.name(resource), units, share),) if units else ()

    def refusal(self) -> Infeasible | None:
        """Why these boards cannot be: ports that do not exist, boards that no link reaches."""
        hbm, network = self.part.hbm, self.part.network
        there = ports.pseudo_channels(hbm)
        if hbm.channels > there:
            return Infeasible(
                "unsupported",
                f"hbm.channels = {hbm.channels}: {hbm.stacks} stacks of {hbm.dram} have {there} pseudo-channels",
                demand=hbm.channels,
                bound=there,
                set_by=("hbm.channels", "hbm.stacks"),
                levers=(f"hbm.channels = {there}", "more hbm.stacks"),
            )
        if self.links > network.ports:
            return Infeasible(
                "unsupported",
                f"{self.boards} boards need {self.links} links each, a {self.part.name} has {network.ports}: "
                "the boards do not connect",
                demand=self.links,
                bound=network.ports,
                set_by=("count", "topology", "network.ports"),
                levers=("topology = ring, which takes 2 links", f"at most {network.ports + 1} boards"),
            )
        return None


def whole(value: float) -> int:
    """A count as an integer, rounded up beyond floating-point noise."""
    return -int(-(value * (1 - 1e-15) - 1e-9) // 1) if value > 0 else 0
