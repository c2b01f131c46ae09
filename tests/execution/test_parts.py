"""Kernels that split k or keys: the plan has the parts that are priced, and execution adds in them, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.devices.families import device_for
from accelsim.evaluate.resolve import reachable
from accelsim.execution import attention, matrix, run
from accelsim.execution.cache import Cached
from accelsim.execution.executor import Executor
from accelsim.execution.lanes import Lanes
from accelsim.execution.plan import Keys, Unit
from accelsim.execution.stored import Stored
from accelsim.graph.operator import MATRIX_KINDS
from accelsim.mapping.kernel import Kernel
from accelsim.mapping.sums import WHOLE, Sums
from accelsim.numerics.accumulator import accumulator
from accelsim.numerics.arithmetic import Operand, matmul, operand
from accelsim.spec.huggingface import read_config
from accelsim.weights import synthetic
from tests.execution.families import CONFIGS

RANDOM = np.random.default_rng(3)


def planned(model: str, on: str, **formats: str) -> Executor:
    return run.executor(catalog.model(model), {}, on=on, **formats)


@pytest.mark.parametrize(
    ("on", "formats"),
    [
        ("h100-sxm", {}), ("h100-sxm", {"weights_format": "int4_g128"}), ("a100-sxm-80gb", {}),
        ("b200-sxm", {"weights_format": "mxfp8_e4m3", "activations_format": "mxfp8_e4m3"}), ("mi300x", {}),
        ("gddr6-aim-32ch", {}), ("hbm-pim-64pch", {}),
    ],
)  # fmt: skip
def test_every_part_that_is_priced_is_planned_and_the_other_way_round(on: str, formats: dict[str, str]) -> None:
    chip, made = catalog.chip(on), planned("llama-3.1-8b", on, **formats)
    device = device_for(chip, {form.name: form.bits for form in reachable(chip, made._setting.formats)})
    split = tiled = 0
    for batch, length in ((1, 37), (1, 1000), (2, 4000)):
        plan = made.planned(batch, length, [length])
        for graph in (made.prefill_graph(batch, length), made.decode_graph(batch, length)):
            for _, op in graph:
                kernel, found = device.kernel(op), plan.find(graph.phase, op.name)
                assert isinstance(kernel, Kernel)
                if found.unit is not None and found.unit.label in ("aim-bf16", "hbm-pim-fp16"):
                    # the units' own, though the host may be faster for one size: see docs/execution.md
                    assert graph.phase == "decode"
                    assert all(sums == WHOLE for sums in (found.sums, *(keys.sums for keys in found.keys)))
                    continue
                assert (kernel.sums is not None) == (op.kind in MATRIX_KINDS)
                if kernel.sums is None:
                    continue
                mine = found.keys[0].sums if found.keys else found.sums
                assert mine == kernel.sums, (graph.phase, op.name)
                assert mine.parts == kernel.choice.get("split", 1)
                if mine.parts > 1:
                    assert mine.extent * mine.parts >= int(op.dims["kv" if found.keys else "k"])
                    if found.keys:
                        assert mine.extent == kernel.choice["depth_steps"] * 64
                split += mine.parts > 1
                tiled += mine.tile in (64, 128)
    assert split
    assert tiled


@pytest.mark.parametrize(
    ("form", "accumulators"),
    [("bf16", "hopper-bf16"), ("fp8_e4m3", "hopper-fp8"), ("mxfp8_e4m3", "blackwell-fp8"), ("int8_channel", "fp32")],
)
def test_partial_sums_are_those_of_the_accumulator_and_added_in_fp32(form: str, accumulators: str) -> None:
    codec, how = accelsim.dataformat(form), accumulator(accumulators)
    a, b = RANDOM.normal(size=(5, 320)), RANDOM.normal(size=(320, 7))
    record = catalog.format_(form)
    unit = Unit(how, None if record.scaled else record, None if record.scaled else record, native=record.scaled)
    left, right = (
        matrix.prepare(Stored(x, codec.encode(x, axis=axis) if record.scaled else None), unit, axis)
        for x, axis in ((a, -1), (b, -2))
    )
    found = matrix.multiply(left, right, unit, sums=Sums(3, 128))
    x, y = (
        operand(codec.encode(v, axis=axis) if record.scaled else v, codec, axis - 2) for v, axis in ((a, 1), (b, 0))
    )
    parts = []
    for first, end in ((0, 128), (128, 256), (256, 320)):
        blocks = slice(first // 32, end // 32)
        scales = (None, None) if x.scales is None or y.scales is None else (x.scales[:, blocks], y.scales[blocks])
        left_part = Operand(x.values[:, first:end], scales[0], x.length)
        parts.append(matmul(left_part, Operand(y.values[first:end], scales[1], y.length), accumulator=how).values)
    want = (parts[0] + parts[1]) + parts[2]
    assert (x.end is None) == (form != "int8_channel")
    if x.end is not None and y.end is not None:  # scales of rows and columns multiply the sum of all parts
        want = want * (x.end * y.end).astype(np.float32)
    assert found.dtype == np.float32
    assert found.tobytes() == want.tobytes()
    if form == "bf16":
        assert found.tobytes() != matrix.multiply(left, right, unit).tobytes()


def literal(q: Any, k: Any, v: Any, parts: list[list[tuple[int, int]]]) -> Any:
    """One query, fp32 with fused multiply-adds one by one: parts of tiles of keys, joined by maxima and sums."""
    form, one = accelsim.dataformat("fp32"), np.float32
    exp = Lanes().exp
    joined: tuple[Any, Any, Any] | None = None
    for tiles in parts:
        high, total, made = one(-np.inf), one(0), np.zeros(v.shape[1], dtype=one)
        for first, end in tiles:
            s = np.zeros(end - first, dtype=one)
            for j in range(first, end):
                for d in range(len(q)):
                    s[j - first] = form.fma(q[d], k[j, d], s[j - first])
            s = s * one(1 / np.sqrt(len(q)))
            after = max(high, s.max())
            kept, p = exp(np.asarray(high - after)), exp(s - after)
            made, running = made * kept, one(0)
            for j in range(first, end):
                made = form.fma(np.full_like(made, p[j - first]), v[j], made)
                running = one(running + p[j - first])
            high, total = after, one(total * kept + running)
        if joined is None:
            joined = (high, total, made)
        else:
            after = max(joined[0], high)
            x, y = exp(np.asarray(joined[0] - after)), exp(np.asarray(high - after))
            joined = (after, one(joined[1] * x + total * y), joined[2] * x + made * y)
    assert joined is not None
    return joined[2] / joined[1]


@pytest.mark.parametrize("window", [None, 13])
def test_split_keys_are_joined_by_maxima_and_sums(window: int | None) -> None:
    query, keys, values = (
        RANDOM.normal(size=(1, n, h, 8)).astype(np.float32) for n, h in ((1, 2), (30, 1), (30, 1))
    )  # fmt: skip
    heads = attention.Heads(query, 29, causal=True, window=window)
    unit = Unit(accumulator("fp32-fma"))
    how = Keys(29, unit, Sums(3, 8, 4))
    found = attention.fused(heads, Cached(keys), Cached(values), (how,), Lanes())
    # tiles of 4, two of them a part; the window begins in the tile of key 16, so that one part is left out
    first = 0 if window is None else 17
    tiles = [(max(at, first), min(at + 4, 30)) for at in range(first // 4 * 4, 30, 4)]
    parts = [tiles[:2], tiles[2:4], tiles[4:]] if len(tiles) > 4 else [tiles[:2], tiles[2:]]
    for h in range(2):
        want = literal(query[0, 0, h], keys[0, :, 0], values[0, :, 0], parts)
        assert found[0, 0, h].tobytes() == want.astype(np.float32).tobytes()
    whole = attention.fused(heads, Cached(keys), Cached(values), (Keys(29, unit, Sums(tile=4)),), Lanes())
    assert whole.tobytes() != found.tobytes()
    np.testing.assert_allclose(whole, found, rtol=1e-5, atol=1e-6)


def test_positions_meet_their_own_parts() -> None:
    """Many queries at once, each with the parts of its own length: as one by one."""
    query, keys, values = (RANDOM.normal(size=(2, 40, h, 8)).astype(np.float32) for h in (4, 2, 2))
    unit = Unit(accumulator("hopper-bf16"), catalog.format_("bf16"), catalog.format_("bf16"))
    lanes = Unit(accumulator("fp32-fma"))
    how = (Keys(0, lanes, Sums(tile=8)), Keys(16, unit, Sums(2, 16, 8), unit.first), Keys(33, unit, Sums(4, 16, 8)))
    whole = attention.fused(attention.Heads(query, 0, True, None), Cached(keys), Cached(values), how, Lanes())
    for at in (0, 15, 16, 31, 32, 33, 39):
        mine = next(each for each in reversed(how) if each.first <= at)
        one = attention.Heads(query[:, at : at + 1], at, True, None)
        found = attention.fused(one, Cached(keys[:, : at + 1]), Cached(values[:, : at + 1]), (mine,), Lanes())
        assert found.tobytes() == whole[:, at : at + 1].tobytes(), at


def test_a_model_is_executed_in_the_parts_of_its_plan() -> None:
    """A long k on an H100: what down_proj writes is the sum of its parts, and no single sum."""
    config = {**CONFIGS["llama"], "intermediate_size": 4096, "num_hidden_layers": 1}
    model = read_config(config, name="deep", source="a test", status="assumed")
    given = synthetic(model, 0)
    seen: dict[str, Any] = {}
    fed = RANDOM.integers(0, 61, size=(1, 3))
    found = accelsim.execute(
        model, given, fed, on="h100-sxm", prefill=2,
        observe=lambda op, layer, name, x: seen.__setitem__(name, np.array(x)),
    )  # fmt: skip
    assert found.plan is not None
    for phase in ("prefill", "decode"):
        assert found.plan.find(phase, "layers.mlp.down_proj").sums.parts > 1
    sums = found.plan.find("decode", "layers.mlp.down_proj").sums
    form = accelsim.dataformat("bf16")
    weight = form.quantize(np.asarray(given["model.layers.0.mlp.down_proj.weight"], dtype=np.float32)).T
    parts = [
        form.matmul(seen["inner"][:, a:b], weight[a:b], accumulator="hopper-bf16").values for a, b in sums.bounds(4096)
    ]
    want = parts[0]
    for part in parts[1:]:
        want = want + part
    assert len(parts) == sums.parts
    assert np.array_equal(form.quantize(want), seen["fed"])
    single = form.matmul(seen["inner"], weight, accumulator="hopper-bf16").values
    assert single.tobytes() != want.tobytes()
