"""Python's cyclic garbage collector, on the window's thread alone.

Left to itself it runs on whichever thread makes the next object. If that is the render thread, and
the garbage holds Qt objects, these are destroyed on the wrong thread, and the process may crash.
"""

from __future__ import annotations

import gc

from PyQt6.QtCore import QObject, QTimer

_EVERY_MS = 500


class GuiCollector(QObject):
    """Collects in place of the automatic collector for as long as it lives."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def settle(self) -> None:
        """Leave everything that lives now out of later collections, so that they stay short:
        libraries bring some hundred thousand objects that never go."""
        gc.freeze()

    def collect(self) -> None:
        """What the automatic collector would do by now."""
        for generation in (2, 1, 0):
            if gc.get_count()[generation] > gc.get_threshold()[generation]:
                gc.collect(generation)
                return

    def stop(self) -> None:
        """Give the work back to the automatic collector."""
        self._timer.stop()
        gc.enable()
