"""The curves under a camera path: poses and timing through given keys.

A curve's parameter u is the key's number: u = 2.5 lies between the third and the fourth key. How a
key is passed follows Kochanek and Bartels (SIGGRAPH 1984) with tension alone: 0 is Catmull-Rom, 1
stops at every key. Between two equal keys nothing moves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from r2l_core.geometry.orbit import Orbit

Array = NDArray[np.float64]

_STILL = 1e-9
"""Keys no further apart than this, relative to the size of the whole (for orbits: radians, or
that share of a distance), are the same."""


class FreeCurve:
    """Positions and rotations through poses, float64 (n, 4, 4), n >= 2, each on its own."""

    def __init__(self, poses: Array, loop: bool, tension: float) -> None:
        points = poses[:, :3, 3]
        still = _STILL * float(np.abs(points - points[0]).max())
        self._positions = _HermiteCurve(_closed(points) if loop else points, still, loop, tension)
        self._rotations = _RotationCurve(poses[:, :3, :3], loop, tension)

    def at(self, u: Array) -> tuple[Array, Rotation]:
        """Positions float64 (m, 3) and rotations at the parameters `u` (m,)."""
        return self._positions.at(u), self._rotations.at(u)


class OrbitCurve:
    """Through two or more turntable cameras about one pivot: azimuths, elevations and the
    logarithms of distances follow the curve, so that the camera always looks at the pivot, upright.

    Each step takes the shorter way round.
    """

    def __init__(self, orbits: Sequence[Orbit], loop: bool, tension: float) -> None:
        self._pivot = np.array(orbits[0].pivot)
        closed = [*orbits, orbits[0]] if loop else orbits
        azimuths = np.unwrap([math.radians(orbit.azimuth_deg) for orbit in closed])
        elevations = [math.radians(orbit.elevation_deg) for orbit in closed]
        distances = [math.log(orbit.radius) for orbit in closed]
        points = np.stack([azimuths, elevations, distances], axis=1)
        self._curve = _HermiteCurve(points, _STILL, loop, tension)

    def at(self, u: Array) -> tuple[Array, Rotation]:
        """Positions float64 (m, 3) and rotations at the parameters `u` (m,)."""
        azimuths, elevations, distances = self._curve.at(u).T
        # The camera looks along -Z and its Y is up: at azimuth and elevation 0 it stands on +X.
        turns = np.stack([azimuths + np.pi / 2, np.pi / 2 - elevations], axis=1)
        rotations = Rotation.from_euler("ZX", turns)
        backward = rotations.apply([0.0, 0.0, 1.0])
        return self._pivot + np.exp(distances)[:, None] * backward, rotations


class _HermiteCurve:
    """Cubic Hermite curve through points, float64 (n, k), n >= 2; in a loop the last is the first
    again. Points no further apart than `still` are the same."""

    def __init__(self, points: Array, still: float, loop: bool, tension: float) -> None:
        self._points = points
        steps = np.diff(points, axis=0)
        self._tangents = _tangents(steps, np.linalg.norm(steps, axis=1) <= still, loop)
        self._tangents *= 1 - tension

    def at(self, u: Array) -> Array:
        """Points at the parameters `u` (m,): float64 (m, k)."""
        index, t = _segments(u, len(self._points) - 1)
        t = t[:, None]
        start, step = self._points[index], self._points[index + 1] - self._points[index]
        leave, arrive = self._tangents[index], self._tangents[index + 1]
        # Written so that a step of zero gives the very same point.
        return (
            start + t**2 * (3 - 2 * t) * step + t * (1 - t) ** 2 * leave + t**2 * (t - 1) * arrive
        )


class _RotationCurve:
    """Cubic Bezier curve on the unit quaternions (Shoemake 1985) through n >= 2 rotations.

    Each step takes the shorter way round, whatever the signs of the quaternions.
    """

    def __init__(self, matrices: Array, loop: bool, tension: float) -> None:
        keys = Rotation.from_matrix(_closed(matrices) if loop else matrices)
        turns = (keys[:-1].inv() * keys[1:]).as_rotvec()
        tangents = _tangents(turns, np.linalg.norm(turns, axis=1) <= _STILL, loop)
        tangents *= 1 - tension
        self._n_segments = len(turns)
        self._controls = (
            keys[:-1],
            keys[:-1] * Rotation.from_rotvec(tangents[:-1] / 3),
            keys[1:] * Rotation.from_rotvec(-tangents[1:] / 3),
            keys[1:],
        )

    def at(self, u: Array) -> Rotation:
        """Rotations at the parameters `u` (m,)."""
        index, t = _segments(u, self._n_segments)
        points = [control[index] for control in self._controls]
        while len(points) > 1:  # de Casteljau
            points = [_slerp(a, b, t) for a, b in pairwise(points)]
        return points[0]


class Timing:
    """When a monotone quantity reaches each of its values: PCHIP, so it never turns back.

    `at` rises strictly and begins with 0; `values` are anything, (n,). In a loop the slopes agree
    where the end meets the beginning, and `values` may have gone on by a whole turn there.
    """

    def __init__(self, at: Array, values: Array, loop: bool) -> None:
        if loop and len(at) > 2:
            at = np.concatenate([[at[-2] - at[-1]], at, [at[-1] + at[1]]])
            turn = values[-1] - values[0]
            values = np.concatenate([[values[-2] - turn], values, [values[1] + turn]])
        self._curve = PchipInterpolator(at, values)

    def __call__(self, at: Array) -> Array:
        """Values at `at` (m,): float64 (m,)."""
        values: Array = self._curve(at)
        return values


def even_lengths(positions: Array, rotations: Rotation, fov_y_deg: Array, n_steps: int) -> Array:
    """How far each of m samples of a path lies along it: float64 (m,), rising from 0.

    It is the arc length of the positions. In those of the `n_steps` steps between keys, equally
    sampled, in which the camera only turns or zooms, that counts instead: scaled so that all turns
    of the path together are as long as all its moves. All zeros where nothing changes.
    """
    moves = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    turns = np.hypot(
        (rotations[:-1].inv() * rotations[1:]).magnitude(), np.radians(np.diff(fov_y_deg))
    )
    reach = moves.sum() / turns.sum() if moves.sum() > 0 and turns.sum() > 0 else 1.0
    stands = moves.reshape(n_steps, -1).sum(axis=1) <= _STILL * moves.sum()
    lengths = np.where(np.repeat(stands, len(moves) // n_steps), reach * turns, moves)
    return np.concatenate([[0.0], np.cumsum(lengths)])


def _slerp(start: Rotation, end: Rotation, t: Array) -> Rotation:
    return start * Rotation.from_rotvec(t[:, None] * (start.inv() * end).as_rotvec())


def _closed(keys: Array) -> Array:
    return np.concatenate([keys, keys[:1]])


def _tangents(steps: Array, still: NDArray[np.bool_], loop: bool) -> Array:
    """Catmull-Rom tangents at each of n + 1 keys from the n steps between them; zero at the ends
    of a step that is `still`."""
    before = np.concatenate([steps[-1:] if loop else steps[:1], steps])
    after = np.concatenate([steps, steps[:1] if loop else steps[-1:]])
    rests = np.concatenate([still[-1:] if loop else still[:1], still])
    rests |= np.concatenate([still, still[:1] if loop else still[-1:]])
    tangents: Array = (before + after) / 2
    tangents[rests] = 0
    return tangents


def _segments(u: Array, n_segments: int) -> tuple[NDArray[np.intp], Array]:
    index = np.clip(np.floor(u).astype(np.intp), 0, n_segments - 1)
    return index, np.clip(u - index, 0.0, 1.0)
