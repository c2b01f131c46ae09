"""Is a description read as it is meant, whatever its spelling, and is every fault reported with its line?"""

from __future__ import annotations

import pickle
import random
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import catalog
from accelsim.errors import DescriptionError, RequestError, UnknownNameError
from accelsim.spec import read
from accelsim.spec.device import GpuChip
from accelsim.spec.format import IntegerFormat
from accelsim.spec.lines import key_lines, line_of


@pytest.fixture(scope="module")
def text(tiny_chip_file: Path) -> str:
    return tiny_chip_file.read_text(encoding="utf-8")


def faults(text: str) -> list[str]:
    """Lines of the message, the first and the indent left out, runs of spaces as one."""
    with pytest.raises(DescriptionError) as caught:
        read.validate(GpuChip, tomllib.loads(text), origin="my-chip.toml", text=text)
    return [re.sub(" +", " ", line.strip()) for line in str(caught.value).splitlines()[1:]]


def line(text: str, start: str, after: str = "") -> int:
    lines = text.splitlines()
    first = lines.index(after) if after else 0
    return next(number for number, row in enumerate(lines, 1) if number > first and row.startswith(start))


def test_a_valid_chip_has_si_figures(tiny_chip: GpuChip) -> None:
    assert tiny_chip.memory.bandwidth_bytes_per_s == 100e9
    assert tiny_chip.sm.shared_bytes == 128 * 1024
    assert tiny_chip.energy.memory_j_per_byte == pytest.approx(32e-12)
    assert tiny_chip.peak_flops_per_s(tiny_chip.peak[0]) == 4.096e12


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('bandwidth = "100 GB/s"', 'bandwidth = "100 GB"',
         'memory.bandwidth = "100 GB" expected a bandwidth (B/s): did you mean "100 GB/s"?'),
        ('bandwidth = "100 GB/s"', 'bandwidth = "100"',
         'memory.bandwidth = "100" has no unit: expected a bandwidth (B/s), for example "3.35 TB/s"'),
        ('bandwidth = "100 GB/s"', "bandwidth = 100e9",
         'memory.bandwidth = 100000000000.0 has no unit: expected a bandwidth (B/s) as text, for example "3.35 TB/s"'),
        ('capacity = "8 GB"', 'capacity = "0 GB"',
         'memory.capacity = "0 GB" must be greater than zero: a size (B), for example "80 GB"'),
        ('capacity = "8 GB"', 'capacity = "-8 GB"',
         'memory.capacity = "-8 GB" must be greater than zero: a size (B), for example "80 GB"'),
        ('capacity = "8 GB"', "capacity = true",
         'memory.capacity = true expected a size (B) as text, for example "80 GB"'),
        ("stacks = 1", "stacks = 0", "memory.stacks = 0 must be at least 1"),
        ("stacks = 1", "stacks = 1.5", "memory.stacks = 1.5 must be a whole number, without quotes or decimals"),
        ("stacks = 1", 'stacks = "1"', 'memory.stacks = "1" must be a whole number, without quotes or decimals'),
        ("stacks = 1", "stacks = true", "memory.stacks = true must be a whole number, without quotes or decimals"),
        ('launch = "2 us"', 'launch = "-2 us"',
         'timing.launch = "-2 us" must not be negative: a time (s), for example "600 ns"'),
        ("operand_reads = 2.0", "operand_reads = 9", "sm.operand_reads = 9 must be at most 4"),
        ("operand_reads = 2.0", 'operand_reads = "2"', 'sm.operand_reads = "2" must be a number, without quotes'),
        ("operand_reads = 2.0", "operand_reads = nan", "sm.operand_reads = nan must be a finite number"),
        ('generation = "test"', "generation = 5", "generation = 5 must be text in quotes"),
        ('reference_clock = "sm"', 'reference_clock = "dram"', "reference_clock = \"dram\" must be 'sm'"),
        ('name = "tiny-gpu"', 'name = "Tiny GPU"',
         "name = \"Tiny GPU\" may hold lower-case letters, digits, '.', '_' and '-', a letter or digit first"),
        ('shared = "128 KiB"', 'shred = "128 KiB"',
         "sm.shred = \"128 KiB\" unknown key in [sm]: did you mean 'shared'?"),
        ('operands = ["bf16", "bf16"]', 'operands = ["bf16"]', 'peak.0.operands = ["bf16"] needs 2 values'),
        ('operands = ["fp8_e4m3", "fp8_e4m3"]', 'operands = "fp8_e4m3"',
         'peak.1.operands = "fp8_e4m3" must be a list: [..., ...]'),
        ('rate = "2048 FLOP/clk"', 'rate = "2048 FLOP"',
         'peak.1.rate = "2048 FLOP" expected operations per clock (FLOP/clk): did you mean "2048 FLOP/clk"?'),
        ("[vector]", "[vektor]", "vektor unknown key at the top level: did you mean 'vector'?"),
        ('[[link]]', "[link]", "link must be a list of tables: write [[link]]"),
        ("[l2]", "[[l2]]", "l2 must be a table: write [l2]"),
        ('limit = "50 W"', "", 'power.limit missing in [power]: a power (W), for example "700 W"'),
    ],
)  # fmt: skip
def test_a_fault_names_line_key_value_and_remedy(text: str, old: str, new: str, message: str) -> None:
    assert text.count(old) == 1
    changed = text.replace(old, new)
    found = faults(changed)
    number = changed[: changed.index(new)].count("\n") + 1 if new else line(changed, "[power]")
    assert found == [f"line {number} {message}"]


def test_missing_provenance_is_a_fault(text: str) -> None:
    memory = text.index("[memory]")
    changed = text[:memory] + text[memory:].replace('source = "made for tests"\nstatus = "datasheet"\n', "", 1)
    header = line(changed, "[memory]")
    assert faults(changed) == [
        f"line {header} memory.source missing: provenance is mandatory, say where the figures in [memory] come from",
        f"line {header} memory.status missing: provenance is mandatory, say how far the figures in [memory] can be "
        "trusted: one of datasheet, measured, derived, assumed",
    ]


def test_an_unknown_status_lists_the_known_ones(text: str) -> None:
    changed = text.replace('status = "datasheet"', 'status = "guess"')
    assert faults(changed)[0].endswith('memory.status = "guess" must be one of datasheet, measured, derived, assumed')


def test_all_faults_are_reported_at_once_in_the_order_of_the_file(text: str) -> None:
    changed = (
        text.replace('"100 GB/s"', '"100 GB"')
        .replace('shared = "128', 'shred = "128')
        .replace("stacks = 1", "stacks = 0")
    )
    found = faults(changed)
    assert [re.sub(r"line \d+ (\S+).*", r"\1", fault) for fault in found] == [
        "sm.shred",
        "memory.stacks",
        "memory.bandwidth",
    ]
    numbers = [int(fault.split()[1]) for fault in found]
    assert numbers == sorted(numbers)


def test_an_unknown_key_far_from_all_lists_the_allowed_ones(text: str) -> None:
    changed = text.replace("[power]\n", "[power]\nzzzzzz = 1\n")
    assert "unknown key in [power]; allowed: source, status, notes, " in faults(changed)[0]
    assert faults(changed)[0].endswith("limit, idle")


def test_a_row_that_lists_several_pairs_keeps_the_lines_of_the_next(text: str) -> None:
    changed = text.replace('operands = ["bf16", "bf16"]', 'operands = [["bf16", "bf16"], ["fp16", "fp16"]]')
    changed = changed.replace('"2048 FLOP/clk"', '"2048 FLOP"')
    number = line(changed, 'rate = "2048')
    assert faults(changed)[0].startswith(f"line {number} peak.1.rate")


def test_python_values_may_be_si_numbers(text: str) -> None:
    raw = tomllib.loads(text)
    raw["memory"]["bandwidth"] = 5e12
    assert read.validate(GpuChip, raw, origin="call", si=True).memory.bandwidth_bytes_per_s == 5e12


# Spelling: comments, order and units


@given(seed=st.integers(min_value=0, max_value=10**6))
def test_comments_order_and_unit_spelling_do_not_change_the_record(seed: int) -> None:
    source = Path(__file__).parents[1] / "data" / "tiny-gpu.toml"
    text = source.read_text(encoding="utf-8")
    chance = random.Random(seed)
    blocks = re.split(r"\n(?=\[)", text[text.index("name =") :])
    order = [blocks[0], *chance.sample(blocks[1:], len(blocks) - 1)]
    peaks = [block for block in blocks if block.startswith("[[peak]]")]
    order = [block if not block.startswith("[[peak]]") else peaks.pop(0) for block in order]  # rows keep their order
    shuffled = "\n".join(_shuffled(block, chance) for block in order)
    for spelling, same in (
        ("100 GB/s", "0.1 TB/s"),
        ("128 KiB", "131072 B"),
        ("2 us", "2000 ns"),
        ("4 pJ/bit", "32 pJ/B"),
    ):
        if chance.random() < 0.5:
            shuffled = shuffled.replace(f'"{spelling}"', f'"{same}"')
    expected = read.validate(GpuChip, tomllib.loads(text), origin="a")
    record = read.validate(GpuChip, tomllib.loads(shuffled), origin="b")
    assert record == expected
    assert hash(record) == hash(expected)


def _shuffled(block: str, chance: random.Random) -> str:
    header, *rows = block.splitlines() if block.startswith("[") else ["", *block.splitlines()]
    rows = [row for row in rows if row]
    chance.shuffle(rows)
    return "\n".join(
        [header, *(f"{row}  # {chance.random()} = [" if chance.random() < 0.5 else row for row in rows), ""]
    )


# Lines


TRICKY = '''# [not.a.table]
top = 1
"quoted.key" = "# no comment"   # [no]
dotted . key = 2
text = """
[inside]
still = "text"
"""
list = [
  1, # ]
  "]",
]
[a]
b.c = { d = 1, e = "}" }
literal = 'C:\\' # '
[[rows]]
x = 1
[[rows]]
x = 2
[rows.sub]
y = 3
[[rows.deep]]
z = 4
[[rows]]
[[rows.deep]]
z = 5
'''


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("top",), 2), (("quoted.key",), 3), (("dotted", "key"), 4), (("text",), 5), (("list",), 9),
        (("a",), 13), (("a", "b", "c"), 14), (("a", "b", "c", "e"), 14), (("a", "literal"), 15),
        (("rows",), 16), (("rows", 0, "x"), 17), (("rows", 1), 18), (("rows", 1, "x"), 19),
        (("rows", 1, "sub", "y"), 21),
        (("rows", 1, "deep", 0, "z"), 23), (("rows", 2, "deep", 0, "z"), 26), (("rows", 2, "x"), 24), (("nowhere",), 0),
    ],
)  # fmt: skip
def test_lines_of_keys(path: tuple[str | int, ...], expected: int) -> None:
    tomllib.loads(TRICKY)
    assert line_of(key_lines(TRICKY), path) == expected


def test_every_key_of_every_shipped_file_has_its_line() -> None:
    root = Path(__file__).parents[2]
    files = [file for folder in ("arch", "workloads", "dataformats") for file in (root / folder).rglob("*.toml")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        found, rows = key_lines(text), text.splitlines()
        for path, number in found.items():
            name = next(part for part in reversed(path) if isinstance(part, str))
            assert name in rows[number - 1], (file, path)
        assert {path[0] for path in found} == set(tomllib.loads(text)), file


# Overrides


def test_overrides_by_dotted_path(tiny_chip: GpuChip) -> None:
    chip = tiny_chip.with_({"memory.bandwidth": "5 TB/s", "peak.0.rate": 2048, "clock.sm.frequency": "2 GHz"})
    assert chip.memory.bandwidth_bytes_per_s == 5e12
    assert chip.peak[0].flops_per_clock == 2048
    assert chip.peak_flops_per_s(chip.peak[0]) == 4 * 2048 * 2e9
    assert chip.name == tiny_chip.name
    assert tiny_chip.memory.bandwidth_bytes_per_s == 100e9, "the original stays"
    assert chip.with_({"memory.bandwidth": 100e9}).memory.bandwidth_bytes_per_s == 100e9


def test_a_list_is_indexed_by_a_text_that_one_table_holds(tiny_chip: GpuChip) -> None:
    chip = tiny_chip.with_({"peak.fp8_e4m3xfp8_e4m3.rate": 4096, "link.pcie.bandwidth": "64 GB/s"})
    assert [row.flops_per_clock for row in chip.peak] == [1024, 4096]
    assert chip.link[0].bandwidth_bytes_per_s == 64e9
    with pytest.raises(UnknownNameError, match=r"no key named 'peak.fp32.rate'\n  \[peak\] has: 0, 1"):
        tiny_chip.with_({"peak.fp32.rate": 1})  # both rows accumulate in fp32


def test_text_takes_the_type_of_what_it_replaces(tiny_chip: GpuChip) -> None:
    chip = tiny_chip.with_({"sm.count": "8", "peak.0.operands": '["fp16", "fp16"]'})
    assert chip.sm.count == 8
    assert chip.peak[0].operands == ("fp16", "fp16")
    with pytest.raises(DescriptionError, match="has no unit: expected a bandwidth"):
        tiny_chip.with_({"memory.bandwidth": "5"})


def test_a_whole_table_or_a_top_level_key_may_be_set(tiny_chip: GpuChip) -> None:
    memory = {**tiny_chip.raw["memory"], "capacity": "16 GB"}
    assert tiny_chip.with_({"memory": memory}).memory.capacity_bytes == 16e9
    assert tiny_chip.with_(generation="other").generation == "other"
    assert tiny_chip.with_(convert=[]).convert == ()


def test_an_optional_key_may_be_set_although_the_file_lacks_it(tiny_chip: GpuChip) -> None:
    assert "sparsity" not in tiny_chip.raw["peak"][0]
    assert tiny_chip.with_({"peak.0.sparsity": "2:4"}).peak[0].sparsity == "2:4"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "memory.bandwith",
            r"no key named 'memory.bandwith'\n  nearest: memory.bandwidth      \[memory\] has: standard, ",
        ),
        ("memry.bandwidth", r"nearest: memory.bandwidth      there are: name, family, "),
        ("peak.7.rate", r"\[peak\] has: 0, 1"),
        ("peak.0.rat", r"nearest: peak.0.rate      \[peak.0\] has: operands, accumulator, rate, energy"),
        ("memory.bandwidth.peak", r"memory.bandwidth holds a value and no keys"),
    ],
)
def test_an_unknown_path_lists_the_nearest(tiny_chip: GpuChip, path: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        tiny_chip.with_({path: 1})


def test_an_override_must_be_valid(tiny_chip: GpuChip) -> None:
    with pytest.raises(DescriptionError, match=r"tiny-gpu with overrides: 1 fault\n  sm.count = 0  must be at least 1"):
        tiny_chip.with_({"sm.count": 0})
    with pytest.raises(RequestError, match="an override needs a key"):
        tiny_chip.with_({"": 1})


def test_an_overridden_figure_is_no_datasheet_figure_any_more(tiny_chip: GpuChip) -> None:
    memory = tiny_chip.with_({"memory.bandwidth": 1e12}).with_({"memory.capacity": 1e12}).memory
    assert memory.source == "made for tests; overridden: bandwidth, capacity"
    assert memory.status == "datasheet"
    assert memory.assumed == ("bandwidth", "capacity")
    assert tiny_chip.with_({"memory.bandwidth": "100 GB/s"}) == tiny_chip, "the same figure is no change"
    assert tiny_chip.with_({"memory.capacity": 1e12, "memory.source": "my lab"}).memory.source == "my lab"


def test_a_table_without_its_own_list_is_assumed_as_a_whole(tiny_chip: GpuChip) -> None:
    row = tiny_chip.with_({"convert.0.flops_per_element": 4, "convert.0.status": "measured"}).convert[0]
    assert (row.status, row.source) == ("measured", "made for tests; overridden: flops_per_element")
    measured = tiny_chip.with_({"convert.0.status": "measured"})
    assert measured.with_({"convert.0.flops_per_element": 4}).convert[0].status == "assumed"


# Records


def test_records_compare_by_their_figures_and_survive_pickling(tiny_chip: GpuChip) -> None:
    same = tiny_chip.with_({"memory.bandwidth": "100 GB/s"})
    other = tiny_chip.with_({"memory.bandwidth": "101 GB/s"})
    assert (same, hash(same)) == (tiny_chip, hash(tiny_chip))
    assert other != tiny_chip
    copy = pickle.loads(pickle.dumps(other))
    assert copy == other
    assert copy.raw == other.raw
    assert len({tiny_chip, same, other, copy}) == 2


def test_a_format_made_in_python_can_be_overridden_too() -> None:
    made = IntegerFormat(name="int5", kind="integer", bits=5, source="made for tests", status="assumed")
    assert made.with_(bits=6).bytes_per_element == 6 / 8


def test_raw_is_a_copy(tiny_chip: GpuChip) -> None:
    raw: dict[str, Any] = tiny_chip.raw
    raw["memory"]["bandwidth"] = "1 B/s"
    assert tiny_chip.raw["memory"]["bandwidth"] == "100 GB/s"


def test_numbers_of_numpy_are_as_good_as_pythons():
    plain = catalog.chip("h100-sxm", {"sm.count": 66, "memory.bandwidth": 2e12})
    assert catalog.chip("h100-sxm", {"sm.count": np.int64(66), "memory.bandwidth": np.float64(2e12)}) == plain
