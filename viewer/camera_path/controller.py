"""Wires the timeline, the Record menu and the picture to the camera path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QObject, QPoint, QThreadPool, pyqtSignal
from PyQt6.QtWidgets import QWidget

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe, PathView
from r2l_core.camera_paths.files import load_camera_path, save_camera_path, save_nerfstudio
from r2l_core.errors import CameraPathError, R2LError
from r2l_core.render.frames import Frame
from viewer.camera.controller import CameraController
from viewer.camera.ride import Ride
from viewer.camera_path.path_drawing import PathDrawing
from viewer.camera_path.path_editor import PathEditor
from viewer.camera_path.path_player import PathPlayer
from viewer.rendering.controller import RenderController
from viewer.state.display_options import MAX_GAIN
from viewer.state.view_state import StateStore
from viewer.widgets.controls.file_dialogs import ask_camera_path, ask_camera_path_place
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.panels.key_panel import KeyPanel, KeySettings
from viewer.widgets.panels.timeline_readout import TimelineReadout, clock
from viewer.window.main_window import MainWindow

NERFSTUDIO_FPS = 30.0


class CameraPathController(QObject):
    """The path of the window, and its files."""

    failed = pyqtSignal(Exception)
    file_used = pyqtSignal(str)
    """Path of a file that was read or written."""
    _opened = pyqtSignal(str, CameraPath)
    _saved = pyqtSignal(str)

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        camera: CameraController,
        rendering: RenderController,
        parent: QObject,
        clock: Clock = REAL_TIME,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._store = store
        self._rendering = rendering
        self.editor = PathEditor(store, camera, self)
        self.player = PathPlayer(self.editor, Ride(store, camera, self), self, clock)
        self.panel = KeyPanel(window)
        self._has_path = False
        self._readout = TimelineReadout()
        self._drawing: PathDrawing | None = None
        self._frame: Frame | None = None
        self._has_overlay = False
        self._opened.connect(self._take)
        self._saved.connect(self._show_saved)
        self._wire()
        self._wire_files()

    def close(self) -> None:
        """Move nothing any more."""
        self.player.close()
        self.panel.close()

    def open(self, file: str) -> None:
        """Take the path that a file holds: read off the window's thread, as it may be long."""
        self._start(lambda: self._opened.emit(file, load_camera_path(Path(file))))

    def save(self, file: str, nerfstudio: bool = False) -> None:
        """Write the path, as this program reads it or as nerfstudio does."""
        path = self.editor.path
        if path is None:
            return
        if nerfstudio:
            size = self._store.state.render_size_px
            self._start(lambda: save_nerfstudio(path, Path(file), *size, NERFSTUDIO_FPS), file)
        else:
            self._start(lambda: save_camera_path(path, Path(file)), file)

    def _start(self, job: Callable[[], None], saved: str = "") -> None:
        """`saved`: the file that the job writes."""

        def attempt() -> None:
            try:
                job()
            except R2LError as error:
                self.failed.emit(error)
            else:
                if saved:
                    self._saved.emit(saved)

        pool = QThreadPool.globalInstance()
        assert pool is not None
        pool.start(attempt)

    def _show_saved(self, file: str) -> None:
        self._window.show_note(f"Saved {file}", file)
        self.file_used.emit(file)

    def _take(self, file: str, path: CameraPath) -> None:
        self.editor.use(path)
        self.file_used.emit(file)
        if path.notes:
            what = f"The camera path {file} is open, and something was assumed"
            self.failed.emit(CameraPathError(what, "; ".join(path.notes)))

    def _wire(self) -> None:
        window, editor, player = self._window, self.editor, self.player
        timeline, track = window.timeline, window.timeline.track
        actions = window.commands.record
        timeline.play_toggled.connect(player.set_playing)
        timeline.loop_toggled.connect(editor.set_loop)
        timeline.add_requested.connect(editor.add)
        timeline.presets_requested.connect(self._open_presets)
        timeline.key_requested.connect(self._open_key)
        track.scrubbed.connect(player.scrub)
        track.selected.connect(player.select)
        track.retimed.connect(editor.retime)
        track.moved.connect(editor.move)
        track.delete_requested.connect(editor.delete)
        track.undo_requested.connect(editor.undo)
        track.redo_requested.connect(editor.redo)
        actions.edit_key.triggered.connect(self._open_key)
        actions.add_key.triggered.connect(editor.add)
        actions.delete_key.triggered.connect(editor.delete)
        actions.undo.triggered.connect(editor.undo)
        actions.redo.triggered.connect(editor.redo)
        actions.play.triggered.connect(player.set_playing)
        actions.loop.triggered.connect(editor.set_loop)
        for name, action in actions.presets.items():
            action.triggered.connect(lambda _=False, one=name: self._use_preset(one))
        self.panel.edited.connect(editor.change)
        self.panel.view_requested.connect(editor.take_view)
        editor.path_changed.connect(self._path_changed)
        editor.path_changed.connect(timeline.show_readout)
        editor.path_changed.connect(actions.show_path)
        editor.key_changed.connect(self._show_key)
        editor.time_changed.connect(timeline.show_time)
        player.passed.connect(self._show_passed)
        player.playing_changed.connect(timeline.show_playing)
        player.playing_changed.connect(actions.play.setChecked)
        player.playing_changed.connect(lambda _on: self._draw())
        self._rendering.frames_shown.connect(self._frames_shown)

    def _wire_files(self) -> None:
        window, actions = self._window, self._window.commands.record
        actions.open_path.triggered.connect(lambda: window.asking.file(ask_camera_path, self.open))
        actions.save_path.triggered.connect(
            lambda: window.asking.place(ask_camera_path_place, "camera-path.json", self.save)
        )
        actions.save_nerfstudio.triggered.connect(
            lambda: window.asking.place(
                ask_camera_path_place,
                "nerfstudio-path.json",
                partial(self.save, nerfstudio=True),
            )
        )

    def _use_preset(self, name: str) -> None:
        if self._rendering.running is not None:
            self.editor.use_preset(name)

    # The path over the picture

    def _frames_shown(self, frames: tuple[Frame, ...]) -> None:
        self._frame = frames[0]
        self._draw()

    def _draw(self) -> None:
        path, frame = self.editor.path, self._frame
        # From a camera on the path itself nothing but a line through the eye is to be seen.
        if path is None or frame is None or self.player.playing:
            overlay = None
        else:
            self._drawing = self._drawing or PathDrawing(path)
            overlay = self._drawing.seen_by(frame.camera, self.editor.selected)
        if overlay is not None or self._has_overlay:
            self._has_overlay = overlay is not None
            self._window.pane.show_path(overlay)

    def _open_key(self) -> None:
        self.panel.show()
        self.panel.raise_()

    def _show_key(self, key: Keyframe | None) -> None:
        index = self._readout.selected
        if key is None or index is None:
            self.panel.show_key("", None)
            return
        name = f"Keyframe {index + 1} at {clock(self._readout.key_seconds[index])}"
        said = (key.precision_a, key.precision_b, key.wipe, key.gain, key.eases)
        self.panel.show_key(name, KeySettings(key.fov_y_deg, *said))

    def _show_passed(self, view: PathView) -> None:
        """Wipe and gain go along at once; precisions change in films alone, where there is time to
        build what they need."""
        if view.wipe is not None:
            self._window.pane.set_wipe(view.wipe)
        if view.gain is not None:
            gain = min(max(view.gain, 1.0), MAX_GAIN)
            how = replace(self._store.state.difference, gain=gain, locked=True)
            self._store.change(difference=how)

    def _path_changed(self, readout: TimelineReadout) -> None:
        self._readout = readout
        self._drawing = None
        self._draw()
        had_path, self._has_path = self._has_path, bool(readout.key_seconds)
        if self._has_path and not had_path:
            self._window.open_timeline()
            pool = QThreadPool.globalInstance()
            assert pool is not None
            pool.start(_load_splines)

    def _open_presets(self, button: QWidget) -> None:
        menu = self._window.commands.record.preset_menu
        menu.popup(button.mapToGlobal(QPoint(0, -menu.sizeHint().height())))


def _load_splines() -> None:
    """Load SciPy while the second keyframe is looked for: it would hold the window up."""
    import r2l_core.camera_paths.spline  # noqa: F401
