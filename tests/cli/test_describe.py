"""Do `list`, `show`, `check` and `schema` print what they promise, on the right stream and with the right exit code?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from accelsim import catalog, cli
from accelsim.cli import common

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command line in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line as a program of its own."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


# list


def test_list_names_everything(run: Any) -> None:
    code, out, err = run("list")
    assert (code, err) == (0, "")
    for kind in catalog.KINDS:
        for name in catalog.names(kind):
            assert name in out


def test_list_of_chips_has_peak_memory_and_bandwidth(run: Any) -> None:
    _, out, _ = run("list", "arch")
    row = next(line for line in out.splitlines() if line.startswith("h100-sxm "))
    for text in ("132", "bf16 x bf16", "989.4 TFLOP/s", "80.00 GB", "3.350 TB/s", "datasheet"):
        assert text in row
    assert "llama-2-7b" not in out


def test_list_of_models_has_parameters_and_heads(run: Any) -> None:
    _, out, _ = run("list", "models")
    row = next(line for line in out.splitlines() if line.startswith("llama-3-8b "))
    assert row.split()[1:8] == ["8.03B", "32", "4096", "32", "/", "8", "8192"]


def test_list_as_json_is_one_document_in_si_units(run: Any) -> None:
    code, out, _ = run("list", "arch", "--json")
    document = json.loads(out)
    assert (code, document["schema"]) == (0, "accelsim/list/1")
    row = next(row for row in document["arch"] if row["name"] == "h100-sxm")
    assert (row["sm_count"], row["memory_bytes"], row["bandwidth_bytes_per_s"]) == (132, 80e9, 3.35e12)
    assert row["peak_flops_per_s"] == pytest.approx(989.4e12, rel=1e-3)


def test_a_broken_file_does_not_hide_the_others(
    run: Any, tmp_path: Path, tiny_chip_file: Path, monkeypatch: Any
) -> None:
    (tmp_path / "arch").mkdir()
    text = tiny_chip_file.read_text(encoding="utf-8")
    (tmp_path / "arch" / "tiny-gpu.toml").write_text(text, encoding="utf-8")
    (tmp_path / "arch" / "broken.toml").write_text("x = ", encoding="utf-8")
    monkeypatch.setattr(catalog, "root", lambda: tmp_path)
    code, out, err = run("list")
    assert code == 2
    assert "tiny-gpu" in out
    assert err.startswith("error: arch/broken.toml: 1 fault\n")


# show


def test_show_prints_prose_figures_and_peaks(run: Any, tiny_chip_file: Path) -> None:
    code, out, _ = run("show", str(tiny_chip_file))
    assert code == 0
    assert "Left out: everything that would make it a product." in out
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert "[memory] datasheet made for tests" in rows
    assert "bandwidth 100 GB/s" in rows
    assert "bf16 x bf16 fp32 dense 4.096 TFLOP/s" in rows


def test_show_with_an_override_says_whose_figure_it_is(run: Any) -> None:
    code, out, _ = run("show", "h100-sxm", "--set", "memory.bandwidth=5 TB/s")
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "bandwidth 5 TB/s assumed" in rows
    assert "overridden: bandwidth" in " ".join(rows)


def test_show_as_json_has_si_figures_and_the_description(run: Any) -> None:
    _, out, _ = run("show", "h100-sxm", "--set", "memory.bandwidth=5 TB/s", "--json")
    document = json.loads(out)
    assert document["schema"] == "accelsim/show/1"
    assert document["record"]["memory"]["bandwidth_bytes_per_s"] == 5e12
    assert document["description"]["memory"]["bandwidth"] == "5 TB/s"
    assert document["peaks"][0]["operands"] == ["bf16", "bf16"]
    assert document["prose"].startswith("NVIDIA H100")


def test_show_a_model(run: Any) -> None:
    code, out, _ = run("show", "llama-2-7b")
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    assert "parameters 6,738,415,616" in rows
    assert "decoder 32 32 heads, 32 kv, 128 wide 11008 gated silu 2 rms" in rows
    _, out, _ = run("show", "mixtral-8x7b", "--json")
    document = json.loads(out)
    assert document["parameters"] == 46_702_792_704
    assert document["active_parameters"] < document["parameters"]


def test_show_a_format(run: Any) -> None:
    code, out, _ = run("show", "mxfp4")
    assert code == 0
    assert "4.25" in out


# check


def test_check_says_ok_and_what_it_is(run: Any) -> None:
    files = [
        str(catalog.path("arch", "h100-sxm")),
        str(catalog.path("models", "gpt2")),
        str(catalog.path("formats", "mxfp4")),
    ]
    code, out, err = run("check", *files)
    assert (code, err) == (0, "")
    first, second, third = out.splitlines()
    assert first.endswith("h100-sxm.toml: ok, chip h100-sxm: 132 SMs, 989.4 TFLOP/s bf16 x bf16, 3.350 TB/s")
    assert second.endswith("gpt2.toml: ok, model gpt2: gpt2, 124M parameters")
    assert third.endswith("mxfp4.toml: ok, format mxfp4: block, 4.25 bits per element")


def test_check_prints_every_fault_with_its_line(
    run: Any, tmp_path: Path, tiny_chip_file: Path, monkeypatch: Any
) -> None:
    text = tiny_chip_file.read_text(encoding="utf-8").replace('name = "tiny-gpu"', 'name = "my-chip"')
    text = text.replace('"100 GB/s"', '"3.35 TB"').replace('shared = "128 KiB"', 'shred = "228 KiB"')
    monkeypatch.chdir(tmp_path)
    Path("my-chip.toml").write_text(text, encoding="utf-8")
    code, out, err = run("check", "my-chip.toml")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "my-chip.toml: 2 faults",
        "  line 24  sm.shred = \"228 KiB\"          unknown key in [sm]: did you mean 'shared'?",
        '  line 77  memory.bandwidth = "3.35 TB"  expected a bandwidth (B/s): did you mean "3.35 TB/s"?',
    ]


def test_check_goes_on_after_a_bad_file(run: Any, tmp_path: Path, tiny_chip_file: Path) -> None:
    code, out, err = run("check", str(tmp_path / "nothing.toml"), str(tiny_chip_file))
    assert code == 2
    assert "tiny-gpu.toml: ok, chip tiny-gpu" in out
    assert err.startswith("error: no file named ")


# schema


@pytest.mark.parametrize("kind", ["chip", "format", "model"])
def test_schema_is_a_json_schema(run: Any, kind: str) -> None:
    code, out, _ = run("schema", kind)
    document = json.loads(out)
    assert code == 0
    assert document["$schema"].startswith("https://json-schema.org/")
    assert document["title"] == f"accelsim {kind}"


def test_the_schema_of_a_chip_shows_quantities_as_text(run: Any) -> None:
    document = json.loads(run("schema", "chip")[1])
    memory = document["$defs"]["Memory"]
    assert memory["properties"]["bandwidth"]["type"] == "string"
    assert memory["properties"]["bandwidth"]["examples"] == ["3.35 TB/s"]
    assert {"source", "status", "bandwidth"} <= set(memory["required"])
    assert memory["additionalProperties"] is False
    assert set(document["discriminator"]["mapping"]) >= {"gpu", "llm-viewer", "gddr6-aim", "system"}


def test_schema_is_written_whole_or_not_at_all(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "chip.json"
    assert run("schema", "chip", "--out", str(target))[:2] == (0, "")
    whole = target.read_text(encoding="utf-8")
    assert json.loads(whole)["title"] == "accelsim chip"

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    assert run("schema", "format", "--out", str(target))[0] == 130
    assert target.read_text(encoding="utf-8") == whole
    assert [file.name for file in tmp_path.iterdir()] == ["chip.json"]


def test_a_folder_that_does_not_exist_cannot_be_written_to(run: Any, tmp_path: Path) -> None:
    code, _, err = run("schema", "chip", "--out", str(tmp_path / "nowhere" / "chip.json"))
    assert code == 2
    assert err.startswith("error: cannot write ")
    assert "No such file or directory" in err


# Errors and exit codes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "h100-sxn"), "error: no description named 'h100-sxn'\n  nearest: h100-sxm, "),
        (("show", "h100-sxm", "--set", "memory.bandwith=5 TB/s"),
         "error: no key named 'memory.bandwith'\n  nearest: memory.bandwidth "),
        (("show", "h100-sxm", "--set", "memory.bandwidth=5 TB"), 'expected a bandwidth (B/s): did you mean "5 TB/s"?'),
        (("show", "h100-sxm", "--set", "memory.bandwidth=5"), "has no unit: expected a bandwidth (B/s)"),
        (("show", "h100-sxm", "--set", "memory.capacity=0 GB"), "must be greater than zero: a size (B)"),
        (("show", "h100-sxm", "--set", "memory.bandwidth"), "error: --set memory.bandwidth: expected KEY=VALUE"),
        (("show", "h100-sxm", "--set", "sm.count=1", "--set", "sm.count=2"), "error: --set sm.count stands twice"),
        (("show", "llama-2-7b", "--set", "num_key_value_heads=5"), "32 query heads are not a multiple of 5 KV heads"),
        (("lits",), "error: No such command 'lits'. Did you mean 'list'?\n  help: accelsim --help"),
        (("list", "chips"),
         "error: Invalid value for 'kind': 'chips' is not one of "
         "'arch', 'nodes', 'calibrations', 'dram', 'models', 'formats', "
         "'sweeps'."),
        (("list", "--jsn"), "error: No such option: --jsn"),
        (("check",), "error: Missing argument 'FILE...'.\n  help: accelsim check --help"),
    ],
)  # fmt: skip
def test_bad_input_is_explained_on_stderr_and_exits_with_2(run: Any, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_a_chip_of_an_option_is_named_with_the_option(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def fail(*_: object, **__: object) -> None:
        catalog.chip("h100-sxn")

    monkeypatch.setattr(common, "app", fail)
    assert common.main([]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: no chip named 'h100-sxn' (--on)"
    assert second.endswith("all: accelsim list arch      own file: --on path/to/chip.toml")


def test_interruption_exits_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog, "names", interrupt)
    assert cli.main(["list"]) == 130


def test_a_defect_is_not_mistaken_for_bad_input(monkeypatch: Any) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(catalog, "names", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["list"])


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_json("test", {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": (1, None)}}, version=3)
    assert json.loads(capsys.readouterr().out) == {
        "schema": "accelsim/test/3", "a": None, "b": [None, 1.5], "c": {"d": [1, None]},
    }  # fmt: skip


# As a program


def test_python_m_accelsim_works() -> None:
    done = program("-m", "accelsim", "check", "nowhere.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no file named 'nowhere.toml'")
    assert program("-m", "accelsim", "--version").stdout.startswith("accelsim")


def test_help_is_quick_and_needs_no_numpy() -> None:
    code = (
        "import sys, time, accelsim.cli\n"
        "accelsim.cli.main(['--help'])\n"
        "heavy = {'numpy', 'pandas', 'matplotlib', 'networkx', 'scipy', 'simpy', 'numba'} & set(sys.modules)\n"
        "print(sorted(heavy), time.process_time(), file=sys.stderr)\n"
    )
    done = program("-c", code)
    assert "list" in done.stdout
    heavy, seconds = done.stderr.strip().rsplit(" ", 1)
    assert heavy == "[]"
    assert float(seconds) < 0.5


def test_help_without_a_command(run: Any) -> None:
    code, out, _ = run()
    assert code == 0
    assert "Usage: accelsim" in out


def test_shell_completion_is_offered() -> None:
    asked = {"_ACCELSIM_COMPLETE": "complete_bash", "COMP_WORDS": "accelsim sh", "COMP_CWORD": "1"}
    done = program("-m", "accelsim", **asked)
    assert "show" in done.stdout.split()
