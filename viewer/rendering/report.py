"""Measurements of a scripted run: how soon, how smooth, how fresh, how quiet."""

from __future__ import annotations

import math
import os
import statistics
import time
from pathlib import Path

import numpy as np
import psutil
from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.files import write_json
from r2l_core.geometry.camera import Camera
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.render.frames import Frame
from viewer.rendering.running import Exact, Measured
from viewer.widgets.controls.timers import REAL_TIME, Clock

_HEARTBEAT_MS = 5
"""So short that Qt makes the timer a precise one."""
_JUDGED = 20
"""Pictures of a drag that are compared with the exact ones."""


class Report(QObject):
    """Listens to the running viewer. `begin_*` and `end_*` are called by the tour."""

    first_picture = pyqtSignal()
    """A complete picture was painted for the first time."""

    def __init__(self, clock: Clock = REAL_TIME) -> None:
        super().__init__()
        self._clock = clock
        self.has_picture = False
        self._values: dict[str, float | int | str | None] = dict.fromkeys(
            (
                "processor",
                "first_preview_s",
                "first_frame_s",
                "gui_blocked_ms_max",
                "gui_blocked_ms_p99",
                "images_per_s",
                "latency_ms_p50",
                "latency_ms_p95",
                "rays_per_image_median",
                "psnr_db_shown_mean",
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
        self._judged = _EvenlySpread()
        self._shown_db: list[float] = []
        self._latencies_ms: list[float] = []
        self._heartbeat = clock.timer(self, _HEARTBEAT_MS, self._beat)
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
            self._judged.add(frame)

    def painted(self, seq: int) -> None:
        """A frame's pixels were painted for the first time."""
        created_s = self._created_s.pop(seq, None)
        if self._drag_start_s is not None and created_s is not None:
            self._latencies_ms.append((self._clock.now_s() - created_s) * 1e3)
        if self._last is None or self._last.why_blank:
            return
        if self._values["first_preview_s"] is None:
            self._values["first_preview_s"] = _seconds_since_start()
        if self._last.complete and not self.has_picture:
            self.has_picture = True
            self._values["first_frame_s"] = _seconds_since_start()
            self.first_picture.emit()

    def measured(self, measured: Measured) -> None:
        """The engine's own speed on a full frame."""
        self._values["krays_per_s_bench"] = measured.rays / measured.seconds / 1e3

    def exact(self, exact: Exact) -> None:
        """The complete picture of the camera that `next_camera` gave last."""
        shown = self._judged.frames()[len(self._shown_db)]
        images = [np.float32(1 / 255) * image for image in (shown.image, exact.image)]
        self._shown_db.append(psnr_db(mse(images[0], images[1])))
        self._values["psnr_db_shown_mean"] = sum(self._shown_db) / len(self._shown_db)

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
        self._last_beat_s = self._clock.now_s()
        self._heartbeat.start()

    def end_watching(self) -> None:
        """The heartbeat itself would keep an idle processor busy."""
        self._heartbeat.stop()
        late = sorted(self._blocked_ms)
        self._values["gui_blocked_ms_max"] = late[-1] if late else None
        self._values["gui_blocked_ms_p99"] = _percentile(late, 0.99)

    def begin_drag(self) -> None:
        """Count pictures and latencies from here."""
        self._drag_start_s = self._clock.now_s()

    def end_drag(self) -> None:
        """The pointer was released."""
        assert self._drag_start_s is not None
        seconds = self._clock.now_s() - self._drag_start_s
        self._drag_start_s = None
        asked = [rays for rays in self._dragged_rays if rays > 0]
        self._values["images_per_s"] = len(asked) / seconds
        self._values["rays_per_image_median"] = statistics.median(asked) if asked else None
        self._values["krays_per_s_used"] = sum(self._dragged_rays) / seconds / 1e3
        latencies = sorted(self._latencies_ms)
        self._values["latency_ms_p50"] = _percentile(latencies, 0.50)
        self._values["latency_ms_p95"] = _percentile(latencies, 0.95)

    @property
    def n_judged(self) -> int:
        """How many of the pictures shown during the drag were compared with the exact ones."""
        return len(self._shown_db)

    def has_judged(self, n: int) -> bool:
        """Whether so many were."""
        return self.n_judged >= n

    def next_camera(self) -> Camera | None:
        """Of which camera the exact picture is wanted next; None where there is none any more."""
        left = self._judged.frames()[self.n_judged :]
        return left[0].camera if left else None

    def refined(self, seconds: float) -> None:
        """Seconds from release until every pixel was exact and painted."""
        self._values["full_frame_s"] = seconds

    def begin_idle(self) -> None:
        """Nothing should happen from here on."""
        self._idle_start = self._clock.now_s(), time.process_time()

    def end_idle(self) -> None:
        """Note how busy doing nothing was, in percent of one core."""
        assert self._idle_start is not None
        wall_s = self._clock.now_s() - self._idle_start[0]
        cpu_s = time.process_time() - self._idle_start[1]
        self._values["idle_cpu_percent"] = 100.0 * cpu_s / wall_s

    def write(self, path: Path) -> None:
        """Write the contract's JSON object; null for what this run did not measure."""
        # It imports torch, which was there before the first picture.
        from r2l_core.engines.processor import this_processor

        self._values["processor"] = this_processor().name
        counts = {"stale_frames": self._stale_frames, "errors": self._errors}
        write_json(path, {**self._values, **counts})

    def _beat(self) -> None:
        now = self._clock.now_s()
        late_ms = (now - self._last_beat_s) * 1e3 - _HEARTBEAT_MS
        self._blocked_ms.append(max(late_ms, 0.0))
        self._last_beat_s = now


class _EvenlySpread:
    """Some of the pictures of a drag, evenly over its course, however long it gets."""

    def __init__(self) -> None:
        self._every = 1
        self._n = 0
        self._kept: list[Frame] = []

    def add(self, frame: Frame) -> None:
        """The next picture that was shown."""
        if self._n % self._every == 0:
            self._kept.append(frame)
        self._n += 1
        # Pictures are half a megabyte each.
        if len(self._kept) == 2 * _JUDGED:
            self._kept = self._kept[::2]
            self._every *= 2

    def frames(self) -> list[Frame]:
        """`_JUDGED` of them, or all where there are fewer."""
        n = len(self._kept)
        chosen = range(n) if n <= _JUDGED else (n * k // _JUDGED for k in range(_JUDGED))
        return [self._kept[k] for k in chosen]


def _seconds_since_start() -> float:
    """Of this process."""
    started_s: float = psutil.Process(os.getpid()).create_time()
    return time.time() - started_s


def _percentile(ordered: list[float], share: float) -> float | None:
    """The value that `share` of the ordered values do not exceed."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
