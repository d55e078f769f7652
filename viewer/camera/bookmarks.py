"""Keeps views of the open light field under numbers, and goes back to them."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import QObject, pyqtSignal

from viewer.camera.controller import CameraController
from viewer.state.viewpoint import Bookmarks, Viewpoint


class BookmarkController(QObject):
    """Views are kept by the name of the light field."""

    changed = pyqtSignal(frozenset)
    """The numbers that hold a view of the open light field."""
    written = pyqtSignal(str)
    """All bookmarks as text, to be kept."""

    def __init__(self, camera: CameraController, bookmarks: Bookmarks, parent: QObject) -> None:
        super().__init__(parent)
        self._camera = camera
        self._bookmarks = bookmarks
        self._name = ""

    def enter(self, name: str) -> None:
        """Another light field is open."""
        self._name = name
        self.changed.emit(self._bookmarks.numbers(name))

    def set(self, number: int) -> None:
        """Keep the present view under `number`."""
        self.put({number: self._camera.viewpoint})

    def recall(self, number: int) -> None:
        """Go to the view kept under `number`, if there is one."""
        view = self._bookmarks.get(self._name, number)
        if view is not None:
            self._camera.jump(view)

    def views(self) -> dict[int, Viewpoint]:
        """The views kept of this light field, by their numbers."""
        found = {n: self._bookmarks.get(self._name, n) for n in self._bookmarks.numbers(self._name)}
        return {number: view for number, view in found.items() if view is not None}

    def put(self, views: Mapping[int, Viewpoint]) -> None:
        """Keep these views of this light field, besides those under other numbers."""
        for number, view in views.items():
            self._bookmarks.put(self._name, number, view)
        if views:
            self.written.emit(self._bookmarks.text())
            self.changed.emit(self._bookmarks.numbers(self._name))
