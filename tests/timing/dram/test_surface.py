"""The bandwidth surface: within its samples, kept by the hash of the description."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.timing.dram import kept
from accelsim.timing.dram import surface as module
from accelsim.timing.dram.controller import serve
from accelsim.timing.dram.pattern import PATTERNS, stream
from accelsim.timing.dram.surface import IN_FLIGHT, digest, surface

DDR4 = catalog.dram("ddr4")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory, monkeypatch):
    """Nothing of an earlier run is found, and nothing is left in the user's folders."""
    monkeypatch.setenv(kept.CACHE, str(tmp_path_factory.getbasetemp() / "surfaces"))


@given(st.sampled_from(PATTERNS), st.floats(1, 1e9), st.floats(0, 1))
def test_no_point_exceeds_what_was_sampled(pattern, in_flight, reads):
    made = surface(DDR4)
    highest = max(max(row) for row in made.samples[pattern])
    assert 0 < made.bandwidth_bytes_per_s(pattern, in_flight, reads) <= highest < made.peak_bytes_per_s


def test_samples_are_what_the_controllers_do():
    made = surface(DDR4)
    for pattern in PATTERNS:
        addresses, writes = stream(DDR4, pattern, 12_800, 0.75)
        direct = serve(DDR4, addresses, writes, in_flight=64).bandwidth_bytes_per_s
        assert made.bandwidth_bytes_per_s(pattern, 64 * 64, 0.75) == pytest.approx(direct, rel=0.02)


@pytest.mark.parametrize("name", ["ddr4", "hbm3", "gddr6"])
def test_more_in_flight_and_less_randomness_are_faster(name):
    made = surface(catalog.dram(name))
    for pattern in PATTERNS:
        rates = [made.bandwidth_bytes_per_s(pattern, n * made.bytes_in_flight[0]) for n in IN_FLIGHT]
        assert rates == sorted(rates)
    assert made.bandwidth_bytes_per_s("random", 1e6) < made.bandwidth_bytes_per_s("sequential", 1e6)
    assert made.bandwidth_bytes_per_s("sequential", 1e6, 0.5) < made.bandwidth_bytes_per_s("sequential", 1e6)


def test_below_one_read_per_channel_the_latency_rules():
    made = surface(catalog.dram("hbm3"))
    least = made.bytes_in_flight[0]
    one = made.bandwidth_bytes_per_s("sequential", least)
    assert made.bandwidth_bytes_per_s("sequential", least / 16) == pytest.approx(one / 16)


def test_all_channels_are_as_many_times_one_channel():
    whole = catalog.dram("hbm3")
    alone = whole.with_({"organization.0.channels": 1})
    for pattern in ("sequential", "random"):
        one = surface(alone).bandwidth_bytes_per_s(pattern, 4096.0, 0.9)
        assert surface(whole).bandwidth_bytes_per_s(pattern, 16 * 4096.0, 0.9) == pytest.approx(16 * one)


@pytest.mark.parametrize("name", ["nFAW", "nREFI"])
def test_a_field_that_is_removed_changes_the_surface(name):
    without = DDR4.with_({f"timing.0.cycles.{name}": 0})
    assert digest(without) != digest(DDR4)
    assert surface(without).bandwidth_bytes_per_s("random", 1e6) > surface(DDR4).bandwidth_bytes_per_s("random", 1e6)


def test_sources_and_energy_do_not_count_in_the_hash():
    other = DDR4.with_({"source": "elsewhere", "controller.source": "elsewhere", "energy.currents.VDD": "1.3 V"})
    assert digest(other) == digest(DDR4)
    assert digest(DDR4.with_({"controller.command_queue": 9})) != digest(DDR4)


def test_it_is_kept_by_the_hash_of_the_description(tmp_path, monkeypatch):
    monkeypatch.setenv(kept.CACHE, str(tmp_path / "kept"))
    surface.cache_clear()
    first = surface(DDR4, ("random",))
    (file,) = (tmp_path / "kept").iterdir()
    assert file.name.startswith(f"dram-{digest(DDR4)}-random-")
    surface.cache_clear()
    monkeypatch.setattr(module, "sampled", lambda dram, pattern: pytest.fail("sampled twice"))
    assert surface(DDR4, ("random",)) == first
    monkeypatch.undo()
    monkeypatch.setenv(kept.CACHE, str(tmp_path / "kept"))
    for damaged in ("{", "[[1]]", "[]", "null"):
        file.write_text(damaged, encoding="utf-8")
        surface.cache_clear()
        assert surface(DDR4, ("random",)) == first
    monkeypatch.setenv(kept.CACHE, kept.OFF)
    surface.cache_clear()
    monkeypatch.setattr(module, "sampled", lambda dram, pattern: [[1.0] * 6] * 6)
    assert surface(DDR4, ("random",)) != first


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(kept.CACHE, str(tmp_path / "file"))
    monkeypatch.setattr(module, "sampled", lambda dram, pattern: [[1.0] * 6] * 6)
    surface.cache_clear()
    assert surface(DDR4, ("random",)).bandwidth_bytes_per_s("random", 1e6) == 1.0
    surface.cache_clear()


def test_bad_points_are_named():
    made = surface(DDR4)
    for arguments, problem in (
        (("serial", 64), "unknown pattern"), (("random", 0), "more than 0"), (("random", 64, 2), "0 to 1"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=problem):
            made.bandwidth_bytes_per_s(*arguments)
