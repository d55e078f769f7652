"""The composition root: builds window, controller and render thread, and wires them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import partial

from PyQt6.QtCore import QObject, QSettings, pyqtSignal

from r2l_core.errors import R2LError
from r2l_core.types import Precision
from viewer.camera.bookmarks import BookmarkController
from viewer.camera.controller import CameraController
from viewer.camera.gestures import CameraGestures
from viewer.camera_path.controller import CameraPathController
from viewer.compare.controller import CompareController
from viewer.dataset.controller import DatasetController
from viewer.dataset.pose_marking import PoseMarking
from viewer.kept.files import FileOpener, RecentController
from viewer.kept.habits import HabitController
from viewer.kept.sessions import SessionController
from viewer.learning.controller import LearningController
from viewer.recording.controller import RecordingController
from viewer.recording.live_capture import LiveCapture
from viewer.rendering.contests import Contests
from viewer.rendering.controller import RenderController
from viewer.rendering.performance import PerformanceMonitor
from viewer.rendering.render_size import RenderSizeController
from viewer.rendering.render_thread import RenderThread
from viewer.rendering.report import Report
from viewer.rendering.running import Running
from viewer.rendering.saving import SavingController
from viewer.rendering.scene_controller import SceneController
from viewer.state.panes import TRUTH, PaneChoice
from viewer.state.preferences import Preferences
from viewer.state.resolve import Wish
from viewer.state.view_state import StateStore, ViewState
from viewer.state.viewpoint import Bookmarks
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.controls.wording import short_name
from viewer.window.first_paint import FirstPaint
from viewer.window.main_window import MainWindow
from viewer.window.messages import describe


class App(QObject):
    """Everything that runs while the window is open."""

    uncaught = pyqtSignal(Exception)
    """An exception that nobody expected, from any thread."""

    def __init__(
        self,
        state: ViewState,
        settings: QSettings | None = None,
        dataset: str | None = None,
        asks: bool = False,
        clock: Clock = REAL_TIME,
        file: str | None = None,
    ) -> None:
        """`state`: what is shown first. `settings`: where the window remembers its own state; the
        user's own where None.

        `dataset`: a folder to open with it. `asks`: whether to ask what a file does not say.
        `file`: whatever else is to be opened.
        """
        super().__init__()
        self.preferences = preferences = Preferences(
            settings or QSettings("r2l-viewer", "r2l-viewer")
        )
        self.first_state = state = _in_usual_precision(state, preferences)
        """What was asked for at the start."""
        self.store = StateStore(state)
        self.report = Report(clock)
        window = self.window = MainWindow(preferences)
        store = self.store
        self.render_thread = RenderThread()
        self.camera = CameraController(store, self, clock)
        self.gestures = CameraGestures(self.camera, self, clock)
        kept = Bookmarks(preferences.text("bookmarks"))
        self.bookmarks = BookmarkController(self.camera, kept, self)
        rendering = self.rendering = RenderController(
            self.render_thread.mailbox, store, self.camera, self, clock
        )
        self.render_size = RenderSizeController(window, store, self, clock)
        self.contests = Contests(self.render_thread.mailbox, window, store, rendering, self)
        self.performance = PerformanceMonitor(self, clock)
        self.compare = CompareController(window, store, rendering, preferences, self)
        self.dataset = DatasetController(window, store, self.camera, rendering, self)
        self.pose_marking = PoseMarking(window, store, rendering, self.dataset, self)
        self._first_dataset, self._first_file = dataset, file
        self.camera_path = CameraPathController(window, store, self.camera, rendering, self, clock)
        self.recording = RecordingController(window, store, rendering, preferences, self)
        self.live_capture = LiveCapture(window, self, clock)
        self.learning = LearningController(window, store, rendering, preferences, self, clock)
        self.sessions = SessionController(
            window,
            store,
            self.camera,
            self.bookmarks,
            rendering,
            self.dataset,
            preferences,
            self,
        )
        self.files = FileOpener(
            window,
            rendering,
            self.dataset,
            self.camera_path,
            self.recording,
            self.sessions,
            self.compare.layers,
            self,
        )
        self.recent = RecentController(
            window,
            preferences,
            store,
            rendering,
            self.camera_path,
            self.sessions,
            self.files,
            self,
        )
        self.scenes = SceneController(window, rendering, preferences, asks, self)
        self.has_failed = False
        self._again: Callable[[], object] = _nothing
        self.saving = SavingController(window, store, rendering, self.performance, self)
        self._wire_camera()
        self._wire_rendering()
        self._wire_errors()
        # Last: it switches on what was on before.
        self.habits = HabitController(window, store, self.gestures, preferences, self)
        self._wire_end()
        window.compare.show_state(state)

    def _wire_camera(self) -> None:
        window, camera, gestures, bookmarks = (
            self.window,
            self.camera,
            self.gestures,
            self.bookmarks,
        )
        pane, panel, commands = window.pane, window.camera, window.commands
        pane.orbit_dragged.connect(gestures.orbit_dragged)
        pane.pan_dragged.connect(gestures.pan_dragged)
        pane.zoomed.connect(gestures.zoomed)
        pane.centred.connect(gestures.centred)
        pane.flight_changed.connect(gestures.flight_changed)
        pane.drag_started.connect(gestures.drag_started)
        pane.drag_finished.connect(gestures.drag_finished)
        commands.inertia.toggled.connect(gestures.set_inertia)
        commands.smooth.toggled.connect(camera.mover.set_smooth)
        panel.orbit_edited.connect(camera.set_orbit)
        panel.fov_x_edited.connect(camera.set_fov_x_deg)
        panel.view_requested.connect(camera.view_requested)
        for name, action in commands.views.items():
            action.triggered.connect(lambda _=False, view=name: camera.view_requested(view))
        commands.undo.triggered.connect(camera.undo)
        commands.redo.triggered.connect(camera.redo)
        camera.orbit_changed.connect(panel.show_orbit)
        camera.history_changed.connect(commands.offer_history)
        panel.bookmark_recalled.connect(bookmarks.recall)
        for number, action in commands.bookmark_set.items():
            action.triggered.connect(lambda _=False, one=number: bookmarks.set(one))
        for number, action in commands.bookmark_recall.items():
            action.triggered.connect(lambda _=False, one=number: bookmarks.recall(one))
        bookmarks.changed.connect(window.show_bookmarks)
        bookmarks.written.connect(partial(self.preferences.store, "bookmarks"))

    def _wire_rendering(self) -> None:
        window, rendering, store = self.window, self.rendering, self.store
        scene, commands = window.scene, window.commands
        scene.target_fps_chosen.connect(lambda rate: store.change(target_fps=rate))
        commands.canonical.toggled.connect(rendering.set_canonical)
        commands.fill_flat.toggled.connect(lambda on: store.change(fill_flat=on))
        for stride, action in commands.locks.items():
            action.toggled.connect(
                lambda on, one=stride: store.change(max_stride=one) if on else None
            )
        store.listen(self._show_state)
        rendering.badge_changed.connect(window.show_badge)
        rendering.waiting_changed.connect(window.compare.view.show_waiting)
        rendering.running_changed.connect(self._show_running)
        rendering.frames_shown.connect(self.performance.frames_shown)
        rendering.frames_shown.connect(self.report.frames_shown)
        self.performance.readout_ready.connect(window.show_performance)
        window.pane.picture_painted.connect(self.performance.painted)
        window.pane.picture_painted.connect(self.report.painted)
        thread = self.render_thread
        thread.looking.connect(rendering.look)
        thread.looking.connect(
            lambda looking: window.show_first_look(looking.scene, looking.name, looking.engine)
        )
        thread.frames_ready.connect(rendering.show)
        thread.running_changed.connect(rendering.run)
        thread.busy_changed.connect(window.show_busy)
        thread.failed.connect(self._thread_failed)
        thread.measured.connect(self.report.measured)
        thread.exact_ready.connect(self.report.exact)

    def _wire_errors(self) -> None:
        window = self.window
        # What is asked for now, an older error says nothing about.
        for asked in (
            self.rendering.asked,
            self.learning.asked,
            window.open_requested,
            window.dataset_requested,
            window.file_dropped,
            window.message.retry_requested,
        ):
            asked.connect(window.message.dismiss)
        window.message.retry_requested.connect(lambda: self._again())
        for failed in (
            self.compare.failed,
            self.dataset.failed,
            self.camera_path.failed,
            self.recording.failed,
            self.live_capture.failed,
            self.sessions.failed,
            self.files.failed,
            self.saving.failed,
            self.uncaught,
        ):
            failed.connect(self.show_error)
        self.learning.failed.connect(lambda error: self.show_error(error, self.learning.again))
        self.dataset.busy_changed.connect(window.show_busy)

    def _wire_end(self) -> None:
        for end in (
            self.contests.stop,
            self.render_thread.stop,
            self.sessions.close,
            self.scenes.close,
            self.habits.close,
            self.compare.close,
            self.dataset.close,
            self.camera_path.close,
            self.recording.close,
            self.live_capture.close,
            self.learning.close,
            self.camera.close,
            self.render_size.close,
            self.performance.close,
            # After everybody else has stored what is to be remembered.
            self.preferences.write,
        ):
            self.window.closed.connect(end)

    def start(self) -> None:
        """Show the window and ask for the first picture."""
        checkpoint = self.store.state.light_field.checkpoint
        self.window.scene.show_loading(short_name(checkpoint))
        # From the first paint on, or the pane would ask for a light field to be opened.
        self.window.show_busy("Starting the renderer…")
        # It is painted first: what another thread imports and computes would hold it up.
        FirstPaint(self.window).over.connect(self.render_thread.start)
        self.window.show()
        # The truth of a pane may be in the dataset, which asks for the light field once it is read.
        sources = {pane.source for pane in self.store.state.panes}
        if self._first_dataset is None or TRUTH not in sources:
            self.rendering.start()
        if self._first_dataset is not None:
            self.dataset.settled.connect(self.rendering.start)
            self.dataset.open(self._first_dataset)
        if self._first_file is not None:
            self.files.open(self._first_file)

    def close(self) -> None:
        """Close the window; the render thread ends with it."""
        self.compare.close()
        self.dataset.close()
        self.camera.close()
        self.performance.close()
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
            self.show_error(error, self.rendering.refresh)
        else:
            self.window.scene.show_loading("")
            if self.rendering.running is None:
                # Also not what a first look said of the engines that were on their way.
                self.window.scene.show_summary("")
            asked = self.rendering.fail(wish)
            self.show_error(error, partial(self.rendering.want, asked))
            self.sessions.wish_failed(wish)

    def _show_running(self, running: Running) -> None:
        window = self.window
        window.show_scene(running.scene, running.name, running.summary)
        window.scene.show_notes(running.notes)
        window.show_canonical(running.ray_mode == "canonical")
        self._show_scene_choice(self.store.state)
        self.bookmarks.enter(running.name)

    def _show_state(self, before: ViewState, after: ViewState) -> None:
        window = self.window
        if before.light_field is not after.light_field:
            self._show_scene_choice(after)
            if (running := self.rendering.running) is not None:
                window.show_canonical(running.ray_mode == "canonical")
        if before.target_fps != after.target_fps:
            window.scene.show_target_fps(after.target_fps)
        if before.max_stride != after.max_stride:
            window.commands.locks[after.max_stride].setChecked(True)
        if before.fill_flat != after.fill_flat:
            window.commands.fill_flat.setChecked(after.fill_flat)

    def _show_scene_choice(self, state: ViewState) -> None:
        scene = state.light_field.scene
        named = scene if scene is None or isinstance(scene, str) else ""
        self.window.commands.scenes.show_choice(named)


def _in_usual_precision(state: ViewState, preferences: Preferences) -> ViewState:
    """In the precision that was chosen last, where nothing else is asked for."""
    usual = preferences.text("precision")
    if state.panes or usual not in set(Precision):
        return state
    return state.with_panes((PaneChoice(Precision(usual)),))


def _nothing() -> None:
    """What can be done again where nothing can."""
