"""The curves of a path of two or more keyframes: where the camera is, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from r2l_core.camera_paths.spline import FreeCurve, OrbitCurve, Timing, even_lengths
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit

if TYPE_CHECKING:
    from r2l_core.camera_paths.camera_path import CameraPath, Keyframe

_MAX_SAMPLES_PER_STEP = 256
_MAX_SAMPLES = 200_000
"""For measuring lengths: the first keeps the speed even to a percent where the path bends most,
the second keeps a path of thousands of keyframes quick."""

_LOOKS_AT = 1e-6
"""How exactly a keyframe looks at the pivot: of its rotation, and of its distance."""


class PathCurves:
    """Made once for a path; see `CameraPath` for what its options do."""

    poses: FreeCurve | OrbitCurve
    fov_y_deg: Timing

    def __init__(self, path: CameraPath) -> None:
        keys, loop = path.keyframes, path.loop
        orbits = _orbits(path)
        if orbits is None:
            poses = np.stack([key.T_world_camera for key in keys])
            self.poses = FreeCurve(poses, loop, path.tension)
        else:
            self.poses = OrbitCurve(orbits, loop, path.tension)
        numbers = np.arange(len(keys) + loop, dtype=np.float64)
        fovs_y_deg = [key.fov_y_deg for key in (*keys, keys[0])][: len(numbers)]
        self.fov_y_deg = Timing(numbers, np.array(fovs_y_deg), loop)
        at_s = np.array([*path.key_seconds, path.seconds][: len(numbers)])
        self._timing = Timing(at_s, numbers, loop)
        self._at_s = at_s
        self._eases = np.array([key.eases for key in (*keys, keys[0])][: len(numbers)])
        self._seconds = path.seconds
        self._lengths: NDArray[np.float64] | None = None
        if path.even_speed:
            n_steps = len(numbers) - 1
            per_step = min(_MAX_SAMPLES_PER_STEP, _MAX_SAMPLES // n_steps)
            self._samples = np.linspace(0.0, n_steps, per_step * n_steps + 1)
            positions, rotations = self.poses.at(self._samples)
            fovs = self.fov_y_deg(self._samples)
            lengths = even_lengths(positions, rotations, fovs, n_steps)
            if lengths[-1] > 0:  # a path on which nothing changes has no speed
                self._lengths = lengths

    def key_number(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The parameter of the curves at `seconds` (m,): 2.5 between the third key and the next."""
        if self._lengths is None:
            return self._timing(self._eased(seconds) if self._eases.any() else seconds)
        travelled = seconds / self._seconds * self._lengths[-1]
        numbers: NDArray[np.float64] = np.interp(travelled, self._lengths, self._samples)
        return numbers

    def _eased(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The moments of a path without easing at which the camera is where it is with it.

        Within a step, a cubic whose slope is 0 at a key that eases and 1 at one that does not.
        """
        step = np.clip(np.searchsorted(self._at_s, seconds, "right") - 1, 0, len(self._at_s) - 2)
        start_s, end_s = self._at_s[step], self._at_s[step + 1]
        u = np.clip((seconds - start_s) / (end_s - start_s), 0.0, 1.0)
        out, into = (1.0 - self._eases[at] for at in (step, step + 1))
        u = u * (out + u * ((3 - 2 * out - into) + u * (out + into - 2)))
        eased: NDArray[np.float64] = start_s + u * (end_s - start_s)
        return eased


def _orbits(path: CameraPath) -> list[Orbit] | None:
    """The keyframes as turntable cameras about the path's pivot; None where one is not."""
    if path.pivot is None:
        return None
    orbits: list[Orbit] = []
    for key in path.keyframes:
        orbit = _orbit(key, path.pivot)
        if orbit is None:
            return None
        orbits.append(orbit)
    return orbits


def _orbit(key: Keyframe, pivot: tuple[float, float, float]) -> Orbit | None:
    camera = Camera(key.T_world_camera, 1, 1, 1.0)
    orbit = Orbit.nearest_to(camera, pivot, 1.0)
    turned = np.abs(orbit.T_world_camera()[:3, :3] - key.T_world_camera[:3, :3]).max()
    beside = np.abs(np.array(orbit.pivot) - pivot).max()
    return orbit if turned < _LOOKS_AT and beside < _LOOKS_AT * orbit.radius else None
