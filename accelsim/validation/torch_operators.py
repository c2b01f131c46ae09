"""Operators that torch ran one by one on an A100, and the layer that they make up, beside ours.

They were timed on the host around a synchronised call, so that what the host takes is part of every time. It is no
property of the chip: for each operator it is read off half of its rows (a floor for short kernels, a summand for long
ones) and added to ours on the other half, and on the layer, which nothing is read off.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.simulation import simulate, simulate_operator
from accelsim.validation.gpu import Row, Score

Array = npt.NDArray[np.float64]

CHIP: Final = "a100-sxm-80gb"
OPERATORS: Final = ("softmax", "layernorm", "gelu")
SHORT_S: Final = 6e-6
"""Kernels below this hide behind the host."""

LAYER: Final[Mapping[str, Mapping[str, float]]] = {
    "prefill": {
        "attention.qkv_proj": 13.722e-3, "attention.scores": 1.881e-3, "attention.context": 1.183e-3,
        "attention.o_proj": 4.540e-3, "mlp.up_proj": 17.464e-3, "mlp.down_proj": 17.486e-3,
        "attention.softmax": 2.802e-3, "attention_norm": 0.682e-3, "mlp_norm": 0.682e-3, "mlp.activation": 0.524e-3,
        "attention_add.all_reduce": 2.891e-3, "mlp_add.all_reduce": 2.891e-3,
    },
    "decode": {
        "attention.qkv_proj": 212.4e-6, "attention.scores": 106.1e-6, "attention.context": 138.6e-6,
        "attention.o_proj": 68.9e-6, "mlp.up_proj": 186.0e-6, "mlp.down_proj": 186.1e-6,
        "attention.softmax": 16.7e-6, "attention_norm": 48.0e-6, "mlp_norm": 48.0e-6, "mlp.activation": 47.9e-6,
        "attention_add.all_reduce": 26.0e-6, "mlp_add.all_reduce": 26.0e-6,
    },
}  # fmt: skip
"""Seconds of one GPT-3 175B layer on 4 x A100, batch 8: a prompt of 2,048, and a token at context 3,072.

PrincetonUniversity/LLMCompass at 2e015fd, ae/figure5/ijkl/real_hardware, in the order of its plot script. The sizes are
those of OPT-175B, whose activation is ReLU and not GELU; both move the same bytes.
"""

ASKED: Final = {"prefill": 6.0, "decode": 10.0}


VLLM: Final = {"a100": "a100-sxm-80gb", "h100": "h100-sxm"}
WIDTH, INNER = 4096, 11_008
ELEMENTWISE: Final[Mapping[str, tuple[str, int]]] = {
    "input_layernorm": ("rmsnorm", WIDTH),
    "add": ("add", WIDTH),
    "mlp_act": ("mul", INNER),
    "attn_rope": ("relu", 2 * WIDTH),
}
"""Llama-2-7B's element-wise kernels in vLLM of 2023, as the operator of ours that moves the same bytes, and columns."""


@dataclass(frozen=True, slots=True)
class Host:
    """What the host takes around one operator, in seconds.

    Attributes:
        least: of a call, whatever the kernel takes.
        more: beyond a kernel that is longer than what it hides behind.
    """

    least: float
    more: float

    def around(self, kernel_s: float) -> float:
        """Time of a call."""
        return max(self.least, kernel_s + self.more)


@dataclass(frozen=True, slots=True)
class _Point:
    held: bool
    ours: float
    roofline: float
    measured: float


def rows(folder: Path) -> Iterator[Row]:
    """Operators on rows that the host's time was not read off, and the two layers."""
    points = {name: list(_points(folder, name)) for name in OPERATORS}
    hosts = {name: _host([p for p in found if not p.held]) for name, found in points.items()}
    fitted = [p for found in points.values() for p in found if not p.held]
    base = _baseline(np.array([p.roofline for p in fitted]), np.array([p.measured for p in fitted]))
    for name, found in points.items():
        some = [p for p in found if p.held]
        ours = np.array([hosts[name].around(p.ours) for p in some])
        yield _row(
            f"torch {name}", ours, np.array([p.roofline for p in some]), np.array([p.measured for p in some]), base
        )
    for phase in LAYER:
        yield _layer(phase, hosts, base)
    yield from _vllm(folder)


def _vllm(folder: Path) -> Iterator[Row]:
    """Kernels of another library, timed on the device; only the baseline is fitted, to those of the first chip."""
    base: tuple[float, float] | None = None
    for device, chip in VLLM.items():
        found: list[_Point] = []
        with (folder / "vidur_measured.csv").open(encoding="utf-8", newline="") as text:
            for row in csv.DictReader(text):
                if row["device"] == device and row["model"] == "llama2-7b" and row["op"] in ELEMENTWISE:
                    name, columns = ELEMENTWISE[row["op"]]
                    ours, roof = (
                        _operator_s(name, word, chip, rows=int(row["num_tokens"]), columns=columns)
                        for word in ("event", "roofline")
                    )
                    found.append(_Point(True, ours, roof, float(row["median_ms"]) * 1e-3))
        ours_, roof_, measured = (np.array([getattr(p, x) for p in found]) for x in ("ours", "roofline", "measured"))
        base = base or _baseline(roof_, measured)
        yield _row("element-wise (Vidur, vLLM)", ours_, roof_, measured, base, on=chip)


def _row(
    what: str, ours: Array, roof: Array, measured: Array, base: tuple[float, float], *,
    asked: tuple[float, float] | None = None, calls: int = 1, on: str = CHIP,
) -> Row:  # fmt: skip
    fitted = roof / base[0] + calls * base[1]
    return Row(
        on, what, len(measured), Score.of(ours, measured), Score.of(fitted, measured), Score.of(roof, measured), asked
    )  # fmt: skip


def _layer(phase: str, hosts: Mapping[str, Host], base: tuple[float, float]) -> Row:
    measured = LAYER[phase]
    ours, roof = (operators(phase, fidelity) for fidelity in ("event", "roofline"))
    known = {"softmax": hosts["softmax"], "norm": hosts["layernorm"], "activation": hosts["gelu"]}
    # matrix products are single calls as softmax is; all-reduces were timed by a benchmark of their own
    total = sum(
        ours[name] if name.endswith("all_reduce")
        else known.get(name.rpartition(".")[2].rpartition("_")[2], hosts["softmax"]).around(ours[name])
        for name in measured
    )  # fmt: skip
    return _row(
        f"GPT-3 layer on 4, {phase}", np.array([total]), np.array([sum(roof[name] for name in measured)]),
        np.array([sum(measured.values())]), base, asked=(ASKED[phase], np.inf), calls=len(measured),
    )  # fmt: skip


def operators(phase: str, fidelity: str = "event") -> dict[str, float]:
    """Our times of the operators of one layer, in seconds, without the host; by their name in the layer."""
    lengths: dict[str, Any] = {"prompt": 2048, "generate": 1} if phase == "prefill" else {"prompt": 3071, "generate": 2}
    formats: dict[str, Any] = dict.fromkeys(("weights", "activations", "kv_cache"), "fp16")
    run = simulate(
        "opt-175b", CHIP, chips=4, batch=8, fuse=False, fidelity=fidelity,
        overrides={"memory.capacity": "200 GB"}, **lengths, **formats,  # one layer fits; the model does not
    )  # fmt: skip
    found: dict[str, float] = {}
    for row in run.rows("operators"):
        if row["phase"] == phase and row["name"].startswith("layers."):
            name = row["name"].removeprefix("layers.")
            name = "attention.qkv_proj" if name in {f"attention.{x}_proj" for x in "qkv"} else name
            found[name] = found.get(name, 0.0) + row["time_s"] / row["count"]
    return found


def _points(folder: Path, name: str) -> Iterator[_Point]:
    with (folder / "llmcompass_measured_a100.csv").open(encoding="utf-8", newline="") as text:
        for row in csv.DictReader(text):
            if row["op"] != name:
                continue
            m, n = int(row["M"]), int(row["N"] or 1)
            dims: dict[str, Any] = {"elements": m} if name == "gelu" else {"rows": m, "columns": n}
            ours, roof = (_operator_s(name, word, CHIP, **dims) for word in ("event", "roofline"))
            yield _Point(_held(name, m, n), ours, roof, m * n / (float(row["value"]) * 1e9))


def _operator_s(name: str, fidelity: str, on: str, **dims: Any) -> float:
    """The harness calls each operator again and again."""
    state: dict[str, Any] = {"residency": "steady"} if fidelity == "event" else {}
    run = simulate_operator(name, on=on, format="bf16", fidelity=fidelity, **state, **dims)
    return float(run.summary["total_time_s"])


def _held(name: str, m: int, n: int) -> bool:
    return int(hashlib.sha256(repr(("held", name, m, n)).encode()).hexdigest(), 16) % 2 == 0


def _host(found: list[_Point]) -> Host:
    """What brings ours nearest to measured in the mean of |ln|; the floor is the median of what hides behind it."""
    from scipy import optimize

    least = float(np.median([p.measured for p in found if p.ours < SHORT_S]))

    def loss(more: float) -> float:
        host = Host(least, more)
        return float(np.mean([abs(np.log(host.around(p.ours) / p.measured)) for p in found]))

    best = optimize.minimize_scalar(loss, bounds=(0.0, least), method="bounded", options={"xatol": 1e-8})
    return Host(least, float(best.x))


def _baseline(roof: Array, measured: Array) -> tuple[float, float]:
    """Efficiency and offset in seconds that minimise the mean of |ln|."""
    from scipy import optimize

    def loss(point: Array) -> float:
        return float(np.abs(np.log((roof / np.exp(point[0]) + np.exp(point[1])) / measured)).mean())

    best = optimize.minimize(loss, np.log([0.75, 30e-6]), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9})
    return float(np.exp(best.x[0])), float(np.exp(best.x[1]))
