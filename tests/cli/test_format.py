"""Does `accelsim format` say what a format is, and do its vectors replay with the exact references?"""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim import catalog
from accelsim.cli import format as command_module
from accelsim.formats import dataformat
from accelsim.numerics import registry, vectors
from accelsim.numerics.policy import Policy
from accelsim.numerics.reference.grid import Grid, Special, encode
from tests.contract import grids

ROOT = Path(__file__).parents[2]
OUTPUT = re.compile(r"<!-- output: accelsim (.*?) -->\n```text\n(.*?)```\n<!-- /output -->", re.S)


def _policy(text: str) -> Policy:
    rules: dict[str, Any] = dict(rule.split("=") for rule in text.split(";"))
    return Policy(**rules)


def _singles(text: str) -> np.ndarray:
    return np.array([int(bits, 16) for bits in text.split()], dtype=np.uint32).view(np.float32)


def _numbers(text: str) -> list[int]:
    return [int(code, 16) for code in text.split()]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# what is printed


def test_text_has_bits_storage_range_grid_policy_cost_and_neighbours(command: Any) -> None:
    code, out, err = command("format", "mxfp4")
    assert (code, err) == (0, "")
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert rows[0] == "mxfp4 · block · 4.25 bits per element · datasheet"
    assert any(row.startswith("OCP MXFP4: 32 fp4_e2m1 elements share one E8M0 scale") for row in rows)
    assert "source: OCP Microscaling Formats (MX) Specification v1.0, section 5 (dataformats/block/mxfp4.toml)" in rows
    assert "scale 0.25 8 bits of ue8m0 for 32 elements" in rows
    bytes_ = 4096 * 4096 * 4 // 8 + 4096 * 4096 // 32
    assert f"a tensor [4,096, 4,096] takes {bytes_:,} bytes, 8.91 MB; 0.2656 of what bf16 takes" in rows
    for row in ("largest 6", "smallest normal 1", "smallest positive 0.5", "values 15 of 16 codes"):
        assert row in rows
    assert "special no infinity, no NaN, -0" in rows
    assert "grid -6 -4 -3 -2 -1.5 -1 -0.5 0 0.5 1 1.5 2 3 4 6" in rows
    assert "rounding nearest-even" in rows
    for node in catalog.names("nodes"):
        assert any(row.startswith(f"{node} ") and " fJ" in row for row in rows)
    table = rows[rows.index("SQNR in dB") + 1 :]
    assert table[0] == "bits Gaussian Laplace Student-t outliers scale"
    assert table[1].startswith("mxfp4 4.25 ")
    assert table.index("") == 7  # heading, the format, five neighbours
    assert any("Philox seed 2024" in row for row in table)


def test_a_large_grid_shows_its_ends_and_its_middle(command: Any) -> None:
    _, out, _ = command("format", "fp8_e4m3", "--against", "int8")
    grid = next(line for line in out.splitlines() if line.startswith("  grid"))
    assert grid.split()[1:5] == ["-448", "-416", "-384", "-352"]
    assert grid.split()[-4:] == ["352", "384", "416", "448"]
    assert " -0.00195312 0 0.00195312 " in grid
    assert "2 NaN" in out
    assert "253 of 256 codes" in out


@pytest.mark.parametrize(
    "name",
    [
        "posit6", "int4_g64", "posit32", "ue8m0", "olive4", "cfloat8_143", "takum_log8",
        *(pytest.param(name, marks=pytest.mark.long) for name in grids.shipped()),
    ],
)  # fmt: skip
def test_families_wide_unsigned_and_odd_formats_are_shown_too(command: Any, name: str) -> None:
    code, out, err = command("format", name, "--against", "fp8_e4m3")
    assert (code, err) == (0, "")
    assert out.startswith(f"{name} · ")
    assert "SQNR in dB" in out


def test_json_has_the_same_facts(document: Any) -> None:
    found = document("format", "nvfp4", "--against", "mxfp4,fp32,flint4u")
    assert found["schema"] == "accelsim/format/1"
    assert found["bits_per_element"] == sum(part["bits"] for part in found["bits_by_part"]) == 4.5
    assert found["storage"]["bytes"] == dataformat("nvfp4").storage_bytes((4096, 4096))
    (grid,) = found["grids"]
    assert (grid["largest"], grid["values"], grid["nans"], grid["negative_zero"]) == (6.0, 15, 0, True)
    policy = found["policy"]
    assert policy["rounding"] == "nearest-even"
    rows = {row["name"]: row for row in found["quality"]["formats"]}
    assert 20 < rows["nvfp4"]["sqnr_db"]["Gaussian"] < 21
    assert rows["nvfp4"]["scale"] == "own"
    assert rows["fp32"]["sqnr_db"]["Gaussian"] is None  # exact
    assert rows["flint4u"]["scale"] == "unsigned"
    assert [row["node"] for row in found["cost"]] == list(catalog.names("nodes"))


def test_policy_and_overrides_reach_the_format(document: Any) -> None:
    found = document("format", "fp8_e5m2", "--policy", "rounding=toward-zero,overflow=infinity", "--against", "int8")
    assert (found["policy"]["rounding"], found["policy"]["overflow"]) == ("toward-zero", "infinity")
    nearest = document("format", "fp8_e5m2", "--against", "int8")
    mine, other = (each["quality"]["formats"] for each in (found, nearest))
    assert mine[0]["sqnr_db"]["Gaussian"] < other[0]["sqnr_db"]["Gaussian"] - 3
    assert mine[1] == other[1]
    assert document("format", "fp8_e5m2", "--policy", "ml_dtypes", "--against", "int8")["policy"]["nan_sign"] == "keep"
    shorter = document("format", "mxfp4", "--set", "length=16", "--against", "int8")
    assert shorter["bits_per_element"] == 4.5


def test_printed_pages_are_what_is_printed(command: Any) -> None:
    blocks = OUTPUT.findall((ROOT / "docs" / "format-command.md").read_text("utf-8"))
    assert blocks
    for arguments, expected in blocks:
        code, out, _ = command(*arguments.split())
        assert (code, out) == (0, expected)


def test_help_and_page_state_the_columns() -> None:
    from accelsim.cli import format_vectors

    page = (ROOT / "docs" / "format-command.md").read_text("utf-8")
    stated = command_module._VECTORS_HELP
    for column in (*format_vectors.PLAIN, *format_vectors.BLOCK, *format_vectors.DECODE):
        assert f"| `{column}` |" in page
        assert column in stated


# what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fp8_e4m4",), "no format named 'fp8_e4m4'\n  nearest: fp8_e4m3, "),
        (("fp8_e4m3", "--policy", "ml_dtype"), "no policy named 'ml_dtype'\n  nearest: ml_dtypes"),
        (("fp8_e4m3", "--policy", "round=up"), "no rule of a policy named 'round' (--policy)\n  nearest: rounding"),
        (("fp8_e4m3", "--policy", "rounding="), "--policy rounding=: expected KEY=VALUE"),
        (("fp8_e4m3", "--policy", "rounding=upp"), "Policy(rounding='upp'): did you mean 'up'? Allowed: nearest-even"),
        (("fp8_e4m3", "--policy", "overflow=infinity"), "fp8_e4m3 has no infinities; try 'saturate'"),
        (("fp8_e4m3", "--vectors", "x.txt"), "--vectors x.txt: allowed are names that end in .csv, .json"),
        (("fp8_e4m3", "--vectors", "nowhere/x.csv"), "--vectors nowhere/x.csv: there is no folder nowhere"),
        (("fp8_e4m3", "--picture", "x.bmp"), "allowed are names that end in .png, .pdf, .svg"),
        (("fp8_e4m3", "--against", "mxfp4,,nvfp4"), "expected names with commas between them"),
        (("fp8_e4m3", "--against", "nvfp5"), "no format named 'nvfp5'\n  nearest: nvfp4"),
        (("int8", "--set", "bits=0"), "bits = 0  must be at least 1"),
    ],
)  # fmt: skip
def test_bad_input_is_explained_and_exits_with_2(
    command: Any, monkeypatch: Any, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command("format", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(command: Any, tmp_path: Path) -> None:
    (tmp_path / "v.json").mkdir()
    code, _, err = command("format", "fp4_e2m1", "--against", "int4", "--vectors", str(tmp_path / "v.json"))
    assert code == 2
    assert err.startswith("error: cannot write ")
    assert "v.json" in err
    assert [path.name for path in tmp_path.iterdir()] == ["v.json"]


def test_stochastic_rounding_has_no_vectors(tmp_path: Path) -> None:
    from accelsim.cli import format_vectors
    from accelsim.errors import RequestError
    from accelsim.numerics.policy import Stochastic

    with pytest.raises(RequestError, match="random integers"):
        format_vectors.write(dataformat("fp8_e4m3", policy=Policy(rounding=Stochastic(8))), tmp_path / "v.csv")


# vectors


def _written(command: Any, folder: Path, name: str, *more: str) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    code, out, err = command("format", name, "--against", "int8", "--vectors", str(folder / "v.csv"), *more)
    assert (code, err) == (0, "")
    assert f"wrote {folder / 'v-encode.csv'}" in out
    return _rows(folder / "v-encode.csv"), _rows(folder / "v-decode.csv")


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("fp8_e4m3", ""), ("fp8_e5m2", "overflow=infinity,rounding=toward-zero"), ("fp8_e5m2", "ml_dtypes"),
        ("posit8", ""), ("flint4", ""), ("int4", "nan=zero"), ("lns8", ""), ("nf4", ""), ("ue8m0", ""),
        ("takum8", "rounding=up"), ("fp4_e2m1", "rounding=odd"), ("binary8p3se", "p3109"), ("pot4", ""),
    ],
)  # fmt: skip
def test_vectors_replay_with_the_reference(command: Any, tmp_path: Path, name: str, policy: str) -> None:
    rows, table = _written(command, tmp_path, name, *(["--policy", policy] if policy else []))
    grid = grids.grid_of(name)
    (rules,) = {row["policy"] for row in rows}
    for row in rows:
        (x,) = _singles(row["input"]).tolist()
        assert encode(grid, grids.exact(x), _policy(rules)) == int(row["code"], 16), row
    _replay_decode(table, {"element": grid})
    assert len(rows) > 3 * len(grids.levels(name)[0])


def _replay_decode(table: list[dict[str, str]], grids_: dict[str, Grid]) -> None:
    assert {row["role"] for row in table} == set(grids_)
    for role, grid in grids_.items():
        mine = [row for row in table if row["role"] == role]
        assert [int(row["code"], 16) for row in mine] == list(range(1 << grid.bits))
        for row in mine:
            meant = grid.value(int(row["code"], 16))
            if isinstance(meant, Fraction):
                assert Fraction(row["fraction"]) == meant == Fraction(float.fromhex(row["value"]))
            elif meant is Special.NEGATIVE_ZERO:
                assert math.copysign(1, float.fromhex(row["value"])) == -1
            elif meant in (Special.NAN, Special.NEGATIVE_NAN):
                assert row["value"] == ("nan" if grid.has_nan else "unused")
            else:
                assert row["value"] == meant.value


@pytest.mark.parametrize("name", ["fp8_e4m3", "posit8", "int4", "lns8"])
def test_every_tie_is_there_with_an_ulp_to_either_side(command: Any, tmp_path: Path, name: str) -> None:
    rows, _ = _written(command, tmp_path, name)
    inputs = {row["input"] for row in rows}
    record = grids.record_of(name)
    for low, high in grids.pairs(name):
        if record.kind == "posit" and 0 in (low, high):
            continue  # nothing but zero rounds to zero
        tie = np.float32(float(grids.split(name, low, high)))
        for x in (tie, np.nextafter(tie, np.float32(np.inf)), np.nextafter(tie, np.float32(-np.inf))):
            assert f"{int(x.view(np.uint32)):08x}" in inputs, (low, high, x)
    for bits in ("00000000", "80000000", "7f800000", "ff800000", "00000001", "7f7fffff"):
        assert bits in inputs
    assert ("7fc00000" in inputs) == grids.grid_of(name).has_nan
    codes = {int(row["code"], 16) for row in rows}
    assert codes >= set(grids.levels(name)[1].values())


def test_sixteen_bits_have_every_code_and_replay() -> None:
    x, found = vectors.plain(dataformat("fp16"))
    assert set(found.tolist()) >= {code for code in range(1 << 16) if code & 0x7C00 != 0x7C00}
    with np.errstate(over="ignore", invalid="ignore"):
        expected = x.astype(np.float16).view(np.uint16)  # the processor's own conversion
    number = ~np.isnan(x)
    np.testing.assert_array_equal(found[number], expected[number])


def test_wide_formats_are_sampled_and_replay(command: Any, tmp_path: Path) -> None:
    rows, table = _written(command, tmp_path, "posit32")
    grid = grids.grid_of("posit32")
    (rules,) = {row["policy"] for row in rows}
    for row in rows[::97]:
        (x,) = _singles(row["input"]).tolist()
        assert encode(grid, grids.exact(x), _policy(rules)) == int(row["code"], 16)
    assert 4096 < len(table) < 8192
    assert {"00000000", "80000000", "7fffffff", "ffffffff"} <= {row["code"] for row in table}


@pytest.mark.parametrize(
    "name", ["mxfp4", "nvfp4", "int4_g128", "gguf_q4_k", "nf4_b64_dq", "olive4", "cfloat8_143", "mx6", "uint4_g128_zp"]
)
def test_block_vectors_replay_with_the_reference(command: Any, tmp_path: Path, name: str) -> None:
    rows, table = _written(command, tmp_path, name)
    made = dataformat(name)
    reference = registry.reference(made.record)
    assert [int(row["vector"]) for row in rows] == list(range(len(rows)))
    (rules,) = {row["policy"] for row in rows}
    tests = {row["tests"] for row in rows}
    assert {"zeros", "random", "ragged", "an outlier", "an infinity"} <= tests
    assert any(test.startswith("ties of ") and test.endswith("+ 1 ulp") for test in tests)
    for row in rows[:: 1 if name == "mxfp4" else 5]:
        x = _singles(row["inputs"])
        expected = reference.encode([[grids.exact(v) for v in x.tolist()]], _policy(rules))
        assert _numbers(row["codes"]) == expected.codes[0], row["tests"]
        for cell, theirs in (("scales", expected.scales), ("indices", expected.indices)):
            assert _numbers(row[cell]) == ([] if theirs is None else np.ravel(theirs).tolist()), row["tests"]
        whole = expected.tensor_scale
        assert (grids.exact(float.fromhex(row["tensor_scale"])) if row["tensor_scale"] else None) == whole
        values = [grids.exact(float.fromhex(value)) for value in row["values"].split()]
        assert values == reference.decode(expected)[0]
        unpacked = made.unpack(bytes.fromhex(row["packed"]), (1, x.size))
        assert unpacked.codes.reshape(-1).tolist() == expected.codes[0]
    assert {row["bits"] for row in table if row["role"].startswith(("element", "normal"))} == {str(made.bits)}


def test_json_vectors_are_the_csv_ones(command: Any, tmp_path: Path) -> None:
    rows, table = _written(command, tmp_path, "mxfp4")
    code, _, err = command("format", "mxfp4", "--against", "int8", "--vectors", str(tmp_path / "v.json"), "--json")
    assert (code, err) == (0, f"  wrote {tmp_path / 'v.json'}\n")
    found = json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))
    assert found["schema"] == "accelsim/format-vectors/1"
    assert [{**row, "policy": found["policy"]} for row in found["encode"]] == rows
    assert found["decode"] == table
    assert {rule.partition("=")[0] for rule in found["policy"].split(";")} == {field.name for field in fields(Policy)}


def test_everything_is_the_same_the_second_time(command: Any, tmp_path: Path) -> None:
    texts = []
    for at in range(2):
        folder = tmp_path / str(at)
        folder.mkdir()
        _, out, _ = command(
            "format",
            "mxfp4",
            "--vectors",
            str(folder / "v.csv"),
            "--picture",
            str(folder / "v.png"),
            "--against",
            "fp16",
        )
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        texts.append((out.replace(str(folder), ""), files))
    assert texts[0] == texts[1]
    assert set(texts[0][1]) == {"v-encode.csv", "v-decode.csv", "v.png"}
