"""The error of the formats of a sweep's points: the shipped model, executed in them with the arithmetic of the chip."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from accelsim.errors import AccelsimError
from accelsim.explore.targets import FORMATS, TENSORS, Target, changed_chip, format_of, tensor_formats
from accelsim.explore.version import model_version
from accelsim.results.export import write_whole

if TYPE_CHECKING:  # execution takes long to import, and most sweeps name no error
    from accelsim.accuracy.measure import Reference
    from accelsim.accuracy.subject import Subject
    from accelsim.execution.executor import Executor
    from accelsim.execution.weights import Weights

ERRORS: Final = ("kl_nats",)
"""Divergence of the next token from float64, in nats per token; NaN where a chip cannot compute in the formats."""

MODEL: Final = "tiny-llama"
TOKENS: Final = 512
FILE: Final = Path("accelsim-results") / "executed.json"
"""What was executed before, by digest of plan, text and code; below the folder in which one works."""


def counts(to: Target) -> bool:
    """Whether the error follows from what an axis changes."""
    return to.kind in ("chip", "format", "tensor") or (to.kind == "request" and to.key in ("chip", TENSORS, *FORMATS))


def error(chosen: Mapping[Target, Any]) -> tuple[float]:
    """The error of one design, from the file if it was executed before."""
    from accelsim.execution.plan import NumericsPlan
    from accelsim.execution.run import executor

    judged, held = _judged(TOKENS)
    try:
        made = executor(
            judged.model, held, on=changed_chip(chosen), overrides=tensor_formats(chosen), as_decode=True,
            weights_format=format_of(chosen, "weights"), activations_format=format_of(chosen, "activations"),
            kv_cache_format=format_of(chosen, "kv_cache"), positions=judged.windows.shape[1],
        )  # fmt: skip
        return (_divergence(made),) if isinstance(made.plan, NumericsPlan) else (float("nan"),)
    except AccelsimError:  # formats that this chip or model has no way to execute in
        return (float("nan"),)


def _divergence(made: Executor) -> float:
    from accelsim.accuracy.measure import measure

    said = f"{model_version()}|{MODEL}|{TOKENS}|{made.plan!r}|{made.overrides!r}"
    key = hashlib.sha256(said.encode()).hexdigest()
    known = _known()
    if key not in known:
        found = measure(_judged(TOKENS)[0], made, _truth(TOKENS), "")
        known[key] = found.kl
        FILE.parent.mkdir(exist_ok=True)
        document = json.dumps(known, indent=1) + "\n"
        write_whole({FILE: lambda path: path.write_text(document, encoding="utf-8")})
    return float(known[key])


def _known() -> dict[str, float]:
    """What the file has; one that cannot be read counts as empty, and is written anew."""
    try:
        found = json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _judged(tokens: int) -> tuple[Subject, Weights]:
    from accelsim.accuracy.subject import subject
    from accelsim.execution.weights import Weights

    judged = subject(MODEL, limit=tokens)
    return judged, Weights(judged.model, judged.weights)


@cache
def _truth(tokens: int) -> Reference:
    from accelsim.accuracy.measure import reference
    from accelsim.execution.run import executor

    judged, held = _judged(tokens)
    return reference(judged, executor(judged.model, held, numerics="fp64"))
