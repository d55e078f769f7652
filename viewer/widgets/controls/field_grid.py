"""Fields of a panel below each other, with their names in the column that all panels share."""

from __future__ import annotations

from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QGridLayout, QLabel, QLayout, QWidget

from viewer.widgets import theme


class FieldGrid(QGridLayout):
    """A row a field. `owner`: the panel, whose font decides how wide the names are."""

    def __init__(self, owner: QWidget) -> None:
        super().__init__()
        self._owner = owner
        self.setHorizontalSpacing(10)
        self.setVerticalSpacing(6)
        self.setColumnStretch(1, 1)
        self.setColumnMinimumWidth(0, theme.label_column_px(owner))

    def add_field(self, name: str, field: QWidget, room: QLayout | None = None) -> None:
        """Add a field below the others; `room`: a layout that holds it with what belongs to it."""
        label = QLabel(name, self._owner)
        label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        label.setBuddy(field)
        self.add_row(label, field if room is None else room)

    def add_row(self, label: QWidget, field: QWidget | QLayout) -> None:
        """Add a row with a label of its own kind."""
        row = self.rowCount() if self.count() else 0
        self.addWidget(label, row, 0)
        if isinstance(field, QWidget):
            self.addWidget(field, row, 1)
        else:
            self.addLayout(field, row, 1)
