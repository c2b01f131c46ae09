"""The kernel of one operator on the chips that share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from accelsim.graph.counts import Counts, count
from accelsim.graph.operator import MATRIX_KINDS, Kind, Operator, Role
from accelsim.mapping.ipu import chain, superstep
from accelsim.mapping.ipu.attention import attention
from accelsim.mapping.ipu.pairs import Pair, resolve, rounding
from accelsim.mapping.ipu.product import Piece, linear
from accelsim.mapping.ipu.resources import Crew
from accelsim.mapping.ipu.rowwise import steps
from accelsim.mapping.ipu.share import Share, share
from accelsim.mapping.kernel import Kernel, Phase
from accelsim.mapping.sums import Sums, chips, partial_format
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import IpuPart, IpuSystem

CONSTANTS = ("clock.tile.frequency", "tile", "vertex", "vector", "exchange", "timing.superstep")
_ATTENTION = (Kind.ATTENTION, Kind.SCORES, Kind.CONTEXT)


@dataclass(frozen=True, slots=True)
class Where:
    """Where an operator runs.

    Attributes:
        crew: chips that share it.
        streamed: fraction of its weights that lies in the memory beside the chips.
        head: it is one of embedding and head.
    """

    crew: Crew
    streamed: float = 0.0
    head: bool = False


@dataclass(frozen=True, slots=True)
class Kernels:
    """Makes kernels.

    Attributes:
        system: the chips.
        part: one of them.
        bits: bits of one element by format name.
        positions: that programs are compiled for; None where there is no sequence.
    """

    system: IpuSystem
    part: IpuPart
    bits: Mapping[str, float]
    positions: int | None

    def kernel(self, op: Operator, where: Where) -> Kernel | Infeasible:
        """The kernel, or why there is none."""
        if op.kind is Kind.ALL_REDUCE:
            return self._all_reduce(op)
        crew = where.crew
        mine = share(op, crew.together)
        if isinstance(mine, Infeasible):
            return mine
        pair = resolve(self.part, *op.operand_formats()) if op.kind in MATRIX_KINDS else None
        if isinstance(pair, Infeasible):
            return pair
        extra = rounding(self.part, op)
        if isinstance(extra, Infeasible):
            return extra
        plain, label = extra
        counts = self._counts(op)
        piece = self._piece(op, crew, mine, pair, plain, counts)
        if isinstance(piece, Infeasible):
            return piece
        phases, events = piece.phases, self._events(op, piece, pair, mine, crew, counts, plain)
        constants = (*CONSTANTS, *(("peak", *pair.constants) if pair else ()))
        if where.streamed:
            size = where.streamed * float(op.bytes(Role.WEIGHT)) / crew.together
            fetch = crew.streaming(size)
            if fetch.amount:
                phase = Phase(name="fetch", steps=1, buffers=1, load=(fetch,), priced_by="streaming")
                phases, constants = (phase, *phases), (*constants, "streaming")
                events["memory"] = fetch.amount
        after = self._between_chips(op, mine, where)
        if after is not None:
            phases, constants = (*phases, after[0]), (*constants, "link")
            events["link"] = ceil(after[1]) * crew.together
        rule = phases[0].priced_by if pair is None else "attention" if op.kind in _ATTENTION else "amp"
        return Kernel(
            name=op.name,
            operator=op,
            launch_s=0.0,
            phases=phases,
            events={key: units for key, units in events.items() if units},
            priced_by=f"{rule}{pair.label if pair else ''}{label}",
            constants=constants,
            choice={**piece.choice, "chips": crew.together},
            alternatives=piece.alternatives,
            sums=self._sums(op, piece, mine),
        )

    def _sums(self, op: Operator, piece: Piece, mine: Share) -> Sums | None:
        """Those of the tiles, then of the chips that share the depth; what they exchange has the results' format."""
        if piece.sums is None or mine.depth == 1:
            return piece.sums
        ring = self.system.topology != "mesh" and op.kind is Kind.MATMUL
        return chips(int(op.dims["k"]), mine.depth, piece.sums, partial_format(op.outputs[0].format), ring=ring)

    def _piece(
        self, op: Operator, crew: Crew, mine: Share, pair: Pair | None, plain: float, counts: Counts
    ) -> Piece | Infeasible:
        if pair is not None and op.kind in _ATTENTION:
            return attention(op, self.attended(op), crew, pair, mine, self.bits, counts)
        if pair is not None:
            return linear(op, crew, pair, mine, self.bits, plain)
        found = steps(op, self.part, mine.elements, plain)
        return Piece(
            phases=tuple(superstep.phases(found, crew, f"elements/{op.kind}")),
            choice={"label": f"{found[-1].tiles} tiles", "tiles": found[-1].tiles, "supersteps": len(found)},
            sram_bytes=mine.elements * float(op.bytes()),
            exchange_bytes=sum(step.receive_bytes * step.tiles for step in found),
        )

    def attended(self, op: Operator) -> int:
        """Positions that a program attends to: all that it was compiled for, or those that there are."""
        kv = int(op.dims["kv"])
        cached = any(tensor.role is Role.KV_CACHE for tensor in op.inputs) and "cross" not in op.name
        grows = int(op.dims["past"]) > 0 or int(op.dims["query"]) == 1
        if self.system.length != "static" or self.positions is None or not (cached and grows):
            return kv
        window = op.attributes.get("window")
        return max(kv, self.positions if window is None else min(self.positions, int(window)))

    def _counts(self, op: Operator) -> Counts:
        """Arithmetic that the tiles do: a program for a fixed length computes masked positions, too."""
        counts = count(op)
        if op.kind is not Kind.ATTENTION:
            return counts
        d = op.dims
        pairs = int(d["batch"]) * int(d["heads"]) * int(d["query"]) * self.attended(op)
        scale = pairs / max(1.0, float(counts.special_ops))
        return Counts(counts.matrix_flops, float(counts.vector_flops) * scale, float(counts.special_ops) * scale)

    def _events(
        self, op: Operator, piece: Piece, pair: Pair | None, mine: Share, crew: Crew, counts: Counts, plain: float
    ) -> dict[str, int]:
        """What energy is charged for, on all chips: zeros of padded blocks are not charged as products."""
        copies = crew.together * mine.elements if pair is None else 1.0
        added = piece.vector_flops * crew.together + (plain if pair is None else 0.0)
        events = {
            "vector": ceil(float(counts.vector_flops) * copies + added),
            "special": ceil(float(counts.special_ops) * copies),
            "sram": ceil(piece.sram_bytes * crew.together),
            "exchange": ceil(piece.exchange_bytes * crew.together),
        }
        if pair is not None:
            events[pair.event] = ceil(float(counts.matrix_flops))
        return events

    def _between_chips(self, op: Operator, mine: Share, where: Where) -> tuple[Phase, float] | None:
        """The phase in which the chips of a group complete a result, and the bytes that each of them sends."""
        crew = where.crew
        if crew.together == 1:
            return None
        if mine.reduce_bytes:
            return chain.all_reduce(mine.reduce_bytes, self.system, crew)
        if where.head and op.kind is Kind.MATMUL:  # each chip has its best token; one of them picks
            size = float(chain.PICK_BYTES * int(op.dims["m"]))
            return chain.message("pick", size, chain.ring_hops(crew.together, self.system), self.system, crew), size
        return None

    def _all_reduce(self, op: Operator) -> Kernel | Infeasible:
        devices = int(op.dims["devices"])
        if devices > self.system.count:
            return Infeasible(
                "unsupported",
                f"{devices} chips: {self.system.name} has {self.system.count}",
                demand=float(devices),
                bound=float(self.system.count),
                unit="chips",
                set_by=("devices", "count"),
                levers=(f"devices = {self.system.count}",),
            )
        crew = Crew(self.part, self.system.count, devices)
        size = float(op.inputs[0].bytes)
        phase, moved = chain.all_reduce(size, self.system, crew) if devices > 1 else (None, 0.0)
        return Kernel(
            name=op.name,
            operator=op,
            launch_s=0.0,
            phases=(phase,) if phase else (),
            events={"link": ceil(moved) * devices} if phase else {},
            priced_by="link/all_reduce",
            constants=chain.CONSTANTS,
            choice={"label": f"{devices} chips", "bytes": moved},
        )
