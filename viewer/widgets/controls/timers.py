"""Timers, the clock that controllers go by, and what is shown no more often than it can be read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from PyQt6.QtCore import QObject, QTimer


def make_timer(
    parent: QObject, interval_ms: int, called: Callable[[], object], once: bool = False
) -> QTimer:
    """A timer that is not started yet and calls `called` every `interval_ms`, or `once`."""
    timer = QTimer(parent)
    timer.setInterval(interval_ms)
    timer.setSingleShot(once)
    timer.timeout.connect(called)
    return timer


class Timer(Protocol):
    """What of a QTimer a controller uses."""

    def start(self) -> None:
        """Begin to call."""

    def stop(self) -> None:
        """Call no more."""

    def isActive(self) -> bool:
        """Whether it was started."""


class Clock:
    """Real time. A controller is given another one where something else decides how it passes."""

    def now_s(self) -> float:
        """Seconds since some fixed moment; they never go back."""
        return time.perf_counter()

    def timer(
        self, parent: QObject, interval_ms: int, called: Callable[[], object], once: bool = False
    ) -> Timer:
        """See `make_timer`."""
        return make_timer(parent, interval_ms, called, once)


REAL_TIME = Clock()


class Throttle(QObject):
    """Calls `show` when it is asked to: at once after a pause, otherwise every `interval_ms`.

    The last time it is asked is never forgotten, and while nobody asks nothing runs.
    """

    def __init__(
        self,
        show: Callable[[], object],
        interval_ms: int,
        parent: QObject,
        clock: Clock = REAL_TIME,
    ) -> None:
        super().__init__(parent)
        self._show = show
        self._asked = False
        self._pause = clock.timer(self, interval_ms, self._go_on, once=True)

    def ask(self) -> None:
        """Show what there is now, or soon."""
        if self._pause.isActive():
            self._asked = True
        else:
            self._show()
            self._pause.start()

    def at_once(self) -> None:
        """Show what there is now, and nothing that was asked for before."""
        self._asked = False
        self._pause.stop()
        self._show()

    def _go_on(self) -> None:
        if self._asked:
            self._asked = False
            self.ask()
