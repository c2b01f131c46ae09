"""Does `accelsim demo` do the job of `make demo` from any folder?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import accelsim


def test_demo_prints_what_it_promises_and_draws_the_roofline(command: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command("demo")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    summary = accelsim.simulate("llama-2-7b", "h100-sxm", prompt=2048, generate=128).summary
    assert lines[0].startswith("llama-2-7b on h100-sxm · bf16 weights, activations and KV · batch 1 · 2048 in, 128 out")
    for start, figure in (
        ("time to first token", f"{summary['time_to_first_token_s'] * 1e3:.1f} ms"),
        ("time per output token", f"{summary['time_per_output_token_s'] * 1e3:.2f} ms"),
        ("throughput", f"{summary['tokens_per_s']:.0f} tokens/s"),
        ("energy per token", f"{summary['energy_per_token_j']:.2f} J"),
        ("memory", f"{summary['peak_memory_bytes'] / 1e9:.1f} GB of 80.0 (weights 13.5, KV "),
        ("simulated in", f" s, {summary['events']:,} events"),
    ):
        line = next(line for line in lines if line.startswith(start))
        assert figure in line
    decode = next(line for line in lines if line.startswith("time per output token"))
    assert " TB/s, " in decode
    assert decode.endswith(" % of 3.35 bound by memory")
    start = next(i for i, line in enumerate(lines) if line.startswith("five most expensive operators (decode"))
    assert all(" memory " in line for line in lines[start + 1 : start + 6])
    assert lines[-1] == "wrote roofline.png"
    picture = (tmp_path / "roofline.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") >= 1200


def test_the_picture_may_go_elsewhere(command: Any, tmp_path: Path) -> None:
    code, out, _ = command("demo", "--out", str(tmp_path / "demo.svg"))
    assert code == 0
    assert out.endswith(f"  wrote {tmp_path / 'demo.svg'}\n")
    assert "<svg" in (tmp_path / "demo.svg").read_text(encoding="utf-8")
    code, _, err = command("demo", "--out", str(tmp_path / "demo.bmp"))
    assert code == 2
    assert "allowed are names that end in .png, .pdf, .svg" in err
