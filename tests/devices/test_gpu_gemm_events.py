"""GEMMs on the engine: alone they take the time of the closed form, together they share."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.engine.runner import Runner
from accelsim.evaluate.gemms import kernels
from accelsim.mapping.kernel import Plan, Segment, Stage
from accelsim.units import PS_PER_S
from tests.mapping.operators import Mapped
from tests.timing.test_gpu_gemm import GPUS, made


@pytest.mark.parametrize("name", GPUS)
def test_alone_on_an_idle_chip_events_take_the_time_of_the_closed_form(name: str) -> None:
    """Over a thousand shapes on all chips together."""
    on, closed = Mapped(made(name).chip, "fp16"), made(name)
    draw = np.random.default_rng(len(name))
    shapes = np.rint(2 ** draw.uniform(0, 14, (80, 3))).astype(int)
    runner = Runner(on.mapper.resources, fold=False)
    times = closed.price(*shapes.T).seconds
    for (m, n, k), expected in zip(shapes.tolist(), times, strict=True):
        segment = Segment((on.matmul(m, n, k),))
        (executed,) = runner.run(Plan("operator", (Stage("one", 1, (segment,)),)))
        assert executed.period_ps / PS_PER_S == pytest.approx(expected, rel=0.01), (m, n, k)


def test_two_streams_of_weights_started_together_take_twice_as_long() -> None:
    on = Mapped(kernels("h100-sxm").chip)
    first, second = (on.kernel("matmul", m=1, n=n, k=16_384) for n in (65_536, 65_552))
    alone = on.time_s(first)
    from dataclasses import replace

    both = (replace(first, name="a", after=()), replace(second, name="b", after=()))
    (executed,) = Runner(on.mapper.resources).run(Plan("x", (Stage("x", 1, (Segment(both),)),)))
    # a stream draws 0.85 of the peak, and two of them no more than the memory streams: 0.97
    assert 1.6 * alone < executed.period_ps / PS_PER_S < 2.01 * alone
