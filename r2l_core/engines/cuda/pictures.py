"""Whole pictures on the GPU: a camera goes in, a finished 8-bit picture comes out.

One graph makes everything: the camera's values are copied in, rays are made and re-based, those
that need no network are sorted out, the others go through encoding and network tile by tile, and
the picture is rounded and copied out. The processor only fills in a camera and waits.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from r2l_core.engines.base import WholePicture, require_finite
from r2l_core.engines.cuda.device import SceneOnDevice, failures
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import camera_values, flat_pixel_rays, network_rays
from r2l_core.images.difference import DifferenceKind, Map
from r2l_core.images.difference_on_device import difference_on_device

_GRAPHS = 6
"""Graphs that are kept, of a few sizes and numbers of tiles; the one used least recently goes."""

_STEPS = 16
"""How many numbers of tiles there are graphs for, in each size."""

_MARGIN = 1.02
"""Room for pixels that need the network, over the last picture's."""

_LATEST = 0.3
"""Weight of the latest picture in the smoothed time."""


class CudaPictures:
    """See WholePictures."""

    def __init__(self, shown: SceneOnDevice) -> None:
        self._shown = shown
        self._device, self._precision = shown.device, shown.precision
        self._marks = (self._device.mark(), self._device.mark())
        self._graphs: dict[tuple[int, int, bool, int], _PictureGraph] = {}
        self._asked_share = {False: 1.0, True: 1.0}
        self._seconds_per_pixel: float | None = None
        self._map_host: Tensor | None = None

    def seconds(self, n_pixels: int) -> float:
        """See WholePictures.seconds."""
        return (
            float("inf") if self._seconds_per_pixel is None else n_pixels * self._seconds_per_pixel
        )

    @torch.inference_mode()
    def render(self, camera: Camera, skip_background: bool) -> WholePicture:
        """See WholePictures.render."""
        n_pixels = camera.width_px * camera.height_px
        expected = round(_MARGIN * self._asked_share[skip_background] * n_pixels)
        with failures("failed", self._precision):
            graph = self._graph(camera, skip_background, min(expected, n_pixels))
            began = time.perf_counter()
            device_ms = self._run(graph, camera)
            if graph.n_asked > graph.capacity:
                # More of the scene is in sight than in the picture before.
                graph = self._graph(camera, skip_background, graph.n_asked)
                device_ms += self._run(graph, camera)
        require_finite(graph.finite, "cuda", self._precision)
        self._asked_share[skip_background] = graph.n_asked / n_pixels
        image = graph.image()
        seconds = (time.perf_counter() - began) / n_pixels
        known = self._seconds_per_pixel
        if known is not None:
            seconds = known + _LATEST * (seconds - known)
        self._seconds_per_pixel = seconds
        return WholePicture(
            image, graph.n_asked, device_ms, graph.colors, graph.device_image, graph.device_colors
        )

    @torch.inference_mode()
    def difference(
        self, kind: DifferenceKind, a: WholePicture, b: WholePicture, exact: bool
    ) -> Map:
        """See WholePictures.difference."""
        pair = (a.device_colors, b.device_colors) if exact else (a.device_image, b.device_image)
        shape = pair[0].shape[:2]
        if self._map_host is None or self._map_host.shape != shape:
            self._map_host = self._device.host_memory(*shape)
        done = self._marks[1]
        with failures("failed", self._precision):
            with self._device.working():
                self._map_host.copy_(difference_on_device(kind, *pair), non_blocking=True)
                done.record()
            done.synchronize()
        values: Map = self._map_host.numpy().copy()
        return values

    def _run(self, graph: _PictureGraph, camera: Camera) -> float:
        """Have `graph` make the picture; the device's milliseconds."""
        start, done = self._marks
        graph.camera_host.copy_(camera_values(camera))
        with self._device.working():
            start.record()
            graph.replay()
            done.record()
        done.synchronize()
        return start.elapsed_time(done)

    def _graph(self, camera: Camera, skip_background: bool, n_asked: int) -> _PictureGraph:
        """The graph for such a picture of which `n_asked` pixels need the network."""
        tile_rays = self._shown.tile_rays
        n_all = -(-camera.width_px * camera.height_px // tile_rays)
        step = -(-n_all // _STEPS)
        n_tiles = min(n_all, -(-n_asked // (step * tile_rays)) * step)
        key = (camera.width_px, camera.height_px, skip_background, n_tiles)
        # The latest is the last.
        graph = self._graphs.pop(key, None) or _PictureGraph(self._shown, key)
        self._graphs[key] = graph
        if len(self._graphs) > _GRAPHS:
            del self._graphs[next(iter(self._graphs))]
        return graph


class _PictureGraph:
    """The captured making of pictures of one size, for up to so many tiles of network rays.

    key: width and height in pixels, whether background is skipped, number of tiles.
    """

    def __init__(self, shown: SceneOnDevice, key: tuple[int, int, bool, int]) -> None:
        self._shown = shown
        self._width, self._height, self._skips, n_tiles = key
        device = self._device = shown.device
        place = device.torch_device
        n_pixels = self._width * self._height
        self.capacity = n_tiles * shown.tile_rays
        """Most pixels that the network can be asked about."""
        self.camera_host = device.host_memory(16)
        self._image_host = device.host_memory(n_pixels, 3, dtype=torch.uint8)
        self._numbers_host = device.host_memory(2, dtype=torch.int64)
        self._camera = torch.zeros(16, device=place)
        self._background = torch.tensor(shown.scene.background_rgb, device=place)
        # One more each: what has no place in the picture goes there.
        self._picture = torch.zeros(n_pixels + 1, 3, device=place)
        self._image = torch.zeros(n_pixels, 3, dtype=torch.uint8, device=place)
        self._order = torch.arange(self.capacity + 1, device=place).clamp_max_(n_pixels)
        # Any camera will do to warm up with.
        self.camera_host.copy_(torch.tensor([1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 4, 0, 0, 1, 1]))
        self.replay = device.captured(self._make, warm_ups=1)

    @property
    def n_asked(self) -> int:
        """How many pixels of the last picture need the network."""
        return int(self._numbers_host[0])

    @property
    def finite(self) -> bool:
        """Whether all colours of the last picture are numbers."""
        return bool(self._numbers_host[1])

    @property
    def device_image(self) -> Tensor:
        """The last picture, uint8 (H, W, 3) on the device."""
        return self._image.view(self._height, self._width, 3)

    @property
    def device_colors(self) -> Tensor:
        """The last picture before rounding, float32 (H, W, 3) on the device."""
        return self._picture[:-1].view(self._height, self._width, 3)

    def image(self) -> NDArray[np.uint8]:
        """The last picture: uint8 (H, W, 3), read-only, a copy."""
        image: NDArray[np.uint8] = self._image_host.numpy().copy()
        image.flags.writeable = False
        return image.reshape(self._height, self._width, 3)

    def colors(self) -> Tensor:
        """The last picture before rounding: float32 (H, W, 3) on the CPU."""
        colors = torch.empty(self._height, self._width, 3)
        with torch.inference_mode(), self._device.working():
            colors.copy_(self.device_colors)
        return colors

    def _make(self) -> None:
        shown, n_pixels = self._shown, self._width * self._height
        self._camera.copy_(self.camera_host, non_blocking=True)
        pixels = torch.arange(n_pixels, device=self._camera.device)
        rays = flat_pixel_rays(self._camera, pixels, self._width)
        origins, directions, asked = network_rays(*rays, shown.scene, shown.ray_mode, self._skips)
        n_asked = torch.full((), n_pixels, device=pixels.device)
        if asked is not None:
            # Those to ask about in front, in their order; the rest of the tiles stays out.
            place = torch.where(asked, asked.cumsum(0) - 1, self.capacity)
            self._order.fill_(n_pixels)
            self._order.scatter_(0, place.clamp_max_(self.capacity), pixels)
            self._picture.copy_(self._background.expand_as(self._picture))
            n_asked = asked.sum()
        if self.capacity:
            self._shade(origins, directions)
        picture = self._picture[:-1]
        numbers = torch.stack([n_asked, picture.isfinite().all().to(torch.int64)])
        self._image.copy_((picture * 255.0).round_().clamp_(0, 255))
        self._image_host.copy_(self._image, non_blocking=True)
        self._numbers_host.copy_(numbers, non_blocking=True)

    def _shade(self, origins: Tensor, directions: Tensor) -> None:
        """The network's colours into the picture, in tiles. origins, directions: of all pixels."""
        order = self._order[: self.capacity]
        source = order.clamp_max(self._width * self._height - 1)
        parts = [torch.split(rays[source], self._shown.tile_rays) for rays in (origins, directions)]
        colors = torch.cat([self._shown.shade(*tile) for tile in zip(*parts, strict=True)])
        self._picture.index_copy_(0, order, colors)
