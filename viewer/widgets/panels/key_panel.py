"""A small window that edits the marked keyframe of the camera path."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from r2l_core.types import Precision
from viewer.widgets import theme
from viewer.widgets.controls.flat import FlatButton, FlatCombo, FlatToggle
from viewer.widgets.controls.value_spin import ValueSpin


@dataclass(frozen=True)
class KeySettings:
    """fov_y_deg: vertical field of view. precision_a, precision_b: of each pane from there on.
    wipe: share of the width that shows pane A, 0 to 1. gain: of the difference. None leaves it as
    it is. eases: whether the camera slows down to a stop here."""

    fov_y_deg: float
    precision_a: Precision | None = None
    precision_b: Precision | None = None
    wipe: float | None = None
    gain: float | None = None
    eases: bool = False


_WIDTH_PX = 300
_AS_BEFORE = "As before"
_NONE_MARKED = "No keyframe is marked: click one in the timeline"
_PRECISION = "What pane {} shows in films from this keyframe on."
_WIPE = "Where the divider of a wipe is at this keyframe; it glides from one to the next."
_EASING = "How the camera goes through this keyframe."
_GAIN = "Gain of the difference at this keyframe; it glides from one to the next."


class KeyPanel(QDialog):
    """Says what was edited; blocks nothing."""

    edited = pyqtSignal(KeySettings)
    view_requested = pyqtSignal()
    """The present view is to become that of the keyframe."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setModal(False)
        self.setWindowTitle("Keyframe")
        self._title = QLabel(self)
        self._title.setFont(theme.font(self, tabular=True))
        self._fov = ValueSpin("Vertical field of view", 0.1, 175.0, 2, 1.0, "°", self)
        self._precisions = tuple(_precision_combo(letter, self) for letter in "AB")
        self._easing = FlatCombo(self)
        self._easing.setAccessibleName("Easing")
        self._easing.setToolTip(_EASING)
        self._easing.addItem("Pass through", False)
        self._easing.addItem("Slow down to a stop", True)
        self._easing.activated.connect(lambda _at: self._tell())
        self._wipe = _Optional(ValueSpin("Wipe", 0.0, 100.0, 1, 5.0, " %"), _WIPE, self)
        self._gain = _Optional(ValueSpin("Gain", 0.01, 10_000.0, 2, 1.0), _GAIN, self)
        self._view = FlatButton("Use the present view", "Move the keyframe to what is seen", self)
        self._view.clicked.connect(self.view_requested)
        self._view.setAutoDefault(False)
        self._fov.edited.connect(lambda _value: self._tell())
        for combo in self._precisions:
            combo.activated.connect(lambda _at: self._tell())
        for optional in (self._wipe, self._gain):
            optional.edited.connect(self._tell)
        self._lay_out()
        self.show_key("", None)

    def show_key(self, name: str, settings: KeySettings | None) -> None:
        """Show a keyframe, such as "Keyframe 2 at 00:01.0"; None where none is marked."""
        self._title.setText(name if settings is not None else _NONE_MARKED)
        numbers = (self._fov, self._wipe, self._gain)
        for field in (*numbers, *self._precisions, self._easing, self._view):
            field.setEnabled(settings is not None)
        if settings is None:
            return
        self._fov.show_value(settings.fov_y_deg)
        said = (settings.precision_a, settings.precision_b)
        for combo, precision in zip(self._precisions, said, strict=True):
            combo.setCurrentIndex(combo.findData(precision))
        self._easing.setCurrentIndex(int(settings.eases))
        self._wipe.show_value(None if settings.wipe is None else 100 * settings.wipe, 50.0)
        self._gain.show_value(settings.gain, 8.0)

    def _tell(self) -> None:
        wipe = self._wipe.value()
        precision_a, precision_b = (combo.currentData() for combo in self._precisions)
        self.edited.emit(
            KeySettings(
                fov_y_deg=self._fov.value(),
                precision_a=precision_a,
                precision_b=precision_b,
                wipe=None if wipe is None else wipe / 100,
                gain=self._gain.value(),
                eases=self._easing.currentData(),
            )
        )

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        rows = (
            ("Field of view", self._fov),
            ("Easing", self._easing),
            ("Pane A", self._precisions[0]),
            ("Pane B", self._precisions[1]),
            ("Wipe", self._wipe),
            ("Gain", self._gain),
        )
        for number, (text, field) in enumerate(rows):
            label = QLabel(text, self)
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            grid.addWidget(label, number, 0)
            grid.addWidget(field, number, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 14, 14, 12)
        column.setSpacing(8)
        column.addWidget(self._title)
        column.addLayout(grid)
        column.addWidget(self._view)
        self.setFixedWidth(_WIDTH_PX)


class _Optional(QWidget):
    """A number that can be left unsaid."""

    edited = pyqtSignal()

    def __init__(self, field: ValueSpin, explanation: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._field = field
        name = field.accessibleName()
        self._says = FlatToggle(_AS_BEFORE, explanation, self)
        self._says.setAccessibleName(f"{name} as before")
        self._says.setAutoDefault(False)
        self._field.setToolTip(explanation)
        self._says.toggled.connect(self._switched)
        self._field.edited.connect(lambda _value: self.edited.emit())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(self._says)
        row.addWidget(self._field, 1)

    def value(self) -> float | None:
        """The number, or None where it is left as it is."""
        return None if self._says.isChecked() else self._field.value()

    def show_value(self, value: float | None, proposed: float) -> None:
        """Show a number, or that there is none; `proposed`: for whoever gives one then."""
        self._says.blockSignals(True)
        self._says.setChecked(value is None)
        self._says.blockSignals(False)
        self._field.show_value(proposed if value is None else value)
        self._field.setEnabled(value is not None)

    def _switched(self, unsaid: bool) -> None:
        self._field.setEnabled(not unsaid)
        self.edited.emit()


def _precision_combo(letter: str, parent: QWidget) -> FlatCombo:
    combo = FlatCombo(parent)
    combo.setAccessibleName(f"Precision of pane {letter}")
    combo.setToolTip(_PRECISION.format(letter))
    combo.addItem(_AS_BEFORE, None)
    for precision in Precision:
        combo.addItem(str(precision), precision)
    return combo
