"""Where the user looks from: what undo, bookmarks and smooth moves keep, go back to and blend.

Bookmarks are numbered views of each light field, as JSON that a person can read and mend.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.errors import SessionError
from r2l_core.geometry.camera import Camera, focal_from_angle
from r2l_core.geometry.orbit import MAX_ELEVATION_DEG, Orbit, wrap_deg
from r2l_core.geometry.scene import SceneSpec
from r2l_core.json_fields import Fields, stored_object

_NAMED_DEG = {
    "front": (-90.0, 0.0),
    "side": (0.0, 0.0),
    "top": (-90.0, 90.0),
}
"""Azimuth and elevation of the named views."""
_LEAST_RADIUS = 0.05
_WIDEST_DEG = 170.0
_POLE = 1 - 1e-9


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

    def camera(self, width_px: int, height_px: int) -> Camera:
        """The camera that looks from here, with a picture of that size."""
        if self.pose is not None:
            return self.pose.resized(width_px, height_px)
        focal_px = focal_from_angle(width_px, math.radians(self.fov_x_deg))
        return self.orbit.camera(width_px, height_px, focal_px)


def home_of(scene: SceneSpec) -> Viewpoint:
    """Where one comes into a scene."""
    return Viewpoint(scene.home(), math.degrees(scene.camera_angle_x_rad))


def posed(scene: SceneSpec, camera: Camera) -> Viewpoint:
    """Exactly `camera`, and from where a turntable about the scene's middle goes on."""
    return Viewpoint(
        Orbit.nearest_to(camera, scene.center, scene.view_radius), _fov_x_deg(camera), camera
    )


def ridden(camera: Camera, pivot: tuple[float, float, float]) -> Viewpoint:
    """Exactly `camera`, and the upright orbit from the same place in the same direction: it turns
    about what lies in the middle of the picture, as far away as `pivot` is."""
    right, _, backward, position = camera.T_world_camera[:3].T
    radius = max(_ahead(position, backward, pivot), _LEAST_RADIUS)
    x, y, z = (float(value) for value in backward)
    # Straight up or down only the sides tell which way the camera is turned.
    azimuth = math.atan2(y, x) if abs(z) < _POLE else math.atan2(-right[0], right[1])
    middle_x, middle_y, middle_z = (float(value) for value in position - radius * backward)
    orbit = Orbit(
        math.degrees(azimuth),
        math.degrees(math.asin(min(1.0, max(-1.0, z)))),
        radius,
        (middle_x, middle_y, middle_z),
    )
    return Viewpoint(orbit, _fov_x_deg(camera), camera)


def same_short_side(
    view: Viewpoint, before_px: tuple[int, int], after_px: tuple[int, int]
) -> Viewpoint:
    """The view in a picture of another shape whose shorter side shows what the shorter one did."""
    short_before, short_after = (min(size) / size[0] for size in (before_px, after_px))
    half = math.tan(math.radians(view.fov_x_deg) / 2) * short_before / short_after
    fov_x_deg = min(math.degrees(2 * math.atan(half)), _WIDEST_DEG)
    return view if fov_x_deg == view.fov_x_deg else Viewpoint(view.orbit, fov_x_deg)


def fitted_to_shape(pose: Camera, size_px: tuple[int, int]) -> tuple[int, int]:
    """The largest picture in the shape of the pose's that fits into one of that size."""
    scale = min(size_px[0] / pose.width_px, size_px[1] / pose.height_px)
    return max(1, round(scale * pose.width_px)), max(1, round(scale * pose.height_px))


def named_view(scene: SceneSpec, name: str, fov_x_deg: float) -> Viewpoint:
    """`home`, with its own field of view, or the scene from a side with the one given."""
    home = home_of(scene)
    if name == "home":
        return home
    azimuth_deg, elevation_deg = _NAMED_DEG[name]
    orbit = replace(home.orbit, azimuth_deg=azimuth_deg, elevation_deg=elevation_deg)
    return Viewpoint(orbit, fov_x_deg)


def _fov_x_deg(camera: Camera) -> float:
    return math.degrees(2 * math.atan(camera.width_px / 2 / camera.focal_px))


def _ahead(
    position: NDArray[np.float64],
    backward: NDArray[np.float64],
    pivot: tuple[float, float, float],
) -> float:
    return float(np.dot(position - np.array(pivot), backward))


NUMBERS = range(1, 10)
"""The digits a view can be kept under."""


class Bookmarks:
    """Views by light field name and number."""

    def __init__(self, text: str = "") -> None:
        """`text`: what `text()` gave once; anything else counts as none."""
        self._views: dict[str, dict[int, Viewpoint]] = {}
        for name, marks in stored_object(text).items():
            for digit, values in marks.items() if isinstance(marks, dict) else ():
                view = _usable(values)
                if view is not None and digit in map(str, NUMBERS):
                    self.put(name, int(digit), view)

    def numbers(self, name: str) -> frozenset[int]:
        """The numbers in use for the light field `name`."""
        return frozenset(self._views.get(name, {}))

    def get(self, name: str, number: int) -> Viewpoint | None:
        """The view kept under `number`, or None."""
        return self._views.get(name, {}).get(number)

    def put(self, name: str, number: int, view: Viewpoint) -> None:
        """Keep `view`, in place of what was there."""
        self._views.setdefault(name, {})[number] = view

    def text(self) -> str:
        """All of them as JSON."""
        return json.dumps(
            {
                name: {str(number): view_values(view) for number, view in sorted(marks.items())}
                for name, marks in sorted(self._views.items())
            }
        )


def view_values(view: Viewpoint) -> dict[str, Any]:
    """A view as JSON has it, without its pose; `read_view` reads it back."""
    return {**asdict(view.orbit), "fov_x_deg": view.fov_x_deg}


def read_view(fields: Fields) -> Viewpoint:
    """What `view_values` gave. Raises the error of `fields`, naming the entry."""
    pivot = fields.values("pivot", 3)
    if len(pivot) != 3 or any(type(one) not in (int, float) for one in pivot):
        fields.refuse("pivot", "is not three numbers")
    x, y, z = (float(min(max(one, -1e10), 1e10)) for one in pivot)
    if not all(abs(one) <= 1e9 for one in (x, y, z)):
        fields.refuse("pivot", "is too far away")
    orbit = Orbit(
        fields.number("azimuth_deg", None, -1e6, 1e6),
        fields.number("elevation_deg", None, -MAX_ELEVATION_DEG, MAX_ELEVATION_DEG),
        fields.number("radius", None, 1e-6, 1e9),
        (x, y, z),
    )
    return Viewpoint(orbit, fields.number("fov_x_deg", None, 1.0, _WIDEST_DEG))


def _usable(values: object) -> Viewpoint | None:
    """The view that a stored bookmark describes; None unless all of it makes sense."""
    if not isinstance(values, dict):
        return None
    try:
        view = read_view(Fields(values, "The bookmark cannot be used", SessionError))
    except SessionError:
        return None
    orbit = replace(view.orbit, azimuth_deg=wrap_deg(view.orbit.azimuth_deg))
    return replace(view, orbit=orbit)
