"""Wires the record panel to the path, the panes and a recording thread."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.camera_path import CameraPath
from r2l_core.errors import R2LError, RecordingError
from r2l_core.recording.plan import RecordingPlan
from r2l_core.types import Precision
from viewer.controller import Controller
from viewer.main_window import MainWindow
from viewer.path_control import PathControl
from viewer.recording_thread import RecordingEnd, RecordingJob, RecordingThread
from viewer.widgets.file_dialogs import ask_film
from viewer.widgets.pane_choice import AUTO, PaneChoice
from viewer.widgets.record_panel import RecordPanel
from viewer.widgets.record_settings import RecordSettings
from viewer.widgets.timeline_readout import TimelineReadout

_EIGHT_BITS = (Precision.INT8, Precision.INT8_SIM, Precision.INT8_STATIC_SIM)


class Recording(QObject):
    """Makes one film at a time, while the window goes on."""

    failed = pyqtSignal(object)
    finished = pyqtSignal(object)
    """RecordingEnd."""

    def __init__(
        self, window: MainWindow, controller: Controller, paths: PathControl, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._window = window
        self._controller = controller
        self._paths = paths
        self._thread: RecordingThread | None = None
        self.panel = RecordPanel(window)
        self._wire()

    @property
    def running(self) -> bool:
        """Whether a film is being made."""
        return self._thread is not None

    def open(self) -> None:
        """Show the panel with proposals that fit what is shown."""
        panel, camera = self.panel, self._controller.camera()
        if not self.running:
            panel.show_size(camera.width_px, camera.height_px)
            panel.proposed_file(self._window.folder or str(Path.home()))
            self._offer_modes()
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
        thread = self._thread = RecordingThread(job, self)
        thread.progressed.connect(self.panel.show_progress)
        thread.ended.connect(self._ended)
        thread.failed.connect(self._failed)
        thread.finished.connect(self._stopped)
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
        window.commands.record.record.triggered.connect(self.open)
        window.timeline.record_requested.connect(self.open)
        self._paths.path_changed.connect(self._path_changed)
        window.compare.panes_changed.connect(lambda _panes: self._offer_modes())
        window.compare.mode_changed.connect(lambda _mode: self._offer_modes())
        panel.start_requested.connect(self.start)
        panel.abort_requested.connect(self.abort)
        panel.pause_toggled.connect(self._pause)
        panel.browse_requested.connect(
            lambda: window.ask_file(partial(ask_film, name="r2l.mp4"), panel.show_file)
        )

    def _pause(self, on: bool) -> None:
        if self._thread is not None:
            self._thread.set_paused(on)

    def _path_changed(self, readout: TimelineReadout) -> None:
        self.panel.show_path(len(readout.key_seconds), readout.seconds)

    def _offer_modes(self) -> None:
        if self.running:
            return
        pair = self._pair()
        if pair is None:
            why = (
                "Two panes are shown by Compare; only precisions of the open light field can be "
                "recorded."
            )
            self.panel.offer_modes("", why)
        else:
            self.panel.offer_modes(" and ".join(str(pane.source) for pane in pair), "")

    def _pair(self) -> tuple[PaneChoice, PaneChoice] | None:
        panes = self._window.compare.panes.panes[:2]
        if len(panes) < 2 or not all(map(_recordable, panes)):
            return None
        return panes[0], panes[1]

    def _job(self, settings: RecordSettings) -> RecordingJob:
        running, path = self._controller.running, self._paths.path
        what = "The film cannot be made"
        if running is None or path is None:
            why = "there is no camera path" if running is not None else "no light field is open"
            raise RecordingError(what, why, "Add keyframes with K, or choose a preset.")
        if not settings.file:
            raise RecordingError(what, "no file is named", "Give one that ends in .mp4.")
        panes = self._panes(settings.mode)
        precisions = tuple(pane.source for pane in panes if isinstance(pane.source, Precision))
        wish = running.wish
        if wish.layers_in_fp32 and any(one in _EIGHT_BITS for one in precisions):
            raise RecordingError(
                what,
                "some layers were switched to high precision, and a film could not be made again "
                "from its description",
                "Choose Restore in the Layers panel, or record another precision.",
            )
        engines = {pane.engine for pane in panes if pane.engine != AUTO} or {wish.engine}
        if len(engines) > 1:
            raise RecordingError(
                what, "its panes run on different engines", "Choose one engine for both panes."
            )
        plan = RecordingPlan(
            path=_without_panes(path.lasting(settings.seconds)),
            seconds=settings.seconds,
            fps=settings.fps,
            width_px=settings.width_px,
            height_px=settings.height_px,
            precisions=precisions,
            mode=settings.mode,  # type: ignore[arg-type]
            labels="off" if settings.mode == "single" else "live",
            title=settings.title,
        )
        out = Path(settings.file).expanduser()
        checkpoint = _lasting_name(wish.checkpoint)
        return RecordingJob(
            running.light_field,
            checkpoint,
            plan,
            out,
            running.ray_mode,
            engines.pop(),
            wish.device,
        )

    def _panes(self, mode: str) -> tuple[PaneChoice, ...]:
        if mode != "single":
            pair = self._pair()
            if pair is None:
                raise RecordingError(
                    "The film cannot be made",
                    "there are no two panes with a precision of the open light field each",
                    "Compare two precisions, or record the active pane alone.",
                )
            return pair
        setup = self._window.compare.panes
        if setup.panes and _recordable(pane := setup.panes[setup.active]):
            return (pane,)
        raise RecordingError(
            "The film cannot be made",
            "the active pane shows the ground truth or another light field",
            "Choose a precision of the open light field for it.",
        )

    def _ended(self, end: RecordingEnd) -> None:
        self.panel.show_end(end.words)
        # The panel may have been closed meanwhile.
        self._window.show_note(end.words)
        self.finished.emit(end)

    def _failed(self, error: Exception) -> None:
        self.panel.show_end("Failed; what was written stays")
        self.failed.emit(error)

    def _stopped(self) -> None:
        self._thread = None
        self._offer_modes()


def _recordable(pane: PaneChoice) -> bool:
    """Films are of one light field."""
    return isinstance(pane.source, Precision) and pane.checkpoint is None


def _without_panes(path: CameraPath) -> CameraPath:
    """The path alone: the panel says which panes are recorded."""
    keys = tuple(replace(key, precision_a=None, precision_b=None) for key in path.keyframes)
    return replace(path, keyframes=keys)


def _lasting_name(checkpoint: str) -> str:
    """What the light field is opened by later, from any folder."""
    file = Path(checkpoint)
    return str(file.absolute()) if file.is_file() else checkpoint
