"""Is a description found, read once, and refused clearly when it is not one?"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import AccelsimError, DescriptionError, RequestError, UnknownNameError
from accelsim.spec.device import GpuChip
from accelsim.spec.format import Format
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.model import Model

CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 512,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
}

MODEL_FILE = """# A model for tests.
name = "tiny-llama"
source = "made for tests"
status = "assumed"

[config]
model_type = "llama"
hidden_size = 64
intermediate_size = 128
num_attention_heads = 4
num_key_value_heads = 2
num_hidden_layers = 2
vocab_size = 1000
max_position_embeddings = 512
hidden_act = "silu"
tie_word_embeddings = false
"""


@pytest.fixture
def own_chip(tmp_path: Path, tiny_chip_file: Path) -> Path:
    """A copy of the test chip that may be written to."""
    return Path(shutil.copy(tiny_chip_file, tmp_path / "tiny-gpu.toml"))


@pytest.fixture
def own_root(tmp_path: Path, tiny_chip_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of its own that holds one chip."""
    (tmp_path / "arch" / "gpu").mkdir(parents=True)
    shutil.copy(tiny_chip_file, tmp_path / "arch" / "gpu")
    monkeypatch.setattr(catalog, "root", lambda: tmp_path)
    return tmp_path


# What ships


@pytest.mark.parametrize("name", catalog.names("arch"))
def test_every_chip_is_valid_and_named_like_its_file(name: str) -> None:
    assert catalog.chip(name).name == name
    assert catalog.path("arch", name).stem == name


@pytest.mark.parametrize("name", catalog.names("models"))
def test_every_model_is_valid_and_named_like_its_file(name: str) -> None:
    assert catalog.model(name).name == name


@pytest.mark.parametrize("name", catalog.names("formats"))
def test_every_format_is_valid_and_named_like_its_file(name: str) -> None:
    assert catalog.format_(name).name == name


@pytest.mark.parametrize("name", catalog.names("arch"))
def test_formats_that_a_chip_names_exist(name: str) -> None:
    chip = catalog.chip(name)
    if isinstance(chip, GpuChip):
        for operand in {operand for row in chip.peak for operand in row.operands} | set(
            chip.native.model_dump().values()
        ):
            assert catalog.format_(operand).bits > 0
        for conversion in chip.convert:
            for operand in (*conversion.sources, *conversion.targets):
                assert catalog.format_(operand).bits > 0


def test_the_family_selects_the_record() -> None:
    assert isinstance(catalog.chip("h100-sxm"), GpuChip)
    assert isinstance(catalog.chip("llm-viewer-h100"), LlmViewerChip)


def test_names_are_sorted_and_found() -> None:
    assert list(catalog.names("arch")) == sorted(catalog.names("arch"))
    assert catalog.find("h100-sxm") == ("arch", catalog.path("arch", "h100-sxm"))
    assert catalog.find("llama-2-7b")[0] == "models"
    assert catalog.find("mxfp4")[0] == "formats"


def test_prose_opens_a_chip() -> None:
    assert catalog.prose(catalog.path("arch", "h100-sxm")).startswith("NVIDIA H100 SXM5 80 GB")


# Names, paths and records


def test_an_unknown_chip_lists_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        catalog.chip("h100-sxn")
    assert str(caught.value).startswith("no chip named 'h100-sxn'\n  nearest: h100-sxm, ")
    assert str(caught.value).endswith("      all: accelsim list arch      own file: path/to/chip.toml")


def test_an_unknown_model_or_format_lists_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no model named 'llama-2-7'\n  nearest: llama-2-7b, .*path/to/config.json"
    ):
        catalog.model("llama-2-7")
    with pytest.raises(UnknownNameError, match=r"no format named 'fp8_e4m33'\n  nearest: fp8_e4m3"):
        catalog.format_("fp8_e4m33")
    with pytest.raises(UnknownNameError, match=r"no description named 'h100'"):
        catalog.find("h100")


def test_a_path_works_wherever_a_name_does(tiny_chip_file: Path, tiny_chip: GpuChip) -> None:
    assert catalog.chip(str(tiny_chip_file)) == tiny_chip
    assert catalog.find(str(tiny_chip_file))[0] == "arch"
    assert catalog.check(tiny_chip_file) == tiny_chip


def test_a_record_passes_through_and_can_be_overridden(tiny_chip: GpuChip) -> None:
    assert catalog.chip(tiny_chip) is tiny_chip
    assert catalog.chip(tiny_chip, {"memory.capacity": "2 TB"}).memory.capacity_bytes == 2e12
    assert catalog.chip("h100-sxm", {"memory.bandwidth": "5 TB/s"}).memory.bandwidth_bytes_per_s == 5e12


def test_something_else_is_refused() -> None:
    with pytest.raises(RequestError, match="expected the name of a chip or a path, not 5"):
        catalog.path("arch", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", range(1, 33))
def test_integers_of_every_width_exist(bits: int) -> None:
    record = catalog.format_(f"int{bits}")
    assert (record.name, record.kind, record.bits_per_element) == (f"int{bits}", "integer", bits)


@pytest.mark.parametrize("name", ["int0", "int04", "INT8", "int100"])
def test_no_other_integers_exist(name: str) -> None:
    with pytest.raises(UnknownNameError, match="without a file: int3"):
        catalog.format_(name)


# Models from a configuration


@pytest.fixture
def config_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "My Llama 0.1B"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2), encoding="utf-8")
    return folder


def test_a_config_json_and_its_folder_are_models(config_folder: Path) -> None:
    record = catalog.model(config_folder / "config.json")
    assert (record.name, record.hidden, record.layers) == ("my-llama-0.1b", 64, 2)
    assert catalog.model(str(config_folder)) == record
    assert catalog.check(config_folder) == record


def test_overrides_of_a_model_are_keys_of_its_configuration(config_folder: Path) -> None:
    record = catalog.model(config_folder, {"num_hidden_layers": "8"})
    assert (record.layers, record.status) == (8, "assumed")
    assert record.source.endswith("config.json; overridden: num_hidden_layers")
    shipped = catalog.model("llama-2-7b", {"num_hidden_layers": 40})
    assert (shipped.layers, shipped.status, shipped.name) == (40, "assumed", "llama-2-7b")
    assert catalog.model("llama-2-7b").layers == 32
    with pytest.raises(UnknownNameError, match=r"no key named 'hidden_siz'\n  nearest: hidden_size"):
        catalog.model("llama-2-7b", {"hidden_siz": 1})
    with pytest.raises(RequestError, match="no configuration left to override"):
        catalog.model(record, {"num_hidden_layers": 8})


def test_a_fault_of_a_model_file_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "tiny-llama.toml"
    file.write_text(MODEL_FILE, encoding="utf-8")
    assert catalog.model(file).hidden == 64
    file.write_text(MODEL_FILE.replace("num_key_value_heads = 2", "num_key_value_heads = 3"), encoding="utf-8")
    with pytest.raises(DescriptionError) as caught:
        catalog.model(file)
    (fault,) = caught.value.faults
    assert (fault.line, fault.path) == (11, "config.num_key_value_heads")
    assert "not a multiple of" in fault.problem


def test_an_unsupported_family_is_named(config_folder: Path) -> None:
    (config_folder / "config.json").write_text(json.dumps({**CONFIG, "model_type": "lama"}), encoding="utf-8")
    with pytest.raises(DescriptionError, match=r"model_type.*did you mean \'llama\'"):
        catalog.model(config_folder)


# Files that are no descriptions


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n  \n", "the file is empty"),
        (b'name = "caf\xe9"\n', "line 1  is not UTF-8 text (byte 0xe9): save it as UTF-8"),
        (b'a = 1\nname = "x', "line 2  is not valid TOML: Unterminated string; the file ends there: is it cut short?"),
        (b"[sm]\nregisters", "line 2  is not valid TOML: Expected '=' after a key in a key/value pair; the file ends"),
        (b"a = 1\nb = = 2\n", "line 2  is not valid TOML: Invalid value (column 5)"),
        (b"a = 1\na = 2\nb = 3\n", "line 2  is not valid TOML: Cannot overwrite a value (column 6); a key or table"),
        (b"a = " + b"[" * 100_000, "lists or tables are nested too deeply"),
        (b"x = 1\n", "describes no chip (family, ...), node (feature_nm, ...), "
     "calibration (library, ...), DRAM (standard, ...), model ([config]"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_description(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "my-chip.toml"
    file.write_bytes(content)
    with pytest.raises(DescriptionError) as caught:
        catalog.check(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_truncated_chip_is_refused_wherever_it_ends(own_chip: Path, share: float) -> None:
    content = own_chip.read_bytes()
    own_chip.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DescriptionError, match=r"tiny-gpu.toml: \d+ fault"):
        catalog.chip(own_chip)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "{",
            "line 1  is not valid JSON: Expecting property name enclosed in double quotes (column 2); the file ends",
        ),
        ('{"a": 1,\n "b" 2}', "line 2  is not valid JSON: Expecting ':' delimiter (column 6)"),
        ("[1, 2]", "expected an object of keys and values, not a list"),
    ],
)
def test_a_config_that_is_no_json_object(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DescriptionError) as caught:
        catalog.model(file)
    assert message in str(caught.value)


def test_a_missing_file_lists_its_neighbours(own_chip: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no file named '.*tiny-gpo.toml'\n  nearest: .*tiny-gpu.toml"):
        catalog.chip(own_chip.with_name("tiny-gpo.toml"))
    with pytest.raises(UnknownNameError, match=r"there is no folder '.*nowhere' either"):
        catalog.chip(own_chip.parent / "nowhere" / "x.toml")


def test_a_folder_is_no_chip(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"is a folder: give a .toml file in it"):
        catalog.chip(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(own_chip: Path) -> None:
    own_chip.chmod(0)
    with pytest.raises(DescriptionError, match="cannot be read: Permission denied"):
        catalog.chip(own_chip)


def test_a_byte_order_mark_is_no_fault(own_chip: Path, tiny_chip: GpuChip) -> None:
    own_chip.write_bytes(b"\xef\xbb\xbf" + own_chip.read_bytes())
    assert catalog.chip(own_chip) == tiny_chip


def test_the_name_must_be_the_stem(own_chip: Path) -> None:
    other = own_chip.rename(own_chip.with_name("my-chip.toml"))
    with pytest.raises(
        DescriptionError, match=r'line 7  name = "tiny-gpu"  must be the file\'s stem: write \'my-chip\''
    ):
        catalog.chip(other)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (
            'family = "gpuu"',
            "line 8  family = \"gpuu\"  unknown family: did you mean 'gpu'? Families: gpu, cpu",
        ),
        ("", "family  missing: one of gpu, cpu"),
        ("family = 5", "line 8  family = 5  unknown family. Families: gpu, cpu"),
    ],
)
def test_an_unknown_family_lists_the_known(own_chip: Path, new: str, message: str) -> None:
    own_chip.write_text(own_chip.read_text(encoding="utf-8").replace('family = "gpu"', new), encoding="utf-8")
    with pytest.raises(DescriptionError) as caught:
        catalog.chip(own_chip)
    assert message in str(caught.value)


# The catalogue itself


def test_a_file_is_read_again_only_after_a_change(own_chip: Path) -> None:
    first = catalog.chip(own_chip)
    assert catalog.chip(own_chip) is first
    own_chip.write_text(own_chip.read_text(encoding="utf-8").replace("count = 4", "count = 16"), encoding="utf-8")
    assert catalog.chip(own_chip).sm.count == 16


def test_a_new_file_needs_no_registration(own_root: Path, tiny_chip_file: Path) -> None:
    assert catalog.names("arch") == ("tiny-gpu",)
    text = tiny_chip_file.read_text(encoding="utf-8").replace("tiny-gpu", "other-gpu")
    (own_root / "arch" / "other-gpu.toml").write_text(text, encoding="utf-8")
    assert catalog.names("arch") == ("other-gpu", "tiny-gpu")
    assert catalog.chip("other-gpu").name == "other-gpu"
    assert catalog.names("sweeps") == ()


def test_a_fault_in_the_catalogue_names_the_file_from_its_folder_on(own_root: Path) -> None:
    file = own_root / "arch" / "gpu" / "tiny-gpu.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("count = 4", "count = 0"), encoding="utf-8")
    with pytest.raises(
        DescriptionError, match=r"^arch/gpu/tiny-gpu.toml: 1 fault\n  line 21  sm.count = 0  must be at least 1$"
    ):
        catalog.chip("tiny-gpu")


def test_two_files_of_one_stem_are_an_error(own_root: Path) -> None:
    shutil.copy(own_root / "arch" / "gpu" / "tiny-gpu.toml", own_root / "arch")
    with pytest.raises(DescriptionError, match=r"has the same stem: a name belongs to one file"):
        catalog.names("arch")


def test_a_package_without_its_descriptions_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "accelsim"
    package.mkdir(parents=True)
    (package.parent / "arch").mkdir()  # somebody else's package of that name
    monkeypatch.setattr(catalog, "__file__", str(package / "catalog.py"))
    with pytest.raises(AccelsimError, match="accelsim was installed without its descriptions"):
        catalog.names("arch")
    (package / "_catalog").mkdir()
    assert catalog.root() == package / "_catalog"


def test_kinds_of_files_outside_of_the_catalogue_are_recognised(tmp_path: Path) -> None:
    model = tmp_path / "tiny-llama.toml"
    model.write_text(MODEL_FILE, encoding="utf-8")
    made = 'name = "fp5"\nkind = "integer"\nbits = 5\nsource = "made for tests"\nstatus = "assumed"\n'
    (tmp_path / "fp5.toml").write_text(made, encoding="utf-8")
    assert isinstance(catalog.check(model), Model)
    assert isinstance(catalog.check(tmp_path / "fp5.toml"), Format)
    assert catalog.format_(tmp_path / "fp5.toml").bits == 5
