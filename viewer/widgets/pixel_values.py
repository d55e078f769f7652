"""The grid between magnified pixels, and the number each of them has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen

from viewer.widgets.picture import logical, seen_pixels
from viewer.widgets.placement import Placement

GRID_FROM = 12
"""Device pixels of an image pixel from which on a grid is drawn."""
NUMBERS_FROM = 24
"""Logical pixels of an image pixel from which on its values are written into it: on a screen with
small pixels as well, they have to be read."""
_GRID = QColor(0, 0, 0, 120)
_LIGHT, _DARK = QColor(255, 255, 255, 225), QColor(0, 0, 0, 215)

Words = Callable[[int, int], str]
"""What to write into the pixel in a column and a row; lines below each other."""


def paint_pixel_values(
    painter: QPainter,
    at: Placement,
    cell: QRect,
    ratio: float,
    colors: NDArray[Any],
    words: Words,
) -> None:
    """Paint grid and numbers over a picture that was painted with the same arguments.

    `colors`: what the picture shows, uint8 (H, W, 3) or uint32 (H, W); numbers are dark on light
    pixels and light on dark ones.
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
    painter.drawLines(lines)
    if step >= NUMBERS_FROM:
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
    font.setPixelSize(max(6, round(step * 0.28)))
    painter.setFont(font)
    light = _is_light(colors)
    center = int(Qt.AlignmentFlag.AlignCenter)
    for dark_text in (False, True):
        painter.setPen(_DARK if dark_text else _LIGHT)
        for y in range(seen.top(), seen.bottom() + 1):
            for x in range(seen.left(), seen.right() + 1):
                if light[y, x] == dark_text:
                    square = QRectF(left + x * step, top + y * step, step, step)
                    painter.drawText(square, center, words(x, y))


def _is_light(colors: NDArray[Any]) -> NDArray[np.bool_]:
    if colors.ndim == 3:
        return colors[..., 1] > 140
    return (colors >> 8 & 0xFF) > 140


def rgb_words(pixels: NDArray[np.uint8]) -> Words:
    """Red, green and blue of each pixel, 0 to 255, below each other."""

    def words(x: int, y: int) -> str:
        red, green, blue = pixels[y, x]
        return f"{red}\n{green}\n{blue}"

    return words
