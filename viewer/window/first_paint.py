"""Notices when a window has come to the screen."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QTimer, pyqtSignal
from PyQt6.QtWidgets import QWidget


class FirstPaint(QObject):
    """Says once that a window was painted, with all that is in it."""

    over = pyqtSignal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        window.installEventFilter(self)

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:
        """Watch the window; what is in it is painted by the same event, after it."""
        if a0 is not None and a1 is not None and a1.type() is QEvent.Type.Paint:
            a0.removeEventFilter(self)
            QTimer.singleShot(0, self._say)
        return False

    def _say(self) -> None:
        self.over.emit()
