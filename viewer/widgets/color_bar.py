"""The scale of a difference: its colours, its ends with their unit, and the mark beyond them."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from viewer import theme
from viewer.widgets import difference
from viewer.widgets.color_scale import CLIPPED_COLOR
from viewer.widgets.difference_view import DifferenceOptions
from viewer.widgets.picture import Picture

_BAR_PX = 9
_MARK_PX = 9
_GAP_PX = 3
_TEXT_SCALE = 0.85


class ColorBar(QWidget):
    """Lies level; the low end is at the left. `inset_px`: kept free at the left."""

    def __init__(self, inset_px: int = 0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._inset_px = inset_px
        self._options = DifferenceOptions()
        self._top = 1.0
        self._colors = Picture(np.zeros((1, 1), np.uint32))
        self.setFont(theme.font(self, _TEXT_SCALE, tabular=True))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Colour scale")
        self.show_scale(self._options, 1.0)

    def show_scale(self, options: DifferenceOptions, top: float) -> None:
        """Show the colours of `options` for a scale that ends at `top` (colours being 0 to 1)."""
        self._options, self._top = options, top
        count = 255 if options.kind.signed else 256
        self._colors = Picture(options.colors[None, :count])
        ends = " to ".join(self._labels()[::2])
        self.setToolTip(
            f"{options.kind} difference, {ends} {options.kind.unit}. "
            "Pixels beyond the ends have the colour of the block at the right."
        )
        self.setAccessibleDescription(self.toolTip())
        self.update()

    def sizeHint(self) -> QSize:
        """Wide enough for three numbers."""
        return QSize(self._inset_px + 170, _BAR_PX + 2 + self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        """Room for its ends."""
        return QSize(self._inset_px + 110, self.sizeHint().height())

    def _labels(self) -> tuple[str, str, str]:
        kind, top = self._options.kind, self._top
        first, middle = (-top, 0.0) if kind.signed else (0.0, top / 2)
        low, half, high = (difference.words(kind, value) for value in (first, middle, top))
        return low, half, high

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the colours and, below them, what they mean."""
        tones = theme.tones_of(self)
        painter = QPainter(self)
        beyond = _MARK_PX + _GAP_PX
        signed = self._options.kind.signed
        left = self._inset_px + (beyond if signed else 0)
        bar = QRectF(left, 0, self.width() - beyond - left, _BAR_PX)
        painter.drawImage(bar, self._colors.image, QRectF(self._colors.image.rect()))
        marks = [bar.right() + _GAP_PX] + ([float(self._inset_px)] if signed else [])
        for x in marks:
            painter.fillRect(QRectF(x, 0, _MARK_PX, _BAR_PX), QColor(CLIPPED_COLOR))
        painter.setPen(QPen(QColor(tones.line), 1))
        painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))
        painter.setPen(QColor(tones.muted))
        low, half, high = self._labels()
        unit = self._options.kind.unit
        below = QRectF(bar.left(), _BAR_PX + 1, bar.width() + beyond, self.height() - _BAR_PX - 1)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignLeft), low)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignRight), f"{high} {unit}")
        middle = QRectF(bar.left(), below.top(), bar.width(), below.height())
        advance = QFontMetricsF(self.font()).horizontalAdvance
        if advance(low) + advance(half) + advance(f"{high} {unit}") + 24 < below.width():
            painter.drawText(middle, int(Qt.AlignmentFlag.AlignHCenter), half)
