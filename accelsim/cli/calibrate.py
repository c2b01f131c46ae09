"""`calibrate`: constants of kernels from timed ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli.common import JsonOption, app, print_json, say, write_text


@app.command()
def calibrate(
    file: Annotated[
        Path, typer.Argument(metavar="CSV", help="Columns m, n, k, latency_ms; device, gemm_dtype; or of collectives.")
    ],
    *,
    chip: Annotated[str, typer.Option(help="The chip that was timed: name or path.")],
    library: Annotated[str, typer.Option(help="Name and version of the kernels.")] = "own",
    device: Annotated[str | None, typer.Option(help="Rows of this device only.", show_default=False)] = None,
    kernel: Annotated[
        str, typer.Option(help="Rows of this class: bfloat16, float16, fp8 or collectives.")
    ] = "bfloat16",
    full: Annotated[bool, typer.Option("--full", help="Fit all constants; else as many as the rows identify.")] = False,
    source: Annotated[str | None, typer.Option(help="Where the table comes from.", show_default=False)] = None,
    default_for: Annotated[
        list[str], typer.Option(help="Generations that take these constants by default; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    formats: Annotated[
        list[str], typer.Option(help="Further classes of kernels to fit, such as fp8; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    attention: Annotated[
        Path | None, typer.Option(help="CSV of timed attention kernels, fitted as well.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; else it is printed.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the constants of a chip's GEMMs to timed ones, and write them as a calibration file.

    With --kernel collectives, print the tables of a calibration file that its collectives are told in, from a table
    with the columns op_name, num_gpus, message_size (elements), nccl_dtype and latency (ms).
    """
    if kernel == "collectives":
        _collectives(file, chip, library, device, source, out)
        return
    from accelsim.validation import tables
    from accelsim.validation.calibrated import calibrated

    record, impossible = calibrated(
        file, chip, library=library, device=device, kernel=kernel, full=full, source=source,
        default_for=tuple(default_for), formats=tuple(formats), attention=attention,
    )  # fmt: skip
    if impossible:
        say(f"{impossible} rows are faster than {record.chip} can be, and were left out")
    if as_json:
        print_json("calibrate", record.model_dump(mode="json"))
        return
    text = tables.written(record, f"GEMM kernels of {record.library} on {record.chip}, fitted by `accelsim calibrate`.")
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
    told = record.fitted
    for what, errors in (("fitted", told.fit), ("held back", told.held)):
        say(
            f"{what}: {errors.rows} rows, {100 * errors.mean:.1f} % off in the mean, {100 * errors.median:.1f} % in "
            f"the median, {100 * errors.p90:.1f} % at the 90th percentile; summed time {errors.total:.3f} of measured"
        )


def _collectives(file: Path, chip: str, library: str, device: str | None, source: str | None, out: Path | None) -> None:
    from accelsim.validation import tables
    from accelsim.validation.collectives import fitted

    found = fitted(file, chip, library=library, device=device, source=source)
    text = tables.collectives_written(found)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
    for row in found:
        told = row.provenance
        for what, errors in (("fitted", told.fit), ("held back", told.held)):
            say(f"{told.kernel}, {what}: {errors.rows} rows, {100 * errors.mean:.1f} % off in the mean")
