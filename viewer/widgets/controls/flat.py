"""Flat controls of one family: a push button, one that stays pressed, and a drop-down list."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import (
    QColor,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QStandardItemModel,
    QWheelEvent,
)
from PyQt6.QtWidgets import QComboBox, QPushButton, QSizePolicy, QWidget

from viewer.widgets import theme

_TEXT_MARGIN_PX = 8
"""At least, left and right of a button's text together."""


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
        return QSize(self.sizeHint().width() - 22 + _TEXT_MARGIN_PX, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the cell and its text."""
        painter = QPainter(self)
        theme.paint_cell(painter, self, self.isDown())
        tones = theme.tones_of(self)
        painter.setPen(QColor(tones.text if self.isEnabled() else tones.disabled))
        middle, room_px = Qt.TextElideMode.ElideMiddle, self.width() - _TEXT_MARGIN_PX
        text = self.fontMetrics().elidedText(self.text(), middle, room_px)
        painter.drawText(QRectF(self.rect()), int(Qt.AlignmentFlag.AlignCenter), text)


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


_INSET_PX = 8


class FlatCombo(QComboBox):
    """Takes the keyboard by Tab only, and never changes while a panel is scrolled."""

    mark_px = 0
    """Room kept in front of the chosen entry."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def offer(self, position: int, on: bool, explanation: str = "") -> None:
        """Let an entry be chosen or not; `explanation`: what it is, or why it cannot be."""
        model = self.model()
        assert isinstance(model, QStandardItemModel)
        item = model.item(position)
        assert item is not None
        item.setEnabled(on)
        item.setToolTip(explanation)

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
