"""How the camera moves by itself, as functions of elapsed time. Plain Python: no Qt, no clock."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from r2l_core.geometry.orbit import Orbit, wrap_deg
from viewer.state.viewpoint import Viewpoint

FLIGHT_RADII_PER_S = 0.75
"""Speed of a flight, so that it feels alike close to the scene and far away."""
FAST_FACTOR = 4.0

_EASE_S = 0.11
"""Time in which an eased move covers all but 1/e of the way left."""
_REST_DEG = 0.01
_REST_SHARE = 1e-4
"""Closer to its goal than this (angles, and lengths in radii), an eased move has arrived."""

_UP = np.array([0.0, 0.0, 1.0])
_GLIDE_HALF_LIFE_S = 0.18
_GLIDE_STOP_DEG_PER_S = 1.0
_RECENT_S = 0.1


class Glide:
    """How fast the last part of a drag turned, and how it fades: degrees and seconds."""

    def __init__(self) -> None:
        self._moves: deque[tuple[float, float, float]] = deque(maxlen=6)
        self._azimuth_per_s = self._elevation_per_s = 0.0

    def clear(self) -> None:
        """A new drag begins."""
        self._moves.clear()

    def add(self, azimuth_deg: float, elevation_deg: float, now_s: float) -> None:
        """The drag turned by so much."""
        self._moves.append((now_s, azimuth_deg, elevation_deg))

    def throw(self, now_s: float) -> bool:
        """Take the speed at release; False where the pointer had come to rest."""
        recent = [move for move in self._moves if now_s - move[0] < _RECENT_S]
        if len(recent) < 2:
            return False
        seconds = max(now_s - recent[0][0], 1e-3)
        self._azimuth_per_s = sum(move[1] for move in recent) / seconds
        self._elevation_per_s = sum(move[2] for move in recent) / seconds
        return True

    def step(self, seconds: float) -> tuple[float, float] | None:
        """The turn of the next `seconds` in degrees; None once it has come to rest.

        Follows the clock, so a slow frame makes a longer step and not a longer glide.
        """
        turn = self._azimuth_per_s * seconds, self._elevation_per_s * seconds
        fade = 0.5 ** (seconds / _GLIDE_HALF_LIFE_S)
        self._azimuth_per_s *= fade
        self._elevation_per_s *= fade
        speed = math.hypot(self._azimuth_per_s, self._elevation_per_s)
        return None if speed < _GLIDE_STOP_DEG_PER_S else turn


@dataclass(frozen=True)
class Flight:
    """A steady move of camera and pivot: shares of right, up and ahead in -1..1.

    Right and ahead are the camera's own; up is the world's. speed: as a multiple of the usual one.
    """

    right: float
    up: float
    ahead: float
    fast: bool = False
    speed: float = 1.0

    def moved(self, orbit: Orbit, seconds: float) -> Orbit:
        """Where `orbit` is after `seconds`; a diagonal is no faster than a straight line."""
        pose = orbit.T_world_camera()
        direction = self.right * pose[:3, 0] + self.up * _UP - self.ahead * pose[:3, 2]
        length = float(np.linalg.norm(direction))
        if length < 1e-9:
            return orbit
        speed = orbit.radius * FLIGHT_RADII_PER_S * self.speed
        speed *= FAST_FACTOR if self.fast else 1.0
        x, y, z = (float(v) for v in orbit.pivot + direction * (speed * seconds / length))
        return replace(orbit, pivot=(x, y, z))


def eased(view: Viewpoint, goal: Viewpoint, seconds: float) -> Viewpoint:
    """Where a camera on its way from `view` to `goal` is after `seconds`; in the end `goal` itself.

    Each number covers the same share of the way it has left, and that share depends on the time
    alone: it never overshoots, and many short steps are one long step. The azimuth takes the
    shorter way round. Pivot and radius shrink together, so that what a zoom keeps in place stays
    in place on the way, too.
    """
    left = math.exp(-seconds / _EASE_S)
    here, there = view.orbit, goal.orbit
    azimuth_deg = wrap_deg(here.azimuth_deg - there.azimuth_deg) * left
    elevation_deg = (here.elevation_deg - there.elevation_deg) * left
    radius = (here.radius - there.radius) * left
    pivot = (np.asarray(here.pivot) - there.pivot) * left
    fov_x_deg = (view.fov_x_deg - goal.fov_x_deg) * left
    arrived = (
        max(abs(azimuth_deg), abs(elevation_deg), abs(fov_x_deg)) < _REST_DEG
        and max(abs(radius), *map(abs, pivot)) < _REST_SHARE * there.radius
    )
    if arrived:
        return goal
    x, y, z = (float(v) for v in pivot + there.pivot)
    return Viewpoint(
        Orbit(
            wrap_deg(there.azimuth_deg + azimuth_deg),
            there.elevation_deg + elevation_deg,
            there.radius + radius,
            (x, y, z),
        ),
        goal.fov_x_deg + fov_x_deg,
    )
