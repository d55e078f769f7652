"""Wires the record panel to the path, the panes and a recording thread."""

from __future__ import annotations

import contextlib
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.errors import R2LError, RecordingError
from r2l_core.recording.loading import Unfinished, unfinished
from r2l_core.recording.plan import RecordingProgress
from viewer.recording.filmed import (
    NOT_MADE,
    filmed_panes,
    instead_of_truth,
    job_of,
    settings_of,
    what_decides_films,
    why_not,
)
from viewer.recording.recording_thread import RecordingEnd, RecordingJob, RecordingThread, ResumeJob
from viewer.rendering.controller import RenderController
from viewer.state.panes import LETTERS, CompareMode, PaneChoice
from viewer.state.preferences import Preferences
from viewer.state.view_state import StateStore, ViewState
from viewer.widgets.controls.file_dialogs import ask_film
from viewer.widgets.panels.record_panel import PREPARING, RecordPanel, progress_words
from viewer.widgets.panels.record_settings import MODES, RecordSettings
from viewer.window.main_window import MainWindow

_NAME = 24
"""Characters of a film's name that a button has room for."""
_AS_COMPARED = {
    CompareMode.SINGLE: "single",
    CompareMode.SIDE: "side",
    CompareMode.WIPE: "wipe",
    CompareMode.FLIP: "side",
    CompareMode.DIFFERENCE: "difference",
}
"""What a film shows of panes that are compared in this mode."""


class RecordingController(QObject):
    """Makes one film at a time, while the window goes on."""

    failed = pyqtSignal(Exception)
    progressed = pyqtSignal(RecordingProgress)
    finished = pyqtSignal(RecordingEnd)

    def __init__(
        self,
        window: MainWindow,
        store: StateStore,
        rendering: RenderController,
        preferences: Preferences,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._store = store
        self._rendering = rendering
        self._preferences = preferences
        self._unfinished: Unfinished | None = None
        self._thread: RecordingThread | None = None
        self.panel = RecordPanel(window)
        self._wire()

    @property
    def running(self) -> bool:
        """Whether a film is being made."""
        return self._thread is not None

    def open(self) -> None:
        """Show the panel with proposals that fit what is shown."""
        panel = self.panel
        if not self.running:
            panel.propose_size(*self._store.state.render_size_px)
            panel.propose_file(self._window.asking.saving_folder)
            panel.propose_mode(_AS_COMPARED[self._store.state.mode])
            self._offer_modes()
            self._offer_resume()
        panel.show()
        panel.raise_()

    def start(self, settings: RecordSettings) -> None:
        """Begin a film; whatever is wrong with it is said in the message bar."""
        if self.running:
            return
        try:
            job = self._job(settings)
        except R2LError as error:
            self.failed.emit(error)
            return
        self._run(job, job.out.with_suffix(".json"))

    def resume(self) -> None:
        """Complete the film that was interrupted last."""
        if not self.running and self._unfinished is not None:
            sidecar = self._unfinished.sidecar
            # A sidecar that cannot be read is refused, with its reason, where the film is resumed.
            with contextlib.suppress(R2LError):
                self.panel.show_settings(settings_of(sidecar))
            self._run(ResumeJob(sidecar), sidecar)

    def _run(self, job: RecordingJob | ResumeJob, sidecar: Path) -> None:
        thread = self._thread = RecordingThread(job, self)
        # Not before: what is refused must not take the place of one that was interrupted.
        thread.begun.connect(lambda: self._preferences.store("last_film", str(sidecar.absolute())))
        thread.progressed.connect(self.progressed)
        thread.ended.connect(self._ended)
        thread.failed.connect(self._failed)
        thread.finished.connect(self._stopped)
        # A child lives as long as its parent: of every film something would stay behind.
        thread.finished.connect(thread.deleteLater)
        self.panel.show_recording(True)
        self._window.status.show_film(PREPARING)
        thread.start()

    def abort(self) -> None:
        """End the film where it is; what is done stays."""
        if self._thread is not None:
            self._thread.abort()

    def close(self) -> None:
        """End a film in good order before the process does."""
        self.panel.close()
        thread = self._thread
        if thread is not None:
            thread.abort()
            thread.wait()

    def _wire(self) -> None:
        window, panel = self._window, self.panel
        window.closing.add_reason(self._why_not_close)
        window.commands.record.record.triggered.connect(self.open)
        window.timeline.record_requested.connect(self.open)
        self._store.listen(self._state_changed)
        self.progressed.connect(panel.show_progress)
        # The panel may be closed or behind the window.
        self.progressed.connect(lambda progress: window.status.show_film(progress_words(progress)))
        panel.start_requested.connect(self.start)
        panel.resume_requested.connect(self.resume)
        panel.instead_requested.connect(self._film_instead)
        panel.abort_requested.connect(self.abort)
        panel.pause_toggled.connect(self._pause)
        panel.browse_requested.connect(
            lambda: window.asking.place(ask_film, "r2l.mp4", panel.show_file)
        )

    def _why_not_close(self) -> str:
        if not self.running:
            return ""
        return (
            "A film is being made. Closing ends it here: what is done stays and plays, and "
            "Record > Record… offers to complete it next time."
        )

    def _pause(self, on: bool) -> None:
        if self._thread is not None:
            self._thread.set_paused(on)

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        path = after.path
        if before.path is not path:
            keys = 0 if path is None else len(path.keyframes)
            self.panel.show_path(keys, 0.0 if path is None else path.seconds)
        if what_decides_films(before) != what_decides_films(after):
            self._offer_modes()

    def _offer_modes(self) -> None:
        if self.running:
            return
        state, running = self._store.state, self._rendering.running
        refused = {mode: why for mode in MODES if (why := why_not(state, running, mode))}
        shown = filmed_panes(state, "side")
        two = len(shown) == 2
        panes = " and ".join(str(state.panes[at].source) for at in shown)
        letters = " and ".join(LETTERS[at] for at in shown) if two else "A and B"
        self.panel.offer_modes(refused, letters, panes if two else "")
        instead, words = instead_of_truth(state, running), ""
        if instead is not None:
            at, source = instead
            words = f"Show {source} in pane {LETTERS[at]} instead of the truth"
        self.panel.offer_instead(words)

    def _film_instead(self) -> None:
        state = self._store.state
        if (instead := instead_of_truth(state, self._rendering.running)) is not None:
            at, source = instead
            self._store.set(state.with_pane(at, PaneChoice(source)))

    def offer(self, sidecar: Path) -> None:
        """Offer to complete a film, where it is unfinished."""
        if (film := unfinished(sidecar)) is not None:
            self.open()
            self._offer(film)

    def _offer_resume(self) -> None:
        """Offer to complete the film that was made last, in this session or the one before."""
        sidecar = self._preferences.text("last_film")
        self._offer(unfinished(Path(sidecar)) if sidecar else None)

    def _offer(self, film: Unfinished | None) -> None:
        self._unfinished = film
        if film is None:
            self.panel.offer_resume("")
            return
        name = film.video if len(film.video) <= _NAME else f"…{film.video[-_NAME:]}"
        self.panel.offer_resume(f"{name}, {film.frames_done} of {film.frames_total} frames")

    def _job(self, settings: RecordSettings) -> RecordingJob:
        job = job_of(self._store.state, self._rendering.running, settings)
        lies_there = unfinished(job.out.with_suffix(".json"))
        if lies_there and lies_there.frames_done:
            self._offer(lies_there)
            raise RecordingError(
                NOT_MADE,
                f"an unfinished one of that name has {lies_there.frames_done} of "
                f"{lies_there.frames_total} frames",
                "Resume it, or choose another name.",
            )
        return job

    def _ended(self, end: RecordingEnd) -> None:
        self.panel.show_end(end.words)
        # The panel may have been closed meanwhile.
        self._window.show_note(end.words, str(end.out))
        self.finished.emit(end)

    def _failed(self, error: Exception) -> None:
        self.panel.show_end("Failed; what was written stays")
        self.failed.emit(error)

    def _stopped(self) -> None:
        self._thread = None
        self._window.status.show_film("")
        self._offer_modes()
        self._offer_resume()
