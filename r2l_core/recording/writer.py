"""The one thread of a recording that encodes and writes, while the next frame is rendered."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any, Literal, Protocol

from r2l_core.errors import R2LError, RecordingError
from r2l_core.recording.compose import Picture
from r2l_core.recording.files import Sink

_QUEUED_FRAMES = 2
"""Enough to even out a slow frame; more would only fill memory."""

_POLL_S = 0.1


class Rows(Protocol):
    """Takes one row a frame."""

    def append(self, row: dict[str, Any]) -> None:
        """Write one row."""

    def close(self) -> None:
        """Nothing follows."""


class Description(Protocol):
    """Lies beside the film and says how far it got."""

    def write(
        self, state: Literal["recording"], frames_done: int, rest_starts_at: int | None
    ) -> None:
        """Replace the file."""


class Writer:
    """Frames go in at one end, in order; files grow at the other.

    A frame's row is written before the frame, and the sidecar is brought up to date after it, so
    that a recording cut off anywhere has a row for each frame, and no frame counted that is not
    in the file.
    """

    def __init__(self, sink: Sink, table: Rows, sidecar: Description, first_frame: int) -> None:
        """first_frame: how many frames there were before those of `sink`."""
        self._sink = sink
        self._table = table
        self._sidecar = sidecar
        self._first_frame = first_frame
        self._queue: queue.Queue[tuple[dict[str, Any], Picture] | None] = queue.Queue(
            _QUEUED_FRAMES
        )
        self._error: BaseException | None = None
        self._frames = 0
        self._taken = 0
        self.waited_s = 0.0
        """Time that rendering stood still because the queue was full."""
        self._thread = threading.Thread(target=self._run, name="recording writer", daemon=True)
        self._thread.start()

    def put(self, row: dict[str, Any], picture: Picture) -> None:
        """Hand over a frame; waits while the queue is full. Raises the thread's RecordingError."""
        start = time.perf_counter()
        while True:
            self._raise()
            try:
                self._queue.put((row, picture), timeout=_POLL_S)
                break
            except queue.Full:
                continue
        self.waited_s += time.perf_counter() - start

    def close(self) -> int:
        """Wait until all is written, and return how many frames of the sink are on disk.

        Raises the thread's RecordingError.
        """
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=_POLL_S)
                break
            except queue.Full:
                continue
        self._thread.join()
        self._raise()
        return self._frames

    @property
    def frames(self) -> int:
        """Frames of the sink that are known to be on disk."""
        return self._frames

    def _raise(self) -> None:
        if self._error is None:
            return
        if isinstance(self._error, R2LError):
            raise self._error
        raise RecordingError(
            "The recording could not be written", str(self._error), "Try again."
        ) from self._error

    def _run(self) -> None:
        try:
            try:
                while (item := self._next()) is not None:
                    row, picture = item
                    self._table.append(row)
                    self._sink.write(picture)
                    self._taken += 1
                    self._report()
            finally:
                try:
                    # Also after a failure: what the encoder has may still become whole.
                    self._frames = self._sink.close()
                finally:
                    self._table.close()
        except BaseException as error:  # told to whoever hands over the next frame
            self._error = error

    def _next(self) -> tuple[dict[str, Any], Picture] | None:
        """What comes next. While nothing does, the encoder may still be finishing a frame."""
        while True:
            try:
                return self._queue.get(timeout=_POLL_S if self._frames < self._taken else None)
            except queue.Empty:
                self._report()

    def _report(self) -> None:
        frames = self._sink.frames()
        if frames != self._frames:
            self._frames = frames
            starts_at = self._first_frame or None
            self._sidecar.write("recording", self._first_frame + frames, starts_at)
