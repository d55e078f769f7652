"""What a radiance field knows about its scene: where things are, seen from the cameras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from r2l_core.datasets import Dataset
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import pixel_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.radiance.field import RadianceField

_MARGIN = 1.02
_RAYS = 4096
_QUANTILE = 0.01
"""Share of the hit depths that may lie before near, and beyond far: strays of the field."""


def fitted_scene(dataset: Dataset, field: RadianceField) -> SceneSpec:
    """The dataset's scene with what the field shows: near and far, the bounding sphere, and the
    sphere on which training origins can lie, for an object that all cameras look at from outside.
    """
    camera = dataset.cameras[0]
    scene = replace(
        dataset.scene,
        width_px=camera.width_px,
        height_px=camera.height_px,
        camera_angle_x_rad=2.0 * math.atan(camera.width_px / 2 / camera.focal_px),
    )
    if field.grid.space.kind != "box":
        near, far = _hit_depths(dataset.cameras, field)
        return replace(scene, near=near, far=far)
    center = torch.tensor(scene.center)
    corner = float(field.grid.cell_size.norm()) / 2
    reach = float((field.grid.cell_centers().cpu() - center).norm(dim=-1).max()) + corner
    bound = _MARGIN * reach
    away = np.array([camera.position for camera in dataset.cameras]) - np.asarray(scene.center)
    distances = np.linalg.norm(away, axis=1)
    radius = float(distances.mean())
    if distances.min() <= bound:
        return replace(scene, bound_radius=bound)
    lowest = float(np.degrees(np.arcsin(away[:, 2] / distances)).min())
    return replace(
        scene,
        near=radius - bound,
        far=radius + bound,
        bound_radius=bound,
        origin_radius=radius,
        view_radius=radius,
        min_elevation_deg=float(max(-90, math.floor(lowest))),
    )


def _hit_depths(cameras: Sequence[Camera], field: RadianceField) -> tuple[float, float]:
    """Between which depths along the optical axis most rays of the cameras hit something."""
    draw = torch.Generator().manual_seed(0)
    depths: list[Tensor] = []
    for camera in cameras:
        count = max(64, _RAYS // len(cameras))
        columns = torch.randint(camera.width_px, (count,), generator=draw)
        rows = torch.randint(camera.height_px, (count,), generator=draw)
        depths.append(field.depths(*pixel_rays(camera, columns, rows)))
    hit = torch.cat(depths)
    hit = hit[hit.isfinite()]
    if not len(hit):
        return 0.1, 1.0
    near = float(hit.quantile(_QUANTILE)) / _MARGIN
    far = float(hit.quantile(1.0 - _QUANTILE)) * _MARGIN
    return max(near, 0.0), max(far, near + 1e-3)
