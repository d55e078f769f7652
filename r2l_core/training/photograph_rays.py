"""Rays of photographs among those of a teacher: fine-tuning on what was really seen."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from r2l_core.geometry.rays import canonicalise, hits_bounds
from r2l_core.geometry.scene import SceneSpec
from r2l_core.training.radiance.photographs import Photographs
from r2l_core.training.sampling import RayBatch, SamplingConfig


class RaySource(Protocol):
    """Draws training rays with their colours."""

    config: SamplingConfig

    def batch(self, n_rays: int) -> RayBatch:
        """`n_rays` rays with colours."""


class MixedRays:
    """Rays of a teacher, and as many of photographs as `config.photographs` says.

    Where the scene has a sphere of origins, the photographs' rays are re-based to it, as they will
    be when the light field is rendered, and those that miss the scene are left out.
    """

    def __init__(
        self, teacher_rays: RaySource, photographs: Photographs, scene: SceneSpec, seed: int
    ) -> None:
        self._teacher_rays = teacher_rays
        self._photographs = photographs
        self._scene = scene
        self.config = teacher_rays.config
        self._generator = torch.Generator(photographs.device).manual_seed(seed)

    def batch(self, n_rays: int) -> RayBatch:
        """See RaySource.batch."""
        n_photographs = round(self.config.photographs * n_rays)
        self._teacher_rays.config = self.config
        if not n_photographs:
            return self._teacher_rays.batch(n_rays)
        own = self._of_photographs(n_photographs)
        if n_photographs == n_rays:
            return own
        other = self._teacher_rays.batch(n_rays - n_photographs)
        return RayBatch(
            torch.cat([own.origins, other.origins]),
            torch.cat([own.directions, other.directions]),
            torch.cat([own.colors, other.colors]),
        )

    def _of_photographs(self, n_rays: int) -> RayBatch:
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        # Few of many would be enough; rows of a view may all miss a small scene.
        for _ in range(20):
            pixels = torch.randint(
                len(self._photographs),
                (2 * n_rays,),
                generator=self._generator,
                device=self._photographs.device,
            )
            origins, directions = self._photographs.rays(pixels)
            kept = hits_bounds(origins, directions, self._scene)
            rays = canonicalise(origins[kept], directions[kept], self._scene)
            parts.append((*rays, self._photographs.colors(pixels[kept])))
            if sum(len(part[2]) for part in parts) >= n_rays:
                break
        columns = (torch.cat(column) for column in zip(*parts, strict=True))
        return RayBatch(*(column[:n_rays] for column in columns))
