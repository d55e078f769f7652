"""What the window wants from the render thread: one slot a kind, the latest wins."""

from __future__ import annotations

import threading
import time
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

    def followed_by(self, later: Work) -> Work:
        """Both, as if the mailbox had not been emptied in between."""
        return Work(
            later.wish or self.wish,
            later.request or self.request,
            later.measure or self.measure,
            later.exact or self.exact,
        )


class Mailbox:
    """Written by the window, emptied by the render thread. Never blocks the writer."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._work = Work()
        self._stopped = False
        self._nudged = False
        self._idle_since_s: float | None = None

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

    def nudge(self) -> None:
        """Have `take` return soon, even with nothing: something else has happened."""
        with self._condition:
            self._nudged = True
            self._condition.notify()

    def stop(self) -> None:
        """End `take` for good."""
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def pending(self) -> bool:
        """Whether something waits: the running render should end soon."""
        return self._stopped or self._nudged or self._work != Work()

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
            self._idle_since_s = time.perf_counter()
            self._condition.wait_for(self.pending)
            self._idle_since_s = None
            if self._stopped:
                return None
            self._nudged = False
            work, self._work = self._work, Work()
            return work

    @property
    def idle_since_s(self) -> float | None:
        """Since when, by `time.perf_counter`, there is nothing to do; None while there is."""
        return self._idle_since_s
