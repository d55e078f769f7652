"""Moves the camera by itself: easing to a goal, gliding on after a drag, flying while a key is
held."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QObject

from r2l_core.geometry.orbit import Orbit
from viewer.camera.motion import Flight, Glide, eased
from viewer.state.viewpoint import Viewpoint
from viewer.widgets.controls.timers import Clock

_TICK_MS = 16


class Mover:
    """Its timer runs only while something moves."""

    def __init__(
        self,
        parent: QObject,
        clock: Clock,
        view: Callable[[], Viewpoint],
        place: Callable[[Viewpoint], object],
    ) -> None:
        """`view`: where the camera is. `place`: puts it elsewhere."""
        self._clock = clock
        self._view = view
        self._place = place
        self.glide = Glide()
        self._gliding = False
        self._is_smooth = False
        self._goal: Viewpoint | None = None
        self._flight: Flight | None = None
        self._last_s = 0.0
        self._timer = clock.timer(parent, _TICK_MS, self.advance)

    @property
    def heading(self) -> Viewpoint:
        """Where the camera is, or is easing to."""
        return self._goal or self._view()

    @property
    def flying(self) -> bool:
        """Whether a key is held that flies."""
        return self._flight is not None

    def set_smooth(self, on: bool) -> None:
        """Ease towards where `go` goes, or be there at once."""
        self._is_smooth = on
        if not on and self._goal is not None:
            goal, self._goal = self._goal, None
            self._place(goal)
            self._rest()

    def go(self, view: Viewpoint) -> None:
        """Be there at once, or ease there."""
        if self._is_smooth:
            self.advance()
            self._goal = view
            self._animate()
        else:
            self._place(view)
            self._rest()

    def nudge(self, change: Callable[[Orbit], Orbit]) -> None:
        """Move the camera relative to where it is; where it is easing to moves along."""
        if self._goal is not None:
            self._goal = self._goal.moved_to(change(self._goal.orbit))
        view = self._view()
        self._place(view.moved_to(change(view.orbit)))

    def glide_on(self) -> None:
        """Go on with the speed that `glide` was thrown at."""
        self._gliding = True
        self._animate()

    def stop_gliding(self) -> None:
        """Glide no further."""
        self._gliding = False

    def fly(self, flight: Flight | None) -> None:
        """Fly on in another direction; None stops."""
        self._flight = flight
        if flight is None:
            self._rest()
        else:
            self._animate()

    def stop(self) -> None:
        """End every motion the camera makes by itself, where it is; a held key flies on."""
        self._gliding = False
        self._goal = None
        self._rest()

    def close(self) -> None:
        """Stand still for good."""
        self._timer.stop()

    def advance(self) -> None:
        """Bring every motion to the present time."""
        now = self._clock.now_s()
        seconds, self._last_s = now - self._last_s, now
        if self._goal is not None:
            view = eased(self._view(), self._goal, seconds)
            if view == self._goal:
                self._goal = None
            self._place(view)
        if self._gliding:
            turn = self.glide.step(seconds)
            if turn is None:
                self._gliding = False
            else:
                self.nudge(lambda orbit: orbit.orbited(*turn))
        if self._flight is not None:
            flight = self._flight
            self.nudge(lambda orbit: flight.moved(orbit, seconds))
        self._rest()

    def _animate(self) -> None:
        """A motion has begun: keep it going."""
        if not self._timer.isActive():
            self._last_s = self._clock.now_s()
            self._timer.start()

    def _rest(self) -> None:
        """Let the timer run only while something moves."""
        if not (self._gliding or self._flight or self._goal):
            self._timer.stop()
