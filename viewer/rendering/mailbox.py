"""What the window wants from the render thread: one slot a kind, the latest wins."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from r2l_core.geometry.camera import Camera
from r2l_core.render.frames import RenderRequest
from viewer.state.resolve import Wish


@dataclass(frozen=True)
class Work:
    """Everything pending at one moment; None where there is nothing of a kind."""

    wish: Wish | None = None
    request: RenderRequest | None = None
    measure: Camera | None = None
    exact: Camera | None = None


class Mailbox:
    """Written by the window, emptied by the render thread. Never blocks the writer."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._work = Work()
        self._stopped = False

    def want(self, wish: Wish) -> None:
        """Replace the pending wish."""
        with self._condition:
            self._work = replace(self._work, wish=wish)
            self._condition.notify()

    def submit(self, request: RenderRequest) -> None:
        """Replace the pending request."""
        with self._condition:
            self._work = replace(self._work, request=request)
            self._condition.notify()

    def measure(self, camera: Camera) -> None:
        """Ask for one timed full frame."""
        with self._condition:
            self._work = replace(self._work, measure=camera)
            self._condition.notify()

    def exact(self, camera: Camera) -> None:
        """Ask for the complete picture of a camera that the window need not show."""
        with self._condition:
            self._work = replace(self._work, exact=camera)
            self._condition.notify()

    def stop(self) -> None:
        """End `take` for good."""
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def pending(self) -> bool:
        """Whether something waits: the running render should end soon."""
        return self._stopped or self._work != Work()

    def urgent(self) -> bool:
        """Whether even a first picture should be left: it would be of what is about to go."""
        return self._stopped or self._work.wish is not None

    def superseded(self, wish: Wish) -> bool:
        """Whether fulfilling `wish` is of no use any more: another light field is wanted by now.
        One of the same needs what is being built for it, or goes on soon enough."""
        pending = self._work.wish
        return self._stopped or (pending is not None and pending.light_field != wish.light_field)

    def take(self) -> Work | None:
        """Wait for work and empty the slots; None once stopped."""
        with self._condition:
            self._condition.wait_for(self.pending)
            if self._stopped:
                return None
            work, self._work = self._work, Work()
            return work
