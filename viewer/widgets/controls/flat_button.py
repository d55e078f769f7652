"""A flat push button, of one family with the precision switch."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QPushButton, QSizePolicy, QWidget

from viewer.widgets import theme


class FlatButton(QPushButton):
    """Takes the keyboard by Tab only: a click must not take the arrow keys from the picture."""

    def __init__(self, text: str, explanation: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setToolTip(explanation)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def sizeHint(self) -> QSize:
        """Text with even room around it."""
        metrics = self.fontMetrics()
        return QSize(
            metrics.horizontalAdvance(self.text()) + 22, metrics.height() + theme.CONTROL_PADDING_PX
        )

    def minimumSizeHint(self) -> QSize:
        """Text with little room around it."""
        return QSize(self.sizeHint().width() - 14, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the cell and its text."""
        painter = QPainter(self)
        theme.paint_cell(painter, self, self.isDown())
        tones = theme.tones_of(self)
        painter.setPen(QColor(tones.text if self.isEnabled() else tones.disabled))
        painter.drawText(QRectF(self.rect()), int(Qt.AlignmentFlag.AlignCenter), self.text())
