"""The GPU as a device: its resources in rates, what events cost, and how far figures can be trusted."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.devices.families import device_for
from accelsim.devices.gpu import Gpu
from accelsim.errors import AccelsimError
from accelsim.mapping.gpu import resources as names
from accelsim.spec.device import GpuChip
from tests.physics.random_chips import gpu

BITS = {"bf16": 16.0}


def test_rates_of_the_resources_are_those_of_all_units_together(tiny_chip: GpuChip) -> None:
    found = names.resources(tiny_chip)
    # 4 SMs at 1 GHz
    assert found[names.TENSOR].rate == found[names.VECTOR].rate == found[names.SPECIAL].rate == 4e9
    assert found[names.REGISTER].rate == 4e9 * 2048
    assert found[names.SHARED].rate == 4e9 * 128
    assert found[names.L2_PORT].rate == 4e9 * 64
    assert found[names.L2].rate == 1e9 * 256, "the cache is one, whatever the number of SMs"
    assert found[names.MEMORY].rate == 100e9
    assert {r.bound for r in found.values()} <= {"compute", "vector", "sram", "cache", "memory"}
    assert all(name == resource.name for name, resource in found.items())
    assert {r.name for r in found.values() if r.unit == "clk"} == {names.TENSOR, names.VECTOR, names.SPECIAL}


@pytest.mark.parametrize(
    ("event", "component", "joules"),
    [
        ("tensor:bf16xbf16:fp32", "tensor", 0.5e-12),
        ("tensor:fp8_e4m3xfp8_e4m3:fp32", "tensor", 0.25e-12),
        ("vector", "vector", 1e-12),
        ("special", "vector", 4e-12),
    ],
)
def test_an_event_costs_what_the_description_says(
    tiny_chip: GpuChip, event: str, component: str, joules: float
) -> None:
    cost = Gpu(tiny_chip, BITS).event_cost(event)
    assert cost.component == component
    assert cost.joules == pytest.approx(joules)


@pytest.mark.parametrize("level", ["register", "shared", "l2", "memory"])
def test_bytes_of_a_level_cost_that_level(tiny_chip: GpuChip, level: str) -> None:
    cost = Gpu(tiny_chip, BITS).event_cost(level)
    assert cost.component == level
    assert cost.resource.endswith(level)
    assert cost.joules == getattr(tiny_chip.energy, f"{level}_j_per_byte")


def test_the_status_is_the_weakest_of_the_figures_used() -> None:
    device = Gpu(gpu("h100-sxm"), BITS)
    assert device.status(["memory.bandwidth"]) == "datasheet"
    assert device.status(["memory.bandwidth", "clock.sm.frequency"]) == "derived"
    assert device.status(["memory.bandwidth", "clock.sm.frequency", "l2.bandwidth"]) == "assumed"


def test_a_constant_tells_its_source_and_a_table_all_its_rows() -> None:
    device = Gpu(gpu("h100-sxm"), BITS)
    ((path, source, status),) = device.constant("sm.count")
    assert path == "sm.count"
    assert "whitepaper" in source
    assert status == "datasheet"
    assert len(device.constant("peak")) == len(gpu("h100-sxm").peak)


def test_every_constant_that_a_kernel_names_exists_and_has_a_source() -> None:
    from tests.mapping.operators import Mapped

    on = Mapped(gpu("h100-sxm"), "bf16", "mxfp4")
    device = Gpu(gpu("h100-sxm"), BITS)
    kernels = [
        on.matmul(16, 512, 8192),
        on.kernel("attention", query=1, kv=4096, heads=8, kv_heads=1, head_dim=128),
        on.kernel("softmax", rows=8, columns=100),
    ]
    for kernel in kernels:
        for path in kernel.constants:
            for _, source, status in device.constant(path):
                assert source
                assert status in ("datasheet", "measured", "derived", "assumed")


def test_a_description_without_figures_for_a_gpu_has_no_device() -> None:
    with pytest.raises(AccelsimError, match="no device"):
        device_for(catalog.chip("llm-viewer-h100"), BITS)
