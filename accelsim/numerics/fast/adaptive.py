"""A choice among formats on arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import RequestError
from accelsim.numerics import packing
from accelsim.numerics.fast import tiles
from accelsim.numerics.fast.block import BlockCodec
from accelsim.numerics.fast.block_rules import NEAR, unsure
from accelsim.numerics.fast.codec import Draws, Floats
from accelsim.numerics.fast.scaled import Parts, ScaledCodec
from accelsim.numerics.packing import Codes
from accelsim.numerics.policy import Policy, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.adaptive import AdaptiveReference
from accelsim.spec.format import AdaptiveFormat


def build(record: AdaptiveFormat, policy: Policy | str | None) -> AdaptiveCodec:
    """The codec of an adaptive format."""
    return AdaptiveCodec(record, policy)


class AdaptiveCodec(ScaledCodec):
    """See `AdaptiveFormat`; `Parts.indices` numbers the candidates, [rows, blocks] or () as the scales."""

    code_dtype = np.dtype(np.uint8)

    def __init__(self, record: AdaptiveFormat, policy: Policy | str | None) -> None:
        self.record, self.reference = record, AdaptiveReference(record)
        self.policy = policy_of(policy, self.reference, record.name)
        self.bits = record.bits
        self.candidates = [
            BlockCodec(candidate.record, blocks.element_policy(self.policy, candidate.element))
            for candidate in self.reference.candidates
        ]
        self.wide = any(candidate.wide for candidate in self.candidates)
        self._scale = self.candidates[0].rules.scale
        self._choice_bits = max((len(self.candidates) - 1).bit_length(), 1)

    def encode(self, x: Floats, draws: Draws | None = None, **settings: float) -> Parts:
        """Codes, scales and choices of rows."""
        if self.policy.nan == "error":
            tiles.refuse_nan(x, self.record.name)
        whole = x if self.record.length else x.reshape(1, -1)
        n = whole.shape[1]
        length = self.record.length or max(n, 1)
        shape = (whole.shape[0], tiles.count(n, length))
        scales, choices = np.empty(shape, dtype=self._scale.code_dtype), np.empty(shape, dtype=np.uint8)
        dtype = np.dtype([("scale", scales.dtype), ("choice", "u1")])
        for r, c in tiles.tiles(whole.shape[0], n, length):
            at = slice(c.start // length, tiles.count(c.stop, length))
            found = tiles.per_block(whole[r, c], length, lambda part: self._chosen(part, dtype))
            scales[r, at], choices[r, at] = found["scale"], found["choice"]
        codes = np.zeros(whole.shape, dtype=np.uint8)
        for k, candidate in enumerate(self.candidates):
            if (choices == k).any():
                mine = candidate.codes_at(whole, scales, draws)
                codes = np.where(tiles.spread(choices == k, length, slice(0, n)), mine, codes)
        if self.record.length:
            return Parts(codes, scales, None, choices)
        if not whole.size:
            scales, choices = np.full((1, 1), self.candidates[0].rules.empty, scales.dtype), np.zeros((1, 1), "u1")
        return Parts(codes.reshape(x.shape), scales[0, 0].reshape(()), None, choices[0, 0].reshape(()))

    def _chosen(self, x: Floats, dtype: np.dtype[np.void]) -> NDArray[np.void]:
        """Scale codes and candidates of [rows, blocks, elements]."""
        made = np.empty(x.shape[:2], dtype=dtype)
        finite = np.where(np.isfinite(x), x, x.dtype.type(0)).astype(np.float64)
        found = [candidate.rules.least_error(x, finite, self.reference.clips) for candidate in self.candidates]
        errors = np.stack([error for _, error in found])
        made["choice"] = errors.argmin(axis=0)
        made["scale"] = np.choose(made["choice"], [codes for codes, _ in found])
        least = errors.min(axis=0)
        near = (errors <= least * (1 + NEAR)).sum(axis=0) > 1
        for r, b in np.argwhere(near & unsure(least, finite)):
            block = [tiles.exact(v) for v in x[r, b].tolist()]
            made["choice"][r, b], made["scale"][r, b] = self.reference.chosen(block, self.policy)
        infinite = np.isinf(x).any(axis=2)
        made["choice"][infinite] = 0
        made["scale"][infinite] = self.reference.candidates[0].scale.code(self.reference.candidates[0].scale.largest)
        return made

    def decode(self, parts: Parts, out: Floats) -> None:
        """Write the values of parts into [rows, n]."""
        rows, n = parts.codes.shape
        length = self.record.length or max(n, 1)
        assert parts.indices is not None
        choices = parts.indices if parts.indices.ndim else np.broadcast_to(parts.indices, (rows, 1))
        if choices.size and int(choices.max()) >= len(self.candidates):
            raise RequestError(f"choice {int(choices.max())}: {self.record.name} has {len(self.candidates)} candidates")
        made = np.empty_like(out)
        for k, candidate in enumerate(self.candidates):
            if (choices == k).any():
                candidate.decode(Parts(parts.codes, parts.scales), made)
                mine = np.broadcast_to(tiles.spread(choices == k, length, slice(0, n)), out.shape)
                out[mine] = made[mine]

    # bytes

    def pack(self, parts: Parts) -> bytes:
        """Codes of whole blocks in one stream of bits, then scales, then choices."""
        data = self.candidates[0].pack(Parts(parts.codes, parts.scales))
        return data + packing.pack(np.asarray(parts.indices), self._choice_bits)

    def unpack(self, data: bytes, rows: int, n: int) -> Parts:
        """The parts of packed bytes."""
        cut = self.candidates[0].storage_bytes(rows, n)
        parts = self.candidates[0].unpack(data[:cut], rows, n)
        scales = parts.scales
        assert scales is not None
        choices: Codes = packing.unpack(data[cut:], self._choice_bits, scales.size).reshape(scales.shape)
        return Parts(parts.codes, scales, None, choices)

    def storage_bytes(self, rows: int, n: int) -> int:
        """Bytes of packed rows: codes, scales, choices."""
        blocks_ = rows * tiles.count(n, self.record.length) if self.record.length else 1
        return self.candidates[0].storage_bytes(rows, n) + packing.packed_bytes(blocks_, self._choice_bits)
