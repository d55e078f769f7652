"""Undo and redo of camera moves, one entry per gesture. Plain Python: no Qt, no clock of its own.

call                 meaning
before(gesture)      a step of a gesture is about to happen, from the view given
hold / release       a gesture with a beginning and an end, such as a drag, however long it rests
close                the next step begins a new entry, whatever it is
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from viewer.state.viewpoint import Viewpoint

BURST_S = 0.6
"""Steps of one gesture (wheel notches, repeated keys) at most this far apart are one entry."""
LIMIT = 200
"""Entries kept; the oldest are forgotten first."""


class CameraHistory:
    """Times are seconds of any one steady clock."""

    def __init__(self) -> None:
        self._past: deque[Viewpoint] = deque(maxlen=LIMIT)
        self._future: list[Viewpoint] = []
        self._gesture: str | None = None
        self._last_s = 0.0
        self._held: set[str] = set()

    @property
    def can_undo(self) -> bool:
        """Whether there is a view to go back to."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether an undone move can be made again."""
        return bool(self._future)

    def before(self, gesture: str, view: Viewpoint, now_s: float) -> None:
        """Note where a step of `gesture` starts from; later steps of it add nothing."""
        if self._held:
            return
        goes_on = gesture == self._gesture and now_s - self._last_s <= BURST_S
        self._gesture, self._last_s = gesture, now_s
        if not goes_on:
            self._past.append(view)
            self._future.clear()

    def hold(self, gesture: str, view: Viewpoint, now_s: float) -> None:
        """`gesture` begins and lasts until `release`; whatever happens meanwhile is part of it."""
        self.before(gesture, view, now_s)
        self._held.add(gesture)

    def release(self, gesture: str, now_s: float) -> None:
        """`gesture` is over. The same one again soon is a burst, unless `close` is called first."""
        if gesture in self._held:
            self._held.remove(gesture)
            self._last_s = now_s

    def close(self) -> None:
        """Let the next step begin a new entry."""
        self._gesture = None

    def undo(self, view: Viewpoint) -> Viewpoint | None:
        """The view before the last gesture, `view` being the one now; None where there is none."""
        self._interrupt()
        return _swap(self._past, self._future, view)

    def redo(self, view: Viewpoint) -> Viewpoint | None:
        """The view that the last undo left, `view` being the one now; None where there is none."""
        self._interrupt()
        return _swap(self._future, self._past, view)

    def clear(self) -> None:
        """Forget everything: another light field has other views."""
        self._interrupt()
        self._past.clear()
        self._future.clear()

    def _interrupt(self) -> None:
        # What a held gesture does from here on is a move of its own.
        self._held.clear()
        self.close()


class CameraMoves:
    """A history that goes by a clock and says when there is something to undo or to make again."""

    def __init__(self, now_s: Callable[[], float], tell: Callable[[bool, bool], object]) -> None:
        """`tell`: is given whether a move can be undone, and whether one can be made again."""
        self._history = CameraHistory()
        self._now_s = now_s
        self._tell = tell
        self._told = (False, False)

    def before(self, gesture: str, view: Viewpoint) -> None:
        """See CameraHistory.before."""
        self._history.before(gesture, view, self._now_s())
        self._say()

    def hold(self, gesture: str, view: Viewpoint) -> None:
        """See CameraHistory.hold."""
        self._history.hold(gesture, view, self._now_s())
        self._say()

    def release(self, gesture: str) -> None:
        """See CameraHistory.release."""
        self._history.release(gesture, self._now_s())

    def close(self) -> None:
        """See CameraHistory.close."""
        self._history.close()

    def undo(self, view: Viewpoint) -> Viewpoint | None:
        """See CameraHistory.undo."""
        found = self._history.undo(view)
        self._say()
        return found

    def redo(self, view: Viewpoint) -> Viewpoint | None:
        """See CameraHistory.redo."""
        found = self._history.redo(view)
        self._say()
        return found

    def clear(self) -> None:
        """See CameraHistory.clear."""
        self._history.clear()
        self._say()

    def _say(self) -> None:
        told = self._history.can_undo, self._history.can_redo
        if told != self._told:
            self._told = told
            self._tell(*told)


def _swap(
    source: deque[Viewpoint] | list[Viewpoint],
    target: deque[Viewpoint] | list[Viewpoint],
    view: Viewpoint,
) -> Viewpoint | None:
    while source:
        found = source.pop()
        # A gesture that moved nothing, such as a wheel at its limit, is no step.
        if found != view:
            target.append(view)
            return found
    return None
