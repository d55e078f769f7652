"""A number field that reports only what the user changed."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QLocale, QObject, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent, QValidator, QWheelEvent
from PyQt6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording
from viewer.widgets.controls.typed_number import may_become_number, parse_number


class ValueSpin(QDoubleSpinBox):
    """A field with unit; it has no arrows, because its label can be dragged (`ScrubLabel`).

    It reads what is typed or pasted as `parse_number` does, whatever the locale; a number out of
    range becomes the nearest one in it, or, where the range wraps, the same angle.
    """

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
        self._chooses = False
        self.setAccessibleName(name)
        # As all other numbers in the window are written.
        self.setLocale(QLocale.c())
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
        line = self.lineEdit()
        assert line is not None
        line.installEventFilter(self)

    # Reading

    def validate(self, input: str | None, pos: int) -> tuple[QValidator.State, str, int]:
        """Whether the text is a number in range, may become one, or never will."""
        text = input or ""
        value = parse_number(text, self.suffix())
        known = text == self.specialValueText() != ""
        if known or (value is not None and self.minimum() <= value <= self.maximum()):
            state = QValidator.State.Acceptable
        elif may_become_number(text, self.suffix()):
            state = QValidator.State.Intermediate
        else:
            state = QValidator.State.Invalid
        return state, text, pos

    def valueFromText(self, text: str | None) -> float:
        """The number, rounded to the field's decimals; the least one for the special text."""
        value = parse_number(text or "", self.suffix())
        return self.minimum() if value is None else round(value, self.decimals())

    def fixup(self, str: str | None) -> str:
        """Bring a finished number into the range; leave alone what is no number."""
        value = parse_number(str or "", self.suffix())
        if value is None:
            return str or ""
        low, high = self.minimum(), self.maximum()
        if self.wrapping():
            value = (value - low) % (high - low) + low
        return self.textFromValue(min(max(value, low), high)) + self.suffix()

    def keyPressEvent(self, e: QKeyEvent | None) -> None:
        """With Enter the number is typed: the keys are those of the picture again."""
        assert e is not None
        super().keyPressEvent(e)
        if e.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.clearFocus()

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """A first click chooses the whole number, so that typing and pasting replace it."""
        super().focusInEvent(event)
        assert event is not None
        self._chooses = event.reason() == Qt.FocusReason.MouseFocusReason

    def eventFilter(self, a0: QObject | None, a1: QEvent | None) -> bool:
        """Choose it once the button goes up, unless the pointer has chosen a part of it."""
        assert a1 is not None
        line = self.lineEdit()
        if a1.type() == QEvent.Type.MouseButtonRelease and self._chooses and line is not None:
            self._chooses = False
            if not line.hasSelectedText():
                line.selectAll()
        return super().eventFilter(a0, a1)

    # Size

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
