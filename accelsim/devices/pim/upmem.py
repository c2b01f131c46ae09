"""UPMEM DIMMs as a device: DPU programs by instruction counts and transfers, and the host's way to the banks."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from os import PathLike
from types import MappingProxyType

from accelsim.devices.pim.base import KernelResult, Prepared, Rows, Spent
from accelsim.errors import RequestError
from accelsim.mapping.pim import upmem as mapping
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.system import System
from accelsim.spec.upmem import UpmemPart
from accelsim.timing.upmem import Cycles, cycles
from accelsim.units import PS_PER_S


class Upmem:
    """DIMMs of DPUs that reach each other only through the host."""

    scopes = ("peer", "physical")
    variants: Mapping[str, tuple[str, ...]] = MappingProxyType(
        dict.fromkeys(("matmul", "mul", "add", "relu"), ("plain",))
    )

    def __init__(self, system: System, part: UpmemPart, format_: str | None = None) -> None:
        self.system, self.part = system, part
        self.native = format_ if format_ in part.formats else part.native

    @property
    def capacity_bytes(self) -> float:
        """Banks of all DPUs."""
        return self.part.dimm.mram_bytes * self.part.dimm.dpus * self.system.count

    @property
    def clock_hz(self) -> float:
        """The DPUs' clock."""
        return self.part.dpu.frequency_hz

    @property
    def refresh_ps(self) -> int:
        """Refresh is left out."""
        return 0

    def operator(
        self, kind: str, dims: Mapping[str, int], *, scope: str, variant: str, fidelity: str
    ) -> KernelResult | Infeasible:
        """See `KernelDevice.operator`; scope "peer" counts the DPUs' program alone, as uPIMulator does."""
        part, system = self.part, self.system
        mapped = self._mapped(kind, dims)
        if isinstance(mapped, Infeasible):
            return mapped
        found = cycles(part, mapped.work)
        dpu = found.total * mapped.repeats
        host = self._host_s(mapped) if scope == "physical" and fidelity == "event" else (0.0, 0.0)
        if fidelity == "roofline":
            peak = part.instructions_per_s * system.count
            dpu = ceil(self.clock_hz * max(mapped.instructions / peak, mapped.moved_bytes / self._stream_bytes_per_s))
        total = dpu + sum(ceil(seconds * self.clock_hz) for seconds in host)
        return KernelResult(
            cycles=total,
            time_ps=round(total * PS_PER_S / self.clock_hz),
            bound=self._bound(found, dpu, total),
            priced_by=f"upmem_{kind}",
            status="assumed",
            flops=mapped.flops,
            weight_bytes=mapped.weight_bytes,
            activation_bytes=mapped.activation_bytes,
            dram_bytes=mapped.moved_bytes,
            used_bytes=mapped.used_bytes,
            spent=self._spent(mapped, dpu, total, host) if fidelity == "event" else (),
            timeline=lambda: self._timeline(mapped, dpu, host),
            roofs={"memory": self._stream_bytes_per_s, "vector": part.instructions_per_s * system.count},
        )

    def prepared(self, kind: str, dims: Mapping[str, int], *, scope: str, variant: str) -> Prepared | Infeasible:
        """See `KernelDevice.prepared`; all starts are alike."""
        mapped = self._mapped(kind, dims)
        result = self.operator(kind, dims, scope=scope, variant=variant, fidelity="event")
        if isinstance(mapped, Infeasible):
            return mapped
        if isinstance(result, Infeasible):
            return result
        dpu = cycles(self.part, mapped.work).total * mapped.repeats
        taken = dpu, result.cycles - dpu
        return Prepared(result=result, tick_ps=PS_PER_S / self.clock_hz, interval=0, cycles=lambda _: taken)

    def _mapped(self, kind: str, dims: Mapping[str, int]) -> mapping.Mapped | Infeasible:
        if kind == "matmul":
            return mapping.matmul(self.part, self.system, self.native, **dims)
        return mapping.elementwise(self.part, self.system, self.native, kind, **dims)

    def trace(self, file: str | PathLike[str], *, scope: str) -> KernelResult:
        """DPUs run programs, and no trace of commands.

        Raises:
            RequestError: always.
        """
        raise RequestError(f"{self.system.name} takes no command traces: its DPUs run programs of their own")

    @property
    def _stream_bytes_per_s(self) -> float:
        return self.part.stream_bytes_per_s * self.system.count

    def _host_s(self, mapped: mapping.Mapped) -> tuple[float, float]:
        """Seconds for the way in and the way out; ranks work in parallel, DPUs of a rank share its rate."""
        link, dimm = self.part.host_link, self.part.dimm
        dpus = dimm.dpus / dimm.ranks
        into = dpus * (
            mapped.broadcast_bytes / link.broadcast_bytes_per_s + mapped.write_bytes / link.write_bytes_per_s
        )
        return into, dpus * mapped.read_bytes / link.read_bytes_per_s

    @staticmethod
    def _bound(found: Cycles, dpu: int, total: int) -> str:
        if total > 2 * dpu:
            return "host"
        if found.dma >= max(found.issue, found.tasklet):
            return "memory"
        return "compute" if found.issue >= found.tasklet else "pipeline"

    def _spent(self, mapped: mapping.Mapped, dpu: int, total: int, host: tuple[float, float]) -> tuple[Spent, ...]:
        """One power for a busy chip is all that is published: it is spent as long as the kernel runs."""
        part, count = self.part, self.system.count
        seconds = total / self.clock_hz
        issue_s = mapped.instructions / (part.instructions_per_s * count)
        moved = round(mapped.moved_bytes)
        link = round(mapped.dpus * (mapped.broadcast_bytes + mapped.write_bytes + mapped.read_bytes))
        dpus = part.dimm.dpus * count
        return (
            Spent("memory.dpu", "vector", 0.0, issue_s, "clk", round(mapped.instructions), 0, dpus),
            Spent("memory.dma", "memory", 0.0, mapped.moved_bytes / self._stream_bytes_per_s, "B", moved, moved, dpus),
            Spent("host.link", "link", 0.0, sum(host), "B", link, link, part.dimm.ranks * count),
            Spent("memory.chips", "static", part.dimm.chip_w * part.dimm.chips * count * seconds, dpu / self.clock_hz,
                  "ps", round(seconds * PS_PER_S), 0, part.dimm.chips * count),
        )  # fmt: skip

    def _timeline(self, mapped: mapping.Mapped, dpu: int, host: tuple[float, float]) -> Rows:
        rows: Rows = []
        at = 0
        dpus = mapped.dpus
        sizes = (dpus * (mapped.broadcast_bytes + mapped.write_bytes), mapped.moved_bytes, dpus * mapped.read_bytes)
        seconds = (host[0], dpu / self.clock_hz, host[1])
        for name, where, spent, size in zip(
            ("write", "program", "read"), ("host.link", "memory.dpu", "host.link"), seconds, sizes, strict=True
        ):
            length = round(spent * PS_PER_S)
            if length:
                rows.append({
                    "resource": where, "name": name, "phase": "operator", "start_ps": at, "end_ps": at + length,
                    "amount": round(size), "bytes": round(size), "energy_j": float("nan"), "repeat": 1, "period_ps": 0,
                })  # fmt: skip
            at += length
        return rows
