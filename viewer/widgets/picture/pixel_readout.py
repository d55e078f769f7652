"""The colours of the pixel under the pointer, in every pane."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from viewer.state.panes import LETTERS
from viewer.widgets import theme
from viewer.widgets.controls import wording

_BETWEEN_PX = 14.0
_PLACE, _COLOR, _DIFFERENCE = "000, 000", "A 255 255 255", "A−B −00 −00 −00"
"""Texts as wide as most: what follows must not move with the digits."""


@dataclass(frozen=True)
class PixelProbe:
    """One pixel in every pane. `x_px`, `y_px`: its column and row from the upper left.

    `colors`: red, green and blue, 0 to 255, of each pane in its order; empty for a pane
    without a picture. `difference`: of A against
    B in words with their unit, or empty where no difference is shown.
    """

    x_px: int
    y_px: int
    colors: tuple[tuple[int, ...], ...]
    difference: str = ""


class PixelReadout(QWidget):
    """Column and row, then red, green and blue of each pane, then the difference of A and B.

    Where there is no room for all, the place is left out first, then the difference.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cells: list[tuple[str, str]] = []
        self._has_difference = False
        self.setFont(theme.font(self, tabular=True))
        self.setAccessibleName("Pixel under the pointer")
        # All that is left, but by no stretch: a layout would make no room for it then.
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def text(self) -> str:
        """All of it in one line."""
        return "   ".join(text for text, _ in self._cells)

    def show_probe(self, probe: PixelProbe | None) -> None:
        """Show one pixel; None once the pointer is beside the picture."""
        self._cells = []
        self._has_difference = probe is not None and bool(probe.difference)
        if probe is not None:
            self._cells.append((f"{probe.x_px}, {probe.y_px}", _PLACE))
            alone = len(probe.colors) == 1
            for letter, color in zip(LETTERS, probe.colors, strict=False):
                values = " ".join(str(one) for one in color) or wording.DASH
                self._cells.append((values if alone else f"{letter} {values}", _COLOR))
            if probe.difference:
                self._cells.append((probe.difference, _DIFFERENCE))
        self.setToolTip(
            f"Column, row; red, green and blue from 0 to 255.\n{self.text()}" if self._cells else ""
        )
        self.setAccessibleDescription(self.text())
        self.updateGeometry()
        self.update()

    def minimumSizeHint(self) -> QSize:
        """Nothing: it leaves out what has no room."""
        return QSize(0, self.fontMetrics().height())

    def sizeHint(self) -> QSize:
        """All that is known of the pixel, for which words beside it make room."""
        width = math.ceil(sum(self._widths().values()))
        return QSize(width, self.fontMetrics().height())

    def _widths(self) -> dict[int, float]:
        advance = QFontMetricsF(self.font()).horizontalAdvance
        return {
            cell: max(advance(text), advance(template)) + _BETWEEN_PX
            for cell, (text, template) in enumerate(self._cells)
        }

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint what fits, at the right."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        widths = self._widths()
        # First the position, then the difference, then the last panes: half a number is none.
        count = len(self._cells)
        for cell in (0, *([count - 1] if self._has_difference else []), *range(count - 1, 0, -1)):
            # The last one that is left has nothing behind it.
            too_wide = sum(widths.values()) - _BETWEEN_PX > self.width()
            if too_wide and cell in widths:
                del widths[cell]
        left = max(self.width() - sum(widths.values()) + _BETWEEN_PX, 0.0)
        for cell, width in widths.items():
            place = QRectF(left, 0, width + 1, self.height())
            painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter), self._cells[cell][0])
            left += width
