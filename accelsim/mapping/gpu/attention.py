"""Fused attention on a GPU: over prompts or over a cache, whichever of both kernels is faster alone.

`accelsim.timing.gpu.prefill` and `accelsim.timing.gpu.decode` say how long they take on an idle chip; here that becomes
demands. Positions that are new are rotated and written to the cache by operators of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from accelsim.graph.operator import Operator
from accelsim.mapping.gpu import decode, prefill
from accelsim.mapping.gpu.events import whole
from accelsim.mapping.gpu.library import Library
from accelsim.mapping.gpu.memory import MemoryPort
from accelsim.mapping.gpu.pairs import Pair
from accelsim.mapping.gpu.problem import machine
from accelsim.mapping.gpu.steps import Steps
from accelsim.mapping.kernel import Kernel, Resource
from accelsim.spec.attention import Attention
from accelsim.spec.calibration import Residency
from accelsim.spec.device import GpuChip
from accelsim.timing.gpu.heads import Heads
from accelsim.timing.gpu.shapes import Machine

DECODE_QUERIES: Final = 16
"""New positions of a sequence, at most, that kernels for decoding take."""


@dataclass(frozen=True, slots=True)
class Setting:
    """An attention operator and everything that its kernels depend on.

    Attributes:
        op: the operator.
        chip: the GPU.
        pair: how queries meet keys and values.
        beside: conversions of its results.
        memory: of the chip.
        resources: of the chip.
        library: whose kernels run.
        heads: the operator as the single point of a closed form.
        machine: the figures that it meets.
        constants: of the library.
        copies: sets of operands that are used in turn, None where L2 holds nothing.
    """

    op: Operator
    chip: GpuChip
    pair: Pair
    beside: Steps
    memory: MemoryPort
    resources: Mapping[str, Resource]
    library: Library
    heads: Heads
    machine: Machine
    constants: Attention
    copies: int | None

    @property
    def formats(self) -> tuple[str, str]:
        """Of the queries, and of keys and values."""
        first, second = self.op.operand_formats()
        return first.name, second.name

    @property
    def label(self) -> str:
        """Of the library, with its chip where that is another one."""
        found = self.library.attention
        return found.library if found.chip == self.chip.name else found.name

    @property
    def rule(self) -> str:
        """What follows the kernel's name in `priced_by`."""
        return self.pair.label(*self.formats) + self.beside.label + f"@{self.label}"


def kernel(
    op: Operator, chip: GpuChip, pair: Pair, beside: Steps, *,
    memory: MemoryPort, resources: Mapping[str, Resource], library: Library,
) -> Kernel:  # fmt: skip
    """The kernel for prompts, or that for decoding where there are few new positions and it is faster."""
    constants = library.attention.attention
    assert constants is not None
    at = Setting(
        op, chip, pair, beside, memory, resources, library, heads(op, pair), machine(chip, pair, memory), constants,
        _copies(library.conditions.residency),
    )  # fmt: skip
    query = int(op.dims["query"])
    if query == 1:
        return decode.kernel(at, decode.price(at))
    prompts = prefill.price(at)
    if query <= DECODE_QUERIES:
        steps = decode.price(at)
        if steps.seconds[0] < prompts.seconds[0]:
            return decode.kernel(at, steps)
    return prefill.kernel(at, prompts)


def heads(op: Operator, pair: Pair) -> Heads:
    """An attention operator as the single point of a closed form; positions added to the scores count as queries."""
    d, window = op.dims, op.attributes.get("window")
    latent = bool(op.attributes.get("shared_kv"))
    width = float(d["head_dim"]) if latent else float(d["head_dim"] + d["value_dim"])
    first, second = (row.flops_per_element if row else 0.0 for row in (pair.first, pair.second))
    names = ("batch", "query", "past", "kv", "heads", "kv_heads", "head_dim", "value_dim")
    return Heads.of(
        **{name: float(d[name]) for name in names},
        causal=float(bool(op.attributes["causal"])),
        window=np.inf if window is None else float(window),
        query_bytes=float(whole(sum(float(t.bytes) for t in (op.inputs[0], *op.inputs[3:])))),
        kv_bytes=float(whole(op.inputs[1].bytes + op.inputs[2].bytes)),
        output_bytes=float(whole(op.outputs[0].bytes)),
        staged=width * op.inputs[1].format.bytes_per_element,
        widen=width * second,
        widen_query=first,
        latent=float(latent),
    )


def _copies(residency: Residency) -> int | None:
    """Caches that are used in turn: benchmarks of attention have one set of operands."""
    state = residency.weights
    return None if state == "cold" else state if isinstance(state, int) else 1
