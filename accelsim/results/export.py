"""Runs as files: one JSON document, or CSV or Parquet with a file per frame.

Nothing appears under its name before everything that belongs to the export is complete.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accelsim.errors import RequestError, did_you_mean
from accelsim.results.columns import FRAMES

if TYPE_CHECKING:
    import pandas as pd

    from accelsim.results.run import Run

Writer = Callable[[Path], object]

SUFFIXES: Final = (".json", ".csv", ".parquet")


def export(run: Run, path: str | Path) -> list[Path]:
    """Writes a run in the form that the suffix names; see `Run.write`."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix == ".json":
        document = json.dumps(run.to_dict(timeline=True), indent=1, allow_nan=False) + "\n"
        return write_whole({target: lambda p: p.write_text(document, encoding="utf-8")})
    if suffix not in SUFFIXES:
        raise RequestError(
            f"cannot export to {target.name!r}: allowed are names that end in {', '.join(SUFFIXES)}"
            f"{did_you_mean(suffix, SUFFIXES)}"
        )
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise RequestError(
            f"cannot export to {target.name!r}: Parquet needs pyarrow; "
            'try: pip install "accelsim[parquet]", or export to .csv'
        )
    files = {target.with_name(f"{target.stem}-{name}{target.suffix}"): frame for name, frame in _frames(run).items()}
    write = _csv if suffix == ".csv" else _parquet
    return write_whole({file: partial(write, frame) for file, frame in files.items()})


def _csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False)


def _parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False, engine="pyarrow")


def _frames(run: Run) -> dict[str, pd.DataFrame]:
    """Every frame, the summary first as one row that opens with the request."""
    return {"summary": run.summary_frame(), **{name: getattr(run, name) for name in FRAMES}}


def write_whole(writers: Mapping[Path, Writer]) -> list[Path]:
    """Writes files beside their targets and renames them at the end, so that an interruption leaves no broken file.

    Args:
        writers: target -> what writes the file whose path it is given.

    Returns:
        The targets.

    Raises:
        RequestError: a folder that does not exist or cannot be written.
    """
    for target in writers:
        if not target.parent.is_dir():
            raise RequestError(f"cannot write {target}: there is no folder {str(target.parent)!r}")
    own = f".{os.getpid()}.partial"  # two programs may write one file: the last wins
    unfinished = {target: target.with_name(target.name + own) for target in writers}
    try:
        for target, write in writers.items():
            write(unfinished[target])
        for target, file in unfinished.items():
            file.replace(target)
    except OSError as error:
        where = (
            error.filename if error.filename and not str(error.filename).endswith(".partial") else next(iter(writers))
        )
        raise RequestError(f"cannot write {where}: {error.strerror or error}") from None
    finally:
        for file in unfinished.values():
            file.unlink(missing_ok=True)
    return list(writers)


def json_ready(value: Any) -> Any:
    """The value in JSON's own types; what is not finite becomes None, which JSON spells null."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
