"""Kernels that start anywhere between two refreshes: the quick way gives the cycles of the controller, one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.mapping.pim import aim
from accelsim.numerics import jit
from accelsim.timing.aim import commands
from accelsim.timing.aim import phased as aim_phased
from accelsim.timing.aim import placing_kernels as placing
from accelsim.timing.aim.controller import END
from accelsim.timing.aim.machine import run
from accelsim.timing.aim.program import Instruction, Loop, Program
from accelsim.timing.hbm_pim import phased, stream
from accelsim.timing.hbm_pim.channel import Channel
from accelsim.timing.hbm_pim.controller_kernels import DUE_0, DUE_1, TURN
from accelsim.timing.hbm_pim.rules import Rules, rules_of

HBM, AIM = catalog.chip("hbm-pim"), catalog.chip("gddr6-aim")
COMPILED = pytest.param(True, marks=pytest.mark.skipif(not jit.enabled(), reason="ACCELSIM_NUMBA=0"))

hbm_kernels = st.one_of(
    st.builds(
        lambda outputs, inputs, batch, tree: stream.gemv(HBM, outputs, inputs, batch, tree=tree),
        st.integers(1, 130), st.integers(1, 1500), st.integers(1, 2), st.booleans(),
    ),
    st.builds(
        lambda kind, tiles: stream.elementwise(HBM, kind, tiles),
        st.sampled_from(["add", "mul", "relu", "bn"]), st.integers(1, 20),
    ),
)  # fmt: skip


def one_by_one(made: stream.Kernel, reads: tuple, rules: Rules, since: int) -> tuple[int, int]:
    channel = Channel.fresh(rules, since)
    channel.serve(made.accesses(), rules, compiled=False)
    left = channel.cycle
    channel.serve(reads, rules, compiled=False)
    return left, channel.cycle - left


@pytest.mark.parametrize("compiled", [False, COMPILED])
@given(
    made=hbm_kernels,
    groups=st.integers(0, 20),
    refresh=st.booleans(),
    window=st.booleans(),
    starts=st.lists(st.integers(0, 3899), min_size=1, max_size=3),
)
@settings(max_examples=15)
def test_hbm_pim_from_any_phase(
    compiled: bool, made: stream.Kernel, groups: int, refresh: bool, window: bool, starts: list[int]
) -> None:
    rules = rules_of(HBM, refresh=refresh, window=window)
    reads = tuple(stream.read_results(HBM, groups, 0))
    quick = phased.Phased(made, reads, rules, compiled=compiled)
    for since in (*starts, *starts):
        assert quick.cycles(since) == one_by_one(made, reads, rules, since)


@pytest.mark.parametrize("compiled", [False, COMPILED])
@pytest.mark.parametrize("interval", [1201, 1950])
def test_hbm_pim_around_every_edge_of_the_interval(compiled: bool, interval: int) -> None:
    """Short intervals, odd ones too, so that refreshes fall into the opening, the closing and the reads as well."""
    rules = rules_of(HBM.with_({"timing.nREFI": interval}), window=True)
    made, reads = stream.gemv(HBM, 64, 128, 1), tuple(stream.read_results(HBM, 9, 0))
    quick = phased.Phased(made, reads, rules, compiled=compiled)
    edges = [share + step for share in (0, interval // 2, interval) for step in (-2, -1, 0, 1, 2)]
    for since in sorted({(edge - back) % interval for edge in edges for back in (0, 60, 400, 740, 800)}):
        assert quick.cycles(since) == one_by_one(made, reads, rules, since), since


def test_ranks_refresh_where_absolute_time_puts_them() -> None:
    def dues(since: int) -> tuple[int, int, int]:
        state = Channel.fresh(rules_of(HBM), since).state
        return state[DUE_0], state[DUE_1], state[TURN]

    assert dues(0) == dues(3900) == (1950, 3900, 0)
    assert dues(1) == (1949, 3899, 0)
    assert dues(1950) == (0, 1950, 0)
    assert dues(1951) == (3899, 1949, 1)
    assert dues(3899) == (1951, 1, 1)


uniform = st.builds(
    lambda make: make(),
    st.one_of(
        st.builds(
            lambda m, n, k: lambda: aim.matmul(AIM, 32, m=m, n=n, k=k).program,
            st.integers(1, 3), st.integers(1, 3000), st.integers(1, 3000),
        ),
        st.builds(lambda e: lambda: aim.multiply(AIM, 32, elements=e).program, st.integers(1, 10**6)),
        st.builds(lambda e: lambda: aim.relu(AIM, 32, elements=e).program, st.integers(1, 10**5)),
    ),
)  # fmt: skip
EVERY = (1 << 32) - 1
ONE = ("AF", "WR_BIAS", "RD_MAC", "RD_AF", "SYNC", "EWADD")
"""Instructions of one column, or none."""


def instruction(name: str, size: int, row: int) -> Instruction:
    channels = 0 if name in ("SYNC", "EWADD") else EVERY
    return Instruction(
        name, 1 if name in ONE else size, channels, row=row if name in ("MAC_ABK", "EWMUL", "AF") else -1
    )


mixtures = st.lists(
    st.builds(
        instruction,
        st.sampled_from(["WR_GB", "MAC_ABK", "EWMUL", *ONE]), st.integers(1, 64), st.integers(0, 3),
    ),
    min_size=1, max_size=60,
).map(lambda lines: Program((Loop(tuple(lines), 3), Instruction("EOC"))))  # fmt: skip


@pytest.mark.parametrize("compiled", [False, COMPILED])
@pytest.mark.parametrize("scope", ["peer", "physical"])
@given(program=st.one_of(uniform, mixtures), starts=st.lists(st.integers(0, 3799), min_size=1, max_size=3))
@settings(max_examples=15)
def test_aim_from_any_phase(compiled: bool, scope: str, program: Program, starts: list[int]) -> None:
    quick = aim_phased.Phased(program, AIM, 32, scope, compiled=compiled)
    for since in (0, *starts):
        exact = run(program, AIM, 32, scope=scope, exact=True, since=since).cycles
        assert quick.cycles(since) == exact


@given(program=mixtures, since=st.integers(0, 3799))
@settings(max_examples=20)
def test_the_kernel_in_plain_python_gives_the_same(program: Program, since: int) -> None:
    quick = aim_phased.Phased(program, AIM, 32, "physical", compiled=True)
    quick.__dict__["_serve"] = placing.serve
    if jit.enabled():
        assert quick.cycles(since) == run(program, AIM, 32, exact=True, since=since).cycles


def test_programs_for_some_banks_or_channels_are_run_as_ever() -> None:
    ordinary = Program((Instruction("WR_SBK", 1, EVERY, 0, 1), Instruction("EOC")))
    some = Program((Instruction("MAC_ABK", 64, 1, row=0), Instruction("EOC")))
    for program in (ordinary, some, aim.add(AIM, 32, elements=5000).program):
        quick = aim_phased.Phased(program, AIM, 32, "physical", compiled=True)
        assert quick._made is None
        assert quick.cycles(3700) == run(program, AIM, 32, exact=True, since=3700).cycles


def test_numbers_of_commands_are_those_of_the_controller() -> None:
    names = ("ACT16", "PREA", "TMOD", "REFAB")
    assert [getattr(placing, name) for name in names] == [getattr(commands, name) for name in names]
    assert placing.END == END
    assert placing.LOCAL not in range(-1, len(commands.COMMANDS))
