"""What transparent photographs tell before any training: where nothing can be.

A cell whose surroundings are fully transparent in one photograph is empty (the visual hull,
Laurentini, PAMI 1994).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.datasets import Dataset
from r2l_core.datasets.base import BLACK, WHITE
from r2l_core.model.radiance.grid import Grid

_SEEN_ALPHA = 0.5 / 255
_HALF_DIAGONAL = math.sqrt(3.0) / 2.0


class Hull:
    """Where the photographs of a dataset are not transparent, or do not count: a byte a pixel."""

    def __init__(self, dataset: Dataset) -> None:
        """Reads every picture. Raises DatasetError."""
        self._cameras = dataset.cameras
        self._solid = [_solid(dataset, index) for index in range(len(dataset))]

    def carved(self, grid: Grid) -> Grid:
        """The grid, in world coordinates, without the cells that a photograph shows to be empty,
        and those that less than half of the cameras around it see: what is told by few may be
        anything. Cameras among the cells say nothing of any."""
        centers, size = grid.cell_centers(), float(grid.cell_size.max())
        kept = torch.arange(len(grid.cells), device=centers.device)
        seen_by = torch.zeros(len(grid.cells), device=centers.device)
        around = 0
        for camera, solid in zip(self._cameras, self._solid, strict=True):
            pose = torch.tensor(camera.T_world_camera.tolist(), device=centers.device)
            local = (centers[kept] - pose[:3, 3]) @ pose[:3, :3]
            depth = -local[:, 2]
            reach_px = camera.focal_px * size * _HALF_DIAGONAL / max(float(depth.min()), size)
            side = 2 * math.ceil(reach_px) + 1
            if depth.min() <= 0 or side > min(solid.shape):
                continue  # the camera stands among the cells
            around += 1
            near = functional.max_pool2d(solid.float()[None, None], side, 1, side // 2).view(-1)
            near = near.to(centers.device)
            column = local[:, 0] / depth * camera.focal_px + camera.center_px[0]
            row = -local[:, 1] / depth * camera.fy_px + camera.center_px[1]
            column, row = column.round().long(), row.round().long()
            height, width = solid.shape
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            at = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            seen_by[kept[inside]] += 1.0
            kept = kept[~inside | (near[at] > 0)]
        kept = kept[seen_by[kept] >= 0.5 * around]
        return Grid(grid.space, grid.low, grid.high, grid.shape, grid.cells[kept])


def _solid(dataset: Dataset, index: int) -> Tensor:
    """Where something can be: bool (H, W). Of pixels that do not count nothing is known."""
    solid = _alpha(dataset, index) > _SEEN_ALPHA
    counted = dataset.counted(index)
    return solid if counted is None else solid | ~torch.from_numpy(counted)


def _alpha(dataset: Dataset, index: int) -> Tensor:
    """A photograph's opacity, float32 (H, W): what does not change when the background does."""
    white = torch.from_numpy(replace(dataset, background=WHITE).image(index)[..., 1])
    black = torch.from_numpy(replace(dataset, background=BLACK).image(index)[..., 1])
    return 1.0 - (white - black)
