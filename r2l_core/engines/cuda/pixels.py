"""Lists of a picture's pixels on the GPU: a camera and pixels go in, colours come out.

For previews and refinement, where whole pictures (`pictures`) take longer than a frame may. A call
is one graph replay and one copy each way: rays are made, re-based and encoded on the device.
Colours come back in float32, since pixels between them are interpolated before any rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from r2l_core.engines.base import Shaded, require_finite
from r2l_core.engines.cuda.device import Device, Mark, SceneOnDevice, failures
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import camera_values, flat_pixel_rays, network_rays

_TESTED_AT_ONCE = 65536
"""Pixels of which one call says whether they are background: as many as are planned at once."""


class CudaPixels:
    """See PixelLists. Graphs are captured when they are first needed."""

    any_rays = False

    def __init__(self, shown: SceneOnDevice, small_tiles: tuple[int, ...]) -> None:
        self.tile_rays = shown.tile_rays
        # Few pixels of a preview need not take as long as a full tile on GPUs with few processors.
        self.small_tiles = small_tiles
        self._shown = shown
        self._device, self._precision = shown.device, shown.precision
        self._marks = (self._device.mark(), self._device.mark())
        self._shading: dict[int, _Captured] = {}
        self._testing: dict[bool, _Captured] = {}

    @torch.inference_mode()
    def asked(self, camera: Camera, pixels: Tensor, skip_background: bool) -> Tensor | None:
        """See PixelLists.asked."""
        shown = self._shown
        if not skip_background and shown.ray_mode == "plain":
            return None

        def test(origins: Tensor, directions: Tensor) -> Tensor:
            *_, asked = network_rays(
                origins, directions, shown.scene, shown.ray_mode, skip_background
            )
            assert asked is not None
            return asked

        with failures("failed", self._precision):
            if skip_background not in self._testing:
                answer = self._device.host_memory(_TESTED_AT_ONCE, dtype=torch.bool)
                self._testing[skip_background] = _Captured(self._device, test, answer)
            graph = self._testing[skip_background]
            parts = torch.split(pixels, _TESTED_AT_ONCE)
            return torch.cat([graph(camera, part, self._marks)[0].clone() for part in parts])

    @torch.inference_mode()
    def shade(self, pixels: Tensor, camera: Camera) -> Shaded:
        """See PixelLists.shade."""

        shown = self._shown

        def colors_of(origins: Tensor, directions: Tensor) -> Tensor:
            origins, directions, _ = network_rays(
                origins, directions, shown.scene, shown.ray_mode, skip_background=False
            )
            return shown.shade(origins, directions)

        n = len(pixels)
        with failures("failed", self._precision):
            if n not in self._shading:
                answer = self._device.host_memory(n, 3)
                self._shading[n] = _Captured(self._device, colors_of, answer)
            colors, device_ms = self._shading[n](camera, pixels, self._marks)
        require_finite(bool(colors.isfinite().all()), "cuda", self._precision)
        # The pinned memory is written again by the next call.
        return Shaded(colors.clone(), 0.0, device_ms)


class _Captured:
    """What answers for as many pixels as `answer` has rows, in one graph.

    answer: memory of the host for what `run` makes of origins and directions, float32 (n, 3) each.
    """

    def __init__(
        self, device: Device, run: Callable[[Tensor, Tensor], Tensor], answer: Tensor
    ) -> None:
        size, place = len(answer), device.torch_device
        self._device, self._run, self._answer = device, run, answer
        self._camera_host = device.host_memory(16)
        # The last one is the picture's width.
        self._pixels_host = device.host_memory(size + 1, dtype=torch.int64)
        self._camera = torch.zeros(16, device=place)
        self._pixels = torch.zeros(size + 1, dtype=torch.int64, device=place)
        # Any camera and any pixels will do to warm up with.
        self._camera_host.copy_(torch.tensor([1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 4, 0, 0, 1, 1]))
        self._pixels_host.fill_(1)
        self._replay = device.captured(self._make)

    def __call__(
        self, camera: Camera, pixels: Tensor, marks: tuple[Mark, Mark]
    ) -> tuple[Tensor, float]:
        """The answer, valid until the next, and the device's milliseconds.

        pixels: int64 (n,), at most as many as there is room for.
        """
        start, done = marks
        self._camera_host.copy_(camera_values(camera))
        self._pixels_host[: len(pixels)].copy_(pixels)
        self._pixels_host[-1] = camera.width_px
        with self._device.working():
            start.record()
            self._replay()
            done.record()
        done.synchronize()
        return self._answer[: len(pixels)], start.elapsed_time(done)

    def _make(self) -> None:
        self._camera.copy_(self._camera_host, non_blocking=True)
        self._pixels.copy_(self._pixels_host, non_blocking=True)
        rays = flat_pixel_rays(self._camera, self._pixels[:-1], self._pixels[-1])
        self._answer.copy_(self._run(*rays), non_blocking=True)
