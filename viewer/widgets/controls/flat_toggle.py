"""A flat button that stays pressed."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from viewer.widgets import theme
from viewer.widgets.controls.flat_button import FlatButton


class FlatToggle(FlatButton):
    """Checked is told by its edge and its ground, and to the keyboard by an inner line."""

    def __init__(self, text: str, explanation: str, parent: QWidget | None = None) -> None:
        super().__init__(text, explanation, parent)
        self.setCheckable(True)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the cell and its text."""
        super().paintEvent(event)
        if not self.isChecked():
            return
        tones = theme.tones_of(self)
        accent = QColor(tones.accent)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(accent, 1))
        painter.setBrush(theme.mixed(QColor(tones.button), accent, 0.28))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 2.0, 2.0)
        painter.setPen(QColor(tones.text if self.isEnabled() else tones.disabled))
        painter.drawText(QRectF(self.rect()), int(Qt.AlignmentFlag.AlignCenter), self.text())
        if self.hasFocus():
            painter.setPen(QPen(QColor(tones.text), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(QRectF(self.rect()).adjusted(2.5, 2.5, -2.5, -2.5))
