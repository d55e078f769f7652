"""Photographs as a pool of training rays."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from r2l_core.datasets import Dataset
from r2l_core.errors import DatasetError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import projected
from r2l_core.model.radiance.grid import Grid
from r2l_core.training.runs import TellDone, counted_off, tell_nobody

_CHUNK_RAYS = 4096
_SPARSE = 4
"""Rows and columns apart are the rays that are followed where nothing else can be told."""


class Photographs:
    """All pixels of a dataset's views, three bytes each: 100 views of 800x800 take 192 MB.

    Those that a mask leaves out, or that a lens has not seen, are known too (`that_count`): nothing
    is to be learned of them.
    """

    def __init__(
        self, dataset: Dataset, device: torch.device | str = "cpu", tell: TellDone = tell_nobody
    ) -> None:
        """Reads every picture and mask. Raises DatasetError: also where no pixel counts."""
        cameras = dataset.cameras
        poses = torch.tensor([c.T_world_camera.tolist() for c in cameras], dtype=torch.float64)
        self._rotations = poses[:, :3, :3].float()
        self._origins = poses[:, :3, 3].float()
        self._widths = torch.tensor([c.width_px for c in cameras])
        # focal along columns and rows, and the principal point, in pixels
        self._lens = torch.tensor(
            [(c.focal_px, c.fy_px, *c.center_px) for c in cameras], dtype=torch.float32
        )
        sizes = torch.tensor([c.width_px * c.height_px for c in cameras])
        self._ends = sizes.cumsum(0)
        self._starts = self._ends - sizes
        self._cameras = cameras
        self._colors = torch.empty(int(self._ends[-1]), 3, dtype=torch.uint8)
        self._counted = torch.ones(len(self._colors), dtype=torch.bool)
        views = enumerate(zip(self._starts, self._ends, strict=True))
        for index, (start, end) in counted_off("reading photographs", views, len(dataset), tell):
            image = torch.from_numpy(dataset.image(index)).mul_(255.0).round_()
            self._colors[start:end] = image.to(torch.uint8).view(-1, 3)
            counted = dataset.counted(index)
            if counted is not None:
                self._counted[start:end] = torch.from_numpy(counted).view(-1)
        self.n_counted = int(self._counted.count_nonzero())
        if not self.n_counted:
            raise DatasetError(
                f"The dataset {dataset.name} cannot be learned from",
                "its masks leave out every pixel of every photograph",
                "Masks are bright where a photograph counts: invert them, or take them out.",
            )
        moved = ("_rotations", "_origins", "_widths", "_lens", "_ends", "_starts", "_colors")
        for name in (*moved, "_counted"):
            setattr(self, name, getattr(self, name).to(device))

    def __len__(self) -> int:
        return len(self._colors)

    @property
    def n_views(self) -> int:
        """How many photographs."""
        return len(self._cameras)

    @property
    def device(self) -> torch.device:
        """Where the rays are."""
        return self._colors.device

    def rays(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Of pixels, int64 (N,) over all views: origins and directions, float32 (N, 3)."""
        view = torch.searchsorted(self._ends, pixels, right=True)
        place = pixels - self._starts[view]
        row = torch.div(place, self._widths[view], rounding_mode="floor")
        column = place - row * self._widths[view]
        fx, fy, cx, cy = self._lens[view].unbind(-1)
        x, y = (column - cx) / fx, -(row - cy) / fy
        rotation = self._rotations[view]
        directions = rotation[:, :, 0] * x[:, None] + rotation[:, :, 1] * y[:, None]
        return self._origins[view], directions - rotation[:, :, 2]

    def that_count(self, pixels: Tensor) -> Tensor:
        """Of pixels, int64 (...): bool of that shape, whether something can be learned of each."""
        return self._counted[pixels]

    def colors(self, pixels: Tensor) -> Tensor:
        """Of pixels, int64 (N,): float32 (N, 3) in [0, 1]."""
        return self._colors[pixels].float() / 255.0

    def sparse(self, stride: int) -> Iterator[tuple[range, Camera, Tensor]]:
        """Per view: its pixels, its camera, and the pixels (int64, (rows, columns)) of every
        `stride`-th row and column."""
        for start, camera in zip(self._starts.tolist(), self._cameras, strict=True):
            rows = torch.arange(0, camera.height_px, stride)
            columns = torch.arange(0, camera.width_px, stride)
            end = start + camera.width_px * camera.height_px
            pixels = start + rows[:, None] * camera.width_px + columns
            yield range(start, end), camera, pixels.to(self._colors.device)


def near_marked(marked: Tensor, reach: int) -> Tensor:
    """Which pixels have a marked one at most `reach` rows and columns away: bool (H, W) of bool.

    By counts of marked pixels, which take no longer for a long reach.
    """
    for axis in (0, 1):
        size = marked.shape[axis]
        at = torch.arange(size, device=marked.device)
        none = torch.zeros_like(marked.narrow(axis, 0, 1), dtype=torch.int32)
        before = torch.cat([none, marked.cumsum(axis, dtype=torch.int32)], axis)
        until = before.index_select(axis, (at + reach + 1).clamp_max(size))
        marked = until > before.index_select(axis, (at - reach).clamp_min(0))
    return marked


@torch.no_grad()
def live_pixels(photographs: Photographs, grid: Grid, tell: TellDone = tell_nobody) -> Tensor:
    """Pixels that count and whose rays may meet an occupied cell, int32 (N,); all others are
    background for ever, or nothing is known of them."""
    device = photographs.device
    if len(grid.cells) == len(grid.number):
        pixels = torch.arange(len(photographs), dtype=torch.int32, device=device)
        return pixels[photographs.that_count(pixels)]
    centers, kept = grid.cell_centers(), []
    views, doing = photographs.sparse(_SPARSE), "looking for what shows something"
    for view, camera, sparse in counted_off(doing, views, photographs.n_views, tell):
        live = _shown(camera, grid, centers) if grid.space.kind == "box" else None
        if live is None:
            live = _met(photographs, grid, sparse)[: camera.height_px, : camera.width_px]
        kept.append((view.start + live.reshape(-1).nonzero().squeeze(-1)).int())
    pixels = torch.cat(kept)
    return pixels[photographs.that_count(pixels)]


def _shown(camera: Camera, grid: Grid, centers: Tensor) -> Tensor | None:
    """Where a picture may show any of the cells with these centres, in world coordinates: bool
    (H, W). None where the camera is as good as among them."""
    row, column, depth = projected(camera, centers)
    radius = float(grid.cell_size.norm()) / 2.0
    nearest = float(depth.min()) - radius
    if nearest <= radius:
        return None
    # What is off the axis moves with its depth as well.
    across = (column - camera.center_px[0]).abs().max() / camera.focal_px
    along = (row - camera.center_px[1]).abs().max() / camera.fy_px
    aside = math.hypot(1.0, float(across), float(along))
    reach = math.ceil(max(camera.focal_px, camera.fy_px) * radius * aside / nearest) + 1
    # With a rim in which lie the centres of cells that are only seen in part.
    height, width = camera.height_px + 2 * reach, camera.width_px + 2 * reach
    row, column = row.round().long() + reach, column.round().long() + reach
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    marked = torch.zeros(height * width, dtype=torch.bool, device=centers.device)
    marked[row[inside] * width + column[inside]] = True
    return near_marked(marked.view(height, width), reach)[reach:-reach, reach:-reach]


def _met(photographs: Photographs, grid: Grid, sparse: Tensor) -> Tensor:
    """Where rays meet occupied cells, and what lies between those that were followed: bool, at
    least as large as the picture of whose pixels `sparse` are."""
    hit = torch.zeros(sparse.numel(), dtype=torch.bool, device=sparse.device)
    for rows in torch.split(torch.arange(sparse.numel(), device=sparse.device), _CHUNK_RAYS):
        samples = grid.samples(*photographs.rays(sparse.view(-1)[rows]))
        hit[rows] = torch.bincount(samples.ray, minlength=len(rows)) > 0
    near = near_marked(hit.view(sparse.shape), 1)
    return near.repeat_interleave(_SPARSE, 0).repeat_interleave(_SPARSE, 1)
