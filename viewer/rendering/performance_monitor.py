"""Measures what is shown, and tells the panels a few times a second."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.render.frames import Frame
from viewer.rendering.performance import Performance, Sample
from viewer.widgets.controls.timers import REAL_TIME, Clock
from viewer.widgets.panels.performance_readout import PerformanceReadout

_READOUT_MS = 200


class PerformanceMonitor(QObject):
    """Its timer runs only while the network renders."""

    readout_ready = pyqtSignal(PerformanceReadout)

    def __init__(self, parent: QObject | None = None, clock: Clock = REAL_TIME) -> None:
        super().__init__(parent)
        self._clock = clock
        self._performance = Performance(clock.now_s())
        self._timer = clock.timer(self, _READOUT_MS, self._read_out)

    def frames_shown(self, frames: tuple[Frame, ...]) -> None:
        """Frames of one request went to the window."""
        self._performance.add(frames[0], self._clock.now_s())
        if frames[0].network_rays and not self._timer.isActive():
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
