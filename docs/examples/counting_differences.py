"""How far the two counting conventions are apart: each difference alone, on Llama-2-7B.

Scenario: A6000 as LLM-Viewer sees it, batch 1, 2,048 tokens, 16 bits, one chip. A line says what the
llm-viewer convention gives for a quantity and what it gives with that one difference mended; `flash` means
the fused attention operator. "all" compares whole phases of both conventions: operations and bytes.
The table in docs/counting.md carries these lines.

Covers: accelsim.timing.llm_viewer, accelsim.graph (counts, footprint).
"""

import tomllib
from dataclasses import replace
from pathlib import Path

from accelsim import units
from accelsim.graph.attention import Formats
from accelsim.graph.build import decode, prefill
from accelsim.graph.counts import attended_pairs, count
from accelsim.graph.footprint import kv_cache_bytes, weight_bytes
from accelsim.graph.operator import Role
from accelsim.graph.transforms import fuse
from accelsim.spec.format.names import from_name
from accelsim.spec.llm_viewer import LlmViewerChip
from accelsim.spec.model import Attention, Group, Layer, Mlp, Model
from accelsim.timing.llm_viewer import Priced, evaluate, peak_ops_per_s, price

CHIPS = Path(__file__).parents[2] / "arch" / "llm-viewer"
TOKENS = 2048  # prompt length, and positions in the cache that a decode step reads
FP16 = from_name("fp16")
FORMATS = Formats(weights=FP16, activations=FP16, kv_cache=FP16, wide=FP16)


def chip(name: str) -> LlmViewerChip:
    return LlmViewerChip.model_validate(tomllib.loads((CHIPS / f"{name}.toml").read_text(encoding="utf-8")))


def decoder(name: str, *, layers: int, hidden: int, heads: int, kv_heads: int, intermediate: int, **changes) -> Model:
    """A decoder-only model from the numbers of its published config.json; Llama's habits unless changed."""
    width = hidden // heads
    attention = Attention(heads=heads, kv_heads=kv_heads, head_dim=width, value_dim=width)
    mlp = Mlp(
        intermediate=intermediate, gated=changes.get("family") != "opt", activation=changes.pop("activation", "silu")
    )
    layer = Layer(attention=attention, feed_forward=mlp, norm="rms", norm_bias=False)
    figures = {"family": "llama", "vocabulary": 32000, "lm_head": "own", **changes}
    return Model(
        source="published config.json", status="datasheet", name=name, hidden=hidden,
        decoder=(Group(repeat=layers, layers=(layer,)),), positions="rope", norm="rms", norm_bias=False,
        max_positions=None, native_format="fp16", **figures,
    )  # fmt: skip


LLAMA = decoder("llama-2-7b", layers=32, hidden=4096, heads=32, kv_heads=32, intermediate=11008)
LLAMA_70B = decoder("llama-2-70b", layers=80, hidden=8192, heads=64, kv_heads=8, intermediate=28672)
OPT = decoder(
    "opt-6.7b",
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=32,
    intermediate=16384,
    family="opt",
    vocabulary=50272,
    lm_head="tied",
    activation="relu",
)
A6000, A100 = chip("llm-viewer-a6000"), chip("llm-viewer-a100-80g")


def tool(phase: str, model: Model = LLAMA, on: LlmViewerChip = A6000, bits: int = 16, flash: bool = False) -> Priced:
    """The convention as it is."""
    return evaluate(
        model, on, phase, batch=1, length=TOKENS, weight_bits=bits, activation_bits=bits, kv_bits=bits, flash=flash
    )


def mended(was: Priced, on: LlmViewerChip = A6000, bits: int = 16, **operators) -> Priced:
    """The same with other counts for some operators, given as `name=lambda row: {field: value}`."""
    rows = [replace(row, **operators[row.name](row)) if row.name in operators else row for row in was.counts.operators]
    return price(replace(was.counts, operators=tuple(rows)), on, peak_ops_per_s(on, bits, bits, bits))


def line(number: int | str, quantity: str, was: float, becomes: float, unit: str) -> None:
    change = 100 * (becomes / was - 1)
    print(f"{number}: {quantity}: {shown(was, unit)} -> {shown(becomes, unit)} ({change:+.2f} %)")


def shown(value: float, unit: str) -> str:
    """Times in milliseconds, so that two of them compare at a glance."""
    return f"{value * 1e3:.3f} ms" if unit == "s" else units.show(value, unit, 5)


def none(number: int, why: str) -> None:
    print(f"{number}: none: {why}")


def main() -> None:
    first, step = tool("prefill"), tool("decode")
    flash = tool("prefill", flash=True)
    ours_prefill = prefill(LLAMA, batch=1, prompt=TOKENS, formats=FORMATS)
    ours_decode = decode(LLAMA, batch=1, prompt=TOKENS, step=1, formats=FORMATS)
    ours = {op.name.rpartition(".")[2]: op for _, op in fuse(ours_prefill)}
    hidden, heads = LLAMA.hidden, 32

    head = count(ours["lm_head"]).flops
    line(1, "decode", step.total("ops"), mended(step, lm_head=lambda _: {"ops": head}).total("ops"), "op")

    read, written = 2 * TOKENS * 11008 * 2, TOKENS * 11008 * 2  # gate and up; their product
    wide = mended(first, mlp_act=lambda row: {"load_act_bytes": read, "store_act_bytes": written})
    line(2, "prefill", first.time_s, wide.time_s, "s")

    both = {name: lambda row: {"load_act_bytes": 2 * row.load_act_bytes} for name in ("attn_add", "mlp_add")}
    line(3, "prefill", first.time_s, mended(first, **both).time_s, "s")

    none(4, "as many key heads as query heads")
    large = tool("prefill", LLAMA_70B, A100)
    queries = mended(large, A100, qk_matmul=lambda row: {"load_act_bytes": 8 * row.load_act_bytes})
    line(4, "Llama-2-70B on A100-80G, prefill", large.time_s, queries.time_s, "s")

    output = TOKENS * hidden * 2
    narrow = mended(flash, fused_attention=lambda _: {"store_act_bytes": output})
    line(5, "flash, prefill", flash.time_s, narrow.time_s, "s")

    none(6, "as many key heads as query heads")
    large = tool("decode", LLAMA_70B, A100, flash=True)
    grouped = mended(large, A100, fused_attention=lambda row: {"load_kv_cache_bytes": row.load_kv_cache_bytes / 8})
    line(6, "Llama-2-70B on A100-80G, flash, decode", large.time_s, grouped.time_s, "s")

    cache = ours["attend"].bytes(Role.KV_CACHE)
    once = mended(flash, fused_attention=lambda _: {"load_kv_cache_bytes": cache})
    line(7, "flash, prefill", flash.time_s, once.time_s, "s")

    pairs = heads * attended_pairs(TOKENS, 0, TOKENS, causal=True, window=None)
    seen = {name: lambda _: {"ops": 2 * pairs * 128} for name in ("qk_matmul", "sv_matmul")}
    line(
        8, "prefill", first.total("ops"), mended(first, softmax=lambda _: {"ops": 5 * pairs}, **seen).total("ops"), "op"
    )

    line(9, "weights", step.counts.footprint.weight_bytes, weight_bytes(ours_prefill), "B")

    grown = kv_cache_bytes(LLAMA, FORMATS, batch=1, context=TOKENS + 1, prompt=TOKENS)
    line(10, "KV cache, decode", step.counts.footprint.kv_cache_bytes, grown, "B")

    none(11, "head width 128 is 4096 / 32")

    none(12, "it has a gate matrix")
    opt = tool("decode", OPT).counts.footprint.weight_bytes
    line(12, "OPT-6.7B, weights of the layers", opt, opt - OPT.layers * 4096 * 16384 * 2, "B")

    four = tool("prefill", bits=4)
    double = price(four.counts, A6000, 2 * peak_ops_per_s(A6000, 4, 4, 4))
    line(13, "4 bits, prefill, rate twice that of int8", four.time_s, double.time_s, "s")

    eight = tool("prefill", bits=8)
    kept = {
        name: lambda row: {"load_act_bytes": 2 * row.load_act_bytes, "store_act_bytes": 2 * row.store_act_bytes}
        for name in ("softmax", "attn_norm", "mlp_norm")
    }
    line(14, "8 bits, prefill, softmax and norms in 16 bits", eight.time_s, mended(eight, bits=8, **kept).time_s, "s")

    none(15, "one chip")

    for phase, was, graph in (
        ("prefill", flash, fuse(ours_prefill)),
        ("decode", tool("decode", flash=True), fuse(ours_decode)),
    ):
        flops = sum(block.repeat * count(op).flops for block, op in graph)
        moved = sum(block.repeat * op.bytes() for block, op in graph)
        line("all", f"flash, {phase}", was.total("ops"), flops, "op")
        line("all", f"flash, {phase}", was.total("bytes"), moved, "B")


main()
