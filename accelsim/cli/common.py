"""What all commands share: the application, options, output, and the one place that turns errors into exit codes.

Exit codes: 0 done, 1 the run failed or is infeasible, 2 bad input, 130 interrupted.
Answers go to stdout, everything else to stderr.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from accelsim.errors import AccelsimError, RequestError, UnknownNameError

if TYPE_CHECKING:
    from rich.console import Console

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130

_WIDTH_OF_A_PIPE: Final = 160
_USAGE_ERROR: Final = typer.BadParameter.__mro__[1]  # its own name is private to typer

# the option that carries each kind of name, for messages
_OPTIONS: Final = {"chip": "--on"}

app = typer.Typer(
    name="accelsim",
    help="How fast, with how much energy and memory traffic, a language model runs on a chip.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SetOption = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help='Another value for a key, such as memory.bandwidth="5 TB/s".'),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"accelsim {version('accelsim')}")
        except PackageNotFoundError:
            typer.echo("accelsim, run from a checkout without being installed")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _accelsim(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code; errors are printed to stderr without a traceback."""
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="accelsim", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except UnknownNameError as error:
        return _fail(str(_at_its_option(error)), BAD_INPUT)
    except AccelsimError as error:
        return _fail(str(error), BAD_INPUT)
    except OSError as error:
        return _fail(f"{error.filename or 'file'}: {error.strerror}", BAD_INPUT)
    except Exception as error:
        if not isinstance(error, _USAGE_ERROR):
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "accelsim"
        return _fail(f"{_plain(error)}\n  help: {command} --help", BAD_INPUT)
    if code == INTERRUPTED:  # typer turns a KeyboardInterrupt inside a command into this code, and says nothing
        return _fail("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else OK


def say(text: str) -> None:
    """Print to stderr: progress, notes and faults, which are no part of the answer."""
    typer.echo(text, err=True)


def _plain(error: Exception) -> str:
    """What typer says about a wrong option, without the marks of its validator."""
    return str(getattr(error, "format_message", error.__str__)()).replace("Value error, ", "")


def _fail(message: str, code: int) -> int:
    say(f"error: {message}")
    return code


def _at_its_option(error: UnknownNameError) -> UnknownNameError:
    """The same error as a user of the command line reads it."""
    option = _OPTIONS.get(error.kind)
    if not option or error.where:
        return error
    hint = error.hint.replace("own file: ", f"own file: {option} ")
    return UnknownNameError(error.kind, error.name, error.nearest, option, hint)


def overrides(assignments: Sequence[str]) -> dict[str, object]:
    """The `--set KEY=VALUE` options as a mapping; values stay text, which the catalogue reads by its key.

    Raises:
        RequestError: no "=", or a key that stands twice.
    """
    found: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise RequestError(f'--set {assignment}: expected KEY=VALUE, such as memory.bandwidth="5 TB/s"')
        if key.strip() in found:
            raise RequestError(f"--set {key.strip()} stands twice")
        found[key.strip()] = value.strip()
    return found


def console() -> Console:
    """Where tables are printed; a pipe is wide enough for every column."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    return Console(width=width, markup=False, highlight=False, emoji=False)


def print_json(command: str, content: Mapping[str, Any], version: int = 1) -> None:
    """The one document of `--json`; its `schema` names the command and the version of its layout."""
    document = {"schema": f"accelsim/{command}/{version}", **content}
    typer.echo(json.dumps(_finite(document), indent=2, ensure_ascii=False))


def write_text(path: Path, text: str) -> None:
    """Write a file that is complete or absent, even if the program is interrupted.

    Raises:
        RequestError: the folder does not exist or cannot be written to.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise RequestError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _finite(value: Any) -> Any:
    """Values that JSON has: no NaN and no infinity, which become null."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
