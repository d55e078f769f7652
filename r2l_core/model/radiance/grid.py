"""Which cells of a grid hold anything, and where rays meet them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.model.radiance.space import Space

STEP = 0.5
"""Between samples along a ray, in cells."""

_RUN = 8
"""Samples that are looked for, or skipped, together."""

_BLOCK = 4
"""Cells a side of the blocks by which empty space is skipped."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Points on rays that lie in occupied cells, ordered by ray and depth.

    ray, cell: int64 (M,). depth: float32 (M,), along the rays in this space. corners: int32
    (M, 8), rows of the vertices around each point; weights: float32 (M, 8), their trilinear shares.
    n_rays: rays asked about, those that met nothing as
    well.
    """

    ray: Tensor
    cell: Tensor
    depth: Tensor
    corners: Tensor
    weights: Tensor
    n_rays: int


class Grid:
    """A box of cells, some of them occupied; vertices of occupied cells are numbered as rows.

    low, high: the box's corners in the space's coordinates. shape: cells along X, Y and Z.
    cells: int64 (n,), ascending flat numbers of the occupied cells.
    """

    def __init__(
        self,
        space: Space,
        low: tuple[float, float, float],
        high: tuple[float, float, float],
        shape: tuple[int, int, int],
        cells: Tensor,
    ) -> None:
        self.space, self.low, self.high, self.shape, self.cells = space, low, high, shape, cells
        device = cells.device
        self._low = torch.tensor(low, device=device)
        self._high = torch.tensor(high, device=device)
        self._shape = torch.tensor(shape, device=device)
        self.cell_size = (self._high - self._low) / self._shape
        nx, ny, nz = shape
        self.number = torch.full((nx * ny * nz,), -1, dtype=torch.int32, device=device)
        self.number[cells] = torch.arange(len(cells), dtype=torch.int32, device=device)
        vertices = self._vertex(self._place(cells)[:, None, :] + _corner_offsets(device))
        self.vertices, rows = torch.unique(vertices, return_inverse=True)
        self.corners = rows.to(torch.int32)
        occupied = (self.number >= 0).view(1, 1, nx, ny, nz).float()
        blocks = functional.max_pool3d(occupied, _BLOCK, ceil_mode=True)
        self._block_shape = blocks.shape[2:]
        # A run of samples reaches half its length to either side of the point that is looked at.
        self._blocks = (functional.max_pool3d(blocks, 3, 1, 1) > 0).reshape(-1)

    @property
    def n_rows(self) -> int:
        """Vertices that carry values."""
        return len(self.vertices)

    def _place(self, cells: Tensor) -> Tensor:
        _, ny, nz = self.shape
        return torch.stack([cells // (ny * nz), cells // nz % ny, cells % nz], -1)

    def _vertex(self, place: Tensor) -> Tensor:
        _, ny, nz = self.shape
        return (place[..., 0] * (ny + 1) + place[..., 1]) * (nz + 1) + place[..., 2]

    def vertex_positions(self) -> Tensor:
        """Of every row, in the space's coordinates, float32 (n_rows, 3)."""
        _, ny, nz = self.shape
        v = self.vertices
        step = (ny + 1) * (nz + 1)
        place = torch.stack([v // step, v // (nz + 1) % (ny + 1), v % (nz + 1)], -1)
        return self._low + place * self.cell_size

    def cell_centers(self) -> Tensor:
        """Of every occupied cell, in the space's coordinates, float32 (n, 3)."""
        return self._low + (self._place(self.cells) + 0.5) * self.cell_size

    def _scaled(self, points: Tensor) -> Tensor:
        return (points - self._low) / self.cell_size

    def _cell_of(self, scaled: Tensor) -> Tensor:
        """Number of the occupied cell around each point, -1 where there is none."""
        _, ny, nz = self.shape
        place = scaled.floor().long()
        inside = ((place >= 0) & (place < self._shape)).all(-1)
        flat = (place[:, 0] * ny + place[:, 1]) * nz + place[:, 2]
        return torch.where(inside, self.number[flat.clamp(0, len(self.number) - 1)], -1)

    @torch.no_grad()
    def samples(self, origins: Tensor, directions: Tensor, jitter: Tensor | None = None) -> Samples:
        """Where world rays, float32 (N, 3) each, pass through occupied cells.

        jitter: shift of each ray's samples in steps, float32 (N,) in [0, 1); 0.5 where None.
        """
        start, way = self.space.rays(origins, directions)
        first, step, n_runs = self._extent(start, way)
        most = int(n_runs.max()) if len(n_runs) else 0
        runs = torch.arange(most, device=origins.device)
        depth = self._depths(first, step, (runs[None, :] + 0.5) * _RUN)
        middle = self.space.warped(start[:, None, :] + depth[..., None] * way[:, None, :])
        live = self._block_at(middle) & (runs[None, :] < n_runs[:, None])
        ray, run = live.nonzero(as_tuple=True)
        shift = 0.5 if jitter is None else jitter[ray][:, None]
        steps = run[:, None] * _RUN + torch.arange(_RUN, device=ray.device) + shift
        depth = self._depths(first[ray], step[ray], steps)
        points = self.space.warped(start[ray][:, None, :] + depth[..., None] * way[ray][:, None, :])
        scaled = self._scaled(points.reshape(-1, 3))
        number = self._cell_of(scaled)
        kept = (number >= 0).nonzero().squeeze(-1)
        cell = number[kept].long()
        part = scaled[kept]
        part = part - part.floor()
        x, y, z = (torch.stack([1.0 - p, p], -1) for p in part.unbind(-1))
        weights = (x[:, :, None, None] * y[:, None, :, None] * z[:, None, None, :]).view(-1, 8)
        ray = ray[torch.div(kept, _RUN, rounding_mode="floor")]
        depth = depth.reshape(-1)[kept]
        return Samples(ray, cell, depth, self.corners[cell], weights, len(origins))

    def _extent(self, start: Tensor, way: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Depth of each ray's first step, depth of a step, and its number of runs."""
        if self.space.kind == "contracted":
            runs = round(self._contracted_steps / _RUN) + 1
            n_runs = torch.full((len(start),), runs, device=start.device)
            zeros = torch.zeros(len(start), device=start.device)
            return zeros, zeros, n_runs
        inverse = 1.0 / torch.where(way.abs() < 1e-9, 1e-9, way)
        a, b = (self._low - start) * inverse, (self._high - start) * inverse
        near, far = (0.0, 1.0) if self.space.kind == "ndc" else (0.0, float("inf"))
        first = torch.minimum(a, b).amax(-1).clamp_min(near)
        last = torch.maximum(a, b).amin(-1).clamp_max(far)
        step = STEP / (way / self.cell_size).norm(dim=-1)
        n_runs = ((last - first) / (step * _RUN)).ceil().clamp(0, 1e4).long()
        return first, step, n_runs

    def _depths(self, first: Tensor, step: Tensor, steps: Tensor) -> Tensor:
        """After a number of steps (N or 1, S) along the rays: (N, S)."""
        if self.space.kind == "contracted":
            share = (steps / self._contracted_steps).clamp_max(1.0)
            return self.space.depths(share).expand(len(first), -1)
        return first[:, None] + steps * step[:, None]

    @property
    def _contracted_steps(self) -> float:
        """The space is 4 wide: a ray crosses it at most about once."""
        return 4.0 / float(self.cell_size.min()) / STEP

    def _block_at(self, points: Tensor) -> Tensor:
        """Whether anything is near: bool (...,) of points (..., 3)."""
        x, y, z = (
            ((points[..., axis] - self.low[axis]) * float(1.0 / (_BLOCK * self.cell_size[axis])))
            .long()
            .clamp_(0, self._block_shape[axis] - 1)
            for axis in range(3)
        )
        _, by, bz = self._block_shape
        return self._blocks[(x * by + y) * bz + z]


def _corner_offsets(device: torch.device) -> Tensor:
    """Of a cell's eight vertices, Z fastest: int64 (8, 3)."""
    return torch.cartesian_prod(*(torch.arange(2, device=device) for _ in range(3)))
