"""Records of FPGA overlays and systems of them: what they refuse, and what follows from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import DescriptionError, UnknownNameError
from accelsim.evaluate.resolve import formats_of
from accelsim.spec.fpga import FpgaPart, FpgaSystem
from accelsim.units import parse

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("dfx-u280", "flightllm-u280", "flightllm-vhk158")


def raw() -> dict[str, Any]:
    found = catalog.chip("flightllm-u280")
    assert isinstance(found, FpgaPart)
    return found.raw["mixture"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_opens_with_prose_and_its_bandwidth_is_the_product(name: str) -> None:
    text = (ROOT / "arch" / "fpga" / f"{name}.toml").read_text("utf-8")
    found: Any = catalog.chip(name)
    assert found.name == name
    for promise in ("# Modelled:", "# Left out:", "# Published peak:", "# Published bandwidth:", "# Check:"):
        assert text.count(promise) == 1, promise
    line = re.search(r"Published bandwidth: (\d+) pseudo-channels x ([\d.]+ GB/s) = ([\d.]+ GB/s)", text)
    assert line is not None
    assert int(line[1]) * parse(line[2], "B/s") == pytest.approx(parse(line[3], "B/s"), rel=1e-9)
    assert found.hbm.bandwidth_bytes_per_s == parse(line[3], "B/s")


def test_the_published_peak_of_dfx_is_one_product_per_fetched_weight() -> None:
    part: Any = catalog.chip("dfx-u280")
    flops = 2 * part.matrix.d * part.matrix.l * part.clock.kernel.frequency_hz
    assert flops == 409.6e9
    assert 4 * flops == pytest.approx(1.64e12, rel=0.002)
    assert part.hbm.channels * part.hbm.port_bits / 8 * part.clock.kernel.frequency_hz == flops  # 2 B per weight


def test_shares_of_a_mixture_add_up_to_one() -> None:
    blocks = [{"n": 16, "share": 0.4}, {"n": 8, "share": 0.5}]
    with pytest.raises(DescriptionError, match=r"shares of blocks add up to 0\.9"):
        catalog.chip("flightllm-u280", {"mixture": [{**raw(), "blocks": blocks}]})


def test_a_block_keeps_no_more_than_it_has() -> None:
    with pytest.raises(DescriptionError, match="n = 32 of m = 16"):
        catalog.chip("flightllm-u280", {"mixture": [{**raw(), "blocks": [{"n": 32, "share": 1.0}]}]})


def test_a_mixture_is_a_format_of_its_part_only() -> None:
    flight, dfx = catalog.chip("flightllm-u280"), catalog.chip("dfx-u280")
    assert formats_of(flight, "flightllm_w3.5", None, None) == formats_of(flight, None, None, None)
    with pytest.raises(UnknownNameError):
        formats_of(dfx, "flightllm_w3.5", None, None)


@pytest.mark.parametrize(
    ("count", "topology", "links", "steps"),
    [(1, "ring", 0, 0), (2, "ring", 1, 1), (4, "ring", 2, 3), (4, "line", 2, 3), (4, "mesh", 3, 1), (1, "mesh", 0, 0)],
)
def test_links_and_steps_of_a_topology(count: int, topology: str, links: int, steps: int) -> None:
    system: Any = catalog.chip("dfx-u280-4", {"count": count, "topology": topology})
    assert isinstance(system, FpgaSystem)
    assert (system.links, system.steps) == (links, steps)


def test_keys_that_a_system_lacks_are_those_of_its_part() -> None:
    system: Any = catalog.chip("dfx-u280-4", {"matrix.d": 32, "matrix.l": 32, "count": 2})
    part: Any = catalog.part(system)
    assert (system.count, part.matrix.d, part.matrix.l) == (2, 32, 32)
