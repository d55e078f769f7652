"""File > Open recent: what was opened or saved last, of any kind."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QObject

from viewer.camera_path.controller import CameraPathController
from viewer.kept.sessions import FileOpener, SessionController
from viewer.rendering.controller import RenderController
from viewer.rendering.render_thread import Running
from viewer.state.preferences import Preferences, RecentFiles
from viewer.state.view_state import StateStore, ViewState
from viewer.window.main_window import MainWindow


class RecentController(QObject):
    """Listens to those who open files, and fills the menu."""

    def __init__(
        self,
        window: MainWindow,
        preferences: Preferences,
        store: StateStore,
        rendering: RenderController,
        camera_path: CameraPathController,
        sessions: SessionController,
        opener: FileOpener,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._menu = window.commands.recent
        self._opener = opener
        self._checkpoint = ""
        self._files = RecentFiles(preferences, "recent_files")
        rendering.running_changed.connect(self._running_changed)
        store.listen(self._state_changed)
        camera_path.file_used.connect(self._note)
        sessions.file_used.connect(self._note)
        self._show()

    def _running_changed(self, running: Running) -> None:
        checkpoint = running.wish.light_field.checkpoint
        # Something else may run of the same light field.
        if checkpoint != self._checkpoint and Path(checkpoint).is_file():
            self._note(checkpoint)
        self._checkpoint = checkpoint

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if after.dataset is not None and after.dataset != before.dataset:
            self._note(after.dataset.path)

    def _note(self, file: str) -> None:
        self._files.note(file)
        self._show()

    def _forget(self) -> None:
        self._files.forget()
        self._show()

    def _show(self) -> None:
        self._menu.show_files(self._files.files(), self._opener.open, self._forget)
