"""Turns gestures into where the camera is: orbiting, named views, gliding, undo."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.geometry.camera import Camera, Orbit, focal_from_angle
from r2l_core.geometry.scene import PRESETS, SceneSpec
from viewer.camera.flight import Ride
from viewer.camera.history import CameraHistory
from viewer.camera.motion import Flight, Glide, eased
from viewer.state.bookmarks import Bookmarks
from viewer.state.viewpoint import Viewpoint, home_of, named_view, posed
from viewer.widgets.controls.timers import REAL_TIME, Clock

DEGREES_PER_PX = 0.35
"""Orbit speed: a drag across an 800-pixel pane turns the scene by about 280 degrees."""

_RADIUS_RANGE_IN_VIEW_RADII = (0.05, 20.0)
_TICK_MS = 16


class CameraControl(QObject):
    """Base of what asks for pictures: owns the camera, and calls `refresh` when it has moved."""

    orbit_changed = pyqtSignal(Orbit, float)
    """Orbit and horizontal field of view in degrees."""
    history_changed = pyqtSignal(bool, bool)
    """Whether a camera move can be undone, and whether one can be made again."""

    bookmarks_changed = pyqtSignal(frozenset)
    """frozenset of the numbers that hold a view of this light field."""
    bookmarks_written = pyqtSignal(str)
    """All bookmarks as text, to be kept."""
    ride_ended = pyqtSignal()
    """The camera left the pose it was given by `ride`."""

    def __init__(
        self, bookmarks: Bookmarks, parent: QObject | None = None, clock: Clock = REAL_TIME
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._bookmarks = bookmarks
        self._name = ""
        self._scene = PRESETS["demo"]
        self._view = home_of(self._scene)
        self._width_px, self._height_px = self._scene.opened_px
        self._history = CameraHistory()
        self._told_history = (False, False)
        self._has_inertia = False
        self._glide = Glide()
        self._gliding = False
        self._is_smooth = False
        self._goal: Viewpoint | None = None
        self._flight: Flight | None = None
        self._ridden: Ride | None = None
        self._last_s = 0.0
        self._timer = clock.timer(self, _TICK_MS, self._advance)

    def refresh(self) -> None:
        """Ask for a picture of the camera as it is."""
        raise NotImplementedError

    @property
    def orbit(self) -> Orbit:
        """Where the camera is."""
        return self._view.orbit

    @property
    def pose(self) -> Camera | None:
        """The given camera that is shown as it is; None where the camera is the orbit's."""
        return self._view.pose

    def camera(self) -> Camera:
        """The camera of the next request."""
        if self._ridden is not None:
            return self._ridden.camera(self._width_px, self._height_px)
        if self._view.pose is not None:
            return self._view.pose.resized(self._width_px, self._height_px)
        focal_px = focal_from_angle(self._width_px, math.radians(self._view.fov_x_deg))
        return self._view.orbit.camera(self._width_px, self._height_px, focal_px)

    def enter(self, scene: SceneSpec, name: str) -> None:
        """Another light field: stand at its home, with nothing to undo and its own bookmarks."""
        self._flight = None
        self._settle()
        self._scene, self._name = scene, name
        self._end_ride()
        self._history.clear()
        self._tell_history()
        self._view = home_of(scene)
        self._width_px, self._height_px = scene.opened_px
        self.orbit_changed.emit(self._view.orbit, self._view.fov_x_deg)
        self.bookmarks_changed.emit(self._bookmarks.numbers(name))

    def adapt(self, scene: SceneSpec) -> None:
        """The same light field, of which more is known: stay where the camera is. A field of view
        or a size that has changed is taken."""
        before, self._scene = self._scene, scene
        if before.camera_angle_x_rad != scene.camera_angle_x_rad:
            self._move(Viewpoint(self._view.orbit, home_of(scene).fov_x_deg))
        if before.opened_px != scene.opened_px:
            self.set_render_size(*scene.opened_px)

    # Gestures

    def drag_started(self) -> None:
        """The pointer went down on the picture and moved."""
        self._settle()
        self._glide.clear()
        self._history.close()
        self._history.hold("drag", self._view, self._clock.now_s())
        self._tell_history()

    def orbit_dragged(self, dx_px: float, dy_px: float) -> None:
        """Turn with the pointer or the arrow keys, in logical pixels of the window."""
        azimuth, elevation = -dx_px * DEGREES_PER_PX, dy_px * DEGREES_PER_PX
        self._glide.add(azimuth, elevation, self._clock.now_s())
        self._note("turn")
        self._nudge(lambda orbit: orbit.orbited(azimuth, elevation))

    def drag_finished(self) -> None:
        """The pointer went up; with inertia the camera glides on."""
        now = self._clock.now_s()
        self._history.release("drag", now)
        if self._has_inertia and self._glide.throw(now):
            self._gliding = True
            self._animate()

    def flight_changed(self, right: float, up: float, ahead: float, fast: bool) -> None:
        """Fly on in another direction (shares of right, up and ahead), or stop where all are 0."""
        self._advance()
        now = self._clock.now_s()
        if any((right, up, ahead)):
            if self._flight is None:
                self._settle()
                self._history.hold("fly", self._view, now)
                self._tell_history()
            self._flight = Flight(right, up, ahead, fast)
            self._animate()
        else:
            self._flight = None
            self._history.release("fly", now)
            self._rest()

    def pan_dragged(self, dx_px: float, dy_px: float) -> None:
        """Move the pivot with the pointer, in image pixels."""
        focal_px = self.camera().focal_px
        self._note("pan")
        self._nudge(lambda orbit: orbit.panned(dx_px, dy_px, focal_px))

    def zoomed(self, factor: float, x_px: float, y_px: float) -> None:
        """Change the distance, keeping what lies under the pointer (image pixels) in place."""
        reach = self._scene.view_radius
        low, high = (share * reach for share in _RADIUS_RANGE_IN_VIEW_RADII)
        focal_px = self.camera().focal_px
        self._note("zoom")
        view = self._heading
        orbit = view.orbit.zoomed(factor, (x_px, y_px), focal_px, (low, high))
        self._go(view.moved_to(orbit))

    def centred(self, x_px: float, y_px: float) -> None:
        """Look at, and turn about, what lies there (image pixels).

        The camera turns where it stands, so that the point comes to the middle at any distance.
        """
        view = self._view
        orbit = view.orbit.aimed(x_px, y_px, self.camera().focal_px)
        self._jump(view.moved_to(orbit))

    def go_to_pose(self, camera: Camera) -> None:
        """Look through exactly this camera, at its own size, until the next gesture."""
        self._jump(posed(self._scene, camera))

    def view_requested(self, name: str) -> None:
        """Go to a named view; `home` also resets the field of view."""
        self._jump(named_view(self._scene, name, self._heading.fov_x_deg))

    @property
    def viewpoint(self) -> Viewpoint:
        """Where the camera is, or is easing to."""
        return self._heading

    def stand_at(self, view: Viewpoint) -> None:
        """Be there at once, as a move of its own."""
        self._settle()
        self._history.close()
        self._note("jump")
        self._move(view)

    def set_orbit(self, orbit: Orbit) -> None:
        """Go to a typed camera."""
        self._settle()
        self._note("typed " + _difference(self._view.orbit, orbit))
        self._move(self._view.moved_to(orbit))

    def set_fov_x_deg(self, fov_x_deg: float) -> None:
        """Change the horizontal field of view."""
        self._settle()
        self._note("typed fov_x_deg")
        self._move(Viewpoint(self._view.orbit, fov_x_deg))

    def set_render_size(self, width_px: int, height_px: int) -> None:
        """Render that many pixels."""
        self._width_px, self._height_px = width_px, height_px
        self.refresh()

    def set_inertia(self, on: bool) -> None:
        """Let the camera glide on after a drag, or stop at once."""
        self._has_inertia = on
        if not on:
            self._settle()

    def set_smooth(self, on: bool) -> None:
        """Ease towards where jumps and the wheel go, or be there at once."""
        self._is_smooth = on
        if not on and self._goal is not None:
            goal, self._goal = self._goal, None
            self._move(goal)
            self._rest()

    # Rides along a path

    def begin_ride(self) -> None:
        """What `ride` does from here on is one move, which can be undone."""
        self._flight = None
        self._settle()
        self._history.close()
        self._note("ride")

    def ride(self, T_world_camera: NDArray[np.float64], fov_y_deg: float) -> None:
        """Take exactly this pose, which no orbit may have; any gesture goes on from beside it."""
        ride = Ride(T_world_camera, fov_y_deg)
        self._view = ride.viewpoint(self._scene.home().pivot, self._width_px / self._height_px)
        self._ridden = ride
        self.orbit_changed.emit(self._view.orbit, self._view.fov_x_deg)
        self.refresh()

    def _end_ride(self) -> None:
        if self._ridden is not None:
            self._ridden = None
            self.ride_ended.emit()

    # Bookmarks

    def set_bookmark(self, number: int) -> None:
        """Keep the present view of this light field under `number`."""
        self._bookmarks.put(self._name, number, self._heading)
        self.bookmarks_written.emit(self._bookmarks.text())
        self.bookmarks_changed.emit(self._bookmarks.numbers(self._name))

    def recall_bookmark(self, number: int) -> None:
        """Go to the view kept under `number`, if there is one."""
        view = self._bookmarks.get(self._name, number)
        if view is not None:
            self._jump(view)

    def bookmarks(self) -> dict[int, Viewpoint]:
        """The views kept of this light field, by their numbers."""
        found = {n: self._bookmarks.get(self._name, n) for n in self._bookmarks.numbers(self._name)}
        return {number: view for number, view in found.items() if view is not None}

    def put_bookmarks(self, views: Mapping[int, Viewpoint]) -> None:
        """Keep these views of this light field, besides those under other numbers."""
        for number, view in views.items():
            self._bookmarks.put(self._name, number, view)
        if views:
            self.bookmarks_written.emit(self._bookmarks.text())
            self.bookmarks_changed.emit(self._bookmarks.numbers(self._name))

    # Undo

    def undo(self) -> None:
        """Go back to before the last gesture."""
        self._go_back_to(self._history.undo(self._heading))

    def redo(self) -> None:
        """Make the move again that was undone last."""
        self._go_back_to(self._history.redo(self._heading))

    def _go_back_to(self, view: Viewpoint | None) -> None:
        self._tell_history()
        if view is not None:
            self._gliding = False
            self._go(view)

    def _note(self, gesture: str) -> None:
        self._history.before(gesture, self._heading, self._clock.now_s())
        self._tell_history()

    def _tell_history(self) -> None:
        told = self._history.can_undo, self._history.can_redo
        if told != self._told_history:
            self._told_history = told
            self.history_changed.emit(*told)

    # Moving

    @property
    def _heading(self) -> Viewpoint:
        """Where the camera is, or is easing to."""
        return self._goal or self._view

    def _settle(self) -> None:
        """End every motion the camera makes by itself, where it is; a held key flies on."""
        self._gliding = False
        self._goal = None
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

    def _advance(self) -> None:
        """Bring every motion to the present time."""
        now = self._clock.now_s()
        seconds, self._last_s = now - self._last_s, now
        if self._goal is not None:
            view = eased(self._view, self._goal, seconds)
            if view == self._goal:
                self._goal = None
            self._move(view)
        if self._gliding:
            turn = self._glide.step(seconds)
            if turn is None:
                self._gliding = False
            else:
                self._nudge(lambda orbit: orbit.orbited(*turn))
        if self._flight is not None:
            flight = self._flight
            self._nudge(lambda orbit: flight.moved(orbit, seconds))
        self._rest()

    def _jump(self, view: Viewpoint) -> None:
        """Go somewhere else, as a gesture of its own."""
        self._gliding = False
        self._history.close()
        self._note("jump")
        self._go(view)

    def _go(self, view: Viewpoint) -> None:
        """Be there at once, or ease there."""
        if self._is_smooth:
            self._advance()
            self._goal = view
            self._animate()
        else:
            self._move(view)
            self._rest()

    def _nudge(self, change: Callable[[Orbit], Orbit]) -> None:
        """Move the camera relative to where it is; where it is easing to moves along."""
        if self._goal is not None:
            self._goal = self._goal.moved_to(change(self._goal.orbit))
        self._move(self._view.moved_to(change(self._view.orbit)))

    def _move(self, view: Viewpoint) -> None:
        self._end_ride()
        self._view = view
        if view.pose is not None:
            self._width_px, self._height_px = view.pose.width_px, view.pose.height_px
        self.orbit_changed.emit(view.orbit, view.fov_x_deg)
        self.refresh()


def _difference(before: Orbit, after: Orbit) -> str:
    """The names of what a typed camera changes: one number scrubbed is one gesture."""
    names = (field.name for field in fields(Orbit))
    return " ".join(name for name in names if getattr(before, name) != getattr(after, name))
