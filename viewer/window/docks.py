"""The panels around the picture: where they start, hiding, and their stored layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from PyQt6.QtCore import QByteArray, Qt, pyqtBoundSignal
from PyQt6.QtWidgets import QMainWindow, QTabBar, QTabWidget, QWidget

from viewer.widgets.controls.timers import make_timer
from viewer.widgets.panels.panel_dock import PanelDock

_LAYOUT_VERSION = 5
"""Raise when docks are added or renamed: a layout stored by another version is not restored."""
_SIDES = {
    Qt.DockWidgetArea.LeftDockWidgetArea: 236,
    Qt.DockWidgetArea.RightDockWidgetArea: 312,
}
"""First width of each side in logical pixels."""

_DIRECT = Qt.FindChildOption.FindDirectChildrenOnly

Panels = Mapping[str, list[QWidget]]
"""The panels in each dock, by the dock's name, from top to bottom."""


class Docks:
    """All docks of `window`."""

    def __init__(
        self,
        window: QMainWindow,
        left: Panels,
        right: Panels,
        left_tabs: Panels,
        tabs: Panels,
        closed_tabs: Panels,
        bottom: Panels,
    ) -> None:
        """`left_tabs`, `tabs`: docks that share the place of the last one at that side.
        `closed_tabs`: those at the left, and `bottom`: docks that are closed at first."""
        self._window = window
        self._before_hiding = QByteArray()
        self._sides: list[list[PanelDock]] = []
        for panels in (left, right):
            # The upper docks are as high as what is in them; the lowest has the rest and scrolls.
            last = list(panels)[-1]
            self._sides.append(
                [
                    PanelDock(name, window, contents, whole=name != last)
                    for name, contents in panels.items()
                ]
            )
        self._tabs = [
            [PanelDock(name, window, panels, False) for name, panels in of_side.items()]
            for of_side in (left_tabs, tabs)
        ]
        self._closed = [
            PanelDock(name, window, panels, False) for name, panels in closed_tabs.items()
        ]
        self._bottom = [PanelDock(name, window, panels, True) for name, panels in bottom.items()]
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self._settled = make_timer(window, 0, self._hide_left_over_bars, once=True)
        for dock in self:
            dock.visibilityChanged.connect(lambda _visible: self._settled.start())
        self.reset()

    def __iter__(self) -> Iterator[PanelDock]:
        yield from (dock for side in self._sides for dock in side)
        yield from (dock for tabs in self._tabs for dock in tabs)
        yield from self._closed
        yield from self._bottom

    def reset(self) -> None:
        """Put every dock back to where it first was."""
        for area, side in zip(_SIDES, self._sides, strict=True):
            for dock in side:
                dock.setFloating(False)
                self._window.addDockWidget(area, dock)
                dock.show()
        for dock in self._bottom:
            dock.setFloating(False)
            self._window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
            # Their height is the picture's until they are needed.
            dock.hide()
        for side, tabs in zip(self._sides, self._tabs, strict=True):
            for dock in tabs:
                dock.setFloating(False)
                self._window.tabifyDockWidget(side[-1], dock)
                dock.show()
            side[-1].raise_()
        for dock in self._closed:
            dock.setFloating(False)
            self._window.tabifyDockWidget(self._sides[0][-1], dock)
            dock.hide()
        self._window.resizeDocks(
            [side[0] for side in self._sides], list(_SIDES.values()), Qt.Orientation.Horizontal
        )

    def _hide_left_over_bars(self) -> None:
        if not self._window.isVisible():
            return  # nothing lies anywhere yet
        # On its way to a layout Qt makes tab bars that it then forgets where they are. Those in
        # use lie directly above one of their docks.
        tops = {
            (dock.windowTitle(), dock.x(), dock.y())
            for dock in self
            if dock.isVisible() and not dock.isFloating()
        }
        for bar in self._window.findChildren(QTabBar, options=_DIRECT):
            below = bar.x(), bar.y() + bar.height()
            titles = {bar.tabText(at) for at in range(bar.count())}
            if not any((title, *below) in tops for title in titles):
                bar.hide()

    def bring_up(self, name: str) -> None:
        """Show the dock of that name in front of those it shares a place with, unless closed."""
        for dock in self:
            toggle = dock.toggleViewAction()
            if dock.windowTitle() == name and toggle is not None and toggle.isChecked():
                dock.raise_()

    def watch(self, name: str, seen: pyqtBoundSignal) -> None:
        """Have a signal told whether the dock of that name can be seen, whenever that changes.

        Docks that share a place lie behind each other: for Qt all of their contents are visible.
        """
        for dock in self:
            if dock.windowTitle() == name:
                dock.visibilityChanged.connect(seen)

    def open(self, name: str) -> None:
        """Show the dock of that name, even where it was closed."""
        for dock in self:
            if dock.windowTitle() == name:
                dock.show()
                dock.raise_()

    def hide(self) -> None:
        """Hide them all and remember how they were."""
        self._before_hiding = self.layout()
        for dock in self:
            dock.hide()

    def bring_back(self) -> None:
        """Show those that were there before `hide`."""
        self.restore(self._before_hiding)

    def layout(self) -> QByteArray:
        """The places of all docks, for `restore`."""
        return self._window.saveState(_LAYOUT_VERSION)

    def restore(self, layout: QByteArray | bytes) -> bool:
        """Put the docks where `layout` says; False, and nothing moved, where it is not usable."""
        return self._window.restoreState(layout, _LAYOUT_VERSION)
