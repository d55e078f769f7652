"""Learning a light field from photographs, while the window shows what is learned by now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.errors import R2LError
from r2l_core.geometry.camera import Camera
from r2l_core.render.frames import Frame
from r2l_core.training.watching import LearningProgress, Stage
from viewer.learning.process import LearningProcess, folder_of
from viewer.rendering.controller import RenderController
from viewer.state.preferences import Preferences
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.controls.file_dialogs import ask_dataset, ask_light_field_place
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.controls.wording import duration
from viewer.widgets.panels.learn_readout import LearningCurve, LearnSettings
from viewer.window.main_window import MainWindow

_LOOK_EVERY_MS = 250
_PATIENCE = 240
"""Looks after which newer weights are shown although the picture of older ones is not whole yet."""
_LAST = "last_learning"
_WHAT = "The light field cannot be learned"


class LearningController(QObject):
    """Watches one learning at a time. What is learned is shown like any file, from the place where
    its newest weights are, until something else is opened."""

    failed = pyqtSignal(Exception)
    asked = pyqtSignal()
    """Somebody wants to learn or to go on, before it is known whether that can be."""

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        rendering: RenderController,
        preferences: Preferences,
        parent: QObject,
        clock: Clock = REAL_TIME,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._panel = window.learn
        self._store = store
        self._rendering = rendering
        self._preferences = preferences
        self._learning: LearningProcess | None = None
        self._unfinished: LearningProcess | None = None
        self._curve, self._last = LearningCurve(), LearningProgress(Stage.STARTING)
        self._seen_ns = 0
        """When the weights that were shown last were written; 0 before the first."""
        self._epoch = -1
        """Of the pictures before these; -1 once these can be followed by others."""
        self._camera: Camera | None = None
        """Of the picture that was shown last."""
        self._waited = 0
        self._timer = clock.timer(self, _LOOK_EVERY_MS, self._look)
        self._wire()

    @property
    def learning(self) -> LearningProcess | None:
        """The one that is watched, or None."""
        return self._learning

    def open(self) -> None:
        """Show the panel; what goes on elsewhere is watched from now on, and what was stopped is
        offered."""
        if self._learning is None:
            self._offer_last()
            dataset = self._store.state.dataset
            if dataset is not None and not self._panel.settings().dataset:
                self._panel.show_dataset(dataset.path)
        self._window.open_panel("Learn")

    def again(self) -> None:
        """Do once more what failed: go on with what was stopped, or begin."""
        if self._unfinished is not None:
            self.resume()
        else:
            self.start(self._panel.settings())

    def start(self, settings: LearnSettings) -> None:
        """Begin to learn; whatever is wrong with it is said in the message bar."""
        self.asked.emit()
        if self._learning is not None:
            return
        try:
            self._begin(self._new(settings), resume=False)
        except R2LError as error:
            self.failed.emit(error)

    def resume(self) -> None:
        """Go on with the one that was stopped last."""
        self.asked.emit()
        if self._learning is not None or self._unfinished is None:
            return
        try:
            self._begin(self._unfinished, resume=True)
        except R2LError as error:
            self.failed.emit(error)

    def show_newest(self) -> None:
        """Open what is learned, from its newest weights."""
        if self._learning is not None and (written := _written_ns(self._learning.newest)):
            self._show(written, self._rendering.open)

    def close(self) -> None:
        """What was begun here ends with the window, unless it was told to go on."""
        self._timer.stop()
        learning, self._learning = self._learning, None
        if learning is not None:
            learning.let_go()

    def _wire(self) -> None:
        window, panel = self._window, self._panel
        window.closing.add_reason(self._why_not_close)
        window.commands.learn.triggered.connect(self.open)
        self._rendering.frames_shown.connect(self._frames_shown)
        self._store.listen(self._state_changed)
        panel.start_requested.connect(self.start)
        panel.resume_requested.connect(self.resume)
        panel.show_requested.connect(self.show_newest)
        panel.pause_toggled.connect(lambda on: self._tell(paused=on))
        panel.stay_toggled.connect(lambda on: self._tell(stays=on))
        panel.stop_requested.connect(lambda: self._tell(stop=True))
        panel.dataset_browse_requested.connect(
            lambda: window.asking.file(ask_dataset, panel.show_dataset)
        )
        panel.file_browse_requested.connect(
            lambda: window.asking.place(
                ask_light_field_place, "learned.safetensors", panel.show_file
            )
        )

    def _why_not_close(self) -> str:
        learning = self._learning
        if learning is None or not learning.is_own or learning.control().stays:
            return ""
        return (
            f"{learning.name} is being learned. Closing stops it here: what is learned is kept, "
            "and File > Learn a light field… offers to go on."
        )

    def _new(self, settings: LearnSettings) -> LearningProcess:
        if not settings.dataset:
            raise R2LError(_WHAT, "no photographs are named", "Choose the folder of a dataset.")
        if not settings.out:
            raise R2LError(_WHAT, "no file is named for it", "Give one that ends in .safetensors.")
        out = Path(settings.out).expanduser().absolute()
        settings = replace(settings, out=str(out))
        folder = folder_of(settings)
        before = LearningProcess.found(folder)
        if before is not None and before.running:
            raise R2LError(_WHAT, f"{before.name} is being learned", "Wait for it, or stop it.")
        if before is not None and (came := before.unfinished()) is not None:
            self._offer(before, came)
            raise R2LError(
                _WHAT, f"an unfinished one is called {before.name}", "Resume it, or choose a name."
            )
        return LearningProcess(settings, folder)

    def _begin(self, learning: LearningProcess, resume: bool) -> None:
        learning.begin(resume)
        self._preferences.store(_LAST, str(learning.folder))
        self._watch(learning)

    def _watch(self, learning: LearningProcess) -> None:
        panel, control = self._panel, learning.control()
        self._learning, self._unfinished = learning, None
        self._curve, self._last = LearningCurve(), LearningProgress(Stage.STARTING)
        self._seen_ns = 0
        panel.forget_facts()
        panel.show_settings(learning.settings)
        panel.show_name(learning.name)
        panel.show_learning(True)
        panel.show_paused(control.paused)
        panel.show_stay(control.stays, learning.is_own)
        panel.offer_show(False)
        panel.show_progress(self._last)
        panel.show_curve(self._curve, learning.settings.minutes)
        self._timer.start()
        self._look()

    def _look(self) -> None:
        learning = self._learning
        if learning is None:
            return
        runs = learning.running
        self._take(learning)
        if not runs:
            self._end(learning)
        else:
            self._show_if_newer(learning)

    def _take(self, learning: LearningProcess) -> None:
        """Show what it has said since the last look."""
        news = learning.news()
        for progress in news:
            self._curve = self._curve.after(progress)
            self._last = progress
        if news:
            self._panel.show_progress(self._last)
            self._panel.show_curve(self._curve, learning.settings.minutes)

    def _show_if_newer(self, learning: LearningProcess) -> None:
        written_ns = _written_ns(learning.newest)
        if written_ns in (0, self._seen_ns):
            return
        if not self._seen_ns:
            self._show(written_ns, self._rendering.open)
        elif self._is_shown(self._store.state, learning):
            self._waited += 1
            if self._epoch < 0 or self._waited > _PATIENCE:
                self._show(written_ns, self._rendering.renew)

    def _show(self, written_ns: int, opened: Callable[[str], None]) -> None:
        assert self._learning is not None
        running = self._rendering.running
        self._seen_ns, self._waited = written_ns, 0
        self._epoch = 0 if running is None else running.epoch
        opened(str(self._learning.newest))

    def _frames_shown(self, frames: tuple[Frame, ...]) -> None:
        first, before = frames[0], self._camera
        self._camera = first.camera
        moves = before is not None and not before.same_view(first.camera)
        # Where nothing moves, a picture becomes whole before the next one begins.
        if first.epoch > self._epoch and (first.complete or moves):
            self._epoch = -1

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if self._learning is not None and before.light_field is not after.light_field:
            shown = self._is_shown(after, self._learning)
            self._panel.offer_show(not shown and self._seen_ns > 0)

    @staticmethod
    def _is_shown(state: ViewState, learning: LearningProcess) -> bool:
        return state.light_field.checkpoint == str(learning.newest)

    def _end(self, learning: LearningProcess) -> None:
        self._timer.stop()
        was_shown = self._is_shown(self._store.state, learning)
        self._learning = None
        learning.let_go()
        last = self._last
        if not last.stage.is_end:
            last = replace(last, stage=Stage.FAILED)
        self._panel.show_learning(False)
        self._panel.offer_show(False)
        self._panel.show_progress(last)
        self._window.show_note(f"{learning.name}: {last.stage}")
        self._offer_last()
        if last.stage is Stage.DONE and was_shown:
            self._rendering.renew(learning.settings.out)
        elif self._last.stage is Stage.FAILED:
            self.failed.emit(R2LError(last.what, last.why, last.remedy))
        elif last.stage is Stage.FAILED:
            self.failed.emit(learning.error())

    def _offer_last(self) -> None:
        """Watch the learning that was begun last where it goes on, or offer to resume it."""
        folder = self._preferences.text(_LAST)
        learning = LearningProcess.found(Path(folder)) if folder else None
        if learning is not None and learning.running:
            self._watch(learning)
        else:
            self._offer(learning, None if learning is None else learning.unfinished())

    def _offer(self, learning: LearningProcess | None, came: LearningProgress | None) -> None:
        self._unfinished = None if came is None else learning
        if learning is None or came is None:
            self._panel.offer_resume("")
            return
        done, whole = duration(came.elapsed_s or 0.0), duration(60.0 * learning.settings.minutes)
        self._panel.offer_resume(f"{learning.name}, {done} of {whole}")

    def _tell(self, **fields: bool) -> None:
        if self._learning is not None:
            try:
                self._learning.tell(replace(self._learning.control(), **fields))
            except R2LError as error:
                self.failed.emit(error)


def _written_ns(file: Path) -> int:
    """When a file was written; 0 where there is none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
