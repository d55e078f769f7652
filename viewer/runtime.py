"""Settings of the whole process: how long idle threads spin, which threads come first, and where
garbage is collected. Imports Qt only where that is running."""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PyQt6.QtCore import QObject

_SPINS = "50000"
"""About 0.5 ms: longer than the step from one layer to the next, even where another thread has
Python's lock, and shorter than what anybody else would miss. GNU's default is 3 ms after every
operation: the next engine of a comparison ran at half its speed, and three panes had 27 to 32
pictures a second instead of 32 to 34."""
_NICENESS = 10
"""Added to a thread's niceness, so that the window gets a busy processor first."""
_COLLECT_EVERY_MS = 500


def limit_idle_spinning() -> None:
    """Has OpenMP's idle threads, torch's workers, sleep soon, unless the user has said how long
    they wait. Only before torch is loaded: the library reads this once."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)


def lower_thread_priority() -> None:
    """Lets the window go first from now on, whatever the calling thread computes."""
    # On Linux niceness belongs to a thread, and torch's own workers inherit it from this one.
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # The system cuts off what exceeds its range.
        niceness = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, niceness)


class GuiCollector:
    """Python's cyclic garbage collector, on the window's thread alone, until it is stopped.

    It rests until the window has settled: what libraries bring while they are loaded is no garbage,
    and to look through it would keep the window waiting.

    Left to itself it runs on whichever thread makes the next object. If that is the render thread,
    and the garbage holds Qt objects, these are destroyed on the wrong thread, and the process may
    crash.
    """

    def __init__(self, parent: QObject) -> None:
        from PyQt6.QtCore import QTimer

        gc.disable()
        self._timer = QTimer(parent)
        self._timer.setInterval(_COLLECT_EVERY_MS)
        self._timer.timeout.connect(self.collect)

    def settle(self) -> None:
        """Collects from now on, and leaves everything that lives now out of it, so that it stays
        short: libraries bring some hundred thousand objects that never go. Only the first time."""
        if not self._timer.isActive():
            gc.freeze()
            self._timer.start()

    def collect(self) -> None:
        """Does what the automatic collector would do by now."""
        for generation in (2, 1, 0):
            if gc.get_count()[generation] > gc.get_threshold()[generation]:
                gc.collect(generation)
                return

    def stop(self) -> None:
        """Gives the work back to the automatic collector."""
        self._timer.stop()
        gc.enable()
