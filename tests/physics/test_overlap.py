"""Real kernels that run beside each other: never faster than their common demand or their critical path."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from accelsim.engine.runner import Runner
from accelsim.mapping.flows import kernel_time_s
from accelsim.mapping.kernel import Kernel, Plan, Segment, Stage
from accelsim.units import PS_PER_S
from tests.mapping.operators import Mapped
from tests.physics.random_chips import gpu

ON = Mapped(gpu("h100-sxm"))
CONVERTED = Mapped(gpu("h100-sxm"), "bf16", "mxfp4")
sizes = st.integers(1, 3000)
kernels = st.one_of(
    st.builds(ON.matmul, sizes, sizes, sizes),
    st.builds(CONVERTED.matmul, sizes, sizes, sizes),
    st.builds(
        lambda q, past: ON.kernel("attention", query=q, kv=q + past, heads=8, kv_heads=2, head_dim=64), sizes, sizes
    ),
    st.builds(lambda rows, columns: ON.kernel("softmax", rows=rows, columns=columns), sizes, sizes),
)


@given(st.lists(kernels, min_size=1, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_overlapping_kernels_take_at_least_every_demand_and_their_longest_chain(
    drawn: list[Kernel], chained: list[bool]
) -> None:
    made: list[Kernel] = []
    for index, (kernel, follows) in enumerate(zip(drawn, chained, strict=False)):
        waits = (made[-1].name,) if made and follows else ()
        made.append(replace(kernel, name=f"k{index}", after=waits))
    resources = ON.mapper.resources
    runner = Runner(resources)
    (stage,) = runner.run(Plan("test", (Stage("only", 1, (Segment(tuple(made)),)),)))
    record = stage.records[0][1]
    ends: dict[str, float] = {}
    for kernel in made:
        ends[kernel.name] = max((ends[name] for name in kernel.after or ()), default=0.0) + kernel_time_s(
            kernel, resources
        )
        ran = record.kernels[kernel]
        assert ran.end_ps / PS_PER_S >= ends[kernel.name] - 1e-11
    assert record.duration_ps / PS_PER_S >= max(ends.values()) - 1e-11
    for name, resource in resources.items():
        total = sum(kernel.demand(name) for kernel in made)
        assert record.duration_ps / PS_PER_S >= total / resource.rate * (1 - 1e-9)
        # and every byte of every kernel was served
        assert sum(row.amount for row in record.rows if row.resource == name) == total


def test_two_memory_bound_kernels_gain_nothing_and_a_compute_bound_one_hides_a_copy() -> None:
    def together(*kernels: Kernel) -> float:
        named = [replace(kernel, name=f"k{i}", after=(), launch_s=0.0) for i, kernel in enumerate(kernels)]
        runner = Runner(ON.mapper.resources)
        runner.run(Plan("test", (Stage("only", 1, (Segment(tuple(named)),)),)))
        return runner.now_ps / PS_PER_S

    stream, product = ON.kernel("add", elements=10**8), ON.matmul(8192, 8192, 2048)
    assert together(stream, stream) > 1.98 * together(stream)
    assert together(stream, product) < 0.95 * (together(stream) + together(product))
