"""Decode steps cut out of one graph are the graphs of those steps."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import formats_of
from accelsim.graph.counts import count
from accelsim.graph.routing import Routing


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(
    "name", ["llama-2-7b", "gemma-2-9b", "mixtral-8x7b", "deepseek-v2-lite", "t5-xxl", "chatglm-6b"]
)
def test_each_step_equals_its_own_graph(name: str, fuse: bool) -> None:
    chip = catalog.chip("h100-sxm")
    work = Work(catalog.model(name), formats_of(chip, None, None, "fp8_e4m3"), 3, 4090, 12, "last", Routing(), fuse)
    steps = list(work.decode_steps())
    assert len(steps) == 11
    for step, graph in enumerate(steps, start=1):
        for (block, op), (other_block, other) in zip(graph, work.decode(step), strict=True):
            assert (block.name, block.repeat) == (other_block.name, other_block.repeat)
            assert (op.name, op.kind, dict(op.dims)) == (other.name, other.kind, dict(other.dims))
            assert [(t.name, t.shape, t.moved) for t in op.inputs] == [(t.name, t.shape, t.moved) for t in other.inputs]
            assert count(op) == count(other)


def test_what_does_not_grow_is_the_same_object() -> None:
    chip = catalog.chip("h100-sxm")
    work = Work(catalog.model("llama-2-7b"), formats_of(chip, None, None, None), 1, 64, 4, "last", Routing(), True)
    first, second, _ = work.decode_steps()
    changed = [op.name for (_, op), (_, later) in zip(first, second, strict=True) if op is not later]
    assert changed == ["layers.attention.attend"]
