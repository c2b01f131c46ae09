"""Depth in parts: tiles and chips of IPUs, planes and chips of Groq's; planned as priced, added as planned."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.devices.families import device_for
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import reachable
from accelsim.execution import attention, matrix, run
from accelsim.execution.cache import Cached
from accelsim.execution.executor import Executor
from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import Keys, Unit
from accelsim.execution.stored import Stored
from accelsim.graph.operator import MATRIX_KINDS, Graph, Kind, Operator
from accelsim.graph.routing import Routing
from accelsim.mapping.kernel import Kernel, Plan
from accelsim.mapping.sums import WHOLE, Sums
from accelsim.numerics.accumulator import accumulator
from accelsim.simulation import horizon
from accelsim.spec.huggingface import read_config
from accelsim.spec.ipu import IpuSystem
from accelsim.weights import synthetic
from tests.execution.families import CONFIGS, tokens

RANDOM = np.random.default_rng(5)
FP16 = catalog.format_("fp16")

Array = Any


def pieces(sums: Sums, first: int, end: int) -> list[tuple[int, int]]:
    """Of the axis, as units take them, all stages."""
    inner = sums.within
    parts = sums.bounds(end, first)
    return list(parts) if inner is None else [each for start, stop in parts for each in pieces(inner, start, stop)]


def as_priced(chip: Any, name: str, prompt: int, length: int) -> tuple[list[tuple[Graph, Plan]], Executor]:
    """The kernels of the whole run that `simulate` prices, and the executor of the same run."""
    record = catalog.model(name)
    made = run.executor(record, {}, on=chip, positions=length)
    formats = made._setting.formats
    work = Work(record, formats, 1, prompt, length - prompt + 1, "all", Routing(), True, None)
    device = device_for(chip, {form.name: form.bits for form in reachable(chip, formats)}, horizon=horizon(work))
    found = []
    for graph in (work.prefill(), work.decode(1)):
        plan = device.plan(graph)
        assert isinstance(plan, Plan), plan
        found.append((graph, plan))
    return found, made


def products(op: Operator, sums: Sums) -> list[tuple[str, Sums, int]]:
    """Name, parts and axis of each product of an operator; a program for a fixed length has zeros behind the keys."""
    if op.kind is not Kind.ATTENTION:
        return [("", sums, int(op.dims["k"]))]
    both = sums.products or (WHOLE, WHOLE)
    return [("scores", both[0], int(op.dims["head_dim"])), ("context", both[1], int(op.dims["kv"]))]


@pytest.mark.parametrize(
    ("on", "name", "more"),
    [
        ("ipu-mk2-8", "gpt2", {}), ("ipu-mk2-8", "tiny-llama", {}), ("ipu-mk2-8", "gpt2", {"tensor_parallel": 4}),
        ("ipu-mk2-8", "gpt2", {"count": 4, "tensor_parallel": 2, "topology": "mesh"}), ("groq-lpu-1", "gpt2", {}),
        ("groq-lpu-8", "gpt2", {}), ("groq-lpu-576", "llama-2-7b", {}),
    ],
)  # fmt: skip
def test_what_is_priced_is_planned_and_the_other_way_round(on: str, name: str, more: dict[str, Any]) -> None:
    chip = catalog.chip(on, more or None)
    runs, made = as_priced(chip, name, 40, 48)
    check = tiles if isinstance(chip, IpuSystem) else planes
    split = 0
    for graph, plan in runs:
        kernels = {kernel.name: kernel for _, kernel in plan.kernels()}
        mine = made.planned(1, 40, [40])
        for _, op in graph:
            kernel, found = kernels[op.name], mine.find(graph.phase, op.name)
            assert (kernel.sums is not None) == (op.kind in MATRIX_KINDS)
            if kernel.sums is None:
                continue
            assert (found.keys[0].sums if found.keys else found.sums) == kernel.sums, (graph.phase, op.name)
            for at, (part, sums, axis) in enumerate(products(op, kernel.sums)):
                length = 48 if part == "context" and graph.phase == "decode" and check is tiles else axis
                check(kernel, at, part, sums, length, chip)
                split += sums.split
    assert split


def tiles(kernel: Kernel, at: int, part: str, sums: Sums, axis: int, chip: Any) -> None:
    prefix = f"{part}_" if part else ""
    depth = int(kernel.choice[f"{prefix}split"].split(",")[0].split(" x ")[2])
    chips = any(phase.name == "all_reduce" for phase in kernel.phases)
    assert chips == (sums.stored is not None)
    assert sums.ring == (chips and chip.topology != "mesh")
    mine = sums.bounds(axis)[0] if chips else (0, axis)
    if chips:
        assert len(sums.bounds(axis)) == sums.parts == chip.tensor_parallel
        sums = sums.within or WHOLE
    assert len(pieces(sums, *mine)) == depth
    assert all((end - first) % 16 == 0 or end == mine[1] for first, end in pieces(sums, *mine))
    begin = f"{part}.reduce" if part else "reduce"
    added = {phase.name for phase in kernel.phases if phase.name.startswith(begin) and phase.name.endswith("exchange")}
    assert len(added) == sum(stage.parts > 1 for stage in sums.stages)


def planes(kernel: Kernel, at: int, part: str, sums: Sums, axis: int, chip: Any) -> None:
    apart = re.search("depth in ([0-9]+)", kernel.choice["label"].split("; ")[at])
    mine = (0, axis)
    if kernel.choice["way"] == "depth":
        mine = sums.bounds(axis)[0]
        assert sums.stored is FP16
        assert len(sums.bounds(axis)) == sums.parts == chip.width
        sums = sums.within or WHOLE
    assert sums.parts == (int(apart[1]) if apart else 1)
    assert (sums.stored is FP16) == (sums.parts > 1)
    rows = sums.group or 320
    assert all((end - first) % rows == 0 or end == mine[1] for first, end in pieces(sums, *mine))
    assert -(-(mine[1] - mine[0]) // rows) == int(kernel.choice["label"].split("; ")[at].split(" x ")[0])


def near(x: Fraction) -> np.float32:
    return np.float32(float(x))


def literal(a: Array, b: Array, group: int, how: Any, first: int, end: int) -> Array:
    """Sums of products one by one: `how` is nested as (extent, inner, rule); None adds groups exactly, rounded once."""
    if how is None:
        made = np.zeros((len(a), b.shape[1]), dtype=np.float32)
        for i, j in np.ndindex(made.shape):
            for at in range(first, end, group):
                terms = (Fraction(float(a[i, k])) * Fraction(float(b[k, j])) for k in range(at, min(at + group, end)))
                made[i, j] = near(sum(terms, Fraction(float(made[i, j]))))
        return made
    extent, inner, rule = how
    parts = [literal(a, b, group, inner, at, min(at + extent, end)) for at in range(first, end, extent)]
    if rule == "fp32":
        made = parts[0]
        for part in parts[1:]:
            made = made + part
        return made
    rounded = [part.astype(np.float16).astype(np.float32) for part in parts]
    if rule == "stored":
        made = rounded[0]
        for part in rounded[1:]:
            made = made + part
        return made
    made, columns = np.empty_like(rounded[0]), b.shape[1]
    for j in range(columns):
        owner = next(i for i in range(len(parts)) if columns * i // len(parts) <= j < columns * (i + 1) // len(parts))
        order = [(owner + 1 + step) % len(parts) for step in range(len(parts))]
        passed = rounded[order[0]][:, j]
        for chip in order[1:]:
            passed = (passed + rounded[chip][:, j]).astype(np.float16).astype(np.float32)
        made[:, j] = passed
    return made


@pytest.mark.parametrize(
    ("name", "sums", "how"),
    [
        ("ipu-amp", Sums(3, 32), (32, None, "fp32")),
        ("ipu-amp", Sums(2, 64, within=Sums(4, 16)), (64, (16, None, "fp32"), "fp32")),
        ("ipu-amp", Sums(3, 40, within=Sums(3, 16), stored=FP16, ring=True), (40, (16, None, "fp32"), "ring")),
        ("ipu-amp", Sums(2, 50, within=Sums(2, 32), stored=FP16), (50, (32, None, "fp32"), "stored")),
        ("groq-fp16", Sums(2, 48, stored=FP16, group=48), (48, None, "stored")),
        ("groq-fp16", Sums(2, 50, within=Sums(2, 32, stored=FP16, group=16), stored=FP16),
         (50, (32, None, "stored"), "stored")),
    ],
)  # fmt: skip
def test_stages_are_added_one_within_the_other(name: str, sums: Sums, how: Any) -> None:
    unit = Unit(accumulator(name), FP16, FP16)
    codec = accelsim.dataformat("fp16")
    a, b = codec.quantize(RANDOM.normal(size=(2, 96))), codec.quantize(RANDOM.normal(size=(96, 7)))
    left, right = matrix.prepare(Stored(a), unit, -1), matrix.prepare(Stored(b), unit, -2)
    group = sums.stages[-1].group or 16
    want = literal(a, b, group, how, 0, 96)
    found = matrix.multiply(left, right, unit, sums=sums)
    assert found.dtype == np.float32
    assert found.tobytes() == want.tobytes()
    panels = [matrix.prepare(Stored(b[:, part]), unit, -2) for part in (slice(0, 5), slice(5, 7))]
    assert matrix.multiply(left, panels, unit, sums=sums).tobytes() == want.tobytes()
    assert found.tobytes() != matrix.multiply(left, right, unit).tobytes()


def test_scales_of_channels_are_in_what_is_rounded() -> None:
    """Weights in int8_channel: parts that leave the planes in fp16 have the scale of their column in them."""
    unit = Unit(accumulator("groq-fp16"), FP16, FP16)
    codec = accelsim.dataformat("int8_channel")
    a = accelsim.dataformat("fp16").quantize(RANDOM.normal(size=(2, 64)))
    held = codec.encode(2e3 * RANDOM.normal(size=(64, 3)), axis=-2)
    left, right = matrix.prepare(Stored(a), unit, -1), matrix.prepare(Stored(codec.decode(held), held), unit, -2)
    found = matrix.multiply(left, right, unit, sums=Sums(2, 32, stored=FP16))
    steps = matrix.prepare(Stored(codec.decode(held), held), unit, -2)
    parts = [literal(a, steps.values, 320, None, *at) * steps.end.astype(np.float32) for at in ((0, 32), (32, 64))]
    rounded = [part.astype(np.float16).astype(np.float32) for part in parts]
    assert found.tobytes() == (rounded[0] + rounded[1]).tobytes()


@pytest.mark.parametrize("window", [None, 21])
def test_keys_are_added_in_parts_after_one_softmax(window: int | None) -> None:
    query, keys, values = (
        accelsim.dataformat("fp16").quantize(RANDOM.normal(size=(1, n, h, 32)).astype(np.float32))
        for n, h in ((1, 2), (50, 1), (50, 1))
    )
    unit, lanes, form = Unit(accumulator("ipu-amp"), FP16, FP16), Lanes(), accelsim.dataformat("fp16")
    how = Keys(49, unit, Sums(products=(Sums(2, 16), Sums(4, 16))), FP16)
    heads = attention.Heads(query, 49, causal=True, window=window)
    found = attention.fused(heads, Cached(keys), Cached(values), (how,), lanes)
    first = 0 if window is None else 29
    for h in range(2):
        s = literal(query[0, :, h], keys[0, first:, 0].T, 16, (16, None, "fp32"), 0, 32)
        s = s * np.float32(1 / np.sqrt(32))
        e = lanes.exp(s - s.max())
        total = np.float32(0)
        for each in e[0]:
            total = np.float32(total + each)
        want = literal(form.quantize(e), values[0, first:, 0], 16, (16, None, "fp32"), 0, 50 - first) / total
        assert found[0, 0, h].tobytes() == want[0].tobytes()


def test_many_queries_add_their_keys_as_one_does() -> None:
    query, keys, values = (RANDOM.normal(size=(2, 40, h, 16)).astype(np.float32) for h in (4, 2, 2))
    unit = Unit(accumulator("groq-fp16"), FP16, FP16)
    how = Keys(0, unit, Sums(products=(WHOLE, Sums(2, 16, stored=FP16, group=8))), FP16)
    for window in (None, 19):
        heads = attention.Heads(query, 0, True, window)
        whole = attention.fused(heads, Cached(keys), Cached(values), (how,), Lanes())
        for at in (0, 15, 16, 33, 39):
            one = attention.Heads(query[:, at : at + 1], at, True, window)
            found = attention.fused(one, Cached(keys[:, : at + 1]), Cached(values[:, : at + 1]), (how,), Lanes())
            assert found.tobytes() == whole[:, at : at + 1].tobytes(), (window, at)


@pytest.mark.parametrize("on", ["ipu-mk2-8", "groq-lpu-8"])
@pytest.mark.parametrize("family", ["llama-gqa", "mixtral"])
def test_every_position_as_decode_computes_it(on: str, family: str) -> None:
    more = {"intermediate_size": 512, "num_hidden_layers": 1}
    record = read_config({**CONFIGS[family], **more}, name=family, source="a test", status="assumed")
    given, fed = synthetic(record, 0), tokens(family, 9)
    made = run.executor(record, given, on=on, as_decode=True, positions=9, weights_format="fp16")
    whole, _ = made.start(fed)
    split = accelsim.execute(record, given, fed, on=on, prefill=1, weights_format="fp16")
    assert split.plan is not None
    assert any(op.sums.split for op in split.plan.operators)
    assert whole.tobytes() == split.logits.tobytes()
    exact = made.with_exact_sums().planned(1, 9, [9])
    assert not any(op.sums.split or any(keys.sums.products for keys in op.keys) for op in exact.operators)


@pytest.mark.parametrize(
    ("on", "more", "rule"), [("ipu-mk2-8", {}, ""), ("ipu-mk2-8", {"tensor_parallel": 4}, "ring"),
                             ("groq-lpu-8", {}, "stored")],
)  # fmt: skip
def test_a_model_is_executed_in_the_parts_of_its_plan(on: str, more: dict[str, Any], rule: str) -> None:
    config = {**CONFIGS["llama"], "intermediate_size": 2048, "num_hidden_layers": 1}
    record = read_config(config, name="deep", source="a test", status="assumed")
    given = synthetic(record, 0)
    seen: dict[str, Any] = {}
    found = accelsim.execute(
        record, given, np.array([[5, 7]]), on=catalog.chip(on, more or None), weights_format="fp16",
        observe=lambda op, layer, name, x: seen.__setitem__(name, np.array(x)),
    )  # fmt: skip
    assert found.plan is not None
    sums = found.plan.find("prefill", "layers.mlp.down_proj").sums
    inner = sums.within if rule else sums
    how: Any = None
    for stage in reversed(inner.stages if inner is not None else ()):
        how = (stage.extent, how, "stored" if stage.stored else "fp32") if stage.parts > 1 else how
    how = (sums.extent, how, rule) if rule else how
    assert how is not None
    assert sums.assumed
    form = accelsim.dataformat("fp16")
    weight = form.quantize(np.asarray(given["model.layers.0.mlp.down_proj.weight"], dtype=np.float32)).T
    group = sums.stages[-1].group or {"i": 16, "g": 320}[on[0]]
    want = literal(seen["inner"][-1:], weight[:, :8], group, how, 0, 2048)
    if rule == "ring":  # pieces of the ring are of all 32 columns
        want = literal(seen["inner"][-1:], weight, group, how, 0, 2048)
    assert np.array_equal(form.quantize(want), seen["fed"][-1:, : want.shape[1]])


def test_a_split_is_made_where_the_price_gains_by_it() -> None:
    """What docs/execution.md says of the shipped model."""
    record = catalog.model("tiny-llama")
    plan = run.executor(record, {}, on="groq-lpu-1").planned(1, 64, [64])
    split = [(op.phase, op.name) for op in plan.operators if op.sums.split or any(k.sums.products for k in op.keys)]
    assert split == [("prefill", "layers.mlp.down_proj")]
    plan = run.executor(record, {}, on="ipu-mk2-8").planned(1, 64, [64])
    assert max(op.sums.parts for op in plan.operators) == 11
