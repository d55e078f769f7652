"""The Compare menu and its keys."""

from __future__ import annotations

from PyQt6.QtGui import QActionGroup
from PyQt6.QtWidgets import QMainWindow

from viewer.state.panes import CompareMode
from viewer.window.action_maker import ActionMaker

_MODES = {
    CompareMode.SINGLE: ("S&ingle", "Show one pane"),
    CompareMode.SIDE: ("&Side by side", "Show all panes beside each other"),
    CompareMode.WIPE: ("&Wipe", "Show two panes in one place, with a divider between them"),
    CompareMode.FLIP: ("&Flip", "Show one pane, and another while X is held"),
    CompareMode.DIFFERENCE: ("&Difference", "Show how much one pane differs from another"),
}


class CompareActions(ActionMaker):
    """Ways of comparing, and the divider of a wipe."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        menu = self._menu("C&ompare")
        self.next_mode = self._add(menu, "&Next compare mode", "C", "Compare in the next mode")
        self.modes = {
            mode: self._add(menu, text, "", tip, True) for mode, (text, tip) in _MODES.items()
        }
        group = QActionGroup(window)
        for action in self.modes.values():
            group.addAction(action)
        menu.addSeparator()
        self.level = self._add(menu, "Le&vel divider", "V", "", True)
        self.divider_back = self._add(menu, "Divider &left", "[", "")
        self.divider_on = self._add(menu, "Divider &right", "]", "")
        self.divider_middle = self._add(menu, "Divider to the &middle", "", "")
        self.show_mode(CompareMode.SINGLE)

    def show_mode(self, mode: CompareMode) -> None:
        """Check the way that is used, and offer the divider only where there is one."""
        self.modes[mode].setChecked(True)
        wipes = mode is CompareMode.WIPE
        for action, tip in (
            (self.level, "Let the divider lie instead of stand"),
            (self.divider_back, "Move the divider left or up"),
            (self.divider_on, "Move the divider right or down"),
            (self.divider_middle, "Put the divider in the middle"),
        ):
            self._offer(action, wipes, tip if wipes else "Only a wipe has a divider")
