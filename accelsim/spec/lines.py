"""Where in a TOML text each key stands, so that a fault can name its line.

`tomllib` gives values without positions. This walks the same text for headers and keys only; the text
has been parsed before, so that it is well-formed.
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_REST_OF_LINE = re.compile(r"[^\n]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'",
    re.DOTALL,
)


def key_lines(text: str) -> dict[Path, int]:
    """Lines, counted from 1, of every table, array of tables and key.

    Keys are paths such as `("peak", 0, "rate")`. Keys within an inline table or a list have no entry of
    their own; `line_of` falls back to the key that holds them.
    """
    found: dict[Path, int] = {}
    last: dict[Path, int] = {}  # index of the latest element of each array of tables
    table: Path = ()
    at, line = 0, 1
    while at < len(text):
        char = text[at]
        if char in " \t\r\n":
            line += char == "\n"
            at += 1
        elif char == "#":
            at = _end(_REST_OF_LINE, text, at)
        elif char == "[":
            array = text.startswith("[[", at)
            parts, at = _key(text, at + 1 + array)
            table = _open(parts, array, last)
            found.setdefault(table[: len(table) - array], line)
            found.setdefault(table, line)
            at = _end(_REST_OF_LINE, text, at)
        else:
            parts, at = _key(text, at)
            for depth in range(1, len(parts) + 1):
                found.setdefault((*table, *parts[:depth]), line)
            end = _value_end(text, at)
            line += text.count("\n", at, end)
            at = end
    return found


def line_of(found: dict[Path, int], path: Path) -> int:
    """Line of a key, or of the nearest table around it; 0 if neither stands in the text."""
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return 0


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _key(text: str, at: int) -> tuple[list[str], int]:
    """Parts of a dotted key and where it ends."""
    parts: list[str] = []
    while True:
        at = _end(_BLANK, text, at)
        quoted = _STRING.match(text, at)
        match = quoted or _BARE.match(text, at)
        if not match:
            return parts, at + 1
        part = match[0]
        if quoted:
            part = next(iter(tomllib.loads(f"{part} = 0")))
        parts.append(part)
        at = _end(_BLANK, text, match.end())
        if not text.startswith(".", at):
            return parts, at
        at += 1


def _open(parts: list[str], array: bool, last: dict[Path, int]) -> Path:
    """Full path of a header, with the index of the current element of each array on the way."""
    path: Path = ()
    for depth, part in enumerate(parts, start=1):
        path = (*path, part)
        if array and depth == len(parts):
            last[path] = last.get(path, -1) + 1
        if path in last:
            path = (*path, last[path])
    return path


def _value_end(text: str, at: int) -> int:
    """End of a value that may span lines: strings, lists and inline tables with comments in them."""
    depth = 0
    while at < len(text):
        char = text[at]
        if char in "\"'":
            at = max(_end(_STRING, text, at), at + 1)
            continue
        if char == "#":
            at = _end(_REST_OF_LINE, text, at)
            continue
        if char == "\n" and depth == 0:
            return at
        depth += (char in "[{") - (char in "]}")
        at += 1
    return at
