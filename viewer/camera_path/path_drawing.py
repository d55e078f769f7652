"""A camera path as seen by a camera: lines and dots in image pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.geometry.camera import Camera
from viewer.widgets.picture.drawn_overlays import Lines, PathOverlay, Point, frustum_lines

_SAMPLES_PER_STEP = 16
_MOST_SAMPLES = 800
_NEAR = 1e-2
"""In front of the camera, as a share of its distance from the path: nearer points are left out,
because they lie far outside the picture or where the camera itself is."""
_FAR_PX = 1e5
_FRUSTUM = 0.12
"""Depth of a keyframe's frustum, as a share of how far keyframes stand apart."""
_MOST_FRUSTUMS = 40


class PathDrawing:
    """The positions on one path, sampled once and projected for every frame."""

    def __init__(self, path: CameraPath) -> None:
        steps = len(path.keyframes) - 1 + path.loop
        count = min(_MOST_SAMPLES, max(2, steps * _SAMPLES_PER_STEP + 1))
        times = np.linspace(0.0, path.seconds, count) if path.seconds else np.zeros(1)
        # A loop begins anew at its end, where the line is to be closed.
        if path.loop and path.seconds:
            times[-1] = 0.0
        self._line = np.stack([path.at(float(time)).T_world_camera[:3, 3] for time in times])
        self._keys = np.stack([key.T_world_camera[:3, 3] for key in path.keyframes])
        self._keyframes = path.keyframes if len(path.keyframes) <= _MOST_FRUSTUMS else ()
        apart = float(np.linalg.norm(self._keys - self._keys.mean(0), axis=1).mean())
        self._depth = _FRUSTUM * (apart or 1.0)

    def seen_by(self, camera: Camera, selected: int | None) -> PathOverlay:
        """What `camera` sees of the path; `selected`: the keyframe that is marked."""
        lines: list[list[Point]] = [[]]
        for point in _visible(self._line, camera):
            if point is not None:
                lines[-1].append(point)
            elif lines[-1]:
                lines.append([])
        return PathOverlay(
            lines=tuple(tuple(line) for line in lines if len(line) > 1),
            keys=tuple(_visible(self._keys, camera)),
            frustums=tuple(self._frustum(key, camera) for key in self._keyframes),
            selected=selected,
        )

    def _frustum(self, key: Keyframe, camera: Camera) -> Lines:
        size_px = camera.width_px, camera.height_px
        focal_px = camera.height_px / 2 / math.tan(math.radians(key.fov_y_deg) / 2)
        of = Camera(key.T_world_camera, *size_px, focal_px)
        # From where the camera itself stands, lines would run all over the picture.
        if np.linalg.norm(of.position - camera.position) < 2 * self._depth:
            return ()
        return frustum_lines(camera, of, self._depth)


def _visible(points: NDArray[np.float64], camera: Camera) -> list[Point | None]:
    """Image pixels (column, row) of world points (n, 3); None for those not in front."""
    pixels, depth = camera.projected(points)
    away = np.linalg.norm(points - camera.position, axis=1).max()
    near = _NEAR * max(float(away), 1e-9)
    shown = (depth > near) & (np.abs(pixels) < _FAR_PX).all(1)
    return [
        (float(x), float(y)) if one else None for (x, y), one in zip(pixels, shown, strict=True)
    ]
