"""Where a camera stands on a sphere about a point, and how hands move it there.

Angles are degrees: azimuth counter-clockwise about +Z from +X, elevation above the horizon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from r2l_core.geometry.camera import Camera

MAX_ELEVATION_DEG = 90.0


@dataclass(frozen=True)
class Orbit:
    """A turntable camera: always upright, always looking at its pivot; smooth over the poles.

    Elevation is kept within +-90 degrees, where the picture is still well defined because the
    camera's right axis depends on the azimuth alone.
    """

    azimuth_deg: float
    elevation_deg: float
    radius: float
    pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @staticmethod
    def nearest_to(camera: Camera, center: tuple[float, float, float], reach: float) -> Orbit:
        """Where a turntable camera would stand for `camera`: its place and direction, but upright.

        The pivot is the point of the optical axis closest to `center`, or `reach` world units ahead
        where that lies behind the camera.
        """
        pose = camera.T_world_camera
        backward = pose[:3, 2] / np.linalg.norm(pose[:3, 2])
        radius = float((camera.position - np.asarray(center)) @ backward)
        if radius < 1e-3 * reach:
            radius = reach
        x, y, z = (float(value) for value in backward)
        # Straight up or down, only the right axis tells which way is which.
        right_x, right_y = (float(value) for value in pose[:2, 0])
        level = math.hypot(x, y) > 1e-6
        return Orbit(
            math.degrees(math.atan2(y, x) if level else math.atan2(-right_x, right_y)),
            math.degrees(math.asin(max(-1.0, min(1.0, z)))),
            radius,
            _moved((0.0, 0.0, 0.0), camera.position - radius * backward),
        )

    def T_world_camera(self) -> NDArray[np.float64]:
        """Camera-to-world matrix, float64 (4, 4)."""
        azimuth, elevation = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        sin_a, cos_a = math.sin(azimuth), math.cos(azimuth)
        sin_e, cos_e = math.sin(elevation), math.cos(elevation)
        right = (-sin_a, cos_a, 0.0)
        up = (-sin_e * cos_a, -sin_e * sin_a, cos_e)
        backward = (cos_e * cos_a, cos_e * sin_a, sin_e)
        position = (p + self.radius * b for p, b in zip(self.pivot, backward, strict=True))
        rows = zip(right, up, backward, position, strict=True)
        return np.array([*rows, (0.0, 0.0, 0.0, 1.0)])

    def camera(self, width_px: int, height_px: int, focal_px: float) -> Camera:
        """The pinhole camera at this orbit position."""
        return Camera(self.T_world_camera(), width_px, height_px, focal_px)

    def orbited(self, azimuth_by_deg: float, elevation_by_deg: float) -> Orbit:
        """Turned about the pivot; the azimuth wraps into [-180, 180), the elevation stops at the
        poles."""
        return replace(
            self,
            azimuth_deg=wrap_deg(self.azimuth_deg + azimuth_by_deg),
            elevation_deg=min(
                max(self.elevation_deg + elevation_by_deg, -MAX_ELEVATION_DEG), MAX_ELEVATION_DEG
            ),
        )

    def panned(self, dx_px: float, dy_px: float, focal_px: float) -> Orbit:
        """Moved sideways so that what lies in the pivot's plane follows the pointer.

        `dx_px` to the right and `dy_px` downwards, in image pixels.
        """
        pose = self.T_world_camera()
        world_per_px = self.radius / focal_px
        step = (-dx_px * pose[:3, 0] + dy_px * pose[:3, 1]) * world_per_px
        return replace(self, pivot=_moved(self.pivot, step))

    def aimed(self, x_px: float, y_px: float, focal_px: float) -> Orbit:
        """The camera stays and looks along the ray of a pixel; the new pivot lies on that ray, in
        the plane of the old one.

        `x_px` to the right and `y_px` downwards, in image pixels from the centre.
        """
        pose = self.T_world_camera()
        pivot = self.panned(-x_px, -y_px, focal_px).pivot
        x, y, z = (float(one) for one in pose[:3, 3] - np.array(pivot))
        return replace(
            self,
            # Straight above its pivot, where the azimuth cannot be told, a camera keeps it.
            azimuth_deg=math.degrees(math.atan2(y, x)) if math.hypot(x, y) else self.azimuth_deg,
            elevation_deg=math.degrees(math.atan2(z, math.hypot(x, y))),
            radius=math.hypot(x, y, z),
            pivot=pivot,
        )

    def zoomed(
        self,
        factor: float,
        towards_px: tuple[float, float] = (0.0, 0.0),
        focal_px: float = 1.0,
        radius_range: tuple[float, float] = (0.05, 1000.0),
    ) -> Orbit:
        """Radius multiplied by `factor` while the pivot-plane point under the pointer stays put.

        `towards_px`: pointer position relative to the image centre, right and down, in pixels.
        """
        radius = float(np.clip(self.radius * factor, *radius_range))
        closer = self.radius - radius
        pose = self.T_world_camera()
        x_px, y_px = towards_px
        step = closer / focal_px * (x_px * pose[:3, 0] - y_px * pose[:3, 1])
        return replace(self, radius=radius, pivot=_moved(self.pivot, step))


def _moved(
    point: tuple[float, float, float], step: NDArray[np.float64]
) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in np.asarray(point) + step)
    return x, y, z


def wrap_deg(angle_deg: float) -> float:
    """The same angle in [-180, 180)."""
    wrapped = (angle_deg + 180.0) % 360.0 - 180.0
    # The remainder of a number just below zero rounds to 360 itself.
    return wrapped - 360.0 if wrapped >= 180.0 else wrapped
