"""Where a dataset's scene can be: the space, the box and the finest cells of its radiance grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from r2l_core.datasets import Dataset
from r2l_core.geometry.camera import Camera
from r2l_core.model.radiance.space import Space

Triple = tuple[float, float, float]

_CELLS_PER_PIXEL = 3

_NDC_PLANES = 160
"""Cells between the near plane and infinity at the finest."""

_CONTRACTED_CELLS = 200
"""Cells along each axis of a contracted space at the finest."""


@dataclass(frozen=True)
class Extent:
    """low, high: corners of the box that the grid begins with, in the space's coordinates. finest:
    cell size along each axis that the photographs can tell apart. most_cells: of any box."""

    space: Space
    low: Triple
    high: Triple
    finest: Triple
    most_cells: int = 256**3


def extent_of(dataset: Dataset) -> Extent:
    """Where a grid for the dataset's photographs lies, and how fine it may become: few pixels say
    little about many cells."""
    extent = _extent_of(dataset)
    pixels = sum(camera.width_px * camera.height_px for camera in dataset.cameras)
    return replace(extent, most_cells=min(extent.most_cells, _CELLS_PER_PIXEL * pixels))


def _extent_of(dataset: Dataset) -> Extent:
    """Where a grid for the dataset's photographs lies.

    Forward-facing captures get device coordinates; objects on a background that shows through get
    a box about them; everything else may surround its cameras and is contracted.
    """
    scene, cameras = dataset.scene, dataset.cameras
    if scene.nerf_ndc:
        return _device_coordinates(dataset)
    positions = np.array([camera.position for camera in cameras])
    distances = np.linalg.norm(positions - np.asarray(scene.center), axis=1)
    focal_px = float(np.mean([camera.focal_px for camera in cameras]))
    if dataset.background is not None and distances.min() > 0.5 * scene.bound_radius:
        reach = min(scene.bound_radius, 0.95 * float(distances.min()))
        x, y, z = scene.center
        cell = float(distances.mean()) / focal_px
        return Extent(
            Space("box", scene.near, scene.far),
            (x - reach, y - reach, z - reach),
            (x + reach, y + reach, z + reach),
            (cell, cell, cell),
        )
    radius = max(1.2 * float(distances.max()), 2.0 * scene.near, 1e-3)
    space = Space("contracted", 0.0, max(scene.far, radius), scene.center, radius)
    cell = 4.0 / _CONTRACTED_CELLS
    return Extent(space, (-2.0,) * 3, (2.0,) * 3, (cell,) * 3)


def view_noise(cameras: Sequence[Camera]) -> float:
    """How far viewing directions are blurred in training, as a length beside unit directions: half
    of what lies between neighbouring cameras' axes. A few photographs could each be remembered by
    its direction, and nothing be learned of what lies between."""
    axes = np.array([camera.T_world_camera[:3, 2] for camera in cameras])
    apart = np.linalg.norm(axes[:, None] - axes, axis=-1)
    np.fill_diagonal(apart, np.inf)
    return 0.5 * float(np.median(apart.min(axis=1)))


def _device_coordinates(dataset: Dataset) -> Extent:
    scene, cameras = dataset.scene, dataset.cameras
    focal_px = scene.focal_px(scene.width_px)
    space = Space(
        "ndc", 0.0, 1.0, width_px=scene.width_px, height_px=scene.height_px, focal_px=focal_px
    )
    # Cameras that stand beside the mean one look past its image: by how much, at the near plane.
    aside = max(float(np.abs(camera.position[:2]).max()) for camera in cameras)
    x = 1.0 + 2.0 * focal_px / scene.width_px * aside
    y = 1.0 + 2.0 * focal_px / scene.height_px * aside
    margin = math.sqrt(1.05)
    return Extent(
        space,
        (-x * margin, -y * margin, -1.0),
        (x * margin, y * margin, 1.0),
        (2.0 / scene.width_px, 2.0 / scene.height_px, 2.0 / _NDC_PLANES),
    )
