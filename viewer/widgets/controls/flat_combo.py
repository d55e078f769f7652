"""A flat drop-down list, of one family with the other controls."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PyQt6.QtWidgets import QComboBox, QWidget

from viewer.widgets import theme

_INSET_PX = 8


class FlatCombo(QComboBox):
    """Takes the keyboard by Tab only, and never changes while a panel is scrolled."""

    mark_px = 0
    """Room kept in front of the chosen entry."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def sizeHint(self) -> QSize:
        """As high as the other controls."""
        height = self.fontMetrics().height() + theme.CONTROL_PADDING_PX
        return QSize(super().sizeHint().width(), height)

    def paint_mark(self, painter: QPainter, room: QRectF) -> None:
        """Paint into the room in front of the chosen entry."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the panel."""
        assert event is not None
        event.ignore()

    def keyPressEvent(self, e: QKeyEvent | None) -> None:
        """Leave letters to the picture; arrows, Space and Enter choose."""
        assert e is not None
        if e.text().isprintable() and e.text().strip():
            e.ignore()
        else:
            super().keyPressEvent(e)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the cell, the chosen entry and a chevron."""
        painter = QPainter(self)
        theme.paint_cell(painter, self, False)
        tones = theme.tones_of(self)
        painter.setPen(QColor(tones.text if self.isEnabled() else tones.disabled))
        room = self.rect().adjusted(_INSET_PX + self.mark_px, 0, -22, 0)
        end = Qt.TextElideMode.ElideRight
        text = self.fontMetrics().elidedText(self.currentText(), end, room.width())
        painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter), text)
        self.paint_mark(painter, QRectF(_INSET_PX, 0, self.mark_px, self.height()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(tones.muted), 1.5))
        x, y = self.width() - 13.0, self.height() / 2
        painter.drawPolyline(QPointF(x - 4, y - 2), QPointF(x, y + 2), QPointF(x + 4, y - 2))
