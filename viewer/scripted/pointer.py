"""A hand on the picture: real mouse events, as the window gets them from a person."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QPointF, Qt
from PyQt6.QtGui import QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QApplication, QWidget

_LEFT = Qt.MouseButton.LeftButton


class Pointer:
    """Presses somewhere in a widget, and moves on from there."""

    def __init__(self, widget: QWidget) -> None:
        self._widget = widget
        self._at = QPointF()

    def press(self, button: Qt.MouseButton = _LEFT, at: QPointF | None = None) -> None:
        """Press a button at a place, in logical pixels, or in the middle."""
        self._at = QPointF(self._widget.rect().center()) if at is None else at
        self._send(QEvent.Type.MouseButtonPress, button, button)

    def move(self, by: QPointF, button: Qt.MouseButton) -> None:
        """Move by so many logical pixels, with a button down."""
        self._at += by
        self._send(QEvent.Type.MouseMove, Qt.MouseButton.NoButton, button)

    def release(self, button: Qt.MouseButton = _LEFT) -> None:
        """Let go of a button."""
        self._send(QEvent.Type.MouseButtonRelease, button, Qt.MouseButton.NoButton)

    def wheel(self, eighths_deg: int) -> None:
        """Turn the wheel beside the middle."""
        at = QPointF(self._widget.rect().center()) + QPointF(40, -30)
        event = QWheelEvent(
            at,
            QPointF(self._widget.mapToGlobal(at.toPoint())),
            QPointF().toPoint(),
            QPointF(0, eighths_deg).toPoint(),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self._widget, event)

    def _send(self, kind: QEvent.Type, button: Qt.MouseButton, buttons: Qt.MouseButton) -> None:
        event = QMouseEvent(
            kind,
            self._at,
            QPointF(self._widget.mapToGlobal(self._at.toPoint())),
            button,
            buttons,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self._widget, event)
