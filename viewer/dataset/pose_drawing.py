"""The cameras of a dataset as seen by a camera, in image pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from r2l_core.geometry.camera import Camera
from viewer.camera_path.path_drawing import projected
from viewer.widgets.picture.pose_overlay import HEADINGS, PoseOverlay

_NEAR = 0.02
"""In front of the eye, as a share of how far the poses stand apart: nearer ones are left out."""
_STALK = 0.1
_FRUSTUM = 0.14
"""Lengths, as a share of the same."""
_EDGE_PX = 12.0
"""A dot may be so far outside the picture."""


class PoseDrawing:
    """All poses of one dataset, looked at once and projected for every frame, all at a time."""

    def __init__(self, cameras: Sequence[Camera], center: tuple[float, float, float]) -> None:
        """`center`: the middle of the scene."""
        self._cameras = cameras
        poses = np.array([camera.T_world_camera for camera in cameras])
        self._places = poses[:, :3, 3]
        apart = np.linalg.norm(self._places - self._places.mean(0), axis=1).mean()
        self._size = float(apart) or 1.0
        tips = self._places - poses[:, :3, 2] * (_STALK * self._size)
        self._world = np.concatenate([self._places, tips, [center]])

    def seen_by(self, camera: Camera, marked: int | None) -> PoseOverlay:
        """What `camera` sees of them; `marked`: the view that has its frustum drawn."""
        n = len(self._places)
        pixels, depths = projected(self._world, camera)
        points, depth = pixels[:n], depths[:n]
        margin = _EDGE_PX * camera.width_px / 400
        shown = (depth > _NEAR * self._size) & (
            (points >= -margin) & (points <= np.array([camera.width_px, camera.height_px]) + margin)
        ).all(1)
        views = np.flatnonzero(shown)
        right, down = (pixels[n : 2 * n] - points)[views].T
        turns = np.arctan2(-down, right) / (2 * np.pi)
        headings = np.round(turns * HEADINGS).astype(np.intp) % HEADINGS
        # Less than a dot's own size tells no direction, nor does a tip behind the eye.
        told = (np.hypot(right, down) > 0.01 * camera.width_px) & (depths[n : 2 * n][views] > 0)
        return PoseOverlay(
            views=views,
            points=points[views],
            headings=np.where(told, headings, HEADINGS),
            beyond=depth[views] > depths[-1],
            marked=marked,
            frustum=() if marked is None else self._frustum(camera, marked),
        )

    def _frustum(self, camera: Camera, view: int) -> tuple[tuple[tuple[float, float], ...], ...]:
        of = self._cameras[view]
        across = np.array([0.0, of.width_px, of.width_px, 0.0]) - of.center_px[0]
        down = np.array([0.0, 0.0, of.height_px, of.height_px]) - of.center_px[1]
        corners = np.stack([across / of.focal_px, -down / of.fy_px, -np.ones(4)], axis=1)
        corners *= _FRUSTUM * self._size
        world = corners @ of.T_world_camera[:3, :3].T + of.position
        pixels, depths = projected(np.concatenate([[of.position], world]), camera)
        if (depths <= 0).any():
            return ()
        apex, *base = [(float(x), float(y)) for x, y in pixels]
        return ((*base, base[0]), *((apex, corner) for corner in base))
