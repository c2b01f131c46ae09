"""Operators as programs of GDDR6-AiM host instructions, and where their operands lie.

A matrix-vector product puts output o of a pass on bank o mod 16 of channel o // 16: a pass covers one output for
each bank of every channel. A row of a bank holds a chunk of one output's weights, as long as the global buffer. For
each chunk the buffer is filled once; each pass then sets the accumulators (the bias, or the sum of earlier chunks),
multiplies one fresh row, and reads the accumulators. A batch repeats all of it: the buffer holds one vector.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accelsim.mapping.pim.capacity import too_large
from accelsim.spec.aim import AimPart
from accelsim.spec.infeasible import Infeasible
from accelsim.timing.aim.program import Instruction, Loop, Program

ELEMENT_BYTES = 2
"""Of the bf16 that the units multiply."""

_EOC = Instruction("EOC")
_FROM_BUFFER = Instruction("CFR", bank=0, row=0)  # products take the global buffer, not the neighbouring bank


@dataclass(frozen=True, slots=True)
class Mapped:
    """An operator on a number of channels.

    Attributes:
        program: its instructions, for `channels` in lock-step.
        channels: channels that work.
        bytes_used: memory that operands and results take, padding included.
        flops: useful arithmetic.
        bytes_moved: operands and results, each once.
        rule: what placed it.
    """

    program: Program
    channels: int
    bytes_used: int
    flops: int
    bytes_moved: int
    rule: str


def matmul(part: AimPart, channels: int, *, m: int, n: int, k: int, packed: bool = False) -> Mapped | Infeasible:
    """[m, k] x [k, n] as m matrix-vector products, weights in the banks.

    Args:
        part: the part.
        channels: channels in lock-step.
        m: vectors.
        n: outputs of each.
        k: inputs of each.
        packed: outputs of fewer inputs than half a row share rows, as the keys of a head do; otherwise each chunk of
            an output has a row of its own.
    """
    if packed and k <= _row_elements(part) // 2:
        return _packed(part, channels, m, n, k)
    organization = part.organization
    every = (1 << channels) - 1
    row_elements = _row_elements(part)
    outputs = organization.banks_per_channel * channels
    passes, (full, rest) = -(-n // outputs), divmod(k, row_elements)
    rows = passes * (full + bool(rest))
    used = rows * int(organization.row_bytes) * outputs
    if rows > organization.rows:
        return too_large(used, part.organization.channel_bytes, channels, f"n = {n} and k = {k}")

    def chunk(width: int, row: int, steps: tuple[int, ...]) -> Iterable[Instruction | Loop]:
        columns = -(-width // organization.lanes)
        yield Instruction("WR_GB", columns, every)
        yield Loop(
            (
                Instruction("WR_BIAS", 1, every),
                Instruction("MAC_ABK", columns, every, row=row, steps=(*steps, 1)),
                Instruction("RD_MAC", 1, every),
            ),
            passes,
        )

    body: list[Instruction | Loop] = []
    if full:
        body.append(Loop(tuple(chunk(row_elements, 0, (0, passes))), full))
    if rest:
        body.extend(chunk(rest, full * passes, (0,)))
    return _products(body, channels, (m, n, k), used, "aim_gemv")


def _row_elements(part: AimPart) -> int:
    """Elements of a row that the global buffer can meet."""
    return min(int(part.organization.row_bytes), int(part.organization.global_buffer_bytes)) // ELEMENT_BYTES


def _packed(part: AimPart, channels: int, m: int, n: int, k: int) -> Mapped | Infeasible:
    """Short outputs, several to a row: the buffer is filled once, and passes over one row find it open."""
    organization = part.organization
    every, columns = (1 << channels) - 1, -(-k // organization.lanes)
    outputs = organization.banks_per_channel * channels
    passes, in_row = -(-n // outputs), organization.columns // columns
    full, rest = divmod(passes, in_row)
    rows = full + bool(rest)
    used = rows * int(organization.row_bytes) * outputs
    if rows > organization.rows:
        return too_large(used, part.organization.channel_bytes, channels, f"n = {n} and k = {k}")

    def row(count: int, first: int, steps: tuple[int, ...]) -> Loop:
        return Loop(
            (
                Instruction("WR_BIAS", 1, every),
                Instruction("MAC_ABK", columns, every, row=first, steps=steps),
                Instruction("RD_MAC", 1, every),
            ),
            count,
        )

    body: list[Instruction | Loop] = [Instruction("WR_GB", columns, every)]
    if full:
        body.append(Loop((row(in_row, 0, (0, 1)),), full))
    if rest:
        body.append(row(rest, full, ()))
    return _products(body, channels, (m, n, k), used, "aim_gemv_packed")


def _products(
    vector: Iterable[Instruction | Loop], channels: int, sizes: tuple[int, int, int], used: int, rule: str
) -> Mapped:
    """M times the program of one vector."""
    m, n, k = sizes
    program = Program((_FROM_BUFFER, Loop(tuple(vector), m), _EOC), "matmul")
    return Mapped(program, channels, used, 2 * m * n * k, ELEMENT_BYTES * (m * k + n * k + m * n), rule)


def multiply(part: AimPart, channels: int, *, elements: int) -> Mapped | Infeasible:
    """Element-wise product: both operands lie in neighbouring banks of a bank group, the result goes to a third."""
    organization = part.organization
    every = (1 << channels) - 1
    per_column = organization.lanes * organization.bank_groups * channels
    columns = -(-elements // per_column)
    full, rest = divmod(columns, organization.columns)
    rows = full + bool(rest)
    used = rows * int(organization.row_bytes) * organization.banks_per_channel * channels
    if rows > organization.rows:
        return too_large(used, part.organization.channel_bytes, channels, f"elements = {elements}")
    body: list[Instruction | Loop] = []
    if full:
        body.append(Loop((Instruction("EWMUL", organization.columns, every, row=0, steps=(1,)),), full))
    if rest:
        body.append(Instruction("EWMUL", rest, every, row=full))
    return _elementwise(Program((*body, _EOC), "mul"), channels, elements, used, 2, "aim_ewmul")


def add(part: AimPart, channels: int, *, elements: int) -> Mapped | Infeasible:
    """Element-wise sum, which the units beside the banks cannot do: through the decoder's shared buffer.

    A row of each operand is read from one bank, added in the buffer, and a row of results written to a third bank.
    """
    organization = part.organization
    every = (1 << channels) - 1
    columns = -(-elements // (organization.lanes * channels))
    full, rest = divmod(columns, organization.columns)
    rows = full + bool(rest)
    used = 3 * rows * int(organization.row_bytes) * channels
    if rows > organization.rows:
        return too_large(used, part.organization.channel_bytes, channels, f"elements = {elements}")

    def block(count: int, row: int, steps: tuple[int, ...]) -> tuple[Instruction | Loop, ...]:
        return (
            *(Loop((Instruction("RD_SBK", 1, every, bank, row, steps),), count) for bank in (0, 1)),
            Instruction("SYNC"),
            Loop((Instruction("EWADD", 1),), count),
            Loop((Instruction("WR_SBK", 1, every, 2, row, steps),), count),
            Instruction("SYNC"),
        )

    body: list[Instruction | Loop] = []
    if full:
        body.append(Loop(block(organization.columns, 0, (1,)), full))
    if rest:
        body.extend(block(rest, full, ()))
    return _elementwise(Program((*body, _EOC), "add"), channels, elements, used, 2, "aim_ewadd")


def relu(part: AimPart, channels: int, *, elements: int) -> Mapped | Infeasible:
    """Activation function on accumulators: each unit takes one value, applies the function, and gives it back."""
    organization = part.organization
    every = (1 << channels) - 1
    turns = -(-elements // (organization.banks_per_channel * channels))
    body = (Instruction("WR_BIAS", 1, every), Instruction("AF", 1, every, row=0), Instruction("RD_AF", 1, every))
    return _elementwise(Program((Loop(body, turns), _EOC), "relu"), channels, elements, 0, 1, "aim_af")


def _elementwise(program: Program, channels: int, elements: int, used: int, operands: int, rule: str) -> Mapped:
    return Mapped(program, channels, used, elements, ELEMENT_BYTES * elements * (operands + 1), rule)
