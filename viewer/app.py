"""The composition root: builds window, controller and render thread, and wires them."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType

from PyQt6.QtCore import (
    QMessageLogContext,
    QObject,
    QSettings,
    QThreadPool,
    QTimer,
    QtMsgType,
    pyqtSignal,
    qInstallMessageHandler,
)
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from r2l_core.errors import R2LError
from viewer.camera_path.controller import Pathing
from viewer.compare.controller import Comparing
from viewer.dataset.controller import Posing
from viewer.dataset.pose_marking import PoseMarking
from viewer.recording.controller import Recording
from viewer.recording.live_controller import Living
from viewer.rendering.controller import Controller
from viewer.rendering.mailbox import Wish
from viewer.rendering.render_thread import RenderThread, Running
from viewer.rendering.scene_asking import SceneAsking
from viewer.rendering.starting import first_wish
from viewer.runtime.garbage import GuiCollector
from viewer.scripted.report import Report
from viewer.scripted.tour import Tour
from viewer.state.bookmarks import Bookmarks
from viewer.state.preferences import Preferences
from viewer.widgets import theme
from viewer.widgets.compare.compare_mode import CompareMode
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.window.main_window import MainWindow
from viewer.window.messages import describe
from viewer.window.saver import Saver
from viewer.window.sessions import Sessions

_SWITCH_INTERVAL_S = 0.001
"""How soon the interpreter hands over to the window's thread when both want to run."""


_kept: list[QObject] = []
"""What lives until the process ends: torn down in whatever order Python's frames and cycles go,
Qt crashes now and then."""


class App(QObject):
    """Everything that runs while the window is open."""

    uncaught = pyqtSignal(object)
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
        self.window = MainWindow(settings)
        self.thread_ = RenderThread()
        preferences = Preferences(settings)
        bookmarks = Bookmarks(preferences.text("bookmarks"))
        self.controller = Controller(self.thread_.mailbox, wish, bookmarks, self, clock)
        self.comparing = Comparing(self.window, self.controller, preferences, self)
        self.posing = Posing(self.window, self.controller, self)
        self.pose_marking = PoseMarking(self.window, self.controller, self.posing, self)
        self._first_dataset = dataset
        self.pathing = Pathing(self.window, self.controller, self, clock)
        paths = self.pathing.control
        self.recording = Recording(self.window, self.controller, paths, preferences, self)
        self.living = Living(self.window, self)
        self.sessions = Sessions(
            self.window, self.controller, paths, self.posing, preferences, self
        )
        self.scene_asking = SceneAsking(self.window, self.controller, preferences, asks, self)
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
        window, controller, thread = self.window, self.controller, self.thread_
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
        window.closed.connect(self.scene_asking.close)
        window.closed.connect(self.comparing.close)
        window.closed.connect(self.posing.close)
        window.closed.connect(self.pathing.close)
        window.closed.connect(self.recording.close)
        window.closed.connect(self.living.close)
        window.closed.connect(controller.close)

        controller.frame_shown.connect(window.show_frame)
        controller.frame_shown.connect(self.report.frame_shown)
        controller.frames_shown.connect(self.report.frames_shown)
        controller.orbit_changed.connect(window.show_orbit)
        controller.history_changed.connect(window.show_history)
        controller.bookmarks_changed.connect(window.show_bookmarks)
        controller.badge_changed.connect(window.show_badge)
        controller.readout_ready.connect(window.show_performance)
        controller.kept.connect(self._show_choices)

        thread.frame_ready.connect(controller.frame_ready)
        thread.frames_ready.connect(controller.frames_ready)
        thread.running_changed.connect(self._running_changed)
        thread.busy_changed.connect(window.show_busy)
        thread.failed.connect(self._thread_failed)
        thread.measured.connect(self.report.measured)
        self._saver.failed.connect(self.show_error)
        self.comparing.failed.connect(self.show_error)
        self.posing.failed.connect(self.show_error)
        self.posing.busy_changed.connect(window.show_busy)
        self.pathing.failed.connect(self.show_error)
        self.recording.failed.connect(self.show_error)
        self.living.failed.connect(self.show_error)
        self.sessions.failed.connect(self.show_error)
        self.uncaught.connect(self.show_error)

    def start(self) -> None:
        """Show the window and ask for the first picture."""
        self.window.show()
        self.thread_.start()
        self.controller.start()
        if self._first_dataset is not None:
            self.posing.open(self._first_dataset)

    def close(self) -> None:
        """Close the window; the render thread ends with it."""
        self.comparing.close()
        self.posing.close()
        self.controller.close()
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
        self.comparing.running_changed(running)
        self._show_choices(running)
        self.controller.running_changed(running)
        self.scene_asking.running_changed(running)
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


def run(options: argparse.Namespace) -> int:
    """Open the window and run until it closes. Returns the exit code."""
    try:
        wish = first_wish(options)
    except R2LError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # Python's own handler of Ctrl+C would wait for the next event, and then be one error of many.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    qInstallMessageHandler(_print_qt_message)
    qt = QApplication(sys.argv[:1])
    _kept.append(qt)
    # By this, desktops find the icon and group the windows of `r2l-viewer.desktop`.
    QGuiApplication.setDesktopFileName("r2l-viewer")
    theme.install(qt)
    scripted = options.tour is not None or options.exit_after_first_frame
    if scripted:
        # A script neither depends on what a person has set up nor changes it.
        with tempfile.TemporaryDirectory() as folder:
            settings = QSettings(f"{folder}/settings.ini", QSettings.Format.IniFormat)
            settings.setValue("hint_seen", options.tour is not None)
            return _run(App(wish, settings, options.dataset), options, qt, scripted)
    asks = options.report is None
    return _run(App(wish, None, options.dataset, asks), options, qt, scripted)


def _run(app: App, options: argparse.Namespace, qt: QApplication, scripted: bool) -> int:
    _kept.append(app)
    _show_uncaught(app)
    collector = GuiCollector(app)
    app.report.first_picture.connect(collector.settle)
    if options.tour is not None:
        tour = Tour(app, options.tour, options.screens)
        tour.finished.connect(app.close)
    elif options.exit_after_first_frame:
        # The picture is told of while it is painted, which is no time to close a window.
        leave = partial(QTimer.singleShot, 0, app.close)
        app.report.first_picture.connect(lambda: None if app.posing.opening else leave())
        app.posing.settled.connect(lambda: leave() if app.report.has_picture else None)
    if scripted:
        # Without a picture there is nothing to script.
        app.thread_.failed.connect(lambda: None if app.report.has_picture else app.close())
    else:
        _fall_back_on_failure(app)
    app.start()
    qt.exec()
    app.thread_.stop()
    collector.stop()
    pool = QThreadPool.globalInstance()
    assert pool is not None
    pool.waitForDone()
    if options.report is not None:
        try:
            app.report.write(options.report)
        except R2LError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 2 if scripted and app.has_failed else 0


def _fall_back_on_failure(app: App) -> None:
    """A person whose first wish fails reads why over something simpler, in the end the demo."""
    simpler = (Wish(app.wish.checkpoint, app.wish.scene), Wish("demo"))
    untried = iter([wish for wish in simpler if wish != app.wish])

    def fall_back() -> None:
        if app.controller.running is None and (following := next(untried, None)) is not None:
            app.controller.want(following)

    app.thread_.failed.connect(fall_back)


def _show_uncaught(app: App) -> None:
    """A bug in a slot becomes a message instead of the end of the process."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            app.uncaught.emit(error)
        else:
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook


def _print_qt_message(_kind: QtMsgType, _context: QMessageLogContext, text: str | None) -> None:
    """As Qt does, without what its offscreen plugin remarks on every window."""
    if text and not text.startswith("This plugin does not support"):
        print(text, file=sys.stderr)
