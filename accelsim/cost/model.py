"""The cost of a format on a process node."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from accelsim import catalog
from accelsim.cost import gates
from accelsim.cost.arithmetic import accumulator as accumulator_of
from accelsim.cost.arithmetic import multiply_accumulate
from accelsim.cost.decoders import decoder, widening
from accelsim.cost.encoders import encoder
from accelsim.cost.fit import fit
from accelsim.cost.operand import operand
from accelsim.cost.terms import Term
from accelsim.errors import RequestError
from accelsim.spec.base import Status
from accelsim.spec.format import Format
from accelsim.spec.node import Node

Work = Literal["decode", "encode", "mac", "convert"]
WORKS: Final[tuple[Work, ...]] = ("decode", "encode", "mac", "convert")

_EXACT_PRODUCT: Final = 24  # bits of a product, so that eight bits are left for carries
_FITTED_KINDS: Final = ("float", "integer", "p3109")


@dataclass(frozen=True, slots=True)
class FormatCost:
    """Energy and area of the circuits that handle a format, for one element; areas None where a node has none.

    Registers, wires between units, leakage and memories are not in it.

    Attributes:
        format: name of the format.
        other: name of the other operand's format.
        node: name of the process node.
        accumulator: how products are summed; see `accelsim.cost.arithmetic.accumulator`.
        decode_j, decode_m2: from a code to sign, exponent and significand; scales are decoded once per block.
        encode_j, encode_m2: from an fp32 value to a code, nearest value; the scales of a block are chosen with it.
        mac_j, mac_m2: product with an element of the other format, added to the accumulator; operands are decoded
            already. Scales of blocks are applied to the sum of a block.
        convert_j, convert_m2: from a code to fp32, scales applied to every element: what a chip pays that lacks a
            unit for the format.
        terms: the parts, by kind of work, that the figures are sums of.
        status: `derived` for integers and floats, to whose units the constants are fitted; otherwise `assumed`.
        source: where figures and constants come from.
    """

    format: str
    other: str
    node: str
    accumulator: str
    decode_j: float
    encode_j: float
    mac_j: float
    convert_j: float
    decode_m2: float | None
    encode_m2: float | None
    mac_m2: float | None
    convert_m2: float | None
    terms: Mapping[Work, tuple[Term, ...]]
    status: Status
    source: str


def of(
    record: str | os.PathLike[str] | Format,
    node: str | os.PathLike[str] | Node = "7nm",
    other: str | os.PathLike[str] | Format | None = None,
    accumulator: str | None = None,
    stochastic_bits: int = 0,
) -> FormatCost:
    """What decoding, encoding, multiplying and converting elements of a format costs.

    Args:
        record: the format, by name, path or record.
        node: the process node, by name, path or record.
        other: the format of the other operand of products; the same one by default.
        accumulator: `fp32`, `fp16` or another float, `int32` or another width of fixed point, `exact`, or `dot16`
            (groups of 16 products aligned to the largest, as in tensor cores); if absent, see
            `natural_accumulator`.
        stochastic_bits: random bits that an encoder with stochastic rounding adds; their generator is not counted.

    Raises:
        UnknownNameError: no such format or node.
        RequestError: no such accumulator.
    """
    first = catalog.format_(record)
    second = first if other is None else catalog.format_(other)
    place = catalog.node(node)
    if stochastic_bits < 0:
        raise RequestError(f"stochastic_bits = {stochastic_bits}: a number of bits, 0 or more")
    return _of(first, place, second, accumulator or natural_accumulator(first, second), stochastic_bits)


def natural_accumulator(first: Format, second: Format) -> str:
    """`int32` where at least 256 products can be added exactly in 32 bits, otherwise `fp32`.

    Sums of blocks are scaled, so that they go into fp32.
    """
    one, two = operand(first), operand(second)
    if one.scales or two.scales:
        return "fp32"
    return "int32" if one.significand + two.significand + one.span + two.span <= _EXACT_PRODUCT else "fp32"


@cache
def _of(first: Format, node: Node, second: Format, into: str, stochastic_bits: int) -> FormatCost:
    random = (Term("add random bits", gates.adder(stochastic_bits)),) if stochastic_bits else ()
    terms: dict[Work, tuple[Term, ...]] = {
        "decode": tuple(decoder(first)),
        "encode": (*encoder(first), *random),
        "mac": multiply_accumulate(operand(first), operand(second), accumulator_of(into)),
        "convert": tuple(widening(first)),
    }
    constants = fit(node)
    fitted = first.kind in _FITTED_KINDS and second.kind in _FITTED_KINDS
    joules = {work: constants.energy_j(parts) for work, parts in terms.items()}
    areas = {work: constants.area_m2(parts) for work, parts in terms.items()}
    return FormatCost(
        format=first.name,
        other=second.name,
        node=node.name,
        accumulator=into,
        decode_j=joules["decode"],
        encode_j=joules["encode"],
        mac_j=joules["mac"],
        convert_j=joules["convert"],
        decode_m2=areas["decode"],
        encode_m2=areas["encode"],
        mac_m2=areas["mac"],
        convert_m2=areas["convert"],
        terms=MappingProxyType(terms),
        status="derived" if fitted else "assumed",
        source=f"counts of cells (accelsim/cost), fitted to: {node.source}; cells: {node.cells.source}",
    )


def full_adders(parts: tuple[Term, ...], node: Node) -> float:
    """Cells of some parts, by area, in full adders: how large a synthesised circuit is, without the fitted factors."""
    cells = node.cells
    return sum(term.gates.area_m2(cells) / cells.full_adder_m2 / term.per for term in parts)
