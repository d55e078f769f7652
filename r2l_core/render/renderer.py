"""Requests to frames, pass by pass, with one engine.

While the camera moves, one frame per request: the finest complete stride that fits the time, plus
the pixels of the next stride where the last picture had the highest contrast, for what is left of
it. Then passes refine the same picture up to full resolution; a polled flag ends them between
tiles.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from r2l_core.engines.base import Engine
from r2l_core.engines.tiles import Tiles
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import canonicalise, hits_bounds, looks_away, pixel_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.canvas import Canvas
from r2l_core.render.frames import STRIDES, Frame, FrameTimings, RenderRequest
from r2l_core.render.progressive import by_contrast, grid_pixels, new_pixels
from r2l_core.torch_threads import one_torch_thread
from r2l_core.types import RayMode

_CHUNK_PIXELS = 65536
"""Pixels whose rays are made at once: bounds the memory of large images."""

SHOW_EVERY_S = 0.1
"""How often a long refinement pass shows what it has."""

HYSTERESIS = 0.1
"""A stride finer than the last one has to fit with this share of the budget to spare, and one that
was good enough may exceed it by as much: the resolution does not flicker between two."""

_FEW_PIXELS = 250_000
"""One thread has finished so small a picture before torch has woken the others; where these are few
as well, it leaves a processor to the window."""

_FLAT_STRIDE = 8
"""Points farther apart say too little about what is between them to call it flat."""

_WORTH_FILLING = 64
"""Fewer rays than this, to fill up a tile, are not worth finding out which."""


def never() -> bool:
    """The cancel flag of a render that nobody interrupts."""
    return False


@dataclass(frozen=True, eq=False)
class TimedImage:
    """colors: float32 (H, W, 3). seconds: wall time of the whole call; timings: its parts."""

    colors: Tensor
    timings: FrameTimings
    seconds: float


@dataclass
class Spent:
    """Time and rays of one or more tiles."""

    timings: FrameTimings = field(default_factory=FrameTimings)
    network_rays: int = 0
    tiles_s: float = 0.0

    def add(self, other: Spent) -> None:
        self.timings += other.timings
        self.tiles_s += other.tiles_s
        self.network_rays += other.network_rays


@dataclass(frozen=True, eq=False)
class Batch:
    """Rays the network is asked about: flat pixel indices (n,), float32 (n, 3) twice."""

    pixels: Tensor
    origins: Tensor
    directions: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def rows(self, part: slice) -> Batch:
        return Batch(self.pixels[part], self.origins[part], self.directions[part])

    def with_more(self, other: Batch) -> Batch:
        pairs = zip(
            (self.pixels, self.origins, self.directions),
            (other.pixels, other.origins, other.directions),
            strict=True,
        )
        return Batch(*(torch.cat(pair) for pair in pairs))


class Renderer:
    """Renders one light field with one engine. Used by one thread.

    `ray_mode`: see RayMode. `skip_background`: rays that miss the scene's bounding sphere become
    background without asking the network; off where every pixel has to go through it. Pixels that
    `Together` has asked about all the same stay as the network sees them.
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
        """Stamped on every frame, as `light_field` is; see Frame."""
        self.light_field = ""
        self.tiles = Tiles(engine)
        self._canvas: Canvas | None = None
        self._picture: Tensor | None = None
        """The last one that was shown, float32 (H, W, 3)."""
        self._last_stride: int | None = None
        """What the last preview chose."""
        self.asked_share = 1.0
        """Share of the last preview's pixels that the network was asked about."""
        self.overhead_s = 0.005
        """Smoothed time of a preview outside the engine."""

    def warm_up(self) -> None:
        """Run the engine until its first-call costs are paid, and measure its speed."""
        camera = self.scene.home_camera()
        pixels = torch.arange(self.tiles.size) % (camera.width_px * camera.height_px)
        self.tiles.warm_up(*self._rays(camera, pixels))

    def render(self, camera: Camera, cancelled: Callable[[], bool] = never) -> Tensor | None:
        """One whole image at once: float32 (H, W, 3) in [0, 1], or None where cancelled."""
        canvas, _ = self._whole(camera, cancelled)
        return canvas.colors if bool(canvas.known.all()) else None

    def render_timed(self, camera: Camera) -> TimedImage:
        """One whole image and where its time went."""
        start = time.perf_counter()
        canvas, spent = self._whole(camera, never)
        return TimedImage(canvas.colors, spent.timings, time.perf_counter() - start)

    def _whole(self, camera: Camera, cancelled: Callable[[], bool]) -> tuple[Canvas, Spent]:
        canvas, total = Canvas(camera), Spent()
        for spent in self.shade(canvas, grid_pixels(camera.width_px, camera.height_px, 1)):
            total.add(spent)
            if cancelled():
                break
        return canvas, total

    def frames(
        self,
        request: RenderRequest,
        cancelled: Callable[[], bool] = never,
        abandoned: Callable[[], bool] = never,
    ) -> Iterator[Frame]:
        """Frames of a request, coarse to fine.

        The first picture of a new camera comes unless `abandoned` says that nobody will look at
        it; refinement stops between tiles once `cancelled` says so. Pixels already known for the
        same camera are kept.
        """
        start = time.perf_counter()
        canvas = self.canvas(request)
        spent = Spent()
        # What is coarser than asked for, or has nothing yet, takes a preview first.
        if canvas.stride > min(request.max_stride, STRIDES[0]):
            preview = self._preview(canvas, request, abandoned)
            if preview is None:
                return
            spent = preview
        frame = self._frame(canvas, request, start, spent)
        if spent.network_rays:
            outside_s = frame.elapsed_ms / 1e3 - spent.tiles_s
            self.overhead_s += 0.2 * (outside_s - self.overhead_s)
        yield frame
        for stride in STRIDES:
            if stride < canvas.stride and not cancelled():
                yield from self._refine(canvas, request, stride, start, cancelled)

    def canvas(self, request: RenderRequest) -> Canvas:
        """The picture of the request's camera as far as it is known; a new one where it is not."""
        canvas = self._canvas
        if canvas is None or not canvas.shows(request.camera, request.flat_tolerance):
            canvas = self._canvas = Canvas(request.camera, request.flat_tolerance)
        return canvas

    def _refine(
        self,
        canvas: Canvas,
        request: RenderRequest,
        stride: int,
        start: float,
        cancelled: Callable[[], bool],
    ) -> Iterator[Frame]:
        """Complete the next stride, unless cancelled on the way."""
        began = time.perf_counter()
        pixels = canvas.unknown(
            new_pixels(request.camera.width_px, request.camera.height_px, stride)
        )
        with self.quiet():
            if canvas.flat_tolerance > 0 and canvas.stride <= _FLAT_STRIDE:
                canvas.fill_flat(pixels)
                pixels = canvas.unknown(pixels)
            pixels = by_contrast(pixels, canvas.picture())
        total = Spent(FrameTimings(copy_ms=(time.perf_counter() - began) * 1e3))
        shown = time.perf_counter()
        for spent in self.shade(canvas, pixels):
            total.add(spent)
            if cancelled():
                break
            if time.perf_counter() - shown > SHOW_EVERY_S:
                yield self._frame(canvas, request, start, total)
                shown, total = time.perf_counter(), Spent()
        if len(canvas.unknown(pixels)) == 0:
            canvas.stride = stride
            yield self._frame(canvas, request, start, total)

    def _preview(
        self, canvas: Canvas, request: RenderRequest, abandoned: Callable[[], bool]
    ) -> Spent | None:
        """The picture that fits the budget; None where it was abandoned.

        It is as fine as `max_stride` whatever the budget says.
        """
        width, height = request.camera.width_px, request.camera.height_px
        budget = self._budget(request)
        stride = min(self._affordable(budget, width, height), request.max_stride)
        pixels = canvas.unknown(grid_pixels(width, height, stride))
        *full, last = torch.split(pixels, _CHUNK_PIXELS)
        total = Spent()
        for chunk in full:
            for spent in self.shade(canvas, chunk):
                total.add(spent)
                if abandoned():
                    return None
        began = time.perf_counter()
        with self.quiet(width * height):
            batch = self._batch(canvas, last)
            if len(pixels):
                self.asked_share = (total.network_rays + len(batch)) / len(pixels)
            room = self._room(len(batch), budget - total.network_rays)
            if room >= _WORTH_FILLING and stride > 1 and self._picture is not None:
                batch = batch.with_more(self._extra(canvas, stride // 2, room, self._picture))
        total.timings += FrameTimings(rays_ms=(time.perf_counter() - began) * 1e3)
        for spent in self._shade_batch(canvas, batch):
            total.add(spent)
            if abandoned():
                return None
        canvas.stride = self._last_stride = stride
        return total

    def _budget(self, request: RenderRequest) -> int:
        """Rays that can be calculated in time."""
        target_s = request.target_ms / 1e3
        # However slow the rest is, half of the time goes to the picture.
        return int(self.tiles.rays_per_s * max(target_s - self.overhead_s, 0.5 * target_s))

    def _affordable(self, budget: int, width: int, height: int) -> int:
        """The finest complete stride within the budget."""
        for stride in reversed(STRIDES):
            margin = 1.0
            if self._last_stride is not None:
                margin += HYSTERESIS if stride >= self._last_stride else -HYSTERESIS
            n_pixels = -(-width // stride) * -(-height // stride)
            if n_pixels * self.asked_share <= margin * budget:
                return stride
        return STRIDES[0]

    def _room(self, n_rays: int, budget: int) -> int:
        """How many rays may join `n_rays`, about within the budget or in the same tiles."""
        most, above = self.tiles.within(budget), self.tiles.calculated(budget)
        # Tiles have few sizes, and a slightly late picture wastes less than a half empty one.
        if above - budget < min(budget - most, HYSTERESIS * budget):
            most = above
        return max(most, self.tiles.calculated(n_rays)) - n_rays

    def _extra(self, canvas: Canvas, stride: int, n_rays: int, picture: Tensor) -> Batch:
        """The `n_rays` new pixels at `stride` where `picture` has the highest contrast."""
        width, height = canvas.camera.width_px, canvas.camera.height_px
        if picture.shape[:2] != (height, width):
            return self._batch(canvas, torch.empty(0, dtype=torch.int64))
        pixels = by_contrast(canvas.unknown(new_pixels(width, height, stride)), picture)
        # Skipped rays cost nothing, so more pixels may be needed than rays.
        return self._batch(canvas, pixels[: 2 * n_rays]).rows(slice(n_rays))

    def shade(self, canvas: Canvas, pixels: Tensor, whole: bool = False) -> Iterator[Spent]:
        """Compute `pixels` in order, tile by tile, yielding what each tile cost.

        `whole`: without skipping any.
        """
        for chunk in torch.split(pixels, _CHUNK_PIXELS):
            began = time.perf_counter()
            with self.quiet():
                batch = self._batch(canvas, chunk, whole)
            yield Spent(FrameTimings(rays_ms=(time.perf_counter() - began) * 1e3))
            yield from self._shade_batch(canvas, batch)

    def _shade_batch(self, canvas: Canvas, batch: Batch) -> Iterator[Spent]:
        for start in range(0, len(batch), self.tiles.size):
            part = batch.rows(slice(start, start + self.tiles.size))
            began = time.perf_counter()
            tile = self.tiles.shade(part.origins, part.directions)
            canvas.put(part.pixels, tile.colors)
            whole_ms = (time.perf_counter() - began) * 1e3
            copy_ms = max(whole_ms - tile.encode_ms - tile.network_ms, 0.0)
            timings = FrameTimings(0.0, tile.encode_ms, tile.network_ms, copy_ms)
            yield Spent(timings, len(part), tile.seconds)

    def _batch(self, canvas: Canvas, pixels: Tensor, whole: bool = False) -> Batch:
        """The rays of `pixels` that the network is asked about; the others become background."""
        origins, directions = self._rays(canvas.camera, pixels)
        if self.skip_background and not whole:
            asked = hits_bounds(origins, directions, self.scene)
            canvas.skip(pixels[~asked], self.scene.background_rgb)
        elif self.ray_mode == "canonical":
            asked = ~looks_away(origins, directions, self.scene)
            canvas.set_background(pixels[~asked], self.scene.background_rgb)
        else:
            return Batch(pixels, origins, directions)
        return Batch(pixels[asked], origins[asked], directions[asked])

    def _rays(self, camera: Camera, pixels: Tensor) -> tuple[Tensor, Tensor]:
        rows = torch.div(pixels, camera.width_px, rounding_mode="floor")
        origins, directions = pixel_rays(camera, pixels - rows * camera.width_px, rows)
        if self.ray_mode == "canonical":
            return canonicalise(origins, directions, self.scene)
        return origins, directions

    def quiet(self, picture_px: int | None = None) -> contextlib.AbstractContextManager[None]:
        """Around torch's work between two calls of the engine: on one thread where the engine asks
        for it, or where the work is on a picture of few pixels."""
        few = picture_px is not None and picture_px <= _FEW_PIXELS
        return one_torch_thread() if self.engine.quiet_torch or few else contextlib.nullcontext()

    def _frame(self, canvas: Canvas, request: RenderRequest, start: float, spent: Spent) -> Frame:
        began = time.perf_counter()
        with self.quiet(canvas.camera.width_px * canvas.camera.height_px):
            self._picture = canvas.picture()
            image = to_uint8(self._picture)
        now = time.perf_counter()
        spent.timings += FrameTimings(copy_ms=(now - began) * 1e3)
        return self.frame(canvas, request, image, canvas.stride, (now - start) * 1e3, spent)

    def frame(
        self,
        canvas: Canvas,
        request: RenderRequest,
        image: NDArray[np.uint8],
        stride: int,
        elapsed_ms: float,
        spent: Spent,
    ) -> Frame:
        """`image`, (H, W, 3), labelled with what it cost and who made it."""
        canvas.spent_ms += spent.timings.total_ms
        return Frame(
            seq=request.seq,
            epoch=self.epoch,
            camera=request.camera,
            image=image,
            stride=stride,
            network_rays=spent.network_rays,
            timings=spent.timings,
            elapsed_ms=elapsed_ms,
            engine=self.engine.info,
            created_s=request.created_s,
            interpolated_pixels=canvas.interpolated_pixels,
            light_field=self.light_field,
        )


def to_uint8(colors: Tensor) -> NDArray[np.uint8]:
    """Float colours in [0, 1], (H, W, 3), to a read-only uint8 array, rounded to nearest."""
    image: NDArray[np.uint8] = (colors * 255.0).round_().clamp_(0, 255).to(torch.uint8).numpy()
    image.flags.writeable = False
    return image
