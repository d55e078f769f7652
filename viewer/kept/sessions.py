"""Keeps sessions and brings them back. A session is a state, with bookmarks and fingerprints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.errors import R2LError, SessionError
from viewer.camera.bookmarks import BookmarkController
from viewer.camera.controller import CameraController
from viewer.dataset.controller import DatasetController
from viewer.rendering.controller import RenderController
from viewer.rendering.running import Running
from viewer.state.panes import PaneChoice
from viewer.state.preferences import Preferences
from viewer.state.resolve import Wish
from viewer.state.session import Session, load_session, parse_session, save_session, session_text
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.controls.file_dialogs import ask_session, ask_session_place
from viewer.window.main_window import MainWindow


class SessionController(QObject):
    """A session comes back in steps: its dataset is opened, its light field is asked for, and once
    that renders, its state is the present one."""

    failed = pyqtSignal(Exception)
    file_used = pyqtSignal(str)
    """Path of a session that was read or written."""

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        camera: CameraController,
        bookmarks: BookmarkController,
        rendering: RenderController,
        datasets: DatasetController,
        preferences: Preferences,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._store = store
        self._camera = camera
        self._bookmarks = bookmarks
        self._rendering = rendering
        self._datasets = datasets
        self._preferences = preferences
        self._pending: Session | None = None
        actions = window.commands.sessions
        actions.save.triggered.connect(
            lambda: window.asking.place(ask_session_place, "session.json", self.save)
        )
        actions.open.triggered.connect(lambda: window.asking.file(ask_session, self.open))
        actions.restore.triggered.connect(self.restore_last)
        datasets.settled.connect(self._dataset_settled)
        rendering.running_changed.connect(self._running_changed)
        actions.offer_last(bool(preferences.text("last_session")))

    def present(self) -> Session | None:
        """The session as it is now; None before a light field is open."""
        running, state = self._rendering.running, self._store.state
        if running is None:
            return None
        sha256 = {_lasting_name(name): sha256 for name, sha256 in running.sha256.items()}
        lasting = replace(_lasting(state), viewpoint=self._camera.viewpoint)
        return Session(lasting, self._bookmarks.views(), sha256)

    def save(self, file: str) -> None:
        """Write the present session."""
        session = self.present()
        if session is None:
            return
        try:
            save_session(session, Path(file))
        except R2LError as error:
            self.failed.emit(error)
        else:
            self.file_used.emit(file)
            self._window.show_note(f"Saved {file}", file)

    def open(self, file: str) -> None:
        """Go on with a session from a file."""
        try:
            session = load_session(Path(file))
        except R2LError as error:
            self.failed.emit(error)
            return
        self.file_used.emit(file)
        self._begin(session)

    def restore_last(self) -> None:
        """Go on where the window was last closed."""
        try:
            session = parse_session(self._preferences.text("last_session"))
        except R2LError as error:
            self.failed.emit(error)
        else:
            self._begin(session)

    def close(self) -> None:
        """Keep the present session for the next time."""
        session = self.present()
        if session is not None:
            self._preferences.store("last_session", session_text(session))

    def wish_failed(self, _wish: Wish) -> None:
        """What a session asked for cannot be had: all stays as it was."""
        self._pending = None

    def _running_changed(self, running: Running) -> None:
        """Something new renders: perhaps what a session asked for."""
        session, state = self._pending, self._store.state
        if session is None or session.state.light_field != state.light_field:
            return
        if session.state.panes in ((), state.panes):
            self._pending = None
            self._finish(session)
            self._check(session, running)

    def _begin(self, session: Session) -> None:
        self._pending = session
        wanted = session.state.dataset
        if wanted in (None, self._store.state.dataset):
            self._rendering.want(session.state)
        else:
            # First, so that the ground truth is there when the panes are.
            self._datasets.open_as(wanted)

    def _dataset_settled(self) -> None:
        if self._pending is not None:
            self._rendering.want(self._pending.state)

    def _finish(self, session: Session) -> None:
        self._bookmarks.put(session.bookmarks)
        self._camera.stand_at(session.state.viewpoint)
        now = self._store.state
        self._store.set(replace(session.state.with_engines_of(now), dataset=now.dataset))

    def _check(self, session: Session, running: Running) -> None:
        """Say it where a light field is not the one that the session was saved with."""
        changed = [
            Path(name).name
            for name, sha256 in session.sha256.items()
            if sha256 and sha256 != running.sha256.get(name, sha256)
        ]
        if changed:
            self.failed.emit(
                SessionError(
                    f"The session shows another {' and '.join(changed)} than it was saved with",
                    "the file has changed since: its SHA-256 is another one",
                    "Put the old file back, or save the session again.",
                )
            )


def _lasting(state: ViewState) -> ViewState:
    """With files named so that they are found from any folder."""
    light_field, dataset = state.light_field, state.dataset
    scene = light_field.scene
    light_field = replace(
        light_field,
        checkpoint=_lasting_name(light_field.checkpoint),
        scene=_lasting_name(scene) if isinstance(scene, str) else scene,
    )
    if dataset is not None:
        dataset = replace(dataset, path=str(Path(dataset.path).absolute()))
    panes = tuple(map(_lasting_pane, state.panes))
    return replace(state, light_field=light_field, dataset=dataset, panes=panes)


def _lasting_pane(pane: PaneChoice) -> PaneChoice:
    if pane.checkpoint is None:
        return pane
    return replace(pane, checkpoint=_lasting_name(pane.checkpoint))


def _lasting_name(name: str) -> str:
    """What a light field or scene is opened by later, from any folder."""
    file = Path(name)
    return str(file.absolute()) if file.is_file() else name
