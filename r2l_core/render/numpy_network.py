"""Rays and network in the fewest lines of numpy, for a first picture that does not wait for torch.

`geometry.rays`, `model.encoding`, `model.module` and `render.pixel_grids` define what is computed;
these functions agree with them to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.engines.fused.packing import Weights
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec

Array = NDArray[Any]


def pixel_rays(camera: Camera, rows: Array, columns: Array) -> tuple[Array, Array]:
    """As `geometry.rays.pixel_rays`: float64 (n, 3) each."""
    pose = camera.T_world_camera
    x = (columns - camera.center_px[0]) / camera.focal_px
    y = -(rows - camera.center_px[1]) / camera.fy_px
    directions = np.stack([x, y, -np.ones_like(x)], axis=-1) @ pose[:3, :3].T
    return np.broadcast_to(pose[:3, 3], directions.shape), directions


def canonicalise(origins: Array, directions: Array, scene: SceneSpec) -> tuple[Array, Array]:
    """As `geometry.rays.canonicalise`: float64 (n, 3) each."""
    radius = scene.origin_radius
    if radius is None:
        return origins, directions
    center = np.asarray(scene.center)
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    relative = origins - center
    along = -(relative * unit).sum(-1, keepdims=True)
    nearest = relative + along * unit
    half_chord = np.sqrt(np.maximum(radius**2 - (nearest**2).sum(-1, keepdims=True), 0.0))
    outside = (relative**2).sum(-1, keepdims=True) > scene.bound_radius**2
    side = np.where(outside & (along < 0), -1.0, 1.0)
    entry = nearest - side * half_chord * unit
    towards_center = np.maximum(-side * (unit * entry).sum(-1, keepdims=True) / radius, 0.1)
    return entry + center, unit / towards_center


def hits_bounds(origins: Array, directions: Array, scene: SceneSpec) -> Array:
    """As `geometry.rays.hits_bounds`: bool (n,)."""
    relative = origins - np.asarray(scene.center)
    a, b = (directions**2).sum(-1), (relative * directions).sum(-1)
    c = (relative**2).sum(-1) - scene.bound_radius**2
    hits: Array = (b * b >= a * c) & ((b < 0) | (c < 0))
    return hits


def sample_depths(scene: SceneSpec, n_sample: int) -> Array:
    """As `geometry.rays.sample_depths`: float32 (n_sample,)."""
    t = np.linspace(0.0, 1.0, n_sample, dtype=np.float32)
    return np.float32(scene.near) * (1 - t) + np.float32(scene.far) * t


def network_colors(weights: Weights, origins: Array, directions: Array) -> Array:
    """What the network as published says of rays: float32 (n, 3) each."""
    network, tensors = weights.network, weights.tensors

    def linear(name: str, x: Array) -> Array:
        # Not with `@`: for so few rays, the threads of its library would wait more than work.
        product: Array = np.einsum("ni,oi->no", x, tensors[f"{name}.weight"])
        return product + tensors[f"{name}.bias"]

    if network.plucker:
        coordinates = np.concatenate([directions, np.cross(origins, directions)], axis=-1)
    else:
        points = origins[:, None] + directions[:, None] * weights.depths[:, None]
        coordinates = points.reshape(len(origins), -1)
    angles = coordinates[..., None] * np.exp2(np.arange(network.n_frequencies, dtype=np.float32))
    features = np.concatenate([np.sin(angles), np.cos(angles), coordinates[..., None]], axis=-1)
    hidden = np.maximum(linear("head.0", features.reshape(len(origins), -1)), 0)
    stream = hidden
    for block in range(network.n_blocks):
        first, last = network.block_layers(block)
        change = linear(last, np.maximum(linear(first, stream), 0))
        stream = stream + change * np.float32(network.res_scale)
    product = linear("tail.0", stream + hidden if network.use_residual else stream)
    colors: Array = 1 / (1 + np.exp(-product))
    return colors


def enlarged(grid: Array, stride: int, width_px: int, height_px: int) -> Array:
    """Bilinear between points at every `stride` pixels: (rows, columns, 3) -> (H, W, 3)."""
    for axis, size in enumerate((height_px, width_px)):
        pixels = np.arange(size)
        left = pixels // stride
        right = np.minimum(left + 1, grid.shape[axis] - 1)
        share = np.float32(pixels % stride / stride).reshape(-1, *[1] * (2 - axis))
        grid = grid.take(left, axis) * (1 - share) + grid.take(right, axis) * share
    return grid
