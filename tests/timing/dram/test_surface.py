"""The bandwidth surface: within its samples, kept by the hash of the description."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.timing.dram import surface as module
from accelsim.timing.dram.controller import serve
from accelsim.timing.dram.pattern import PATTERNS, stream
from accelsim.timing.dram.surface import IN_FLIGHT, digest, surface

DDR4 = catalog.dram("ddr4")


@given(st.sampled_from(PATTERNS), st.floats(1, 1e9), st.floats(0, 1))
def test_no_point_exceeds_what_was_sampled(pattern, in_flight, reads):
    made = surface(DDR4)
    highest = max(max(row) for row in made.samples[pattern])
    assert 0 < made.bandwidth_bytes_per_s(pattern, in_flight, reads) <= highest < made.peak_bytes_per_s


def test_samples_are_what_the_controllers_do():
    made = surface(DDR4)
    addresses, writes = stream(DDR4, "random", 2560)
    direct = serve(DDR4, addresses, writes, in_flight=64).bandwidth_bytes_per_s
    assert made.bandwidth_bytes_per_s("random", 64 * 64) == pytest.approx(direct)


def test_more_in_flight_and_less_randomness_are_faster():
    made = surface(DDR4)
    for pattern in PATTERNS:
        rates = [made.bandwidth_bytes_per_s(pattern, n * 64) for n in IN_FLIGHT]
        assert rates == sorted(rates)
    assert made.bandwidth_bytes_per_s("random", 1e6) < made.bandwidth_bytes_per_s("sequential", 1e6)
    assert made.bandwidth_bytes_per_s("sequential", 1e6, 0.5) < made.bandwidth_bytes_per_s("sequential", 1e6)


@pytest.mark.parametrize("name", ["nFAW", "nREFI"])
def test_a_field_that_is_removed_changes_the_surface(name):
    without = DDR4.with_({f"timing.0.cycles.{name}": 0})
    assert digest(without) != digest(DDR4)
    assert surface(without).bandwidth_bytes_per_s("random", 1e6) > surface(DDR4).bandwidth_bytes_per_s("random", 1e6)


def test_it_is_kept_by_the_hash_of_the_description(tmp_path, monkeypatch):
    monkeypatch.setenv(module.CACHE, str(tmp_path / "kept"))
    surface.cache_clear()
    first = surface(DDR4)
    (file,) = (tmp_path / "kept").iterdir()
    assert file.name == f"dram-{digest(DDR4)}.json"
    surface.cache_clear()
    monkeypatch.setattr(module, "_sample", lambda dram: pytest.fail("sampled twice"))
    assert surface(DDR4) == first
    monkeypatch.undo()
    monkeypatch.setenv(module.CACHE, str(tmp_path / "kept"))
    file.write_text("{", encoding="utf-8")
    surface.cache_clear()
    assert surface(DDR4) == first


def test_bad_points_are_named():
    made = surface(DDR4)
    for arguments, problem in (
        (("serial", 64), "unknown pattern"), (("random", 0), "more than 0"), (("random", 64, 2), "0 to 1"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=problem):
            made.bandwidth_bytes_per_s(*arguments)
