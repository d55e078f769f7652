"""Where the user looks from: what undo, bookmarks and smooth moves keep, go back to and blend."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from r2l_core.geometry.camera import Camera, Orbit
from r2l_core.geometry.scene import SceneSpec

_NAMED_DEG = {
    "front": (-90.0, 0.0),
    "side": (0.0, 0.0),
    "top": (-90.0, 90.0),
}
"""Azimuth and elevation of the named views."""


@dataclass(frozen=True)
class Viewpoint:
    """An orbit (degrees, scene units) and the horizontal field of view in degrees.

    `pose`: exactly this camera, of which the other two are the nearest a turntable comes; None
    where they are the camera themselves. What turns or moves the orbit leaves the pose.
    """

    orbit: Orbit
    fov_x_deg: float
    pose: Camera | None = None

    def moved_to(self, orbit: Orbit) -> Viewpoint:
        """The same field of view from elsewhere."""
        return Viewpoint(orbit, self.fov_x_deg)


def home_of(scene: SceneSpec) -> Viewpoint:
    """Where one comes into a scene."""
    return Viewpoint(scene.home(), math.degrees(scene.camera_angle_x_rad))


def posed(scene: SceneSpec, camera: Camera) -> Viewpoint:
    """Exactly `camera`, and from where a turntable about the scene's middle goes on."""
    fov_x_deg = math.degrees(2 * math.atan(camera.width_px / 2 / camera.focal_px))
    return Viewpoint(Orbit.nearest_to(camera, scene.center, scene.view_radius), fov_x_deg, camera)


def named_view(scene: SceneSpec, name: str, fov_x_deg: float) -> Viewpoint:
    """`home`, with its own field of view, or the scene from a side with the one given."""
    home = home_of(scene)
    if name == "home":
        return home
    azimuth_deg, elevation_deg = _NAMED_DEG[name]
    orbit = replace(home.orbit, azimuth_deg=azimuth_deg, elevation_deg=elevation_deg)
    return Viewpoint(orbit, fov_x_deg)
