"""A run that is killed in the middle goes on where it was, and ends with the same table."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest


@pytest.mark.long
@pytest.mark.parametrize("way", ["SIGINT", "SIGKILL"])
def test_killed_in_the_middle(way, tmp_path):
    command = [sys.executable, "-m", "accelsim", "accuracy", "tiny-llama", "--formats", "bf16,mxfp4,int8_channel",
               "--limit", "1024"]  # fmt: skip
    path = tmp_path / "done.json"
    with subprocess.Popen([*command, "--resume", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        for _ in range(1200):
            if path.exists() or run.poll() is not None:
                break
            time.sleep(0.05)
        run.send_signal(getattr(signal, way))
        run.communicate(timeout=60)
    assert run.returncode == (130 if way == "SIGINT" else -signal.SIGKILL)
    first = json.loads(path.read_text())["rows"]
    assert 1 <= len(first) < 3
    again, whole = (
        subprocess.run([*command, *more], capture_output=True, text=True, check=True).stdout
        for more in (["--resume", str(path)], [])
    )
    assert again == whole
    rows = json.loads(path.read_text())["rows"]
    assert len(rows) == 3
    assert all(rows[name] == row for name, row in first.items())
