"""GDDR6-AiM as a device: operators and traces with their cycles, and the energy of the commands that they issue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from math import ceil
from os import PathLike
from types import MappingProxyType
from typing import Final

from accelsim.devices.pim.base import KernelResult, Prepared, Rows, Spent
from accelsim.mapping.pim import aim as mapping
from accelsim.spec.aim import AimPart
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.system import System
from accelsim.timing.aim import trace
from accelsim.timing.aim.commands import ALL_ROWS, COMMANDS
from accelsim.timing.aim.machine import SCOPES, Outcome, Scope, run
from accelsim.timing.aim.phased import Phased
from accelsim.timing.aim.program import Program
from accelsim.units import PS_PER_S

_OPERATORS: Final[Mapping[str, Callable[..., mapping.Mapped | Infeasible]]] = {
    "matmul": mapping.matmul, "mul": mapping.multiply, "add": mapping.add, "relu": mapping.relu,
}  # fmt: skip
_COLUMNS: Final = (
    "RD", "WR", "MAC", "MAC16", "AF16", "EWMUL16", "RDCP", "WRCP", "WRGB", "WRMAC16", "RDMAC16", "RDAF16", "WRA16",
)  # fmt: skip
_PINS: Final = ("RD", "WR", "WRGB", "WRMAC16", "RDMAC16", "RDAF16", "WRA16")


class Aim:
    """Channels of GDDR6-AiM under one command decoder, or several in lock-step."""

    def __init__(self, system: System, part: AimPart) -> None:
        self.system, self.part = system, part

    native = "bf16"
    scopes = SCOPES
    variants: Mapping[str, tuple[str, ...]] = MappingProxyType(
        {**dict.fromkeys(_OPERATORS, ("plain",)), "matmul": ("plain", "packed")}
    )

    @property
    def capacity_bytes(self) -> float:
        """All banks of all channels."""
        return float(self.part.organization.channel_bytes * self.system.count)

    @cached_property
    def clock_hz(self) -> float:
        """The command clock."""
        return PS_PER_S / self.part.timing.tCK_ps

    @property
    def peak_flops_per_s(self) -> float:
        """All multipliers and adders at one column per nCCDL."""
        o = self.part.organization
        return 2.0 * o.lanes * o.banks_per_channel * self.system.count * self.clock_hz / self.part.timing.nCCDL

    @property
    def peak_bytes_per_s(self) -> float:
        """What all banks give to their units."""
        o = self.part.organization
        return o.access_bytes * o.banks_per_channel * self.system.count * self.clock_hz / self.part.timing.nCCDL

    def operator(
        self, kind: str, dims: Mapping[str, int], *, scope: str, variant: str, fidelity: str
    ) -> KernelResult | Infeasible:
        """See `KernelDevice.operator`."""
        mapped = self._mapped(kind, dims, variant)
        if isinstance(mapped, Infeasible):
            return mapped
        weights = mapping.ELEMENT_BYTES * dims["n"] * dims["k"] if kind == "matmul" else 0
        if fidelity == "roofline":
            return self._peak(mapped, weights)
        outcome = run(mapped.program, self.part, self.system.count, scope=_scope(scope))
        return self._result(
            outcome, mapped.program, scope, rule=mapped.rule, flops=mapped.flops, weights=weights,
            activations=mapped.bytes_moved - weights, used=mapped.bytes_used,
        )  # fmt: skip

    @property
    def refresh_ps(self) -> int:
        """See `KernelDevice.refresh_ps`."""
        return self.part.timing.nREFI * self.part.timing.tCK_ps

    def prepared(self, kind: str, dims: Mapping[str, int], *, scope: str, variant: str) -> Prepared | Infeasible:
        """See `KernelDevice.prepared`."""
        mapped = self._mapped(kind, dims, variant)
        result = self.operator(kind, dims, scope=scope, variant=variant, fidelity="event")
        if isinstance(mapped, Infeasible):
            return mapped
        if isinstance(result, Infeasible):
            return result
        phased = Phased(mapped.program, self.part, self.system.count, _scope(scope))
        interval = self.part.timing.nREFI if scope == "physical" else 0
        return Prepared(
            result=result, tick_ps=self.part.timing.tCK_ps, interval=interval, cycles=lambda s: (phased.cycles(s), 0)
        )

    def _mapped(self, kind: str, dims: Mapping[str, int], variant: str) -> mapping.Mapped | Infeasible:
        ways = {"packed": True} if variant == "packed" else {}
        return _OPERATORS[kind](self.part, self.system.count, **dims, **ways)

    def trace(self, file: str | PathLike[str], *, scope: str) -> KernelResult:
        """See `KernelDevice.trace`."""
        program = trace.read(file, self.part.organization, self.trace_channels)
        outcome = run(program, self.part, self.trace_channels, scope=_scope(scope))
        o, commands = self.part.organization, outcome.commands()
        macs = o.lanes * (commands["MAC"] + commands["MAC16"] * o.banks_per_channel)
        return self._result(outcome, program, scope, rule="aim_trace", flops=2 * macs)

    @property
    def trace_channels(self) -> int:
        """Channels that the masks of a trace reach: those of one decoder."""
        return min(self.system.count, self.part.organization.lock_step_channels)

    def _result(
        self, outcome: Outcome, program: Program, scope: str, *, rule: str, flops: int, weights: int = 0,
        activations: int = 0, used: int = 0,
    ) -> KernelResult:  # fmt: skip
        timing = self.part.timing
        commands = outcome.commands()
        return KernelResult(
            cycles=outcome.cycles,
            time_ps=outcome.cycles * timing.tCK_ps,
            bound=self._bound(outcome),
            priced_by=rule,
            status="assumed" if scope == "physical" else timing.status,
            flops=flops,
            weight_bytes=float(weights),
            activation_bytes=float(activations),
            dram_bytes=float(self._bank_bytes(commands)),
            used_bytes=float(used),
            spent=(*self._spent(outcome, commands), self._link(activations if scope == "physical" else 0)),
            timeline=partial(self._timeline, program, scope, max(1, outcome.groups[0].channels.bit_length())),
            roofs=self._roofs(),
        )

    def _peak(self, mapped: mapping.Mapped, weights: int) -> KernelResult:
        streamed = weights or mapped.bytes_moved
        seconds = max(mapped.flops / self.peak_flops_per_s, streamed / self.peak_bytes_per_s)
        cycles = ceil(seconds * self.clock_hz)
        return KernelResult(
            cycles=cycles,
            time_ps=cycles * self.part.timing.tCK_ps,
            bound="compute",
            priced_by=f"{mapped.rule}_peak",
            status=self.part.timing.status,
            flops=mapped.flops,
            weight_bytes=float(weights),
            activation_bytes=float(mapped.bytes_moved - weights),
            dram_bytes=float(streamed),
            used_bytes=float(mapped.bytes_used),
            spent=(),
            timeline=list,
            roofs=self._roofs(),
        )

    def _roofs(self) -> dict[str, float]:
        return {"memory": self.peak_bytes_per_s, "bf16 x bf16": self.peak_flops_per_s}

    def _bound(self, outcome: Outcome) -> str:
        """What the busiest channel spent most cycles on."""
        timing, counts = self.part.timing, outcome.groups[0].commands
        if len(outcome.groups) > 1:
            counts = max((group.commands for group in outcome.groups), key=lambda c: sum(c.values()))
        products = counts["MAC"] + counts["MAC16"] + counts["EWMUL16"]
        shares = {
            "compute": products * timing.nCCDL,
            "memory": (counts["ACT"] + counts["ACT16"]) * (timing.nRP + timing.nRCDRDMAC),
            "mode": counts["TMOD"] * timing.nMODCH,
            "refresh": counts["REFab"] * (timing.nRP + timing.nRFC),
            "issue": outcome.instructions,
        }
        return max(shares, key=lambda name: shares[name])

    def _link(self, moved: int) -> Spent:
        """Inputs from the host and results to it: energy; how fast the link is belongs to the host."""
        return Spent("host.link", "link", self.part.power.link_j_per_byte * moved, 0.0, "B", moved, moved)

    def _bank_bytes(self, commands: Mapping[str, int]) -> int:
        o = self.part.organization
        single = sum(commands[name] for name in ("RD", "WR", "MAC", "RDCP", "WRCP"))
        # an element-wise product reads two banks of each group and writes a third
        every = (commands["MAC16"] + commands["WRA16"]) * o.banks_per_channel + 3 * commands["EWMUL16"] * o.bank_groups
        return int(o.access_bytes) * (single + every)

    def _spent(self, outcome: Outcome, commands: Mapping[str, int]) -> tuple[Spent, ...]:
        """Energy by the published power of commands; see the part's [power] for the source."""
        power, o, timing = self.part.power, self.part.organization, self.part.timing
        banks, cycle_s = o.banks_per_channel, timing.tCK_ps / PS_PER_S
        count, total_s = self.system.count, outcome.cycles * cycle_s
        scale = count / sum(group.count for group in outcome.groups)  # further decoders do the same
        n = {name: commands[name] * scale for name in COMMANDS}
        opened_s = sum(group.open_cycles * group.count for group in outcome.groups) * scale * cycle_s
        activations = n["ACT"] + banks * n["ACT16"]
        reads = n["RDCP"] + n["RD"] + banks * n["AF16"] + n["RDMAC16"] + n["RDAF16"]
        writes = n["WRCP"] + n["WR"] + n["WRMAC16"] + banks * n["WRA16"]
        macs = n["MAC"] / banks + n["MAC16"] + n["EWMUL16"] / o.bank_groups
        pins, columns = sum(n[name] for name in _PINS), sum(n[name] for name in _COLUMNS)
        row_j = power.activate_w * power.row_cycle_s
        buffer_j = cycle_s * (
            power.global_buffer_read_w * n["WRCP"] + power.global_buffer_write_w * (n["WRGB"] + n["RDCP"])
        )
        controller_j = cycle_s * (power.request_w * columns + power.command_w * sum(n.values()))
        standby_j = power.active_standby_w * opened_s + power.precharge_standby_w * (total_s * count - opened_s)
        standby_j += power.global_buffer_static_w * total_s * count
        access, mac_j = int(o.access_bytes), power.mac_reads * power.read_w * power.mac_s
        mac_s = macs * timing.nCCDL * cycle_s / count

        def part(
            name: str, component: str, joules: float, amount: float, moved: float = 0.0, busy_s: float = 0.0
        ) -> Spent:
            return Spent(f"memory.{name}", component, joules, busy_s, "clk", round(amount), round(moved), count)

        return (
            part("activate", "memory", row_j * activations, activations),
            part("refresh", "memory", row_j * power.refresh_rows * banks * n["REFab"], n["REFab"],
                 busy_s=n["REFab"] * timing.nRFC * cycle_s / count),
            part("read", "memory", power.read_w * power.burst_s * reads, reads, access * reads),
            part("write", "memory", power.write_w * power.burst_s * writes, writes, access * writes),
            part("mac", "tensor", mac_j * macs, macs, access * banks * macs, mac_s),
            part("interface", "memory", power.interface_j_per_byte * access * pins, pins, access * pins,
                 pins * timing.nBL * cycle_s / count),
            part("global_buffer", "shared", buffer_j, n["WRGB"] + n["RDCP"] + n["WRCP"]),
            part("controller", "memory", controller_j, sum(n.values())),
            Spent("memory.background", "static", standby_j, total_s, "ps", outcome.cycles * timing.tCK_ps, 0, count),
        )  # fmt: skip

    def _timeline(self, program: Program, scope: str, channels: int) -> Rows:
        """A row for each run of equal commands, from a second pass that keeps them."""
        outcome = run(program, self.part, channels, scope=_scope(scope), keep=True)
        tick, access = self.part.timing.tCK_ps, int(self.part.organization.access_bytes)
        rows: Rows = []
        for group in outcome.groups:
            first_channel = (group.channels & -group.channels).bit_length() - 1
            name = f"memory.channel[{first_channel}]"
            for command, bank, _, first, gap, count in group.records:
                moved = access * (self.part.organization.banks_per_channel if command in ALL_ROWS else 1)
                rows.append({
                    "resource": name if bank < 0 else f"{name}.bank[{bank}]",
                    "name": COMMANDS[command],
                    "phase": "operator",
                    "start_ps": first * tick,
                    "end_ps": (first + min(gap, self.part.timing.nCCDL)) * tick,
                    "amount": 1,
                    "bytes": moved if COMMANDS[command] in _COLUMNS else 0,
                    "energy_j": float("nan"),
                    "repeat": count,
                    "period_ps": gap * tick,
                })  # fmt: skip
        return rows


def _scope(name: str) -> Scope:
    return "peer" if name == "peer" else "physical"
