"""Ready-made camera paths around a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.geometry.orbit import Orbit

PRESETS = ("turntable", "spiral", "dolly")

_KEYS_PER_TURN = 4

_SPIRAL_TURNS = 2
_SPIRAL_ELEVATIONS_DEG = (5.0, 75.0)
_DOLLY_CLOSEST = 0.55
"""Of the starting radius."""


def preset(
    name: str, start: Orbit, fov_y_deg: float, seconds: float, bound_radius: float
) -> CameraPath:
    """One of PRESETS from the view `start`, lasting `seconds`.

    bound_radius: of the sphere about the pivot that the camera stays out of.
    """
    if name == "turntable":
        return turntable(start, fov_y_deg, seconds)
    if name == "spiral":
        return spiral(start, fov_y_deg, seconds)
    if name == "dolly":
        return dolly(start, fov_y_deg, seconds, bound_radius)
    raise ValueError(f"there is no preset '{name}'")


def turntable(start: Orbit, fov_y_deg: float, seconds: float) -> CameraPath:
    """Once around the pivot, counter-clockwise seen from above; it loops without a seam."""
    step_deg = 360.0 / _KEYS_PER_TURN
    orbits = [start.orbited(k * step_deg, 0.0) for k in range(_KEYS_PER_TURN)]
    return replace(_through_orbits(orbits, fov_y_deg), loop=True).lasting(seconds)


def spiral(start: Orbit, fov_y_deg: float, seconds: float) -> CameraPath:
    """Twice around the pivot while climbing from near the horizon to near the pole."""
    n_keys = _SPIRAL_TURNS * _KEYS_PER_TURN + 1
    azimuths_deg = start.azimuth_deg + np.linspace(0.0, 360.0 * _SPIRAL_TURNS, n_keys)
    elevations_deg = np.linspace(*_SPIRAL_ELEVATIONS_DEG, n_keys)
    orbits = [
        replace(start, azimuth_deg=float(azimuth), elevation_deg=float(elevation))
        for azimuth, elevation in zip(azimuths_deg, elevations_deg, strict=True)
    ]
    return _through_orbits(orbits, fov_y_deg).lasting(seconds)


def dolly(start: Orbit, fov_y_deg: float, seconds: float, bound_radius: float) -> CameraPath:
    """Straight towards the pivot and back, resting where it turns; it loops."""
    closest = max(_DOLLY_CLOSEST * start.radius, min(1.1 * bound_radius, start.radius))
    path = _through_orbits([start, replace(start, radius=closest)], fov_y_deg)
    # On the straight line, and not about the pivot, where distances would change by factors.
    return replace(path, loop=True, tension=1.0, pivot=None).lasting(seconds)


def _through_orbits(orbits: Sequence[Orbit], fov_y_deg: float) -> CameraPath:
    keys = tuple(Keyframe(orbit.T_world_camera(), fov_y_deg) for orbit in orbits)
    return CameraPath(keys, pivot=orbits[0].pivot)
