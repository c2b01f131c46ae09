"""How well formats hold stated data: SQNR on four distributions, and which formats to compare with.

The data are [32, 4096] binary32 numbers of variance 1, made from Philox words (`numerics.random`) by inverse
distribution functions, so that they are the same everywhere up to the last bit of the mathematical library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import anatomy, registry
from accelsim.numerics.format import DataFormat
from accelsim.numerics.policy import Policy
from accelsim.numerics.quantization import measure, quantizer
from accelsim.numerics.random import draws
from accelsim.spec.format import KINDS, Format, GgufFormat

SHAPE: Final = (32, 4096)
SEED: Final = 2024
DEGREES: Final = 4
OUTLIER_SHARE: Final = 0.001
OUTLIER_FACTOR: Final = 20.0
WIDE: Final = 2**24
"""A grid whose largest value is at least so many times its smallest positive one is used without a scale."""
MARGIN_DB: Final = 0.5

Scale = Literal["own", "none", "absmax", "mean", "unsigned"]
Doubles = NDArray[np.float64]

DATA: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Gaussian": "Gaussian",
        "Laplace": "Laplace",
        "Student-t": f"Student's t with {DEGREES} degrees of freedom",
        "outliers": f"Gaussian, {100 * OUTLIER_SHARE:g} % of the numbers {OUTLIER_FACTOR:g} times as large",
    }
)
"""The distributions, before they are brought to variance 1."""


@cache
def data(name: str) -> NDArray[np.float32]:
    """The numbers of one distribution of `DATA`, read-only.

    The share and the size of outliers are those that Dettmers et al. report of the features of large models
    (LLM.int8(), arXiv 2208.07339).
    """
    seed = SEED + list(DATA).index(name)
    made = _MAKERS[name](_uniform(seed), _uniform(seed + 1000))
    result = (made / math.sqrt(float(np.square(made).mean()))).astype(np.float32).reshape(SHAPE)
    result.flags.writeable = False
    return result


def _uniform(seed: int) -> Doubles:
    """Numbers between 0 and 1, in the middles of 2^32 steps."""
    return (draws(seed, 0, SHAPE[0] * SHAPE[1], 32).astype(np.float64) + 0.5) * 2.0**-32


def _gaussian(u: Doubles, _: Doubles) -> Doubles:
    from scipy.special import ndtri

    made: Doubles = ndtri(u)
    return made


def _laplace(u: Doubles, _: Doubles) -> Doubles:
    made: Doubles = np.copysign(np.log1p(-np.abs(2 * u - 1)), 0.5 - u)
    return made


def _student(u: Doubles, _: Doubles) -> Doubles:
    """The quantile function has a closed form for four degrees of freedom."""
    root = np.sqrt(4 * u * (1 - u))
    q = np.cos(np.arccos(root) / 3) / root
    made: Doubles = np.copysign(2 * np.sqrt(q - 1), u - 0.5)
    return made


def _outliers(u: Doubles, other: Doubles) -> Doubles:
    return _gaussian(u, other) * np.where(other < OUTLIER_SHARE, OUTLIER_FACTOR, 1.0)


_MAKERS: Final[dict[str, Callable[[Doubles, Doubles], Doubles]]] = {
    "Gaussian": _gaussian, "Laplace": _laplace, "Student-t": _student, "outliers": _outliers,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quality:
    """How well one format holds the data.

    Attributes:
        record: the format.
        scale: its own rule (`own`), or what was bound to a grid without a scale: an fp32 scale of every row by
            `absmax` or `mean` magnitude, or `none`; `unsigned` where it was not measured.
        sqnr_db: signal to quantisation noise by name of the distribution, dB; infinite without noise.
    """

    record: Format
    scale: Scale
    sqnr_db: Mapping[str, float]


def signed(record: Format) -> bool:
    """Whether a format holds negative numbers: in its elements, or by what is taken away from them."""
    if isinstance(record, GgufFormat) or getattr(record, "zero_point", None) is not None:
        return True
    return any(registry.grid(each).smallest < 0 for _, each in anatomy.element_grids(record))


def quality(record: Format, policy: Policy | str | None = None, *, magnitudes: bool = False) -> Quality:
    """The SQNR of a format on all data.

    A format that owns scales is taken as it is, elements lying along rows. A plain grid is bound to a scale: none if
    its largest value is at least 2^24 times its smallest positive one; else an fp32 scale of each row by its
    absolute maximum, or by its mean magnitude where that is better by more than 0.5 dB on Gaussian data.

    Args:
        record: of a kind that is computed.
        policy: as for `dataformat`.
        magnitudes: whether the data are taken without their signs, as unsigned formats need it.

    Raises:
        RequestError: the kind is priced and not computed, or the policy cannot be expressed.
    """
    scale, made = _bound(record, policy, magnitudes)
    return Quality(record, scale, {name: _sqnr(made, name, magnitudes) for name in DATA})


def _bound(record: Format, policy: Policy | str | None, magnitudes: bool) -> tuple[Scale, DataFormat]:
    if record.scaled:
        return "own", DataFormat(record, policy)
    grid = registry.grid(record)
    if wide(record):
        return "none", DataFormat(record, policy)
    found: dict[Scale, DataFormat] = {"absmax": quantizer(record, "channel", "absmax", policy=policy)}
    if grid.largest > 0:
        found["mean"] = quantizer(record, "channel", "mean", policy=policy)
    errors = {scale: _sqnr(made, "Gaussian", magnitudes) for scale, made in found.items()}
    best: Scale = "mean" if errors.get("mean", -math.inf) > errors["absmax"] + MARGIN_DB else "absmax"
    return best, found[best]


def wide(record: Format) -> bool:
    """Whether a grid reaches so far that it is used without a scale."""
    grid = registry.grid(record)
    return 0 < WIDE * anatomy.least_positive(grid) <= grid.largest


def _sqnr(made: DataFormat, name: str, magnitudes: bool) -> float:
    x = np.abs(data(name)) if magnitudes else data(name)
    return measure(x, made.quantize(x)).sqnr_db


def neighbours(record: Format, candidates: Iterable[Format], count: int = 5) -> tuple[Format, ...]:
    """The formats nearest to one by bits per element.

    Of equally near ones, the first of each kind come before the second of any; within a kind, those that a data sheet
    defines come first. Formats that differ in how a scale is chosen count once, unsigned ones only beside unsigned.

    Args:
        record: the format.
        candidates: what to choose from, in a fixed order; itself and its equals are left out.
        count: how many.
    """
    order = {kind: at for at, kind in enumerate(KINDS)}
    trust = {"datasheet": 0, "measured": 1, "derived": 1, "assumed": 2}
    seen = {_shape(record)}
    found: list[tuple[float, Format]] = []
    for each in sorted(candidates, key=lambda each: trust.get(each.status, 3)):
        if signed(each) == signed(record) and _shape(each) not in seen:
            seen.add(_shape(each))
            found.append((round(abs(each.bits_per_element - record.bits_per_element), 9), each))
    ranked: list[tuple[float, int, int, int, Format]] = []
    met: dict[tuple[float, str], int] = {}
    for distance, each in found:
        rank = met[distance, each.kind] = met.get((distance, each.kind), -1) + 1
        ranked.append((distance, rank, trust.get(each.status, 3), order[each.kind], each))
    ranked.sort(key=lambda row: row[:4])
    return tuple(row[4] for row in ranked[:count])


_RULES: Final = ("scale_rule", "percentile", "targets", "steps", "step")


def _shape(record: Format) -> str:
    """A format apart from how it chooses its scale."""
    return repr({key: value for key, value in record.definition().items() if key not in _RULES})


def compare(record: Format, others: Iterable[Format], policy: Policy | str | None = None) -> tuple[Quality, ...]:
    """The quality of a format under a policy, and of others under their usual ones, on the same data.

    Where the format is unsigned, all are measured on magnitudes; an unsigned one beside signed ones is not measured
    (NaN).

    Raises:
        RequestError: a kind that is priced and not computed, or a policy that cannot be expressed.
    """
    negative = signed(record)
    rows = [quality(record, policy, magnitudes=not negative)]
    for each in others:
        if negative and not signed(each):
            rows.append(Quality(each, "unsigned", dict.fromkeys(DATA, math.nan)))
        else:
            rows.append(quality(each, magnitudes=not negative))
    return tuple(rows)
