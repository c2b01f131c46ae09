"""Board power and energy of GEMMs on a GPU whose power was logged, and the constants that follow from them.

The harness of the public table reads the board's meter every 100 ms while it repeats a kernel, for a second at most,
and the meter itself averages over a second. Short windows therefore tell of what ran before: rows below `WINDOW_S` are
told, but not fitted to. Some of the longer ones carry such traces, too, so that the fit minimises a loss that
outliers hardly move.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accelsim.errors import RequestError
from accelsim.evaluate.gemms import Kernels, kernels
from accelsim.mapping.gpu.power import energies, supply
from accelsim.spec.calibration import Board, Conditions, GemmConstants
from accelsim.spec.fitted import Fit
from accelsim.timing.gpu import gemm
from accelsim.timing.gpu.power import Supply, gemm_j, throttled
from accelsim.timing.gpu.shapes import Shapes, Times
from accelsim.validation.calibrate import HARNESS, Rows, errors, held
from accelsim.validation.tables import KERNELS

Array = npt.NDArray[np.float64]

TABLE: Final = "gemm_power_measured.csv"
CLASSES: Final = ("bfloat16", "fp8_block")
WINDOW_S: Final = 0.45
"""Least window whose readings are mostly of the kernel itself."""

COPIES: Final = 6
"""Weights that the harness takes in turn; one alone for block-scaled formats, which it runs without a graph."""

EAGER_S: Final = 15e-6
"""Least time from one launch to the next without a graph, by which the harness chooses how often it repeats."""

_SPREAD: Final = 0.05
_LARGE: Final = 2048


@dataclass(frozen=True, slots=True)
class Logged:
    """Timed GEMMs with the board's mean power in W, [rows]."""

    rows: Rows
    watts: Array

    def __len__(self) -> int:
        return len(self.watts)

    def where(self, chosen: npt.NDArray[np.bool_]) -> Logged:
        """Some of the rows."""
        return Logged(self.rows.where(chosen), self.watts[chosen])

    @property
    def joules(self) -> Array:
        """Of one kernel."""
        found: Array = self.watts * self.rows.seconds
        return found


def read(file: str | Path, kernel: str = "bfloat16", device: str | None = None) -> Logged:
    """The rows of a CSV file with the columns m, n, k, latency_ms and power_w.

    Raises:
        RequestError: a file that cannot be read, or a column or a figure that is missing.
    """
    try:
        with open(file, encoding="utf-8", newline="") as table:
            found = [
                (*(float(row[name]) for name in "mnk"), float(row["latency_ms"]) * 1e-3, float(row["power_w"]))
                for row in csv.DictReader(table)
                if row.get("gemm_dtype", kernel) == kernel and (device is None or row.get("device", device) == device)
            ]
    except OSError as error:
        raise RequestError(f"{file}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(f"{file}: a row without m, n, k, latency_ms and power_w as numbers ({error})") from None
    m, n, k, seconds, watts = np.array(sorted(found)).reshape(-1, 5).T
    return Logged(Rows(m, n, k, seconds), watts)


def window_s(seconds: Array, kernel: str = "bfloat16") -> Array:
    """How long the harness repeated kernels of so many seconds under the meter."""
    graph = kernel != "fp8_block"
    turn = COPIES * np.maximum(seconds, EAGER_S) if graph else seconds
    aim = np.where(turn < 1e-4, 0.3, 1.0)
    runs = np.clip(np.floor(aim / turn) + 1, 6, 3000)
    found: Array = runs * (COPIES if graph else 1) * seconds
    return found


def parts(found: Logged, kernel: str = "bfloat16") -> tuple[Logged, Logged]:
    """Rows to fit to, and rows held back, both of long windows."""
    told = long(found, kernel)
    shapes = zip(told.rows.m, told.rows.n, told.rows.k, strict=True)
    kept = np.array([held(kernel, int(m), int(n), int(k)) for m, n, k in shapes], dtype=bool)
    return told.where(~kept), told.where(kept)


def long(found: Logged, kernel: str = "bfloat16") -> Logged:
    """The rows of long windows."""
    return found.where(window_s(found.rows.seconds, kernel) >= WINDOW_S)


@dataclass(frozen=True, slots=True)
class Model:
    """GEMMs of a class on a board.

    Attributes:
        made: the kernels.
        constants: of theirs.
        board: the supply.
    """

    made: Kernels
    constants: GemmConstants
    board: Supply

    def cool(self, rows: Rows) -> tuple[Times, Shapes]:
        """Times on a cool chip."""
        shapes = self.made.shapes(rows.m, rows.n, rows.k)
        return gemm.price(shapes, self.made.machine, self.constants, HARNESS), shapes

    def priced_j(self, rows: Rows) -> Array:
        """What the description prices a kernel's events at."""
        times, shapes = self.cool(rows)
        spent = energies(self.made.chip, self.made.pair)
        on_chip, memory = gemm_j(times, shapes, self.made.machine, self.constants, spent)
        found: Array = on_chip + memory
        return found

    def seconds(self, rows: Rows) -> Array:
        """At the clock that the board leaves."""
        times, shapes = self.cool(rows)
        spent = energies(self.made.chip, self.made.pair)
        return throttled(times, shapes, self.made.machine, self.constants, spent, self.board).seconds

    def watts(self, rows: Rows, seconds: Array) -> Array:
        """Mean power if kernels take so long."""
        found: Array = self.board.power_w(self.priced_j(rows), seconds)
        return found

    @staticmethod
    def of(chip: str, kernel: str = "bfloat16") -> Model:
        """With the constants that runs take."""
        made = kernels(chip, *KERNELS[kernel], conditions=Conditions(residency=HARNESS, clock="sustained"))
        record = made.library.calibration
        own = next((row.gemm for row in record.format if row.kernel == kernel), record.gemm)
        return Model(made, own, supply(made.chip))


@dataclass(frozen=True, slots=True)
class Linear:
    """The baseline: a constant power, energy per FLOP and per byte of operands and result moved once.

    Attributes:
        idle_w: power without work.
        flop_j: energy of a FLOP.
        byte_j: energy of a byte.
        efficiency: of a roofline beside `offset_s`, by which it tells times.
        offset_s: fixed part of a time.
    """

    idle_w: float
    flop_j: float
    byte_j: float
    efficiency: float
    offset_s: float

    def watts(self, model: Model, rows: Rows, seconds: Array) -> Array:
        """Mean power of kernels that take so long."""
        shapes = model.made.shapes(rows.m, rows.n, rows.k)
        moved = shapes.first_bytes + shapes.second_bytes + shapes.output_bytes
        found: Array = self.idle_w + (2 * shapes.products * self.flop_j + moved * self.byte_j) / seconds
        return found

    def joules(self, model: Model, rows: Rows) -> Array:
        """Energy at the times of the roofline with an efficiency and an offset."""
        seconds = np.maximum(*model.made.bounds_s(rows.m, rows.n, rows.k)) / self.efficiency + self.offset_s
        found: Array = self.watts(model, rows, seconds) * seconds
        return found

    @staticmethod
    def fitted(found: Logged, chip: str) -> Linear:
        """The five constants that minimise the means of |ln| of power and of time."""
        from scipy import optimize

        model, rows = Model.of(chip), found.rows
        roof = np.maximum(*model.made.bounds_s(rows.m, rows.n, rows.k))

        def off_w(point: Array) -> float:
            idle_w, flop_j, byte_j = np.exp(point).tolist()
            ours = Linear(idle_w, flop_j, byte_j, 1.0, 0.0).watts(model, rows, rows.seconds)
            return float(np.abs(np.log(ours / found.watts)).mean())

        def off_s(point: Array) -> float:
            return float(np.abs(np.log((roof / np.exp(point[0]) + np.exp(point[1])) / rows.seconds)).mean())

        def best(off: Callable[[Array], float], begin: list[float]) -> list[float]:
            options: Any = {"maxfev": 4000, "xatol": 1e-6, "fatol": 1e-9}
            found = optimize.minimize(off, np.log(begin), method="Nelder-Mead", options=options)
            return [float(value) for value in np.exp(found.x)]

        idle_w, flop_j, byte_j = best(off_w, [300, 3e-13, 3e-11])
        return Linear(idle_w, flop_j, byte_j, *best(off_s, [0.75, 3e-6]))


def fit(found: Logged, model: Model) -> Supply:
    """The supply that fits the rows best: drawn and held power to the watts, the response to the times."""
    from scipy import optimize

    idle = model.board.idle_w
    priced_w = model.priced_j(found.rows) / found.rows.seconds

    def off(drawn: float, most: float) -> float:
        ours = np.minimum(most, idle + drawn * priced_w)
        return float(np.log1p((np.log(ours / found.watts) / _SPREAD) ** 2).mean())

    # the power that most rows under full load share; then the only slope left is that below it
    top = float(np.median(found.watts[found.watts > 0.95 * found.watts.max()]))
    grid = np.linspace(1, 8, 141)
    near = float(grid[np.argmin([off(drawn, top) for drawn in grid])])
    best = optimize.minimize_scalar(lambda drawn: off(drawn, top), bounds=(near - 0.1, near + 0.1), method="bounded")
    board = replace(model.board, drawn=_short(best.x), held_w=top)
    large = found.rows.where(found.rows.m > _LARGE)

    def late(response: float) -> float:
        ours = Model(model.made, model.constants, replace(board, response=response)).seconds(large)
        return float(np.abs(np.log(ours / large.seconds)).mean())

    answer = optimize.minimize_scalar(late, bounds=(0.0, 1.0), method="bounded")
    return replace(board, response=_short(answer.x))


def board(file: str | Path, chip: str, *, source: str, device: str | None = None) -> Board:
    """The table `[power]` of a calibration, from power-logged GEMMs in 16 bits.

    Args:
        file: CSV; see `read`.
        chip: whose board it was.
        source: of the file.
        device: its name in the file.

    Raises:
        RequestError: a file that cannot be read, or too few rows for constants.
    """
    model = Model.of(chip)
    to_fit, kept = parts(read(file, device=device))
    if len(to_fit) < 30 or not len(kept):
        raise RequestError(
            f"{file}: {len(to_fit)} rows with a window of {WINDOW_S} s or more beside {len(kept)} held back; 30 are "
            "needed"
        )
    best = fit(to_fit, model)
    now = replace(model, board=best)
    told = [errors(now.watts(rows.rows, rows.rows.seconds), rows.watts) for rows in (to_fit, kept)]
    return Board.model_construct(
        drawn=best.drawn, regulated=_short(best.held_w / model.made.chip.power.limit_w), response=best.response,
        provenance=Fit(
            source=f"{source}; rows with a window of at least {WINDOW_S} s; held back: rows whose sha256 of "
            "repr(('held', kernel, m, n, k)) is a multiple of 4",
            status="measured", device=device or "", kernel="bfloat16", fit=told[0], held=told[1],
        ),
    )  # fmt: skip


def _short(value: float) -> float:
    return float(f"{float(value):.3g}")
