"""Many attention kernels at once on a GPU, by the closed forms that its kernels are made of."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.mapping.gpu.library import Library, library
from accelsim.mapping.gpu.memory import port
from accelsim.mapping.gpu.pairs import Pair, resolve
from accelsim.mapping.gpu.problem import machine
from accelsim.spec.attention import Attention, DecodeConstants, Dispatch, PrefillConstants, alike
from accelsim.spec.calibration import Conditions
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.gpu import decode, prefill, prologue
from accelsim.timing.gpu.decode import Decode
from accelsim.timing.gpu.heads import Heads, missed
from accelsim.timing.gpu.prefill import Prefill
from accelsim.timing.gpu.shapes import Array, Machine

Name = str | PathLike[str]

RESULT_BITS = 16
"""Results of attention leave in 16 bits, however narrow its operands are."""


@dataclass(frozen=True, slots=True)
class Attentions:
    """Attention in one pair of formats on one chip.

    Attributes:
        chip: the GPU.
        queries: format of the queries.
        cache: format of keys and values.
        pair: how they meet.
        machine: the figures that they meet.
        library: whose kernels they are.
    """

    chip: GpuChip
    queries: Format
    cache: Format
    pair: Pair
    machine: Machine
    library: Library

    @property
    def constants(self) -> Attention:
        """Of the library that has some."""
        found = self.library.attention.attention
        assert found is not None
        return found

    def heads(
        self, batch: Any, query: Any, kv: Any, heads: Any, kv_heads: Any, head_dim: Any, window: Any = np.inf
    ) -> Heads:
        """Causal attention of the last `query` of `kv` positions; numbers or arrays."""
        numbers = (np.asarray(given, dtype=float) for given in (batch, query, kv, heads, kv_heads, head_dim, window))
        batch, query, kv, heads, kv_heads, head_dim, window = numbers
        rows, element = batch * query * heads * head_dim, self.cache.bytes_per_element
        seen = np.minimum(kv, window + query - 1)
        widen = [row.flops_per_element if row else 0.0 for row in (self.pair.first, self.pair.second)]
        return Heads.of(
            batch=batch, query=query, past=kv - query, kv=kv, heads=heads, kv_heads=kv_heads, head_dim=head_dim,
            value_dim=head_dim, causal=1, window=window, query_bytes=rows * self.queries.bytes_per_element,
            kv_bytes=2 * batch * seen * kv_heads * head_dim * element,
            output_bytes=rows * max(RESULT_BITS, self.queries.bits) / 8, staged=2 * head_dim * element,
            widen=2 * head_dim * widen[1], widen_query=widen[0], latent=0,
        )  # fmt: skip

    def prefill(self, heads: Heads, constants: PrefillConstants, copies: int | None = None) -> Prefill:
        """Times of prompts."""
        return prefill.price(heads, self.machine, constants, copies)

    def decode(
        self, heads: Heads, constants: DecodeConstants, rule: Dispatch, copies: int | None = None
    ) -> Decode:  # fmt: skip
        """Times of decoding."""
        always = (alike(self.cache.name) in rule.always) & (heads.head_dim >= rule.always_head_dim)
        return decode.price(
            heads, self.machine, constants, rule, decode.packs(heads, rule, self.machine, always), copies
        )

    def prologue_s(self, heads: Heads, constants: PrefillConstants | DecodeConstants, copies: int | None = 1) -> Array:
        """Time of what libraries run before it and measure with it."""
        lost = missed(heads, self.machine, constants.usable_l2, copies)
        return prologue.seconds(
            heads, self.machine, lost, np.full(len(heads), self.cache.bytes_per_element), constants.memory_efficiency
        )

    def bounds_s(self, heads: Heads) -> tuple[Array, Array]:
        """Seconds at the peak of the matrix units, and at that of the memory with everything moved once."""
        on = self.machine
        products = heads.batch * heads.heads * heads.pairs * (heads.head_dim + heads.value_dim)
        moved = heads.query_bytes + heads.kv_bytes + heads.output_bytes
        return 2 * products / (on.flops_per_clock * on.clock_hz * on.sms), moved / on.memory_bytes_per_s


def attentions(
    on: Name | GpuChip, queries: str = "bf16", cache: str | None = None, conditions: Conditions | None = None
) -> Attentions:
    """The attention kernels of a chip in these formats.

    Args:
        on: chip by name, path or record.
        queries: format of the queries.
        cache: format of keys and values; that of the queries if not given.
        conditions: library, residency and clock.

    Raises:
        RequestError: no GPU, or one that cannot multiply these formats.
        UnknownNameError: no such chip, format or library.
    """
    chip = catalog.chip(on)
    if not isinstance(chip, GpuChip):
        raise RequestError(f"{getattr(chip, 'name', chip)}: attention in bulk is priced on GPUs only")
    first, second = catalog.format_(queries), catalog.format_(cache or queries)
    pair = resolve(chip, first, second)
    if isinstance(pair, Infeasible):
        raise RequestError(f"{pair.reason}; try {', '.join(pair.levers)}")
    return Attentions(chip, first, second, pair, machine(chip, pair, port(chip)), library(chip, conditions))
