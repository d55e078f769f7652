"""The label of a number field: drag it to change the number, double-click it to reset."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent, QPalette
from PyQt6.QtWidgets import QLabel, QWidget

from viewer.widgets.controls.value_spin import ValueSpin

_PX_PER_STEP = 4.0


class ScrubLabel(QLabel):
    """Dragging to the right raises the field by one step each 4 pixels (Shift: a tenth of that)."""

    reset_requested = pyqtSignal()

    def __init__(self, text: str, field: ValueSpin, explanation: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self._field = field
        self._last_x: float | None = None
        self._value = 0.0
        self.setBuddy(field)
        self.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self.setCursor(Qt.CursorShape.SizeHorCursor)
        self.setToolTip(f"{explanation}\nDrag to change, double-click to reset.")
        field.setToolTip(explanation)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin to drag."""
        assert event is not None
        if event.button() == Qt.MouseButton.LeftButton:
            self._last_x = event.position().x()
            self._value = self._field.value()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Change the field by the way moved."""
        assert event is not None
        if self._last_x is None:
            return
        moved = event.position().x() - self._last_x
        self._last_x = event.position().x()
        fine = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        step = self._field.singleStep() / _PX_PER_STEP * (0.1 if fine else 1.0)
        # Kept here unrounded: the field would lose steps finer than its decimals.
        self._value += moved * step
        low, high = self._field.minimum(), self._field.maximum()
        if self._field.wrapping():
            self._value = (self._value - low) % (high - low) + low
        else:
            self._value = min(max(self._value, low), high)
        self._field.setValue(self._value)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End the drag."""
        self._last_x = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Ask for the field's first value."""
        assert event is not None
        if event.button() == Qt.MouseButton.LeftButton:
            self.reset_requested.emit()
