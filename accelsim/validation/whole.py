"""Sums of measured kernels of a model, and published times to the first token, beside ours; nothing is fitted to them.

The layers were run by eager PyTorch, one projection after the other, with norms in fp32, and each operator's kernels
were timed on the device. Here they are the same kernels: projections apart, and a pass over memory for every
element-wise step. Adding the residual was not timed. The engine of the first tokens has its scales built in (fp8), and
launches without graphs.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim import catalog
from accelsim.simulation import simulate, simulate_operator
from accelsim.spec.model import Mlp, Model
from accelsim.validation.gpu import Points, Row, Score

Array = npt.NDArray[np.float64]

TABLE: Final = "a6000_llama31_8b_layers_measured.csv"
CHIP: Final = "a6000"
MODEL: Final = "llama-3.1-8b"
FORMAT: Final = "fp16"
LAYERS: Final = "Llama-3.1-8B layer sums"
FIRST_TOKEN: Final = "first token, batch 1"
ASKED: Final = (15.0, np.inf)

NORM: Final = (6, 8, 4, 8, 6, 4)
"""Bytes per element of the passes of an eager RMSNorm: widen, square, mean, scale, narrow, weigh."""

NORM_ROWS: Final = 2
"""Its kernels that touch one number per row: add epsilon, reciprocal root."""

ROTATE: Final = (4, 2, 4, 4, 6)
"""Of an eager rotation of queries or keys: times cosine, negate half, join the halves, times sine, add."""

GATE: Final = (4, 6)
"""Of an eager gated activation: SiLU, product."""

PROJECTIONS: Final = 7

FIRST: Final[Mapping[tuple[str, int], Mapping[str, tuple[float, float]]]] = {
    ("gpt-j-6b", 1): {"h100-sxm": (7e-3, 29e-3), "a100-sxm-80gb": (12e-3, 129e-3), "l40s": (12e-3, 71e-3)},
    ("llama-7b", 1): {"h100-sxm": (7e-3, 36e-3), "a100-sxm-80gb": (16e-3, 133e-3), "l40s": (14e-3, 73e-3)},
    ("llama-2-70b", 4): {"h100-sxm": (26e-3, 109e-3), "a100-sxm-80gb": (47e-3, 377e-3)},
}
"""Seconds to the first token of prompts of 128 and 2,048, by (model, tensor parallelism) and chip.

NVIDIA/TensorRT-LLM at 138f96d, docs/source/performance.md (release 0.6.1, figures of 0.5): fp16 on A100, else fp8.
"""

PROMPTS: Final = (128, 2048)


@dataclass(frozen=True, slots=True)
class _Point:
    """A sum of kernels in seconds."""

    stage: str
    tokens: int
    launches: int
    ours: float
    roofline: float
    measured: float


def rows(folder: Path, baselines: Mapping[str, Array]) -> Iterator[Row]:
    """The layer sums by stage, their projections alone, and the first tokens.

    Args:
        folder: with the table of layer sums.
        baselines: efficiency and offset of a roofline by chip, fitted to GEMMs; chips without take A100's.
    """
    base = baselines["a100-sxm-80gb"]
    points = list(_layers(folder))
    for stage in ("decode", "prefill"):
        yield _row(CHIP, f"{LAYERS}, {stage}", [p for p, _ in points if p.stage == stage], base, asked=ASKED)
    yield _row(CHIP, f"{LAYERS}, linear", [linear for _, linear in points], base)
    for chip, asked in (("a100-sxm-80gb", ASKED), ("h100-sxm", ASKED), ("l40s", None)):
        yield _row(chip, FIRST_TOKEN, list(_first(chip)), baselines[chip], asked=asked)


def _row(
    chip: str, what: str, found: list[_Point], base: Array, asked: tuple[float, float] | None = None
) -> Row:  # fmt: skip
    ours, roof, measured = (np.array([getattr(p, name) for p in found]) for name in ("ours", "roofline", "measured"))
    launches = np.array([p.launches for p in found])
    return Row(
        chip, what, len(found), Score.of(ours, measured), Score.of(roof / base[0] + launches * base[1], measured),
        Score.of(roof, measured), asked,
        points=Points(np.array([p.tokens for p in found], dtype=float), "tokens", measured, ours),
    )  # fmt: skip


def _layers(folder: Path) -> Iterator[tuple[_Point, _Point]]:
    """Whole sums, and those of the projections with the head."""
    with (folder / TABLE).open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            stage, batch, length = row["stage"], int(row["batch"]), int(row["seq"])
            query = length if stage == "prefill" else 1
            measured, linear, attention = (
                float(row[name]) * 1e-3 for name in ("measured_sum_ms", "linear_ms", "attn_ms")
            )
            head = float(row["lmhead_ms"]) * 1e-3
            ours, roof = (_sums(batch, query, length, fidelity) for fidelity in ("event", "roofline"))
            # some attention rows are faster than the memory, or than the matrix units: those compare without it
            counted = attention >= roof.seconds["attention"]
            parts = ("linear", "element-wise", "attention") if counted else ("linear", "element-wise")
            total = measured - (0.0 if counted else attention)
            yield (
                _Point(stage, batch * query, ours.launches, ours.of(parts), roof.of(parts), total),
                _Point(
                    stage, batch * query, PROJECTIONS * _model().layers + 1,
                    ours.seconds["linear"], roof.seconds["linear"], linear + head,
                ),
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sum:
    seconds: Mapping[str, float]
    launches: int

    def of(self, parts: tuple[str, ...]) -> float:
        """Seconds of some parts."""
        return sum(self.seconds[part] for part in parts)


def _sums(batch: int, query: int, length: int, fidelity: str) -> _Sum:
    """Seconds of all layers, the embedding, the last norm and the head of one token per request."""
    model, tokens = _model(), batch * query
    hidden, mixer, mlp = model.hidden, model.decoder[0].layers[0].attention, model.decoder[0].layers[0].feed_forward
    assert isinstance(mlp, Mlp)
    heads, cache = mixer.heads * mixer.head_dim, mixer.kv_heads * mixer.head_dim

    def one(kind: str, **dims: Any) -> float:
        return float(simulate_operator(kind, on=CHIP, format=FORMAT, fidelity=fidelity, **dims).summary["total_time_s"])

    def passes(each: tuple[int, ...], elements: int) -> float:
        return sum(_pass_s(one, size * elements) for size in each)

    norm = passes(NORM, tokens * hidden) + NORM_ROWS * _pass_s(one, 4 * tokens)
    shapes = [(heads, hidden), (cache, hidden), (cache, hidden), (hidden, heads)]
    shapes += [(mlp.intermediate, hidden)] * 2 + [(hidden, mlp.intermediate)]
    layer = {
        "linear": sum(one("matmul", m=tokens, n=n, k=k) for n, k in shapes),
        "element-wise": 2 * norm + passes(ROTATE, tokens * heads) + passes(ROTATE, tokens * cache)
        + passes(GATE, tokens * mlp.intermediate),
        "attention": one(
            "attention", batch=batch, query=query, kv=length, heads=mixer.heads, kv_heads=mixer.kv_heads,
            head_dim=mixer.head_dim, causal=True,
        ),
    }  # fmt: skip
    layers = model.layers
    total = {name: layers * seconds for name, seconds in layer.items()}
    total["linear"] += one("matmul", m=batch, n=model.vocabulary, k=hidden)
    total["element-wise"] += norm + _pass_s(one, 4 * tokens * hidden)
    steps = len(NORM) + NORM_ROWS
    return _Sum(total, layers * (len(shapes) + 2 * steps + 2 * len(ROTATE) + len(GATE) + 1) + steps + 2)


def _pass_s(one: Callable[..., float], moved: int) -> float:
    """A kernel that moves so many bytes: fp16 in and out."""
    return one("relu", elements=max(1, moved // 4))


def _model() -> Model:
    return catalog.model(MODEL)


def _first(chip: str) -> Iterator[_Point]:
    form = "fp16" if chip.startswith("a100") else "fp8_e4m3"
    formats: dict[str, Any] = dict.fromkeys(("weights", "activations", "kv_cache"), form)
    modes: tuple[dict[str, Any], ...] = ({"launch": "stream"}, {"fidelity": "roofline"})
    for (model, chips), printed in FIRST.items():
        for prompt, seconds in zip(PROMPTS, printed.get(chip, ()), strict=False):
            runs = [
                simulate(
                    model, chip, chips=chips, batch=1, prompt=prompt, generate=1, scales="static", **formats, **more
                )
                for more in modes
            ]
            launches = sum(int(row["count"]) for row in runs[0].rows("operators") if row["phase"] == "prefill")
            ours, roof = (float(run.summary["prefill_time_s"]) for run in runs)
            yield _Point("prefill", prompt, launches, ours, roof, seconds)
