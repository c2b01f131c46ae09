"""The llm-viewer convention against the survey's Table 1 and against the tool's own output."""

import csv
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import RequestError
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.model import Attention, Group, Layer, Mlp, Model
from accelsim.timing.llm_viewer import evaluate, peak_ops_per_s

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT.parent / "shared" / "reference" / "survey"
VALIDATION = ROOT / "tests" / "validation"

CHIPS = {
    "nvidia_A6000": "llm-viewer-a6000",
    "nvidia_A100_40G": "llm-viewer-a100-40g",
    "nvidia_A100_80G": "llm-viewer-a100-80g",
    "nvidia_H100": "llm-viewer-h100",
    "nvidia_V100": "llm-viewer-v100",
}


def llama(name: str, *, layers: int, hidden: int, heads: int, kv_heads: int, intermediate: int) -> Model:
    head_dim = hidden // heads
    layer = Layer(
        attention=Attention(heads=heads, kv_heads=kv_heads, head_dim=head_dim, value_dim=head_dim, rope_dim=head_dim),
        feed_forward=Mlp(intermediate=intermediate, gated=True, activation="silu"),
        norm="rms",
        norm_bias=False,
    )
    return Model(
        source="published config.json",
        status="datasheet",
        name=name,
        family="llama",
        hidden=hidden,
        vocabulary=32000,
        decoder=(Group(repeat=layers, layers=(layer,)),),
        positions="rope",
        norm="rms",
        norm_bias=False,
        lm_head="own",
        max_positions=4096,
        native_format="fp16",
    )


MODELS = {
    "7b": llama("llama-2-7b", layers=32, hidden=4096, heads=32, kv_heads=32, intermediate=11008),
    "13b": llama("llama-2-13b", layers=40, hidden=5120, heads=40, kv_heads=40, intermediate=13824),
    "70b": llama("llama-2-70b", layers=80, hidden=8192, heads=64, kv_heads=8, intermediate=28672),
}


def chip(name: str) -> LlmViewerChip:
    with (ROOT / "arch" / "llm-viewer" / f"{name}.toml").open("rb") as file:
        return LlmViewerChip.model_validate(tomllib.load(file))


def read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(row: dict[str, str]):
    return evaluate(
        MODELS[row["model"]],
        chip(CHIPS[row["hw"]]),
        row["stage"],
        batch=int(row["batch"]),
        length=int(row["seq"]),
        weight_bits=int(row["w"]),
        activation_bits=int(row["a"]),
        kv_bits=int(row["kv"]),
        flash=row["flash"] == "True",
    )


def table1(phase: str):
    return evaluate(
        MODELS["7b"],
        chip("llm-viewer-a6000"),
        phase,
        batch=1,
        length=2048,
        weight_bits=16,
        activation_bits=16,
        kv_bits=16,
    )


def as_printed(value: float, like: str) -> str:
    """The value with the prefix and as many decimals as the printed figure."""
    prefix = like[-1] if like[-1].isalpha() else ""
    digits = like.rstrip("KMGT")
    decimals = len(digits.partition(".")[2])
    return f"{value / {'': 1, 'K': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12}[prefix]:.{decimals}f}{prefix}"


TABLE1 = read(VALIDATION / "llm_viewer_table1.csv")


def test_table1_has_its_24_rows():
    assert len(TABLE1) == 24


@pytest.mark.parametrize("row", TABLE1, ids=lambda row: f"{row['phase']}-{row['operator']}")
def test_survey_table1_after_rounding_to_its_digits(row):
    alike = {"norm": {"attn_norm", "mlp_norm"}, "add": {"attn_add", "mlp_add"}}.get(row["operator"], {row["operator"]})
    operators = [priced for priced in table1(row["phase"]).operators if priced.counted.name in alike]
    assert len(operators) == len(alike)
    for priced in operators:
        assert as_printed(priced.counted.ops, row["ops"]) == row["ops"]
        assert as_printed(priced.counted.bytes, row["bytes"]) == row["bytes"]
        assert as_printed(priced.intensity_ops_per_byte, row["intensity"]) == row["intensity"]
        assert as_printed(priced.ops_per_s, row["performance"]) == row["performance"]
        assert priced.bound == row["bound"]


def assert_totals(row):
    priced = run(row)
    footprint = priced.counts.footprint
    ours = {
        "OPs": priced.total("ops"),
        "memory_access": priced.total("bytes"),
        "load_weight": priced.total("load_weight_bytes"),
        "load_act": priced.total("load_act_bytes"),
        "store_act": priced.total("store_act_bytes"),
        "load_kv_cache": priced.total("load_kv_cache_bytes"),
        "store_kv_cache": priced.total("store_kv_cache_bytes"),
        "inference_time": priced.time_s,
        "memory_consumption": footprint.bytes,
        "memory_consumption_tmp_act": footprint.act_bytes,
        "memory_consumption_weight": footprint.weight_bytes,
        "memory_consumption_kv_cache": footprint.kv_cache_bytes,
    }
    for column, value in ours.items():
        assert value == pytest.approx(float(row[column]), rel=1e-9, abs=0), (column, row)


def test_selected_totals_of_the_tool():
    rows = read(VALIDATION / "llm_viewer_totals.csv")
    assert len(rows) == 32
    for row in rows:
        assert_totals(row)


def test_all_420_totals_of_the_tool():
    rows = read(REFERENCE / "llm_viewer_totals.csv")
    assert len(rows) == 420
    for row in rows:
        assert_totals(row)


def columns(operator) -> dict[str, float]:
    """An operator under the tool's column names."""
    return {
        "OPs": operator.counted.ops,
        "memory_access": operator.counted.bytes,
        "arithmetic_intensity": operator.intensity_ops_per_byte,
        "performance": operator.ops_per_s,
        "load_weight": operator.counted.load_weight_bytes,
        "load_act": operator.counted.load_act_bytes,
        "store_act": operator.counted.store_act_bytes,
        "load_kv_cache": operator.counted.load_kv_cache_bytes,
        "store_kv_cache": operator.counted.store_kv_cache_bytes,
        "inference_time": operator.time_s,
    }


@pytest.mark.parametrize("stage", ["prefill", "decode"])
@pytest.mark.parametrize("flash", ["False", "True"])
def test_all_64_operator_rows_of_the_tool(stage, flash):
    rows = [
        row for row in read(REFERENCE / "llm_viewer_operators.csv") if row["stage"] == stage and row["flash"] == flash
    ]
    *rows, total = rows
    priced = run(rows[0])
    assert len(rows) == (14 if flash == "True" else 16)
    for row, operator in zip(rows, priced.operators, strict=True):
        assert operator.counted.name == row["op"]
        assert operator.bound == row["bound"]
        for column, value in columns(operator).items():
            assert value == pytest.approx(float(row[column]), rel=1e-12, abs=0), (column, row)
    assert total["op"] == "TOTAL"
    assert priced.total("ops") == pytest.approx(float(total["OPs"]), rel=1e-12, abs=0)
    assert priced.total("bytes") == pytest.approx(float(total["memory_access"]), rel=1e-12, abs=0)
    assert priced.time_s == pytest.approx(float(total["inference_time"]), rel=1e-12, abs=0)


def test_a_decode_step_of_llama_2_7b_on_a6000_takes_18_6369_ms():
    assert table1("decode").time_s * 1e3 == pytest.approx(18.6369, abs=5e-5)
    assert table1("prefill").time_s * 1e3 == pytest.approx(226.8786, abs=5e-5)


points = st.tuples(
    st.integers(1, 512), st.integers(1, 32768), *[st.sampled_from([1, 2, 3, 4, 4.25, 8, 16]) for _ in range(3)]
)


@given(
    st.lists(points, min_size=1, max_size=8),
    st.sampled_from(sorted(MODELS)),
    st.sampled_from(sorted(CHIPS.values())),
    st.sampled_from(["prefill", "decode"]),
    st.booleans(),
)
def test_arrays_give_the_same_numbers_as_scalars(values, model, chip_name, phase, flash):
    names = ("batch", "length", "weight_bits", "activation_bits", "kv_bits")
    columns = dict(zip(names, map(np.array, zip(*values, strict=True)), strict=True))
    hardware = chip(chip_name)
    together = evaluate(MODELS[model], hardware, phase, **columns, flash=flash)
    for index, value in enumerate(values):
        alone = evaluate(MODELS[model], hardware, phase, **dict(zip(names, value, strict=True)), flash=flash)
        for many, one in zip(together.operators, alone.operators, strict=True):
            assert many.counted.name == one.counted.name
            assert many.bound[index] == one.bound
            assert many.time_s[index] == pytest.approx(one.time_s, rel=1e-12, abs=0)
            assert many.intensity_ops_per_byte[index] == pytest.approx(one.intensity_ops_per_byte, rel=1e-12, abs=0)
        for column in ("ops", "bytes", "load_weight_bytes", "store_kv_cache_bytes"):
            total = np.broadcast_to(together.total(column), len(values))[index]
            assert total == pytest.approx(alone.total(column), rel=1e-12, abs=0)
        assert together.time_s[index] == pytest.approx(alone.time_s, rel=1e-12, abs=0)
        assert together.counts.footprint.bytes[index] == pytest.approx(alone.counts.footprint.bytes, rel=1e-12, abs=0)


@pytest.mark.parametrize("bits", [(16, 8, 8), (8, 16, 8), (8, 8, 16)])
def test_one_wide_operand_keeps_the_fp16_rate(bits):
    a6000 = chip("llm-viewer-a6000")
    assert peak_ops_per_s(a6000, *bits) == 154.8385e12
    assert peak_ops_per_s(a6000, 8, 4, 1) == 309.7e12


def without_int8(name: str) -> LlmViewerChip:
    hardware = chip(name)
    return hardware.model_copy(update={"peak": hardware.peak.model_copy(update={"int8_ops_per_s": None})})


def test_narrow_operands_on_a_chip_without_int8_are_refused():
    hardware = without_int8("llm-viewer-a6000")
    sizes = {"batch": 1, "length": 128, "weight_bits": 8}
    with pytest.raises(RequestError, match=r"'llm-viewer-a6000' has no int8 rate.*try 16-bit activations"):
        evaluate(MODELS["7b"], hardware, "decode", **sizes, activation_bits=8, kv_bits=8)
    with pytest.raises(RequestError, match="no int8 rate"):
        evaluate(MODELS["7b"], hardware, "decode", **sizes, activation_bits=np.array([16, 8]), kv_bits=8)
    assert peak_ops_per_s(hardware, 4, 16, 16) == 154.8385e12


@pytest.mark.parametrize(
    ("name", "fp16", "int8", "bandwidth", "onchip"),
    [
        ("llm-viewer-a6000", 309.677e12 / 2, 309.7e12, 768e9, 21504e3),
        ("llm-viewer-a100-40g", 312e12, 624e12, 1555e9, 27648e3),
        ("llm-viewer-a100-80g", 312e12, 624e12, 2039e9, 27648e3),
        ("llm-viewer-h100", 1979e12 / 2, 3958e12 / 2, 3072e9, 33792e3),
        ("llm-viewer-v100", 112e12, 62e12, 900e9, 20480e3),
    ],
)
def test_chips_have_the_figures_of_the_tool(name, fp16, int8, bandwidth, onchip):
    hardware = chip(name)
    assert hardware.name == name
    assert hardware.peak.fp16_flops_per_s == pytest.approx(fp16, rel=1e-15)
    assert hardware.peak.int8_ops_per_s == pytest.approx(int8, rel=1e-15)
    assert hardware.memory.bandwidth_bytes_per_s == pytest.approx(bandwidth, rel=1e-15)
    assert hardware.onchip.capacity_bytes == pytest.approx(onchip, rel=1e-15)


def test_the_docs_table_has_the_effects_that_the_example_prints():
    docs = ROOT / "docs"
    page = (docs / "counting.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    printed = (docs / "examples" / "counting_differences.out").read_text(encoding="utf-8").splitlines()
    assert {line.partition(": ")[0] for line in printed} == {*map(str, range(1, 16)), "all"}
    for line in printed:
        number, _, effect = line.partition(": ")
        assert effect in rows.get(number, page), line
