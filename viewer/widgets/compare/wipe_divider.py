"""The line between two halves of a wipe, and the grip on it."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PyQt6.QtWidgets import QWidget

from viewer.widgets import theme

THICKNESS_PX = 30
"""Of the whole widget in logical pixels: what the hand can take hold of."""
_GRIP_PX = 26.0
_LINE, _EDGE = QColor(255, 255, 255), QColor(0, 0, 0, 170)
STEP = 0.02
"""How far a key moves the line, in parts of the picture; with Shift five times as far."""
_BACK = (Qt.Key.Key_Left, Qt.Key.Key_Up)
_ON = (Qt.Key.Key_Right, Qt.Key.Key_Down)


class WipeDivider(QWidget):
    """Stands over the picture, centred on its line; with the keyboard, arrow keys move it."""

    dragged = pyqtSignal(QPointF)
    """Where the pointer pulls it, in logical pixels of the parent."""
    stepped = pyqtSignal(float)
    """By how much of the picture a key moves it, right or down."""
    reset = pyqtSignal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.upright = True
        self.setAccessibleName("Wipe divider")
        self.setToolTip("Drag to wipe between A and B; double-click for the middle.")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMouseTracking(True)
        # Qt repaints it for the pointer then, as it always does for the keyboard.
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.hide()

    def lie(self, picture: QRectF, fraction: float, upright: bool) -> None:
        """Lie across `picture`, in logical pixels of the parent, at `fraction` of it."""
        if upright != self.upright:
            self.upright = upright
            self.setCursor(Qt.CursorShape.SplitHCursor if upright else Qt.CursorShape.SplitVCursor)
        half = THICKNESS_PX // 2
        if upright:
            x = round(picture.left() + fraction * picture.width())
            place = (x - half, round(picture.top()), THICKNESS_PX, round(picture.height()))
        else:
            y = round(picture.top() + fraction * picture.height())
            place = (round(picture.left()), y - half, round(picture.width()), THICKNESS_PX)
        self.setGeometry(*place)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take hold of it; other buttons are for the picture below."""
        assert event is not None
        event.setAccepted(event.button() == Qt.MouseButton.LeftButton)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Pull it."""
        assert event is not None
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.dragged.emit(QPointF(self.mapToParent(event.position())))
        # The picture below shows the values under the pointer.
        event.ignore()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Back to the middle."""
        assert event is not None
        self.reset.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Arrows move it."""
        assert event is not None
        step = STEP * (5 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        if event.key() in (*_BACK, *_ON):
            self.stepped.emit(-step if event.key() in _BACK else step)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint a white line with dark edges, which stands out on every picture, and the grip."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = QRectF(self.rect()).center()
        if not self.upright:
            painter.translate(middle)
            painter.rotate(90)
            painter.translate(-middle)
        length = max(self.width(), self.height())
        ends = QPointF(middle.x(), middle.y() - length), QPointF(middle.x(), middle.y() + length)
        for color, width in ((_EDGE, 3.5), (_LINE, 1.5)):
            painter.setPen(QPen(color, width))
            painter.drawLine(*ends)
        lit = self.underMouse() or self.hasFocus()
        accent = QColor(theme.tones_of(self).accent)
        painter.setPen(QPen(accent if lit else _EDGE, 2.0 if lit else 1.5))
        painter.setBrush(_LINE)
        grip = QRectF(0, 0, _GRIP_PX, _GRIP_PX)
        grip.moveCenter(middle)
        painter.drawEllipse(grip)
        painter.setPen(QPen(QColor("#202020"), 1.8))
        for way in (-1, 1):
            tip = middle + QPointF(way * 7.5, 0)
            back = way * 4.0
            painter.drawPolyline(tip + QPointF(-back, -4), tip, tip + QPointF(-back, 4))
