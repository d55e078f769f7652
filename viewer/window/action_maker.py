"""Menus, and actions that say what they do and which key does it."""

from __future__ import annotations

from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMainWindow, QMenu


class ActionMaker:
    """Base of the actions of `window`."""

    def __init__(self, window: QMainWindow) -> None:
        self._window = window
        bar = window.menuBar()
        assert bar is not None
        self.bar = bar

    def _menu(self, title: str) -> QMenu:
        menu = self.bar.addMenu(title)
        assert menu is not None
        menu.setToolTipsVisible(True)
        return menu

    @staticmethod
    def _submenu(menu: QMenu, title: str, tip: str) -> QMenu:
        submenu = menu.addMenu(title)
        assert submenu is not None
        submenu.setToolTipsVisible(True)
        entry = submenu.menuAction()
        assert entry is not None
        entry.setToolTip(tip)
        entry.setStatusTip(tip)
        return submenu

    @staticmethod
    def _offer(action: QAction, possible: bool, tip: str) -> None:
        action.setEnabled(possible)
        key = action.shortcut().toString()
        action.setToolTip(f"{tip} ({key})" if key else tip)
        action.setStatusTip(tip)

    def _add(self, menu: QMenu, text: str, key: str, tip: str, checkable: bool = False) -> QAction:
        action = QAction(text, self._window)
        action.setShortcut(QKeySequence(key))
        action.setToolTip(f"{tip} ({key})" if key else tip)
        action.setStatusTip(tip)
        action.setCheckable(checkable)
        menu.addAction(action)
        # Keys must work while the menu bar is hidden, too.
        self._window.addAction(action)
        return action
