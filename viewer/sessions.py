"""Keeps sessions and brings them back: wires session files to all that they speak of."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.errors import R2LError, SessionError
from viewer.camera_path.path_editor import PathEditor
from viewer.dataset.controller import DatasetController
from viewer.rendering.controller import Controller
from viewer.rendering.render_thread import Running
from viewer.state.panes import PaneChoice
from viewer.state.preferences import Preferences, RecentFiles
from viewer.state.session import Session, load_session, parse_session, save_session, session_text
from viewer.state.wish import Wish
from viewer.widgets.controls.file_dialogs import ask_session, ask_session_place
from viewer.window.main_window import MainWindow


class SessionController(QObject):
    """A session comes back in steps: its dataset is opened, its light field is asked for, and once
    that renders, everything else is set."""

    failed = pyqtSignal(Exception)

    def __init__(
        self,
        window: MainWindow,
        controller: Controller,
        paths: PathEditor,
        posing: DatasetController,
        preferences: Preferences,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._controller = controller
        self._paths = paths
        self._posing = posing
        self._preferences = preferences
        self._recent = RecentFiles(preferences, "recent_sessions")
        self._pending: Session | None = None
        actions = window.commands.sessions
        actions.save.triggered.connect(
            lambda: window.ask_file(partial(ask_session_place, name="session.json"), self.save)
        )
        actions.open.triggered.connect(lambda: window.ask_file(ask_session, self.open))
        actions.restore.triggered.connect(self.restore_last)
        posing.settled.connect(self._dataset_settled)
        actions.offer_last(bool(preferences.text("last_session")))
        self._show_recent()

    def present(self) -> Session | None:
        """The session as it is now; None before a light field is open."""
        running, controller, desk = self._controller.running, self._controller, self._window.compare
        if running is None:
            return None
        wish, choice = running.wish, self._posing.choice
        camera = controller.camera()
        panes = tuple(map(_lasting_pane, desk.panes.panes))
        return Session(
            wish=replace(
                wish,
                checkpoint=_lasting_name(wish.checkpoint),
                scene=_lasting_name(wish.scene) if isinstance(wish.scene, str) else wish.scene,
                precision=wish.precision or (None if wish.panes else running.engine.precision),
                panes=tuple(map(_lasting_pane, wish.panes)),
            ),
            view=controller.viewpoint,
            render_size_px=(camera.width_px, camera.height_px),
            bookmarks=controller.bookmarks(),
            path=self._paths.path,
            panes=panes,
            active_pane=desk.panes.active,
            mode=desk.view.mode,
            difference=desk.view.pane.difference.options,
            sha256={_lasting_name(name): sha256 for name, sha256 in running.sha256.items()},
            dataset=None
            if choice is None
            else replace(choice, path=str(Path(choice.path).absolute())),
        )

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
            self._note_recent(file)

    def open(self, file: str) -> None:
        """Go on with a session from a file."""
        try:
            session = load_session(Path(file))
        except R2LError as error:
            self.failed.emit(error)
            return
        self._note_recent(file)
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

    def running_changed(self, running: Running) -> None:
        """Something new renders: perhaps what a session asked for."""
        session = self._pending
        if session is not None and replace(running.wish, dataset=None) == session.wish:
            self._pending = None
            self._finish(session)
            self._check(session, running)

    def wish_failed(self, wish: Wish) -> None:
        """What a session asked for cannot be had: all stays as it was."""
        if self._pending is not None and replace(wish, dataset=None) == self._pending.wish:
            self._pending = None

    def _begin(self, session: Session) -> None:
        self._pending = session
        if session.dataset in (None, self._posing.choice):
            self._controller.want(session.wish)
        else:
            # First, so that the ground truth is there when the panes are.
            self._posing.open_as(session.dataset)

    def _dataset_settled(self) -> None:
        if self._pending is not None:
            self._controller.want(self._pending.wish)

    def _finish(self, session: Session) -> None:
        controller, desk = self._controller, self._window.compare
        controller.set_render_size(*session.render_size_px)
        controller.put_bookmarks(session.bookmarks)
        controller.stand_at(session.view)
        if session.path is not None or self._paths.path is not None:
            self._paths.use(session.path)
        if session.panes:
            desk.panes.show_panes(session.panes)
            desk.panes.set_active(session.active_pane)
        desk.difference.set_options(session.difference)
        desk.view.set_mode(session.mode)

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

    def _note_recent(self, file: str) -> None:
        self._recent.note(file)
        self._show_recent()

    def _show_recent(self) -> None:
        self._window.commands.sessions.show_recent(self._recent.files(), self.open)


def _lasting_pane(pane: PaneChoice) -> PaneChoice:
    if pane.checkpoint is None:
        return pane
    return replace(pane, checkpoint=_lasting_name(pane.checkpoint))


def _lasting_name(name: str) -> str:
    """What a light field or scene is opened by later, from any folder."""
    file = Path(name)
    return str(file.absolute()) if file.is_file() else name
