"""Latencies written over JEDEC parameters, such as `nCL + nBL + 2 - nCWL`: integers, names, + - * //, max and min."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from typing import Final

_BINARY: Final = {
    ast.Add: int.__add__,
    ast.Sub: int.__sub__,
    ast.Mult: int.__mul__,
    ast.FloorDiv: int.__floordiv__,
}
_CALLS: Final = {"max": max, "min": min}
_ALLOWED: Final = "allowed are whole numbers, parameters, + - * // and max(...), min(...)"


def names(text: str) -> frozenset[str]:
    """The parameters that an expression reads.

    Raises:
        ValueError: it is no expression of this kind.
    """
    return _names(_parse(text))


def value(text: str, parameters: Mapping[str, int]) -> int:
    """The value of an expression.

    Args:
        text: the expression.
        parameters: cycles of every parameter that it reads.

    Raises:
        ValueError: it is no expression of this kind, or divides by zero.
        KeyError: a parameter that has no value.
    """
    return _value(_parse(text), parameters, text)


@cache
def _parse(text: str) -> ast.expr:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise ValueError(f"{text!r} is no expression: {_ALLOWED}") from None
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return
        case ast.Name():
            return
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            parts = [left, right]
        case ast.Call(func=ast.Name(id=called), args=parts, keywords=[]) if called in _CALLS and parts:
            pass
        case _:
            raise ValueError(f"{text!r} is no expression: {_ALLOWED}")
    for part in parts:
        _check(part, text)


def _names(node: ast.expr) -> frozenset[str]:
    match node:
        case ast.Name(id=name):
            return frozenset({name})
        case ast.BinOp(left=left, right=right):
            return _names(left) | _names(right)
        case ast.Call(args=parts):
            return frozenset().union(*map(_names, parts))
    return frozenset()


def _value(node: ast.expr, parameters: Mapping[str, int], text: str) -> int:
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.Name(id=name):
            return parameters[name]
        case ast.BinOp(left=left, op=op, right=right):
            try:
                return _BINARY[type(op)](_value(left, parameters, text), _value(right, parameters, text))
            except ZeroDivisionError:
                raise ValueError(f"{text!r} divides by zero") from None
        case ast.Call(func=ast.Name(id=called), args=parts):
            return int(_CALLS[called](_value(part, parameters, text) for part in parts))
    raise ValueError(f"{text!r} is no expression: {_ALLOWED}")
