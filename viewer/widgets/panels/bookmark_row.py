"""Nine numbered views in a row: which are set, and a click to go there."""

from __future__ import annotations

from collections.abc import Set

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from viewer.widgets.controls.flat_button import FlatButton


class BookmarkRow(QWidget):
    """A number that holds no view is disabled, and says how to set it."""

    recalled = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Bookmarks")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        self._buttons: dict[int, FlatButton] = {}
        for number in range(1, 10):
            button = FlatButton(str(number), "", self)
            button.clicked.connect(lambda _=False, one=number: self.recalled.emit(one))
            # A push button's own policy would make nine of them wider than the panel.
            button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            row.addWidget(button, 1)
            self._buttons[number] = button
        self.show_set(frozenset())

    def show_set(self, numbers: Set[int]) -> None:
        """Mark the numbers that hold a view."""
        for number, button in self._buttons.items():
            is_set = number in numbers
            button.setEnabled(is_set)
            button.setToolTip(
                f"Go to bookmark {number} (Shift+{number}). Ctrl+{number} sets it anew."
                if is_set
                else f"Bookmark {number} is not set. Ctrl+{number} keeps the present view here."
            )
            button.setAccessibleName(f"Bookmark {number}, {'set' if is_set else 'not set'}")
