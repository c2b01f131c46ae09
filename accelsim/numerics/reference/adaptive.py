"""A choice among formats, and among scales for each, by least squared error: ANT, LLM-FP4."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from accelsim.errors import RequestError
from accelsim.numerics.policy import Overflow, Policy, policy_of
from accelsim.numerics.reference import blocks
from accelsim.numerics.reference.block import BlockReference
from accelsim.numerics.reference.blocks import INFINITIES, NANS
from accelsim.numerics.reference.grid import Exact
from accelsim.numerics.reference.scaled import ExactParts, ScaledReference
from accelsim.spec.format import AdaptiveFormat, BlockFormat, Format


def build(record: AdaptiveFormat) -> AdaptiveReference:
    """The reference of an adaptive format."""
    return AdaptiveReference(record)


def block_record(record: AdaptiveFormat, candidate: Format) -> BlockFormat:
    """A candidate with the scales of the format."""
    return BlockFormat(
        name=f"{record.name}_{candidate.name}",
        source=record.source,
        status=record.status,
        element=candidate,
        granularity="block" if record.length else "tensor",
        length=record.length,
        scale=record.scale,
        scale_rule="mse",
    )


def clips_of(record: AdaptiveFormat) -> tuple[Fraction, ...]:
    """The scales that are tried, in units of the one that covers everything; none of them zero."""
    step = Fraction(str(record.step))
    return tuple(clip for k in range(record.steps) if (clip := 1 - k * step) > 0)


class AdaptiveReference(ScaledReference):
    """See `AdaptiveFormat`. `ExactParts.indices` numbers the candidate; infinities take the first and its largest."""

    default_overflow: Overflow = "saturate"
    has_infinity = False

    def __init__(self, record: AdaptiveFormat) -> None:
        self.record = record
        self.candidates = [BlockReference(block_record(record, candidate)) for candidate in record.candidates]
        self.clips = clips_of(record)

    @property
    def has_nan(self) -> bool:
        """Whether every candidate has NaN."""
        return all(candidate.element.has_nan for candidate in self.candidates)

    @property
    def has_negative_zero(self) -> bool:
        """Whether every candidate has a second zero."""
        return all(candidate.element.has_negative_zero for candidate in self.candidates)

    def encode(self, rows: Sequence[Sequence[Exact]], policy: Policy | str | None = None) -> ExactParts:
        """Codes, scales and choices of rows."""
        complete = policy_of(policy, self, self.record.name)
        if complete.nan == "error" and any(blocks.any_of(row, NANS) for row in rows):
            raise RequestError(f"{self.record.name} has no place for NaN")
        if self.record.length is None:
            choice, scale = self.chosen([x for row in rows for x in row], complete)
            codes = [self.candidates[choice].codes_at(row, scale, complete) for row in rows]
            return ExactParts(codes, scale, None, choice)
        parts = ExactParts([], [], None, [])
        for row in rows:
            made: list[int] = []
            found = [[row[i] for i in span] for span in blocks.spans(len(row), self.record.length)]
            chosen = [self.chosen(block, complete) for block in found]
            for block, (choice, scale) in zip(found, chosen, strict=True):
                made += self.candidates[choice].codes_at(block, scale, complete)
            parts.codes.append(made)
            _list(parts.scales).append([scale for _, scale in chosen])
            _list(parts.indices).append([choice for choice, _ in chosen])
        return parts

    def chosen(self, block: Sequence[Exact], policy: Policy) -> tuple[int, int]:
        """The candidate and its scale code for the elements of a block."""
        if blocks.any_of(block, INFINITIES):
            scale = self.candidates[0].scale
            return 0, scale.code(scale.largest)
        found = [candidate.least_error(block, policy, self.clips) for candidate in self.candidates]
        choice = min(range(len(found)), key=lambda k: found[k][1])
        return choice, found[choice][0]

    def decode(self, parts: ExactParts) -> list[list[Exact]]:
        """The exact values of parts."""
        made: list[list[Exact]] = []
        for r, row in enumerate(parts.codes):
            values: list[Exact] = []
            for b, span in enumerate(blocks.spans(len(row), self.record.length)):
                choice = parts.indices if isinstance(parts.indices, int) else _list(parts.indices)[r][b]
                code = parts.scales if isinstance(parts.scales, int) else _list(parts.scales)[r][b]
                candidate = self.candidates[choice]
                scale = candidate.scale.value(code)
                values += [blocks.product(scale, candidate.element.value(row[i])) for i in span]
            made.append(values)
        return made


def _list(nested: list[list[int]] | int | None) -> list[list[int]]:
    assert isinstance(nested, list)
    return nested
