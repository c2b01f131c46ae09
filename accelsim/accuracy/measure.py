"""Error of one arithmetic against float64: likelihoods, agreement, and the noise that every operator adds up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accelsim.accuracy.subject import Subject
from accelsim.execution.executor import Executor
from accelsim.numerics import functions

Array = NDArray[Any]
Progress = Callable[[str, int, int], None]
Key = tuple[str, int | None, str]

CHUNK_TOKENS: Final = 1024
"""Tokens that run together."""

OBSERVED_TOKENS: Final = 256
"""Tokens whose every tensor is compared."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What float64 says.

    Attributes:
        log_probabilities: [windows, positions - 1, vocabulary], of the next token.
        tensors: what every operator writes for the first tokens, by operator, layer and tensor.
        nll: [windows, positions - 1], negative log likelihood of the tokens that follow, in nats.
    """

    log_probabilities: Array
    tensors: dict[Key, Array]
    nll: Array


@dataclass(frozen=True)
class Measured:
    """The error of one arithmetic.

    Attributes:
        nll: mean negative log likelihood in nats.
        nll_minus_reference: mean of the differences to float64, token by token.
        standard_error: of that mean, over windows, which are taken to be independent.
        kl: mean Kullback-Leibler divergence from float64 in nats.
        top1: share of positions where the most likely token is that of float64.
        sqnr_db: by operator, layer and tensor, for the first tokens: all noise that has come so far.
        warnings: of the execution.
    """

    nll: float
    nll_minus_reference: float
    standard_error: float
    kl: float
    top1: float
    sqnr_db: dict[Key, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def log_softmax(logits: Array) -> Array:
    """Logarithms of probabilities over the last axis, float64."""
    x = logits.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    total = np.cumsum(functions.exp(x), axis=-1)[..., -1:]  # in sequence, whatever the machine
    made: Array = x - functions.log(total)
    return made


def reference(subject: Subject, executor: Executor, progress: Progress | None = None) -> Reference:
    """Run float64 over all windows.

    Args:
        subject: model and windows.
        executor: of float64.
        progress: told of windows.
    """
    made = np.concatenate([_next(logits) for logits in _logits(subject, executor, "float64", progress)])
    return Reference(made.astype(np.float32), tensors_of(subject, executor), _nll(made, subject.windows))


def tensors_of(subject: Subject, executor: Executor) -> dict[Key, Array]:
    """What every operator writes for the first tokens."""
    tensors: dict[Key, Array] = {}
    executor.start(_first(subject), lambda op, layer, name, x: tensors.__setitem__((op, layer, name), np.array(x)))
    return tensors


def measure(
    subject: Subject, executor: Executor, truth: Reference, name: str, progress: Progress | None = None
) -> Measured:
    """Run one arithmetic over all windows and compare.

    Args:
        subject: model and windows.
        executor: of the arithmetic.
        truth: what float64 says.
        name: for progress.
        progress: told of windows.
    """
    noise: dict[Key, float] = {}
    latest: dict[str, Array] = {}

    def compare(op: str, layer: int | None, tensor: str, x: Array) -> None:
        want = truth.tensors.get((op, layer, tensor))
        if want is None:  # a narrow copy, of what this operator or one before it writes, under a longer name
            plain = tensor.rpartition(".")[0]
            want = truth.tensors.get((op, layer, plain), latest.get(plain))
            assert want is not None
        latest[tensor] = want
        noise[op, layer, tensor] = sqnr_db(want, x)

    executor.start(_first(subject), compare)
    nll, kl, same, at = [], 0.0, 0, 0
    for logits in _logits(subject, executor, name, progress):
        found = _next(logits)
        want = truth.log_probabilities[at : at + len(found)].astype(np.float64)
        nll.append(_nll(found, subject.windows[at : at + len(found)]))
        kl += float(np.sum(functions.exp(want) * (want - found)))
        same += int(np.count_nonzero(want.argmax(-1) == found.argmax(-1)))
        at += len(found)
    each = np.concatenate(nll)
    difference = (each - truth.nll).mean(axis=1)
    spread = float(difference.std(ddof=1) / np.sqrt(len(difference))) if len(difference) > 1 else float("nan")
    return Measured(
        float(each.mean()), float(difference.mean()), spread, kl / each.size, same / each.size, noise,
        executor.warnings,
    )  # fmt: skip


def sqnr_db(want: Array, found: Array) -> float:
    """Power of the signal over that of the error, in decibels; infinite without error."""
    error = float(np.sum(np.square(found.astype(np.float64) - want)))
    power = float(np.sum(np.square(want.astype(np.float64))))
    if error == 0.0:
        return float("inf")
    return 10.0 * float(np.log10(power / error)) if power else float("-inf")


def _first(subject: Subject) -> NDArray[np.int64]:
    return subject.windows[:1, :OBSERVED_TOKENS]


def _logits(subject: Subject, executor: Executor, name: str, progress: Progress | None) -> Any:
    step = max(1, CHUNK_TOKENS // subject.windows.shape[1])
    for at in range(0, len(subject.windows), step):
        part = subject.windows[at : at + step]
        yield executor.start(part)[0]
        if progress is not None:
            progress(name, at + len(part), len(subject.windows))


def _next(logits: Array) -> Array:
    """Log probabilities of what follows each position but the last."""
    return log_softmax(logits[:, :-1])


def _nll(log_probabilities: Array, windows: NDArray[np.int64]) -> Array:
    found = np.take_along_axis(log_probabilities, windows[:, 1:, None], axis=-1)[..., 0]
    return -found
