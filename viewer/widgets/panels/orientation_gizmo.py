"""Which way the axes of the scene lie; a click looks along one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from r2l_core.geometry.orbit import Orbit
from viewer.widgets import theme

_SIDE_PX = 104
_REACH_PX = 38.0
_END_PX = 9.0
_LEAST_ALONG = 0.15
"""Of an axis' length that has to be seen for its line to be drawn."""


@dataclass(frozen=True)
class _End:
    """One end of an axis: its name, the camera that looks along it from there, its colour."""

    name: str
    way: tuple[float, float, float]
    azimuth_deg: float | None
    elevation_deg: float
    color: str


_RED, _GREEN, _BLUE = "#e5695e", "#6db85c", "#5a93cc"
_ENDS = (
    _End("X", (1, 0, 0), 0.0, 0.0, _RED),
    _End("Y", (0, 1, 0), 90.0, 0.0, _GREEN),
    _End("Z", (0, 0, 1), None, 90.0, _BLUE),
    _End("−X", (-1, 0, 0), 180.0, 0.0, _RED),
    _End("−Y", (0, -1, 0), -90.0, 0.0, _GREEN),
    _End("−Z", (0, 0, -1), None, -90.0, _BLUE),
)


class OrientationGizmo(QWidget):
    """Turns with the camera; letters tell the axes apart, not colour alone."""

    orbit_chosen = pyqtSignal(Orbit)
    """The present orbit, seen from the end of an axis that was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._orbit = Orbit(0.0, 0.0, 1.0)
        self.setAccessibleName("Axes of the scene")
        self.setToolTip("The axes of the scene as the camera sees them. Click an end to look from.")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_orbit(self, orbit: Orbit) -> None:
        """Turn the axes as this camera sees them."""
        self._orbit = orbit
        self.update()

    def sizeHint(self) -> QSize:
        """A square with room for the letters."""
        return QSize(_SIDE_PX, _SIDE_PX)

    def place_of(self, name: str) -> QPointF:
        """Where the end of an axis, such as "X" or "−Z", is in this widget."""
        return next(at for end, at, _ in self._ends() if end.name == name)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Look from the end that was clicked, the nearest where some lie behind each other."""
        assert event is not None
        reached = [
            end
            for end, at, _ in self._ends()
            if QPointF(at - event.position()).manhattanLength() <= 1.5 * _END_PX
        ]
        if reached and event.button() == Qt.MouseButton.LeftButton:
            end = reached[-1]
            azimuth = self._orbit.azimuth_deg if end.azimuth_deg is None else end.azimuth_deg
            self.orbit_chosen.emit(
                replace(self._orbit, azimuth_deg=azimuth, elevation_deg=end.elevation_deg)
            )

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the axes from the farthest end to the nearest."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(theme.font(self, 0.85, bold=True))
        middle = QRectF(self.rect()).center()
        ground = QColor(theme.tones_of(self).window)
        for end, at, depth in self._ends():
            # What points away is fainter.
            color = theme.mixed(ground, QColor(end.color), 0.75 + 0.25 * depth)
            positive = not end.name.startswith("−")
            if positive and QPointF(at - middle).manhattanLength() > _LEAST_ALONG * _REACH_PX:
                painter.setPen(QPen(color, 2))
                painter.drawLine(middle, at)
            painter.setPen(QPen(color, 1.5))
            painter.setBrush(color if positive else ground)
            painter.drawEllipse(at, _END_PX - 1, _END_PX - 1)
            if positive:
                painter.setPen(QColor("#101010"))
                room = QRectF(0, 0, 2 * _END_PX, 2 * _END_PX)
                room.moveCenter(at)
                painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), end.name)

    def _ends(self) -> list[tuple[_End, QPointF, float]]:
        """From the farthest to the nearest: where each is, and how far it points to the eye, -1 to
        1."""
        right, up, backward = self._orbit.T_world_camera()[:3, :3].T
        middle = QRectF(self.rect()).center()
        found = []
        for end in _ENDS:
            way = np.array(end.way)
            at = middle + QPointF(float(way @ right), -float(way @ up)) * _REACH_PX
            found.append((end, at, float(way @ backward)))
        return sorted(found, key=lambda one: one[2])
