"""What stays as it is from one start to the next, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QAction, QPalette
from PyQt6.QtWidgets import QCheckBox, QDialog, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls.field_grid import FieldGrid
from viewer.widgets.controls.flat import FlatButton, FlatCombo
from viewer.widgets.controls.value_spin import ValueSpin

_WIDTH_PX = 380
_RATE = "Images a second that a moving picture is made coarse for."
FLY_SPEED = "Speed of W A S D, as a multiple of the usual one; Shift is four times as fast."
FLY_SPEED_RANGE = (0.05, 20.0)
_HINT = "Show the first steps over the picture, as at the first start"


class PreferencesDialog(QDialog):
    """Says what was chosen; blocks nothing. What the menus have as well is one and the same."""

    theme_chosen = pyqtSignal(str)
    target_fps_edited = pyqtSignal(float)
    fly_speed_edited = pyqtSignal(float)
    hint_wanted = pyqtSignal()
    layout_reset = pyqtSignal()

    def __init__(
        self, themes: Sequence[str], toggles: Mapping[str, Sequence[QAction]], parent: QWidget
    ) -> None:
        """`themes`: names. `toggles`: actions that are on or off, by the heading they are under."""
        super().__init__(parent)
        self.setModal(False)
        self.setWindowTitle("Preferences")
        self._theme = FlatCombo(self)
        self._theme.setAccessibleName("Theme")
        self._theme.addItems(list(themes))
        self._theme.activated.connect(lambda at: self.theme_chosen.emit(self._theme.itemText(at)))
        self._rate = ValueSpin("Target rate", 5.0, 120.0, 0, 5.0, " fps", self)
        self._rate.setToolTip(_RATE)
        self._rate.edited.connect(self.target_fps_edited)
        self._speed = ValueSpin("Fly speed", *FLY_SPEED_RANGE, 2, 0.25, "", self)
        self._speed.setPrefix("×")
        self._speed.setToolTip(FLY_SPEED)
        self._speed.edited.connect(self.fly_speed_edited)
        hint = FlatButton("Show the first steps", _HINT, self)
        hint.clicked.connect(self.hint_wanted)
        layout = FlatButton("Reset layout", "Put all panels back in place", self)
        layout.clicked.connect(self.layout_reset)
        for button in (hint, layout):
            button.setAutoDefault(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(7)
        numbers = FieldGrid(self)
        numbers.add_field("Theme", self._theme)
        numbers.add_field("Target rate", self._rate)
        numbers.add_field("Fly speed", self._speed)
        column.addLayout(numbers)
        for heading, actions in toggles.items():
            column.addSpacing(4)
            column.addWidget(self._heading(heading))
            for action in actions:
                column.addWidget(self._toggle(action))
        column.addSpacing(6)
        row = QHBoxLayout()
        row.addWidget(hint)
        row.addWidget(layout)
        row.addStretch(1)
        column.addLayout(row)
        self.setFixedWidth(_WIDTH_PX)

    def show_theme(self, name: str) -> None:
        """Show which theme is used."""
        self._theme.setCurrentText(name)

    def show_target_fps(self, images_per_s: float) -> None:
        """Show the target frame rate; reports nothing."""
        self._rate.show_value(images_per_s)

    def show_fly_speed(self, factor: float) -> None:
        """Show the speed of a flight; reports nothing."""
        self._speed.show_value(factor)

    def _heading(self, text: str) -> QLabel:
        heading = QLabel(text, self)
        heading.setFont(theme.font(self, 0.9, bold=True))
        heading.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        return heading

    def _toggle(self, action: QAction) -> QCheckBox:
        key = action.shortcut().toString()
        text = action.text().replace("&", "")
        box = QCheckBox(f"{text}  ({key})" if key else text, self)
        box.setToolTip(action.statusTip())
        box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        box.setChecked(action.isChecked())
        box.toggled.connect(action.setChecked)
        action.toggled.connect(box.setChecked)
        return box
