"""A quiet label that lies over the picture: badge, busy notice, first-start hint."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QLabel, QWidget

from viewer.widgets import theme

_BACKGROUND = QColor(18, 18, 18, 205)
_TEXT = QColor(240, 240, 240)
_CORNER_PX = 5.0


class OverlayLabel(QLabel):
    """Light text on a dark translucent plate, in both schemes: what lies under it is a picture."""

    def __init__(
        self, name: str, parent: QWidget, marker: QColor | None = None, plate: QColor = _BACKGROUND
    ) -> None:
        super().__init__(parent)
        self._marker = marker
        self._plate = plate
        self.setAccessibleName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        theme.set_text_color(self, _TEXT)
        self.setContentsMargins(22 if marker else 11, 6, 11, 6)
        self.hide()

    def show_text(self, text: str | None) -> None:
        """Show `text`, or hide where it is None or empty."""
        if (text or "") == self.text():
            self.setVisible(bool(text))
            return
        self.setText(text or "")
        self.adjustSize()
        self.setVisible(bool(text))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the plate and the marker dot, then the text."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._plate)
        painter.drawRoundedRect(QRectF(self.rect()), _CORNER_PX, _CORNER_PX)
        if self._marker is not None:
            painter.setBrush(self._marker)
            painter.drawEllipse(QRectF(9, self.height() / 2 - 3.5, 7, 7))
        painter.end()
        super().paintEvent(event)
