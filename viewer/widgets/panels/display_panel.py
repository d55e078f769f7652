"""How pictures are brought to the screen: exposure, offset, and one channel alone."""

from __future__ import annotations

from dataclasses import replace

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QButtonGroup, QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from viewer.state.display_options import MOST_EV, MOST_OFFSET, Channel, DisplayOptions
from viewer.widgets.controls.field_grid import FieldGrid
from viewer.widgets.controls.flat import FlatButton, FlatToggle
from viewer.widgets.controls.value_spin import ScrubLabel, ValueSpin

_EXPOSURE = "Stops by which linear light is brightened: +1 doubles it."
_OFFSET = "Added to linear light after the exposure, white being 1."
_LEAVES = "Only what is seen: numbers, differences, metrics and files stay as they are."


class DisplayPanel(QWidget):
    """Says what was chosen; shows what it is told."""

    display_changed = pyqtSignal(DisplayOptions)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Display")
        self._options = DisplayOptions()
        self._channels = {
            channel: FlatToggle(channel, f"Show {_what(channel)}", self) for channel in Channel
        }
        group = QButtonGroup(self)
        for channel, button in self._channels.items():
            group.addButton(button)
            button.clicked.connect(lambda _=False, one=channel: self._choose(channel=one))
        self._exposure = ValueSpin("Exposure", -MOST_EV, MOST_EV, 1, 0.5, " EV", self)
        self._offset = ValueSpin("Offset", -MOST_OFFSET, MOST_OFFSET, 3, 0.005, "", self)
        for field in (self._exposure, self._offset):
            field.setSpecialValueText("")
        self._exposure.edited.connect(lambda value: self._choose(exposure_ev=value))
        self._offset.edited.connect(lambda value: self._choose(offset=value))
        self._reset = FlatButton("As it is", "Show pictures as they are", self)
        self._reset.clicked.connect(lambda: self.display_changed.emit(DisplayOptions()))
        leaves = QLabel(_LEAVES, self)
        leaves.setWordWrap(True)
        leaves.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(self._make_channels())
        column.addLayout(self._make_fields())
        column.addWidget(leaves)
        column.addWidget(self._reset, 0, Qt.AlignmentFlag.AlignLeft)
        column.addStretch(1)
        self.show_display(self._options)

    def show_display(self, options: DisplayOptions) -> None:
        """Show how pictures are shown; reports nothing."""
        self._options = options
        self._channels[options.channel].setChecked(True)
        self._exposure.show_value(options.exposure_ev)
        self._offset.show_value(options.offset)
        self._reset.setEnabled(options != DisplayOptions())

    def _choose(self, **changed: float | Channel) -> None:
        self.display_changed.emit(replace(self._options, **changed))  # type: ignore[arg-type]

    def _make_channels(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)
        first, *three, last = self._channels.values()
        pairs = QHBoxLayout()
        pairs.setSpacing(4)
        pairs.addWidget(first, 1)
        pairs.addWidget(last, 1)
        grid.addLayout(pairs, 0, 0, 1, 3)
        for at, button in enumerate(three):
            grid.addWidget(button, 1, at)
        return grid

    def _make_fields(self) -> FieldGrid:
        grid = FieldGrid(self)
        for name, field, explanation in (
            ("Exposure", self._exposure, _EXPOSURE),
            ("Offset", self._offset, _OFFSET),
        ):
            label = ScrubLabel(name, field, explanation, self)
            label.reset_requested.connect(lambda one=field: one.setValue(0.0))
            grid.add_row(label, field)
        return grid


def _what(channel: Channel) -> str:
    if channel is Channel.ALL:
        return "all channels"
    return "how bright it is" if channel is Channel.LUMINANCE else f"{channel.lower()} alone"
