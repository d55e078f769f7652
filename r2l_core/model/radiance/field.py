"""The radiance field: density and features at the vertices of a grid, and a small colour network.

Like direct voxel grid optimisation (Sun et al., "Direct Voxel Grid Optimization", CVPR 2022), with
values only where something is: a row for every vertex of an occupied cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from r2l_core.model.radiance.grid import STEP, Grid, Samples

N_FEATURES = 12
VIEW_OCTAVES = 4
HIDDEN = 64

MIN_WEIGHT = 1e-4
"""Samples that contribute less to their pixel need no colour."""

_SHIFT = 5.0
"""Softplus of a raw density of 0 minus this is nearly empty: less than 1 % a cell."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """colors: float32 (N, 3). opacity: float32 (N,), how much of the background is hidden.
    weights: float32 (M,), each sample's share in its pixel."""

    colors: Tensor
    opacity: Tensor
    weights: Tensor


class RadianceField(nn.Module):
    """World rays, float32 (N, 3) each, to sRGB colours, float32 (N, 3)."""

    def __init__(self, grid: Grid, background_rgb: tuple[float, float, float]) -> None:
        super().__init__()
        self.grid = grid
        self.background_rgb = background_rgb
        device = grid.cells.device
        self.density = nn.Parameter(torch.zeros(grid.n_rows, 1, device=device))
        self.features = nn.Parameter(torch.zeros(grid.n_rows, N_FEATURES, device=device))
        self.color = nn.Sequential(
            nn.Linear(N_FEATURES + 3 + 6 * VIEW_OCTAVES, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 3),
        ).to(device)
        nn.init.zeros_(self.color[-1].bias)

    def forward(
        self, origins: Tensor, directions: Tensor, jitter: Tensor | None = None
    ) -> tuple[Rendered, Samples]:
        """Colours, and the samples they were made of. jitter: see `Grid.samples`."""
        samples = self.grid.samples(origins, directions, jitter)
        weights, opacity = self.weights(samples)
        seen = (weights.detach() > MIN_WEIGHT).nonzero().squeeze(-1)
        ray = samples.ray[seen]
        features = _interpolated(self.features, samples.corners[seen], samples.weights[seen])
        views = _encoded_views(functional.normalize(directions, dim=-1))
        with torch.autocast(origins.device.type, dtype=torch.bfloat16):
            rgb = self.color(torch.cat([features, views[ray]], -1)).float().sigmoid()
        background = torch.tensor(self.background_rgb, device=origins.device)
        colors = (1.0 - opacity[:, None]) * background
        colors = colors.index_add(0, ray, weights[seen][:, None] * rgb)
        return Rendered(colors, opacity, weights), samples

    def weights(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Share of every sample in its pixel (M,), and opacity of every ray (N,)."""
        raw = _interpolated(self.density, samples.corners, samples.weights).squeeze(-1)
        depth = functional.softplus(raw - _SHIFT) * STEP
        # Optical depth up to and including each sample; in float64 because it runs over all rays.
        through = depth.double().cumsum(0)
        count = torch.bincount(samples.ray, minlength=samples.n_rays)
        end = count.cumsum(0)
        padded = functional.pad(through, (1, 0))
        before_ray, after_ray = padded[end - count], padded[end]
        before = through - depth - before_ray[samples.ray]
        weights = torch.exp(-before.float()) * (1.0 - torch.exp(-depth))
        return weights, 1.0 - torch.exp(-(after_ray - before_ray).float())


class _Interpolation(torch.autograd.Function):
    """Weighted sums of eight rows each; the usual gradient of an embedding bag sorts, and takes
    twice as long."""

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:  # type: ignore
        ctx.save_for_backward(rows, weights)
        ctx.table_shape = table.shape
        return functional.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore
        rows, weights = ctx.saved_tensors
        parts = gradient[:, None, :] * weights[:, :, None]
        table = torch.zeros(ctx.table_shape, device=gradient.device)
        if table.shape[1] == 1:
            table.view(-1).index_add_(0, rows.view(-1), parts.view(-1))
        else:
            index = rows.view(-1, 1).long().expand(-1, table.shape[1])
            table.scatter_add_(0, index, parts.view(-1, table.shape[1]))
        return table, None, None


def _interpolated(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    result: Tensor = _Interpolation.apply(table, rows, weights)
    return result


def _encoded_views(unit: Tensor) -> Tensor:
    """`[d, sin 2^k d, cos 2^k d]`: (N, 3) -> (N, 3 + 6 * VIEW_OCTAVES)."""
    parts = [unit]
    for octave in range(VIEW_OCTAVES):
        parts += [(unit * 2**octave).sin(), (unit * 2**octave).cos()]
    return torch.cat(parts, -1)
