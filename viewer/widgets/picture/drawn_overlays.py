"""What is drawn over the picture: a camera path, and the cameras of a dataset.

Of these there may be hundreds, at every frame: all are painted from a few small images made
beforehand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QSizeF
from PyQt6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF

from r2l_core.geometry.camera import Camera

Point = tuple[float, float]
"""Column and row in image pixels."""
Lines = tuple[tuple[Point, ...], ...]

_LINE = QColor(255, 255, 255, 220)
_EDGE = QColor(0, 0, 0, 150)
_SELECTED = QColor("#f2c14e")
_DOT_PX = 3.5


@dataclass(frozen=True)
class PathOverlay:
    """Lines, and a dot for each keyframe; None for one that is out of sight. `frustums`: what each
    takes in, as lines; none of them where there are too many."""

    lines: tuple[tuple[Point, ...], ...] = ()
    keys: tuple[Point | None, ...] = ()
    frustums: tuple[tuple[tuple[Point, ...], ...], ...] = ()
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
    for number, lines in enumerate(overlay.frustums):
        chosen = number == overlay.selected
        for color, width in ((_EDGE, 2.5), (_SELECTED if chosen else _LINE, 1.0)):
            painter.setPen(QPen(color, width + 0.5 * chosen))
            for line in lines:
                painter.drawPolyline(
                    QPolygonF([origin + QPointF(*point) * scale for point in line])
                )
    painter.setPen(QPen(_EDGE, 1.5))
    for number, point in enumerate(overlay.keys):
        if point is not None:
            chosen = number == overlay.selected
            painter.setBrush(_SELECTED if chosen else _LINE)
            radius = _DOT_PX * (1.5 if chosen else 1.0)
            painter.drawEllipse(origin + QPointF(*point) * scale, radius, radius)
    painter.restore()


HEADINGS = 32
"""Directions that stalks are drawn in, and one more for those that point at or away from us."""
_SIDE_PX = 25.0
_DOT_PX = 3.0
_STALK_PX = 10.0
_LINE = QColor(255, 255, 255, 235)
_EDGE = QColor(0, 0, 0, 170)
_MARKED = QColor("#f2c14e")
_BEYOND = 0.45
"""Opacity of cameras beyond the middle of the scene."""


@dataclass(frozen=True, eq=False)
class PoseOverlay:
    """What is seen of the poses. `views`: (n,) positions in the dataset. `points`: (n, 2) column
    and row in image pixels. `headings`: (n,) counter-clockwise from the right in steps of a turn /
    HEADINGS, or HEADINGS itself for none. `beyond`: (n,) whether they are beyond the middle of the
    scene. `marked`: position of one in the dataset. `frustum`: its lines."""

    views: NDArray[np.intp]
    points: NDArray[np.float64]
    headings: NDArray[np.intp]
    beyond: NDArray[np.bool_]
    marked: int | None = None
    frustum: tuple[tuple[Point, ...], ...] = ()

    def nearest(self, at: Point, within_px: float) -> int | None:
        """The view whose dot is nearest to a point, in image pixels; those before the middle of the
        scene come first. None where none is so near."""
        away = np.hypot(*(self.points - np.asarray(at)).T)
        reached = away <= within_px
        if not reached.any():
            return None
        return int(self.views[np.argmin(np.where(reached, away + within_px * self.beyond, np.inf))])

    def point_of(self, view: int) -> Point | None:
        """Where the dot of a view is, in image pixels; None where it is out of sight."""
        for column, row in self.points[self.views == view].tolist():
            return column, row
        return None


def paint_poses(painter: QPainter, overlay: PoseOverlay, origin: QPointF, scale: float) -> None:
    """Paint them. `origin`: where pixel (0, 0) begins, in logical pixels; `scale`: size of a
    pixel."""
    device = painter.device()
    ratio = device.devicePixelRatioF() if device is not None else 1.0
    dots, faint = _dots(ratio, False), _dots(ratio, True)
    half = QPointF(_SIDE_PX, _SIDE_PX) / 2
    places = overlay.points * scale + ((origin - half).x(), (origin - half).y())
    for (x, y), heading, beyond in zip(
        places.tolist(), overlay.headings.tolist(), overlay.beyond.tolist(), strict=True
    ):
        painter.drawImage(QPointF(x, y), faint[heading] if beyond else dots[heading])
    if overlay.marked is not None:
        _paint_marked(painter, overlay, origin, scale)


def _paint_marked(painter: QPainter, overlay: PoseOverlay, origin: QPointF, scale: float) -> None:
    assert overlay.marked is not None
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    lines = [
        QPolygonF([origin + QPointF(*point) * scale for point in line]) for line in overlay.frustum
    ]
    for color, width in ((_EDGE, 3.5), (_MARKED, 1.5)):
        painter.setPen(QPen(color, width))
        for line in lines:
            painter.drawPolyline(line)
    if (point := overlay.point_of(overlay.marked)) is not None:
        painter.setPen(QPen(_EDGE, 1.5))
        painter.setBrush(_MARKED)
        painter.drawEllipse(origin + QPointF(*point) * scale, 1.5 * _DOT_PX, 1.5 * _DOT_PX)
    painter.restore()


@lru_cache(maxsize=8)
def _dots(ratio: float, beyond: bool) -> tuple[QImage, ...]:
    """One for each heading, for a screen of this pixel ratio."""
    return tuple(_dot(ratio, beyond, heading) for heading in range(HEADINGS + 1))


def _dot(ratio: float, beyond: bool, heading: int) -> QImage:
    size = (QSizeF(_SIDE_PX, _SIDE_PX) * ratio).toSize()
    image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setOpacity(_BEYOND if beyond else 1.0)
    middle = QPointF(_SIDE_PX, _SIDE_PX) / 2
    if heading < HEADINGS:
        angle = 2 * math.pi * heading / HEADINGS
        tip = middle + QPointF(math.cos(angle), -math.sin(angle)) * _STALK_PX
        for color, width in ((_EDGE, 3.0), (_LINE, 1.4)):
            painter.setPen(QPen(color, width))
            painter.drawLine(middle, tip)
    painter.setPen(QPen(_EDGE, 1.3))
    painter.setBrush(_LINE)
    painter.drawEllipse(middle, _DOT_PX, _DOT_PX)
    painter.end()
    return image


def frustum_lines(seen_by: Camera, of: Camera, depth: float) -> Lines:
    """The pyramid from the eye of `of` to its picture `depth` world units ahead, in image pixels of
    `seen_by`; nothing where a part of it is behind that."""
    across = np.array([0.0, of.width_px, of.width_px, 0.0]) - of.center_px[0]
    down = np.array([0.0, 0.0, of.height_px, of.height_px]) - of.center_px[1]
    corners = np.stack([across / of.focal_px, -down / of.fy_px, -np.ones(4)], axis=1) * depth
    world = corners @ of.T_world_camera[:3, :3].T + of.position
    pixels, depths = seen_by.projected(np.concatenate([[of.position], world]))
    if (depths <= 0).any():
        return ()
    apex, *base = [(float(x), float(y)) for x, y in pixels]
    return ((*base, base[0]), *((apex, corner) for corner in base))
