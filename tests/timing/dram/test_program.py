"""Programs command by command and with leaps end at the same cycle, in the same state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.errors import RequestError, UnknownNameError
from accelsim.spec import read
from accelsim.spec.dram import Dram
from accelsim.timing.dram.program import Run, execute, runs_of

NAMES = catalog.names("dram")


def with_mac():
    """HBM2 with an all-bank multiply-accumulate of four cycles, as processing-in-memory has it."""
    raw = catalog.dram("dramsim3-hbm2-8gb").raw
    raw["protocol"]["commands"].append({"name": "MACAB", "does": "compute", "level": "rank"})
    for latency, pre, post in (
        ("nCCDL + 2", "MACAB", "MACAB"), ("nRCDRD", "ACT", "MACAB"), ("nRTP", "MACAB", "PRE"),
        ("nRTP", "MACAB", "REF"), ("nCL", "MACAB", "WR"), ("nCCDL", "MACAB", "RD"), ("nCCDL", "RD", "MACAB"),
        ("nCWL + nBL + nWTRL", "WR", "MACAB"),
    ):  # fmt: skip
        raw["protocol"]["constraints"].append(
            {"level": "rank", "preceding": [pre], "following": [post], "latency": latency}
        )
    return read.validate(Dram, raw, origin="HBM2 with MACAB")


MAC = with_mac()


def same(dram, runs):
    one, two = execute(dram, runs, aggregated=False), execute(dram, runs)
    assert (one.cycles, one.last, one.commands) == (two.cycles, two.last, two.commands)
    assert one.energy.total == pytest.approx(two.energy.total, rel=1e-12)
    return one, two


@st.composite
def programs(draw):
    dram = MAC if draw(st.booleans()) else catalog.dram(draw(st.sampled_from(NAMES)))
    banks = dram.organization.all_banks // dram.organization.channels
    rows = st.integers(0, 3)
    kinds = ["RD", "WR", "RDA", "MACAB"] if dram is MAC else ["RD", "WR", "WRA"]
    item = st.tuples(st.sampled_from(kinds), st.integers(0, banks - 1), rows)
    runs = draw(
        st.lists(st.builds(Run, st.lists(item, min_size=1, max_size=6).map(tuple), st.integers(1, 300)), max_size=5)
    )
    every = draw(st.sampled_from([0, 700, 3900]))
    cycles = {f"timing.{dram.timing.name}.cycles.nREFI": every} if every == 0 or dram is MAC else {}
    return dram.with_(cycles | {"controller.refresh": "all_bank"} if every else cycles), runs


@given(programs())
def test_random_kernels_end_alike(case):
    dram, runs = case
    same(dram, [run for run in runs if run.repeat * len(run.pattern) <= 1200] or [Run((("RD", 0, 0),), 2)])


@st.composite
def streams(draw):
    dram = catalog.dram(draw(st.sampled_from(NAMES)))
    size = dram.organization.access_bytes
    parts = draw(
        st.lists(
            st.tuples(
                st.integers(0, 1 << 16), st.sampled_from([0, 1, 2, 3, 64, 1024]), st.integers(1, 200), st.booleans()
            ),
            min_size=1, max_size=5,
        )
    )  # fmt: skip
    places = [(start + np.arange(n) * stride) * size for start, stride, n, _ in parts]
    writes = [np.full(n, write) for _, _, n, write in parts]
    return dram, np.concatenate(places), np.concatenate(writes)


@given(streams())
def test_random_streams_end_alike(case):
    dram, places, writes = case
    runs = runs_of(dram, places, writes)
    assert sum(len(run.pattern) * run.repeat for run in runs) == len(places)
    one, _ = same(dram, runs)
    assert one.commands["RD"] == np.sum(~writes)
    assert one.commands["WR"] == np.sum(writes)


def test_a_stream_of_row_hits_is_few_events():
    dram = catalog.dram("ddr4").with_({"controller.refresh": "off"})
    one, two = same(dram, [Run((("RD", 0, 7),), 100_000)])
    assert one.events == 100_000
    assert two.events < 10
    cycles = dram.timing.cycles
    first = cycles["nRCDRD"]
    assert one.last == first + 99_999 * cycles["nCCDL"]


def test_an_all_bank_run_is_few_events_between_refreshes():
    one, two = same(MAC, [Run((("MACAB", 0, 3),), 50_000)])
    refreshes = one.commands["REF"]
    assert refreshes > 40
    assert one.commands["MACAB"] == 50_000
    assert one.commands["ACT"] == 16 * (refreshes + 1)
    assert two.events < 12 * (refreshes + 1)


def test_commands_in_order_beat_no_constraint():
    """Each cycle of a short program, by hand, on DRAMsim3's HBM2."""
    dram = catalog.dram("dramsim3-hbm2-8gb")
    last = execute(dram, [Run((("RD", 0, 1), ("RD", 0, 2)))]).last
    # ACT 0, RD 14, PRE 34 (tRAS), ACT 48 (tRC), RD 62
    assert last == 62
    # ACT 0, RD 14, ACT of another group 14 (its own bus), RD 28
    assert execute(dram, [Run((("RD", 0, 1), ("RD", 4, 1)))]).last == 28
    assert execute(dram, [Run((("WR", 0, 1), ("RD", 0, 1)))]).last == 14 + 4 + 2 + 8


@pytest.mark.parametrize(
    ("run", "error", "problem"),
    [
        (Run((("RDX", 0, 0),)), UnknownNameError, "no command named 'RDX'"),
        (Run((("RD", 16, 0),)), RequestError, "bank 16: legal is 0 to 15"),
        (Run((("RD", 0, 1 << 20),)), RequestError, "row 1048576: legal is 0 to 32767"),
        (Run((("RD", 0, 0),), 0), RequestError, "at least one round"),
        (Run(()), RequestError, "needs a pattern"),
    ],
)
def test_bad_programs_are_named(run, error, problem):
    with pytest.raises(error, match=problem):
        execute(catalog.dram("dramsim3-hbm2-8gb"), [run])
