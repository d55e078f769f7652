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

_SEEN_ALPHA = 0.5 / 255


def carved(dataset: Dataset, cells: Tensor, centers: Tensor, cell_size: float) -> Tensor:
    """Those of the cells, int64 (n,) with centres float32 (n, 3) in world units, that no photograph
    shows to be empty; all of them where the photographs have no transparency."""
    if dataset.background is None:
        return cells
    kept = torch.ones(len(cells), dtype=torch.bool)
    for index, camera in enumerate(dataset.cameras):
        alpha = _alpha(dataset, index)
        pose = torch.from_numpy(camera.T_world_camera.copy()).float()
        rows = kept.nonzero().squeeze(-1)
        local = (centers[rows] - pose[:3, 3]) @ pose[:3, :3]
        depth = -local[:, 2]
        # Half a cell's diagonal, at the nearest depth, in pixels.
        reach = camera.focal_px * cell_size * 0.87 / max(float(depth.min()), cell_size)
        side = 2 * math.ceil(reach) + 1
        if depth.min() <= 0 or side > 2 * min(alpha.shape):
            continue  # the camera stands among the cells
        solid = functional.max_pool2d((alpha > _SEEN_ALPHA).float()[None, None], side, 1, side // 2)
        column = (local[:, 0] / depth * camera.focal_px + camera.center_px[0]).round().long()
        row = (-local[:, 1] / depth * camera.fy_px + camera.center_px[1]).round().long()
        height, width = alpha.shape
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        at = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        kept[rows[inside & (solid.view(-1)[at] == 0)]] = False
    return cells[kept]


def _alpha(dataset: Dataset, index: int) -> Tensor:
    """A photograph's opacity, float32 (H, W): what changes when the background does."""
    white = torch.from_numpy(replace(dataset, background=WHITE).image(index)[..., 1])
    black = torch.from_numpy(replace(dataset, background=BLACK).image(index)[..., 1])
    return 1.0 - (white - black)
