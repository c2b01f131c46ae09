"""HBM-PIM against SAITPublic/PIMSimulator at b464dde: every count to the cycle, with refresh and without."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.timing.hbm_pim import kernel, stream
from accelsim.timing.hbm_pim.channel import Channel
from accelsim.timing.hbm_pim.controller_kernels import ACT, PRE, READ, REF, WRITE
from accelsim.timing.hbm_pim.rules import rules_of
from tests.timing.hbm_pim_cases import PART, RULES, SHARED, TYPED, cases

COUNTS = list(cases(TYPED))
SMALL = [case for case in COUNTS if case.cycles < 60_000]


def test_the_table_has_every_kind_of_row():
    assert {case.device for case in COUNTS} == {"PIM", "plain", "readout"}
    assert {case.kind for case in COUNTS} == {"GEMV", "GEMVTREE", "ADD", "MUL", "RELU"}
    assert {case.channels for case in COUNTS} == {1, 4, 16, 64}


def test_every_count_is_met_to_the_cycle():
    off = [(case, case.ours()) for case in COUNTS if case.device != "plain" and case.ours() != case.cycles]
    assert not off


def test_plain_hbm2_streams_are_met_to_the_cycle():
    off = [(case, case.ours()) for case in SMALL if case.device == "plain" and case.ours() != case.cycles]
    assert not off


@pytest.mark.long
def test_long_plain_streams_are_met_to_the_cycle():
    off = [(case, case.ours()) for case in COUNTS if case.device == "plain" and case.ours() != case.cycles]
    assert not off


@pytest.mark.skipif(not SHARED.exists(), reason="the folder of references is not there")
def test_the_references_rows_are_the_typed_ones():
    assert set(cases(SHARED)) <= set(COUNTS)


def test_the_cycle_by_cycle_controller_meets_the_counts_too():
    short = [case for case in COUNTS if case.device == "PIM" and case.cycles < 3000]
    assert len(short) > 20
    assert [case for case in short if case.ours("exact") != case.cycles] == []


def test_one_pseudo_channel_takes_what_sixty_four_take():
    by_work: dict[tuple[object, ...], set[int]] = {}
    for case in COUNTS:
        if case.device == "PIM":
            tiles = -(-case.outputs // (64 * case.channels)) if case.kind.startswith("GEMV") else None
            work = (case.kind, tiles or case.outputs / case.channels, -(-case.inputs // 128), case.batch)
            by_work.setdefault(work, set()).add(case.cycles)
    assert all(len(found) == 1 for found in by_work.values())
    assert len(by_work) < sum(case.device == "PIM" for case in COUNTS)  # some work is there on several numbers of them


gemvs = st.builds(
    stream.gemv,
    st.just(PART),
    outputs=st.integers(1, 300),
    inputs=st.integers(1, 1500),
    batch=st.integers(1, 3),
    tree=st.booleans(),
    apart=st.booleans(),
)
vectors = st.builds(
    stream.elementwise,
    st.just(PART),
    st.sampled_from(["add", "mul", "relu", "bn"]),
    st.integers(0, 30),
    rows_apart=st.sampled_from([None, 128]),
)


@given(
    made=st.one_of(gemvs, vectors),
    refresh=st.booleans(),
    window=st.booleans(),
    phase=st.integers(1, 3899),
)
@settings(max_examples=40)
def test_runs_of_commands_end_in_the_cycle_of_the_controller(made, refresh, window, phase):
    """Any kernel, begun at any distance from a refresh: cycles, commands and the state that is left."""
    rules = rules_of(PART, refresh=refresh, window=window)
    exact, runs = Channel.fresh(rules), Channel.fresh(rules)
    if refresh:
        for channel in (exact, runs):
            channel.serve([], rules, until=phase)
    by_cycle = kernel.serve(exact, made, rules, "exact")
    by_run = kernel.serve(runs, made, rules, "runs")
    assert by_run == by_cycle
    assert runs.state == exact.state
    assert runs.banks[0] == exact.banks[0]


@given(made=gemvs)
@settings(max_examples=5)
def test_compiled_and_plain_python_agree(made):
    accesses = made.accesses()
    plain, compiled = Channel.fresh(RULES), Channel.fresh(RULES)
    assert plain.serve(accesses, RULES, compiled=False) == compiled.serve(accesses, RULES, compiled=True)
    assert plain == compiled
    runs = [run[:6] for run in made.body]
    first, second = Channel.fresh(RULES), Channel.fresh(RULES)
    assert first.serve_runs(runs, RULES, compiled=False) == second.serve_runs(runs, RULES, compiled=True)
    assert first == second


def test_the_timeline_of_a_small_gemv():
    """As in that program's log, which stamps commands when they reach the DRAM, and PIM's own a cycle after that."""
    made = stream.gemv(PART, 64, 1024, 1)
    done = kernel.serve(Channel.fresh(RULES), made, RULES, log=True)
    assert done.cycles == 3662
    assert done.counts[:3] == (544, 81, 65)
    at = {
        command: [x.cycle + 1 for x in done.issued if x.command == command] for command in (READ, WRITE, ACT, PRE, REF)
    }
    assert at[ACT][0] == 2
    assert [x.cycle + 1 for x in done.issued if x.row == 0x17FF and x.command == ACT][-1] == 107
    broadcast = [x.cycle + 2 for x in done.issued if x.command == WRITE and x.row == 0x3FFF and x.column >= 8]
    assert broadcast[:8] == list(range(172, 204, 4))
    macs = [x.cycle + 2 for x in done.issued if x.command == READ and x.row < 0x1000]
    assert len(macs) == 512
    assert (macs[0], macs[31], macs[32]) == (222, 346, 377)
    assert at[REF] == [1981]
    assert min(x for x in at[ACT] if x > 1981) == 2331


def test_refresh_costs_what_it_takes_and_can_be_switched_off():
    made = stream.gemv(PART, 64, 1024, 1)
    off = kernel.serve(Channel.fresh(RULES), made, rules_of(PART, refresh=False))
    assert off.counts[REF] == 0
    assert 3662 - 365 <= off.cycles <= 3662 - 337


def test_the_activation_window_costs_cycles_when_banks_are_parked():
    made = stream.gemv(PART, 64, 128, 1)
    windowed = rules_of(PART, window=True)
    assert windowed.window == PART.timing.nFAW
    tight = rules_of(PART.with_({"timing.nFAW": 40}), window=True)
    free, slow = (kernel.serve(Channel.fresh(x), made, x).cycles for x in (RULES, tight))
    assert slow > free == 750
