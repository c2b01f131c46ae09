"""Micro-programs of HBM-PIM: the 32-bit commands of the CRF, their text, and the programs of the kernels.

A column command that reaches the banks while execution is on runs one command; JUMP takes none. A FILL, and whatever
has `auto`, is repeated for eight column commands with the register that the column address names; NOP n for n of them,
and stores a register where the column command is a write. Bits, from SAITPublic/PIMSimulator at b464dde: code 31-28,
destination 27-25, sources 24-22, 21-19, 18-16, auto 15, relu 12, register numbers 11-8, 7-4, 3-0; NOP has its count
less one in 10-0; JUMP its count in 27-11 and the way back plus one in 10-0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from accelsim.errors import RequestError, did_you_mean

CODES: Final = {
    "NOP": 0, "ADD": 1, "MUL": 2, "MAC": 3, "MAD": 4, "MOV": 8, "FILL": 9, "JUMP": 14, "EXIT": 15,
}  # fmt: skip
"""Operation codes."""
OPERANDS: Final = ("A_OUT", "M_OUT", "EVEN_BANK", "ODD_BANK", "GRF_A", "GRF_B", "SRF_M", "SRF_A")
"""What a command reads or writes, in the order of its code."""
COMMANDS: Final = 32
"""Words of the CRF."""
REGISTERS: Final = 8
"""Registers of each file, and so accumulators of a block."""
REPEATS: Final = 8
"""Column commands for which a FILL or an `auto` command stays."""
_NAMES: Final = {code: name for name, code in CODES.items()}
_SOURCES: Final = {"MOV": 1, "FILL": 1, "ADD": 2, "MUL": 2, "MAC": 2, "MAD": 3}
_MOST: Final = {"NOP": (1 << 11), "JUMP": (1 << 17) - 1}


@dataclass(frozen=True, slots=True)
class Operand:
    """A bank, an output latch, or a register and its number."""

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return f"{self.kind}[{self.index}]" if self.kind[:3] in ("GRF", "SRF") else self.kind


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: a key of `CODES`.
        operands: destination and sources.
        auto: registers by column address, for `REPEATS` column commands.
        relu: negative values become zero on the way.
        count: column commands of a NOP, jumps of a JUMP.
        back: how many commands before itself a JUMP goes to.
    """

    name: str
    operands: tuple[Operand, ...] = ()
    auto: bool = False
    relu: bool = False
    count: int = 0
    back: int = 0

    def __str__(self) -> str:
        if self.name == "NOP":
            return f"NOP {self.count}"
        if self.name == "JUMP":
            return f"JUMP -{self.back}, {self.count}"
        marks = [mark for mark, on in (("auto", self.auto), ("relu", self.relu)) if on]
        return " ".join(filter(None, (self.name, ", ".join([*map(str, self.operands), *marks]))))


def encode(command: Command) -> int:
    """The 32-bit word of a command."""
    word = CODES[command.name] << 28
    if command.name == "NOP":
        return word | (command.count - 1)
    if command.name == "JUMP":
        return word | command.count << 11 | (command.back + 1)
    for operand, shift in zip(command.operands, (25, 22, 19, 16), strict=False):
        word |= OPERANDS.index(operand.kind) << shift
    for operand, shift in zip(command.operands, (8, 4, 0), strict=False):
        word |= operand.index << shift
    return word | command.auto << 15 | command.relu << 12


def decode(word: int) -> Command:
    """The command of a word.

    Raises:
        RequestError: a code that is none.
    """
    name = _NAMES.get(word >> 28)
    if name is None or not 0 <= word < 1 << 32:
        raise RequestError(f"{word:#010x}: code {word >> 28} is no command of HBM-PIM; codes: {CODES}")
    if name == "NOP":
        return Command(name, count=(word & 0x7FF) + 1)
    if name == "JUMP":
        return Command(name, count=word >> 11 & 0x1FFFF, back=(word & 0x7FF) - 1)
    numbers = (word >> 8 & 0xF, word >> 4 & 0xF, word & 0xF, word & 0xF)
    kinds = (word >> 25 & 7, word >> 22 & 7, word >> 19 & 7, word >> 16 & 7)
    count = 1 + _SOURCES[name] if name in _SOURCES else 0
    operands = tuple(Operand(OPERANDS[kinds[i]], numbers[i]) for i in range(count))
    return Command(name, operands, bool(word >> 15 & 1), bool(word >> 12 & 1))


def assemble(text: str) -> list[int]:
    """Words of a program, a command per line; `#` opens a comment.

    Raises:
        RequestError: a line that is no command, with its number and what is allowed.
    """
    words: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        if said:
            try:
                words.append(encode(_command(said, len(words))))
            except ValueError as error:
                raise RequestError(f"line {number}: {said!r}: {error}") from None
    if len(words) > COMMANDS:
        raise RequestError(f"{len(words)} commands: the CRF holds {COMMANDS}")
    return words


def disassemble(words: Iterable[int]) -> str:
    """The text of a program, with which `assemble` gives its words back."""
    return "\n".join(str(decode(word)) for word in words)


def _command(said: str, place: int) -> Command:
    name, _, rest = said.partition(" ")
    if name not in CODES:
        raise ValueError(f"unknown command{did_you_mean(name, CODES)}; commands: {', '.join(CODES)}")
    parts = [part.strip() for part in rest.split(",")] if rest.strip() else []
    if name == "NOP":
        return Command(name, count=_number(parts, 0, 1, _MOST[name], "column commands"))
    if name == "JUMP":
        back = -_number(parts, 0, -place, 0, "commands back, within the program,")
        return Command(name, back=back, count=_number(parts, 1, 0, _MOST[name], "jumps"))
    marks = {part for part in parts if part in ("auto", "relu")}
    operands = tuple(_operand(part) for part in parts if part not in marks)
    wanted = 1 + _SOURCES[name] if name in _SOURCES else 0
    if len(operands) != wanted:
        raise ValueError(f"{name} takes {wanted} operands, destination first, and auto or relu")
    if operands and operands[0].kind.endswith("BANK"):
        raise ValueError("no command writes a bank: a column write under NOP stores GRF_A in even, GRF_B in odd banks")
    if name == "MAD" and operands[3].index != operands[2].index:
        raise ValueError(f"the scalars of MAD have one number: SRF_M[{operands[2].index}] goes with the same of SRF_A")
    return Command(name, operands, "auto" in marks, "relu" in marks)


def _number(parts: Sequence[str], at: int, least: int, most: int, what: str) -> int:
    said = parts[at] if at < len(parts) else ""
    if not re.fullmatch(r"-?\d+", said) or not least <= int(said) <= most:
        raise ValueError(f"expected a number of {what} from {least} to {most}, not {said!r}")
    return int(said)


def _operand(said: str) -> Operand:
    found = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", said)
    kind = found[1] if found else said
    if found is None or kind not in OPERANDS:
        raise ValueError(f"unknown operand {said!r}{did_you_mean(kind, OPERANDS)}; operands: {', '.join(OPERANDS)}")
    index = int(found[2] or 0)
    if index >= REGISTERS:
        raise ValueError(
            f"{said}: a block has {REGISTERS} of them, 0 to {REGISTERS - 1}; more outputs take more passes"
        )
    return Operand(kind, index)


def gemv(tiles: int) -> list[int]:
    """The program of a matrix-vector product over `tiles` input tiles: those of even banks, then those of odd ones."""
    even, odd = -(-tiles // 2), tiles // 2
    lines = ["MAC GRF_B, GRF_A, EVEN_BANK, auto", f"JUMP -1, {REGISTERS * even - 1}"]
    if odd:
        lines += ["MAC GRF_B, GRF_A, ODD_BANK, auto", f"JUMP -1, {REGISTERS * odd - 1}"]
    return assemble("\n".join([*lines, f"NOP {REPEATS}", "EXIT"]))


def gemv_tree(tiles: int) -> list[int]:
    """The same, with the sums of every tile stored and multiplied by a row of zeros."""
    lines = []
    for bank in ("EVEN_BANK", "ODD_BANK"):
        lines += [f"MAC GRF_B, GRF_A, {bank}, auto", f"JUMP -1, {REGISTERS - 1}", f"NOP {REPEATS}"]
        lines += ["MUL GRF_B, GRF_B, EVEN_BANK, auto"]
    return assemble("\n".join([*lines, *_again(len(lines), -(-tiles // 2)), "EXIT"]))


def elementwise(kind: str, tiles: int) -> list[int]:
    """The program of "add", "mul", "relu" or "bn" over tiles of even and odd banks in turn."""
    lines = []
    for file, bank in (("GRF_A", "EVEN_BANK"), ("GRF_B", "ODD_BANK")):
        lines += {
            "add": [f"FILL {file}, {bank}", f"ADD {file}, {file}, {bank}, auto"],
            "mul": [f"FILL {file}, {bank}", f"MUL {file}, {file}, {bank}, auto"],
            "relu": [f"FILL {file}, {bank}, relu"],
            "bn": [
                f"MAD {file}, {bank}, SRF_M[0], SRF_A[0], auto",
                f"MAD {file}, {file}, SRF_M[1], SRF_A[1], auto",
            ],
        }[kind]
        lines.append(f"NOP {REPEATS}")
    return assemble("\n".join([*lines, *_again(len(lines), tiles), "EXIT"]))


def _again(length: int, times: int) -> list[str]:
    """A jump to the first command, if there is more than one pass."""
    return [f"JUMP -{length}, {times - 1}"] if times > 1 else []
