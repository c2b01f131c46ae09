"""Published figures of FPGA overlays beside ours, and the two constants that are fitted to two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from accelsim import catalog
from accelsim.mapping.fpga.fabric import totals
from accelsim.mapping.fpga.operands import density
from accelsim.results import Run
from accelsim.simulation import simulate
from accelsim.spec.fpga import FpgaPart
from accelsim.validation.published import Case, Row

_DFX: Final = "Hong et al., DFX, MICRO 2022, arXiv 2209.10797"
_FLIGHT: Final = "Zeng et al., FlightLLM, FPGA 2024, arXiv 2401.03868"
_DEMO: Final = "FlightLLM/flightllm_test_demo at 4a96251"
_OFF_CHIP: Final = "on_chip.decode"


def _case(what: str, model: str, on: str, figure: str, published: float, source: str, **more: Any) -> Case:
    request = {"prompt": 128, "generate": 512, **more.pop("request", {})}
    given: dict[str, Any] = {"within": None, "role": "predict", **more}
    return Case(
        what=what, model=model, on=on, request=request, figure=figure, published=published, source=source, **given
    )


CASES: Final = (
    _case(
        "GPT-2 345M, one board, decode (32 in, 32 out assumed)", "gpt2-345m", "dfx-u280-1", "decode_tokens_per_s",
        185.19, f"{_DFX}, as StreamTensor's table of related work has it", request={"prompt": 32, "generate": 32},
        within=0.10, role="fit",
    ),
    _case(
        "GPT-2 1.5B (24 heads), four boards, 64 in, 256 out", "gpt2-1.5b-dfx", "dfx-u280-4",
        "time_per_output_token_s", 6.84e-3,
        "IANUS, ASPLOS 2024, arXiv 2410.15008: 1.8 times its own 3.8 ms per token",
        request={"prompt": 64, "generate": 256},
    ),
    _case("DSP slices of the core (39.15 % of 9,024)", "gpt2-345m", "dfx-u280", "dsp", 3533, _DFX, within=0.05),
    _case(
        "Llama-2-7B, share of HBM bandwidth in decode, vectors off the chip", "llama-2-7b", "flightllm-u280",
        "bandwidth_percent", 35.6, _FLIGHT, within=5 / 35.6, role="fit",
    ),
    _case(
        "Llama-2-7B, share of HBM bandwidth in decode, always on the chip", "llama-2-7b", "flightllm-u280",
        "bandwidth_percent_on_chip", 65.9, _FLIGHT, within=5 / 65.9,
    ),
    _case("gain of the sparse chain", "llama-2-7b", "flightllm-u280", "sparse_gain", 1.6, _FLIGHT),
    _case(
        "Llama-2-7B, decode on the board", "llama-2-7b", "flightllm-u280", "decode_tokens_per_s", 55,
        f"{_DEMO}, README: on-board test, figure 1 of the paper; lengths not given",
    ),
    _case(
        "Llama-2-7B, decode", "llama-2-7b", "flightllm-vhk158", "decode_tokens_per_s", 153,
        "comparison table of TENET, secondary; lengths not given",
    ),
    _case(
        "Llama-2-7B, 128 in, 512 out: decode, by the authors' simulator", "llama-2-7b", "flightllm-vhk158",
        "decode_time_s", 4.9464, f"{_DEMO}, profile/README.md", request={"generate": 513},
    ),
    _case(
        "Llama-2-7B, 512 in, 1,536 out: decode, by the authors' simulator", "llama-2-7b", "flightllm-vhk158",
        "decode_time_s", 17.0443, f"{_DEMO}, profile/README.md", request={"prompt": 512, "generate": 1537},
    ),
    _case(
        "Llama-2-7B, prompt of 128, by the authors' simulator", "llama-2-7b", "flightllm-vhk158", "prefill_time_s",
        0.2899, f"{_DEMO}, profile/README.md", request={"generate": 1},
    ),
)  # fmt: skip
"""Every figure of these overlays that this project has a source for."""

PLAUSIBLE: Final[Mapping[str, tuple[float, float]]] = {
    "issue.overhead_cycles": (8.0, 128.0),
    "on_chip.round_trip": (0.2e-6, 10e-6),
}
"""Range of each fitted constant: cycles of an instruction's way to and from a register file; time of a store, an
agreement of the cores and a load."""

FITTED: Final[Mapping[str, tuple[str, int, float]]] = {
    "issue.overhead_cycles": ("dfx-u280-1", 0, 0.5),
    "on_chip.round_trip": ("flightllm-u280", 3, 0.01e-6),
}
"""Constant -> the system and the case that it is fitted on, and the step to which it is rounded."""


def _share(run: Run, part: FpgaPart) -> float:
    decode = next(row for row in run.rows("phases") if row["phase"] == "decode")
    return 100 * float(decode["achieved_bytes_per_s"]) / part.hbm.bandwidth_bytes_per_s


def part_of(name: str) -> FpgaPart:
    """The part of a system, or a lone one, by name."""
    found: Any = catalog.chip(name)
    return found if isinstance(found, FpgaPart) else catalog.part(found)  # type: ignore[return-value]


def ours(case: Case, overrides: Mapping[str, object] | None = None) -> float:
    """Our value of a case.

    Args:
        case: the figure.
        overrides: dotted figures of the system to other values.
    """
    part = part_of(case.on)
    structural: dict[str, Callable[[], float]] = {
        "dsp": lambda: totals(part)["dsp"],
        "sparse_gain": lambda: 1 / density(part, _native(part)),
    }
    if case.figure in structural:
        return structural[case.figure]()
    shares = {"bandwidth_percent": False, "bandwidth_percent_on_chip": True}
    given = dict(overrides or {})
    if case.figure in shares:
        given[_OFF_CHIP] = shares[case.figure]
    run = simulate(case.model, case.on, overrides=given, **case.request)
    if case.figure in shares:
        return _share(run, part)
    return float(run.summary[case.figure]) / case.divide


def _native(part: FpgaPart) -> Any:
    from accelsim.evaluate.resolve import formats_of

    return formats_of(part, None, None, None).weights


def rows() -> tuple[Row, ...]:
    """All cases, computed anew."""
    return tuple(Row(case, ours(case)) for case in CASES)


def fitted(constant: str) -> float:
    """The value of a constant at which its fit row comes out as published, by bisection within its plausible range.

    More of it is slower, so that both figures fall with it.
    """
    _, index, step = FITTED[constant]
    low, high = PLAUSIBLE[constant]
    case = CASES[index]
    while high - low > step / 8:
        middle = (low + high) / 2
        if ours(case, {constant: middle}) > case.published:
            low = middle
        else:
            high = middle
    return round((low + high) / 2 / step) * step
