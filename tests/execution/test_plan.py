"""The plan: what is priced is what is planned, and what is planned is what is executed."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim import catalog
from accelsim.devices.families import device_for
from accelsim.evaluate.phases import Work
from accelsim.evaluate.resolve import formats_of, reachable, separate
from accelsim.execution import cache, matrix, rules, run, walk
from accelsim.execution.executor import Executor
from accelsim.execution.plan import NumericsPlan, OperatorPlan
from accelsim.execution.weights import Weights
from accelsim.graph.operator import Role
from accelsim.graph.routing import Routing
from accelsim.mapping.kernel import Kernel
from accelsim.mapping.sums import WHOLE
from tests.execution.families import CONFIGS, model, tokens, weights

FORMATS = [
    ("h100-sxm", {}),
    ("h100-sxm", {"weights": "mxfp4"}),
    ("h100-sxm", {"weights": "fp8_e4m3", "activations": "fp8_e4m3", "kv_cache": "fp8_e4m3"}),
    ("h100-sxm", {"weights": "int8_channel", "activations": "int8_channel", "kv_cache": "bf16"}),
    ("a100-sxm-80gb", {"weights": "int4_g128", "activations": "fp16", "kv_cache": "fp8_e5m2"}),
    ("b200-sxm", {"weights": "mxfp8_e4m3", "activations": "mxfp8_e4m3"}),
    ("b200-sxm", {"weights": "nvfp4", "activations": "mxfp8_e4m3", "kv_cache": "fp8_e4m3"}),
]  # fmt: skip


def planned(on: str, formats: dict[str, str], name: str = "llama-gqa") -> tuple[Executor, Work]:
    chip = catalog.chip(on)
    named = {f"{role}_format": form for role, form in formats.items()}
    made = run.executor(model(name), weights(name), on=on, **named)
    scales = "dynamic" if separate(chip) else None
    given = (formats.get(role) for role in ("weights", "activations", "kv_cache"))
    return made, Work(model(name), formats_of(chip, *given), 1, 2, 2, "all", Routing(), True, scales)


@pytest.mark.parametrize(("on", "formats"), FORMATS)
def test_every_conversion_that_is_priced_is_planned_and_the_other_way_round(on: str, formats: dict[str, str]) -> None:
    made, work = planned(on, formats)
    assert isinstance(made.plan, NumericsPlan)
    chip = catalog.chip(on)
    device = device_for(chip, {form.name: form.bits for form in reachable(chip, work.formats)})
    seen = 0
    for graph in (work.prefill(), next(work.decode_steps())):
        for _, op in graph:
            kernel = device.kernel(op)
            assert isinstance(kernel, Kernel)
            labels = " ".join((kernel.priced_by, *(phase.priced_by for phase in kernel.phases)))
            priced = set(re.findall(r"[\w.]+->[\w.]+", labels))
            plan = made.plan.find(graph.phase, op.name)
            assert plan.conversions == priced, op.name
            seen += len(priced)
    assert bool(seen) == bool(formats)


@pytest.mark.parametrize(("on", "formats"), FORMATS)
def test_every_stored_byte_that_is_priced_is_written_and_the_other_way_round(
    on: str, formats: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Formats and shapes of everything that is rounded to storage, against the tensors of the priced graphs."""
    name, stored = "llama-gqa", {}
    made, work = planned(on, formats, name)
    original = walk.store

    def spy(x: Any, form: Any, where: str) -> Any:
        stored.setdefault(where, (form, x.size))
        return original(x, form, where)

    monkeypatch.setattr(walk, "store", spy)
    monkeypatch.setattr(cache, "store", spy)
    _, state = made.start(tokens(name, 2))
    prefill, stored = stored, {}
    made.step(tokens(name, 1), state)
    for graph, found in ((work.prefill(), prefill), (next(work.decode_steps()), stored)):
        written = priced = 0.0
        for _, op in graph:
            for tensor in op.outputs:
                layer = "layer 0, " if tensor.role is Role.KV_CACHE else f"{op.name}, "
                form, size = found.pop(f"{layer}{tensor.name}")
                assert form == tensor.format
                written += form.bytes_per_element * size
                priced += float(tensor.bytes)
        assert written == priced > 0
        # the other layers' caches, each once; no tensor is written that is not priced
        assert set(found) == {"layer 1, k_cache", "layer 1, v_cache"}


@pytest.mark.parametrize(("on", "formats"), FORMATS)
def test_every_weight_that_is_priced_is_read_in_that_format_and_the_other_way_round(
    on: str, formats: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "llama-gqa"
    made, work = planned(on, formats, name)
    read: dict[Any, float] = {}

    def spied(original: Any) -> Any:
        def spy(self: Any, where: Any, shape: Any, form: Any) -> Any:
            read[where, form.name] = float(np.prod(shape)) * form.bytes_per_element
            return original(self, where, shape, form)

        return spy

    for name_of in ("_stored", "_matrix"):  # tables and vectors; matrices
        monkeypatch.setattr(Weights, name_of, spied(getattr(Weights, name_of)))
    made.start(tokens(name, 2))
    priced, layers = 0.0, model(name).layers
    for block in work.prefill().blocks:
        tensors = [t for op in block.operators for part in (op.parts or (op,)) for t in part.inputs]
        sizes = (t.format.bytes_per_element * float(np.prod(t.shape)) for t in tensors if t.role is Role.WEIGHT)
        priced += block.repeat * sum(sizes)
    assert layers == 2
    assert sum(read.values()) == priced


@pytest.mark.parametrize(("on", "formats"), FORMATS)
def test_operands_are_widened_to_the_formats_of_the_plan(
    on: str, formats: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "llama-gqa"
    made, _ = planned(on, formats, name)
    assert isinstance(made.plan, NumericsPlan)
    used: list[tuple[str, Any, Any]] = []
    current: list[OperatorPlan] = []

    def execute(step: Any, at: Any) -> Any:
        current.append(step.plan)
        return rules.RULES[step.op.kind](step, at)

    original = matrix.multiply

    def multiply(a: Any, b: Any, unit: Any, start: Any = None, sums: Any = WHOLE) -> Any:
        used.append((current[-1].name, unit, sums))
        return original(a, b, unit, start, sums)

    monkeypatch.setattr(walk, "execute", execute)
    monkeypatch.setattr(rules, "multiply", multiply)
    monkeypatch.setattr("accelsim.execution.attention.multiply", multiply)
    _, state = made.start(tokens(name, 2))
    count = len(used)
    made.step(tokens(name, 1), state)
    for phase, calls in (("prefill", used[:count]), ("decode", used[count:])):
        assert calls
        for name, unit, sums in calls:
            plan = made.plan.find(phase, name)
            assert unit in ({plan.keys[0].unit, plan.keys[0].values_unit} if plan.keys else {plan.unit})
            assert sums == plan.sums


def test_weights_are_stored_in_as_many_bytes_as_are_priced() -> None:
    made, _ = planned("h100-sxm", {"weights": "mxfp4"})
    found = next(op for _, op in made.prefill_graph(1, 2) if op.name.endswith("gate_up_proj"))
    for tensor in found.inputs[1:]:
        codec = accelsim.dataformat("mxfp4")
        shape = tuple(int(n) for n in tensor.shape)
        assert codec.encode(np.ones(shape), axis=0).nbytes == pytest.approx(float(tensor.bytes), rel=0.3)
        exact = codec.encode(np.ones((64, 48)), axis=0).nbytes  # whole blocks: to the byte
        assert exact == 64 * 48 * tensor.format.bytes_per_element


@pytest.mark.parametrize(
    ("on", "phase", "accumulator"),
    [
        ("h100-sxm", "prefill", "hopper-bf16"), ("mi300x", "decode", "cdna3"), ("v100", "prefill", "volta-fp16"),
        ("gddr6-aim-32ch", "decode", "aim-bf16"), ("gddr6-aim-32ch", "prefill", "ampere-bf16"),
        ("hbm-pim-64pch", "decode", "hbm-pim-fp16"), ("dfx-u280-1", "decode", "dfx-fp16"),
        ("ipu-mk2-8", "decode", "ipu-amp"),
    ],
)  # fmt: skip
def test_a_device_adds_as_its_description_says(on: str, phase: str, accumulator: str) -> None:
    made, _ = planned(on, {})
    assert isinstance(made.plan, NumericsPlan)
    units = {op.unit.label for op in made.plan.operators if op.unit is not None and op.phase == phase}
    assert accumulator in units


def test_dfx_has_its_table_in_place_of_gelu() -> None:
    made, _ = planned("dfx-u280-1", {}, "gpt2")
    assert isinstance(made.plan, NumericsPlan)
    assert {op.table for op in made.plan.operators if op.kind == "activation"} == {2048}
    assert all(op.lanes.width == "fp16" for op in made.plan.operators)


def test_a_plan_is_frozen_and_names_every_operator() -> None:
    made, work = planned("h100-sxm", {})
    assert isinstance(made.plan, NumericsPlan)
    with pytest.raises(FrozenInstanceError):
        made.plan.target = "other"  # type: ignore[misc]
    names = [(op.phase, op.name) for op in made.plan.operators]
    graphs = (work.prefill(), next(work.decode_steps()))
    assert names == [(graph.phase, op.name) for graph in graphs for _, op in graph]


def test_formats_without_a_way_are_a_result() -> None:
    name = "llama"
    found = accelsim.execute(model(name), weights(name), tokens(name), on="ipu-mk2-8", weights_format="mxfp4")
    assert found.infeasible is not None
    assert found.infeasible.kind == "unsupported"
    assert found.plan is None
    assert not found.logits.size


def test_scales_of_whole_tensors_are_reported() -> None:
    name = "llama"
    found = accelsim.execute(model(name), weights(name), tokens(name), activations_format="int8_tensor")
    assert "prefill and decode differ" in found.warnings[0]
    split = accelsim.execute(model(name), weights(name), tokens(name), activations_format="int8_tensor", prefill=5)
    assert not np.array_equal(found.logits, split.logits)


def test_every_family_has_a_plan_on_a_gpu() -> None:
    for name in CONFIGS:
        made, _ = planned("h100-sxm", {}, name)
        assert isinstance(made.plan, NumericsPlan)
        assert not made.plan.warnings


def test_memories_can_judge_every_position_as_decode_computes_it() -> None:
    name = "llama-gqa"
    given, fed, the_model = weights(name), tokens(name, 5), model(name)
    made = run.executor(the_model, given, on="gddr6-aim-32ch", as_decode=True)
    assert isinstance(made.plan, NumericsPlan)
    assert "aim-bf16" in {op.unit.label for op in made.planned(1, 5).operators if op.unit}
    whole, _ = made.start(fed)
    split = accelsim.execute(the_model, given, fed, on="gddr6-aim-32ch", prefill=1).logits
    assert np.abs(whole[:, 1:] - split[:, 1:]).max() <= 0.05 * np.abs(whole).max()  # the first key is the host's
