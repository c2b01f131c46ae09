"""Which experts get tokens: how many distinct ones a step touches, and how uneven their loads are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.graph.numbers import Number

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Routing:
    """Popularity of the experts.

    Attributes:
        weights: relative popularity per expert, None for uniform.
        drawn: draw the loads with `seed` instead of taking their expectation.
        seed: of the draw.
    """

    weights: tuple[float, ...] | None = None
    zipf: float | None = None
    drawn: bool = False
    seed: int = 0

    def inclusion(self, experts: int, active: int) -> Vector:
        """Probability that one token picks each expert; sums to `active`.

        Uneven popularity is turned into picks without repetition by Rosen's successive-sampling
        approximation, 1 - exp(-t w), with t such that the sum is right.
        """
        if self.weights is None and self.zipf is None:
            return np.full(experts, active / experts)
        if self.zipf is not None:
            popularity = np.arange(1, experts + 1, dtype=float) ** -self.zipf
        else:
            popularity = np.asarray(self.weights, dtype=float)
            if popularity.size != experts:
                raise RequestError(f"routing: the file gives {popularity.size} experts, the model has {experts}")
        if active == experts:
            return np.ones(experts)
        popularity = popularity / popularity.sum()
        low, high = 0.0, 1.0
        while float(np.sum(-np.expm1(-high * popularity))) < active:
            high *= 2
            if high > 1e18:
                raise RequestError(f"routing: fewer than {active} experts have any popularity")
        for _ in range(200):
            middle = (low + high) / 2
            if float(np.sum(-np.expm1(-middle * popularity))) < active:
                low = middle
            else:
                high = middle
        return -np.expm1(-high * popularity)

    def distinct(self, experts: int, active: int, tokens: Number) -> Number:
        """Experts that get at least one of `tokens` tokens: expected, or drawn for a whole number of tokens."""
        if self.drawn:
            return int(np.count_nonzero(self.loads(experts, active, tokens)))
        if self.weights is None and self.zipf is None:
            return experts * (1 - (1 - active / experts) ** tokens)
        miss = 1 - self.inclusion(experts, active)
        if isinstance(tokens, int | float):
            return float(np.sum(1 - miss**tokens))
        return np.sum(1 - miss[:, None] ** np.ravel(tokens)[None, :], axis=0).reshape(np.shape(tokens))

    def loads(self, experts: int, active: int, tokens: Number) -> Vector:
        """Tokens of each expert that got any, largest first; expected loads may be fractions."""
        chance = self.inclusion(experts, active)
        if self.drawn:
            generator = np.random.default_rng(self.seed)
            draw = generator.binomial(int(tokens), chance).astype(float)
            return np.sort(draw[draw > 0])[::-1]
        hit = 1 - (1 - chance) ** tokens
        order = np.argsort(-chance, kind="stable")
        count = max(1, round(float(hit.sum())))
        # the expected number of distinct experts share all tokens in proportion to their popularity
        share = chance[order][:count]
        return share / share.sum() * (float(tokens) * active)


def parse(text: str, seed: int = 0) -> Routing:
    """Reads "uniform", "zipf:1.1", or the path of a JSON list of popularities; ":drawn" may follow."""
    name, drawn = (text[: -len(":drawn")], True) if text.endswith(":drawn") else (text, False)
    if name == "uniform":
        return Routing(drawn=drawn, seed=seed)
    if name.startswith("zipf:"):
        try:
            exponent = float(name[len("zipf:") :])
        except ValueError:
            raise RequestError(f"routing={text!r}: the exponent is no number; write zipf:1.0") from None
        if exponent < 0:
            raise RequestError(f"routing={text!r}: the exponent must be at least 0")
        return Routing(zipf=exponent, drawn=drawn, seed=seed)
    path = Path(name)
    if not path.is_file():
        raise RequestError(
            f"routing={text!r} is neither 'uniform', 'zipf:EXPONENT' nor a file; a file is a JSON list with one popularity per expert"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise RequestError(f"routing file {name}: not JSON ({error})") from None
    if not isinstance(values, list) or not values or not all(isinstance(v, int | float) and v >= 0 for v in values):
        raise RequestError(f"routing file {name}: expected a JSON list of popularities, each at least 0")
    if sum(values) <= 0:
        raise RequestError(f"routing file {name}: all popularities are zero")
    return Routing(weights=tuple(float(v) for v in values), drawn=drawn, seed=seed)
