"""Rows of a muted name and a value, as in a data sheet."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QGridLayout, QLabel, QWidget

from viewer.widgets import theme
from viewer.widgets.controls import wording


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

    def fact(self, name: str) -> str:
        """The value shown in the row `name`."""
        return self._values[name].text()
