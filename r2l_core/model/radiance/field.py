"""The radiance field: density and features at the vertices of a grid, and a small colour network.

Like direct voxel grid optimisation (Sun et al., "Direct Voxel Grid Optimization", CVPR 2022), with
values only where something is: a row for every vertex of an occupied cell.

With its scene it is a teacher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.radiance.grid import STEP, Grid, Samples
from r2l_core.types import RayMode

N_FEATURES = 12
VIEW_OCTAVES = 4
HIDDEN = 64

MIN_WEIGHT = 1e-3
"""Samples that contribute less to their pixel need no colour."""

_COLOR_ROWS = 4096
_GPU_COLOR_ROWS = 2**17
"""Samples that are coloured together: few stay in a processor's cache, many fill a GPU."""

_TRAINED_ROWS = 1024
"""Samples that are coloured in training come in multiples of this."""

_SHIFT = 5.0
"""Softplus of a raw density of 0 minus this is nearly empty: less than 1 % a cell."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """colors: float32 (N, 3). opacity: float32 (N,), how much of the background is hidden.
    sample_ray, sample_depth, sample_weight, sample_rgb: (M,), (M,), (M,) and (M, 3): the samples
    that are seen, each with its ray, where on it, its share in the ray's colour, and its own one.
    """

    colors: Tensor
    opacity: Tensor
    sample_ray: Tensor
    sample_depth: Tensor
    sample_weight: Tensor
    sample_rgb: Tensor


class RadianceField(nn.Module):
    """World rays, float32 (N, 3) each, to sRGB colours, float32 (N, 3).

    training_dtype: in which samples are coloured in training mode.
    """

    training_dtype: torch.dtype = torch.bfloat16

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

    def forward(
        self,
        origins: Tensor,
        directions: Tensor,
        jitter: Tensor | None = None,
        view_noise: Tensor | None = None,
    ) -> Rendered:
        """jitter: see `Grid.samples`. view_noise: (N, 3), added to the unit directions that the
        colours are told, so that they cannot tell single photographs apart.

        In evaluation mode a ray's colour does not depend, to the last bit, on what other rays are
        asked beside it.
        """
        samples = self.grid.samples(origins, directions, jitter)
        weights, opacity = self.weights(samples)
        seen = (weights.detach() > MIN_WEIGHT).nonzero().squeeze(-1)
        ray = samples.ray[seen]
        features = _interpolated(self.features, samples.corners[seen], samples.weights[seen])
        views = functional.normalize(directions, dim=-1)
        if view_noise is not None:
            views = functional.normalize(views + view_noise, dim=-1)
        views = _encoded_views(views)
        rgb = self._colors(torch.cat([features, views[ray]], -1))
        background = torch.tensor(self.background_rgb, device=origins.device)
        colors = (1.0 - opacity[:, None]) * background
        weight = weights[seen]
        colors = colors.index_add(0, ray, weight[:, None] * rgb)
        return Rendered(colors, opacity, ray, samples.depth[seen], weight, rgb)

    @torch.no_grad()
    def depths(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Of what world rays hit, along them, float32 (N,); infinite where they go through."""
        samples = self.grid.samples(origins, directions)
        weights, opacity = self.weights(samples)
        total = torch.zeros_like(opacity).index_add(0, samples.ray, weights * samples.depth)
        depth = self.grid.space.world_depths(total / opacity.clamp_min(1e-9))
        return torch.where(opacity > 0.5, depth, torch.inf)

    def moved(self, device: torch.device) -> RadianceField:
        """The same field on a device: the grid's tables go with the weights."""
        grid = self.grid
        cells = grid.cells.to(device)
        self.grid = Grid(grid.space, grid.low, grid.high, grid.shape, cells)
        return self.to(device)

    def weights(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """Share of every sample in its pixel (M,), and opacity of every ray (N,)."""
        raw = _interpolated(self.density, samples.corners, samples.weights).squeeze(-1)
        depth = functional.softplus(raw - _SHIFT) * STEP
        count = torch.bincount(samples.ray, minlength=samples.n_rays)
        first = count.cumsum(0) - count
        place = torch.arange(len(depth), device=depth.device) - first[samples.ray]
        most = int(count.max()) if len(count) else 0
        # One row a ray, so that the sums of one ray know nothing of another.
        table = depth.new_zeros(samples.n_rays, most + 1)
        table = table.index_put((samples.ray, place + 1), depth)
        through = table.cumsum(1)
        before = through[samples.ray, place]
        weights = torch.exp(-before) * (1.0 - torch.exp(-depth))
        return weights, 1.0 - torch.exp(-through[:, -1])

    def _colors(self, inputs: Tensor) -> Tensor:
        if self.training:
            # A processor makes its kernels anew for every number of rows, which takes longer than
            # to use them: there are few numbers.
            rows = functional.pad(inputs, (0, 0, 0, -len(inputs) % _TRAINED_ROWS))
            narrow = self.training_dtype != torch.float32
            with torch.autocast(inputs.device.type, self.training_dtype, enabled=narrow):
                raw: Tensor = self.color(rows)
            return raw[: len(inputs)].float().sigmoid()
        # The result of a matrix product may depend on its number of rows: this one never changes.
        n_rows = _COLOR_ROWS if inputs.device.type == "cpu" else _GPU_COLOR_ROWS
        parts = []
        for part in torch.split(inputs, n_rows):
            padded = functional.pad(part, (0, 0, 0, n_rows - len(part)))
            parts.append(self.color(padded)[: len(part)])
        return torch.cat(parts).sigmoid() if parts else inputs.new_zeros(0, 3)


class _Interpolation(torch.autograd.Function):
    """Weighted sums of eight rows each; the usual gradient of an embedding bag sorts, and takes
    twice as long."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(rows, weights)
        ctx.table_shape = table.shape
        return functional.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
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
    result: Tensor = _Interpolation.apply(table, rows, weights)  # type: ignore[no-untyped-call]
    return result


def _encoded_views(unit: Tensor) -> Tensor:
    """`[d, sin 2^k d, cos 2^k d]`: (N, 3) -> (N, 3 + 6 * VIEW_OCTAVES)."""
    parts = [unit]
    for octave in range(VIEW_OCTAVES):
        parts += [(unit * 2**octave).sin(), (unit * 2**octave).cos()]
    return torch.cat(parts, -1)


@dataclass(frozen=True, eq=False)
class RadianceTeacher:
    """`scene`: fitted to what the field holds: bounds, near and far, and the sphere on which the
    photographs' cameras stood, if they stood on one. `field`: in evaluation mode; treat as
    read-only. `provenance`: of which photographs, how long, how good. `notes`: what was assumed."""

    name: str
    scene: SceneSpec
    field: RadianceField
    provenance: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    notes: tuple[str, ...] = ()
    kind: ClassVar[str] = "radiance grid"
    is_teacher: ClassVar[Literal[True]] = True
    says_scene: ClassVar[bool] = True

    def ray_mode(self, _wish: str = "auto") -> RayMode:
        """A field is asked about rays as the camera makes them."""
        return "plain"

    @property
    def short_name(self) -> str:
        """Such as `radiance grid 180x190x260`."""
        x, y, z = self.field.grid.shape
        return f"radiance grid {x}x{y}x{z}"
