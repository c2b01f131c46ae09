"""The command timeline: what is drawn is what the kernel was told, and modes stand where commands change them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from matplotlib.text import Text

import accelsim
from accelsim import cli
from accelsim.errors import RequestError
from accelsim.report.commands import ACT, BANKS, PRODUCT, boxes
from accelsim.report.modes import modes
from accelsim.results import Run

KERNELS: dict[str, tuple[str, dict[str, int]]] = {
    "hbm-pim-1pch": ("matmul", {"m": 1, "n": 64, "k": 256}),
    "hbm-pim-4pch": ("add", {"elements": 8192}),
    "gddr6-aim-1ch": ("matmul", {"m": 1, "n": 32, "k": 2048}),
}


def kernel(on: str, **more: Any) -> Run:
    kind, sizes = KERNELS[on]
    return accelsim.simulate_operator(kind, on=on, **sizes, **more)


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_the_modes_of_hbm_pim_follow_from_its_commands() -> None:
    """The public simulator's log, and so research on it: the fourth magic activation at 106, the program at 166."""
    run = kernel("hbm-pim-1pch")
    found = modes(boxes(run), run.summary)
    assert [mode.says for mode in found] == [
        "SB: park in", "HAB", "HAB-PIM: the program runs", "HAB", "SB: park out", "SB: read-out",
    ]  # fmt: skip
    assert [round(mode.start) for mode in found[:3]] == [0, 106, 166]
    assert all(mode.end == later.start for mode, later in pairwise(found))
    assert found[-1].start == run.summary["kernel_cycles"]
    peer = kernel("hbm-pim-1pch", scope="peer")
    assert modes(boxes(peer), peer.summary)[-1].says == "SB: park out"


def test_each_row_of_a_batch_runs_the_program_anew() -> None:
    run = accelsim.simulate_operator("matmul", m=3, n=64, k=256, on="hbm-pim-1pch")
    assert [mode.name for mode in modes(boxes(run), run.summary)].count("HAB-PIM") == 3


def test_a_kernel_that_changes_no_mode_has_none() -> None:
    run = accelsim.simulate_operator("add", elements=4096, on="gddr6-aim-1ch")
    assert modes(boxes(run), run.summary) == []
    assert "mode" in texts(run.plot.commands())


def test_modes_of_aim_change_with_every_command_that_changes_them() -> None:
    run = kernel("gddr6-aim-1ch")
    found = modes(boxes(run), run.summary)
    changes = sum(row["repeat"] for row in run.rows("timeline") if row["name"] == "TMOD")
    assert len(found) == changes
    assert [mode.name for mode in found[:4]] == ["registers", "banks", "registers", "banks"]
    inputs = [box for box in boxes(run) if box.name == "WRGB"]
    assert all(any(m.name == "registers" and m.start <= box.start < m.end for m in found) for box in inputs)


@pytest.mark.parametrize("on", KERNELS)
def test_every_product_meets_an_open_row_in_all_its_banks(on: str) -> None:
    """A row is open from its activation to its precharge; columns lie between, after the delay of an activation."""
    told = boxes(kernel(on))
    opened: dict[int | str, float | None] = dict.fromkeys(range(BANKS))
    products = 0
    for box in told:
        for line in box.lines:
            if box.kind == ACT:
                opened[line] = box.start
            elif box.kind == "PRE":
                opened[line] = None
            elif box.kind == PRODUCT:
                since = opened[line]
                assert since is not None
                assert box.start > since + 10
        products += box.count if box.kind == PRODUCT else 0
    assert products > 0


def test_even_and_odd_halves_take_turns() -> None:
    halves = [box.lines[0] for box in boxes(kernel("hbm-pim-1pch")) if box.kind == PRODUCT]
    assert halves == [0, 0, 1, 1]


@pytest.mark.parametrize("on", KERNELS)
def test_the_picture_names_banks_commands_and_modes(on: str) -> None:
    run = kernel(on)
    figure = run.plot.commands()
    said = texts(figure)
    assert {f"bg {n // 4}, bank {n}" for n in range(BANKS)} <= set(said)
    assert {"ACT", "PRE", "row open", "mode"} <= set(said)
    assert any("cycles of" in text for text in said)
    clock = next(text for text in said if text.startswith("clock cycles of"))
    assert clock == f"clock cycles of {'0.5' if 'aim' in on else '1'} ns"


def test_runs_of_commands_are_counted_and_a_part_may_be_drawn() -> None:
    run = kernel("hbm-pim-1pch")
    assert texts(run.plot.commands()).count("32 MAC") == 4
    part = run.plot.commands(cycles=(150, 520))
    assert texts(part).count("32 MAC") == 2
    assert part.axes[1].get_xlim() == (150, 520)
    assert "registers to banks or host" not in texts(part)
    with pytest.raises(RequestError, match="has commands from 0 to 13"):
        run.plot.commands(cycles=(5000, 6000))


def test_what_has_no_commands_is_refused() -> None:
    for run in (
        accelsim.simulate_operator("matmul", m=1, n=64, k=64, on="h100-sxm"),
        accelsim.simulate_operator("matmul", m=1, n=64, k=64, on="upmem-20dimm"),
        kernel("gddr6-aim-1ch", fidelity="roofline"),
    ):
        with pytest.raises(RequestError, match="one kernel on HBM-PIM or GDDR6-AiM"):
            run.plot.commands()


def test_the_command_writes_it(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["operator", "matmul", "--m", "1", "--n", "64", "--k", "256", "--on", "hbm-pim-1pch"]
    picture = tmp_path / "gemv.png"
    assert cli.main([*asked, "--plot", str(picture), "--plot-kind", "commands", "--plot-cycles", "150:520"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    for wrong, says in ((["--plot-cycles", "150:520"], "only --plot-kind commands"),
                        (["--plot-kind", "commands", "--plot-cycles", "520:150"], "two rising numbers")):  # fmt: skip
        assert cli.main([*asked, *wrong]) == 2
        assert says in " ".join(capsys.readouterr().err.split())
