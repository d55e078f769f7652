"""A number field that reports only what the user changed."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording


class ValueSpin(QDoubleSpinBox):
    """A field with unit; it has no arrows, because its label can be dragged (`ScrubLabel`)."""

    edited = pyqtSignal(float)
    """The value the user typed, dragged, stepped or reset."""

    def __init__(
        self,
        name: str,
        low: float,
        high: float,
        decimals: int,
        step: float,
        unit: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setRange(low, high)
        self.setDecimals(decimals)
        self.setSingleStep(step)
        self.setSuffix(unit)
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setKeyboardTracking(False)
        # A dash until there is a value.
        self.setSpecialValueText(wording.DASH)
        self.setValue(low)
        self.setFont(theme.font(self, tabular=True))
        # Scrolling a panel must not change the fields that pass under the pointer.
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.valueChanged.connect(self.edited)

    def minimumSizeHint(self) -> QSize:
        """Room for a usual value: the widest one allowed would make the panels needlessly wide."""
        width = self.fontMetrics().horizontalAdvance("-00.000") + 14
        return QSize(width, self.fontMetrics().height() + theme.CONTROL_PADDING_PX)

    def sizeHint(self) -> QSize:
        """As small as it may be; the panel gives it the room there is."""
        return self.minimumSizeHint()

    def show_value(self, value: float) -> None:
        """Show `value` without reporting it, unless the user is typing here."""
        line = self.lineEdit()
        if self.hasFocus() and line is not None and line.isModified():
            return
        self.blockSignals(True)
        if self.specialValueText():
            self.setSpecialValueText("")
        self.setValue(value)
        self.blockSignals(False)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Step only where the field has the keyboard."""
        assert event is not None
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()
