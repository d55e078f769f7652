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
from viewer.camera_path.path_editor import PathEditor
from viewer.rendering.controller import Controller
from viewer.state.difference_options import MAX_GAIN
from viewer.widgets.controls.file_dialogs import ask_camera_path, ask_camera_path_place
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.panels.key_panel import KeyPanel, KeySettings
from viewer.widgets.panels.timeline_readout import TimelineReadout, clock
from viewer.window.main_window import MainWindow

NERFSTUDIO_FPS = 30.0


class CameraPathController(QObject):
    """The path of the window, and its files."""

    failed = pyqtSignal(Exception)
    _opened = pyqtSignal(str, CameraPath)

    def __init__(
        self, window: MainWindow, controller: Controller, parent: QObject, clock: Clock = REAL_TIME
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._controller = controller
        self.editor = PathEditor(controller, self, clock)
        self.panel = KeyPanel(window)
        self._has_path = False
        self._readout = TimelineReadout()
        self._opened.connect(self._take)
        self._wire()

    def close(self) -> None:
        """Move nothing any more."""
        self.editor.close()
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
            camera = self._controller.camera()
            size = (camera.width_px, camera.height_px)
            self._start(lambda: save_nerfstudio(path, Path(file), *size, NERFSTUDIO_FPS))
        else:
            self._start(lambda: save_camera_path(path, Path(file)))

    def _start(self, job: Callable[[], None]) -> None:
        def attempt() -> None:
            try:
                job()
            except R2LError as error:
                self.failed.emit(error)

        pool = QThreadPool.globalInstance()
        assert pool is not None
        pool.start(attempt)

    def _take(self, file: str, path: CameraPath) -> None:
        self.editor.use(path)
        if path.notes:
            what = f"The camera path {file} is open, and something was assumed"
            self.failed.emit(CameraPathError(what, "; ".join(path.notes)))

    def _wire(self) -> None:
        window, control, controller = self._window, self.editor, self._controller
        timeline, track = window.timeline, window.timeline.track
        actions = window.commands.record
        timeline.play_toggled.connect(control.set_playing)
        timeline.loop_toggled.connect(control.set_loop)
        timeline.add_requested.connect(control.add)
        timeline.presets_requested.connect(self._open_presets)
        track.scrubbed.connect(control.scrub)
        track.selected.connect(control.select)
        track.retimed.connect(control.retime)
        track.moved.connect(control.move)
        track.delete_requested.connect(control.delete)
        track.undo_requested.connect(control.undo)
        track.redo_requested.connect(control.redo)
        timeline.key_requested.connect(self._open_key)
        actions.edit_key.triggered.connect(self._open_key)
        self.panel.edited.connect(control.change)
        self.panel.view_requested.connect(control.take_view)
        control.key_changed.connect(self._show_key)
        control.passed.connect(self._show_passed)
        actions.add_key.triggered.connect(control.add)
        actions.delete_key.triggered.connect(control.delete)
        actions.undo.triggered.connect(control.undo)
        actions.redo.triggered.connect(control.redo)
        actions.play.triggered.connect(control.set_playing)
        actions.loop.triggered.connect(control.set_loop)
        for name, action in actions.presets.items():
            action.triggered.connect(lambda _=False, one=name: control.use_preset(one))
        actions.open_path.triggered.connect(lambda: window.ask_file(ask_camera_path, self.open))
        actions.save_path.triggered.connect(
            lambda: window.ask_file(
                partial(ask_camera_path_place, name="camera-path.json"), self.save
            )
        )
        actions.save_nerfstudio.triggered.connect(
            lambda: window.ask_file(
                partial(ask_camera_path_place, name="nerfstudio-path.json"),
                partial(self.save, nerfstudio=True),
            )
        )
        control.path_changed.connect(self._path_changed)
        control.path_changed.connect(timeline.show_readout)
        control.path_changed.connect(actions.show_path)
        control.time_changed.connect(timeline.show_time)
        control.playing_changed.connect(timeline.show_playing)
        control.playing_changed.connect(actions.play.setChecked)
        control.overlay_changed.connect(window.pane.show_path)
        controller.frames_shown.connect(control.frames_shown)

    def _open_key(self) -> None:
        self.panel.show()
        self.panel.raise_()

    def _show_key(self, key: Keyframe | None) -> None:
        index = self._readout.selected
        if key is None or index is None:
            self.panel.show_key("", None)
            return
        name = f"Keyframe {index + 1} at {clock(self._readout.key_seconds[index])}"
        said = (key.precision_a, key.precision_b, key.wipe, key.gain)
        self.panel.show_key(name, KeySettings(key.fov_y_deg, *said))

    def _show_passed(self, view: PathView) -> None:
        """Wipe and gain go along at once; precisions change in films alone, where there is time to
        build what they need."""
        desk = self._window.compare
        if view.wipe is not None:
            self._window.pane.set_wipe(view.wipe)
        if view.gain is not None:
            gain = min(max(view.gain, 1.0), MAX_GAIN)
            options = self._window.pane.difference.options
            desk.difference.set_options(replace(options, gain=gain, locked=True))

    def _path_changed(self, readout: TimelineReadout) -> None:
        self._readout = readout
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
