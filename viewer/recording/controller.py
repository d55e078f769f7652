"""Wires the record panel to the path, the panes and a recording thread."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.camera_paths.camera_path import CameraPath
from r2l_core.errors import R2LError, RecordingError
from r2l_core.recording.loading import Unfinished, load_sidecar, unfinished
from r2l_core.recording.plan import DEFAULT_GAIN, RecordingPlan
from r2l_core.types import Availability, Precision
from viewer.recording.recording_thread import RecordingEnd, RecordingJob, RecordingThread, ResumeJob
from viewer.rendering.controller import RenderController
from viewer.state.panes import AUTO, LETTERS, TRUTHS, CompareMode, PaneChoice
from viewer.state.preferences import Preferences
from viewer.state.view_state import StateStore, ViewState, next_source
from viewer.widgets.controls.file_dialogs import ask_film
from viewer.widgets.panels.record_panel import RecordPanel
from viewer.widgets.panels.record_settings import MODES, RecordProgress, RecordSettings
from viewer.window.main_window import MainWindow

_NAME = 24
"""Characters of a film's name that a button has room for."""


_NOT_FILMED = Availability(False, "films are rendered by light fields")
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
    progressed = pyqtSignal(RecordProgress)
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
            panel.proposed_file(self._window.saving_folder)
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
                self.panel.show_settings(_settings_of(sidecar))
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
        panel.start_requested.connect(self.start)
        panel.resume_requested.connect(self.resume)
        panel.instead_requested.connect(self._film_instead)
        panel.abort_requested.connect(self.abort)
        panel.pause_toggled.connect(self._pause)
        panel.browse_requested.connect(
            lambda: window.ask_place(ask_film, "r2l.mp4", panel.show_file)
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
        if _filmed(before) != _filmed(after):
            self._offer_modes()

    def _offer_modes(self) -> None:
        if self.running:
            return
        why_not = {mode: why for mode in MODES if (why := self._why_not(mode))}
        shown = self._shown("side")
        two = len(shown) == 2
        panes = " and ".join(str(pane.source) for _, pane in shown)
        letters = " and ".join(letter for letter, _ in shown) if two else "A and B"
        self.panel.offer_modes(why_not, letters, panes if two else "")
        instead, words = self._instead(), ""
        if instead is not None:
            at, source = instead
            words = f"Show {source} in pane {LETTERS[at]} instead of the truth"
        self.panel.offer_instead(words)

    def _instead(self) -> tuple[int, Precision] | None:
        """The first of the shown panes that has the truth, and what can be filmed in its place:
        eight bits, or another precision that no pane shows yet."""
        state, running = self._store.state, self._rendering.running
        if running is None or running.light_field.is_teacher:
            return None
        for at in state.pair if state.comparing else (state.active,):
            if at < len(state.panes) and state.panes[at].source in TRUTHS:
                others = (*state.panes[:at], *state.panes[at + 1 :])
                source = next_source(others, running.precisions, _NOT_FILMED)
                return (at, source) if isinstance(source, Precision) else None
        return None

    def _film_instead(self) -> None:
        if (instead := self._instead()) is not None:
            at, source = instead
            self._store.set(self._store.state.with_pane(at, PaneChoice(source)))

    def _shown(self, mode: str) -> list[tuple[str, PaneChoice]]:
        """Letters and choices of the panes that a film of this mode shows."""
        state = self._store.state
        lettered = list(zip(LETTERS, state.panes, strict=False))
        if mode == "single" or len(lettered) < 2:
            return lettered[state.active :][:1]
        return [lettered[at] for at in state.pair]

    def _why_not(self, mode: str) -> str:
        """Why no film of this mode can be made, a sentence; empty where one can."""
        shown, running = self._shown(mode), self._rendering.running
        if not shown:
            return "No light field is open."
        if running is not None and running.light_field.is_teacher:
            return "A teacher is open; films are rendered by light fields."
        for letter, pane in shown:
            if not isinstance(pane.source, Precision):
                return f"Pane {letter} shows the ground truth; films are rendered by light fields."
            if pane.checkpoint is not None:
                return f"Pane {letter} shows another light field; films are of the open one."
        if mode != "single" and len(shown) < 2:
            return "A film of two needs a second pane: Compare shows it."
        if len({pane.layers_in_fp32 for _, pane in shown if pane.has_mix}) > 1:
            return "These panes leave different layers in fp32; a film has one mix of layers."
        return ""

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
        running, path = self._rendering.running, self._store.state.path
        what = "The film cannot be made"
        if running is None or path is None:
            why = "there is no camera path" if running is not None else "no light field is open"
            raise RecordingError(what, why, "Add keyframes with K, or choose a preset.")
        if not settings.file:
            raise RecordingError(what, "no file is named", "Give one that ends in .mp4.")
        if why_not := self._why_not(settings.mode):
            raise RecordingError(what, why_not[0].lower() + why_not[1:-1], "Show another.")
        shown = self._shown(settings.mode)
        light_field, options = running.wish.light_field, self._store.state.difference
        path = path.lasting(settings.seconds)
        if settings.mode == "single" and shown[0][0] == "B":
            path = _seen_as_a(path)
        plan = RecordingPlan(
            path=path,
            seconds=settings.seconds,
            fps=settings.fps,
            width_px=settings.width_px,
            height_px=settings.height_px,
            precisions=tuple(Precision(pane.source) for _, pane in shown),
            mode=settings.mode,  # type: ignore[arg-type]
            labels="off" if settings.mode == "single" else "live",
            gain=options.gain if options.locked else DEFAULT_GAIN,
            title=settings.title,
        )
        out = Path(settings.file).expanduser()
        if (lies_there := unfinished(out.with_suffix(".json"))) and lies_there.frames_done:
            self._offer(lies_there)
            raise RecordingError(
                what,
                f"an unfinished one of that name has {lies_there.frames_done} of "
                f"{lies_there.frames_total} frames",
                "Resume it, or choose another name.",
            )
        checkpoint = _lasting_name(light_field.checkpoint)
        assert not running.light_field.is_teacher  # `_why_not` has refused it
        return RecordingJob(
            running.light_field,
            checkpoint,
            plan,
            out,
            running.ray_mode,
            light_field.engine,
            light_field.device,
            tuple(light_field.engine if pane.engine == AUTO else pane.engine for _, pane in shown),
            next((pane.layers_in_fp32 for _, pane in shown if pane.has_mix), frozenset()),
        )

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
        self._offer_modes()
        self._offer_resume()


def _filmed(state: ViewState) -> tuple[object, ...]:
    """What it depends on which films can be made."""
    return state.panes, state.active, state.pair, state.mode


def _settings_of(sidecar: Path) -> RecordSettings:
    """What the film of a sidecar is like. Raises RecordingError and others."""
    loaded = load_sidecar(sidecar)
    plan = loaded.recipe.plan
    return RecordSettings(
        width_px=plan.width_px,
        height_px=plan.height_px,
        fps=plan.fps,
        seconds=plan.seconds,
        mode=plan.mode,
        file=str(loaded.video),
        title=plan.title,
    )


def _seen_as_a(path: CameraPath) -> CameraPath:
    """With what its keyframes say about pane B said about pane A."""
    keys = tuple(replace(key, precision_a=key.precision_b) for key in path.keyframes)
    return replace(path, keyframes=keys)


def _lasting_name(checkpoint: str) -> str:
    """What the light field is opened by later, from any folder."""
    file = Path(checkpoint)
    return str(file.absolute()) if file.is_file() else checkpoint
