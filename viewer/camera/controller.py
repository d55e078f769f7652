"""Where the camera is: named views, poses, typed numbers, undo. Hands are in `gestures`."""

from __future__ import annotations

import math
from dataclasses import fields

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS, SceneSpec
from viewer.camera.history import CameraMoves
from viewer.camera.mover import Mover
from viewer.state.view_state import StateStore, ViewState
from viewer.state.viewpoint import Viewpoint, home_of, named_view, posed
from viewer.widgets.controls.timers import REAL_TIME, Clock


class CameraController(QObject):
    """Changes the viewpoint of the state; pictures are asked for by whoever listens to that."""

    orbit_changed = pyqtSignal(Orbit, float)
    """Orbit and horizontal field of view in degrees."""
    history_changed = pyqtSignal(bool, bool)
    """Whether a camera move can be undone, and whether one can be made again."""

    def __init__(
        self, store: StateStore, parent: QObject | None = None, clock: Clock = REAL_TIME
    ) -> None:
        super().__init__(parent)
        self._store = store
        self.scene = PRESETS["demo"]
        """What the camera looks at."""
        self.mover = Mover(self, clock, lambda: store.state.viewpoint, self.place)
        self.moves = CameraMoves(clock.now_s, self.history_changed.emit)
        store.listen(self._state_changed)

    @property
    def viewpoint(self) -> Viewpoint:
        """Where the camera is, or is easing to."""
        return self.mover.heading

    @property
    def orbit(self) -> Orbit:
        """Where the camera is."""
        return self._store.state.viewpoint.orbit

    @property
    def pose(self) -> Camera | None:
        """The given camera that is shown as it is; None where the camera is the orbit's."""
        return self._store.state.viewpoint.pose

    def camera(self) -> Camera:
        """What is looked through."""
        return self._store.state.camera()

    def enter(self, scene: SceneSpec) -> None:
        """Another light field: stand at its home, with nothing to undo."""
        self.mover.fly(None)
        self.mover.stop()
        self.scene = scene
        self.moves.clear()
        self._store.change(viewpoint=home_of(scene), render_size_px=scene.opened_px)

    def adapt(self, scene: SceneSpec) -> None:
        """The same light field, of which more is known: stay where the camera is. A field of view
        or a size that has changed is taken."""
        before, self.scene = self.scene, scene
        state = self._store.state
        view, size = state.viewpoint, scene.opened_px
        if before.camera_angle_x_rad != scene.camera_angle_x_rad:
            view = Viewpoint(view.orbit, home_of(scene).fov_x_deg)
        if before.opened_px == size:
            size = state.render_size_px
        self._store.change(viewpoint=view, render_size_px=size)

    def place(self, view: Viewpoint) -> None:
        """Be there, as part of a move that was noted."""
        size = self._store.state.render_size_px
        if view.pose is not None:
            size = _in_shape_of(view.pose, size)
        self._store.change(viewpoint=view, render_size_px=size)

    def jump(self, view: Viewpoint) -> None:
        """Go somewhere else, as a move of its own."""
        self.mover.stop_gliding()
        self.moves.close()
        self.moves.before("jump", self.viewpoint)
        self.mover.go(view)

    def stand_at(self, view: Viewpoint) -> None:
        """Be there at once, as a move of its own."""
        self.mover.stop()
        self.moves.close()
        self.moves.before("jump", self.viewpoint)
        self.place(view)

    def go_to_pose(self, camera: Camera) -> None:
        """Look through exactly this camera, in the size that is rendered, until a gesture."""
        self.jump(posed(self.scene, camera))

    def view_requested(self, name: str) -> None:
        """Go to a named view; `home` also resets the field of view."""
        self.jump(named_view(self.scene, name, self.viewpoint.fov_x_deg))

    def set_orbit(self, orbit: Orbit) -> None:
        """Go to a typed camera."""
        self.mover.stop()
        self.moves.before("typed " + _difference(self.orbit, orbit), self.viewpoint)
        self.place(self.viewpoint.moved_to(orbit))

    def set_fov_x_deg(self, fov_x_deg: float) -> None:
        """Change the horizontal field of view."""
        self.mover.stop()
        self.moves.before("typed fov_x_deg", self.viewpoint)
        self.place(Viewpoint(self.orbit, fov_x_deg))

    def undo(self) -> None:
        """Go back to before the last gesture."""
        self._go_back_to(self.moves.undo(self.viewpoint))

    def redo(self) -> None:
        """Make the move again that was undone last."""
        self._go_back_to(self.moves.redo(self.viewpoint))

    def close(self) -> None:
        """Stand still: nobody looks any more."""
        self.mover.close()

    def _go_back_to(self, view: Viewpoint | None) -> None:
        if view is not None:
            self.mover.stop_gliding()
            self.mover.go(view)

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if after.viewpoint is not before.viewpoint:
            self.orbit_changed.emit(after.viewpoint.orbit, after.viewpoint.fov_x_deg)


def _in_shape_of(pose: Camera, size_px: tuple[int, int]) -> tuple[int, int]:
    """The size that is rendered; where it has another shape than the pose's picture, that shape
    with about as many pixels."""
    width_px, height_px = size_px
    if width_px * pose.height_px == height_px * pose.width_px:
        return size_px
    scale = math.sqrt(width_px * height_px / (pose.width_px * pose.height_px))
    return max(1, round(scale * pose.width_px)), max(1, round(scale * pose.height_px))


def _difference(before: Orbit, after: Orbit) -> str:
    """The names of what a typed camera changes: one number scrubbed is one gesture."""
    names = (field.name for field in fields(Orbit))
    return " ".join(name for name in names if getattr(before, name) != getattr(after, name))
