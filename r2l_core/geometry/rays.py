"""Cameras to rays, and rays to the points the network is asked about.

Source of the conventions: the released R2L code (model/nerf_raybased.py, `get_rays` and
`PointSampler`), to the letter; see docs/conventions.md.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from r2l_core.errors import CameraError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.types import RayMode

MAX_DISTANCE = 1e4
"""Farthest camera from the scene's centre, in radii of the scene: float32 then errs by a thousandth
of the scene."""

MAX_SPREAD = 1e4
"""Widest image in focal lengths: 179.99 degrees."""


def pixel_rays(camera: Camera, columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """World-space rays through the given pixels, on their device.

    columns, rows: (N,) pixel coordinates, integer or fractional; pixel (i, j) means the ray of the
    released code, without a half-pixel offset. Returns origins and directions, float32 (N, 3);
    directions are not normalised: their component along the optical axis is 1.
    """
    return rays_through(camera_values(camera).to(columns.device), columns, rows)


def camera_values(camera: Camera) -> Tensor:
    """All that `rays_through` needs of a camera: float32 (16,) on the CPU.

    The upper three rows of `T_world_camera`, row by row, then the centre and the focal lengths, x
    before y, in pixels.
    """
    pose = camera.T_world_camera[:3].reshape(-1).tolist()
    return torch.tensor([*pose, *camera.center_px, camera.focal_px, camera.fy_px])


def rays_through(camera: Tensor, columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """`pixel_rays` of a camera's `camera_values`, which are on the pixels' device."""
    pose = camera[:12].view(3, 4)
    center_x_px, center_y_px, focal_x_px, focal_y_px = camera[12:].unbind()
    x = (columns.to(torch.float32) - center_x_px) / focal_x_px
    y = -(rows.to(torch.float32) - center_y_px) / focal_y_px
    directions_camera = torch.stack([x, y, -torch.ones_like(x)], dim=-1)
    directions = (directions_camera[:, None, :] * pose[:, :3]).sum(-1)
    origins = pose[:, 3].expand_as(directions)
    return origins, directions


def flat_pixel_rays(
    camera: Tensor, pixels: Tensor, width_px: int | Tensor
) -> tuple[Tensor, Tensor]:
    """`rays_through` the pixels at flat indices (row * width + column), int64 (N,). A `width_px`
    that is a tensor lies on their device."""
    rows = torch.div(pixels, width_px, rounding_mode="floor")
    return rays_through(camera, pixels - rows * width_px, rows)


def projected(camera: Camera, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the rays of a picture meet world points, float32 (N, 3): row and column in pixels, and
    depth in scene units, on their device. Pixels have a meaning only where the depth is above 0.

    `Camera.projected` is the same without torch, in float64.
    """
    pose = torch.tensor(camera.T_world_camera.tolist(), device=points.device)
    seen = (points - pose[:3, 3]) @ pose[:3, :3]
    depth = -seen[:, 2]
    column = seen[:, 0] / depth * camera.focal_px + camera.center_px[0]
    row = -seen[:, 1] / depth * camera.fy_px + camera.center_px[1]
    return row, column, depth


def network_rays(
    origins: Tensor, directions: Tensor, scene: SceneSpec, ray_mode: RayMode, skip_background: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Rays as a network is asked about them, and about which of them it is asked at all.

    origins, directions: float32 (N, 3). skip_background: rays that miss the scene's bounding sphere
    are background, and so are, of canonical rays, always those that look away from the scene.
    Returns origins and directions, float32 (N, 3), and bool (N,), or None where it is asked about
    all.
    """
    if ray_mode == "canonical":
        origins, directions = canonicalise(origins, directions, scene)
    if skip_background:
        return origins, directions, hits_bounds(origins, directions, scene)
    if ray_mode == "canonical":
        return origins, directions, ~looks_away(origins, directions, scene)
    return origins, directions, None


def require_in_reach(camera: Camera, scene: SceneSpec) -> None:
    """Raise CameraError for a camera from which float32 cannot tell the scene's points apart."""
    distance = math.dist(camera.position, scene.center)
    reach = MAX_DISTANCE * scene.bound_radius
    if not distance <= reach:  # beyond float64, the distance is infinite or not a number
        raise CameraError(
            "The camera is too far away",
            f"it stands {distance:.3g} world units from the scene's centre, and rays in float32 "
            f"reach up to {reach:.3g}",
            "Bring it nearer (--radius, --pivot, or the pose).",
        )
    # The longest direction belongs to a corner; see `pixel_rays`.
    spread = max(camera.width_px / camera.focal_px, camera.height_px / camera.fy_px)
    if not spread <= MAX_SPREAD:
        raise CameraError(
            "The camera's view is too wide",
            f"its focal length of {min(camera.focal_px, camera.fy_px):.3g} pixels spreads the "
            "image over what float32 rays cannot tell from half of the world",
            "Choose a longer focal length.",
        )


def image_rays(camera: Camera) -> tuple[Tensor, Tensor]:
    """Rays of every pixel, row by row: origins and directions, float32 (H*W, 3)."""
    rows, columns = torch.meshgrid(
        torch.arange(camera.height_px), torch.arange(camera.width_px), indexing="ij"
    )
    return pixel_rays(camera, columns.reshape(-1), rows.reshape(-1))


def canonicalise(origins: Tensor, directions: Tensor, scene: SceneSpec) -> tuple[Tensor, Tensor]:
    """Move each ray's origin along its own line to the sphere the light field was trained on.

    In empty space a ray's colour does not depend on where along it the origin lies, so any camera
    outside the scene's bounding sphere can be rendered by a network that has only seen origins at
    `scene.origin_radius`. The origin goes to where the line enters that sphere, and the direction
    is rescaled so that its component towards the centre is 1, as for a camera that looks at the
    centre from there. Lines that miss the sphere altogether keep their nearest point (they are
    background), and rays that have the scene behind them start where their line leaves the sphere
    (see `looks_away`). Scenes without an origin sphere are returned unchanged.

    origins, directions: float32 (N, 3). Returns the same shapes.
    """
    radius = scene.origin_radius
    if radius is None:
        return origins, directions
    center = _point(scene.center, origins.device)
    unit = directions / directions.norm(dim=-1, keepdim=True)
    relative = origins - center
    along = -(relative * unit).sum(-1, keepdim=True)
    nearest = relative + along * unit
    half_chord = (radius * radius - (nearest * nearest).sum(-1, keepdim=True)).clamp_min(0.0).sqrt()
    outside = (relative * relative).sum(-1, keepdim=True) > scene.bound_radius**2
    side = torch.where(outside & (along < 0), -1.0, 1.0)
    entry = nearest - side * half_chord * unit
    # Rays that only graze the sphere have hardly any component towards the centre; the bound keeps
    # their (background) samples finite.
    towards_center = (-side * (unit * entry).sum(-1, keepdim=True) / radius).clamp_min(0.1)
    return entry + center, unit / towards_center


@functools.cache
@torch.inference_mode(False)
def _point(xyz: tuple[float, float, float], device: torch.device) -> Tensor:
    """float32 (3,). Kept for good: a CUDA graph cannot copy it from the host, and goes on reading
    it."""
    return torch.tensor(xyz, dtype=torch.float32, device=device)


def hits_bounds(origins: Tensor, directions: Tensor, scene: SceneSpec) -> Tensor:
    """Which rays meet the scene's bounding sphere, in front of their origin: bool (N,)."""
    center = _point(scene.center, origins.device)
    relative = origins - center
    a = (directions * directions).sum(-1)
    b = (relative * directions).sum(-1)
    c = (relative * relative).sum(-1) - scene.bound_radius**2
    return (b * b >= a * c) & ((b < 0) | (c < 0))


def looks_away(origins: Tensor, directions: Tensor, scene: SceneSpec) -> Tensor:
    """Which canonical rays point outwards, with the whole scene behind them: bool (N,).

    They see background. A network that has only seen rays that come in cannot know that.
    """
    center = _point(scene.center, origins.device)
    relative = origins - center
    outwards = (relative * directions).sum(-1)
    # Lines that only graze the sphere run neither in nor out, but for rounding.
    away: Tensor = outwards > 1e-2 * relative.norm(dim=-1) * directions.norm(dim=-1)
    return away


def sample_depths(scene: SceneSpec, n_sample: int, device: torch.device | str = "cpu") -> Tensor:
    """Depths near*(1-t) + far*t with t evenly spaced in [0, 1]: float32 (n_sample,)."""
    t = torch.linspace(0.0, 1.0, n_sample, dtype=torch.float32, device=device)
    return scene.near * (1.0 - t) + scene.far * t


def sample_points(origins: Tensor, directions: Tensor, depths: Tensor) -> Tensor:
    """Points origin + direction*depth: (N, 3), (N, 3), (S,) -> float32 (N, S*3), sample-major."""
    points = origins[:, None, :] + directions[:, None, :] * depths[None, :, None]
    return points.reshape(origins.shape[0], -1)


def plucker_coordinates(origins: Tensor, directions: Tensor) -> Tensor:
    """Direction and moment of each ray, `[d, o x d]`: float32 (N, 3) each -> (N, 6)."""
    return torch.cat([directions, torch.linalg.cross(origins, directions)], dim=-1)


def ndc_rays(
    origins: Tensor, directions: Tensor, width_px: int, height_px: int, focal_px: float
) -> tuple[Tensor, Tensor]:
    """Rays in the normalised device coordinates of a camera at the origin that looks along -Z, with
    its near plane at 1 (NeRF, Mildenhall et al. 2020, appendix C; released code, `ndc_rays`).

    origins, directions: float32 (N, 3), directions towards -Z. Depth 0 is the near plane, 1 lies at
    infinity. Returns the same shapes.
    """
    x, y = 2.0 * focal_px / width_px, 2.0 * focal_px / height_px
    depth = -(1.0 + origins[:, 2]) / directions[:, 2]
    near = origins + depth[:, None] * directions
    ox, oy, oz = near.unbind(-1)
    dx, dy, dz = directions.unbind(-1)
    return (
        torch.stack([-x * ox / oz, -y * oy / oz, 1.0 + 2.0 / oz], dim=-1),
        torch.stack([-x * (dx / dz - ox / oz), -y * (dy / dz - oy / oz), -2.0 / oz], dim=-1),
    )
