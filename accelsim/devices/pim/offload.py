"""Operators of a model on the units of a memory: which they can do, as which products, and the kernels of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any, Final

from pydantic import BaseModel

from accelsim.devices.gpu import Gpu
from accelsim.devices.pim.base import KernelDevice, KernelResult, Prepared
from accelsim.devices.pim.kernels import LINK, UNITS, Series, Share, counters, phases
from accelsim.devices.pim.ordinary import Ordinary
from accelsim.graph.numbers import Number, prod
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.mapping.kernel import PART, Demand, Kernel, Phase, Resource
from accelsim.mapping.pim.attention import Heads, heads
from accelsim.spec.base import Sourced
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.system import System

_UNQUOTED: Final = frozenset({"energy", "power", "published", "modes"})
"""Tables of a part that its times do not depend on."""
_ELEMENTWISE: Final = {Kind.ADD: "add", Kind.MULTIPLY: "mul", Kind.ACTIVATION: "relu"}

Products = tuple[tuple[Mapping[str, int], int], ...]
"""Sizes of a product, and how often it runs."""


@dataclass(frozen=True, slots=True)
class Slower:
    """Units that need at least `time_s`, which is more than was allowed: not worked out further."""

    time_s: float


class Offload:
    """Makes the kernels of a system's units.

    Args:
        system: the system.
        part: the description of its part.
        unit: one unit of its count as ordinary memory; None where the parts stand beside the host's own.
        memory: gives the device that runs single kernels on so many units.
        host: what the units leave to it.
        resources: of the whole system.
    """

    def __init__(
        self, system: System, part: BaseModel, unit: Ordinary | None, memory: Callable[[int], KernelDevice],
        host: Gpu, resources: Mapping[str, Resource],
    ) -> None:  # fmt: skip
        self._system, self._unit, self._memory, self._host = system, unit, memory, host
        self._resources, self._launch_s = resources, host.chip.timing.launch_s
        self._constants = (*figures_of(part), "timing.launch")
        self._devices: dict[int, KernelDevice] = {}
        self._prepared: dict[tuple[Any, ...], Prepared | Infeasible] = {}
        self._least: dict[tuple[Any, ...], float] = {}
        self._sizes: dict[tuple[Any, ...], float] = {}

    def kernel(self, op: Operator, within_s: float = inf) -> Kernel | Slower | str:
        """The kernel of an operator on the units.

        Args:
            op: the operator.
            within_s: time beyond which nobody wants it.

        Returns:
            The kernel, the least that it would take if that is too long, or why the units cannot do it.
        """
        if op.kind is Kind.ATTENTION:
            return self._attention(op, within_s)
        found = self._as_products(op)
        if isinstance(found, str):
            return found
        kind, products = found
        share = Share(self._system.count, 1, 1.0, self._system.count)
        least_s = sum(self._least_s(share.channels, kind, sizes) * times for sizes, times in products)
        if least_s > within_s:
            return Slower(least_s)
        prepared = self._all(share.channels, kind, products)
        if isinstance(prepared, Infeasible):
            return prepared.reason
        series = self._series(prepared, share)
        return self._kernel(op, (*self._sent(op), *self._phases("pim", series), *self._fetched(op)), (series,))

    def _sent(self, op: Operator) -> tuple[Phase, ...]:
        """The way of the inputs to parts behind a link."""
        moved = sum(float(t.bytes) for t in op.inputs if t.role is not Role.WEIGHT)
        return self._over_link("inputs", moved)

    def _fetched(self, op: Operator) -> tuple[Phase, ...]:
        """The way of the results back."""
        return self._over_link("results", sum(float(t.bytes) for t in op.outputs))

    def _over_link(self, name: str, moved: float) -> tuple[Phase, ...]:
        if LINK not in self._resources:
            return ()
        load = (Demand(LINK, ceil(moved)),)
        return (Phase(name=name, steps=1, buffers=1, load=load, drain=False, priced_by="pim_link"),)

    def _as_products(self, op: Operator) -> tuple[str, Products] | str:
        """The kind of kernel and its sizes, or why the units cannot do it."""
        products: Products | str
        if op.kind in (Kind.MATMUL, Kind.EXPERTS):
            kind, products = "matmul", _products(op)
        elif op.kind in _ELEMENTWISE and op.attributes.get("activation", "relu") == "relu":
            kind, products = _ELEMENTWISE[op.kind], (({"elements": ceil(float(op.outputs[0].elements))}, 1),)
        else:
            return f"the units have no command for {op.kind.value}"
        if isinstance(products, str):
            return products
        return self._refused(op, kind) or (kind, products)

    def _refused(self, op: Operator, kind: str) -> str:
        """Why the units cannot do it, or nothing."""
        device = self.device(self._system.count)
        wrong = {t.format.name for t in _operands(op, kind)} - {device.native}
        if wrong:
            return f"the units compute in {device.native}, not {', '.join(sorted(wrong))}"
        if kind not in device.variants:
            return f"the units have no command for {kind}"
        if kind != "matmul" and (self._unit is None or kind not in self._unit.elementwise):
            return "its operands do not lie as the units need them"
        return ""

    def _placed(self, op: Operator) -> Heads | str:
        """Where the heads of attention lie, or why the units cannot do it."""
        if self._unit is None:
            return "keys and values are in the host's own memory"
        placed = heads(op, self._system.count)
        return placed if isinstance(placed, str) else self._refused(op, "matmul") or placed

    def _attention(self, op: Operator, within_s: float) -> Kernel | Slower | str:
        """Scores on the units, softmax on the host, contexts on the units."""
        placed = self._placed(op)
        if isinstance(placed, str):
            return placed
        softmax = self._host.kernel(_softmax(op, placed))
        if isinstance(softmax, Infeasible):
            return softmax.reason
        products = (placed.scores(), placed.contexts())
        share = Share(placed.channels, placed.groups, placed.full, self._system.count)
        least_s = sum(self._least_s(share.channels, "matmul", sizes) for sizes in products)
        if least_s > within_s:
            return Slower(least_s)
        made: list[Series] = []
        for sizes in products:
            prepared = self._all(share.channels, "matmul", ((sizes, 1),), packed=True)
            if isinstance(prepared, Infeasible):
                return prepared.reason
            made.append(self._series(prepared, share, self._issue(op, sizes, share)))
        scores, contexts = made
        steps = (
            *self._phases("scores", scores),
            *self._launched(tuple(replace(phase, name=f"softmax.{phase.name}") for phase in softmax.phases)),
            *self._launched(self._phases("contexts", contexts)),
        )
        kernel = self._kernel(op, steps, (scores, contexts), softmax)
        choice = {**kernel.choice, "channels_per_head": share.channels, "sets": share.sets, "turns": placed.turns}
        return replace(kernel, choice=choice)

    def _launched(self, phases_: tuple[Phase, ...]) -> tuple[Phase, ...]:
        """Phases that are launched as a kernel of their own."""
        first, *rest = phases_
        return (replace(first, latency_s=first.latency_s + self._launch_s), *rest)

    def _issue(self, op: Operator, sizes: Mapping[str, int], share: Share) -> int:
        """Cycles in which a decoder that drives several sets sends each of them an input of its own."""
        unit = self._unit
        if unit is None or unit.decoder_channels == 0:
            return 0
        driven = min(share.sets, max(1, unit.decoder_channels // share.channels))
        accesses = ceil(sizes["k"] * op.inputs[0].format.bytes_per_element / unit.access_bytes)
        return (driven - 1) * sizes["m"] * accesses

    def least_s(self, op: Operator, peak_flops_per_s: float) -> Number | None:
        """The time at the peak rate of the units; None if they cannot. Attention may have an array of positions."""
        if op.kind is Kind.ATTENTION:
            if isinstance(self._placed(op), str):
                return None
            d = op.dims
            keys: Number = op.inputs[1].elements + op.inputs[2].elements
            return 2 * keys * (d["heads"] / d["kv_heads"]) / peak_flops_per_s
        found = self._as_products(op)
        if isinstance(found, str):
            return None
        return sum(self._least_s(self._system.count, found[0], sizes) * times for sizes, times in found[1])

    def padded_bytes(self, op: Operator) -> tuple[float, float]:
        """Bytes that an operator's weights, and its keys and values, take in the banks beyond their own.

        Args:
            op: the operator, of a decode step.
        """
        if op.kind is Kind.ATTENTION:
            placed = self._placed(op)
            if isinstance(placed, str):
                return 0.0, 0.0
            taken = sum(
                self._bytes(placed.channels, {**sizes, "m": 1}, packed=True) * placed.pairs
                for sizes in (placed.scores(), placed.contexts())
            )
            return 0.0, max(0.0, taken - _stored(op, Role.KV_CACHE))
        if op.kind not in (Kind.MATMUL, Kind.EXPERTS) or isinstance(self._as_products(op), str):
            return 0.0, 0.0
        matrices = int(op.inputs[1].shape[0]) if op.kind is Kind.EXPERTS else 1
        sizes = {"m": 1, "n": int(op.dims["n"]), "k": int(op.dims["k"])}
        return max(0.0, self._bytes(self._system.count, sizes) * matrices - _stored(op, Role.WEIGHT)), 0.0

    def _bytes(self, channels: int, sizes: Mapping[str, int], *, packed: bool = False) -> float:
        """What a product's matrix takes in the banks of no more channels than it needs to be as fast."""
        key = (channels, packed, *sizes.values())
        if key not in self._sizes:
            now = self._peak(channels, "matmul", sizes, packed=packed)
            while channels > 1:
                channels //= 2
                fewer = self._peak(channels, "matmul", sizes, packed=packed)
                if isinstance(now, Infeasible) or isinstance(fewer, Infeasible) or fewer.time_ps > now.time_ps:
                    break
                now = fewer
            self._sizes[key] = now.demand if isinstance(now, Infeasible) else now.used_bytes
        return self._sizes[key]

    def _least_s(self, channels: int, kind: str, sizes: Mapping[str, int]) -> float:
        """The time at the peak rate: passes over a matrix come one after the other."""
        one = {**sizes, "m": 1} if kind == "matmul" else sizes
        key = (channels, kind, *one.values())
        if key not in self._least:
            made = self._peak(channels, kind, one)
            self._least[key] = inf if isinstance(made, Infeasible) else made.time_s
        return self._least[key] * sizes.get("m", 1)

    def _peak(
        self, channels: int, kind: str, sizes: Mapping[str, int], *, packed: bool = False
    ) -> KernelResult | Infeasible:
        device = self.device(channels)
        variant = _way(device, kind, packed)
        return device.operator(kind, sizes, scope=device.scopes[-1], variant=variant, fidelity="roofline")

    def _all(
        self, channels: int, kind: str, products: Products, *, packed: bool = False
    ) -> tuple[tuple[Prepared, int], ...] | Infeasible:
        device = self.device(channels)
        found = []
        for sizes, times in products:
            key = (channels, kind, packed, *sizes.values())
            if key not in self._prepared:
                variant = _way(device, kind, packed)
                self._prepared[key] = device.prepared(kind, sizes, scope=device.scopes[-1], variant=variant)
            made = self._prepared[key]
            if isinstance(made, Infeasible):
                return made
            found.append((made, times))
        return tuple(found)

    def device(self, channels: int) -> KernelDevice:
        """The device that runs single kernels on so many units of the system's count."""
        if channels not in self._devices:
            self._devices[channels] = self._memory(channels)
        return self._devices[channels]

    def _series(self, products: tuple[tuple[Prepared, int], ...], share: Share, issue: int = 0) -> Series:
        device = self.device(share.channels)
        return Series(products, share, device.clock_hz, max(1, device.refresh_ps), issue)

    def _phases(self, name: str, series: Series) -> tuple[Phase, ...]:
        holds = self._unit is not None and not self._system.concurrent_access
        return phases(name, series, self._resources, holds=holds)

    def _kernel(
        self, op: Operator, steps: tuple[Phase, ...], series: tuple[Series, ...], host: Kernel | None = None
    ) -> Kernel:
        """The kernel of these phases; `host` is what the host computes in some of them."""
        events = Counter(host.events if host else {})
        for part in series:
            standby_w = (self._unit.standby_w if self._unit else 0.0) * part.share.channels
            events.update(counters(part.products, part.share.full, standby_w))
        longest = max((p for part in series for p in part.products), key=lambda p: p[0].result.time_s * p[1])
        first = series[0].products[0][0].result
        return Kernel(
            name=op.name,
            operator=op,
            launch_s=self._launch_s,
            phases=steps,
            events=dict(events),
            priced_by=first.priced_by if len(series) == 1 else f"{first.priced_by}/attention",
            constants=tuple(dict.fromkeys((*self._constants, *(host.constants if host else ())))),
            choice={"label": "units"},
            bounds={UNITS: longest[0].result.bound},
        )


def figures_of(part: BaseModel) -> tuple[str, ...]:
    """Dotted paths of the tables of a part that its times depend on."""
    tables = (name for name, value in part if isinstance(value, (Sourced, tuple)) and name not in _UNQUOTED)
    return tuple(f"{PART}{name}" for name in tables)


def _way(device: KernelDevice, kind: str, packed: bool) -> str:
    """The usual way to compute it; heads, whose keys are short, share rows where that is known."""
    ways = device.variants[kind]
    return "packed" if packed and "packed" in ways else ways[0]


def _products(op: Operator) -> Products | str:
    """An operator as products of a matrix with vectors."""
    if int(op.dims.get("batch", 1)) != 1:
        return "independent products, each with a matrix of its own"
    n, k = int(op.dims["n"]), int(op.dims["k"])
    if op.kind is Kind.MATMUL:
        return (({"m": int(op.dims["m"]), "n": n, "k": k}, 1),)
    loads: dict[int, int] = {}
    for load in op.attributes["loads"]:
        tokens = ceil(float(load) - 1e-9)
        loads[tokens] = loads.get(tokens, 0) + 1
    return tuple(({"m": tokens, "n": n, "k": k}, times) for tokens, times in sorted(loads.items()) if tokens)


def _operands(op: Operator, kind: str) -> tuple[Tensor, ...]:
    """The tensors that the units multiply or add; a bias is added by the host, which reads the results anyway."""
    if kind != "matmul" or op.kind is Kind.ATTENTION:
        return tuple(op.inputs)
    return tuple(t for t in op.inputs if t.role is not Role.WEIGHT or len(t.shape) > 1)


def _stored(op: Operator, role: Role) -> float:
    """Bytes that tensors of a role take: weights whole, of a cache what is read."""
    total = 0.0
    for tensor in op.inputs:
        if tensor.role is role and len(tensor.shape) > 1:
            elements = tensor.elements if role is Role.KV_CACHE else prod(tensor.shape)
            total += float(elements) * tensor.format.bytes_per_element
    return total


def _softmax(op: Operator, placed: Heads) -> Operator:
    """The host's part of attention: scores come with the read-out and leave with the next product's inputs."""
    rows = placed.pairs * placed.shared
    form = op.inputs[0].format
    shape = (rows, placed.positions)
    return Operator(
        name=op.name,
        kind=Kind.SOFTMAX,
        dims={"rows": rows, "elements": rows * placed.positions},
        inputs=(Tensor("scores", shape, Role.ACTIVATION, form, 0),),
        outputs=(Tensor("probabilities", shape, Role.ACTIVATION, form, 0),),
    )
