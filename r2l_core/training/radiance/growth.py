"""How a radiance grid gets finer: empty cells are dropped, the others are divided."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.model.radiance.field import RadianceField
from r2l_core.model.radiance.grid import Grid
from r2l_core.model.radiance.space import Space

_EMPTY = -6.0
"""Raw density of vertices that are new: as good as nothing, but not without a gradient."""


def full_grid(space: Space, low: Tensor, high: Tensor, n_cells: int) -> Grid:
    """All cells of a box occupied, about `n_cells` of them, nearly cubes."""
    shape = _shape(low, high, n_cells)
    cells = torch.arange(math.prod(shape), device=low.device)
    return Grid(space, _triple(low), _triple(high), shape, cells)


def grown_field(field: RadianceField, weight: Tensor, n_cells: int, least: float) -> RadianceField:
    """The field on a finer grid about what is left: cells that a ray saw with a weight above
    `least`, and their neighbours.

    weight: float32, per occupied cell, the largest weight of a sample in it. n_cells: of the new
    box, the empty ones included.
    """
    old = field.grid
    nx, ny, nz = old.shape
    mask = torch.zeros(nx * ny * nz, device=weight.device)
    mask[old.cells[weight > least]] = 1.0
    if not mask.any():
        raise FloatingPointError("the radiance field is empty everywhere")
    mask = functional.max_pool3d(mask.view(1, 1, nx, ny, nz), 3, 1, 1)[0, 0]
    low, high = _bounds(old, mask)
    shape = _shape(low, high, n_cells)
    grid = Grid(old.space, _triple(low), _triple(high), shape, _kept_cells(old, mask, low, high, shape))
    new = RadianceField(grid, field.background_rgb)
    new.color.load_state_dict(field.color.state_dict())
    with torch.no_grad():
        places = grid.vertex_positions()
        new.density.copy_(_moved(old, field.density, places, _EMPTY))
        new.features.copy_(_moved(old, field.features, places, 0.0))
    return new


def _shape(low: Tensor, high: Tensor, n_cells: int) -> tuple[int, int, int]:
    size = high - low
    side = (float(size.prod()) / n_cells) ** (1 / 3)
    nx, ny, nz = (max(4, round(float(extent) / side)) for extent in size)
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
