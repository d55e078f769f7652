"""A camera path drawn over the picture."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

Point = tuple[float, float]
"""Column and row in image pixels."""

_LINE = QColor(255, 255, 255, 220)
_EDGE = QColor(0, 0, 0, 150)
_SELECTED = QColor("#f2c14e")
_DOT_PX = 3.5


@dataclass(frozen=True)
class PathOverlay:
    """Lines, and a dot for each keyframe; None for one that is out of sight."""

    lines: tuple[tuple[Point, ...], ...] = ()
    keys: tuple[Point | None, ...] = ()
    selected: int | None = None


def paint_path(painter: QPainter, overlay: PathOverlay, origin: QPointF, scale: float) -> None:
    """Paint it. `origin`: where pixel (0, 0) begins, in logical pixels; `scale`: size of a pixel.

    White over a dark edge can be seen on every picture.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for color, width in ((_EDGE, 3.5), (_LINE, 1.5)):
        painter.setPen(QPen(color, width))
        for line in overlay.lines:
            painter.drawPolyline(QPolygonF([origin + QPointF(*point) * scale for point in line]))
    painter.setPen(QPen(_EDGE, 1.5))
    for number, point in enumerate(overlay.keys):
        if point is not None:
            chosen = number == overlay.selected
            painter.setBrush(_SELECTED if chosen else _LINE)
            radius = _DOT_PX * (1.5 if chosen else 1.0)
            painter.drawEllipse(origin + QPointF(*point) * scale, radius, radius)
    painter.restore()
