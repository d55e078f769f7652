"""Number fields that report only what the user changed, and their labels, which can be dragged.

Numbers are read as people type and paste them, whatever the system's locale.
"""

from __future__ import annotations

import re

from PyQt6.QtCore import QEvent, QLocale, QObject, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPalette, QValidator, QWheelEvent
from PyQt6.QtWidgets import QAbstractSpinBox, QDoubleSpinBox, QLabel, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WRITTEN_OUT = {"°": ("deg", "degree", "degrees"), "s": ("sec", "second", "seconds")}
"""Other ways to write a unit."""
_MINUS_SIGNS = str.maketrans("\u2212\u2013", "--")
"""What typography and other programs use for a minus."""


def parse_number(text: str, unit: str = "") -> float | None:
    """The number in `text`, or None where there is none.

    A point and a comma are both decimal marks, and neither groups digits: two marks are no number.
    Spaces of any kind are passed over, and so is `unit` behind the number.
    """
    compact = "".join(text.translate(_MINUS_SIGNS).split())
    compact = _without_unit(compact, unit.strip())
    if _NUMBER.fullmatch(compact) is None:
        return None
    value = float(compact.replace(",", "."))
    return value if abs(value) != float("inf") else None


def _without_unit(text: str, unit: str) -> str:
    # Twice where one was typed in front of the one that the field shows.
    names = sorted({unit, *_WRITTEN_OUT.get(unit, ())} - {""}, key=len, reverse=True)
    while (name := next((one for one in names if text.lower().endswith(one.lower())), "")) != "":
        text = text[: -len(name)]
    return text


def may_become_number(text: str, unit: str = "") -> bool:
    """Whether `text` has nothing that no number with this unit could hold."""
    unit = unit.strip()
    letters = set("".join((unit, *_WRITTEN_OUT.get(unit, ()))).lower())
    return all(
        one.isdigit() or one.isspace() or one in "+-.,e" or one in letters
        for one in text.translate(_MINUS_SIGNS).lower()
    )


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
