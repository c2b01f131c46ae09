import csv
import importlib.util
from pathlib import Path

import pytest

from accelsim import catalog
from accelsim.errors import DescriptionError, RequestError
from accelsim.mapping.pim import aim
from accelsim.spec.aim import AimTiming
from accelsim.timing.aim import trace
from accelsim.timing.aim.commands import ACT16, COMMANDS, MAC16, PREA, RDMAC16, TMOD, WRGB
from accelsim.timing.aim.machine import run
from accelsim.timing.aim.program import Instruction, Loop, Program

PART = catalog.chip("gddr6-aim")
EVERY = (1 << 32) - 1
EOC = Instruction("EOC")

SHARED = Path(__file__).parents[3] / "shared" / "reference" / "pim" / "cycles.csv"


def beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


traces, programs = beside("aim_traces"), beside("aim_programs")


def rows(name):
    text = (Path(__file__).parent.parent / "validation" / f"{name}.csv").read_text().splitlines()
    return list(csv.DictReader(line for line in text if not line.startswith("#")))


def parse(text, channels=32):
    return trace.parse(text, PART.organization, channels)


def repeat(count, *body):
    return Program((Loop(body, count), EOC))


def cycles(program, channels=32, scope="peer", **options):
    return run(program, PART, channels, scope=scope, **options).cycles


mac = Instruction("MAC_ABK", 64, EVERY, row=0, steps=(1,))


@pytest.mark.parametrize("row", rows("aim_public_cycles"), ids=lambda row: row["shape"])
def test_cycles_of_the_public_traces(row):
    assert cycles(programs.named(row["shape"], PART)) == int(row["cycles"])


@pytest.mark.parametrize("row", rows("aim_public_cycles"), ids=lambda row: row["shape"])
def test_public_traces_command_by_command(row):
    if int(row["cycles"]) < 5000:
        assert cycles(programs.named(row["shape"], PART), exact=True) == int(row["cycles"])


def test_every_shared_row():
    if not SHARED.exists():
        pytest.skip("the shared folder is not here")
    with SHARED.open() as file:
        rows_ = [row for row in csv.DictReader(file) if row["simulator"] == "aim_simulator"]
    assert len(rows_) >= 16
    assert [cycles(programs.named(r["shape"], PART)) for r in rows_] == [int(r["cycles"]) for r in rows_]


@pytest.mark.parametrize(
    ("outputs", "inputs", "channels", "expected"),
    [(16, 1024, 1, 415), (1024, 1024, 32, 701), (1024, 4096, 32, 2801), (4096, 1024, 32, 2417), (4096, 4096, 32, 9665)],
)
def test_cycles_of_the_public_gemvs(outputs, inputs, channels, expected):
    assert cycles(aim.matmul(PART, channels, m=1, n=outputs, k=inputs).program, channels) == expected


def test_commands_of_a_gemv():
    # counted in a run of the public simulator, per channel
    counts = run(aim.matmul(PART, 32, m=1, n=1024, k=1024).program, PART, 32, scope="peer").groups[0].commands
    found = {COMMANDS[c]: counts[COMMANDS[c]] for c in (WRGB, MAC16, ACT16, PREA, RDMAC16, TMOD)}
    assert found == {"WRGB": 64, "MAC16": 128, "ACT16": 2, "PREA": 1, "RDMAC16": 2, "TMOD": 5}


OPERATORS = {"matmul": aim.matmul, "mul": aim.multiply, "add": aim.add, "relu": aim.relu}


@pytest.mark.parametrize("row", rows("aim_cycles"), ids=lambda row: f"{row['kernel']}-{row['channels']}-{row['shape']}")
def test_cycles_of_further_runs_of_the_public_simulator(row):
    shape = {key: int(value) for key, value in (item.split("=") for item in row["shape"].split())}
    channels, expected = int(row["channels"]), int(row["cycles"])
    if row["kernel"] == "random":
        program = parse(traces.trace(**shape))
    else:
        program = OPERATORS[row["kernel"]](PART, channels, **shape).program
    assert cycles(program, channels) == expected


@pytest.mark.parametrize("scope", ["peer", "physical"])
@pytest.mark.parametrize("seed", range(100, 150))
def test_runs_and_single_commands_agree(seed, scope):
    program = parse(traces.trace(seed))
    fast, slow = (run(program, PART, 32, scope=scope, exact=exact) for exact in (False, True))
    assert fast.cycles == slow.cycles
    assert fast.commands() == slow.commands()
    assert sum(g.open_cycles * g.count for g in fast.groups) == sum(g.open_cycles * g.count for g in slow.groups)


@pytest.mark.parametrize("scope", ["peer", "physical"])
@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        ("matmul", {"m": 2, "n": 3000, "k": 2500}),
        ("matmul", {"m": 1, "n": 70, "k": 5000}),
        ("mul", {"elements": 700_000}),
        ("relu", {"elements": 40_000}),
        ("add", {"elements": 150_000}),
    ],
)
def test_folded_loops_equal_unrolled_ones(kernel, shape, scope):
    program = OPERATORS[kernel](PART, 32, **shape).program
    folded, kept = run(program, PART, 32, scope=scope), run(program, PART, 32, scope=scope, keep=True)
    single = run(program, PART, 32, scope=scope, exact=True)
    assert folded.cycles == kept.cycles == single.cycles
    assert folded.commands() == kept.commands() == single.commands()
    assert folded.instructions == kept.instructions == single.instructions
    assert folded.groups[0].open_cycles == kept.groups[0].open_cycles == single.groups[0].open_cycles
    # the record holds every command with its cycle, and never two in one cycle
    record = kept.groups[0].records
    at = sorted(first + gap * i for _, _, _, first, gap, count in record for i in range(count))
    assert len(at) == sum(kept.groups[0].commands.values())
    assert len(set(at)) == len(at)


def test_one_channel_stands_for_all():
    assert cycles(aim.matmul(PART, 1, m=1, n=64, k=2048).program, 1) == cycles(
        aim.matmul(PART, 32, m=1, n=64 * 32, k=2048).program
    )


def test_refresh_comes_every_interval_and_the_window_delays_activations():
    program = aim.matmul(PART, 32, m=1, n=4096, k=4096).program
    outcome = run(program, PART, 32)
    assert outcome.groups[0].commands["REFab"] == (outcome.cycles - 1) // PART.timing.nREFI
    first = run(repeat(1, mac), PART, 32)
    # 16 banks open four at a time: the last group three windows later
    assert first.cycles == 185 + 3 * PART.timing.nFAW
    assert run(repeat(1, mac), PART, 32, scope="peer").groups[0].commands["REFab"] == 0


@pytest.mark.parametrize("channels", [1, 32])
def test_a_row_opens_exactly_before_its_first_product(channels):
    record = run(repeat(1, mac), PART, channels, scope="peer", keep=True).groups[0].records
    (act, *_, opened, _, _), (multiply, *_, first, _, _) = record
    assert (COMMANDS[act], COMMANDS[multiply]) == ("ACT16", "MAC16")
    assert first - opened == PART.timing.nRCDRDMAC
    slower = PART.with_({"timing.nRCDRDMAC": 57})
    assert run(repeat(1, mac), slower, channels, scope="peer").cycles == 186


@pytest.mark.parametrize(
    "key",
    sorted(set(AimTiming.model_fields) - {"tCK_ps", "source", "status", "notes", "measured", "derived", "assumed"}),
)
def test_every_timing_moves_some_trace(key):
    value = getattr(PART.timing, key)
    other = PART.with_({f"timing.{key}": value + (60 if key in ("nREFI", "nRC", "nRRDS", "nRRDL") else 7)})
    programs = [parse(traces.trace(seed)) for seed in range(1, 60)]
    assert any(run(p, PART, 32).cycles != run(p, other, 32).cycles for p in programs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AiM MAC_AKB 1 1 0\nAiM EOC", r"line 1: unknown instruction 'MAC_AKB'.*MAC_ABK"),
        ("# all right\nAiM WR_GB 1 0 0x0\nAiM EOC", r"line 2: WR_GB: a channel mask of zero"),
        ("AiM MAC_ABK 65 1 0\nAiM EOC", r"line 1: size 65 is outside 1 to 64"),
        ("AiM MAC_ABK 1 1 16384\nAiM EOC", r"line 1: row 16384 is outside 0 to 16383"),
        ("AiM MAC_SBK 1 1 16 0\nAiM EOC", r"line 1: bank 16 is outside 0 to 15"),
        ("AiM WR_BIAS 0\nAiM EOC", r"line 1: WR_BIAS takes gpr mask, that is 2, and 1 are given"),
        ("AiM WR_BIAS 0 0x1ffffffff\nAiM EOC", r"names channels beyond 32"),
        ("AiM WR_ABK 0 3 0\nAiM EOC", r"WR_ABK writes one channel, and mask 3 names 2"),
        ("\nPIM X", r"line 2: 'PIM' is no kind of line"),
        ("W MEM 32 0 0\nAiM EOC", r"line 1: channel 32 is outside 0 to 31"),
        ("W CFR 3 0\nAiM EOC", r"line 1: CFR 3 is outside 0 to 2"),
        ("R GPR\nAiM EOC", r"R GPR takes 1 operands, and 0 are given"),
        ("AiM WR_BIAS x 1", r"line 1: ends without EOC|ends without EOC"),
        ("AiM AF two\nAiM EOC", r"channel mask 'two' is no whole number"),
    ],
)
def test_bad_lines_are_named(text, message):
    with pytest.raises(RequestError, match=message):
        parse(text)


def test_written_traces_read_back():
    program = aim.matmul(PART, 32, m=1, n=600, k=1500).program
    again = parse(trace.text(program, 32))
    assert cycles(again) == cycles(program)
    assert "W CFR 0 0" in trace.text(program, 32)


def test_a_trace_file(tmp_path):
    file = tmp_path / "kernel.trace"
    file.write_text("AiM MAC_ABK 64 0xFFFFFFFF 0 # comment\n\nAiM ISR_EOC\n")
    assert cycles(trace.read(file, PART.organization, 32)) == 185
    with pytest.raises(RequestError, match="cannot be read"):
        trace.read(tmp_path / "absent", PART.organization, 32)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("timing.nRC", 53, "nRC = 53 is below nRAS = 54"),
        ("timing.nREFI", 240, "leaves no time"),
        ("organization.rows", 10000, "not a power of two"),
        ("organization.row", "3 KiB", "not a power of two"),
    ],
)
def test_figures_that_contradict_each_other(key, value, message):
    with pytest.raises(DescriptionError, match=message):
        PART.with_({key: value})


def test_a_matrix_beyond_the_rows_does_not_fit():
    result = aim.matmul(PART, 1, m=1, n=16 * 16384 + 1, k=1024)
    assert result.kind == "capacity"
    assert result.demand > result.bound == 2**29
