"""What is marked in every picture of a comparison: a pixel, and a region."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen

from viewer.state.region import Region

_MARK_PX = 9.0
_EDGE, _LINE = QColor(0, 0, 0, 180), QColor(255, 255, 255)


def paint_mark(painter: QPainter, at: QPointF, pixel_px: float) -> None:
    """Ring the pixel in the middle of which `at` is; `pixel_px`: its size in logical pixels."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for color, width in ((_EDGE, 3.5), (_LINE, 1.5)):
        painter.setPen(QPen(color, width))
        painter.drawEllipse(at, max(_MARK_PX, pixel_px * 0.7), max(_MARK_PX, pixel_px * 0.7))
    painter.restore()


def paint_region(painter: QPainter, region: Region, corner: QPointF, pixel_px: float) -> None:
    """Frame a region. `corner`: where pixel (0, 0) begins, in logical pixels; `pixel_px`: size of a
    pixel. Dashes over a dark line can be seen on every picture."""
    place = QRectF(
        corner.x() + region.left * pixel_px,
        corner.y() + region.top * pixel_px,
        region.width * pixel_px,
        region.height * pixel_px,
    )
    painter.save()
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(_EDGE, 3))
    painter.drawRect(place)
    painter.setPen(QPen(_LINE, 1, Qt.PenStyle.DashLine))
    painter.drawRect(place)
    painter.restore()
