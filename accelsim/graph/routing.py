"""Which experts get tokens: how many distinct ones a step touches, and how uneven their loads are."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.graph.numbers import Number

Vector = npt.NDArray[np.float64]


DRAWN_SCORES: Final = 1 << 20
"""Random numbers drawn at a time: tokens x experts."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Popularity of the experts.

    Attributes:
        weights: relative popularity per expert, None for uniform.
        zipf: exponent of a popularity that falls with the expert's rank; takes the place of `weights`.
        drawn: draw the picks of each token with `seed` instead of taking expectations. Layers and steps
            with the same number of tokens see the same draw.
        seed: of the draw.
    """

    weights: tuple[float, ...] | None = None
    zipf: float | None = None
    drawn: bool = False
    seed: int = 0

    def popularity(self, experts: int) -> Vector:
        """Relative popularity of each expert.

        Raises:
            RequestError: the file has another number of experts.
        """
        if self.zipf is not None:
            return np.arange(1, experts + 1, dtype=float) ** -self.zipf
        if self.weights is None:
            return np.ones(experts)
        if len(self.weights) != experts:
            raise RequestError(f"routing: the file gives {len(self.weights)} experts, the model has {experts}")
        return np.asarray(self.weights, dtype=float)

    def inclusion(self, experts: int, active: int) -> Vector:
        """Probability that one token picks each expert; sums to `active`.

        Uneven popularity is turned into picks without repetition by Rosen's successive-sampling
        approximation, 1 - exp(-t w), with t such that the sum is right.
        """
        return _inclusion(self, experts, active)

    def distinct(self, experts: int, active: int, tokens: Number) -> Number:
        """Experts that get at least one of `tokens` tokens: expected, or drawn for a whole number of tokens."""
        if self.drawn:
            if isinstance(tokens, int | float):
                return len(self.loads(experts, active, tokens))
            different, where = np.unique(tokens, return_inverse=True)
            counts = np.array([len(self.loads(experts, active, int(n))) for n in different])
            return counts[where].reshape(np.shape(tokens))
        if self.weights is None and self.zipf is None:
            return experts * (1 - (1 - active / experts) ** tokens)
        miss = 1 - self.inclusion(experts, active)
        if isinstance(tokens, int | float):
            return float(np.sum(1 - miss**tokens))
        expected: Vector = np.sum(1 - miss[:, None] ** np.ravel(tokens)[None, :], axis=0)
        return expected.reshape(np.shape(tokens))

    def loads(self, experts: int, active: int, tokens: float) -> Vector:
        """Tokens of each expert that got any, largest first, in all `tokens` x `active`.

        Expected loads may be fractions: the expected number of distinct experts, the most popular ones,
        share the tokens in proportion to their popularity, but none gets more than there are.
        """
        if self.drawn:
            draw = _draw(self, experts, active, int(tokens))
            return np.sort(draw[draw > 0])[::-1]
        chance = np.sort(self.inclusion(experts, active))[::-1]
        count = max(active, round(float(np.sum(1 - (1 - chance) ** tokens))))
        return _shared(chance[:count], float(tokens), float(tokens) * active)


def _shared(popularity: Vector, most: float, total: float) -> Vector:
    """`total` in proportion to a falling popularity, no share above `most`."""
    for full in range(len(popularity)):
        rest = popularity[full:]
        shares = rest / rest.sum() * (total - full * most)
        if shares[0] <= most:
            return np.concatenate([np.full(full, most), shares])
    return np.full(len(popularity), most)


@lru_cache(maxsize=256)
def _inclusion(routing: Routing, experts: int, active: int) -> Vector:
    if routing.weights is None and routing.zipf is None:
        return np.full(experts, active / experts)
    popularity = routing.popularity(experts)
    if np.count_nonzero(popularity) < active:
        raise RequestError(f"routing: fewer than {active} experts have any popularity")
    if np.count_nonzero(popularity) == active:
        return (popularity > 0).astype(float)
    popularity = popularity / popularity.sum()

    def picked(scale: float) -> float:
        return float(np.sum(-np.expm1(-scale * popularity)))

    low, high = 0.0, 1.0
    while picked(high) < active:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if picked(middle) < active else (low, middle)
    chance: Vector = -np.expm1(-high * popularity)
    chance.flags.writeable = False  # all callers share it
    return chance


@lru_cache(maxsize=256)
def _draw(routing: Routing, experts: int, active: int, tokens: int) -> Vector:
    """Tokens per expert when every token picks `active` different ones, by popularity.

    The largest values of log popularity plus Gumbel noise are a draw without repetition.
    """
    if np.count_nonzero(routing.popularity(experts)) < active:
        raise RequestError(f"routing: fewer than {active} experts have any popularity")
    with np.errstate(divide="ignore"):
        level = np.log(routing.popularity(experts))
    generator = np.random.default_rng(routing.seed)
    counts = np.zeros(experts)
    rows = max(1, DRAWN_SCORES // experts)
    for start in range(0, tokens, rows):
        scores = level + generator.gumbel(size=(min(rows, tokens - start), experts))
        picks = np.argpartition(-scores, active - 1, axis=1)[:, :active]
        counts += np.bincount(picks.ravel(), minlength=experts)
    return counts


def parse(text: str, seed: int = 0) -> Routing:
    """Reads "uniform", "zipf:1.1", or the path of a JSON list of popularities; ":drawn" may follow.

    Raises:
        RequestError: none of these, or a file that holds something else.
    """
    name, drawn = (text[: -len(":drawn")], True) if text.endswith(":drawn") else (text, False)
    seed = seed if drawn else 0  # what draws nothing is the same work for any seed
    if name == "uniform":
        return Routing(drawn=drawn, seed=seed)
    if name.startswith("zipf:"):
        try:
            exponent = float(name[len("zipf:") :])
        except ValueError:
            raise RequestError(f"routing={text!r}: the exponent is no number; write zipf:1.0") from None
        if not (math.isfinite(exponent) and exponent >= 0):
            raise RequestError(f"routing={text!r}: the exponent must be finite and at least 0")
        return Routing(zipf=exponent, drawn=drawn, seed=seed)
    path = Path(name)
    if not path.is_file():
        raise RequestError(
            f"routing={text!r} is neither 'uniform', 'zipf:EXPONENT' nor a file; "
            "a file is a JSON list with one popularity per expert"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise RequestError(f"routing file {name}: not JSON ({error})") from None
    if not isinstance(values, list) or not values or not all(_is_popularity(v) for v in values):
        raise RequestError(f"routing file {name}: expected a JSON list of popularities, each finite and at least 0")
    if sum(values) <= 0:
        raise RequestError(f"routing file {name}: all popularities are zero")
    return Routing(weights=tuple(float(v) for v in values), drawn=drawn, seed=seed)


def _is_popularity(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
