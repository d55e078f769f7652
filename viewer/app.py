"""The composition root: builds window, controller and render thread, and wires them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PyQt6.QtCore import (
    QObject,
    QSettings,
    pyqtSignal,
)
from PyQt6.QtGui import QGuiApplication

from r2l_core.errors import R2LError
from viewer.camera_path.controller import CameraPathController
from viewer.compare.controller import CompareController
from viewer.dataset.controller import DatasetController
from viewer.dataset.pose_marking import PoseMarking
from viewer.recording.controller import RecordingController
from viewer.recording.live_capture import LiveCapture
from viewer.rendering.controller import Controller
from viewer.rendering.render_thread import RenderThread, Running
from viewer.rendering.report import Report
from viewer.rendering.saver import Saver
from viewer.rendering.scene_controller import SceneController
from viewer.sessions import SessionController
from viewer.state.bookmarks import Bookmarks
from viewer.state.panes import CompareMode
from viewer.state.preferences import Preferences
from viewer.state.wish import Wish
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.window.main_window import MainWindow
from viewer.window.messages import describe


class App(QObject):
    """Everything that runs while the window is open."""

    uncaught = pyqtSignal(Exception)
    """An exception that nobody expected, from any thread."""

    def __init__(
        self,
        wish: Wish,
        settings: QSettings | None = None,
        dataset: str | None = None,
        asks: bool = False,
        clock: Clock = REAL_TIME,
    ) -> None:
        """`settings`: where the window remembers its state; the user's own where None.

        `dataset`: a folder to open with it. `asks`: whether to ask what a file does not say.
        """
        super().__init__()
        self.wish = wish
        """What was asked for at the start."""
        self.report = Report()
        self.preferences = preferences = Preferences(
            settings or QSettings("r2l-viewer", "r2l-viewer")
        )
        self.window = MainWindow(preferences)
        self.render_thread = RenderThread()
        bookmarks = Bookmarks(preferences.text("bookmarks"))
        self.controller = Controller(self.render_thread.mailbox, wish, bookmarks, self, clock)
        self.compare = CompareController(self.window, self.controller, preferences, self)
        self.dataset = DatasetController(self.window, self.controller, self)
        self.pose_marking = PoseMarking(self.window, self.controller, self.dataset, self)
        self._first_dataset = dataset
        self.camera_path = CameraPathController(self.window, self.controller, self, clock)
        paths = self.camera_path.editor
        self.recording = RecordingController(self.window, self.controller, paths, preferences, self)
        self.live_capture = LiveCapture(self.window, self)
        self.sessions = SessionController(
            self.window, self.controller, paths, self.dataset, preferences, self
        )
        self.scenes = SceneController(self.window, self.controller, preferences, asks, self)
        self.controller.bookmarks_written.connect(partial(preferences.store, "bookmarks"))
        self.has_failed = False
        self._again: Callable[[], object] = _nothing
        self._saver = Saver()
        self._wire()
        if wish.panes:
            self.window.compare.show_panes(wish.panes)
            self.window.compare.view.set_mode(CompareMode.SIDE)
        # After everybody else has stored what is to be remembered.
        self.window.closed.connect(preferences.write)

    def _wire(self) -> None:
        window, controller, thread = self.window, self.controller, self.render_thread
        for gesture in (
            "orbit_dragged",
            "pan_dragged",
            "zoomed",
            "centred",
            "flight_changed",
            "drag_started",
            "drag_finished",
            "view_requested",
        ):
            getattr(window, gesture).connect(getattr(controller, gesture))
        window.orbit_edited.connect(controller.set_orbit)
        window.fov_x_edited.connect(controller.set_fov_x_deg)
        window.precision_chosen.connect(controller.choose_precision)
        window.render_size_chosen.connect(controller.set_render_size)
        window.open_requested.connect(controller.open)
        window.scene_chosen.connect(controller.set_scene)
        window.bookmark_set.connect(controller.set_bookmark)
        window.bookmark_recalled.connect(controller.recall_bookmark)
        window.undo_requested.connect(controller.undo)
        window.redo_requested.connect(controller.redo)
        window.inertia_toggled.connect(controller.set_inertia)
        window.smooth_toggled.connect(controller.set_smooth)
        window.canonical_toggled.connect(controller.set_canonical)
        window.fill_flat_toggled.connect(controller.set_fill_flat)
        window.max_stride_chosen.connect(controller.set_max_stride)
        window.target_fps_chosen.connect(controller.set_target_fps)
        # What is asked for now, an older error says nothing about.
        for asked in (
            window.precision_chosen,
            window.open_requested,
            window.dataset_requested,
            window.scene_chosen,
            window.canonical_toggled,
            window.compare.panes_changed,
            window.retry_requested,
        ):
            asked.connect(window.clear_error)
        window.retry_requested.connect(lambda: self._again())
        window.screenshot_requested.connect(self._save_picture)
        window.copy_requested.connect(self._copy_picture)
        window.export_requested.connect(
            lambda path: self._saver.save_table(controller.samples(), Path(path))
        )
        window.picture_painted.connect(controller.painted)
        window.picture_painted.connect(self.report.painted)
        window.closed.connect(thread.stop)
        window.closed.connect(self.sessions.close)
        window.closed.connect(self.scenes.close)
        window.closed.connect(self.compare.close)
        window.closed.connect(self.dataset.close)
        window.closed.connect(self.camera_path.close)
        window.closed.connect(self.recording.close)
        window.closed.connect(self.live_capture.close)
        window.closed.connect(controller.close)

        controller.frames_shown.connect(self.report.frames_shown)
        controller.orbit_changed.connect(window.show_orbit)
        controller.history_changed.connect(window.show_history)
        controller.bookmarks_changed.connect(window.show_bookmarks)
        controller.badge_changed.connect(window.show_badge)
        controller.readout_ready.connect(window.show_performance)
        controller.kept.connect(self._show_choices)

        thread.frames_ready.connect(controller.frames_ready)
        thread.running_changed.connect(self._running_changed)
        thread.busy_changed.connect(window.show_busy)
        thread.failed.connect(self._thread_failed)
        thread.measured.connect(self.report.measured)
        thread.exact_ready.connect(self.report.exact)
        self._saver.failed.connect(self.show_error)
        self.compare.failed.connect(self.show_error)
        self.dataset.failed.connect(self.show_error)
        self.dataset.busy_changed.connect(window.show_busy)
        self.camera_path.failed.connect(self.show_error)
        self.recording.failed.connect(self.show_error)
        self.live_capture.failed.connect(self.show_error)
        self.sessions.failed.connect(self.show_error)
        self.uncaught.connect(self.show_error)

    def start(self) -> None:
        """Show the window and ask for the first picture."""
        self.window.show()
        self.render_thread.start()
        self.controller.start()
        if self._first_dataset is not None:
            self.dataset.open(self._first_dataset)

    def close(self) -> None:
        """Close the window; the render thread ends with it."""
        self.compare.close()
        self.dataset.close()
        self.controller.close()
        self.window.closing.agree()
        self.window.close()

    def show_error(self, error: Exception, again: Callable[[], object] | None = None) -> None:
        """Say it above the picture and on the terminal; everything goes on as before.

        `again`: does once more what failed.
        """
        self.report.error()
        # Not the error itself: its traceback would keep alive what the render thread has let go.
        self.has_failed = True
        self._again = again or _nothing
        message = describe(error)
        if isinstance(error, R2LError):
            print(f"error: {error}", file=sys.stderr)
        else:
            traceback.print_exception(error)
        self.window.show_error(message.what, message.why, message.remedy)

    def expect_error(self) -> None:
        """Forget the error a script has just provoked on purpose."""
        self.report.forgive()
        self.has_failed = False

    def _thread_failed(self, error: Exception, wish: Wish | None) -> None:
        if wish is None:
            self.show_error(error, self.controller.refresh)
        else:
            self.show_error(error, partial(self.controller.want, wish))
            self.controller.failed(wish)
            self.sessions.wish_failed(wish)

    def _running_changed(self, running: Running) -> None:
        window = self.window
        window.show_scene(running.scene, running.name, running.summary)
        window.set_precisions(running.precisions, running.engine.precision)
        self.compare.running_changed(running)
        self._show_choices(running)
        self.controller.running_changed(running)
        self.scenes.running_changed(running)
        self.sessions.running_changed(running)

    def _show_choices(self, running: Running) -> None:
        self.window.show_active_precision(running.engine.precision)
        self.window.show_canonical(running.ray_mode == "canonical")
        scene = running.wish.scene
        named = scene if scene is None or isinstance(scene, str) else ""
        self.window.show_notes(running.notes, named)

    def _save_picture(self, path: str) -> None:
        image = self.window.pane.copied_image()
        if not image.isNull():
            self._saver.save_picture(image, Path(path))

    def _copy_picture(self) -> None:
        image = self.window.pane.copied_image()
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None and not image.isNull():
            clipboard.setImage(image)


def _nothing() -> None:
    """What can be done again where nothing can."""
