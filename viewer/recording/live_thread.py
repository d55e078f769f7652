"""Writes a live film on a thread of its own."""

from __future__ import annotations

import contextlib
import queue
from pathlib import Path

from PyQt6.QtCore import QObject, QThread, pyqtSignal

from r2l_core.recording.live import LiveRecording, Seen
from viewer.recording.recording_thread import RecordingEnd
from viewer.runtime.thread_priority import be_polite

_QUEUED = 32
"""Where writing falls behind, what is seen only shortly is left out, and nothing waits."""


class LiveThread(QThread):
    """One film; a new thread for each."""

    ended = pyqtSignal(object)
    """RecordingEnd."""
    failed = pyqtSignal(object)

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
            be_polite()
            film = LiveRecording(self._out, self._size, self._fps)
            while isinstance(item := self._queue.get(), Seen):
                film.show(item)
            film.finish(item)
        except Exception as error:
            self.failed.emit(error)
            return
        done = film.frames_done
        self.ended.emit(RecordingEnd(self._out, done, done, float(done / film.fps)))
