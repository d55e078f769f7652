"""Sessions in the File menu."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QMainWindow, QMenu

from r2l_core.errors import plain
from viewer.window.action_maker import ActionMaker


class SessionActions(ActionMaker):
    """What is open and how it is looked at, kept in files."""

    def __init__(self, window: QMainWindow, menu: QMenu) -> None:
        super().__init__(window)
        self.save = self._add(
            menu,
            "Save s&ession…",
            "Ctrl+Shift+S",
            "Save what is open and how it is looked at: engines, camera, path, panes",
        )
        self.open = self._add(
            menu, "Ope&n session…", "Ctrl+Shift+O", "Go on with a session that was saved"
        )
        self._recent = self._submenu(menu, "&Recent sessions", "Sessions that were used last")
        self.restore = self._add(menu, "Restore &last session", "", "")
        self.offer_last(False)
        self.show_recent((), lambda _file: None)

    def offer_last(self, possible: bool) -> None:
        """There is a session to go on with, from when the window was last closed."""
        tip = "Go on where the window was last closed" if possible else "No session was kept yet"
        self._offer(self.restore, possible, tip)

    def show_recent(self, files: Sequence[str], chosen: Callable[[str], object]) -> None:
        """Offer these files, the latest first."""
        self._recent.clear()
        self._recent.setEnabled(bool(files))
        for file in files:
            # An ampersand would be taken for a mnemonic.
            action = QAction(plain(Path(file).name).replace("&", "&&"), self._recent)
            action.setToolTip(plain(file))
            action.setStatusTip(plain(file))
            action.triggered.connect(lambda _=False, one=file: chosen(one))
            self._recent.addAction(action)
