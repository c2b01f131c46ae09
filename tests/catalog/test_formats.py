"""Every shipped number format: readable, named like its file, and with bits that its own prose adds up to."""

from __future__ import annotations

import math
import re
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from accelsim import catalog
from accelsim.errors import AccelsimError
from accelsim.spec.base import STATUSES
from accelsim.spec.format import KINDS, Format
from accelsim.spec.format.names import from_name

ROOT = Path(__file__).resolve().parents[2]
FILES = {file.stem: file for file in sorted((ROOT / "dataformats").rglob("*.toml"))}

# name: (bits of a code, bits stored per element), as the standards and papers give them
PUBLISHED = {
    "fp32": (32, 32), "tf32": (19, 32), "fp16": (16, 16), "bf16": (16, 16), "fp8_e4m3": (8, 8), "fp8_e5m2": (8, 8),
    "fp6_e2m3": (6, 6), "fp6_e3m2": (6, 6), "fp4_e2m1": (4, 4), "int8": (8, 8), "int4": (4, 4), "int3": (3, 3),
    "int2": (2, 2), "int4_g128": (4, 4.125), "mxfp8_e4m3": (8, 8.25), "mxfp8_e5m2": (8, 8.25), "mxfp6_e2m3": (6, 6.25),
    "mxfp6_e3m2": (6, 6.25), "mxfp4": (4, 4.25), "mxint8": (8, 8.25), "nvfp4": (4, 4.5), "mx9": (8, 9), "mx6": (5, 6),
    "mx4": (3, 4), "nf4": (4, 4), "nf4_b64": (4, 4.5), "ue8m0": (8, 8),
    "posit8": (8, 8), "posit16": (16, 16), "flint4": (4, 4),
}  # fmt: skip

_SUM = re.compile(r"(\d+(?: \+ \d+(?:/\d+)?)+) = ([\d.]+) bits per element")


def _format(name: str) -> Format:
    return catalog.format_(name)


def _raw(name: str) -> dict[str, Any]:
    return tomllib.loads(FILES[name].read_text(encoding="utf-8"))


def _prose(name: str) -> str:
    lines = []
    for line in FILES[name].read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines)


def test_the_formats_of_the_design_ship():
    assert set(FILES) >= set(PUBLISHED)


@pytest.mark.parametrize("name", FILES)
def test_a_format_is_named_and_filed_by_what_it_is(name):
    record = _format(name)
    assert record.name == _raw(name).get("alias_of", name)
    assert isinstance(record, KINDS[record.kind])
    assert FILES[name].parent.name == record.kind
    assert len(record.source) > 10
    assert record.status in STATUSES
    assert len(_prose(name)) > 60, "opens with prose"


@pytest.mark.parametrize("name", PUBLISHED)
def test_bits_are_those_of_the_definition(name):
    record = _format(name)
    assert (record.bits, record.bits_per_element) == PUBLISHED[name]
    assert math.isclose(record.bytes_per_element * 8, PUBLISHED[name][1])


@pytest.mark.parametrize("name", [name for name in FILES if _format(name).block > 1])
def test_the_prose_of_a_block_format_adds_up(name):
    record = _format(name)
    found = _SUM.search(_prose(name))
    assert found, "the prose does the arithmetic of bits_per_element"
    assert (
        sum(Fraction(part) for part in found[1].split(" + ")) == Fraction(found[2]) == Fraction(record.bits_per_element)
    )
    assert str(record.block) in _prose(name)
    assert f"/{record.block}" in found[1], "the scale is shared by the block"


@pytest.mark.parametrize("name", [name for name in FILES if "element" in _raw(name)])
def test_the_elements_of_a_block_format_are_a_format_with_the_same_bits(name):
    assert catalog.format_(_raw(name)["element"]).bits == _format(name).bits


@pytest.mark.parametrize("name", [name for name in FILES if _format(name).kind == "float"])
def test_a_float_name_adds_up(name):
    fields = re.search(r"e(\d)m(\d)$", name)
    if fields:
        assert _format(name).bits == (f"ue{fields[1]}m" not in name) + int(fields[1]) + int(fields[2])


@pytest.mark.parametrize("name", FILES)
def test_a_name_that_states_its_parameters_means_what_its_file_says(name):
    try:
        stated = from_name(name)
    except AccelsimError:
        return  # a name that has to be looked up
    assert stated.definition() == _format(name).definition()


def test_only_tf32_takes_more_room_than_its_bits_without_a_scale():
    padded = {name for name in FILES if (f := _format(name)).kind == "float" and f.bits != f.bits_per_element}
    assert padded == {"tf32"}
