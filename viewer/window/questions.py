"""What the window asks a person: where files are, and whether to close over unfinished work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QObject, Qt
from PyQt6.QtWidgets import QFileDialog, QMessageBox, QPushButton, QWidget

from viewer.state.preferences import Preferences


class Asking:
    """Where files are: each dialog begins where the last one of its kind ended. Blocks nothing."""

    def __init__(self, window: QWidget, preferences: Preferences) -> None:
        self._window = window
        self._preferences = preferences

    def file(
        self, ask: Callable[[QWidget, str], QFileDialog], answered: Callable[[str], object]
    ) -> None:
        """Ask for a file with one of `file_dialogs`, beginning where the last one was."""
        dialog = ask(self._window, self._preferences.text("folder"))
        dialog.fileSelected.connect(partial(self._remember_folder, "folder"))
        dialog.fileSelected.connect(answered)

    def place(
        self,
        ask: Callable[[QWidget, str, str], QFileDialog],
        name: str,
        answered: Callable[[str], object],
    ) -> None:
        """Ask where to save under a name like this, beginning where something was saved last: not
        among the files that were opened."""
        dialog = ask(self._window, self.saving_folder, name)
        dialog.fileSelected.connect(partial(self._remember_folder, "saving_folder"))
        dialog.fileSelected.connect(answered)

    @property
    def saving_folder(self) -> str:
        """Where something was saved last; a person's own folder before the first."""
        return self._preferences.text("saving_folder") or str(Path.home())

    def _remember_folder(self, which: str, path: str) -> None:
        self._preferences.store(which, str(Path(path).parent))


Reason = Callable[[], str]
"""What closing now would interrupt, and what becomes of it, as sentences; empty: nothing."""


class Closing(QObject):
    """Asks once before the window closes over what is still being made: knows whom to ask, and
    whether a person has agreed."""

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
