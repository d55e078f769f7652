"""Pixels ready to be painted: wrapped rather than copied, and cut to what is seen of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QImage, QPainter

from viewer.widgets.picture.placement import Placement


class Picture:
    """An image that keeps the array it was made of alive; QImage alone would not."""

    def __init__(self, pixels: NDArray[Any]) -> None:
        """`pixels`: uint8 (H, W, 3) sRGB, or uint32 (H, W) of 0xffRRGGBB. Not to be changed."""
        pixels = np.ascontiguousarray(pixels)
        height_px, width_px = pixels.shape[:2]
        rgb = pixels.ndim == 3
        kind = QImage.Format.Format_RGB888 if rgb else QImage.Format.Format_RGB32
        # The stubs know only bytes; any buffer will do.
        wrapped = QImage(  # type: ignore[call-overload]
            pixels.data, width_px, height_px, pixels.strides[0], kind
        )
        # Painting 24 bits a pixel takes twice as long as converting them once.
        self.image: QImage = wrapped.convertToFormat(QImage.Format.Format_RGB32)
        self.pixels = pixels
        self._reduced = QImage()

    def paint(self, painter: QPainter, at: Placement, cell: QRect, ratio: float) -> None:
        """Paint what of it lies in `cell`, a rectangle in device pixels of the widget.

        `at` is relative to the cell; `ratio`: device pixels per logical pixel, the painter's unit.
        """
        image, scale = self.image, at.scale
        if scale < 1:
            image, scale = self._reduced_to(at), 1.0
        visible = target = logical(cell, ratio)
        seen = QRect(0, 0, image.width(), image.height())
        if scale == int(scale):
            seen = seen_pixels(image.width(), image.height(), at, cell, scale)
            target = QRectF(
                (cell.x() + at.x + seen.x() * scale) / ratio,
                (cell.y() + at.y + seen.y() * scale) / ratio,
                seen.width() * scale / ratio,
                seen.height() * scale / ratio,
            )
        painter.save()
        if not visible.contains(target):
            painter.setClipRect(visible, Qt.ClipOperation.IntersectClip)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not at.nearest)
        painter.drawImage(target, image, QRectF(seen))
        painter.restore()

    def _reduced_to(self, at: Placement) -> QImage:
        # Bilinear sampling skips pixels below half size; a filtered reduction does not.
        if (self._reduced.width(), self._reduced.height()) != (at.width, at.height):
            self._reduced = self.image.scaled(
                at.width,
                at.height,
                Qt.AspectRatioMode.IgnoreAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        return self._reduced


def seen_pixels(width_px: int, height_px: int, at: Placement, cell: QRect, scale: float) -> QRect:
    """The whole pixels of an image, `scale` device pixels large, that show in `cell`."""
    left, top = max(0, math.floor(-at.x / scale)), max(0, math.floor(-at.y / scale))
    right = min(width_px, math.ceil((cell.width() - at.x) / scale))
    bottom = min(height_px, math.ceil((cell.height() - at.y) / scale))
    return QRect(left, top, max(1, right - left), max(1, bottom - top))


def logical(rect: QRect, ratio: float) -> QRectF:
    """A rectangle in device pixels as logical ones."""
    size = QPointF(rect.width(), rect.height()) / ratio
    return QRectF(rect.x() / ratio, rect.y() / ratio, size.x(), size.y())
