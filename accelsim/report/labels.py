"""Labels beside points that overlap neither each other nor anything else in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.text import Annotation

from accelsim.report import style

Boxes = npt.NDArray[np.float64]

_GAP_PX: Final = 3.0
_STEP_PX: Final = 8.0
_REACH_PX: Final = 260.0
_DIRECTIONS: Final = tuple(2 * pi * turn / 24 for turn in (0, 2, 22, 4, 20, 12, 10, 14, 8, 16, 6, 18, 1, 23, 3, 21))
"""To the right first, then away from it."""


@dataclass(frozen=True, slots=True)
class Label:
    """A text for a point in data coordinates; `radius_px` is the point's own size."""

    text: str
    x: float
    y: float
    radius_px: float
    colour: str


def place(axes: Axes, labels: Sequence[Label], taken: Sequence[tuple[float, float, float, float]]) -> list[Annotation]:
    """Annotates the points, the first label with the freest choice.

    Args:
        axes: already laid out, so that data and pixels correspond.
        labels: in order of importance.
        taken: boxes (left, bottom, right, top) in pixels that stay free.

    Returns:
        The annotations; a label for which no place is free is left out.
    """
    renderer = style.renderer(axes)
    frame = axes.get_window_extent()
    inside = (frame.x0 + 2, frame.y0 + 2, frame.x1 - 2, frame.y1 - 2)
    boxes: Boxes = np.array(taken, dtype=float).reshape(-1, 4)
    lines: Boxes = np.empty((0, 4))
    made = []
    for label in labels:
        anchor = axes.transData.transform((label.x, label.y))
        note = axes.annotate(
            label.text, (label.x, label.y), xytext=(0, 0), textcoords="offset pixels", ha="left", va="bottom",
            fontsize=9.5, zorder=6,
            arrowprops={"arrowstyle": "-", "color": label.colour, "lw": 0.8, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        note.set_in_layout(False)
        extent = note.get_window_extent(renderer)  # at the point itself: only the size matters
        size = (extent.width, extent.height)
        corner = _free(anchor, size, label.radius_px, np.vstack([boxes, lines]), boxes, inside)
        if corner is None:
            note.remove()
            continue
        note.set_position((corner[0] - anchor[0], corner[1] - anchor[1]))
        box = (corner[0], corner[1], corner[0] + size[0], corner[1] + size[1])
        _attach(note, anchor, box)
        boxes = np.vstack([boxes, box])
        lines = np.vstack([lines, _dots(anchor, _nearest(anchor, box))])
        made.append(note)
    return made


def _free(
    anchor: npt.NDArray[np.float64], size: tuple[float, float], radius: float, taken: Boxes, labels: Boxes,
    inside: tuple[float, float, float, float],
) -> tuple[float, float] | None:  # fmt: skip
    """Lower left corner of the nearest free box, or None."""
    width, height = size
    for distance in np.arange(radius + 5, radius + _REACH_PX, _STEP_PX):
        for angle in _DIRECTIONS:
            x, y = anchor[0] + distance * cos(angle), anchor[1] + distance * sin(angle)
            left = x if cos(angle) > 0.3 else x - width if cos(angle) < -0.3 else x - width / 2
            bottom = y - height / 2 if abs(sin(angle)) < 0.6 else y if sin(angle) > 0 else y - height
            box = (left, bottom, left + width, bottom + height)
            if box[0] < inside[0] or box[1] < inside[1] or box[2] > inside[2] or box[3] > inside[3]:
                continue
            if _hits(box, taken) or any(_hits(tuple(dot), labels) for dot in _dots(anchor, _nearest(anchor, box))[3:]):
                continue
            return left, bottom
    return None


def _hits(box: tuple[float, ...], others: Boxes) -> bool:
    """Whether a box touches one of the others."""
    left, bottom, right, top = box
    return bool(
        np.any(
            (others[:, 0] < right + _GAP_PX) & (others[:, 2] > left - _GAP_PX)
            & (others[:, 1] < top + _GAP_PX) & (others[:, 3] > bottom - _GAP_PX)
        )
    )  # fmt: skip


def _nearest(anchor: npt.NDArray[np.float64], box: tuple[float, ...]) -> tuple[float, float]:
    """The point of a box that is nearest to the anchor, where the line to it ends."""
    return float(np.clip(anchor[0], box[0], box[2])), float(np.clip(anchor[1], box[1], box[3]))


def _dots(start: npt.NDArray[np.float64], end: tuple[float, float]) -> Boxes:
    """A line as a row of tiny boxes."""
    steps = np.linspace(0, 1, 12)[:, None]
    dots = np.asarray(start) + steps * (np.asarray(end) - np.asarray(start))
    return np.hstack([dots, dots])


def _attach(note: Annotation, anchor: npt.NDArray[np.float64], box: tuple[float, ...]) -> None:
    """Lets the line leave the text at its nearest edge instead of at its corner."""
    x, y = _nearest(anchor, box)
    assert note.arrow_patch is not None
    width, height = box[2] - box[0], box[3] - box[1]
    note.arrowprops["relpos"] = ((x - box[0]) / width, (y - box[1]) / height)  # type: ignore[index]
    note._arrow_relpos = note.arrowprops["relpos"]  # type: ignore[attr-defined,index]
