"""Number formats as described: a tagged union of frozen records, told apart by `kind`."""

from __future__ import annotations

from accelsim.spec.format.base import Format, Lookup
from accelsim.spec.format.outliers import OutlierListFormat, OutlierPairFormat
from accelsim.spec.format.plain import FloatFormat, IntegerFormat, P3109Format
from accelsim.spec.format.prepacked import PrepackedFormat
from accelsim.spec.format.scaled import BlockFormat, GgufFormat, MicroexponentFormat, TwoLevelBlockFormat
from accelsim.spec.format.sparse import SparseFormat
from accelsim.spec.format.tapered import (
    AbfloatFormat,
    CodebookFormat,
    DybitFormat,
    FlintFormat,
    HiF8Format,
    LnsFormat,
    PositFormat,
    PowerOfTwoFormat,
    TakumFormat,
)
from accelsim.spec.format.tuned import AdaptiveFormat, AdaptivFloatFormat, CFloatFormat

_RECORDS: tuple[type[Format], ...] = (
    FloatFormat, P3109Format, IntegerFormat, PositFormat, TakumFormat, HiF8Format, LnsFormat, FlintFormat, DybitFormat,
    PowerOfTwoFormat, AbfloatFormat, CodebookFormat, AdaptivFloatFormat, CFloatFormat, AdaptiveFormat, BlockFormat,
    TwoLevelBlockFormat, MicroexponentFormat, GgufFormat, OutlierPairFormat, OutlierListFormat,
    PrepackedFormat,
)  # fmt: skip

KINDS: dict[str, type[Format]] = {record.model_fields["kind"].default: record for record in _RECORDS}
"""The record of each kind."""

__all__ = [
    "KINDS",
    "AbfloatFormat",
    "AdaptivFloatFormat",
    "AdaptiveFormat",
    "BlockFormat",
    "CFloatFormat",
    "CodebookFormat",
    "DybitFormat",
    "FlintFormat",
    "FloatFormat",
    "Format",
    "GgufFormat",
    "HiF8Format",
    "IntegerFormat",
    "LnsFormat",
    "Lookup",
    "MicroexponentFormat",
    "OutlierListFormat",
    "OutlierPairFormat",
    "P3109Format",
    "PositFormat",
    "PowerOfTwoFormat",
    "PrepackedFormat",
    "SparseFormat",
    "TakumFormat",
    "TwoLevelBlockFormat",
]
