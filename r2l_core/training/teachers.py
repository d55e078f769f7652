"""Everything that can tell the true colour of a ray."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from r2l_core.errors import SceneError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import pixel_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.training import demo_scene

Teacher = Callable[[Tensor, Tensor], Tensor]
"""Origins and directions, float32 (N, 3) each, to sRGB colours, float32 (N, 3): one point sample
a ray, on the device the rays are on."""

TEACHERS: dict[str, Teacher] = {"demo": demo_scene.render_rays}

_CHUNK_RAYS = 8192
"""Rays per teacher call: small enough to stay in cache."""


def teacher_of(scene: SceneSpec) -> Teacher:
    """The teacher a scene names. Raises SceneError where it has none."""
    if scene.teacher is None or scene.teacher not in TEACHERS:
        raise SceneError(
            f"The scene '{scene.name}' has no ground truth of its own",
            "it names no teacher" if scene.teacher is None else f"'{scene.teacher}' is unknown",
            f"Give a data set, or a scene with one of the teachers {', '.join(TEACHERS)}.",
        )
    return TEACHERS[scene.teacher]


def supersampled_image(teacher: Teacher, camera: Camera, samples_per_axis: int = 4) -> Tensor:
    """Ground truth of an image: the mean colour over each pixel, float32 (H, W, 3).

    See `supersampled_pixels`.
    """
    pixels = torch.arange(camera.width_px * camera.height_px)
    chunks = torch.split(pixels, _CHUNK_RAYS)
    colors = [supersampled_pixels(teacher, camera, chunk, samples_per_axis) for chunk in chunks]
    return torch.cat(colors).reshape(camera.height_px, camera.width_px, 3)


def supersampled_pixels(
    teacher: Teacher, camera: Camera, pixels: Tensor, samples_per_axis: int = 4
) -> Tensor:
    """Ground truth of some pixels, flat indices (n,): float32 (n, 3).

    Samples lie on a regular grid centred on the pixel's own ray: with 4 per axis at -3/8, -1/8,
    1/8 and 3/8 pixel around it.
    """
    rows = torch.div(pixels, camera.width_px, rounding_mode="floor")
    columns = (pixels - rows * camera.width_px).to(torch.float32)
    offsets = [(k + 0.5) / samples_per_axis - 0.5 for k in range(samples_per_axis)]
    total = torch.zeros(len(pixels), 3, device=pixels.device)
    for dy in offsets:
        for dx in offsets:
            total += teacher(*pixel_rays(camera, columns + dx, rows + dy))
    return total / samples_per_axis**2
