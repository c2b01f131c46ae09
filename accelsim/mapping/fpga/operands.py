"""Which formats an overlay multiplies, and how dense its weights are."""

from __future__ import annotations

from accelsim.graph.operator import Operator
from accelsim.spec.format import Format
from accelsim.spec.fpga import FpgaPart
from accelsim.spec.infeasible import Infeasible


def density(part: FpgaPart, form: Format) -> float:
    """Share of the products that the unit really makes: it skips the zeros of N:M sparsity if it is built for it."""
    if not part.matrix.sparse:
        return 1.0
    return next((mixture.density for mixture in part.mixture if mixture.name == form.name), 1.0)


def refused(part: FpgaPart, op: Operator) -> Infeasible | None:
    """Why the multipliers cannot take the operands of a matrix operator."""
    first, second = op.operand_formats()
    matrix = part.matrix
    known = (matrix.operands[1], *matrix.weights, *(mixture.name for mixture in part.mixture))
    if first.name == matrix.operands[0] and second.name in known:
        return None
    wrong = first.name if first.name != matrix.operands[0] else second.name
    return Infeasible(
        "unsupported",
        f"{op.name}: the multipliers of {part.name} take {matrix.operands[0]} x {', '.join(known)}, and nothing on it "
        f"converts {wrong}",
        set_by=("weights", "activations", "kv_cache", "matrix.operands"),
        levers=(f"activations {matrix.operands[0]}", f"weights and KV cache of {', '.join(known)}"),
    )


def event(part: FpgaPart) -> str:
    """The counter of products and sums."""
    first, second = part.matrix.operands
    return f"tensor:{first}x{second}:{part.matrix.accumulator}"
