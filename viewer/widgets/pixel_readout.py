"""The colours of the pixel under the pointer, in every pane."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from viewer import theme
from viewer.widgets.compare_mode import PixelProbe
from viewer.widgets.pane_label import LETTERS

_BETWEEN_PX = 14.0
_PLACE, _COLOR, _DIFFERENCE = "0000, 0000", "A 255 255 255", "absolute 0.000 levels"
"""Texts as wide as any: what follows must not move with the digits."""


class PixelReadout(QWidget):
    """Column and row, then red, green and blue of each pane, then the difference of A and B.

    They stand at the right; where there is no room for all, the first ones are left out.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cells: list[tuple[str, str]] = []
        self.setFont(theme.font(self, tabular=True))
        self.setAccessibleName("Pixel under the pointer")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def text(self) -> str:
        """All of it in one line."""
        return "   ".join(text for text, _ in self._cells)

    def show_probe(self, probe: PixelProbe | None) -> None:
        """Show one pixel; None once the pointer is beside the picture."""
        self._cells = []
        if probe is not None:
            self._cells.append((f"{probe.x_px}, {probe.y_px}", _PLACE))
            alone = len(probe.colors) == 1
            for letter, color in zip(LETTERS, probe.colors, strict=False):
                values = " ".join(str(one) for one in color)
                self._cells.append((values if alone else f"{letter} {values}", _COLOR))
            if probe.difference:
                self._cells.append((probe.difference, _DIFFERENCE))
        self.setToolTip(
            f"Column, row; red, green and blue from 0 to 255.\n{self.text()}" if self._cells else ""
        )
        self.setAccessibleDescription(self.text())
        self.update()

    def minimumSizeHint(self) -> QSize:
        """Nothing: it has what is left."""
        return QSize(0, self.fontMetrics().height())

    def sizeHint(self) -> QSize:
        """One pane and its place."""
        return QSize(240, self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint what fits, from the right."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        advance = QFontMetricsF(self.font()).horizontalAdvance
        right = float(self.width())
        for text, template in reversed(self._cells):
            left = right - max(advance(template), advance(text))
            if left < 0:
                return
            place = QRectF(left, 0, right - left + 1, self.height())
            painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter), text)
            right = left - _BETWEEN_PX
