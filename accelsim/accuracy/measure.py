"""Error of one arithmetic against float64: likelihoods, agreement, and the noise that every operator adds up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
        sqnr_to_exact_db: the same against exact sums in the same formats (`accelsim.execution.targets.ExactSums`):
            what accumulators and orders of sums do, and nothing else.
        nll_minus_exact: mean of the differences to exact sums, token by token; None where nobody asked.
        exact_standard_error: of that mean.
    """

    nll: float
    nll_minus_reference: float
    standard_error: float
    kl: float
    top1: float
    sqnr_db: dict[Key, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sqnr_to_exact_db: dict[Key, float] = field(default_factory=dict)
    nll_minus_exact: float | None = None
    exact_standard_error: float | None = None


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
    return Reference(made.astype(np.float32), observed(subject, executor), _nll(made, subject.windows))


def observed(subject: Subject, executor: Executor) -> dict[Key, Array]:
    """What every operator writes for the first tokens, by operator, layer and tensor."""
    made: dict[Key, Array] = {}
    executor.start(_first(subject), lambda op, layer, name, x: made.__setitem__((op, layer, name), np.array(x)))
    return made


def measure(
    subject: Subject, executor: Executor, truth: Reference, name: str, progress: Progress | None = None,
    exact: Executor | None = None, *, likelihoods: bool = False,
) -> Measured:  # fmt: skip
    """Run one arithmetic over all windows and compare.

    Args:
        subject: model and windows.
        executor: of the arithmetic.
        truth: what float64 says.
        name: for progress.
        progress: told of windows.
        exact: the same arithmetic with exact sums; its first tokens are compared, too.
        likelihoods: exact sums run over all windows.
    """
    found = observed(subject, executor)
    nll, kl, same, at = [], 0.0, 0, 0
    for logits in _logits(subject, executor, name, progress):
        made = _next(logits)
        want = truth.log_probabilities[at : at + len(made)].astype(np.float64)
        nll.append(_nll(made, subject.windows[at : at + len(made)]))
        kl += float(np.sum(functions.exp(want) * (want - made)))
        same += int(np.count_nonzero(want.argmax(-1) == made.argmax(-1)))
        at += len(made)
    each = np.concatenate(nll)
    told = Measured(
        float(each.mean()), *_paired(each, truth.nll), kl / each.size, same / each.size, _noise(found, truth.tensors),
        executor.warnings,
    )  # fmt: skip
    if exact is None:
        return told
    told = replace(told, sqnr_to_exact_db=_noise(found, observed(subject, exact)))
    if not likelihoods:
        return told
    logits = _logits(subject, exact, f"{name}, exact sums", progress)
    other = _nll(np.concatenate([_next(each) for each in logits]), subject.windows)
    difference, error = _paired(each, other)
    return replace(told, nll_minus_exact=difference, exact_standard_error=error)


def _noise(found: Mapping[Key, Array], want: Mapping[Key, Array]) -> dict[Key, float]:
    """Of every tensor against what it should be."""
    made: dict[Key, float] = {}
    latest: dict[str, Array] = {}
    for (op, layer, tensor), x in found.items():
        true = want.get((op, layer, tensor))
        if true is None:  # a narrow copy, of what this operator or one before it writes, under a longer name
            plain = tensor.rpartition(".")[0]
            true = want.get((op, layer, plain), latest.get(plain))
            assert true is not None
        latest[tensor] = true
        made[op, layer, tensor] = sqnr_db(true, x)
    return made


def _paired(each: Array, other: Array) -> tuple[float, float]:
    """Mean difference of likelihoods, token by token, and its standard error over windows."""
    difference = (each - other).mean(axis=1)
    spread = float(difference.std(ddof=1) / np.sqrt(len(difference))) if len(difference) > 1 else float("nan")
    return float(difference.mean()), spread


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
