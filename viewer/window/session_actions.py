"""Sessions in the File menu."""

from __future__ import annotations

from PyQt6.QtWidgets import QMainWindow, QMenu

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
        self.restore = self._add(menu, "Restore &last session", "", "")
        self.offer_last(False)

    def offer_last(self, possible: bool) -> None:
        """There is a session to go on with, from when the window was last closed."""
        tip = "Go on where the window was last closed" if possible else "No session was kept yet"
        self._offer(self.restore, possible, tip)
