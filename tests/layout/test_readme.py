"""The README's numbers are the program's output."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from accelsim import catalog
from accelsim.spec.device import GpuChip
from accelsim.spec.huggingface import SUPPORTED

ROOT = Path(__file__).resolve().parents[2]
VARIES = re.compile(r"simulated in +[\d.]+ m?s")


def block() -> str:
    """What stands between the demo markers."""
    found = re.search(
        r"<!-- demo:.*?-->\n```text\n(.*?)```\n<!-- /demo -->", (ROOT / "README.md").read_text("utf-8"), re.S
    )
    assert found is not None
    return found[1]


def test_the_demo_block_is_what_the_demo_prints(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "accelsim", "demo"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert VARIES.sub("", block()).rstrip() == VARIES.sub("", done.stdout).rstrip()
    assert (tmp_path / "roofline.png").stat().st_size > 10_000


def test_what_it_counts_is_there() -> None:
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    chips = [catalog.chip(name) for name in catalog.names("arch")]
    gpus = [chip for chip in chips if isinstance(chip, GpuChip) and chip.family == "gpu"]
    assert len(gpus) == 13
    assert "Thirteen GPUs" in text
    assert f"{len(catalog.names('models'))} models" in text
    promised = re.search(r"(\d+) number formats", text)
    assert promised is not None
    assert int(promised[1]) <= len(catalog.names("formats"))
    families = {catalog.model(name).family for name in catalog.names("models")}
    assert f"of {len(families)} families" in text
    assert families <= set(SUPPORTED)
