"""Photographs as a pool of training rays."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.datasets import Dataset
from r2l_core.errors import DatasetError
from r2l_core.model.radiance.grid import Grid

_CHUNK_RAYS = 4096


class Photographs:
    """All pixels of a dataset's views, three bytes each: 100 views of 800x800 take 192 MB.

    Those that a mask leaves out, or that a lens has not seen, are known too (`that_count`): nothing
    is to be learned of them.
    """

    def __init__(self, dataset: Dataset, device: torch.device | str = "cpu") -> None:
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
        for index, (start, end) in enumerate(zip(self._starts, self._ends, strict=True)):
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

    def sparse(self, stride: int) -> Iterator[tuple[range, int, Tensor]]:
        """Per view: its pixels, its width, and the pixels (int64, (rows, columns)) of every
        `stride`-th row and column."""
        for start, camera in zip(self._starts.tolist(), self._cameras, strict=True):
            rows = torch.arange(0, camera.height_px, stride)
            columns = torch.arange(0, camera.width_px, stride)
            end = start + camera.width_px * camera.height_px
            pixels = start + rows[:, None] * camera.width_px + columns
            yield range(start, end), camera.width_px, pixels.to(self._colors.device)


@torch.no_grad()
def live_pixels(photographs: Photographs, grid: Grid) -> Tensor:
    """Pixels that count and whose rays may meet an occupied cell, int32 (N,); all others are
    background for ever, or nothing is known of them.

    Every fourth row and column is looked at, and what lies between.
    """
    device = photographs.device
    if len(grid.cells) == len(grid.number):
        pixels = torch.arange(len(photographs), dtype=torch.int32, device=device)
        return pixels[photographs.that_count(pixels)]
    stride, kept = 4, []
    for view, width_px, sparse in photographs.sparse(stride):
        hit = torch.zeros(sparse.numel(), device=device)
        for rows in torch.split(torch.arange(sparse.numel(), device=device), _CHUNK_RAYS):
            samples = grid.samples(*photographs.rays(sparse.view(-1)[rows]))
            hit[rows] = (torch.bincount(samples.ray, minlength=len(rows)) > 0).float()
        near = functional.max_pool2d(hit.view(1, 1, *sparse.shape), 3, 1, 1)
        live = functional.interpolate(near, scale_factor=stride)[0, 0]
        live = live[: len(view) // width_px, :width_px].reshape(-1)
        kept.append((view.start + live.nonzero().squeeze(-1)).int())
    pixels = torch.cat(kept)
    return pixels[photographs.that_count(pixels)]
