"""HBM-PIM beside its public simulator: rows of counted cycles, and what we count for the same kernels."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.evaluate import kernel
from accelsim.spec.system import System

SIMULATOR: Final = "PIMSimulator"
"""What the column `simulator` holds in rows of this family."""
_SYSTEM: Final = "hbm-pim-64pch"
_KINDS: Final = {"GEMV": "matmul", "GEMVTREE": "matmul", "ADD": "add", "MUL": "mul", "RELU": "relu"}


def agreement(file: str | PathLike[str]) -> Iterator[dict[str, Any]]:
    """Each row of a table of counted cycles that is HBM-PIM's, with ours.

    Args:
        file: CSV with the columns simulator, device ("HBM2-PIM 64pch", "HBM2-plain 1pch", "HBM2-readout 1pch"), kernel
            (GEMV, GEMVTREE, ADD, MUL, RELU), shape ("4096x1024b1": outputs, inputs, batch; or elements) and cycles;
            lines that open with # are comments.

    Yields:
        device, kernel, shape, reference_cycles, cycles, difference_cycles and relative_difference.

    Raises:
        RequestError: a row of this family that has another form.
    """
    text = Path(file).read_text(encoding="utf-8")
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        if row["simulator"] == SIMULATOR:
            reference, ours = int(row["cycles"]), _ours(row)
            yield {
                **{key: row[key] for key in ("device", "kernel", "shape")},
                "reference_cycles": reference,
                "cycles": ours,
                "difference_cycles": ours - reference,
                "relative_difference": ours / reference - 1,
            }


def _ours(row: Mapping[str, str]) -> int:
    device = re.match(r"HBM2-(PIM|plain|readout) (\d+)pch", row["device"])
    shape = re.fullmatch(r"(\d+)(?:x(\d+)b(\d+))?", row["shape"])
    if device is None or shape is None or row["kernel"] not in _KINDS:
        raise RequestError(
            f"{row}: expected a device such as HBM2-PIM 64pch, a kernel of {', '.join(_KINDS)}, and a shape"
        )
    kind = _KINDS[row["kernel"]]
    first, second, third = (int(number or 1) for number in shape.groups())
    dims = {"m": third, "n": first, "k": second} if kind == "matmul" else {"elements": first}
    variant = "plain" if device[1] == "plain" else "tree" if row["kernel"] == "GEMVTREE" else "pim"
    system = catalog.chip(_SYSTEM, {"count": int(device[2])})
    assert isinstance(system, System)
    run = kernel.operator(
        kind, dims, system, format_=None, weights=None, fidelity="event", scope="peer", variant=variant, chips=1
    )
    return int(run.summary["readout_cycles" if device[1] == "readout" else "cycles"])
