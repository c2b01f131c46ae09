"""Has every format a cost on every node, and is it larger where it must be?"""

from __future__ import annotations

import itertools
import math
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from accelsim import catalog
from accelsim.cost import of
from accelsim.cost.fit import circuit, fit
from accelsim.cost.model import WORKS, FormatCost
from accelsim.errors import DescriptionError, RequestError, UnknownNameError
from accelsim.spec.format import KINDS, Format
from accelsim.spec.format.names import from_name

NODES = catalog.names("nodes")
FAMILIES = ("posit6", "posit2", "flint3u", "uint3", "int1", "e3m2", "binary8p3se", "binary6p3uf", "ue4m3", "dybit6u")
SHIPPED = catalog.names("formats")


@pytest.mark.parametrize("name", [*SHIPPED, *FAMILIES, "int4_g128", "fp8_e4m3_tensor", "flint4_channel", "posit8_g32"])
def test_every_format_has_a_cost_on_every_node(name: str) -> None:
    for node in NODES:
        cost = of(name, node)
        for work in WORKS:
            joules = getattr(cost, f"{work}_j")
            assert math.isfinite(joules)
            assert 0 <= joules < 1e-10
            assert (getattr(cost, f"{work}_m2") or 0) >= 0
        assert cost.mac_j > 0
        assert cost.encode_j > 0 or name == "fp32"
        assert cost.convert_j >= cost.decode_j
        assert cost.status in ("derived", "assumed")
        assert catalog.node(node).source in cost.source


def test_every_kind_of_format_is_among_them() -> None:
    assert {catalog.format_(name).kind for name in (*SHIPPED, *FAMILIES)} == set(KINDS)


def test_every_pair_can_be_multiplied_whatever_the_accumulator() -> None:
    names = ("int4", "bf16", "mxfp4", "nvfp4", "posit8", "lns8", "nf4_b64", "gguf_q4_k", "olive4", "mx6", "ternary")
    for first, second in itertools.product(names, repeat=2):
        for into in ("fp32", "fp16", "int32", "exact", "dot16"):
            assert of(first, "45nm", second, into).mac_j == pytest.approx(of(second, "45nm", first, into).mac_j)


def test_figures_are_sums_of_their_terms() -> None:
    cost = of("mxfp8_e4m3", "45nm")
    constants = fit(catalog.node("45nm"))
    for work in WORKS:
        assert getattr(cost, f"{work}_j") == pytest.approx(constants.energy_j(cost.terms[work]))
        assert all(term.per >= 1 for term in cost.terms[work])
    parts = {term.name: term for term in cost.terms["mac"]}
    assert parts["accumulate"].per == 32
    assert parts["multiply"].gates.ands == 16
    with pytest.raises(FrozenInstanceError):
        cost.mac_j = 0.0  # type: ignore[misc]


# Constants


@pytest.mark.parametrize("node", NODES)
def test_integers_lie_near_the_constant_fitted_to_them_and_fp16_on_its_factors(node: str) -> None:
    record = catalog.node(node)
    constants = fit(record)
    ratios = {}
    for row in record.operation:
        style = "plain" if row.format.startswith("int") else row.name
        cells_j = circuit(row).area_m2(record.cells) * constants.joules_per_m2
        ratios[row.name, row.format] = cells_j * constants.energy_factor[style] / row.energy_j
    integers = [ratio for (_, format_), ratio in ratios.items() if format_.startswith("int")]
    assert math.prod(integers) == pytest.approx(1)
    assert all(0.8 < ratio < 1.25 for ratio in integers)
    assert ratios["add", "fp16"] == pytest.approx(1)
    assert ratios["multiply", "fp16"] == pytest.approx(1)


def test_the_factors_of_float_units_hardly_depend_on_the_node() -> None:
    old, new = (fit(catalog.node(node)).energy_factor for node in ("45nm", "7nm"))
    assert old["add"] == pytest.approx(new["add"], rel=0.02)
    assert old["multiply"] == pytest.approx(new["multiply"], rel=0.12)


def test_an_int8_and_a_bf16_unit_cost_what_the_chips_are_priced_with() -> None:
    assert of("int8").mac_j == pytest.approx(0.10e-12, rel=0.1)
    assert of("bf16").mac_j == pytest.approx((0.21 + 0.38) * 1e-12, rel=0.15)
    assert of("fp16").mac_j == pytest.approx((0.34 + 0.38) * 1e-12, rel=0.15)


# Order


def rising(*costs: float | None) -> None:
    known = [cost for cost in costs if cost is not None]
    assert len(known) == len(costs)
    assert all(low < high for low, high in itertools.pairwise(known)), known


@pytest.mark.parametrize("node", NODES)
def test_wider_products_cost_more(node: str) -> None:
    rising(*(of(name, node).mac_j for name in ("int2", "int4", "int8", "fp8_e4m3", "bf16", "fp16", "fp32")))
    rising(*(of(name, node, accumulator="fp32").mac_j for name in ("e4m1", "e4m2", "e4m3", "e4m4", "e4m5")))
    rising(*(of(name, node, accumulator="fp32").mac_j for name in ("posit6", "posit8", "posit12", "posit16")))
    rising(*(of("fp8_e4m3", node, accumulator=into).mac_j for into in ("dot16", "bf16", "fp16", "fp32")))
    rising(*(of(name, node).mac_j for name in ("mx4", "mx6", "mx9")))
    rising(*(of(name, node).mac_j for name in ("mxfp4", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp8_e4m3")))
    rising(of("bf16", node, "int4").mac_j, of("bf16", node, "bf16").mac_j)


@pytest.mark.parametrize("node", NODES)
def test_decoders_cost_what_their_codes_ask_for(node: str) -> None:
    decode = {name: of(name, node).decode_j for name in SHIPPED}
    rising(decode["int8"], decode["fp8_e4m3"], decode["posit8"], decode["posit16"], decode["posit32"])
    rising(decode["flint3"], decode["flint4"], decode["flint8"])
    rising(decode["fp4_e2m1"], decode["flint4"], decode["olive4_flint"])
    assert decode["takum16"] < decode["posit16"], "what takums are for"
    assert decode["ternary"] < decode["ternary_packed"]
    assert decode["int8"] == 0


def test_scales_are_decoded_once_per_block_and_applied_once_per_element_only_in_a_conversion() -> None:
    element, block = of("fp4_e2m1", "45nm"), of("mxfp4", "45nm")
    scale = of("ue8m0", "45nm")
    assert block.decode_j == pytest.approx(element.decode_j + scale.decode_j / 32)
    assert of("int4_g128", "45nm").decode_j < of("int4_g128", "45nm").convert_j / 10
    rising(*(of(name).mac_j for name in ("zeroquant_fp4", "mxfp4", "nvfp4")))  # blocks of 256, 32, and 16 by a float
    assert of("mxfp4").encode_j < of("nvfp4").encode_j < of("nvfp4_4over6").encode_j


def test_stochastic_rounding_adds_an_adder() -> None:
    plain, random = of("fp8_e4m3", "45nm"), of("fp8_e4m3", "45nm", stochastic_bits=13)
    adder = 13 * catalog.node("45nm").cells.full_adder_m2
    assert random.encode_m2 is not None
    assert plain.encode_m2 is not None
    assert random.encode_m2 - plain.encode_m2 == pytest.approx(adder)
    assert random.mac_j == plain.mac_j


# What is not known, and what is not there


def test_areas_are_given_where_the_node_has_them() -> None:
    assert None not in {getattr(of("fp16", "45nm"), f"{work}_m2") for work in WORKS}
    seven = of("fp16", "7nm")
    assert seven.mac_m2 is None, "no source has the area of a float unit at 7 nm"
    assert seven.decode_m2 is not None
    assert of("int8", "7nm").mac_m2 is not None


def test_other_records_and_paths_are_taken_as_well() -> None:
    by_name = of("mxfp4", "7nm")
    assert isinstance(by_name, FormatCost)
    assert of(catalog.format_("mxfp4"), catalog.node("7nm")) == by_name
    assert of(catalog.path("formats", "mxfp4"), catalog.path("nodes", "7nm")) == by_name
    assert (by_name.format, by_name.other, by_name.node, by_name.accumulator) == ("mxfp4", "mxfp4", "7nm", "fp32")
    assert of("int4", other="bf16").accumulator == "fp32"
    assert of("flint4").accumulator == "int32"


@pytest.mark.parametrize("node", ["7", "5nm", "45 nm"])
def test_an_unknown_node_lists_the_known(node: str) -> None:
    with pytest.raises(UnknownNameError, match=r"no node named .*\n  .*all: accelsim list nodes"):
        of("bf16", node)


@pytest.mark.parametrize("into", ["fp", "int8_g32", "posit8", "dot", "int0", " "])
def test_an_unknown_accumulator_is_refused(into: str) -> None:
    with pytest.raises(RequestError, match=f"no accumulator named '{into}': take a float"):
        of("bf16", accumulator=into)


def test_a_kind_without_rules_is_refused() -> None:
    class Odd(Format):
        kind: str = "odd"
        bits: int = 4

    odd = Odd(name="odd", kind="odd", source="made for tests", status="assumed")
    with pytest.raises(RequestError, match="no hardware cost for formats of kind 'odd'"):
        of(odd)


def test_impossible_random_bits_are_refused() -> None:
    with pytest.raises(RequestError, match="stochastic_bits = -1"):
        of("fp16", stochastic_bits=-1)


# Nodes as descriptions


def test_a_node_of_ones_own_needs_a_file_only(tmp_path: Path) -> None:
    text = catalog.path("nodes", "45nm").read_text(encoding="utf-8").replace('"45nm"', '"my-node"')
    file = tmp_path / "my-node.toml"
    file.write_text(text.replace('"0.4 pJ/op"', '"0.8 pJ/op"'), encoding="utf-8")
    assert catalog.check(file).name == "my-node"
    assert of("fp32", file).mac_j > 1.1 * of("fp32", "45nm").mac_j
    assert of("int8", file).mac_j == of("int8", "45nm").mac_j


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('format = "fp16"', 'format = "fp24"', "missing: add of fp16, multiply of fp16"),
        ('format = "int16"', 'format = "int8"', "add of int8 is described twice"),
        ('mux = "1.862 um2"\n', "", "cells.mux  missing"),
        ('full_adder = "4.256 um2"', 'full_adder = "4.256 pJ"', "full_adder.*expected an area"),
    ],
)
def test_faults_of_a_node_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = catalog.path("nodes", "45nm").read_text(encoding="utf-8").replace('"45nm"', '"my-node"')
    assert old in text
    file = tmp_path / "my-node.toml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DescriptionError, match=message):
        catalog.node(file)


def test_nodes_are_a_kind_of_their_own_and_no_chips() -> None:
    assert set(NODES) == {"45nm", "7nm"}
    assert not set(NODES) & set(catalog.names("arch"))
    assert catalog.find("7nm") == ("nodes", catalog.path("nodes", "7nm"))
    for name in NODES:
        assert catalog.node(name).name == name
        for row in catalog.node(name).operation:
            assert from_name(row.format).bits > 0
