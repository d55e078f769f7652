"""Records a path into a file on a thread of its own, with engines of its own built there."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QThread, pyqtSignal

from r2l_core.engines.fused.workers import usable_processors
from r2l_core.recording.plan import RecordingProgress
from r2l_core.types import RayMode
from viewer.runtime import lower_thread_priority

if TYPE_CHECKING:
    from r2l_core.model.light_field import LightField
    from r2l_core.recording.plan import RecordingPlan
    from r2l_core.recording.recorder import Recorder


@dataclass(frozen=True, eq=False)
class RecordingJob:
    """What `r2l_core.recording.session.new_recording` takes, and the layers that eight-bit
    precisions leave in float32."""

    light_field: LightField
    checkpoint: str
    plan: RecordingPlan
    out: Path
    ray_mode: RayMode
    engine: str
    device: str
    own_engines: tuple[str, ...] = ()
    layers_in_fp32: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ResumeJob:
    """A recording to be completed, by its sidecar."""

    sidecar: Path


@dataclass(frozen=True)
class RecordingEnd:
    """How a recording ended: what is in `out` plays, however many frames it has."""

    out: Path
    frames_done: int
    frames_total: int
    seconds: float

    @property
    def words(self) -> str:
        """For people."""
        whole = self.frames_done == self.frames_total
        done = f"{self.frames_done}" if whole else f"{self.frames_done} of {self.frames_total}"
        return f"{self.out.name}: {done} frames, {self.seconds:.2f} s"


class RecordingThread(QThread):
    """One recording; a new thread for each."""

    begun = pyqtSignal()
    """Everything that can be refused was accepted; the first frame is being made."""
    progressed = pyqtSignal(RecordingProgress)
    ended = pyqtSignal(RecordingEnd)
    failed = pyqtSignal(Exception)
    """The exception. What was written until then stays."""

    def __init__(self, job: RecordingJob | ResumeJob, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._job = job
        self._aborted, self._paused = threading.Event(), threading.Event()

    def set_paused(self, on: bool) -> None:
        """Wait after the frame in progress, or go on."""
        if on:
            self._paused.set()
        else:
            self._paused.clear()

    def abort(self) -> None:
        """End after the tile in progress; what is done stays and plays."""
        self._aborted.set()

    def run(self) -> None:
        """Record."""
        try:
            self._record()
        except Exception as error:
            self.failed.emit(error)

    def _record(self) -> None:
        import torch

        lower_thread_priority()
        torch.set_num_threads(usable_processors())
        recorder = _opened(self._job)
        self.begun.emit()
        for step in recorder.frames(self._aborted.is_set, self._paused.is_set):
            self.progressed.emit(step)
        done = recorder.frames_done
        seconds = float(done / recorder.plan.exact_fps)
        self.ended.emit(RecordingEnd(recorder.out, done, recorder.plan.n_frames, seconds))


def _opened(job: RecordingJob | ResumeJob) -> Recorder:
    from r2l_core.quantization.mix import with_mix
    from r2l_core.recording.session import new_recording, resumed_recording

    if isinstance(job, ResumeJob):
        return resumed_recording(job.sidecar)
    return new_recording(
        with_mix(job.light_field, job.layers_in_fp32),
        job.checkpoint,
        job.plan,
        job.out,
        job.ray_mode,
        job.engine,
        job.device,
        job.own_engines,
    )
