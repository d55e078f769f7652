"""The grid between magnified pixels, and the number each of them has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen

from viewer.widgets.picture.picture import logical, seen_pixels
from viewer.widgets.picture.placement import Placement

GRID_FROM = 12
"""Device pixels of an image pixel from which on a grid is drawn."""
NUMBERS_FROM = 24
"""Logical pixels of an image pixel from which on its values are written into it: on a screen with
small pixels as well, they have to be read."""
_GRID = QColor(0, 0, 0, 120)
_LIGHT, _DARK = QColor(255, 255, 255, 225), QColor(0, 0, 0, 215)

# Red, green and blue are also told by their order, from above.
_LIGHT_CHANNELS = (QColor("#ffd0d0"), QColor("#c8ffd0"), QColor("#cfe0ff"))
_DARK_CHANNELS = (QColor("#5c0000"), QColor("#003c08"), QColor("#00147a"))

Words = Callable[[int, int], tuple[str, ...]]
"""What to write into the pixel in a column and a row: one line, or three for the channels."""


def paint_pixel_values(
    painter: QPainter,
    at: Placement,
    cell: QRect,
    ratio: float,
    colors: NDArray[Any],
    words: Words | None,
) -> None:
    """Paint grid and numbers over a picture that was painted with the same arguments.

    `colors`: what the picture shows, uint8 (H, W, 3) or uint32 (H, W); numbers are dark on light
    pixels and light on dark ones. `words`: None for the grid alone.
    """
    if at.scale < GRID_FROM:
        return
    painter.save()
    painter.setClipRect(logical(cell, ratio), Qt.ClipOperation.IntersectClip)
    seen = seen_pixels(colors.shape[1], colors.shape[0], at, cell, at.scale)
    step = at.scale / ratio
    left, top = (cell.x() + at.x) / ratio, (cell.y() + at.y) / ratio
    painter.setPen(QPen(_GRID, 0))
    lines = [
        QLineF(left + x * step, cell.y() / ratio, left + x * step, (cell.bottom() + 1) / ratio)
        for x in range(seen.left(), seen.right() + 2)
    ]
    lines += [
        QLineF(cell.x() / ratio, top + y * step, (cell.right() + 1) / ratio, top + y * step)
        for y in range(seen.top(), seen.bottom() + 2)
    ]
    painter.drawLines(*lines)
    if words is not None and step >= NUMBERS_FROM:
        _paint_numbers(painter, left, top, step, seen, colors, words)
    painter.restore()


def _paint_numbers(
    painter: QPainter,
    left: float,
    top: float,
    step: float,
    seen: QRect,
    colors: NDArray[Any],
    words: Words,
) -> None:
    font = painter.font()
    font.setPixelSize(max(6, round(step * 0.23)))
    painter.setFont(font)
    line = painter.fontMetrics().height()
    light = _is_light(colors)
    center = int(Qt.AlignmentFlag.AlignCenter)
    columns, rows = (range(seen.left(), seen.right() + 1), range(seen.top(), seen.bottom() + 1))
    written = [(x, y, words(x, y)) for y in rows for x in columns]
    count = len(written[0][2])
    for at in range(count):
        down = (step - count * line) / 2 + at * line
        # One pen after the other: changing it for each number would take longer than writing.
        for is_light in (False, True):
            painter.setPen(_pen(at, count, is_light))
            for x, y, lines in written:
                if light[y, x] == is_light:
                    place = QRectF(left + x * step, top + y * step + down, step, line)
                    painter.drawText(place, center, lines[at])


def _pen(at: int, count: int, on_light: bool) -> QColor:
    if count == 1:
        return _DARK if on_light else _LIGHT
    return (_DARK_CHANNELS if on_light else _LIGHT_CHANNELS)[at]


def _is_light(colors: NDArray[Any]) -> NDArray[np.bool_]:
    if colors.ndim == 3:
        return colors[..., 1] > 125
    return (colors >> 8 & 0xFF) > 125


def rgb_words(pixels: NDArray[np.uint8]) -> Words:
    """Red, green and blue of each pixel, 0 to 255, below each other."""

    def words(x: int, y: int) -> tuple[str, ...]:
        red, green, blue = pixels[y, x]
        return str(red), str(green), str(blue)

    return words
