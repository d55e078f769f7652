"""Rays for scenes without a sphere of origins: drawn between the cameras of the photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.geometry.camera import Camera
from r2l_core.training.sampling import RayBatch, RaySource, SamplingConfig
from r2l_core.training.teachers import Teacher

_NEIGHBOURS = 4
"""Cameras next to a camera, by place and direction, that a ray's own camera may lie towards."""


class CameraRays(RaySource):
    """Draws rays as a camera somewhere between two neighbouring ones would see them, with the
    teacher's colours averaged over a pixel's footprint."""

    def __init__(
        self,
        cameras: Sequence[Camera],
        teacher: Teacher,
        config: SamplingConfig,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """config: only its footprint counts; may be exchanged any time between two batches."""
        self.config = config
        self._teacher = teacher
        self._device = torch.device(device)
        self._generator = torch.Generator(self._device).manual_seed(seed)
        poses = np.array([camera.T_world_camera for camera in cameras])
        self._neighbours = torch.from_numpy(_neighbours(poses)).to(device)
        self._rotations = torch.from_numpy(poses[:, :3, :3]).float().to(device)
        self._positions = torch.from_numpy(poses[:, :3, 3]).float().to(device)
        self._lens = torch.tensor(
            [(c.focal_px, c.fy_px, *c.center_px, c.width_px, c.height_px) for c in cameras],
            dtype=torch.float32,
            device=device,
        )

    def batch(self, n_rays: int) -> RayBatch:
        """`n_rays` rays with colours, on the device."""
        origins, rotation, lens = self._places(n_rays)
        fx, fy, center_x, center_y, width, height = lens.unbind(-1)
        column, row = self._rand(n_rays) * width, self._rand(n_rays) * height
        per_axis, side = self.config.footprint_samples, self.config.footprint_px
        total = torch.zeros(n_rays, 3, device=self._device)

        def directions(x_px: Tensor, y_px: Tensor) -> Tensor:
            x, y = (x_px - center_x) / fx, -(y_px - center_y) / fy
            local = torch.stack([x, y, -torch.ones_like(x)], -1)
            return (rotation @ local[:, :, None]).squeeze(-1)

        for i in range(per_axis):
            for j in range(per_axis):
                dx = ((j + self._rand(n_rays)) / per_axis - 0.5) * side
                dy = ((i + self._rand(n_rays)) / per_axis - 0.5) * side
                total += self._teacher(origins, directions(column + dx, row + dy))
        return RayBatch(origins, directions(column, row), total / per_axis**2)

    def _places(self, n_rays: int) -> tuple[Tensor, Tensor, Tensor]:
        """Positions (N, 3), rotations (N, 3, 3) and lenses (N, 6) on the way between two cameras.

        The lens is the first one's.
        """
        first = self._randint(len(self._positions), n_rays)
        second = self._neighbours[first, self._randint(self._neighbours.shape[1], n_rays)]
        share = self._rand(n_rays)[:, None]
        origins = torch.lerp(self._positions[first], self._positions[second], share)
        mixed = torch.lerp(self._rotations[first], self._rotations[second], share[:, :, None])
        back = functional.normalize(mixed[:, :, 2], dim=-1)
        right = functional.normalize(torch.linalg.cross(mixed[:, :, 1], back), dim=-1)
        up = torch.linalg.cross(back, right)
        return origins, torch.stack([right, up, back], -1), self._lens[first]

    def _rand(self, count: int) -> Tensor:
        return torch.rand(count, generator=self._generator, device=self._device)

    def _randint(self, below: int, count: int) -> Tensor:
        return torch.randint(below, (count,), generator=self._generator, device=self._device)


def _neighbours(poses: np.ndarray) -> np.ndarray:
    """Of each pose, the most alike others: int64 (N, up to _NEIGHBOURS); itself if it is alone."""
    positions, axes = poses[:, :3, 3], poses[:, :3, 2]
    spread = max(float(np.square(positions - positions.mean(0)).sum(1).mean()), 1e-12)
    apart = np.square(positions[:, None] - positions).sum(-1) / spread
    apart += np.square(axes[:, None] - axes).sum(-1)
    order = np.argsort(apart, axis=1)
    return order[:, 1 : _NEIGHBOURS + 1] if len(poses) > 1 else order
