"""Reading the public trace format of AiM host instructions.

A line is `AiM NAME operands`, `R` or `W` with `GPR register`, `CFR address value` or `MEM channel bank row`; numbers
are decimal or 0x-hexadecimal, operands are separated by blanks or commas, and # starts a comment.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Final

from accelsim.errors import RequestError, did_you_mean
from accelsim.spec.aim import AimOrganization
from accelsim.timing.aim.program import FIELDS, Instruction, Program, unrolled

_ACCESS: Final = {"GPR": 1, "CFR": 2, "MEM": 3}
_AFM: Final = 2  # the configuration register that selects the activation function
_CONFIGURATION: Final = {0: "broadcast", 1: "EWMUL bank groups", _AFM: "activation function"}


def read(path: str | PathLike[str], organization: AimOrganization, channels: int) -> Program:
    """The program of a trace file.

    Args:
        path: the file.
        organization: of the part, for the ranges of banks, rows and columns.
        channels: channels of the device; bit i of a mask is channel `channels - 1 - i`.

    Raises:
        RequestError: a line that is no instruction or names what the device does not have, with its number; no EOC.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file}: cannot be read as a trace: {error}") from None
    return parse(text, organization, channels, origin=str(file))


def parse(text: str, organization: AimOrganization, channels: int, *, origin: str = "trace") -> Program:
    """The program of a trace's text; see `read`."""
    reader = _Reader(organization, channels)
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].replace(",", " ").split()
        if not words:
            continue
        try:
            instruction = reader.line(words)
        except ValueError as error:
            raise RequestError(f"{origin}, line {number}: {error}") from None
        reader.body.append(instruction)
        if instruction.name == "EOC":
            return Program(tuple(reader.body), origin)
    raise RequestError(f"{origin}: ends without EOC: write `AiM EOC` as the last line")


def text(program: Program, channels: int) -> str:
    """A program as a trace, loops unrolled, for other programs that read this format; registers are all 0."""
    lines, function = [], 0
    for item in unrolled(program.body):
        mask = f"{int(f'{item.channels:0{channels}b}'[::-1], 2):#x}"
        if item.name == "GPR":
            lines.append("W GPR 0")
        elif item.name == "CFR":
            lines.append(f"W CFR {item.bank} {item.row}")
        elif item.name in ("READ", "WRITE"):
            lines.append(f"{item.name[0]} MEM {item.channels.bit_length() - 1} {item.bank} {item.row}")
        else:
            if item.name == "AF" and item.row != function:
                function = item.row
                lines.append(f"W CFR {_AFM} {function}")
            values = {"size": item.size, "gpr": 0, "mask": mask, "bank": item.bank, "row": item.row}
            lines.append(" ".join(["AiM", item.name, *(str(values[key]) for key in FIELDS[item.name])]))
    return "\n".join(lines) + "\n"


class _Reader:
    """Lines to instructions; remembers the selected activation function."""

    def __init__(self, organization: AimOrganization, channels: int) -> None:
        self.body: list[Instruction] = []
        self._organization, self._channels, self._function = organization, channels, 0

    def line(self, words: list[str]) -> Instruction:
        kind, rest = words[0], words[1:]
        if kind == "AiM":
            return self._aim(rest)
        if kind in ("R", "W"):
            return self._access(kind, rest)
        raise ValueError(f"{kind!r} is no kind of line: AiM, R and W are{did_you_mean(kind, ('AiM', 'R', 'W'))}")

    def _aim(self, words: list[str]) -> Instruction:
        name = words[0].removeprefix("ISR_") if words else ""
        if name not in FIELDS:
            raise ValueError(f"unknown instruction {name!r}{did_you_mean(name, FIELDS)}; there are {', '.join(FIELDS)}")
        fields = FIELDS[name]
        if len(words) - 1 != len(fields):
            wanted = " ".join(fields) or "no operands"
            raise ValueError(f"{name} takes {wanted}, that is {len(fields)}, and {len(words) - 1} are given")
        given = dict(zip(fields, words[1:], strict=True))
        columns, banks = self._organization.columns, self._organization.banks_per_channel
        return Instruction(
            name=name,
            size=_number(given["size"], "size", 1, None if name == "EWADD" else columns) if "size" in given else 1,
            channels=self._mask(given["mask"], name) if "mask" in given else 0,
            bank=_number(given["bank"], "bank", 0, banks - 1) if "bank" in given else -1,
            row=self._row(given["row"]) if "row" in given else self._function if name == "AF" else -1,
        )

    def _access(self, kind: str, words: list[str]) -> Instruction:
        region = words[0] if words else ""
        if region not in _ACCESS:
            raise ValueError(f"{kind} {region!r}: what is accessed must be one of {', '.join(_ACCESS)}")
        if len(words) - 1 != _ACCESS[region]:
            raise ValueError(f"{kind} {region} takes {_ACCESS[region]} operands, and {len(words) - 1} are given")
        if region == "GPR":
            return Instruction("GPR")
        if region == "CFR":
            address, value = _number(words[1], "CFR", 0, max(_CONFIGURATION)), _number(words[2], "value", 0, None)
            if kind == "W" and address == _AFM:
                self._function = value
            return Instruction("CFR", bank=address, row=value)
        return Instruction(
            name="READ" if kind == "R" else "WRITE",
            channels=1 << _number(words[1], "channel", 0, self._channels - 1),
            bank=_number(words[2], "bank", 0, self._organization.banks_per_channel - 1),
            row=self._row(words[3]),
        )

    def _row(self, word: str) -> int:
        return _number(word, "row", 0, self._organization.rows - 1)

    def _mask(self, word: str, name: str) -> int:
        mask, channels = _number(word, "channel mask", 0, None), self._channels
        if mask == 0:
            raise ValueError(f"{name}: a channel mask of zero reaches no channel: set one of {channels} bits")
        if mask >> channels:
            raise ValueError(f"{name}: mask {word} names channels beyond {channels}: at most {(1 << channels) - 1:#x}")
        if name == "WR_ABK" and mask.bit_count() != 1:
            raise ValueError(f"WR_ABK writes one channel, and mask {word} names {mask.bit_count()}")
        return int(f"{mask:0{channels}b}"[::-1], 2)  # the first bit of a mask is the last channel


def _number(word: str, what: str, least: int, most: int | None) -> int:
    try:
        value = int(word, 0) if word.lower().startswith("0x") else int(word)
    except ValueError:
        raise ValueError(f"{what} {word!r} is no whole number") from None
    if value < least or (most is not None and value > most):
        raise ValueError(f"{what} {word} is outside {least} to {most if most is not None else 'any number'}")
    return value
