"""What shown frames cost: a few times a second for the panels, and each of them for a table."""

from __future__ import annotations

import csv
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.errors import RecordingError
from r2l_core.files import replacing
from r2l_core.render.frames import Frame, FrameTimings
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.panels.performance_readout import ImageCost, PerformanceReadout

LOG_LIMIT = 100_000
"""Frames remembered for the table; the oldest are forgotten first."""
HISTORY = 120
"""Images in the plots."""

_RATE_WINDOW_S = 1.0
_LATENCY_WINDOW_S = 2.0
_COLUMNS = (
    "time_s",
    "seq",
    "stride",
    "network_rays",
    "rays_ms",
    "encode_ms",
    "network_ms",
    "copy_ms",
    "paint_ms",
    "latency_ms",
    "precision",
    "engine",
)


@dataclass(slots=True)
class Sample:
    """One frame that was shown, without its pixels. None: it was replaced before it was painted.

    time_s: when it was handed to the window, in seconds since the start. latency_ms: from the
    gesture to its pixels on the screen, for the first picture painted of each request.
    """

    time_s: float
    seq: int
    stride: int
    network_rays: int
    timings: FrameTimings
    elapsed_ms: float
    width_px: int
    height_px: int
    precision: str
    engine: str
    paint_ms: float | None = None
    latency_ms: float | None = None

    @property
    def cost(self) -> ImageCost:
        """Its parts, for the plot."""
        parts = self.timings
        return ImageCost(
            parts.rays_ms,
            parts.encode_ms,
            parts.network_ms,
            parts.copy_ms,
            self.paint_ms or 0.0,
            self.stride,
        )


class Performance:
    """Rolling measurements of shown frames. Times are seconds of any one steady clock."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._log: deque[Sample] = deque(maxlen=LOG_LIMIT)
        self._latencies_ms: deque[tuple[float, float]] = deque()
        self._newest_seq = -1
        self._shown = 1, 0, 0
        """Stride, width and height in pixels of the newest picture, measured or not."""
        self._told = self._shown
        self._unanswered: tuple[int, float] | None = None

    def add(self, frame: Frame, now_s: float) -> None:
        """A frame goes to the window."""
        is_first = frame.seq > self._newest_seq
        self._newest_seq = max(self._newest_seq, frame.seq)
        self._shown = frame.stride, frame.camera.width_px, frame.camera.height_px
        if frame.network_rays == 0:
            return  # a pass ended, or a picture is shown again: nothing that could be measured
        # The first picture of a request answers the gesture; later ones only refine it.
        if is_first:
            self._unanswered = frame.seq, frame.created_s
        self._log.append(
            Sample(
                time_s=now_s - self._start_s,
                seq=frame.seq,
                stride=frame.stride,
                network_rays=frame.network_rays,
                timings=frame.timings,
                elapsed_ms=frame.elapsed_ms,
                width_px=frame.camera.width_px,
                height_px=frame.camera.height_px,
                precision=str(frame.engine.precision),
                engine=frame.engine.engine,
            )
        )

    def painted(self, seq: int, paint_ms: float, now_s: float) -> None:
        """The newest frame of request `seq` is on the screen, and painting it took so long."""
        if not self._log or self._log[-1].seq != seq:
            return
        sample = self._log[-1]
        if sample.paint_ms is None:
            sample.paint_ms = paint_ms
        if self._unanswered is not None and self._unanswered[0] == seq:
            sample.latency_ms = (now_s - self._unanswered[1]) * 1e3
            self._latencies_ms.append((now_s, sample.latency_ms))
            self._unanswered = None

    @property
    def unread(self) -> bool:
        """Whether the newest picture is another than the last reading told of."""
        return bool(self._log) and self._shown != self._told

    def idle(self, now_s: float) -> bool:
        """Whether nothing was measured in the last second."""
        return not self._recent(now_s)

    def readout(self, now_s: float) -> PerformanceReadout:
        """What the panels show now; something must have been measured."""
        recent = self._recent(now_s)
        network_s = sum(sample.timings.total_ms for sample in recent) / 1e3
        rays = sum(sample.network_rays for sample in recent)
        last = self._log[-1]
        stride, width_px, height_px = self._told = self._shown
        newest = list(islice(reversed(self._log), HISTORY))[::-1]
        # The last one stays, so that the numbers of a camera at rest can be read.
        while len(self._latencies_ms) > 1 and now_s - self._latencies_ms[0][0] > _LATENCY_WINDOW_S:
            self._latencies_ms.popleft()
        latencies = sorted(latency for _, latency in self._latencies_ms)
        return PerformanceReadout(
            images_per_s=len(recent) / _RATE_WINDOW_S,
            frame_ms=last.elapsed_ms,
            krays_per_s=rays / network_s / 1e3 if network_s > 0 else 0.0,
            latency_p50_ms=_percentile(latencies, 0.50),
            latency_p95_ms=_percentile(latencies, 0.95),
            stride=stride,
            moving=len({sample.seq for sample in recent}) > 1,
            width_px=width_px,
            height_px=height_px,
            memory_mb=_resident_mb(),
            mean=_mean(recent or [last]),
            history=tuple(sample.cost for sample in newest),
        )

    def samples(self) -> Sequence[Sample]:
        """Every measured frame since the start, as far as they are remembered."""
        return tuple(self._log)

    def _recent(self, now_s: float) -> list[Sample]:
        found: list[Sample] = []
        for sample in reversed(self._log):
            if now_s - self._start_s - sample.time_s > _RATE_WINDOW_S:
                break
            found.append(sample)
        return found


def write_table(samples: Iterable[Sample], path: Path) -> None:
    """Write a CSV file with a header, one line a frame, in the order they were shown.

    An empty cell is a frame that was never painted. Raises RecordingError.
    """
    what = f"The table {path} could not be written"
    with (
        replacing(path, RecordingError, what, make_folder=False) as new,
        new.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        writer.writerows(map(_row, samples))


def _row(sample: Sample) -> tuple[object, ...]:
    parts = sample.timings
    return (
        f"{sample.time_s:.6f}",
        sample.seq,
        sample.stride,
        sample.network_rays,
        *(f"{ms:.3f}" for ms in (parts.rays_ms, parts.encode_ms, parts.network_ms, parts.copy_ms)),
        *("" if ms is None else f"{ms:.3f}" for ms in (sample.paint_ms, sample.latency_ms)),
        sample.precision,
        sample.engine,
    )


def _mean(samples: Sequence[Sample]) -> ImageCost:
    n = len(samples)
    costs = [one.cost for one in samples]
    # Those that were never painted have no painting time to average.
    painted = [one.paint_ms for one in samples if one.paint_ms is not None]
    return ImageCost(
        rays_ms=sum(cost.rays_ms for cost in costs) / n,
        encode_ms=sum(cost.encode_ms for cost in costs) / n,
        network_ms=sum(cost.network_ms for cost in costs) / n,
        copy_ms=sum(cost.copy_ms for cost in costs) / n,
        paint_ms=sum(painted) / len(painted) if painted else 0.0,
    )


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the ordered values do not exceed; 0 where there are none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _resident_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6


_READOUT_MS = 200


class PerformanceMonitor(QObject):
    """Its timer runs only while there is something new to read."""

    readout_ready = pyqtSignal(PerformanceReadout)

    def __init__(self, parent: QObject | None = None, clock: Clock = REAL_TIME) -> None:
        super().__init__(parent)
        self._clock = clock
        self._performance = Performance(clock.now_s())
        self._timer = clock.timer(self, _READOUT_MS, self._read_out)

    def frames_shown(self, frames: tuple[Frame, ...]) -> None:
        """Frames of one request went to the window."""
        # A truth beside networks costs nothing that is measured here.
        measured = next((one for one in frames if one.network_rays), frames[0])
        self._performance.add(measured, self._clock.now_s())
        # A picture that was only shown again costs nothing, and is no less what is rendered.
        if (measured.network_rays or self._performance.unread) and not self._timer.isActive():
            self._timer.start()

    def painted(self, seq: int, paint_ms: float) -> None:
        """A frame's pixels reached the screen, and painting them took so long."""
        self._performance.painted(seq, paint_ms, self._clock.now_s())

    def samples(self) -> Sequence[Sample]:
        """Every measured frame since the start, as far as they are remembered."""
        return self._performance.samples()

    def close(self) -> None:
        """Measure no more: nobody looks."""
        self._timer.stop()

    def _read_out(self) -> None:
        now = self._clock.now_s()
        self.readout_ready.emit(self._performance.readout(now))
        if self._performance.idle(now):
            self._timer.stop()
