"""A clock whose time passes when a test says so."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject

from viewer.widgets.controls.timers import Clock


class ManualTimer:
    """Calls when it is told that its interval is over, if it was started."""

    def __init__(self, interval_ms: int, called: Callable[[], object], once: bool) -> None:
        self.interval_ms = interval_ms
        self._called, self._once, self._active = called, once, False

    def start(self) -> None:
        self._active = True

    def stop(self) -> None:
        self._active = False

    def isActive(self) -> bool:
        return self._active

    def fire(self) -> None:
        """What happens when the interval is over."""
        if self._active:
            self._active = not self._once
            self._called()


class ManualClock(Clock):
    """Keeps the timers it has made, so that a test can fire them."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now = now_s
        self.timers: list[ManualTimer] = []

    def now_s(self) -> float:
        return self.now

    def timer(
        self, parent: QObject, interval_ms: int, called: Callable[[], object], once: bool = False
    ) -> ManualTimer:
        self.timers.append(ManualTimer(interval_ms, called, once))
        return self.timers[-1]

    def fire(self) -> None:
        """Every timer that runs comes to its end once."""
        for timer in self.timers:
            timer.fire()
