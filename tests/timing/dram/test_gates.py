"""Every constraint of every sheet is tight: its cycle is legal, the one before is not."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim import catalog
from accelsim.errors import RequestError, UnknownNameError
from accelsim.spec.dram import LEVELS
from accelsim.timing.dram.channel import Memory
from accelsim.timing.dram.table import in_force, wires

NAMES = catalog.names("dram")
START = 10_000


def pair(dram, level, sibling):
    """Two banks that share a node of a level and as little below as they can (or are siblings); None if none do."""
    shared = wires(dram).path == wires(dram).path[0]
    at = LEVELS.index(level)
    if sibling:
        fit = ~shared[:, at] & (shared[:, at - 1] if at else True)
    else:
        fit = shared[:, at]
    found = np.flatnonzero(fit)
    return (0, int(found[np.argmin(shared[found].sum(axis=1))])) if len(found) else None


def expected(dram, preceding, following, one, other, count):
    """Cycles that the sheet demands after `count` commands issued at once, worked out row by row."""
    path, demands = wires(dram).path, []
    for constraint, cycles in in_force(dram):
        at = LEVELS.index(constraint.level)
        same = path[one][at] == path[other][at]
        sibling = not same and (at == 0 or path[one][at - 1] == path[other][at - 1])
        holds = sibling if constraint.sibling else same
        named = preceding in constraint.preceding and following in constraint.following
        if named and holds and constraint.window <= count:
            demands.append(cycles)
    return max(demands)


@pytest.mark.parametrize("name", NAMES)
def test_every_constraint_is_tight(name):
    dram = catalog.dram(name)
    checked = 0
    for constraint, cycles in in_force(dram):
        found = pair(dram, constraint.level, constraint.sibling)
        if found is None:
            continue
        for preceding in constraint.preceding:
            for following in constraint.following:
                memory = Memory(dram)
                note(memory, preceding, found[0], START, constraint.window)
                legal = memory.earliest(following, found[1])
                wanted = expected(dram, preceding, following, *found, constraint.window)
                assert legal == START + wanted, (str(constraint), following)
                assert wanted >= cycles
                checked += 1
    assert checked > 40


def note(memory, command, bank, at, times):
    """Enter commands into the table without regard to rows."""
    from accelsim.timing.dram import table_kernels as kernels

    for _ in range(times):
        kernels.note(memory._wires, memory._banks, memory.dram.protocol.index(command), bank, at)


@pytest.mark.parametrize("name", NAMES)
def test_no_constraint_is_without_effect(name):
    """Raising any latency by a cycle is seen by some pair of commands, unless a longer row covers it."""
    dram = catalog.dram(name)
    covered = []
    for constraint, cycles in in_force(dram):
        found = pair(dram, constraint.level, constraint.sibling)
        if found is None:
            continue
        bound = [
            expected(dram, p, f, *found, constraint.window) == cycles
            for p in constraint.preceding
            for f in constraint.following
        ]
        if not any(bound):
            covered.append(str(constraint))
    # a burst occupies the bus no longer than the column spacing, and a row cycle covers what is within it
    assert {text.partition(" ")[0] for text in covered} <= {"nBL", "nRREFD", "nRRDS"}, covered


@pytest.mark.parametrize("name", NAMES)
def test_a_command_one_cycle_early_is_refused_and_named(name):
    dram = catalog.dram(name)
    memory = Memory(dram)
    cycles = dram.timing.cycles
    memory.issue("ACT", 0, at=START, row=5)
    rcd = memory.earliest("RD", 0) - START
    with pytest.raises(RequestError, match=rf"RD at cycle {START + rcd - 1}: legal from {START + rcd} on, by .*nRCD"):
        memory.issue("RD", 0, at=START + rcd - 1, row=5)
    assert memory.issue("RD", 0, at=START + rcd, row=5) == START + rcd
    with pytest.raises(RequestError, match=r"legal from .* by nRAS"):
        memory.issue("PRE", 0, at=START + cycles["nRAS"] - 1)
    assert memory.issue("PRE", 0) >= START + cycles["nRAS"]
    assert memory.open_row(0) is None


def test_the_fifth_activation_waits_for_the_window():
    dram = catalog.dram("dramsim3-hbm2-8gb")
    memory = Memory(dram)
    banks = [memory.bank(bank_group=group) for group in range(4)]
    times = [memory.issue("ACT", bank) for bank in banks]
    assert times == [0, 4, 8, 12]
    fifth = memory.bank(bank_group=0, bank=1)
    assert memory.earliest("ACT", fifth) == 30
    with pytest.raises(RequestError, match=r"legal from 30 on, by nFAW .*every 4th"):
        memory.issue("ACT", fifth, at=29)
    without = dram.with_({"timing.0.cycles.nFAW": 0})
    memory = Memory(without)
    assert [memory.issue("ACT", bank) for bank in (*banks, fifth)] == [0, 4, 8, 12, 16]


def test_rows_must_be_in_the_right_state():
    memory = Memory(catalog.dram("ddr4"))
    with pytest.raises(RequestError, match="RD to bank 3 needs row 7 open in bank 3"):
        memory.issue("RD", 3, row=7)
    memory.issue("ACT", 3, row=7)
    for command, problem in (("ACT", "needs bank 3 closed"), ("REF", "REF to bank 0 needs bank 3 closed")):
        with pytest.raises(RequestError, match=problem):
            memory.issue(command, 3 if command == "ACT" else 0)
    memory.issue("PREA", 0)
    assert memory.open_row(3) is None
    memory.issue("REF", 0)
    with pytest.raises(UnknownNameError, match="no command named 'RDX'"):
        memory.issue("RDX", 0)
    with pytest.raises(RequestError, match="bank = 4: legal is 0 to 3"):
        memory.bank(bank=4)


def test_channels_know_nothing_of_each_other():
    memory = Memory(catalog.dram("hbm3"))
    memory.issue("ACT", memory.bank(channel=0), at=100)
    other = memory.bank(channel=1)
    assert all(memory.earliest(command.name, other) == 0 for command in memory.dram.protocol.commands)
    assert np.all(memory._wires.path[other] != memory._wires.path[0])
