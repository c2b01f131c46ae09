"""Does an error say where, what, what is allowed and what to try?"""

from __future__ import annotations

import pickle

from accelsim.errors import DescriptionError, Fault, UnknownNameError, did_you_mean, nearest

FAULTS = (
    Fault("memory.bandwidth", 'expected a bandwidth (B/s): did you mean "3.35 TB/s"?', '"3.35 TB"', 14),
    Fault("sm.shred", "unknown key in [sm]: did you mean 'shared'?", '"228 KiB"', 31),
)


def test_faults_stand_under_each_other() -> None:
    assert str(DescriptionError("my-chip.toml", FAULTS)).splitlines() == [
        "my-chip.toml: 2 faults",
        '  line 14  memory.bandwidth = "3.35 TB"  expected a bandwidth (B/s): did you mean "3.35 TB/s"?',
        "  line 31  sm.shred = \"228 KiB\"          unknown key in [sm]: did you mean 'shared'?",
    ]


def test_a_long_key_does_not_push_the_others_away() -> None:
    long = Fault("a" * 80, "too long", "1", 7)
    lines = str(DescriptionError("x.toml", (FAULTS[1], long))).splitlines()
    assert lines[0] == "x.toml: 2 faults"
    assert '228 KiB"  unknown key' in lines[1]


def test_a_fault_of_the_whole_file_has_no_key() -> None:
    assert str(DescriptionError("x.toml", [Fault("", "the file is empty")])) == "x.toml: 1 fault\n  the file is empty"
    assert str(Fault("a.b", "is wrong", "5", 3)) == "line 3  a.b = 5  is wrong"


def test_an_unknown_name_lists_the_nearest() -> None:
    error = UnknownNameError(
        "chip", "h100-sxn", ["a100-sxm-80gb", "h100-pcie", "h100-sxm"], "--on", "all: accelsim list arch"
    )
    first, second = str(error).splitlines()
    assert first == "no chip named 'h100-sxn' (--on)"
    assert second.startswith("  nearest: h100-sxm, ")
    assert second.endswith("      all: accelsim list arch")


def test_an_unknown_name_without_neighbours_gives_the_hint_alone() -> None:
    assert str(UnknownNameError("chip", "zzz", ["h100"], hint="try it")) == "no chip named 'zzz'\n  try it"
    assert str(UnknownNameError("chip", "zzz", [])) == "no chip named 'zzz'"


def test_nearest_does_not_mind_capitals() -> None:
    assert nearest("H100-SXM", ["v100", "h100-sxm", "a40"])[0] == "h100-sxm"
    assert did_you_mean("shred", ["shared", "count"]) == ": did you mean 'shared'?"
    assert did_you_mean("zzz", ["shared"]) == ""


def test_errors_travel_between_processes() -> None:
    fault = pickle.loads(pickle.dumps(DescriptionError("my-chip.toml", FAULTS)))
    assert fault.faults == FAULTS
    assert str(fault) == str(DescriptionError("my-chip.toml", FAULTS))
    name = UnknownNameError("chip", "h100-sxn", ["h100-sxm"], "--on", "hint")
    assert str(pickle.loads(pickle.dumps(name))) == str(name)
