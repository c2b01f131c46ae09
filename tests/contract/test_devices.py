"""What every chip that has a device promises to the layers above, whatever its family."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.devices.base import Device
from accelsim.devices.families import device_for
from accelsim.energy import COMPONENTS, by_component_j, by_resource_j
from accelsim.evaluate.operators import single
from accelsim.evaluate.resolve import formats_of, reachable
from accelsim.graph.operator import Block, Graph, Operator
from accelsim.mapping.kernel import Kernel, Plan
from accelsim.results import BOUNDS
from accelsim.spec.device import GpuChip
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import IpuPart, IpuSystem
from accelsim.spec.tsp import TspPart, TspSystem

CHIPS = [
    name
    for name in catalog.names("arch")
    if isinstance(catalog.chip(name), GpuChip | IpuPart | IpuSystem | FpgaPart | FpgaSystem | TspPart | TspSystem)
]
OPERATORS = {
    "matmul": {"m": 33, "n": 700, "k": 900},
    "attention": {"query": 7, "kv": 300, "heads": 8, "kv_heads": 2, "head_dim": 64, "causal": True},
    "softmax": {"rows": 9, "columns": 1000},
    "gelu": {"elements": 12_345},
}


@pytest.fixture(scope="module", params=CHIPS)
def name(request: pytest.FixtureRequest) -> str:
    """Every shipped chip."""
    return str(request.param)


@pytest.fixture(scope="module")
def device(name: str) -> Device:
    """Its device."""
    chip = catalog.chip(name)
    formats = formats_of(chip, None, None, None)
    return device_for(chip, {form.name: form.bits for form in reachable(chip, formats)})


@pytest.fixture(scope="module")
def operators(name: str) -> list[Operator]:
    """A few operators in the chip's native formats."""
    formats = formats_of(catalog.chip(name), None, None, None)
    return [single(kind, dims, formats) for kind, dims in OPERATORS.items()]


@pytest.fixture(scope="module")
def kernels(device: Device, operators: list[Operator]) -> list[Kernel]:
    """Their kernels."""
    made = [device.kernel(op) for op in operators]
    assert not any(isinstance(kernel, Infeasible) for kernel in made)
    return [kernel for kernel in made if isinstance(kernel, Kernel)]


def test_figures_are_positive_and_the_limit_exceeds_idle(device: Device) -> None:
    assert device.capacity_bytes > 0
    assert 0 < device.idle_w < device.limit_w
    assert device.reference_clock_hz > 0


def test_resources_are_named_hierarchically_and_serve_something(device: Device) -> None:
    for name_, resource in device.resources.items():
        assert name_ == resource.name
        assert name_.startswith("chip.")
        assert resource.unit in ("B", "clk")
        assert resource.rate > 0
        assert resource.count >= 1
        assert resource.bound in BOUNDS
        assert resource.component in (*COMPONENTS, "")


def test_kernels_demand_whole_amounts_of_known_resources_for_a_named_reason(
    device: Device, kernels: list[Kernel]
) -> None:
    for kernel in kernels:
        assert kernel.priced_by
        assert kernel.constants
        assert len({phase.name for phase in kernel.phases}) == len(kernel.phases)
        for phase in kernel.phases:
            assert phase.priced_by
            for demand in phase.demands():
                assert demand.resource in device.resources
                assert isinstance(demand.amount, int)
                assert demand.amount >= 0
                assert 0 < demand.share <= 1 + 1e-12


def test_every_counted_event_has_a_price_a_component_and_a_resource(device: Device, kernels: list[Kernel]) -> None:
    for kernel in kernels:
        assert all(isinstance(units, int) and units > 0 for units in kernel.events.values())
        by_component, by_resource = by_component_j(kernel.events, device), by_resource_j(kernel.events, device)
        assert set(by_component) <= set(COMPONENTS) - {"static"}
        assert set(by_resource) <= set(device.resources)
        assert sum(by_component.values()) == pytest.approx(sum(by_resource.values()), rel=1e-12)
        assert sum(by_component.values()) > 0


def test_constants_have_sources_and_the_status_is_one_of_them(device: Device, kernels: list[Kernel]) -> None:
    for kernel in kernels:
        found = [entry for path in kernel.constants for entry in device.constant(path)]
        assert all(source for _, source, _ in found)
        assert device.status(kernel.constants) in {status for _, _, status in found}


def test_an_operator_seen_before_gives_the_same_kernel(device: Device, operators: list[Operator]) -> None:
    graph = Graph("test", "operator", (Block("a", 2, tuple(operators)), Block("b", 1, tuple(operators))))
    first, second = device.plan(graph), device.plan(graph)
    assert isinstance(first, Plan)
    assert isinstance(second, Plan)
    assert [stage.repeat for stage in first.stages] == [2, 1]
    kernels = [kernel for _, kernel in first.kernels()]
    assert (
        kernels[: len(operators)]
        == kernels[len(operators) :]
        == [kernel for _, kernel in second.kernels()][: len(operators)]
    )
    assert [stage.segments for stage in first.stages] == [stage.segments for stage in second.stages]


def test_the_closed_form_counts_the_same_arithmetic_and_no_more_bytes(
    device: Device, operators: list[Operator]
) -> None:
    for op in operators:
        priced, kernel = device.roofline(op), device.kernel(op)
        assert not isinstance(priced, Infeasible)
        assert not isinstance(kernel, Infeasible)
        assert priced.time_s == max(priced.terms.values()) > 0
        assert set(priced.terms) <= set(BOUNDS)
        for event, units in priced.events.items():
            if units and event.startswith("tensor:") and event not in kernel.events:
                # a kernel of few rows may leave its products to the lanes
                lanes = units + priced.events.get("vector", 0)
                assert kernel.events["vector"] >= lanes * (1 - 1e-12), event
            elif units and event not in ("register", "shared"):
                assert kernel.events[event] >= units * (1 - 1e-12), event


def test_figures_of_the_closed_form_have_sources(device: Device) -> None:
    assert device.status(device.roofline_constants) in ("datasheet", "measured", "derived", "assumed")
