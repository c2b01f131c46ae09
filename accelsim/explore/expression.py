"""Constraints and derived columns: arithmetic, comparison, and/or/not over named columns, and nothing else.

Expressions are parsed, never run as Python. A column whose name has dots is written as it is (`memory.bandwidth`); one
with other signs cannot be named. Columns are numpy arrays with a value per point.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError, UnknownNameError

Array = npt.NDArray[Any]

_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_CALLS: Final[Mapping[str, tuple[Callable[..., Any], int]]] = {
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
    "log2": (np.log2, 1),
    "abs": (np.abs, 1),
    "ceil": (np.ceil, 1),
    "floor": (np.floor, 1),
}
"""Function -> what computes it, and the least number of arguments; with 2, any number of them."""

ALIASES: Final[Mapping[str, str]] = {"power_w": "average_power_w"}
"""Short names of columns, where there is no column of that name."""

ALLOWED: Final = (
    "allowed are numbers, names in quotes, columns, + - * / // % **, comparisons, and, or, not, "
    "min, max, log2, abs, ceil and floor"
)


def columns(text: str) -> frozenset[str]:
    """The columns that an expression reads.

    Raises:
        RequestError: it is no expression of this kind.
    """
    return frozenset(_names(_parse(text)))


def check(text: str, known: Iterable[str], where: str) -> frozenset[str]:
    """The columns that an expression reads, all of which are known.

    Args:
        text: the expression.
        known: columns that there are.
        where: what carries the expression, for the message.

    Raises:
        RequestError: it is no expression of this kind.
        UnknownNameError: a column that is not known, with the nearest ones.
    """
    names, found = tuple(known), columns(text)
    for name in sorted(found):
        if name not in names and ALIASES.get(name) not in names:
            raise UnknownNameError("column", name, names, where, f"in {text!r}")
    return found


def value(text: str, table: Mapping[str, Any], count: int) -> Array:
    """The value of an expression for each of `count` points.

    A comparison with NaN is false, as is one between a name and a number.

    Args:
        text: the expression.
        table: column -> array of `count` values, or one value for all.
        count: number of points.

    Raises:
        RequestError: it is no expression of this kind, or does arithmetic with names.
    """
    with np.errstate(all="ignore"):
        try:
            return np.broadcast_to(_value(_parse(text), table), (count,))
        except TypeError:
            raise RequestError(f"{text!r}: arithmetic with something that is no number") from None


def truth(text: str, table: Mapping[str, Any], count: int) -> npt.NDArray[np.bool_]:
    """Whether a constraint holds, for each point; NaN does not hold."""
    return _true(value(text, table, count))


@cache
def _parse(text: str) -> ast.expr:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise RequestError(f"{text!r} is no expression: {ALLOWED}") from None
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return
        case ast.Name() | ast.Attribute() if _dotted(node):
            return
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            parts = [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            parts = [operand]
        case ast.BoolOp(values=parts):
            pass
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(
            type(op) in _COMPARE or isinstance(op, ast.Eq | ast.NotEq) for op in ops
        ):
            parts = [left, *rest]
        case ast.Call(func=ast.Name(id=called), args=parts, keywords=[]) if called in _CALLS:
            least = _CALLS[called][1]
            if len(parts) < least or (least == 1 and len(parts) > 1):
                takes = "one value" if least == 1 else "two values or more"
                raise RequestError(f"{text!r}: {called} takes {takes}, not {len(parts)}")
        case _:
            raise RequestError(f"{text!r}: {ast.unparse(node)!r} is not allowed here; {ALLOWED}")
    for part in parts:
        _check(part, text)


def _dotted(node: ast.expr) -> str:
    """The name of a column, dots included; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Name | ast.Attribute):
        return [_dotted(node)]
    if isinstance(node, ast.Call):
        return [name for part in node.args for name in _names(part)]
    return [name for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr) for name in _names(part)]


def _value(node: ast.expr, table: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=constant):
            return constant
        case ast.Name() | ast.Attribute():
            name = _dotted(node)
            return table[name if name in table else ALIASES.get(name, name)]
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_number(_value(left, table)), _number(_value(right, table)))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(_true(_value(operand, table)))
        case ast.UnaryOp(op=op, operand=operand):
            number = _number(_value(operand, table))
            return np.negative(number) if isinstance(op, ast.USub) else number
        case ast.BoolOp(op=op, values=parts):
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            result = _true(_value(parts[0], table))
            for part in parts[1:]:
                result = join(result, _true(_value(part, table)))
            return result
        case ast.Compare(left=left, ops=ops, comparators=rest):
            values = [_value(part, table) for part in (left, *rest)]
            held: Any = True
            for sign, first, second in zip(ops, values, values[1:], strict=False):
                held = np.logical_and(held, _compare(sign, first, second))
            return held
        case ast.Call(func=ast.Name(id=called), args=parts):
            function = _CALLS[called][0]
            numbers = [_number(_value(part, table)) for part in parts]
            result = numbers[0] if len(numbers) > 1 else function(numbers[0])
            for number in numbers[1:]:
                result = function(result, number)
            return result
    raise RequestError(f"{ast.unparse(node)!r} is not allowed here; {ALLOWED}")


def _compare(op: ast.cmpop, first: Any, second: Any) -> Any:
    if isinstance(op, ast.Eq | ast.NotEq):
        equal = np.asarray(np.asarray(first, dtype=object) == np.asarray(second, dtype=object), dtype=bool)
        return equal if isinstance(op, ast.Eq) else np.logical_not(equal)
    return _COMPARE[type(op)](_number(first), _number(second))


def _number(value: Any) -> Any:
    """Numbers as floats; a name among them is a fault of the expression."""
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        try:
            return array.astype(float)
        except (TypeError, ValueError):
            raise TypeError from None
    return array.astype(float)


def _true(value: Any) -> npt.NDArray[np.bool_]:
    """Truth of values; NaN is no truth."""
    array = np.asarray(value)
    if array.dtype == bool:
        return array
    number = np.asarray(_number(array))
    found: npt.NDArray[np.bool_] = (number != 0) & ~np.isnan(number)
    return found
