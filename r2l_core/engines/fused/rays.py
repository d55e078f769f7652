"""The rays of some pixels in native code: see source/rays.h.

A picture's list of pixels takes some sixty steps of torch to become rays. While a window is dragged
every one of them may have to wait for the interpreter's lock; here it is one call.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from r2l_core.engines.fused.library import Level, View
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import camera_values
from r2l_core.geometry.scene import SceneSpec
from r2l_core.types import RayMode


class PixelRays(NamedTuple):
    """asked: those of the pixels that a network is asked about, flat indices (k,); origins and
    directions, float32 (k, 3) each, are theirs, as `geometry.rays.network_rays` gives them. others:
    those that are background, (n - k,). All in the order of the pixels.
    """

    asked: Tensor
    origins: Tensor
    directions: Tensor
    others: Tensor


def pixel_rays(
    level: Level,
    camera: Camera,
    pixels: Tensor,
    scene: SceneSpec,
    ray_mode: RayMode,
    skip_background: bool,
) -> PixelRays:
    """pixels: flat indices int64 (n,) of the camera's picture. skip_background: see
    `network_rays`. Raises ValueError for other pixels."""
    if pixels.dim() != 1 or pixels.dtype is not torch.int64 or pixels.device.type != "cpu":
        raise ValueError(f"pixels are int64 (n,) on the CPU, not {pixels.dtype} {pixels.shape}")
    n, pixels = len(pixels), pixels.contiguous()
    origin_radius = scene.origin_radius or 0.0
    view = View(
        width=camera.width_px,
        canonical=ray_mode == "canonical",
        skip=skip_background,
        camera=tuple(camera_values(camera).tolist()),
        center=scene.center,
        origin_radius=origin_radius,
        origin_radius_2=origin_radius * origin_radius,
        bound_radius_2=scene.bound_radius**2,
    )
    asked, others = torch.empty(n, dtype=torch.int64), torch.empty(n, dtype=torch.int64)
    rays = torch.empty(2, n, 3)
    ends = [asked.data_ptr(), rays[0].data_ptr(), rays[1].data_ptr(), others.data_ptr()]
    k = level.rays(ctypes.addressof(view), n, pixels.data_ptr(), *ends)
    return PixelRays(asked[:k], rays[0, :k], rays[1, :k], others[: n - k])
