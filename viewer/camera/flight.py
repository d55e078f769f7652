"""A pose the camera was given, such as one on a path, and the orbit that comes closest to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2l_core.geometry.camera import Camera, Orbit
from viewer.state.viewpoint import Viewpoint

_LEAST_RADIUS = 0.05
_POLE = 1 - 1e-9


@dataclass(frozen=True, eq=False)
class Ride:
    """T_world_camera: float64 (4, 4), rigid. fov_y_deg: vertical field of view."""

    T_world_camera: NDArray[np.float64]
    fov_y_deg: float

    def camera(self, width_px: int, height_px: int) -> Camera:
        """Exactly this pose."""
        focal_px = height_px / 2 / math.tan(math.radians(self.fov_y_deg) / 2)
        return Camera(self.T_world_camera, width_px, height_px, focal_px)

    def viewpoint(self, pivot: tuple[float, float, float], width_over_height: float) -> Viewpoint:
        """From the same place in the same direction, upright; turning about what lies in the
        middle of the picture, as far away as `pivot` is."""
        right, _, backward, position = self.T_world_camera[:3].T
        x, y, z = (float(value) for value in backward)
        elevation_deg = math.degrees(math.asin(min(1.0, max(-1.0, z))))
        # Straight up or down only the sides tell which way the camera is turned.
        azimuth = math.atan2(y, x) if abs(z) < _POLE else math.atan2(-right[0], right[1])
        ahead = float(np.dot(position - np.array(pivot), backward))
        radius = ahead if ahead > _LEAST_RADIUS else _LEAST_RADIUS
        middle = position - radius * backward
        orbit = Orbit(
            math.degrees(azimuth),
            elevation_deg,
            radius,
            (float(middle[0]), float(middle[1]), float(middle[2])),
        )
        half = math.tan(math.radians(self.fov_y_deg) / 2) * width_over_height
        return Viewpoint(orbit, math.degrees(2 * math.atan(half)))
