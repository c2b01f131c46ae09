"""Pictures of one run, as `run.plot` offers them."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from accelsim.errors import RequestError
from accelsim.report import breakdown, commands, roofline, style, timeline
from accelsim.results import Run


class Plots:
    """Draws one run.

    Every method returns a matplotlib `Figure` of 1,200 x 750 pixels and writes it if a path is given (.png, .svg,
    .pdf). The file appears under its name only when it is complete.

    Args:
        run: the run.

    Raises:
        RequestError: the run did not take place.
    """

    def __init__(self, run: Run) -> None:
        if run.infeasible is not None:
            raise RequestError(f"there is nothing to draw: the run is infeasible, {run.infeasible.reason}")
        self._run = run

    def roofline(self, path: str | Path | None = None) -> Figure:
        """Every operator by its arithmetic intensity and what it achieves, under the roofs of the chip."""
        with style.look():
            return self._done(roofline.draw(self._run), path)

    def breakdown(self, path: str | Path | None = None) -> Figure:
        """Time by operator and energy by component, for each phase."""
        with style.look():
            return self._done(breakdown.draw(self._run), path)

    def timeline(self, path: str | Path | None = None, *, phase: str | None = None, max_rows: int = 12) -> Figure:
        """What each resource does during one pass of each phase, repeated layers drawn once.

        Args:
            path: where to write it.
            phase: one phase only, "prefill" or "decode".
            max_rows: resources that are drawn at most, the busiest.

        Raises:
            RequestError: a roofline run, which has no events; a phase that the run has not.
        """
        with style.look():
            return self._done(timeline.draw(self._run, phase, max_rows), path)

    def commands(self, path: str | Path | None = None, *, cycles: tuple[float, float] | None = None) -> Figure:
        """What the first channel of a memory that computes is told by one kernel, bank by bank, under its modes.

        Args:
            path: where to write it.
            cycles: from which cycle to which; all by default.

        Raises:
            RequestError: a run that is not one kernel on HBM-PIM or GDDR6-AiM; cycles beyond it.
        """
        with style.look():
            return self._done(commands.draw(self._run, cycles), path)

    def _done(self, made: Figure, path: str | Path | None) -> Figure:
        if path is not None:
            style.save(made, path)
        return made
