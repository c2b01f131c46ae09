"""Where layers lie: the published placements, what does not fit, and what streams."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim import catalog
from accelsim.mapping.ipu.place import Place, Sizes, place, smallest
from accelsim.spec.infeasible import Infeasible
from accelsim.spec.ipu import IpuPart, IpuSystem

MB = 1e6


def made(name: str = "ipu-c600-8", **changes: Any) -> tuple[IpuSystem, IpuPart]:
    system = catalog.chip(name, {key.replace("__", "."): value for key, value in changes.items()} or None)
    assert isinstance(system, IpuSystem)
    part = catalog.part(system)
    assert isinstance(part, IpuPart)
    return system, part


def placed(sizes: Sizes, *where: Any) -> Place:
    found = place(sizes, *where)
    assert isinstance(found, Place)
    return found


GPT2_XL = Sizes(48, 61.5 * MB, 1.7 * MB, 164 * MB)
CHATGLM = Sizes(28, 403 * MB, 4.2 * MB, 1069 * MB)


def test_gpt2_xl_lies_as_published() -> None:
    assert placed(GPT2_XL, *made()) == Place(1, (0, 6, 7, 7, 7, 7, 7, 7), 0.0, (0.0,) * 8)


def test_chatglm_has_a_layer_per_chip_and_four_chips_for_embedding_and_head() -> None:
    found = placed(CHATGLM, *made("ipu-mk2-32"))
    assert (found.heads, found.layers) == (4, (0,) * 4 + (1,) * 28)


def test_one_chip_has_everything() -> None:
    small = Sizes(12, 14 * MB, 1 * MB, 80 * MB)
    assert placed(small, *made(count=1)) == Place(1, (12,), 0.0, (0.0,))


def test_chips_for_the_embedding_can_be_set_apart() -> None:
    assert placed(GPT2_XL, *made(embedding_groups=3)).layers == (0, 0, 0, 9, 9, 10, 10, 10)


def test_layers_move_in_beside_the_embedding_where_they_must() -> None:
    tight = Sizes(15, 300 * MB, 0.0, 20 * MB)  # two on a chip: the seven others have room for 14
    assert placed(tight, *made()).layers == (2, 2, 2, 2, 2, 2, 2, 1)


def test_what_does_not_fit_names_the_chips_and_the_bits_that_would_do() -> None:
    found = place(CHATGLM, *made())
    assert isinstance(found, Infeasible)
    assert found.kind == "capacity"
    assert found.demand == pytest.approx(28 * 407.2 * MB + 1069 * MB)
    assert found.levers[0] == "count = 30 chips instead of 8"
    assert found.levers[1].startswith("weights of at most 0.4")


def test_a_layer_larger_than_a_chip_asks_for_tensor_parallelism() -> None:
    found = place(Sizes(4, 2000 * MB, 0.0, 10 * MB), *made())
    assert isinstance(found, Infeasible)
    assert found.levers[0] == "tensor_parallel = 4 and count = 20 chips instead of 8, since one piece takes 2.00 GB"
    fitting = made(tensor_parallel=4, count=20)
    assert isinstance(place(Sizes(4, 2000 * MB, 0.0, 10 * MB), *fitting), Place)


def test_a_machine_with_memory_beside_its_chips_streams_what_exceeds_them() -> None:
    system, part = made("ipu-mk2-8")
    found = placed(CHATGLM, system, part)
    room = part.usable_bytes
    assert found.streamed_head == pytest.approx((1069 * MB - room) / (1069 * MB))
    assert found.streamed == (0.0, *[pytest.approx((4 * 407.2 * MB - room) / (4 * 403 * MB))] * 7)


def test_nothing_streams_beyond_the_memory_beside_the_chips() -> None:
    assert isinstance(place(Sizes(80, 1.7e9, 0.0, 1e9), *made("ipu-mk2-8", streaming__capacity="1 GB")), Infeasible)


def test_the_smallest_system_holds_everything_in_its_tiles_and_one_chip_less_does_not() -> None:
    system, part = made("ipu-c600-8", topology="ring")
    found = smallest(CHATGLM, system, part)
    assert isinstance(found, IpuSystem)
    assert isinstance(place(CHATGLM, system.with_(count=found.count - 1), part), Infeasible)
    assert found.count == 30
    ladder = smallest(CHATGLM, *made("ipu-mk2-8"))
    assert isinstance(ladder, IpuSystem)
    assert ladder.count == 30


def test_no_system_is_large_enough_for_a_layer_that_no_chip_holds() -> None:
    assert isinstance(smallest(Sizes(4, 2000 * MB, 0.0, 10 * MB), *made()), Infeasible)
