"""Random training rays with the colours of their pixels.

Origins are uniform on the part of the scene's origin sphere that cameras come from; each ray is
written as a camera there would see it that looks at the centre: direction = forward + u right +
v up. The colour is the teacher's mean over the footprint of a pixel of the scene's own camera,
centred on the ray, so that the light field learns an anti-aliased image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from r2l_core.errors import SceneError
from r2l_core.geometry.scene import SceneSpec
from r2l_core.training.teachers import Teacher


@dataclass(frozen=True)
class SamplingConfig:
    """footprint_samples: teacher rays per axis of a footprint. footprint_px: its side, in pixels of
    the scene's own camera; smaller ones suit cameras that come nearer. outer_share: rays beyond the
    bounding sphere, which other cameras ask for. outer_slope: tangent of the widest such angle.
    background_keep: share of plain background rays that are kept; they teach little.
    photographs: share of the rays that are those of photographs, where there are any to learn from.
    below_horizon: how far origins reach below the lowest camera, in units of the sphere's radius.
    """

    footprint_samples: int = 2
    footprint_px: float = 1.0
    outer_share: float = 0.08
    outer_slope: float = 0.9
    background_keep: float = 0.3
    photographs: float = 0.0
    below_horizon: float = 0.1


@dataclass(frozen=True)
class RayBatch:
    """origins, directions and colors, float32 (N, 3) each, on one device."""

    origins: Tensor
    directions: Tensor
    colors: Tensor


class RaySource(Protocol):
    """Draws training rays with their colours."""

    config: SamplingConfig
    """May be exchanged any time between two batches."""

    def prepare(self, n_rays: int) -> None:
        """Do once what takes many times as long as a batch; next comes one of `n_rays`."""
        return

    def batch(self, n_rays: int) -> RayBatch:
        """`n_rays` rays with colours, on one device."""


class DrawnAhead(RaySource):
    """Rays of another source, many drawn at a time and handed out in random order.

    Drawing takes many small operations, and some that a GPU has to be waited for.
    """

    def __init__(self, source: RaySource, rays_at_once: int, seed: int) -> None:
        """rays_at_once: drawn at a time; at least a batch."""
        self._source = source
        self._rays_at_once = rays_at_once
        self._seed = seed
        self._generator: torch.Generator | None = None
        self._drawn: RayBatch | None = None
        self._drawn_for = self.config = source.config
        self._used = 0

    def prepare(self, n_rays: int) -> None:
        """See RaySource.prepare."""
        self._source.config = self.config
        self._source.prepare(max(n_rays, self._rays_at_once))

    def batch(self, n_rays: int) -> RayBatch:
        """See RaySource.batch."""
        drawn = self._drawn
        if (
            drawn is None
            or self._drawn_for != self.config
            or self._used + n_rays > len(drawn.colors)
        ):
            drawn = self._drawn = self._draw(max(n_rays, self._rays_at_once))
            self._drawn_for, self._used = self.config, 0
        rows = slice(self._used, self._used + n_rays)
        self._used += n_rays
        return RayBatch(drawn.origins[rows], drawn.directions[rows], drawn.colors[rows])

    def _draw(self, n_rays: int) -> RayBatch:
        self._source.config = self.config
        drawn = self._source.batch(n_rays)
        place = drawn.colors.device
        if self._generator is None:
            self._generator = torch.Generator(place).manual_seed(self._seed)
        # Of photographs there may be fewer than were asked for.
        order = torch.randperm(len(drawn.colors), generator=self._generator, device=place)
        return RayBatch(drawn.origins[order], drawn.directions[order], drawn.colors[order])


class RaySampler(RaySource):
    """Draws batches of rays for a scene whose teacher is known."""

    def __init__(
        self,
        scene: SceneSpec,
        teacher: Teacher,
        config: SamplingConfig,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """config: may be exchanged any time between two batches. device: where rays are drawn and
        the teacher is asked."""
        if scene.origin_radius is None:
            raise SceneError(
                f"The scene '{scene.name}' cannot be distilled",
                "it does not say on which sphere the cameras lie",
                "Set origin_radius in the scene.",
            )
        self._scene = scene
        self._teacher = teacher
        self.config = config
        self._radius = scene.origin_radius
        self._device = torch.device(device)
        self._center = torch.tensor(scene.center, device=self._device)
        self._background = torch.tensor(scene.background_rgb, device=self._device)
        self._generator = torch.Generator(self._device).manual_seed(seed)

    def batch(self, n_rays: int) -> RayBatch:
        """`n_rays` rays with colours, on the device."""
        # Enough candidates that dropping background leaves a full batch nearly always.
        kept = [self._candidates(2 * n_rays)]
        while sum(len(part.colors) for part in kept) < n_rays:
            kept.append(self._candidates(n_rays))
        return RayBatch(
            *(
                torch.cat(parts)[:n_rays]
                for parts in zip(*((b.origins, b.directions, b.colors) for b in kept), strict=True)
            )
        )

    def _rand(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator, device=self._device)

    def _candidates(self, n_rays: int) -> RayBatch:
        config, scene = self.config, self._scene
        horizon = math.sin(math.radians(scene.min_elevation_deg))
        lowest = max(-1.0, horizon - config.below_horizon)
        sin_elevation = lowest + (1.0 - lowest) * self._rand(n_rays)
        cos_elevation = (1.0 - sin_elevation * sin_elevation).clamp_min(0.0).sqrt()
        azimuth = 2 * math.pi * self._rand(n_rays)
        sin_azimuth, cos_azimuth = azimuth.sin(), azimuth.cos()
        zero = torch.zeros(n_rays, device=self._device)
        right = torch.stack([-sin_azimuth, cos_azimuth, zero], -1)
        backward = torch.stack(
            [cos_elevation * cos_azimuth, cos_elevation * sin_azimuth, sin_elevation], -1
        )
        up = torch.linalg.cross(backward, right)
        origins = self._radius * backward + self._center

        inner = math.tan(math.asin(scene.bound_radius / self._radius))
        slope = inner * self._rand(n_rays).sqrt()
        outer = inner + (config.outer_slope - inner) * self._rand(n_rays)
        slope = torch.where(self._rand(n_rays) < config.outer_share, outer, slope)
        turn = 2 * math.pi * self._rand(n_rays)
        u, v = slope * turn.cos(), slope * turn.sin()

        # Plain background is told by the pixel's centre and dropped before the footprint is paid.
        centre = self._teacher(origins, u[:, None] * right + v[:, None] * up - backward)
        background = (centre == self._background).all(-1)
        keep = ~background | (self._rand(n_rays) < config.background_keep)
        rows = torch.nonzero(keep).squeeze(-1)
        origins, right, up, backward = origins[rows], right[rows], up[rows], backward[rows]
        u, v = u[rows], v[rows]
        if config.footprint_px == 0:
            directions = u[:, None] * right + v[:, None] * up - backward
            return RayBatch(origins, directions, centre[rows])

        per_axis = config.footprint_samples
        side = config.footprint_px / scene.focal_px(scene.width_px)
        total = torch.zeros(len(rows), 3, device=self._device)
        for row in range(per_axis):
            for column in range(per_axis):
                jitter_u = (column + self._rand(len(rows))) / per_axis - 0.5
                jitter_v = (row + self._rand(len(rows))) / per_axis - 0.5
                du, dv = u + side * jitter_u, v + side * jitter_v
                total += self._teacher(origins, du[:, None] * right + dv[:, None] * up - backward)
        directions = u[:, None] * right + v[:, None] * up - backward
        return RayBatch(origins, directions, total / per_axis**2)
