"""Films what is seen, as it is seen: wires the picture to a thread that writes."""

from __future__ import annotations

import contextlib
import queue
import time
from collections import deque
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, QPointF, QThread, pyqtSignal

from r2l_core.recording.live import LiveRecording, Seen
from r2l_core.render.frames import Frame
from viewer.recording.recording_thread import RecordingEnd
from viewer.runtime import lower_thread_priority
from viewer.widgets.controls.file_dialogs import ask_film
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.panels import timeline_readout
from viewer.window.main_window import MainWindow

_QUEUED = 32
"""Where writing falls behind, what is seen only shortly is left out, and nothing waits."""


class LiveThread(QThread):
    """One film; a new thread for each."""

    ended = pyqtSignal(RecordingEnd)
    failed = pyqtSignal(Exception)

    def __init__(
        self, out: Path, size: tuple[int, int], fps: float, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._out, self._size, self._fps = out, size, fps
        self._queue: queue.Queue[Seen | float] = queue.Queue(_QUEUED)

    def show(self, seen: Seen) -> None:
        """Write what came onto the screen; never waits."""
        if self._queue.qsize() < _QUEUED - 1:
            self._queue.put(seen)

    def finish(self, now_s: float) -> None:
        """End the film."""
        # One place was kept for the first of these; another says nothing new.
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(now_s)

    def run(self) -> None:
        """Write until `finish`."""
        try:
            lower_thread_priority()
            film = LiveRecording(self._out, self._size, self._fps)
            while isinstance(item := self._queue.get(), Seen):
                film.show(item)
            film.finish(item)
        except Exception as error:
            self.failed.emit(error)
            return
        done = film.frames_done
        self.ended.emit(RecordingEnd(self._out, done, done, float(done / film.fps)))


FPS = 30.0
_TRAIL_S = 0.6
"""How much of the pointer's path is drawn."""
_NOTE = "REC {} – Ctrl+Shift+R stops"


class LiveCapture(QObject):
    """Pictures come from the pane as they are painted; what else changes, the wipe or the pointer,
    is looked at as often as the film has frames."""

    failed = pyqtSignal(Exception)
    finished = pyqtSignal(RecordingEnd)

    def __init__(self, window: MainWindow, parent: QObject, clock: Clock = REAL_TIME) -> None:
        super().__init__(parent)
        self._window = window
        self._clock = clock
        self._action = window.commands.record.live
        self._thread: LiveThread | None = None
        self._began_s = 0.0
        self._last_look: object = None
        self._held: tuple[Frame, ...] = ()
        self._trail: deque[tuple[float, tuple[float, float]]] = deque()
        self._timer = clock.timer(self, round(1e3 / FPS), self._look)
        self._action.triggered.connect(self._switch)
        window.pane.picture_painted.connect(lambda _seq, _ms: self._look())
        window.pane.pointed.connect(self._point)

    @property
    def running(self) -> bool:
        """Whether a film is being written."""
        return self._thread is not None

    def start(self, file: str) -> None:
        """Film from now on."""
        pixels = self._window.pane.compared.seen_pixels()
        if self.running or pixels is None:
            self._action.setChecked(self.running)
            return
        height_px, width_px, _ = pixels.shape
        thread = self._thread = LiveThread(Path(file), (width_px, height_px), FPS, self)
        thread.ended.connect(self._ended)
        thread.failed.connect(self._failed)
        thread.finished.connect(self._stopped)
        # A child lives as long as its parent: of every film something would stay behind.
        thread.finished.connect(thread.deleteLater)
        self._began_s, self._last_look = self._clock.now_s(), None
        self._trail.clear()
        self._action.setChecked(True)
        self._show_clock()
        thread.start()
        self._timer.start()
        self._look()

    def stop(self) -> None:
        """Film no more; what there is stays."""
        self._timer.stop()
        if self._thread is not None:
            self._thread.finish(self._now_s())

    def close(self) -> None:
        """End a film in good order before the process does."""
        thread = self._thread
        self.stop()
        if thread is not None:
            thread.wait()

    def _switch(self, on: bool) -> None:
        if not on:
            self.stop()
            return
        # Not before there is a file.
        self._action.setChecked(False)
        name = time.strftime("r2l-live-%Y%m%d-%H%M%S.mp4")
        self._window.asking.place(ask_film, name, self.start)

    def _now_s(self) -> float:
        return self._clock.now_s() - self._began_s

    def _point(self, at: QPointF | None) -> None:
        if self._timer.isActive() and at is not None:
            point = self._window.pane.seen_point(at)
            if point is not None:
                self._trail.append((self._now_s(), point))

    def _look(self) -> None:
        """Hand over what is seen now, if it is something else than before."""
        pane, thread = self._window.pane, self._thread
        if thread is None or not self._timer.isActive():
            return
        now_s = self._now_s()
        self._show_clock()
        while self._trail and self._trail[0][0] < now_s - _TRAIL_S:
            self._trail.popleft()
        drawn = self._window.commands.record.live_pointer.isChecked()
        pointer = tuple(point for _, point in self._trail) if drawn else ()
        look = (pane.compared.seen_key(), pointer)
        pixels = pane.compared.seen_pixels() if look != self._last_look else None
        if pixels is not None:
            # Held, so that no other picture can take its place in memory and pass for it.
            self._last_look, self._held = look, pane.frames
            thread.show(Seen(now_s, pixels, pointer, self._facts()))

    def _show_clock(self) -> None:
        self._window.pane.overlays.show_filming(_NOTE.format(timeline_readout.clock(self._now_s())))

    def _facts(self) -> dict[str, Any]:
        frames = self._window.pane.frames
        camera = frames[0].camera
        pose = camera.T_world_camera
        return {
            "stride": frames[0].stride,
            "precisions": " ".join(str(frame.engine.precision) for frame in frames),
            "engines": " ".join(frame.engine.engine for frame in frames),
            "fov_y_deg": camera.fov_y_deg,
            **{f"T_world_camera_{i}{j}": float(pose[i, j]) for i in range(3) for j in range(4)},
        }

    def _ended(self, end: RecordingEnd) -> None:
        self._window.show_note(end.words, str(end.out))
        self.finished.emit(end)

    def _failed(self, error: Exception) -> None:
        self.failed.emit(error)

    def _stopped(self) -> None:
        self._timer.stop()
        self._held = ()
        self._thread = None
        self._window.pane.overlays.show_filming(None)
        self._action.setChecked(False)
