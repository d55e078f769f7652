"""What a radiance field knows about its scene: where things are, seen from the cameras."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from r2l_core.datasets import Dataset
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import pixel_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.radiance.field import RadianceField, RadianceTeacher
from r2l_core.training.runs import TellDone, counted_off, tell_nobody

if TYPE_CHECKING:
    from r2l_core.training.radiance.trainer import TeachTrainer

_MARGIN = 1.02
_RAYS = 4096
_BOUND_RAYS = 100_000
_STRAY = 5e-4
"""Share of all that rays see that may lie outside of the bounds."""

_QUANTILE = 0.01
"""Share of the hit depths that may lie before near, and beyond far: strays of the field."""


def taught_by_now(trainer: TeachTrainer, name: str) -> RadianceTeacher:
    """A trainer's field while it goes on learning, to be saved at once: nothing of it is copied."""
    return RadianceTeacher(name, fitted_scene(trainer.dataset, trainer.field), trainer.field)


def taught(trainer: TeachTrainer, name: str) -> RadianceTeacher:
    """A trainer's field as it is now, with its fitted scene and where it came from."""
    dataset = trainer.dataset
    field = trainer.field.eval().requires_grad_(False)
    scene = fitted_scene(dataset, field, trainer.tell)
    field = field.moved(torch.device("cpu"))
    provenance = {
        "method": "radiance grid, learned from photographs",
        "dataset": dataset.name,
        "views": len(dataset),
        "size_px": [dataset.cameras[0].width_px, dataset.cameras[0].height_px],
        "rays": trainer.rays,
        "training_s": round(trainer.elapsed_s, 1),
        "held_out_psnr_db": trainer.held_out_psnr_db,
        "curve_s_db": trainer.curve,
        "arithmetic": trainer.arithmetic,
        "torch": torch.__version__,
    }
    return RadianceTeacher(name, scene, field, provenance)


def fitted_scene(dataset: Dataset, field: RadianceField, tell: TellDone = tell_nobody) -> SceneSpec:
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
        near, far = _hit_depths(dataset.cameras, field, tell)
        return replace(scene, near=near, far=far)
    center = torch.tensor(scene.center)
    reach = min(_reach(dataset.cameras, field, center, tell), _seen(dataset.cameras, center))
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


@torch.no_grad()
def _reach(
    cameras: Sequence[Camera], field: RadianceField, center: Tensor, tell: TellDone
) -> float:
    """How far from the centre the field holds anything that cameras see.

    White cells before a white background are nothing, and neither is what no camera looks at.
    """
    device = field.grid.cells.device
    background, center = torch.tensor(field.background_rgb, device=device), center.to(device)
    distances, effects = [torch.zeros(1, device=device)], [torch.zeros(1, device=device)]
    for origins, directions in _some_rays(cameras, _BOUND_RAYS, device, tell):
        seen = field(origins, directions)
        ray = seen.sample_ray
        points = origins[ray] + seen.sample_depth[:, None] * directions[ray]
        distances.append((points - center).norm(dim=-1))
        effects.append(seen.sample_weight * (seen.sample_rgb - background).abs().amax(-1))
    distance, order = torch.cat(distances).sort()
    effect = torch.cat(effects)[order].double().cumsum(0)
    inside = int((effect < (1.0 - _STRAY) * effect[-1]).sum())
    return float(distance[min(inside, len(distance) - 1)]) + float(field.grid.cell_size.norm()) / 2


def _seen(cameras: Sequence[Camera], center: Tensor) -> float:
    """How far from the centre the outermost rays of any camera pass."""
    passing = []
    for camera in cameras:
        columns = torch.tensor([0, camera.width_px - 1, 0, camera.width_px - 1])
        rows = torch.tensor([0, 0, camera.height_px - 1, camera.height_px - 1])
        origins, directions = pixel_rays(camera, columns, rows)
        aside = torch.linalg.cross(origins - center, directions)
        passing.append(aside.norm(dim=-1) / directions.norm(dim=-1))
    return float(torch.cat(passing).max())


def _some_rays(
    cameras: Sequence[Camera], count: int, device: torch.device, tell: TellDone
) -> Iterator[tuple[Tensor, Tensor]]:
    """About `count` random rays of all cameras, by camera; of small pictures no more than they have
    pixels."""
    draw = torch.Generator().manual_seed(0)
    for camera in counted_off("looking for the scene", cameras, len(cameras), tell):
        n = min(max(64, count // len(cameras)), camera.width_px * camera.height_px)
        columns = torch.randint(camera.width_px, (n,), generator=draw)
        rows = torch.randint(camera.height_px, (n,), generator=draw)
        origins, directions = pixel_rays(camera, columns, rows)
        yield origins.to(device), directions.to(device)


def _hit_depths(
    cameras: Sequence[Camera], field: RadianceField, tell: TellDone
) -> tuple[float, float]:
    """Between which depths along the optical axis most rays of the cameras hit something."""
    device = field.grid.cells.device
    rays = _some_rays(cameras, _RAYS, device, tell)
    hit = torch.cat([field.depths(*some) for some in rays])
    hit = hit[hit.isfinite()]
    if not len(hit):
        return 0.1, 1.0
    near = float(hit.quantile(_QUANTILE)) / _MARGIN
    far = float(hit.quantile(1.0 - _QUANTILE)) * _MARGIN
    return max(near, 0.0), max(far, near + 1e-3)
