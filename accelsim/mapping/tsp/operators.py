"""What one chip does for an operator: its sections, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from accelsim.graph.counts import attended_pairs, count
from accelsim.graph.operator import Kind, Operator, Role, Tensor
from accelsim.mapping.sums import Sums, chips, joined, partial_format
from accelsim.mapping.tsp import matrix, vector
from accelsim.mapping.tsp.pairs import Pair
from accelsim.mapping.tsp.section import Section
from accelsim.mapping.tsp.split import Way
from accelsim.spec.format import Format
from accelsim.spec.tsp import TspPart
from accelsim.timing.tsp.rates import loads

SCORE_OPERATIONS = 2
"""Scale and maximum, per score."""

EXPONENT_OPERATIONS = 3
"""Subtract, exponential and sum, per score."""


@dataclass(frozen=True, slots=True)
class Work:
    """The sections of an operator on one chip.

    Attributes:
        sections: in order.
        choices: labels of the tilings chosen.
        options: label and cycles of everything considered for the first product.
        converted: conversions on the way to the planes, operations of one chip.
        sums: parts that products add in, those of chips included; None where nothing is added.
    """

    sections: tuple[Section, ...]
    choices: tuple[str, ...] = ()
    options: tuple[tuple[str, int], ...] = ()
    converted: int = 0
    sums: Sums | None = None


class Chip:
    """Turns operators into sections; remembers the programs of equal shapes.

    Args:
        part: the chip.
        width: chips that share each operator.
    """

    def __init__(self, part: TspPart, width: int) -> None:
        self.part, self.width = part, width
        self._products: dict[tuple[object, ...], tuple[Section, list[tuple[int, matrix.Tiling]]]] = {}
        self._passes: dict[tuple[object, ...], tuple[Section, ...]] = {}
        self._rows: dict[tuple[str, int], Section] = {}

    def work(self, op: Operator, way: Way, pair: Pair | None) -> Work:
        """The sections of one operator; products need the pair that their operands make."""
        if pair is not None and op.kind in (Kind.MATMUL, Kind.EXPERTS):
            return self._matmul(op, way, pair)
        if pair is not None:
            return self._attention(op, way, pair)
        return Work(self._elementwise(op, way))

    # products ----------------------------------------------------------------------------------

    def _matmul(self, op: Operator, way: Way, pair: Pair) -> Work:
        m, n, k = (_whole(op.dims[key]) for key in ("m", "n", "k"))
        copies = _whole(op.dims.get("batch", 1))
        if op.kind is Kind.EXPERTS:
            copies = _whole(op.dims["experts"])
            m = _whole(float(op.dims["m"]) / max(1.0, float(op.dims["experts"])))
        if way is Way.COLUMNS:
            n = ceil(n / self.width)
        if way is Way.DEPTH:
            k = ceil(k / self.width)
        if way is Way.PARTS:
            copies = ceil(copies / self.width)
        before = self._converted_activations(pair, m * k * copies, op.operand_formats()[0])
        out = _size(op.outputs[0].format)
        product, options = self._product(pair, op.operand_formats()[1], (m, n, k, copies), out)
        tiling = options[0][1]
        sections = (*before, product, *self._added_up(tiling, n, out))
        converted = pair.second.operations * k * n * copies if pair.second else 0
        if pair.first:
            converted += pair.first.operations * m * k * copies
        labels = tuple((each.label, cycles) for cycles, each in options)
        return Work(sections, (tiling.label,), labels, converted, self._sums(op, way, tiling))

    def _sums(self, op: Operator, way: Way, tiling: matrix.Tiling) -> Sums:
        stored = partial_format(op.outputs[0].format)
        if way is not Way.DEPTH:
            return tiling.sums(stored)
        return chips(_whole(op.dims["k"]), self.width, tiling.sums(stored), stored)

    def _product(
        self, pair: Pair, stored: Format, shape: tuple[int, int, int, int], out: int, name: str = "product"
    ) -> tuple[Section, list[tuple[int, matrix.Tiling]]]:
        m, n, k, copies = shape
        tiles = ceil(n / self.part.lanes.vector), ceil(k / self.part.lanes.per_tile)
        key = (pair, stored.name, m, *tiles, copies, out, name)
        if key not in self._products:
            size = stored.bytes_per_element
            ways = loads(self.part, pair.row, size, out, pair.second)
            options = matrix.tilings(self.part, pair.row, ways, vectors=m, k=k, n=n, copies=copies)
            section = matrix.section(self.part, pair.row, options[0][1], name, out)
            self._products[key] = section, options
        return self._products[key]

    def _added_up(self, tiling: matrix.Tiling, n: int, size: int) -> tuple[Section, ...]:
        """The pass that adds parts of the depth, where it was split."""
        if tiling.splits == 1:
            return ()
        columns = tiling.columns * self.part.lanes.vector
        return self._pass(tiling.vectors * columns, tiling.splits - 1, tiling.splits * size, size, "merge")

    def _converted_activations(self, pair: Pair, elements: int, stored: Format) -> tuple[Section, ...]:
        if pair.first is None:
            return ()
        return self._pass(elements, pair.first.operations, _size(stored), pair.row.planes, "convert")

    # attention ---------------------------------------------------------------------------------

    def _attention(self, op: Operator, way: Way, pair: Pair) -> Work:
        """Scores, softmax and context; K and V are the weights, the queries of a group of heads pass together."""
        d, act = op.dims, _size(op.operand_formats()[0])
        heads, kv_heads = _whole(d["heads"]), _whole(d["kv_heads"])
        if way is Way.PARTS:
            heads, kv_heads = ceil(heads / self.width), max(1, ceil(kv_heads / self.width))
        query, kv, batch = _whole(d["query"]), _whole(d["kv"]), _whole(d["batch"])
        window = op.attributes.get("window")
        span = kv if window is None else min(kv, int(window) + query - 1)
        pairs = attended_pairs(query, d["past"], kv, causal=bool(op.attributes["causal"]), window=window)
        seen = min(query, ceil(float(pairs) / span + (self.part.lanes.vector / 2 if query > 1 else 0)))
        m, copies = seen * ceil(heads / kv_heads), batch * kv_heads
        stored = op.operand_formats()[1]
        scores = seen * span * heads * batch
        sections: list[Section] = []
        labels: list[str] = []
        options: tuple[tuple[str, int], ...] = ()
        sums: list[Sums] = []
        converted = 0
        head, value = _whole(d["head_dim"]), _whole(d.get("value_dim", d["head_dim"]))
        if pair.first:
            sections += self._converted_activations(pair, query * heads * batch * head, op.operand_formats()[0])
            converted += pair.first.operations * query * heads * batch * head
        if op.kind in (Kind.ATTENTION, Kind.SCORES):
            product, found = self._product(pair, stored, (m, span, head, copies), act, "scores")
            sections += [product, *self._added_up(found[0][1], span, act)]
            labels.append(found[0][1].label)
            sums.append(found[0][1].sums(partial_format(op.operand_formats()[0])))
            options = tuple((each.label, cycles) for cycles, each in found)
            converted += pair.second.operations * head * span * copies if pair.second else 0
        if op.kind is Kind.ATTENTION:
            biased = 1 if op.attributes.get("position_bias") else 0
            sections += self._softmax(scores, batch * heads * query, act, biased)
        if op.kind in (Kind.ATTENTION, Kind.CONTEXT):
            product, found = self._product(pair, stored, (m, value, span, copies), act, "context")
            sections += [product, *self._added_up(found[0][1], value, act)]
            labels.append(found[0][1].label)
            sums.append(found[0][1].sums(partial_format(op.operand_formats()[0])))
            options = options or tuple((each.label, cycles) for cycles, each in found)
            converted += pair.second.operations * value * span * copies if pair.second else 0
        if op.kind is Kind.ATTENTION:  # the sums divide the context, which is smaller than the scores
            sections += self._pass(batch * heads * query * value, 1, act, act, "divide")
        return Work(tuple(sections), tuple(labels), options, converted, joined(sums))

    def _softmax(self, scores: int, rows: int, act: int, biased: int) -> tuple[Section, ...]:
        return (
            *self._pass(scores, SCORE_OPERATIONS + biased, act, 0, "maximum"),
            self._across("maxima", rows),
            *self._pass(scores, EXPONENT_OPERATIONS, act, act, "exponential"),
            self._across("sums", rows),
        )

    # rows and elements -------------------------------------------------------------------------

    def _elementwise(self, op: Operator, way: Way) -> tuple[Section, ...]:
        """Passes over the elements; rows that are normalised have their sums (and maxima) taken in between."""
        share = self.width if way is Way.PARTS else 1
        main = max([*map(_elements, op.outputs), *map(_elements, _moving(op))], default=1.0)
        counts = count(op)
        operations = max(1, ceil((float(counts.vector_flops) + float(counts.special_ops)) / main))
        elements = ceil(main / share)
        read = sum(_per_element(t, main) for t in op.inputs)
        written = sum(_per_element(t, main) for t in op.outputs)
        sums, maxima, rows = _reductions(op)
        rows = ceil(rows / share) if sums or maxima else 0
        if not sums and not maxima:
            return self._pass(elements, operations, read, written, "pass")
        statistic = _reduced_bytes(op)
        sections: list[Section] = []
        if maxima:
            sections += [*self._pass(elements, 1, statistic, 0, "maximum")]
            sections += [self._across("maxima", rows)] * maxima
        sections += self._pass(elements, max(1, operations // 2), statistic, 0, "statistic")
        sections += [self._across("sums", rows * sums)]
        return (*sections, *self._pass(elements, max(1, operations - operations // 2), read, written, "scale"))

    def _pass(self, elements: int, operations: int, read: int, written: int, name: str) -> tuple[Section, ...]:
        key = (ceil(elements / self.part.lanes.vector), operations, read, written, name)
        if key not in self._passes:
            self._passes[key] = vector.passes(
                self.part, name, elements=elements, operations=operations, read=max(1, read), written=written
            )
        return self._passes[key]

    def _across(self, what: str, rows: int) -> Section:
        make: Callable[[TspPart, str, int], Section] = vector.lane_maxima if what == "maxima" else vector.lane_sums
        if (what, rows) not in self._rows:
            self._rows[what, rows] = make(self.part, what, max(1, rows))
        return self._rows[what, rows]


def _whole(value: object) -> int:
    return max(1, ceil(float(value) - 1e-9))  # type: ignore[arg-type]


def _size(format_: Format) -> int:
    """Byte streams of a value."""
    return max(1, ceil(format_.bytes_per_element))


def _elements(tensor: Tensor) -> float:
    return float(tensor.elements)


def _moving(op: Operator) -> list[Tensor]:
    return [t for t in op.inputs if t.role is not Role.WEIGHT]


def _per_element(tensor: Tensor, main: float) -> int:
    """Byte streams that a tensor takes beside a pass over `main` elements."""
    return max(1, ceil(_size(tensor.format) * _elements(tensor) / main - 1e-9))


def _reductions(op: Operator) -> tuple[int, int, int]:
    """Sums and maxima over rows that an operator takes, and its rows."""
    sums = maxima = rows = 0
    for part in op.parts or (op,):
        if part.kind is Kind.NORM:
            sums += 2 if part.attributes.get("norm") == "layer" else 1
            rows = max(rows, _whole(part.dims["rows"]))
        if part.kind is Kind.SOFTMAX:
            sums, maxima, rows = sums + 1, maxima + 1, max(rows, _whole(part.dims["rows"]))
        if part.kind is Kind.ROUTE:
            active = _whole(part.dims["active"])
            tokens = _whole(_elements(part.outputs[0]) / active)
            sums, maxima, rows = sums + 1, maxima + 1 + active, max(rows, tokens)
    return sums, maxima, rows


def _reduced_bytes(op: Operator) -> int:
    """Byte streams of what is read to take the sums: the rows and what is added to them."""
    read = [t for t in op.inputs if t.role is Role.ACTIVATION]
    return sum(_size(t.format) for t in read) or 1
