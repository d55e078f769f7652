"""How world rays run through a radiance grid: straight, in device coordinates, or contracted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from r2l_core.geometry.rays import ndc_rays

SpaceKind = Literal["box", "ndc", "contracted"]


@dataclass(frozen=True)
class Space:
    """Where a grid lies.

    `box`: world coordinates. `ndc`: the normalised device coordinates of the scene's own camera,
    for forward-facing scenes. `contracted`: the ball of `radius` about `center` becomes the unit
    ball and everything beyond it the shell up to 2, for scenes that surround their cameras
    (mip-NeRF 360, Barron et al., CVPR 2022, equation 10).
    near, far: of samples along the optical axis, in world units; `ndc` goes from 0 to 1.
    width_px, height_px, focal_px: of the camera that defines `ndc`.
    """

    kind: SpaceKind
    near: float
    far: float
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radius: float = 1.0
    width_px: int = 1
    height_px: int = 1
    focal_px: float = 1.0

    def rays(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """World rays, float32 (N, 3), as they run through this space before any contraction."""
        if self.kind == "ndc":
            return ndc_rays(origins, directions, self.width_px, self.height_px, self.focal_px)
        if self.kind == "contracted":
            center = torch.tensor(self.center, device=origins.device)
            return (origins - center) / self.radius, directions / self.radius
        return origins, directions

    def warped(self, points: Tensor) -> Tensor:
        """Points of `rays` in the grid's coordinates, (N, 3)."""
        if self.kind != "contracted":
            return points
        distance = points.norm(dim=-1, keepdim=True).clamp_min(1.0)
        result: Tensor = points * ((2.0 - 1.0 / distance) / distance)
        return result

    def depths(self, share: Tensor) -> Tensor:
        """Depths of contracted rays at a share of their way: even up to the radius, then even in
        inverse depth."""
        near, far = self.near, max(self.far, 2.0 * self.radius)
        even = near + 2.0 * share * (self.radius - near)
        inverse = (2.0 - 2.0 * share) / self.radius + (2.0 * share - 1.0) / far
        return torch.where(share < 0.5, even, 1.0 / inverse.clamp_min(1e-9))

    def world_depths(self, depths: Tensor) -> Tensor:
        """Depths along rays of this space, as depths along the world rays they come from."""
        # NDC depth 0 is the plane at distance 1, and 1 infinity (Mildenhall et al. 2020).
        if self.kind != "ndc":
            return depths
        result: Tensor = 1.0 / (1.0 - depths).clamp_min(1e-6)
        return result

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_mapping` reads it back."""
        return asdict(self)

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> Space:
        """Build from a parsed header. Raises ValueError, TypeError or KeyError where it is none."""
        if values["kind"] not in get_args(SpaceKind):
            raise ValueError(f"there is no space '{values['kind']}'")
        x, y, z = (float(value) for value in values["center"])
        space = Space(
            kind=values["kind"],
            near=float(values["near"]),
            far=float(values["far"]),
            center=(x, y, z),
            radius=float(values["radius"]),
            width_px=int(values["width_px"]),
            height_px=int(values["height_px"]),
            focal_px=float(values["focal_px"]),
        )
        numbers = (space.near, space.far, *space.center, space.radius, space.focal_px)
        if not all(math.isfinite(number) for number in numbers) or space.radius <= 0:
            raise ValueError("the space's numbers are not finite, or its radius is not above 0")
        return space
