"""Asks once before the window closes over something that is still being made."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, Qt
from PyQt6.QtWidgets import QMessageBox, QPushButton, QWidget

Reason = Callable[[], str]
"""What closing now would interrupt, and what becomes of it, as sentences; empty: nothing."""


class Closing(QObject):
    """Knows whom to ask, and whether a person has agreed."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._reasons: list[Reason] = []
        self._agreed = False
        self._box: QMessageBox | None = None

    def add_reason(self, reason: Reason) -> None:
        """Ask that before every closing."""
        self._reasons.append(reason)

    def agree(self) -> None:
        """Close without asking from now on: a script does, and nobody would answer it."""
        self._agreed = True

    def may_close(self) -> bool:
        """Whether to close now; otherwise it has been asked, and closes with the answer."""
        words = " ".join(filter(None, (reason() for reason in self._reasons)))
        if self._agreed or not words:
            return True
        if self._box is None:
            self._ask(words)
        else:
            self._box.raise_()
        return False

    def _ask(self, words: str) -> None:
        box = self._box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setIcon(QMessageBox.Icon.Question)
        box.setWindowTitle("Close the viewer?")
        box.setText(words)
        close = QPushButton("Close, and keep what is done", box)
        box.addButton(close, QMessageBox.ButtonRole.AcceptRole)
        stay = QPushButton("Go on", box)
        box.addButton(stay, QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(stay)
        box.finished.connect(lambda _result: self._answered(box.clickedButton() is close))
        box.open()

    def _answered(self, close: bool) -> None:
        self._box = None
        if close:
            self._agreed = True
            self._window.close()
