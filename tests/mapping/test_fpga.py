"""How an overlay runs operators: resources of the fabric, instructions, tiles, rings and vectors off the chip."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import DescriptionError
from accelsim.evaluate.operators import single
from accelsim.evaluate.resolve import formats_of
from accelsim.graph import build, transforms
from accelsim.graph.operator import Graph, Kind, Operator
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.fpga import fabric
from accelsim.mapping.fpga.context import Context
from accelsim.mapping.fpga.layout import DDR, HBM, ISSUE, MATRIX, RING, ROUTER, VECTOR, Layout
from accelsim.mapping.fpga.plan import FpgaMapper
from accelsim.mapping.kernel import Kernel, Plan
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.spec.infeasible import Infeasible


def part(name: str = "dfx-u280", **overrides: object) -> FpgaPart:
    found: Any = catalog.chip(name, {key.replace("__", "."): value for key, value in overrides.items()})
    assert isinstance(found, FpgaPart)
    return found


def system(name: str = "dfx-u280-4", **overrides: object) -> FpgaSystem:
    found: Any = catalog.chip(name, overrides or None)
    assert isinstance(found, FpgaSystem)
    return found


def operator(kind: str, on: FpgaPart, **dims: Any) -> Operator:
    return single(kind, dims, formats_of(on, None, None, None))


def mapped(on: FpgaPart, op: Operator, context: Context | None = None, over: FpgaSystem | None = None) -> Kernel:
    made = FpgaMapper(Layout.of(on, over)).kernel(op, context)
    assert isinstance(made, Kernel), made
    return made


def decode_graph(name: str, on: FpgaPart, batch: int = 1, prompt: int = 64) -> Graph:
    formats = formats_of(on, None, None, None)
    model = catalog.model(name)
    return transforms.fuse(build.decode(model, batch=batch, prompt=prompt, step=1, formats=formats))


# the fabric ------------------------------------------------------------------------------------


def test_the_matrix_unit_of_dfx_takes_three_slices_per_multiplier_and_the_core_what_is_published() -> None:
    uses = {use.unit: use for use in fabric.uses(part())}
    assert uses["matrix"].dsp == 3 * 64 * 16 == 3072
    assert fabric.totals(part())["dsp"] == pytest.approx(0.3915 * 9024, rel=0.05)
    assert fabric.totals(part())["lut"] == pytest.approx(0.3993 * 1_303_680, rel=0.01)


@pytest.mark.parametrize("name", ["dfx-u280", "flightllm-u280", "flightllm-vhk158"])
def test_shipped_overlays_fit(name: str) -> None:
    assert fabric.does_not_fit(part(name)) is None


def test_an_overlay_that_is_too_large_names_the_resource_and_the_excess() -> None:
    found = fabric.does_not_fit(part(matrix__d=128, matrix__l=32))
    assert found is not None
    assert found.demand == 3 * 128 * 32 + (3486 - 3072) + 16 * 6
    assert "12,798 DSP slices of 9,024: 3,774 too many, 12,288 of them in its matrix" in found.reason
    assert "matrix.d" in found.levers[0]


@pytest.mark.parametrize(
    ("overrides", "unit"),
    [
        ({"on_chip__uram": 1000}, "UltraRAMs"), ({"on_chip__bram36": 1500}, "block RAMs"),
        ({"shell__lut": 1_200_000.0}, "look-up tables"),
    ],
)  # fmt: skip
def test_every_kind_of_resource_can_be_the_one_that_is_missing(overrides: dict[str, Any], unit: str) -> None:
    found = fabric.does_not_fit(part(**overrides))
    assert found is not None
    assert unit in found.reason
    assert found.demand > found.bound


# products --------------------------------------------------------------------------------------


def test_a_vector_times_a_matrix_on_dfx_by_hand() -> None:
    on = part()
    kernel = mapped(on, operator("matmul", on, m=1, n=4096, k=1024))
    layout = Layout(on)
    assert kernel.demand("chip.core.matrix") == 16 * 256
    assert kernel.demand("chip.hbm") == 2 * 1024 * 4096
    assert kernel.demand("chip.core.issue") == on.issue.overhead_cycles
    depth = (12 + 6 + 110) / 200e6 + 122.2e-9
    streamed = 2 * 1024 * 4096 / (32 * layout.port_bytes_per_s * layout.burst_share)
    expected = depth + streamed + on.issue.overhead_cycles / 200e6
    assert kernel_time_s(kernel, layout.resources) == pytest.approx(expected, rel=1e-9)


def test_one_multiplier_per_fetched_weight_fetches_again_for_every_token() -> None:
    on = part()
    once, four = (mapped(on, operator("matmul", on, m=m, n=512, k=512)) for m in (1, 4))
    for resource in ("chip.hbm", "chip.core.matrix", "chip.core.issue"):
        assert four.demand(resource) == 4 * once.demand(resource)
    layout = Layout(on)
    assert kernel_time_s(four, layout.resources) == pytest.approx(4 * kernel_time_s(once, layout.resources), rel=1e-9)


def test_a_panel_shares_fetched_weights_among_its_tokens() -> None:
    on = part("flightllm-u280")
    layout = Layout(on)
    times = {m: mapped(on, operator("matmul", on, m=m, n=4096, k=4096)) for m in (1, 8, 64, 128)}
    assert times[1].choice["label"] == "1 x 16 x 64"
    assert times[128].choice["label"] == "128 x 16 x 2"
    assert times[128].demand("chip.hbm") < 1.01 * times[1].demand("chip.hbm")
    seconds = {m: kernel_time_s(kernel, layout.resources) for m, kernel in times.items()}
    assert seconds[128] < 128 * seconds[1] / 3
    assert seconds[8] <= 8 * seconds[1] * (1 + 1e-9)
    labels = [row.label for row in times[64].alternatives]
    assert set(labels) == {"1 x 16 x 64", "128 x 16 x 2"}
    assert [row.time_s for row in times[64].alternatives] == sorted(row.time_s for row in times[64].alternatives)


def test_zeros_of_the_mixture_are_neither_stored_nor_multiplied() -> None:
    on = part("flightllm-u280")
    mixture = on.mixture[0]
    form = formats_of(on, None, None, None).weights
    assert form.name == "flightllm_w3.5"
    assert form.element_bits == 3.5  # type: ignore[attr-defined]
    assert mixture.density == pytest.approx(0.7)
    kept, index = 0.7 * (3.5 + 16 / 128), 0.6 * 0.5 * 4
    assert form.bits_per_element == pytest.approx(kept + index)
    sparse = mapped(on, operator("matmul", on, m=1, n=3072, k=4096))
    dense = mapped(on, single("matmul", {"m": 1, "n": 3072, "k": 4096}, formats_of(on, "int8", None, None)))
    assert sparse.demand("chip.core.matrix") == pytest.approx(0.7 * dense.demand("chip.core.matrix"), abs=1)
    assert sparse.demand("chip.hbm") == pytest.approx(4096 * 3072 * (kept + index) / 8, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "formats", "wrong"),
    [("dfx-u280", ("int8", None, None), "int8"), ("dfx-u280", (None, "bf16", None), "bf16"),
     ("flightllm-u280", ("fp16", None, None), "fp16"), ("flightllm-u280", (None, "fp16", None), "fp16")],
)  # fmt: skip
def test_a_format_that_nothing_converts_is_refused(name: str, formats: Any, wrong: str) -> None:
    on = part(name)
    found = FpgaMapper(Layout(on)).kernel(single("matmul", {"m": 1, "n": 64, "k": 64}, formats_of(on, *formats)))
    assert isinstance(found, Infeasible)
    assert f"converts {wrong}" in found.reason
    assert found.levers


# heads, boards, rings --------------------------------------------------------------------------


def layer(graph: Graph) -> dict[str, Operator]:
    return {op.name.rpartition(".")[2]: op for block, op in graph if block.name.startswith("layers")}


def test_queries_keys_and_values_of_each_head_are_instructions_of_their_own_on_dfx() -> None:
    on = part()
    graph = decode_graph("gpt2-345m", on)
    context = Context.of(graph)
    assert (context.decode, context.rows, context.head_dim) == (True, 1, 64)
    kernel = mapped(on, layer(graph)["qkv_proj"], context)
    assert kernel.choice["instructions"] == 3 * 16
    assert mapped(on, layer(graph)["up_proj"], context).choice["instructions"] == 1
    attend = mapped(on, layer(graph)["attend"], context)
    assert attend.choice["heads in a row"] == 16
    assert attend.demand("chip.core.issue") == 16 * (1 + 5 + 1) * on.issue.overhead_cycles


def test_four_synchronisations_per_layer_between_boards_and_none_on_one() -> None:
    on, four = part(), system()
    graph = decode_graph("gpt2-1.5b-dfx", on)
    context = Context.of(graph)
    ring = Layout.of(on, four)
    syncs = {}
    for name, op in layer(graph).items():
        syncs[name] = sum(phase.name == "sync" for phase in mapped(on, op, context, four).phases)
        assert not any(phase.name == "sync" for phase in mapped(on, op, context).phases)
    assert sum(syncs.values()) == 4
    assert {name for name, number in syncs.items() if number} == {"attend", "o_proj", "up_proj", "down_proj"}
    kernel = mapped(on, layer(graph)["o_proj"], context, four)
    assert kernel.demand(ring.name(RING)) == 2 * 1536 * 3  # every board gets the three parts that it lacks
    assert kernel.demand(ring.name(ROUTER)) == 4 * 3 * 200  # three messages of 1 us on each of four boards
    assert ring.resources[ring.name(HBM)].count == 4 * 32


def test_a_mesh_sends_on_all_links_at_once() -> None:
    on = part(network__ports=3)
    ring, mesh = (Layout.of(on, system(topology=topology)) for topology in ("ring", "mesh"))
    assert mesh.link_bytes_per_s == 3 * ring.link_bytes_per_s
    op = layer(decode_graph("gpt2-1.5b-dfx", on))["o_proj"]
    by_ring, by_mesh = (mapped(on, op, None, system(topology=topology)) for topology in ("ring", "mesh"))
    assert by_mesh.demand(mesh.name(ROUTER)) * 3 == by_ring.demand(ring.name(ROUTER))
    assert by_mesh.demand(mesh.name(RING)) == by_ring.demand(ring.name(RING))


def test_boards_divide_the_work() -> None:
    on = part()
    graph = decode_graph("gpt2-1.5b-dfx", on)
    context = Context.of(graph)
    op = layer(graph)["up_proj"]
    one, four = mapped(on, op, context), mapped(on, op, context, system())
    ring = Layout.of(on, system())
    assert four.demand(ring.name(HBM)) == one.demand("chip.hbm")
    fast = four.demand(ring.name(HBM)) / ring.resources[ring.name(HBM)].rate
    assert fast == pytest.approx(one.demand("chip.hbm") / Layout(on).resources["chip.hbm"].rate / 4)


def test_heads_that_do_not_divide_over_the_boards_are_refused_with_the_numbers_that_do() -> None:
    on = part()
    plan = FpgaMapper(Layout.of(on, system())).plan(decode_graph("gpt2-xl", on))
    assert isinstance(plan, Infeasible)
    assert "25 heads do not divide over 4 boards" in plan.reason
    assert "1 or 5 boards" in plan.levers[0]


def test_a_topology_that_does_not_connect_is_refused() -> None:
    found = Layout.of(part(), system(topology="mesh")).refusal()
    assert found is not None
    assert "4 boards need 3 links each, a dfx-u280 has 2" in found.reason
    assert "ring" in found.levers[0]
    assert Layout.of(part(network__ports=3), system(topology="mesh")).refusal() is None


def test_ports_that_no_stack_has_are_refused() -> None:
    found = Layout(part(hbm__channels=64)).refusal()
    assert found is not None
    assert "2 stacks of hbm2 have 32 pseudo-channels" in found.reason


# passes ----------------------------------------------------------------------------------------


def test_a_program_of_one_token_runs_its_head_for_every_token_of_a_prompt() -> None:
    on = part()
    formats = formats_of(on, None, None, None)
    prompt = transforms.fuse(build.prefill(catalog.model("gpt2-345m"), batch=2, prompt=8, formats=formats))
    head = next(op for _, op in prompt if op.name == "lm_head")
    context = Context.of(prompt)
    assert (context.decode, context.rows) == (False, 16)
    single_ = mapped(on, head, Context())
    assert int(head.dims["m"]) == 2
    assert mapped(on, head, context).demand("chip.hbm") == 8 * single_.demand("chip.hbm")


def test_positions_and_prompts_are_padded_to_the_lengths_that_programs_are_kept_for() -> None:
    on = part("flightllm-u280")
    dims = {"query": 1, "heads": 32, "kv_heads": 32, "head_dim": 128, "causal": True}
    kv = {length: mapped(on, operator("attention", on, kv=length, **dims)) for length in (65, 80, 81)}
    assert kv[65].demand("chip.hbm") == kv[80].demand("chip.hbm") < kv[81].demand("chip.hbm")
    prompt = Context(decode=False, rows=100, head_dim=128)
    padded = [mapped(on, operator("matmul", on, m=m, n=4096, k=4096), prompt) for m in (100, 128, 129)]
    cycles = [kernel.demand("chip.core.matrix") for kernel in padded]
    assert cycles[0] == cycles[1] == cycles[2] / 2


def test_vectors_that_leave_the_chip_wait_for_every_instruction() -> None:
    on, off = part("flightllm-u280"), part("flightllm-u280", on_chip__decode=False)
    layout = Layout(on)
    op = operator("matmul", on, m=1, n=4096, k=4096)
    inside, outside = mapped(on, op), mapped(off, op)
    blocks = -(-(4096 // 3 + 1) // 512)
    added = kernel_time_s(outside, layout.resources) - kernel_time_s(inside, layout.resources)
    assert added > blocks * off.on_chip.round_trip_s
    assert outside.phases[0].name == "vectors"
    assert [phase.name for phase in inside.phases] == ["product"]


def test_the_same_operator_in_the_same_kind_of_pass_is_the_same_kernel() -> None:
    on = part()
    mapper = FpgaMapper(Layout(on))
    graph = decode_graph("gpt2-345m", on)
    plans = [mapper.plan(graph) for _ in range(2)]
    assert isinstance(plans[0], Plan)
    assert isinstance(plans[1], Plan)
    assert [id(k) for _, k in plans[0].kernels()] == [id(k) for _, k in plans[1].kernels()]


def test_kinds_of_resources_are_used_by_the_operators_that_need_them() -> None:
    on = part()
    graph = decode_graph("gpt2-345m", on)
    context = Context.of(graph)
    used: dict[str, set[Kind]] = {name: set() for name in Layout(on).resources}
    for _, op in graph:
        kernel = mapped(on, op, context)
        for name, kinds in used.items():
            if kernel.demand(name):
                kinds.add(op.kind)
    assert Kind.EMBEDDING in used[f"chip.{DDR}"]
    assert {Kind.MATMUL, Kind.ATTENTION} == used[f"chip.{MATRIX}"]
    assert {Kind.MATMUL, Kind.ATTENTION, Kind.KV_APPEND} == used[f"chip.{HBM}"]
    assert {Kind.FUSED, Kind.NORM, Kind.ATTENTION} <= used[f"chip.{VECTOR}"]
    assert Kind.MATMUL in used[f"chip.{ISSUE}"]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("clock.kernel.frequency", "20 GHz", "no DSP slice reaches"), ("matrix.d", 48, "power of two"),
        ("hbm.burst", "8 KiB", "border of 4096"), ("matrix.d", 0, "at least 1"), ("network.coding", 1.5, "at most 1"),
    ],
)  # fmt: skip
def test_an_absurd_figure_is_refused_with_the_reason(key: str, value: object, reason: str) -> None:
    with pytest.raises(DescriptionError, match=reason):
        catalog.chip("dfx-u280", {key: value})


def test_boards_are_at_least_one() -> None:
    with pytest.raises(DescriptionError, match="count = 0"):
        catalog.chip("dfx-u280-4", {"count": 0})
