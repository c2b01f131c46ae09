"""Which operators of a block must wait for which: the order that tensors impose."""

from __future__ import annotations

from collections.abc import Sequence

from accelsim.graph.operator import Operator


def dependencies(operators: Sequence[Operator]) -> dict[str, tuple[str, ...]]:
    """For each operator the names of those before it that it must wait for.

    It waits for the last writer of what it reads, and before it overwrites a tensor for that tensor's
    writer and readers.
    """
    writer: dict[str, str] = {}
    readers: dict[str, list[str]] = {}
    result: dict[str, tuple[str, ...]] = {}
    for op in operators:
        waits: dict[str, None] = {}
        for tensor in op.inputs:
            if tensor.name in writer:
                waits[writer[tensor.name]] = None
        for tensor in op.outputs:
            if tensor.name in writer:
                waits[writer[tensor.name]] = None
            for reader in readers.get(tensor.name, ()):
                waits[reader] = None
        waits.pop(op.name, None)
        result[op.name] = tuple(waits)
        for tensor in op.inputs:
            readers.setdefault(tensor.name, []).append(op.name)
        for tensor in op.outputs:
            writer[tensor.name] = op.name
            readers[tensor.name] = []
    return result
