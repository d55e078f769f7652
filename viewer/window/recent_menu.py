"""The menu of files that were used last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QMainWindow, QMenu

from r2l_core.errors import plain
from viewer.window.action_maker import ActionMaker


class RecentMenu(ActionMaker):
    """Files by their names; their whole paths are in the tooltips."""

    def __init__(self, window: QMainWindow, menu: QMenu) -> None:
        super().__init__(window)
        tip = "Light fields, datasets, camera paths and sessions that were used last"
        self.menu = self._submenu(menu, "Open &recent", tip)
        self.menu.setEnabled(False)

    def show_files(
        self,
        files: Sequence[str],
        chosen: Callable[[str], object],
        forget: Callable[[], object],
    ) -> None:
        """Offer these files, the latest first, and to forget them."""
        self.menu.clear()
        self.menu.setEnabled(bool(files))
        for file in files:
            path = Path(file)
            # The folder tells files of one name apart. An ampersand would be taken for a mnemonic.
            text = plain(f"{path.name} – {path.parent.name}").replace("&", "&&")
            self._entry(text, plain(file), partial(chosen, file))
        self.menu.addSeparator()
        self._entry("&Clear this list", "Forget these files; they stay where they are", forget)

    def _entry(self, text: str, tip: str, chosen: Callable[[], object]) -> None:
        action = QAction(text, self.menu)
        action.setToolTip(tip)
        action.setStatusTip(tip)
        action.triggered.connect(lambda: chosen())
        self.menu.addAction(action)
