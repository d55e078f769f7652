"""A picture while it grows, and the pictures of all panes that answer one request, in step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from r2l_core.geometry.camera import Camera
from r2l_core.render.carrying import Carried, Shown
from r2l_core.render.frames import STRIDES, FrameTimings
from r2l_core.render.pixel_grids import flat_cells, grid_pixels, interpolated
from r2l_core.render.sources import Batch, NetworkSource, PixelSource, RenderCost
from r2l_core.torch_threads import one_torch_thread

_CHUNK_PIXELS = 65536
"""Pixels that are planned at once: bounds the memory of large images."""


class ProgressiveImage:
    """Colours of one camera's pixels, which of them are known, and what they have cost.

    `flat_tolerance`: see RenderRequest. The picture has to start afresh when that changes.
    """

    def __init__(self, source: PixelSource, camera: Camera, flat_tolerance: float = 0.0) -> None:
        self.source = source
        self.camera = camera
        self.flat_tolerance = flat_tolerance
        self.colors = torch.empty(camera.height_px, camera.width_px, 3)
        """Of known pixels. The others hold anything: filling them would take a millisecond from
        every preview."""
        # One thread has finished before torch has woken the others.
        with one_torch_thread():
            self.known = torch.zeros(camera.height_px, camera.width_px, dtype=torch.bool)
            self.skipped = torch.zeros_like(self.known)
        """Which of the known pixels are background without anybody having been asked."""
        self.stride = 2 * STRIDES[0]
        """Finest stride that is complete."""
        self.spent_ms = 0.0
        """What its frames have cost until now, whichever requests they answered."""
        self.interpolated_pixels = 0
        """How many of the known pixels were taken from their surroundings."""
        self._cost = RenderCost()
        self._rays_ms = self._copy_ms = 0.0
        self.untouched = True
        """Whether no pixel is known."""
        self.carried: Carried | None = None
        """What helps with the pixels that are not known."""

    def shows(self, camera: Camera, flat_tolerance: float) -> bool:
        """Whether this is the picture of exactly that camera, made in that way."""
        return self.flat_tolerance == flat_tolerance and self.camera.same_view(camera)

    def n_unknown(self, stride: int) -> int:
        """How many pixels at `stride` are not known yet."""
        height, width = self.camera.height_px, self.camera.width_px
        n_pixels = -(-width // stride) * -(-height // stride)
        if self.untouched:
            return n_pixels
        return n_pixels - int(self.known[::stride, ::stride].count_nonzero())

    def unknown(self, pixels: Tensor) -> Tensor:
        """Those of the flat indices `pixels` that are not known yet, in their order."""
        return pixels if self.untouched else pixels[~self.known.view(-1)[pixels]]

    def among_skipped(self, pixels: Tensor) -> Tensor:
        """Those of the flat indices `pixels` that were skipped, in their order."""
        return pixels[self.skipped.view(-1)[pixels]]

    def ask(self, pixels: Tensor, whole: bool = False) -> Iterator[int]:
        """Have `pixels` known, in their order, without skipping any where `whole`.

        Yields between parts how many pixels the source was asked about since the last time.
        """
        for chunk in chunks(pixels):
            batch = self.plan(chunk, whole)
            yield 0
            yield from self.shade(batch)

    def plan(self, pixels: Tensor, whole: bool = False) -> Batch:
        """What the source has to be asked about; the other pixels are known now."""
        began = time.perf_counter()
        with one_torch_thread() if self.source.quiet_torch else contextlib.nullcontext():
            plan = self.source.plan(self.camera, pixels, whole)
            if len(plan.background):
                colors = torch.tensor(plan.background_rgb).expand(len(plan.background), 3)
                self._put(plan.background, colors, plan.skipped)
        self._rays_ms += (time.perf_counter() - began) * 1e3
        return plan.batch

    def shade(self, batch: Batch) -> Iterator[int]:
        """Have planned pixels known, part by part; see `ask`."""
        start = 0
        for colors, cost in self.source.shade(self.camera, batch):
            began = time.perf_counter()
            end = start + len(colors)
            self._put(batch.pixels[start:end], colors, False)
            self._cost += cost
            self.charge((time.perf_counter() - began) * 1e3)
            yield len(colors)
            start = end

    def _put(self, pixels: Tensor, colors: Tensor, skipped: bool) -> None:
        self.colors.view(-1, 3).index_copy_(0, pixels, colors)
        self.known.view(-1).index_fill_(0, pixels, True)
        self.skipped.view(-1).index_fill_(0, pixels, skipped)
        self.untouched = False

    def charge(self, copy_ms: float) -> None:
        """Count the time of work on this picture outside its source."""
        self._copy_ms += copy_ms

    @property
    def source_s(self) -> float:
        """Time inside the source since the last frame."""
        return self._cost.source_s

    def take_cost(self) -> RenderCost:
        """What was spent since the last frame."""
        cost = self._cost + RenderCost(FrameTimings(self._rays_ms, 0.0, 0.0, self._copy_ms))
        self._cost, self._rays_ms, self._copy_ms = RenderCost(), 0.0, 0.0
        self.spent_ms += cost.timings.total_ms
        return cost

    def shown(self, known: Tensor, stride: int) -> Shown:
        """The picture as far as it goes: known pixels as they are, the others carried along or
        interpolated.

        known: bool (H, W), those to use, all of them at `stride`; with a stride of 1, all.
        """
        if stride > 1 and self.carried is not None:
            return self.carried.blended(self.colors, known, stride)
        colors = self.colors if stride == 1 else interpolated(self.colors, known, stride)
        return Shown(self.source, self.camera, colors, known)

    def fill_flat(self, pixels: Tensor) -> None:
        """Know those of `pixels`, all between points of the finest complete grid, whose
        surroundings are flat, from these."""
        stride, width_px = self.stride, self.camera.width_px
        flat = flat_cells(self.colors[::stride, ::stride], self.flat_tolerance)
        chosen = pixels[flat[pixels // width_px // stride, pixels % width_px // stride]]
        picture = interpolated(self.colors, self.known, stride)
        self._put(chosen, picture.view(-1, 3)[chosen], False)
        self.interpolated_pixels += len(chosen)


@dataclass(frozen=True, eq=False)
class TimedImage:
    """colors: float32 (H, W, 3). seconds: wall time of the whole call; timings: its parts."""

    colors: Tensor
    timings: FrameTimings
    seconds: float


def chunks(pixels: Tensor) -> tuple[Tensor, ...]:
    """`pixels` in parts that may be planned at once; one empty part where there are none."""
    return torch.split(pixels, _CHUNK_PIXELS)


def never() -> bool:
    """The flag of a render that nobody cancels."""
    return False


def render_image(
    source: PixelSource,
    camera: Camera,
    cancelled: Callable[[], bool] = never,
    whole: bool = False,
) -> Tensor | None:
    """One whole image at once: float32 (H, W, 3) in [0, 1], or None where cancelled.

    `whole`: no pixel may be skipped.
    """
    if isinstance(source, NetworkSource) and source.pictures is not None:
        return source.whole_picture(camera, whole).colors()
    image = ProgressiveImage(source, camera)
    return image.colors if _complete(image, cancelled, whole) else None


def timed_image(source: PixelSource, camera: Camera) -> TimedImage:
    """One whole image and where its time went."""
    start = time.perf_counter()
    if isinstance(source, NetworkSource) and source.pictures is not None:
        picture = source.whole_picture(camera)
        colors, seconds = picture.colors(), time.perf_counter() - start
        timings = FrameTimings(
            network_ms=picture.device_ms, copy_ms=max(seconds * 1e3 - picture.device_ms, 0.0)
        )
        return TimedImage(colors, timings, seconds)
    image = ProgressiveImage(source, camera)
    _complete(image)
    return TimedImage(image.colors, image.take_cost().timings, time.perf_counter() - start)


def _complete(
    image: ProgressiveImage, cancelled: Callable[[], bool] = never, whole: bool = False
) -> bool:
    for _ in image.ask(grid_pixels(image.camera.width_px, image.camera.height_px, 1), whole):
        if cancelled():
            break
    return bool(image.known.all())


_STEP_S = 0.35
"""Time that all sources together may take until they know the same pixels again."""

_FEW_PIXELS = 250_000
"""One thread has finished so small a picture before torch has woken the others; where these are few
as well, it leaves a processor to the window."""


class ImageSet:
    """One picture or several of the same camera. What is known is what all know."""

    def __init__(self, images: Iterable[ProgressiveImage]) -> None:
        self._images = tuple(images)

    def __iter__(self) -> Iterator[ProgressiveImage]:
        return iter(self._images)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def first(self) -> ProgressiveImage:
        """The first pane's."""
        return self._images[0]

    @property
    def stride(self) -> int:
        """Finest stride that is complete."""
        return max(image.stride for image in self._images)

    def complete(self, stride: int) -> None:
        """Note that all pixels at `stride` are known."""
        for image in self._images:
            image.stride = min(image.stride, stride)

    def known(self) -> Tensor:
        """Which pixels are known: bool (H, W)."""
        return reduce(torch.logical_and, (image.known for image in self._images))

    def unknown(self, pixels: Tensor) -> Tensor:
        """Those of the flat indices `pixels` that are not known, in their order."""
        if any(image.untouched for image in self._images):
            return pixels
        return pixels[~self.known().view(-1)[pixels]]

    def skipped(self) -> Tensor:
        """Flat indices of the pixels that any has skipped: int64 (n,), row by row."""
        skipped = reduce(torch.logical_or, (image.skipped for image in self._images))
        return skipped.view(-1).nonzero().view(-1)

    def charge(self, seconds: float) -> None:
        """Charge work that was done for all, in equal parts."""
        for image in self._images:
            image.charge(seconds * 1e3 / len(self._images))

    def step_pixels(self, n_pixels: int) -> int:
        """Of how many pixels in a row each may be asked before it is the next one's turn."""
        speeds = [image.source.speed for image in self._images]
        computing = [speed for speed in speeds if speed is not None and speed.rays_per_s > 0]
        if len(self._images) == 1 or not computing:
            return max(n_pixels, 1)
        largest = max(speed.call_rays[-1] if speed.call_rays else 1 for speed in computing)
        affordable = round(_STEP_S / sum(speed.seconds(1) for speed in computing))
        return max(largest, affordable // largest * largest)

    def quiet(self, any_size: bool = True) -> contextlib.AbstractContextManager[None]:
        """Around torch's work between two calls of a source: on one thread where a source asks for
        it, where another source wants the processors next, or, unless `any_size` is False, where
        the picture is small."""
        camera = self.first.camera
        few = any_size and camera.width_px * camera.height_px <= _FEW_PIXELS
        if len(self._images) > 1 or few or self.first.source.quiet_torch:
            return one_torch_thread()
        return contextlib.nullcontext()
