"""Which cells a radiance grid has: carved by the photographs, then dropped or divided as it learns.

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
from r2l_core.geometry.rays import projected
from r2l_core.model.radiance.field import RadianceField
from r2l_core.model.radiance.grid import Grid
from r2l_core.training.radiance.photographs import near_marked
from r2l_core.training.radiance.spaces import Extent
from r2l_core.training.runs import TellDone, counted_off, tell_nobody

_SEEN_ALPHA = 0.5 / 255
_HALF_DIAGONAL = math.sqrt(3.0) / 2.0


class Hull:
    """Where the photographs of a dataset are not transparent, or do not count: a byte a pixel."""

    def __init__(self, dataset: Dataset, tell: TellDone = tell_nobody) -> None:
        """Reads every picture. Raises DatasetError."""
        self._cameras = dataset.cameras
        self._tell = tell
        views = counted_off("reading outlines", range(len(dataset)), len(dataset), tell)
        self._solid = [_solid(dataset, index) for index in views]

    def carved(self, grid: Grid) -> Grid:
        """The grid, in world coordinates, without the cells that a photograph shows to be empty,
        and those that less than half of the cameras around it see: what is told by few may be
        anything. Cameras among the cells say nothing of any."""
        centers, size = grid.cell_centers(), float(grid.cell_size.max())
        kept = torch.arange(len(grid.cells), device=centers.device)
        seen_by = torch.zeros(len(grid.cells), device=centers.device)
        around = 0
        views = zip(self._cameras, self._solid, strict=True)
        for camera, solid in counted_off("carving", views, len(self._solid), self._tell):
            row, column, depth = projected(camera, centers[kept])
            reach_px = camera.focal_px * size * _HALF_DIAGONAL / max(float(depth.min()), size)
            reach = math.ceil(reach_px)
            if depth.min() <= 0 or 2 * reach >= min(solid.shape):
                continue  # the camera stands among the cells
            around += 1
            near = near_marked(solid.to(centers.device), reach).view(-1)
            column, row = column.round().long(), row.round().long()
            height, width = solid.shape
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            at = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
            seen_by[kept[inside]] += 1.0
            kept = kept[~inside | near[at]]
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


_OF_LARGEST = 0.2
"""Share of the largest weight that is worth keeping, where a short run has made all of them small.
"""

_MOST_OCCUPIED = 2_000_000
"""Cells, which take 300 bytes each with their values and what the optimiser keeps of them."""

_FEWEST_CELLS = 24
"""Along an axis to begin with, where the photographs are small."""

_EMPTY = -6.0
"""Raw density of vertices that are new: as good as nothing, but not without a gradient."""


def full_grid(extent: Extent, coarseness: float, device: torch.device) -> Grid:
    """All cells of the extent's box, up to `coarseness` times as long as its finest ones."""
    low, high = (torch.tensor(corner, device=device) for corner in (extent.low, extent.high))
    finest = float(((high - low) / torch.tensor(extent.finest, device=device)).min())
    coarseness = max(1.0, min(coarseness, finest / _FEWEST_CELLS))
    shape = _shape(low, high, replace(extent, most_cells=_MOST_OCCUPIED), coarseness)
    cells = torch.arange(math.prod(shape), device=device)
    return Grid(extent.space, extent.low, extent.high, shape, cells)


def grown_field(
    field: RadianceField,
    weight: Tensor,
    least: float,
    extent: Extent,
    coarseness: float,
    hull: Hull | None,
) -> RadianceField | None:
    """The field on finer cells about what is left: cells that a ray saw with a weight above
    `least`, and their neighbours. None where nothing is left.

    weight: float32, per occupied cell, the largest weight of a sample in it. coarseness: see
    `full_grid`. hull: where nothing can be, if that is known.
    """
    old = field.grid
    nx, ny, nz = old.shape
    mask = torch.zeros(nx * ny * nz, device=weight.device)
    mask[old.cells[weight > min(least, _OF_LARGEST * float(weight.max()))]] = 1.0
    if not mask.any():
        return None
    mask = functional.max_pool3d(mask.view(1, 1, nx, ny, nz), 3, 1, 1)[0, 0]
    low, high = _bounds(old, mask)
    finest = torch.tensor(extent.finest, device=low.device)
    coarseness = min(coarseness, float((old.cell_size / finest).min()))
    shape = _shape(low, high, extent, coarseness)
    kept = _kept_cells(old, mask, low, high, shape)
    if len(kept) > _MOST_OCCUPIED:
        shape = _shape(low, high, extent, coarseness * (len(kept) / _MOST_OCCUPIED) ** (1 / 3))
        kept = _kept_cells(old, mask, low, high, shape)
    grid = Grid(old.space, _triple(low), _triple(high), shape, kept)
    if hull is not None:
        grid = hull.carved(grid)
    new = RadianceField(grid, field.background_rgb)
    new.color.load_state_dict(field.color.state_dict())
    with torch.no_grad():
        places = grid.vertex_positions()
        new.density.copy_(_moved(old, field.density, places, _EMPTY))
        new.features.copy_(_moved(old, field.features, places, 0.0))
    return new


def _shape(low: Tensor, high: Tensor, extent: Extent, coarseness: float) -> tuple[int, int, int]:
    finest = torch.tensor(extent.finest, device=low.device)
    wanted = (high - low) / (finest * coarseness)
    wanted = wanted * min(1.0, (extent.most_cells / float(wanted.prod())) ** (1 / 3))
    nx, ny, nz = (max(4, round(float(count))) for count in wanted)
    return nx, ny, nz


def _triple(values: Tensor) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def _bounds(grid: Grid, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The box around the marked cells."""
    place = mask.nonzero()
    low = torch.tensor(grid.low, device=mask.device)
    return low + place.amin(0) * grid.cell_size, low + (place.amax(0) + 1) * grid.cell_size


def _kept_cells(
    old: Grid, mask: Tensor, low: Tensor, high: Tensor, shape: tuple[int, int, int]
) -> Tensor:
    """Flat numbers of the new cells whose centre lies in a marked old one."""
    axes = []
    for axis in range(3):
        size = (high[axis] - low[axis]) / shape[axis]
        center = low[axis] + (torch.arange(shape[axis], device=mask.device) + 0.5) * size
        place = ((center - old.low[axis]) / old.cell_size[axis]).floor().long()
        axes.append(place.clamp(0, old.shape[axis] - 1))
    x, y, z = axes
    kept = mask[x][:, y][:, :, z] > 0
    return kept.reshape(-1).nonzero().squeeze(-1)


def _moved(old: Grid, table: Tensor, places: Tensor, empty: float) -> Tensor:
    """Values of a table at places (N, 3), interpolated, a channel at a time to save memory."""
    nx, ny, nz = old.shape
    low = torch.tensor(old.low, device=places.device)
    high = torch.tensor(old.high, device=places.device)
    # grid_sample wants (Z, Y, X) in [-1, 1] of a volume stored X first.
    at = ((places - low) / (high - low) * 2.0 - 1.0).flip(-1).view(1, 1, 1, -1, 3)
    channels = []
    for channel in range(table.shape[1]):
        volume = torch.full(((nx + 1) * (ny + 1) * (nz + 1),), empty, device=places.device)
        volume[old.vertices] = table[:, channel]
        volume = volume.view(1, 1, nx + 1, ny + 1, nz + 1)
        channels.append(
            functional.grid_sample(volume, at, align_corners=True, padding_mode="border").view(-1)
        )
    return torch.stack(channels, -1)
