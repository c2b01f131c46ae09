"""Where each property of `matrix` holds, fails or means nothing.

`python -m tests.numerics.matrix_rows` writes the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.numerics.matrix import PROPERTIES

INTRODUCTION = (
    "# What holds for which formats", "",
    "Made by `python -m tests.numerics.matrix_rows` from what `tests/numerics/test_properties.py` tests. A number",
    "leads to a counterexample below, which a test replays; `–` means that the question does not arise, `?` that",
    "nothing is promised though no counterexample is known. Formats that own scales choose them anew every time.", "",
)  # fmt: skip

PAGE = Path(__file__).parents[2] / "docs" / "formats-properties.md"


@dataclass(frozen=True)
class Fails:
    """A counterexample: numbers for which a property fails, and why; of the row's first format, or of another."""

    x: tuple[float, ...]
    why: str
    name: str = ""


@dataclass(frozen=True)
class Silent:
    """No test: the property means nothing here, or is not promised though no counterexample is known."""

    why: str


ELEMENTWISE = Silent("a grid without a scale")
NO_SETTING = Silent("nothing is chosen for the whole tensor")
SCALED = Silent("scales come from the data")
ONE_SCALE = Silent("all elements share what is chosen")
NOT_PROMISED = Silent("not promised; no counterexample known")
UNSIGNED = Fails((1.0,), "no negative values")
OWN_VALUES = "the scale of the rounded numbers is another one"


@dataclass(frozen=True)
class Row:
    """Formats of a kind that have the same properties.

    Attributes:
        kind: of their descriptions.
        what: tells rows of a kind apart.
        names: all of them.
        but: properties that do not hold for all of them.
        scaled: whether they own scales.
        parameters: changes to the descriptions.
        slow: whether a number takes so long that only the long run looks at them.
    """

    kind: str
    what: str
    names: tuple[str, ...]
    but: dict[str, Fails | Silent] = field(default_factory=dict)
    scaled: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    slow: bool = False

    def cell(self, name: str) -> Fails | Silent | None:
        """What stands against a property; None if it holds."""
        usual: dict[str, Fails | Silent] = (
            {"exact": SCALED, "idempotent at a given scale": NO_SETTING}
            if self.scaled
            else {"scales through": ELEMENTWISE, "idempotent at a given scale": ELEMENTWISE}
        )
        found = {**usual, **self.but}.get(name)
        return None if isinstance(found, Silent) and not found.why else found

    @property
    def label(self) -> str:
        """Kind and what else."""
        return f"{self.kind}, {self.what}" if self.what else self.kind


HOLDS = Silent("")
"""Takes back what is usual."""

SETTING: dict[str, Fails | Silent] = {"idempotent at a given scale": HOLDS}
WHOLE: dict[str, Fails | Silent] = {"independent of neighbours": ONE_SCALE}

MX = tuple(f"mxfp{e}{rule}" for e in ("4", "8_e4m3", "8_e5m2") for rule in ("", "_ceil", "_even", "_rceil"))
MX += tuple(f"mxfp6_{e}{rule}" for e in ("e2m3", "e3m2") for rule in ("", "_rceil"))
MX += tuple(f"mxint8{rule}" for rule in ("", "_ceil", "_even", "_rceil"))

ROWS = (
    Row("float", "signed", (
        "fp32", "tf32", "fp16", "bf16", "fp8_e3m4", "fp8_e4m3", "fp8_e4m3_b11fnuz", "fp8_e4m3_fnuz", "fp8_e4m3_ieee",
        "fp8_e5m2", "fp8_e5m2_fnuz", "fp6_e2m3", "fp6_e3m2", "fp4_e2m1",
    )),
    Row("float", "unsigned", ("ue4m3", "ue5m3", "ue8m0", "cfloat16_uhp"), {"odd": UNSIGNED}),
    Row("p3109", "signed", ("binary4p2sf", "binary6p3sf", "binary8p3se", "binary8p4se", "binary8p5se")),
    Row("p3109", "unsigned", ("binary8p1uf", "binary8p4ue"), {"odd": UNSIGNED}),
    Row("integer", "", ("int8", "int4", "int3", "int2"), {"odd": Fails((-128.0,), "-128 has no opposite")}),
    Row("posit", "", ("posit32", "posit16", "posit16_es1", "posit8", "posit8_es0", "alps8")),
    Row("takum", "", ("takum32", "takum16", "takum8", "takum_log8")),
    Row("takum", "logarithmic", ("takum_log16",), slow=True),
    Row("hif8", "", ("hif8",)),
    Row("lns", "", ("lns8",)),
    Row("lns", "16 bits", ("lns16",), slow=True),
    Row("flint", "signed", ("flint8", "flint4", "flint3")),
    Row("flint", "unsigned", ("flint8u", "flint4u"), {"odd": UNSIGNED}),
    Row("dybit", "", ("dybit8", "dybit4")),
    Row("power_of_two", "signed", ("apot5", "pot4")),
    Row("power_of_two", "unsigned", ("apot4u",), {"odd": UNSIGNED}),
    Row("abfloat", "", ("abfloat4", "abfloat4_b3", "abfloat8"), {
        "odd": Fails((0.0,), "no zero: it becomes the smallest positive value"),
    }),
    Row("codebook", "symmetric", ("ternary", "ternary_packed")),
    Row("codebook", "without zero", ("binary",), {"odd": Fails((0.0,), "zero becomes 1")}),
    Row("codebook", "asymmetric", ("nf4",), {"odd": Fails((0.625,), "the positive levels are others")}),
    Row("adaptivfloat", "", ("adaptivfloat8", "adaptivfloat4"), SETTING, scaled=True),
    Row("cfloat", "", ("cfloat16_shp", "cfloat8_143", "cfloat8_152"), SETTING, scaled=True),
    Row("adaptive", "per tensor", ("ant4",), {
        **WHOLE, "idempotent": NOT_PROMISED,
        "nearest": Fails((-3.0, 7.0, 5.0, -8.0, 7.375), "the -8 of its int4 is never written"),
    }, scaled=True),
    Row("adaptive", "per group", ("ant4_g128",), {
        "idempotent": NOT_PROMISED,
        "nearest": Fails((-7.875, -6.125, -5.0, -7.0), "the -8 of its int4 is never written"),
    }, scaled=True),
    Row("adaptive", "searched bias", ("llm_fp4",), {**WHOLE, "idempotent": NOT_PROMISED}, scaled=True),
    Row("block", "OCP MX", MX, scaled=True),
    Row("block", "power of two", ("zeroquant_fp4",), scaled=True),
    Row("block", "largest magnitude, per group", ("int8_g128", "int4_g128", "int3_g128", "deepseek_fp8"), scaled=True),
    Row("block", "largest magnitude, per channel", ("int8_channel", "int4_channel"), scaled=True),
    Row("block", "largest magnitude, per tensor", ("int8_tensor",), WHOLE, scaled=True),
    Row("block", "asymmetric levels", ("nf4_b64",), {
        "odd": Fails((1.0, -0.25), "the positive levels are others"),
    }, scaled=True),
    Row("block", "double quantisation", ("nf4_b64_dq",), {
        "odd": Fails((1.0, -0.25), "the positive levels are others"), "idempotent": NOT_PROMISED,
        "independent of neighbours": Fails((1.0,), "scales are stored less their mean, in shared steps"),
    }, scaled=True),
    Row("block", "zero point, per group", ("uint4_g128_zp", "uint8_g128_zp", "uint3_g128_zp", "uint2_g64_zp"), {
        "idempotent": Fails((-7.375, 7.375), OWN_VALUES), "odd": Fails((-7.875, 7.875), "the zero point is rounded"),
    }, scaled=True),
    Row("block", "zero point, per channel", ("uint4_channel_zp", "uint8_channel_zp"), {
        "idempotent": Fails((-8.0, 8.0), OWN_VALUES), "odd": Fails((6.125, -6.125), "the zero point is rounded"),
    }, scaled=True),
    Row("block", "zero point, per tensor", ("uint8_tensor_zp",), {
        **WHOLE, "idempotent": Fails((8.0, -8.0), OWN_VALUES), "odd": NOT_PROMISED,
    }, scaled=True),
    Row("block", "mean magnitude", ("bitnet_ternary",), {
        **WHOLE, "idempotent": Fails((0.0, 1.0), OWN_VALUES),
    }, scaled=True),
    Row("block", "least squared error", ("int4_g128",), {
        "idempotent": Fails((-218.0, -26.0), OWN_VALUES),
        "odd": Fails((-0.5, 0.25), "clipped magnitudes reach -8 and 7"),
    }, scaled=True, parameters={"scale_rule": "mse"}),
    Row("block", "percentile", ("int4_g128",), {
        "idempotent": NOT_PROMISED, "nearest": NOT_PROMISED,
        "odd": Fails((1.0,) * 9 + (8.0,), "clipped magnitudes reach -8 and 7"),
    }, scaled=True, parameters={"scale_rule": "percentile", "percentile": 90.0}),
    Row("two_level_block", "", ("nvfp4",), {
        "idempotent": Fails((3.987962484359741,), OWN_VALUES), "idempotent at a given scale": NOT_PROMISED,
        "nearest": Fails((7.0, -0.875), "the definition's steps in fp32 round more than once"),
    }, scaled=True),
    Row("two_level_block", "4 over 6", ("nvfp4_4over6",), {
        "idempotent": NOT_PROMISED, "idempotent at a given scale": NOT_PROMISED,
        "nearest": Fails((1.0, 1.375, 8.0), "the definition's steps in fp32 round more than once"),
    }, scaled=True),
    Row("microexponent", "one level", ("bfp16", "msfp12", "msfp16"), scaled=True),
    Row("microexponent", "two levels", ("mx4", "mx6", "mx9"), {
        "monotone": Fails((-0.9097425937652588, -0.9222352504730225, -1.0), "pairs have steps of their own", "mx6"),
    }, scaled=True),
    Row("gguf", "one level", ("gguf_q8_0", "gguf_q4_0"), {
        "nearest": Fails((4.25, -4.0), "codes are made with the scale before it is rounded to fp16"),
    }, scaled=True),
    Row("gguf", "Q4_K", ("gguf_q4_k",), {
        "idempotent": Fails((12.375, *[0.0] * 14, -11.0, *[0.0] * 16, 2.1790027618408203, -1.75), OWN_VALUES),
        "monotone": Fails((0.0,) * 6 + (8.0, -8.0, 8.0) + (0.0,) * 24, "32 elements have steps of their own"),
        "odd": Fails((1.0,), "minima are at most zero"),
    }, scaled=True),
    Row("gguf", "Q6_K", ("gguf_q6_k",), {
        "idempotent": Fails((0.0,) * 7 + (8.0,) + (0.0,) * 8 + (1.1662927865982056,), OWN_VALUES),
        "monotone": Fails((0.0,) * 5 + (-8.0, 0.0, 0.14098218083381653, 0.14587721228599548) + (0.0,) * 8,
                          "16 elements have steps of their own"),
    }, scaled=True),
    Row("outlier_list", "centroids", ("gobo3",), {
        **WHOLE,
        "idempotent": Fails((0.375, 1.0, 0.27074888348579407, 1.0, -0.625, 1.0, 0.0, 1.0, 1.0), OWN_VALUES),
        "monotone": Fails((8.0, 5.0, 8.0, *[0.0] * 14), "outliers are kept as they are"),
        "odd": Fails((4.5, 0.0, 0.0, 5.0, *[0.0] * 5), "the search for centroids starts at the smallest"),
        "scales through": Fails((0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0, -0.9404096603393555), "sums in fp32"),
    }, scaled=True),
    Row("outlier_list", "16 bits", ("olaccel4", "olaccel4_chunk"), WHOLE, scaled=True),
    Row("outlier_pair", "", ("olive8", "olive4", "olive4_flint"), {
        **SETTING, "idempotent": Fails((0.0, 1.0), OWN_VALUES),
        "monotone": Fails((0.0,) * 7 + (-12.0, 0.0, 0.0, -1.0, -66.0), "the neighbour of an outlier becomes zero"),
        "nearest": Fails((0.0,) * 8 + (1.0, -5.0, 0.0, 0.0), "the neighbour of an outlier becomes zero"),
    }, scaled=True),
    Row("prepacked", "", ("fp6_llm",), scaled=True),
)  # fmt: skip


def page() -> str:
    """The matrix as a page of the docs."""
    heads = list(PROPERTIES)
    meant = [f"- **{name}**: {(function.__doc__ or '').splitlines()[0]}" for name, function in PROPERTIES.items()]
    lines = [*INTRODUCTION, *meant, "", f"| formats | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    notes: list[str] = []
    for row in ROWS:
        cells = [_cell(row, name, notes) for name in heads]
        lines.append(f"| {row.label}: {', '.join(row.names)} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *notes, ""])


def _cell(row: Row, name: str, notes: list[str]) -> str:
    found = row.cell(name)
    if found is None:
        return "yes"
    if isinstance(found, Silent):
        return "?" if found is NOT_PROMISED else "–"
    numbers = ", ".join(f"{v:.17g}" for v in found.x)
    notes.append(f"{len(notes) + 1}. {found.name or row.names[0]}, {name}: {found.why}; fails for [{numbers}]")
    return f"no, {len(notes)}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
