"""Something that is shown no more often than anyone can read it."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject, QTimer


class Paced(QObject):
    """Calls `show` when it is asked to: at once after a pause, otherwise every `interval_ms`.

    The last time it is asked is never forgotten, and while nobody asks nothing runs.
    """

    def __init__(self, show: Callable[[], object], interval_ms: int, parent: QObject) -> None:
        super().__init__(parent)
        self._show = show
        self._asked = False
        self._pause = QTimer(self, interval=interval_ms, singleShot=True)
        self._pause.timeout.connect(self._go_on)

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
