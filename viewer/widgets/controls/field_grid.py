"""Names and what belongs to them, row by row: fields of a panel, or facts as in a data sheet."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QGridLayout, QLabel, QLayout, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording


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


class FactGrid(QWidget):
    """Named facts, one a row; values wrap and can be selected with the mouse."""

    def __init__(self, facts: dict[str, str], parent: QWidget | None = None) -> None:
        """`facts`: name of each row and what its tooltip explains."""
        super().__init__(parent)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.setColumnMinimumWidth(0, theme.label_column_px(self))
        self._values: dict[str, QLabel] = {}
        for row, (name, explanation) in enumerate(facts.items()):
            label = QLabel(name, self)
            label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
            value = QLabel(wording.DASH, self)
            value.setWordWrap(True)
            value.setFont(theme.font(self, tabular=True))
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setAccessibleName(name)
            for part in (label, value):
                part.setToolTip(explanation)
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1)
            self._values[name] = value

    def show_fact(self, name: str, value: str) -> None:
        """Set the value of the row `name`."""
        self._values[name].setText(value)
