"""Measurements of a scripted run: how soon, how smooth, how fresh, how quiet."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import psutil
from PyQt6.QtCore import QObject, Qt, pyqtSignal

from r2l_core.files import write_json
from r2l_core.render.frames import Frame
from viewer.rendering.render_thread import Measured
from viewer.widgets.controls.timers import make_timer

_HEARTBEAT_MS = 5


class Report(QObject):
    """Listens to the running viewer. `begin_*` and `end_*` are called by the tour."""

    first_picture = pyqtSignal()
    """A complete picture was painted for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.has_picture = False
        self._values: dict[str, float | int | None] = dict.fromkeys(
            (
                "first_frame_s",
                "gui_blocked_ms_max",
                "gui_blocked_ms_p99",
                "images_per_s",
                "latency_ms_p50",
                "latency_ms_p95",
                "krays_per_s_used",
                "krays_per_s_bench",
                "full_frame_s",
                "idle_cpu_percent",
            )
        )
        self._errors = 0
        self._stale_frames = 0
        self._newest_seq = -1
        self._last: Frame | None = None
        self._created_s: dict[int, float] = {}
        self._drag_start_s: float | None = None
        self._dragged_rays: list[int] = []
        """Rays of each picture, or of the pictures that were shown together."""
        self._latencies_ms: list[float] = []
        self._heartbeat = make_timer(self, _HEARTBEAT_MS, self._beat)
        self._heartbeat.setTimerType(Qt.TimerType.PreciseTimer)
        self._last_beat_s = 0.0
        self._blocked_ms: list[float] = []
        self._idle_start: tuple[float, float] | None = None

    @property
    def is_measured(self) -> bool:
        """Whether the engine's own speed is known."""
        return self._values["krays_per_s_bench"] is not None

    # What happens

    def frames_shown(self, frames: tuple[Frame, ...]) -> None:
        """The frames of all panes went to the window."""
        frame = frames[0]
        if frame.seq < self._newest_seq:
            self._stale_frames += 1
        # The first picture of a request answers the gesture; later ones only refine it.
        if frame.seq > self._newest_seq:
            self._created_s[frame.seq] = frame.created_s
            self._newest_seq = frame.seq
        self._last = frame
        if self._drag_start_s is not None and frame.created_s >= self._drag_start_s:
            self._dragged_rays.append(sum(one.network_rays for one in frames))

    def painted(self, seq: int) -> None:
        """A frame's pixels were painted for the first time."""
        created_s = self._created_s.pop(seq, None)
        if self._drag_start_s is not None and created_s is not None:
            self._latencies_ms.append((time.perf_counter() - created_s) * 1e3)
        if self._last is not None and self._last.complete and not self.has_picture:
            self.has_picture = True
            started_s = psutil.Process(os.getpid()).create_time()
            self._values["first_frame_s"] = time.time() - started_s
            self.first_picture.emit()

    def measured(self, measured: Measured) -> None:
        """The engine's own speed on a full frame."""
        self._values["krays_per_s_bench"] = measured.rays / measured.seconds / 1e3

    def error(self) -> None:
        """Something failed."""
        self._errors += 1

    def forgive(self) -> None:
        """The last failure was a script's intention."""
        self._errors -= 1

    # What the tour does

    def begin_watching(self) -> None:
        """From now on, notice when the window's thread does not answer."""
        self._blocked_ms.clear()
        self._last_beat_s = time.perf_counter()
        self._heartbeat.start()

    def end_watching(self) -> None:
        """The heartbeat itself would keep an idle processor busy."""
        self._heartbeat.stop()
        late = sorted(self._blocked_ms)
        self._values["gui_blocked_ms_max"] = late[-1] if late else None
        self._values["gui_blocked_ms_p99"] = _percentile(late, 0.99)

    def begin_drag(self) -> None:
        """Count pictures and latencies from here."""
        self._drag_start_s = time.perf_counter()

    def end_drag(self) -> None:
        """The pointer was released."""
        assert self._drag_start_s is not None
        seconds = time.perf_counter() - self._drag_start_s
        self._drag_start_s = None
        self._values["images_per_s"] = sum(rays > 0 for rays in self._dragged_rays) / seconds
        self._values["krays_per_s_used"] = sum(self._dragged_rays) / seconds / 1e3
        latencies = sorted(self._latencies_ms)
        self._values["latency_ms_p50"] = _percentile(latencies, 0.50)
        self._values["latency_ms_p95"] = _percentile(latencies, 0.95)

    def refined(self, seconds: float) -> None:
        """Seconds from release until every pixel was exact and painted."""
        self._values["full_frame_s"] = seconds

    def begin_idle(self) -> None:
        """Nothing should happen from here on."""
        self._idle_start = time.perf_counter(), time.process_time()

    def end_idle(self) -> None:
        """Note how busy doing nothing was, in percent of one core."""
        assert self._idle_start is not None
        wall_s = time.perf_counter() - self._idle_start[0]
        cpu_s = time.process_time() - self._idle_start[1]
        self._values["idle_cpu_percent"] = 100.0 * cpu_s / wall_s

    def write(self, path: Path) -> None:
        """Write the contract's JSON object; null for what this run did not measure."""
        counts = {"stale_frames": self._stale_frames, "errors": self._errors}
        write_json(path, {**self._values, **counts})

    def _beat(self) -> None:
        now = time.perf_counter()
        late_ms = (now - self._last_beat_s) * 1e3 - _HEARTBEAT_MS
        self._blocked_ms.append(max(late_ms, 0.0))
        self._last_beat_s = now


def _percentile(ordered: list[float], share: float) -> float | None:
    """The value that `share` of the ordered values do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
