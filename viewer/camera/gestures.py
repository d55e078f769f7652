"""Turns what hands do over the picture into moves of the camera."""

from __future__ import annotations

from PyQt6.QtCore import QObject

from viewer.camera.controller import CameraController
from viewer.camera.motion import Flight
from viewer.widgets.controls.timers import REAL_TIME, Clock

DEGREES_PER_PX = 0.35
"""Orbit speed: a drag across an 800-pixel pane turns the scene by about 280 degrees."""

_RADIUS_RANGE_IN_VIEW_RADII = (0.05, 20.0)


class CameraGestures(QObject):
    """Each gesture is one move, which can be undone."""

    def __init__(
        self, camera: CameraController, parent: QObject | None = None, clock: Clock = REAL_TIME
    ) -> None:
        super().__init__(parent)
        self._clock = clock
        self._camera = camera
        self._mover = camera.mover
        self._moves = camera.moves
        self._has_inertia = False
        self._fly_speed = 1.0

    def drag_started(self) -> None:
        """The pointer went down on the picture and moved."""
        self._mover.stop()
        self._mover.glide.clear()
        self._moves.close()
        self._moves.hold("drag", self._camera.viewpoint)

    def orbit_dragged(self, dx_px: float, dy_px: float) -> None:
        """Turn with the pointer or the arrow keys, in logical pixels of the window."""
        azimuth, elevation = -dx_px * DEGREES_PER_PX, dy_px * DEGREES_PER_PX
        self._mover.glide.add(azimuth, elevation, self._clock.now_s())
        self._moves.before("turn", self._camera.viewpoint)
        self._mover.nudge(lambda orbit: orbit.orbited(azimuth, elevation))

    def drag_finished(self) -> None:
        """The pointer went up; with inertia the camera glides on."""
        self._moves.release("drag")
        if self._has_inertia and self._mover.glide.throw(self._clock.now_s()):
            self._mover.glide_on()

    def flight_changed(self, right: float, up: float, ahead: float, fast: bool) -> None:
        """Fly on in another direction (shares of right, up and ahead), or stop where all are 0."""
        self._mover.advance()
        if any((right, up, ahead)):
            if not self._mover.flying:
                self._mover.stop()
                self._moves.hold("fly", self._camera.viewpoint)
            self._mover.fly(Flight(right, up, ahead, fast, self._fly_speed))
        else:
            self._moves.release("fly")
            self._mover.fly(None)

    def pan_dragged(self, dx_px: float, dy_px: float) -> None:
        """Move the pivot with the pointer, in image pixels."""
        focal_px = self._camera.camera().focal_px
        self._moves.before("pan", self._camera.viewpoint)
        self._mover.nudge(lambda orbit: orbit.panned(dx_px, dy_px, focal_px))

    def zoomed(self, factor: float, x_px: float, y_px: float) -> None:
        """Change the distance, keeping what lies under the pointer (image pixels) in place."""
        reach = self._camera.scene.view_radius
        low, high = (share * reach for share in _RADIUS_RANGE_IN_VIEW_RADII)
        focal_px = self._camera.camera().focal_px
        view = self._camera.viewpoint
        self._moves.before("zoom", view)
        orbit = view.orbit.zoomed(factor, (x_px, y_px), focal_px, (low, high))
        self._mover.go(view.moved_to(orbit))

    def centred(self, x_px: float, y_px: float) -> None:
        """Look at, and turn about, what lies there (image pixels).

        The camera turns where it stands, so that the point comes to the middle at any distance.
        """
        orbit = self._camera.orbit.aimed(x_px, y_px, self._camera.camera().focal_px)
        self._camera.jump(self._camera.viewpoint.moved_to(orbit))

    def set_fly_speed(self, factor: float) -> None:
        """Fly so many times as fast as usual, from the next key on."""
        self._fly_speed = factor

    def set_inertia(self, on: bool) -> None:
        """Let the camera glide on after a drag, or stop at once."""
        self._has_inertia = on
        if not on:
            self._mover.stop()
