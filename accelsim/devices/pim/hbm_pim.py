"""HBM-PIM as a device: operators with their cycles, what the host does with their results, and the energy of both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from os import PathLike
from types import MappingProxyType
from typing import Final

from accelsim.devices.pim import hbm_pim_energy as energy
from accelsim.devices.pim.base import KernelResult, Prepared, Rows
from accelsim.devices.pim.hbm_pim_timeline import timeline
from accelsim.devices.pim.ordinary import host_of
from accelsim.errors import RequestError
from accelsim.mapping.pim import hbm_pim as mapping
from accelsim.spec.device import GpuChip
from accelsim.spec.hbm_pim import HbmPimPart
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.system import System
from accelsim.timing.hbm_pim import again, kernel
from accelsim.timing.hbm_pim.channel import Channel
from accelsim.timing.hbm_pim.controller_kernels import COUNTERS, READ, REF, WRITE
from accelsim.timing.hbm_pim.phased import Phased
from accelsim.timing.hbm_pim.rules import Rules, rules_of
from accelsim.units import PS_PER_S

SCOPES: Final = ("peer", "physical")
"""What the public simulator counts; everything."""
_ELEMENTWISE: Final = ("add", "mul", "relu", "batchnorm")
_VARIANTS: Final = {"matmul": ("pim", "tree", "plain"), **dict.fromkeys(_ELEMENTWISE, ("pim", "plain"))}


class HbmPim:
    """Pseudo-channels of HBM-PIM in lock-step, as the memory of a host."""

    def __init__(self, system: System, part: HbmPimPart) -> None:
        self.system, self.part = system, part

    native = "fp16"
    scopes = SCOPES
    variants: Mapping[str, tuple[str, ...]] = MappingProxyType(_VARIANTS)

    @property
    def capacity_bytes(self) -> float:
        """The PIM ranks of all pseudo-channels."""
        return float(self.part.organization.channel_bytes * self.system.count)

    @cached_property
    def clock_hz(self) -> float:
        """The command clock."""
        return self.part.clock_hz

    @property
    def peak_flops_per_s(self) -> float:
        """All lanes at a column command per nCCDL."""
        return self.part.flops_per_s / self.part.organization.pseudo_channels * self.system.count

    @property
    def peak_bytes_per_s(self) -> float:
        """What all PIM blocks read from their banks."""
        return self.part.internal_bytes_per_s / self.part.organization.pseudo_channels * self.system.count

    @property
    def refresh_ps(self) -> int:
        """See `KernelDevice.refresh_ps`."""
        return round(self._rules(peer=False).refresh_interval * self.part.timing.tCK_ps)

    def operator(
        self, kind: str, dims: Mapping[str, int], *, scope: str, variant: str, fidelity: str
    ) -> KernelResult | Infeasible:
        """See `KernelDevice.operator`."""
        mapped = self._mapped(kind, dims, scope, variant)
        if isinstance(mapped, Infeasible):
            return mapped
        weights = mapping.ELEMENT_BYTES * dims["n"] * dims["k"] if kind == "matmul" else 0
        if fidelity == "roofline":
            return self._peak(mapped, weights)
        if isinstance(mapped, mapping.Streamed):
            return self._streamed(mapped, weights, self._rules(scope == "peer"))
        return self._computed(mapped, weights, scope == "peer")

    def prepared(self, kind: str, dims: Mapping[str, int], *, scope: str, variant: str) -> Prepared | Infeasible:
        """See `KernelDevice.prepared`."""
        result = self.operator(kind, dims, scope=scope, variant=variant, fidelity="event")
        mapped = self._mapped(kind, dims, scope, variant)
        if isinstance(mapped, Infeasible):
            return mapped
        if isinstance(result, Infeasible):
            return result
        rules = self._rules(scope == "peer")
        cycles: Callable[[int], tuple[int, int]]
        if isinstance(mapped, mapping.Streamed):
            cycles = partial(_streamed, self.part, rules, mapped)
        else:
            reads, reduces = self._after(scope == "peer")
            phased = Phased(mapped.kernel, mapped.results if reads else (), rules)
            cycles = partial(_computed, phased, reduces * int(result.extra["host_reduce_cycles"]))
        return Prepared(result=result, tick_ps=self.part.timing.tCK_ps, interval=rules.refresh_interval, cycles=cycles)

    def _mapped(
        self, kind: str, dims: Mapping[str, int], scope: str, variant: str
    ) -> mapping.Mapped | mapping.Streamed | Infeasible:
        peer, name = scope == "peer", "bn" if kind == "batchnorm" else kind
        if variant == "plain":
            if kind == "matmul":
                return mapping.plain_matmul(self.part, self.system.count, **dims)
            return mapping.plain_elementwise(self.part, self.system.count, name, **dims)
        if kind == "matmul":
            return mapping.matmul(self.part, self.system.count, **dims, tree=variant == "tree", peer=peer)
        return mapping.elementwise(self.part, self.system.count, name, **dims, peer=peer)

    def _after(self, peer: bool) -> tuple[bool, bool]:
        """Whether the host's reads of results count, and its additions."""
        costs = self.part.costs
        return not peer and costs.readout, not peer and costs.host_reduce

    def trace(self, file: str | PathLike[str], *, scope: str) -> KernelResult:
        """See `KernelDevice.trace`.

        Raises:
            RequestError: always: its public simulator has no trace format.
        """
        raise RequestError(
            f"{file}: there is no public trace format for HBM-PIM; run an operator, {', '.join(_VARIANTS)}"
        )

    def _rules(self, peer: bool) -> Rules:
        costs = self.part.costs
        return rules_of(self.part, refresh=costs.refresh, window=costs.activation_window and not peer)

    def _computed(self, mapped: mapping.Mapped, weights: int, peer: bool) -> KernelResult:
        rules, count = self._rules(peer), self.system.count
        channel = Channel.fresh(rules)
        done = kernel.serve(channel, mapped.kernel, rules)
        since = channel.cycle
        read = again.serve(channel, mapped.results, rules) if mapped.results else (0,) * COUNTERS
        readout = channel.cycle - since
        reduce_s = mapped.host_adds / self._host_adds_per_s
        reduce = math.ceil(reduce_s * self.clock_hz)
        reads, reduces = self._after(peer)
        cycles = done.cycles + reads * readout + reduces * reduce
        spent = energy.of_kernel(self.part, mapped, done.counts, self._seconds(cycles))
        if reads:
            spent += energy.of_readout(self.part, mapped, read)
        if reduces and mapped.host_adds:
            spent += energy.of_host(self._host, mapped.host_adds, reduce_s)
        t = self.part.timing
        shares = {
            "compute": sum(mapped.kernel.columns.values()) * t.nCCDL,
            "refresh": done.counts[REF] // self.part.organization.ranks * t.nRFC,
            "mode": done.around,
            "host": reads * readout + reduces * reduce,
        }
        shares["memory"] = cycles - sum(shares.values())
        return self._result(
            cycles,
            mapped,
            weights,
            bound=max(shares, key=lambda name: shares[name]),
            status="assumed" if not peer else t.status,
            dram_bytes=energy.bank_bytes(self.part, mapped) + (reads * mapped.result_reads * self._access),
            spent=energy.merged(spent, count),
            timeline=partial(timeline, self.part, mapped, rules, reads),
            extra={
                "kernel_cycles": done.cycles,
                "readout_cycles": readout,
                "host_reduce_cycles": reduce,
            },
            warnings=_warnings(mapped),
        )

    def _streamed(self, mapped: mapping.Streamed, weights: int, rules: Rules) -> KernelResult:
        done = kernel.serve_plain(self.part, rules, mapped.channels, mapped.phases)
        spent = energy.of_stream(self.part, done.counts, self._seconds(done.cycles), mapped.channels)
        return self._result(
            done.cycles,
            mapped,
            weights,
            bound="memory",
            status=self.part.timing.status,
            dram_bytes=(done.counts[READ] + done.counts[WRITE]) * self._access,
            spent=energy.merged(spent, mapped.channels),
            timeline=list,
            extra={"kernel_cycles": done.cycles, "readout_cycles": 0, "host_reduce_cycles": 0},
            warnings=(),
        )

    def _result(
        self, cycles: int, mapped: mapping.Mapped | mapping.Streamed, weights: int, *, bound: str, status: str,
        dram_bytes: int, spent: tuple[energy.Spent, ...], timeline: energy.MakesRows, extra: Mapping[str, float],
        warnings: tuple[str, ...],
    ) -> KernelResult:  # fmt: skip
        return KernelResult(
            cycles=cycles,
            time_ps=round(cycles * self.part.timing.tCK_ps),
            bound=bound,
            priced_by=mapped.rule,
            status=status,
            flops=mapped.flops,
            weight_bytes=float(weights),
            activation_bytes=float(mapped.bytes_moved - weights),
            dram_bytes=float(dram_bytes),
            used_bytes=float(mapped.bytes_used),
            spent=spent,
            timeline=timeline,
            extra=extra,
            warnings=warnings,
            roofs={"memory": self.peak_bytes_per_s, "fp16 x fp16": self.peak_flops_per_s},
        )

    def _peak(self, mapped: mapping.Mapped | mapping.Streamed, weights: int) -> KernelResult:
        """The time of the peak rates alone: of the lanes, or of the pins where the host computes."""
        if isinstance(mapped, mapping.Streamed):
            outside = self.part.external_bytes_per_s / self.part.organization.pseudo_channels * self.system.count
            seconds, bound = mapped.bytes_moved / outside, "memory"
        else:
            columns = sum(mapped.kernel.columns.values()) or 1
            seconds, bound = columns * self.part.timing.nCCDL / self.clock_hz, "compute"
        cycles = max(1, round(seconds * self.clock_hz))
        none: tuple[energy.Spent, ...] = ()
        return self._result(
            cycles, mapped, weights, bound=bound, status=self.part.timing.status, dram_bytes=mapped.bytes_moved,
            spent=none, timeline=_no_rows, extra={}, warnings=_warnings(mapped),
        )  # fmt: skip

    def _seconds(self, cycles: int) -> float:
        return cycles * self.part.timing.tCK_ps / PS_PER_S

    @property
    def _access(self) -> int:
        return int(self.part.organization.access_bytes)

    @cached_property
    def _host(self) -> GpuChip:
        return host_of(self.system)

    @property
    def _host_adds_per_s(self) -> float:
        """Additions of the host's vector lanes: one where its peak counts a multiply-add as two."""
        host = self._host
        return host.vector.flops_per_clock / 2 * host.sm.count * host.clock.sm.frequency_hz


def _computed(phased: Phased, reduce: int, since: int) -> tuple[int, int]:
    units, readout = phased.cycles(since)
    return units, readout + reduce


def _streamed(part: HbmPimPart, rules: Rules, mapped: mapping.Streamed, since: int) -> tuple[int, int]:
    return kernel.serve_plain(part, rules, mapped.channels, mapped.phases, since=since).cycles, 0


def _no_rows() -> Rows:
    return []


def _warnings(mapped: mapping.Mapped | mapping.Streamed) -> tuple[str, ...]:
    if isinstance(mapped, mapping.Streamed) or not mapped.left_out:
        return ()
    return (
        f"{mapped.left_out} elements fill no tile: the kernel of the public simulator, which scope = peer "
        "reproduces, leaves them out; scope = physical pads them",
    )
