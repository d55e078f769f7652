"""Requests to frames, pass by pass, with one engine.

While the camera moves, one frame per request: the finest complete stride that fits the time, plus
the highest-contrast pixels of the next stride for what is left of it. Then passes refine the same
picture up to full resolution; a polled flag ends them between tiles.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from r2l_core.camera import Camera
from r2l_core.engines.base import Engine
from r2l_core.progressive import by_contrast, grid_pixels, interpolated, new_pixels
from r2l_core.rays import canonicalise, hits_bounds, looks_away, pixel_rays
from r2l_core.scene import SceneSpec
from r2l_core.types import STRIDES, Frame, FrameTimings, RayMode, RenderRequest

_CHUNK_PIXELS = 65536
"""Pixels whose rays are made at once: bounds the memory of large images."""

_SHOW_EVERY_S = 0.1
"""How often a long refinement pass shows what it has."""

_OVERHEAD_MS = 5.0
"""Part of the frame budget kept for interpolation, copying and hand-over."""


def never() -> bool:
    """The cancel flag of a render that nobody interrupts."""
    return False


@dataclass(frozen=True, eq=False)
class TimedImage:
    """colors: float32 (H, W, 3). seconds: wall time of the whole call; timings: its parts."""

    colors: Tensor
    timings: FrameTimings
    seconds: float


class Renderer:
    """Renders one light field with one engine. Used by one thread.

    `ray_mode`: see RayMode. `skip_background`: rays that miss the scene's bounding sphere become
    background without asking the network; off where every pixel has to go through it.
    """

    def __init__(
        self,
        engine: Engine,
        scene: SceneSpec,
        ray_mode: RayMode = "plain",
        skip_background: bool = False,
        epoch: int = 0,
    ) -> None:
        self.engine = engine
        self.scene = scene
        self.ray_mode: RayMode = ray_mode
        self.skip_background = skip_background
        self.epoch = epoch
        """Stamped on every frame; see Frame."""
        self.rays_per_s = 0.0
        """Smoothed measurement; 0 before the first tile."""
        self._canvas: _Canvas | None = None

    def warm_up(self) -> None:
        """Run the engine until its first-call costs are paid, and measure its speed."""
        camera = self.scene.home_camera()
        pixels = torch.arange(self.engine.tile_rays) % (camera.width_px * camera.height_px)
        origins, directions = self._rays(camera, pixels)
        for _ in range(2):
            start = time.perf_counter()
            self.engine.shade(origins, directions)
            self._measured(self.engine.tile_rays, time.perf_counter() - start)
        self.rays_per_s = self.engine.tile_rays / (time.perf_counter() - start)

    def render(self, camera: Camera, cancelled: Callable[[], bool] = never) -> Tensor | None:
        """One whole image at once: float32 (H, W, 3) in [0, 1], or None where cancelled."""
        canvas, _ = self._whole(camera, cancelled)
        return canvas.colors if bool(canvas.known.all()) else None

    def render_timed(self, camera: Camera) -> TimedImage:
        """One whole image and where its time went."""
        start = time.perf_counter()
        canvas, spent = self._whole(camera, never)
        return TimedImage(canvas.colors, spent.timings, time.perf_counter() - start)

    def _whole(self, camera: Camera, cancelled: Callable[[], bool]) -> tuple[_Canvas, _Spent]:
        canvas, total = _Canvas(camera), _Spent()
        order = grid_pixels(camera.width_px, camera.height_px, 1)
        for spent in self._shade(canvas, order, cancelled):
            total = total.plus(spent)
        return canvas, total

    def frames(
        self, request: RenderRequest, cancelled: Callable[[], bool] = never
    ) -> Iterator[Frame]:
        """Frames of a request, coarse to fine.

        The first picture of a new camera always comes; refinement stops between tiles once
        `cancelled` says so. Pixels already known for the same camera are kept.
        """
        start = time.perf_counter()
        canvas = self._canvas
        # One whose first pass failed, or that is coarser than asked for, starts afresh.
        if canvas is None or canvas.stride > request.max_stride or not canvas.shows(request.camera):
            canvas = self._canvas = _Canvas(request.camera)
            yield from self._preview(canvas, request, start)
        else:
            yield self._frame(canvas, request, start, _Spent())
        width, height = request.camera.width_px, request.camera.height_px
        for stride in STRIDES:
            if stride >= canvas.stride or cancelled():
                continue
            pixels = new_pixels(width, height, stride)
            pixels = pixels[~canvas.known.view(-1)[pixels]]
            pixels = by_contrast(pixels, interpolated(canvas.colors, canvas.known))
            shown, total = time.perf_counter(), _Spent()
            for spent in self._shade(canvas, pixels, cancelled):
                total = total.plus(spent)
                if time.perf_counter() - shown > _SHOW_EVERY_S:
                    yield self._frame(canvas, request, start, total)
                    shown, total = time.perf_counter(), _Spent()
            if cancelled() and not bool(canvas.known.view(-1)[pixels].all()):
                return
            canvas.stride = stride
            yield self._frame(canvas, request, start, total)

    def _preview(self, canvas: _Canvas, request: RenderRequest, start: float) -> Iterator[Frame]:
        """The frame that fits the budget: a complete stride and the best of the next one.

        It goes on to `max_stride` whatever the budget says.
        """
        width, height = request.camera.width_px, request.camera.height_px
        budget_s = max(request.target_ms - _OVERHEAD_MS, 1.0) / 1e3
        budget = int(self.rays_per_s * budget_s)
        stride = STRIDES[0]
        total = _Spent()
        for finer in STRIDES:
            pixels = new_pixels(width, height, finer)
            left = budget - total.network_rays
            if finer < request.max_stride and len(pixels) > left:
                # Whole tiles only: a padded one costs as much and gives less.
                tiles = left // self.engine.tile_rays
                if tiles > 0:
                    ordered = by_contrast(pixels, interpolated(canvas.colors, canvas.known))
                    for spent in self._shade(canvas, ordered, never, tiles):
                        total = total.plus(spent)
                break
            for spent in self._shade(canvas, pixels, never):
                total = total.plus(spent)
            stride = finer
        canvas.stride = stride
        yield self._frame(canvas, request, start, total)

    def _shade(
        self,
        canvas: _Canvas,
        pixels: Tensor,
        cancelled: Callable[[], bool],
        max_tiles: int | None = None,
    ) -> Iterator[_Spent]:
        """Compute `pixels` in order, tile by tile, yielding what each tile cost."""
        tile_rays = self.engine.tile_rays
        tiles = 0
        for start in range(0, len(pixels), _CHUNK_PIXELS):
            began = time.perf_counter()
            chunk = pixels[start : start + _CHUNK_PIXELS]
            if max_tiles is not None:
                # Skipped rays cost nothing, so more pixels than tiles hold may be needed.
                chunk = chunk[: 2 * max_tiles * tile_rays]
            origins, directions = self._rays(canvas.camera, chunk)
            asked = self._asked(origins, directions)
            if asked is not None:
                canvas.set_background(chunk[~asked], self.scene.background_rgb)
                chunk, origins, directions = chunk[asked], origins[asked], directions[asked]
            rays_ms = (time.perf_counter() - began) * 1e3
            for first in range(0, len(chunk), tile_rays):
                if cancelled() or tiles == max_tiles:
                    return
                tile = slice(first, first + tile_rays)
                yield self._shade_tile(
                    canvas, chunk[tile], origins[tile], directions[tile], rays_ms
                )
                rays_ms = 0.0
                tiles += 1
            if rays_ms:
                yield _Spent(timings=FrameTimings(rays_ms=rays_ms))
            if max_tiles is not None:
                return

    def _shade_tile(
        self, canvas: _Canvas, pixels: Tensor, origins: Tensor, directions: Tensor, rays_ms: float
    ) -> _Spent:
        began = time.perf_counter()
        n, tile_rays = len(pixels), self.engine.tile_rays
        if n < tile_rays:
            # Filled up with a ray of its own, so that a range over the whole tile stays the same.
            rows = torch.arange(tile_rays).clamp_max(n - 1)
            origins, directions = origins[rows], directions[rows]
        shaded = self.engine.shade(origins, directions)
        canvas.put(pixels, shaded.colors[:n])
        seconds = time.perf_counter() - began
        self._measured(tile_rays, seconds)
        copy_ms = max(seconds * 1e3 - shaded.encode_ms - shaded.network_ms, 0.0)
        timings = FrameTimings(rays_ms, shaded.encode_ms, shaded.network_ms, copy_ms)
        return _Spent(timings, n)

    def _rays(self, camera: Camera, pixels: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.div(pixels, camera.width_px, rounding_mode="floor")
        origins, directions = pixel_rays(camera, pixels - rows * camera.width_px, rows)
        if self.ray_mode == "canonical":
            return canonicalise(origins, directions, self.scene)
        return origins, directions

    def _asked(self, origins: Tensor, directions: Tensor) -> Tensor | None:
        """Which rays the network is asked about, bool (N,); None for all."""
        if self.skip_background:
            return hits_bounds(origins, directions, self.scene)
        if self.ray_mode == "canonical":
            away = looks_away(origins, directions, self.scene)
            return ~away if bool(away.any()) else None
        return None

    def _measured(self, rays: int, seconds: float) -> None:
        rate = rays / max(seconds, 1e-9)
        self.rays_per_s = rate if self.rays_per_s == 0 else 0.9 * self.rays_per_s + 0.1 * rate

    def _frame(self, canvas: _Canvas, request: RenderRequest, start: float, spent: _Spent) -> Frame:
        began = time.perf_counter()
        image = to_uint8(
            canvas.colors if canvas.stride == 1 else interpolated(canvas.colors, canvas.known)
        )
        now = time.perf_counter()
        copy_ms = spent.timings.copy_ms + (now - began) * 1e3
        return Frame(
            seq=request.seq,
            epoch=self.epoch,
            camera=request.camera,
            image=image,
            stride=canvas.stride,
            network_rays=spent.network_rays,
            timings=replace(spent.timings, copy_ms=copy_ms),
            elapsed_ms=(now - start) * 1e3,
            engine=self.engine.info,
            created_s=request.created_s,
        )


def to_uint8(colors: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Float colours in [0, 1], (H, W, 3), to a read-only uint8 array, rounded to nearest."""
    image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = (
        (colors * 255.0).round_().clamp_(0, 255).to(torch.uint8).numpy()
    )
    image.flags.writeable = False
    return image


class _Canvas:
    """The picture of one camera while it grows: colours and which pixels are known."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.colors = torch.zeros(camera.height_px, camera.width_px, 3)
        self.known = torch.zeros(camera.height_px, camera.width_px, dtype=torch.bool)
        self.stride = 2 * STRIDES[0]
        """Finest stride that is complete."""

    def shows(self, camera: Camera) -> bool:
        """Whether this is the picture of exactly that camera."""
        return self.camera.same_view(camera)

    def put(self, pixels: Tensor, colors: Tensor) -> None:
        self.colors.view(-1, 3).index_copy_(0, pixels, colors)
        self.known.view(-1).index_fill_(0, pixels, True)

    def set_background(self, pixels: Tensor, rgb: tuple[float, float, float]) -> None:
        self.put(pixels, torch.tensor(rgb).expand(len(pixels), 3))


class _Spent:
    """Time and rays of one or more tiles."""

    def __init__(self, timings: FrameTimings | None = None, network_rays: int = 0) -> None:
        self.timings = timings or FrameTimings()
        self.network_rays = network_rays

    def plus(self, other: _Spent) -> _Spent:
        a, b = self.timings, other.timings
        timings = FrameTimings(
            a.rays_ms + b.rays_ms,
            a.encode_ms + b.encode_ms,
            a.network_ms + b.network_ms,
            a.copy_ms + b.copy_ms,
        )
        return _Spent(timings, self.network_rays + other.network_rays)
