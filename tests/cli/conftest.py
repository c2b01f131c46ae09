"""Running the command line inside a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from accelsim import cli

Answer = tuple[int, str, str]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs the command line in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> Answer:
        code = cli.main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def document(command: Callable[..., Answer]) -> Callable[..., dict[str, Any]]:
    """Runs a command with --json that succeeds, and reads its one document."""

    def call(*arguments: str) -> dict[str, Any]:
        code, out, err = command(*arguments, "--json")
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    return call
