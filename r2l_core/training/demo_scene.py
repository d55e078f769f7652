"""The demo scene: an analytic ray tracer, so that ground truth exists at any camera.

Spheres - a mirror, brass, banded and lacquered ones - on a round inlaid table, lit by one sun with
hard shadows and a soft studio sky that only reflections see; seen directly, the background is
white. Everything lies inside a sphere of radius 1.4 about the origin. World units, Z up.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

BOUNCES = 2
"""Mirror bounces after the first hit; deeper reflections show the sky alone."""

TABLE_Z = -0.4
TABLE_RADIUS = 1.25
_FAR = 1e9
_OFFSET = 1e-3
"""How far secondary rays start off the surface, so that they do not hit it again; world units."""

_SUN_DIRECTION = (0.42, -0.36, 0.83)
_AMBIENT = 0.38
_SUN = 0.95
_GAMMA = 1 / 2.2


@dataclass(frozen=True)
class Sphere:
    """Position and radius in world units, linear colour, mirror share in [0, 1] when seen head-on,
    strength of the sun's highlight, and whether the second colour is inlaid in bands."""

    center: tuple[float, float, float]
    radius: float
    color: tuple[float, float, float]
    mirror: float
    highlight: float
    band_color: tuple[float, float, float] | None = None


SPHERES = (
    Sphere((0.0, 0.0, 0.20), 0.60, (0.92, 0.94, 0.96), 0.88, 1.0),
    Sphere((0.80, -0.42, -0.10), 0.30, (0.72, 0.03, 0.04), 0.08, 0.9),
    Sphere((-0.30, 0.88, -0.07), 0.33, (0.02, 0.09, 0.42), 0.06, 0.8, (0.90, 0.84, 0.70)),
    Sphere((-0.82, -0.38, -0.12), 0.28, (0.95, 0.62, 0.20), 0.75, 1.0),
    Sphere((0.66, 0.66, -0.19), 0.21, (0.02, 0.34, 0.16), 0.10, 0.9),
    Sphere((-0.02, -0.98, -0.21), 0.19, (0.88, 0.80, 0.66), 0.05, 0.6, (0.62, 0.10, 0.05)),
)


@dataclass(frozen=True, eq=False)
class _Tensors:
    """The scene on one device, float32: a row for each sphere, (K, 3) or (K,), then directions and
    colours (3,)."""

    centers: Tensor
    radii: Tensor
    colors: Tensor
    band_colors: Tensor
    mirrors: Tensor
    highlights: Tensor
    sun: Tensor
    up: Tensor
    sky_low: Tensor
    sky_high: Tensor
    window: Tensor
    window_light: Tensor
    light_wood: Tensor
    dark_wood: Tensor
    rim: Tensor
    underside: Tensor
    band_axis: Tensor


@functools.cache
def _on(device: torch.device) -> _Tensors:
    def tensor(values: object) -> Tensor:
        return torch.tensor(values, device=device)

    return _Tensors(
        centers=tensor([s.center for s in SPHERES]),
        radii=tensor([s.radius for s in SPHERES]),
        colors=tensor([s.color for s in SPHERES]),
        band_colors=tensor([s.band_color or s.color for s in SPHERES]),
        mirrors=tensor([s.mirror for s in SPHERES]),
        highlights=tensor([s.highlight for s in SPHERES]),
        sun=torch.nn.functional.normalize(tensor(_SUN_DIRECTION), dim=0),
        up=tensor([0.0, 0.0, 1.0]),
        sky_low=tensor([0.10, 0.13, 0.19]),
        sky_high=tensor([0.58, 0.65, 0.74]),
        window=tensor([-0.70, 0.45, 0.55]),
        window_light=tensor([0.40, 0.34, 0.24]),
        light_wood=tensor([0.80, 0.70, 0.54]),
        dark_wood=tensor([0.09, 0.22, 0.26]),
        rim=tensor([0.16, 0.05, 0.03]),
        underside=tensor([0.25, 0.22, 0.20]),
        band_axis=tensor([0.36, 0.22, 0.90]),
    )


def render_rays(origins: Tensor, directions: Tensor) -> Tensor:
    """Exact colours: origins and directions float32 (N, 3) -> sRGB float32 (N, 3), on their device.

    Directions need no particular length. Each ray is one point sample, not a pixel's average.
    """
    directions = torch.nn.functional.normalize(directions, dim=-1)
    linear = torch.ones_like(origins)
    hit = _nearest_hit(origins, directions)
    seen = torch.nonzero(hit.distance < _FAR).squeeze(-1)
    if len(seen):
        linear[seen] = _shade(origins[seen], directions[seen], hit.take(seen), BOUNCES)
    return linear.clamp(0.0, 1.0).pow(_GAMMA)


@dataclass(frozen=True)
class _Hit:
    """distance (N,), _FAR where nothing is hit; index (N,) of the sphere, len(SPHERES) = table."""

    distance: Tensor
    index: Tensor

    def take(self, rows: Tensor) -> _Hit:
        return _Hit(self.distance[rows], self.index[rows])


def _sphere_distances(origins: Tensor, directions: Tensor) -> Tensor:
    """Distance to each sphere along unit directions, (N, K); _FAR where missed."""
    centers, radii = _on(origins.device).centers, _on(origins.device).radii
    b = (directions @ centers.T) - (origins * directions).sum(-1, keepdim=True)
    squared = (origins * origins).sum(-1, keepdim=True) - 2 * (origins @ centers.T)
    c = squared + (centers * centers).sum(-1) - radii * radii
    discriminant = b * b - c
    distance = b - discriminant.clamp_min(0.0).sqrt()
    return torch.where((discriminant > 0) & (distance > 0), distance, _FAR)


def _nearest_hit(origins: Tensor, directions: Tensor) -> _Hit:
    distance, index = _sphere_distances(origins, directions).min(dim=-1)
    slope = directions[:, 2]
    table = (TABLE_Z - origins[:, 2]) / torch.where(slope.abs() < 1e-9, 1e-9, slope)
    x = origins[:, 0] + table * directions[:, 0]
    y = origins[:, 1] + table * directions[:, 1]
    on_table = (table > 0) & (table < distance) & (x * x + y * y < TABLE_RADIUS**2)
    return _Hit(torch.where(on_table, table, distance), torch.where(on_table, len(SPHERES), index))


def _shade(origins: Tensor, directions: Tensor, hit: _Hit, bounces: int) -> Tensor:
    """Linear colour of rays that hit something, (M, 3)."""
    scene = _on(origins.device)
    points = origins + hit.distance[:, None] * directions
    on_table = hit.index == len(SPHERES)
    sphere = hit.index.clamp_max(len(SPHERES) - 1)
    relative = points - scene.centers[sphere]
    # The table is seen from below as well, where its normal points down.
    table_normal = scene.up * -directions[:, 2:].sign()
    sphere_normal = relative / scene.radii[sphere][:, None]
    normals = torch.where(on_table[:, None], table_normal, sphere_normal)

    color = torch.where(
        on_table[:, None], _table_color(points, directions), _sphere_color(relative, sphere)
    )
    mirror = torch.where(on_table, 0.04, scene.mirrors[sphere])
    highlight = torch.where(on_table, 0.0, scene.highlights[sphere])

    start = points + _OFFSET * normals
    facing = (normals @ scene.sun).clamp_min(0.0)
    lit = facing * ~_in_shadow(start)
    diffuse = color * (_AMBIENT * (0.6 + 0.4 * normals[:, 2:]) + _SUN * lit[:, None])

    cosine = -(directions * normals).sum(-1)
    reflected = directions + 2 * cosine[:, None] * normals
    # Schlick's approximation of the Fresnel reflectance.
    reflectance = mirror + (1 - mirror) * (1 - cosine.clamp(0, 1)).pow(5) * 0.7
    seen = _reflection(start, reflected, bounces)
    metal = (mirror > 0.5)[:, None]
    glint = highlight * (reflected @ scene.sun).clamp_min(0.0).pow(180) * (lit > 0)
    mirrored = reflectance[:, None] * seen * torch.where(metal, color, 1.0)
    body = torch.where(metal, 0.12, 1.0 - reflectance[:, None]) * diffuse
    return body + mirrored + glint[:, None]


def _reflection(origins: Tensor, directions: Tensor, bounces: int) -> Tensor:
    """What a mirror sees: the scene while bounces are left, otherwise the sky."""
    color = _sky(directions)
    if bounces == 0:
        return color
    hit = _nearest_hit(origins, directions)
    seen = torch.nonzero(hit.distance < _FAR).squeeze(-1)
    if len(seen):
        color[seen] = _shade(origins[seen], directions[seen], hit.take(seen), bounces - 1)
    return color


def _sky(directions: Tensor) -> Tensor:
    """A studio: dim blue-grey around and below, bright overhead, one wide soft window."""
    scene = _on(directions.device)
    height = ((directions[:, 2:] + 0.25) / 1.1).clamp(0, 1)
    low, high = scene.sky_low, scene.sky_high
    sky = low + (high - low) * height * height * (3 - 2 * height)
    glow = ((directions @ scene.window - 0.62) / 0.12).clamp(0, 1)
    soft = (glow * glow * (3 - 2 * glow))[:, None]
    return sky + soft * scene.window_light


def _in_shadow(points: Tensor) -> Tensor:
    """Whether a sphere or the table stands between a point and the sun: bool (M,)."""
    towards_sun = _on(points.device).sun.expand_as(points)
    return _nearest_hit(points, towards_sun).distance < _FAR


def _table_color(points: Tensor, directions: Tensor) -> Tensor:
    """Rings and sectors of two woods with a dark rim; plain underneath."""
    scene = _on(points.device)
    radius = points[:, :2].norm(dim=-1)
    angle = torch.atan2(points[:, 1], points[:, 0])
    ring = (radius / TABLE_RADIUS * 5).floor()
    sector = ((angle / torch.pi + 1) * 8 + 0.5 * ring).floor()
    odd = ((ring + sector) % 2 > 0.5)[:, None]
    inlay = torch.where(odd, scene.light_wood, scene.dark_wood)
    # A second, finer rhythm along the angle, so that the surface has grain and not just fields.
    grain = 0.86 + 0.14 * torch.sin(14 * radius + 3 * angle)
    inlay = inlay * grain[:, None]
    top = torch.where((radius > 0.95 * TABLE_RADIUS)[:, None], scene.rim, inlay)
    return torch.where(directions[:, 2:] > 0, scene.underside, top)


def _sphere_color(relative: Tensor, sphere: Tensor) -> Tensor:
    """The sphere's own colour, with bands tilted against the horizon where it has a second one."""
    scene = _on(relative.device)
    tilted = relative @ scene.band_axis / scene.radii[sphere]
    band = ((tilted * 3.2 + 0.3) % 2.0 < 0.8)[:, None]
    return torch.where(band, scene.band_colors[sphere], scene.colors[sphere])
