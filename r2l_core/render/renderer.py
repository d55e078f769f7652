"""Requests to frames, pass by pass: of one picture, or of several that are compared.

While the camera moves, one set of frames per request: a complete grid for half of the time or less,
plus pixels of finer grids where the last picture had the highest contrast, for what is left of it.
Then passes refine the same pictures up to full resolution; a polled flag ends them
between tiles. Between the pixels that are known, a picture that stands alone has the last one
carried along (`carrying`).

What is shown together always has the same camera, the same pixels and the same pass, so that a
difference is a difference of the sources. Pictures that are compared have to be those that `eval`
measures: once all are complete, the networks are asked about what was skipped, and only then the
frames carry exact colours. Flat areas are not interpolated in them, as their difference would be
that of their surroundings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from r2l_core.render.budget import (
    FINE_STRIDE,
    base_stride,
    extra_rays,
    finest_stride,
    time_for_pixels,
)
from r2l_core.render.carrying import Shown, carried_along
from r2l_core.render.frames import STRIDES, Frame, RenderRequest
from r2l_core.render.panes import Pane
from r2l_core.render.pixel_grids import (
    by_contrast,
    grid_pixels,
    interpolated,
    new_pixels,
    telling_pixels,
)
from r2l_core.render.progressive_image import ImageSet, ProgressiveImage, chunks, never
from r2l_core.render.sources import Batch
from r2l_core.render.whole_frames import WholeFrames
from r2l_core.types import to_uint8

SHOW_EVERY_S = 0.1
"""How often a long refinement pass shows what it has."""

_FLAT_STRIDE = 8
"""Points farther apart say too little about what is between them to call it flat."""

_WORTH_FILLING = 64
"""Fewer rays than this, to fill up a tile, are not worth finding out which."""


class Renderer:
    """Renders requests with all `panes` in step. Used by one thread.

    `epoch` is stamped on every frame; see Frame. `panes` may be replaced between two requests.
    """

    def __init__(self, panes: Sequence[Pane], epoch: int = 0) -> None:
        self.panes = tuple(panes)
        self.epoch = epoch
        self.overhead_s = 0.005
        """Smoothed time of a preview outside the sources."""
        self._last_stride: int | None = None
        """The finest that would have fit the time of the last preview."""
        self._last: Shown | None = None
        """The first pane's as it was shown last."""
        self._whole = WholeFrames()

    def frames(
        self,
        request: RenderRequest,
        cancelled: Callable[[], bool] = never,
        abandoned: Callable[[], bool] = never,
    ) -> Iterator[tuple[Frame, ...]]:
        """One frame of each pane, again and again, coarse to fine; or one, if whole pictures fit.

        The first pictures of a new camera come unless `abandoned` says that nobody will look at
        them; refinement stops between tiles once `cancelled` says so. Pixels already known for the
        same camera are kept.
        """
        if self._whole.fit(self.panes, request):
            self._last = None
            yield from self._whole.frames(self.panes, self.epoch, request, cancelled)
            return
        start = time.perf_counter()
        tolerance = request.flat_tolerance if len(self.panes) == 1 else 0.0
        images = ImageSet(pane.image(request.camera, tolerance) for pane in self.panes)
        for image in images:
            image.take_cost()  # of a pass that was cancelled before it was shown
            if len(images) > 1:
                image.carried = None  # of when it stood alone
        # What is coarser than asked for, or has nothing yet, takes a preview first.
        new = images.stride > min(request.max_stride, STRIDES[0])
        if new and not self._preview(images, request, start, abandoned):
            return
        source_s = sum(image.source_s for image in images)
        frames = self._shown(images, request)
        if source_s > 0:
            outside_s = time.perf_counter() - start - source_s
            self.overhead_s += 0.2 * (outside_s - self.overhead_s)
        yield frames
        for stride in STRIDES:
            if stride >= images.stride:
                continue
            if cancelled() or not (yield from self._refine(images, request, stride, cancelled)):
                return
        if len(images) > 1 and len(skipped := images.skipped()) and not cancelled():
            complete = yield from self._ask(images, skipped, request, cancelled, whole=True)
            if complete:
                yield self._shown(images, request)

    def _preview(
        self,
        images: ImageSet,
        request: RenderRequest,
        start: float,
        abandoned: Callable[[], bool],
    ) -> bool:
        """Make the pictures that fit the time; False where they were abandoned.

        They are as fine as `max_stride` whatever the time says.
        """
        width, height = request.camera.width_px, request.camera.height_px
        available_s = time_for_pixels(request.target_ms / 1e3, self.overhead_s)

        def seconds_at(stride: int) -> float:
            return sum(
                speed.seconds(image.n_unknown(stride) * pane.asked_share)
                for pane, image in zip(self.panes, images, strict=True)
                if (speed := image.source.speed) is not None
            )

        affordable = finest_stride(seconds_at, available_s, self._last_stride)
        shown = self._last
        fills_up = shown is not None and shown.colors.shape[:2] == (height, width)
        # Pictures that are compared are the work of their networks alone.
        if len(images) == 1 and affordable > FINE_STRIDE:
            images.first.carried = carried_along(shown, images.first.source, request.camera)
        is_carried = images.first.carried is not None
        stride = base_stride(affordable, is_carried) if fills_up else affordable
        stride = min(stride, request.max_stride)
        pixels = images.unknown(grid_pixels(width, height, stride))
        *full, last = chunks(pixels)
        images.charge(time.perf_counter() - start)
        # A dictionary: panes of the same source share one image.
        n_asked = dict.fromkeys(images, 0)
        n_wanted = dict(n_asked)
        for chunk in full:
            for image in n_asked:
                wanted = image.unknown(chunk)
                n_wanted[image] += len(wanted)
                for n in image.ask(wanted):
                    n_asked[image] += n
                    if abandoned():
                        return False
        for image, n in n_asked.items():
            available_s -= 0.0 if image.source.speed is None else image.source.speed.seconds(n)
        with images.quiet():
            rest = {image: image.unknown(last) for image in n_asked}
            batches = {image: image.plan(wanted) for image, wanted in rest.items()}
            for pane, image in zip(self.panes, images, strict=True):
                n = n_asked[image] + len(batches[image])
                pane.was_asked(n, n_wanted[image] + len(rest[image]))
            if stride > 1 and fills_up:
                self._fill_up(images, batches, available_s, stride)
        for image, batch in batches.items():
            for _ in image.shade(batch):
                if abandoned():
                    return False
        self._last_stride = affordable
        images.complete(stride)
        return True

    def _fill_up(
        self,
        images: ImageSet,
        batches: dict[ProgressiveImage, Batch],
        available_s: float,
        stride: int,
    ) -> None:
        """Add pixels between those at `stride` where the last picture had the highest contrast, as
        many as fit the time beside `batches`."""
        began = time.perf_counter()
        last = self._last
        speeds = ((image.source.speed, len(batch)) for image, batch in batches.items())
        n_rays = extra_rays([(speed, n) for speed, n in speeds if speed is not None], available_s)
        if n_rays < _WORTH_FILLING or last is None:
            return
        # Skipped rays cost nothing, so one picture may need more pixels than rays; several have to
        # take the same pixels.
        n_pixels = 2 * n_rays if len(images) == 1 else n_rays
        doubt = None if images.first.carried is None else last.doubt
        pixels = images.unknown(telling_pixels(last.colors, stride, n_pixels, doubt))
        images.charge(time.perf_counter() - began)
        for image, batch in batches.items():
            more = image.plan(image.unknown(pixels)).rows(slice(n_rays))
            batches[image] = batch.with_more(more)

    def _refine(
        self,
        images: ImageSet,
        request: RenderRequest,
        stride: int,
        cancelled: Callable[[], bool],
    ) -> Generator[tuple[Frame, ...], None, bool]:
        """Complete `stride`, the next one, the highest contrast first; False where cancelled."""
        began, camera = time.perf_counter(), request.camera
        pixels = images.unknown(new_pixels(camera.width_px, camera.height_px, stride))
        with images.quiet(any_size=False):
            coarser = images.stride
            if images.first.flat_tolerance > 0 and coarser <= _FLAT_STRIDE:
                images.first.fill_flat(pixels)
                pixels = images.first.unknown(pixels)
            if len(pixels):
                picture = interpolated(images.first.colors, images.known(), coarser)
                pixels = by_contrast(pixels, picture)
        images.charge(time.perf_counter() - began)
        complete = yield from self._ask(images, pixels, request, cancelled)
        if complete:
            images.complete(stride)
            if len(pixels) or stride == 1:
                yield self._shown(images, request)
        return complete

    def _ask(
        self,
        images: ImageSet,
        pixels: Tensor,
        request: RenderRequest,
        cancelled: Callable[[], bool],
        whole: bool = False,
    ) -> Generator[tuple[Frame, ...], None, bool]:
        """Have all know `pixels`, with `whole` also those of them that were skipped, showing now
        and then what there is; False where cancelled."""
        alone = len(images) == 1
        shown_s = time.perf_counter()
        for step in torch.split(pixels, images.step_pixels(len(pixels))):
            for image in images:
                if whole:
                    wanted = image.among_skipped(step)
                else:
                    wanted = step if alone else image.unknown(step)
                for _ in image.ask(wanted, whole):
                    if cancelled():
                        return not len(images.unknown(pixels)) and not whole
                    # One picture is in step with itself after every tile.
                    if alone and time.perf_counter() - shown_s > SHOW_EVERY_S:
                        yield self._shown(images, request)
                        shown_s = time.perf_counter()
            if not alone and time.perf_counter() - shown_s > SHOW_EVERY_S:
                yield self._shown(images, request)
                shown_s = time.perf_counter()
        return True

    def _shown(self, images: ImageSet, request: RenderRequest) -> tuple[Frame, ...]:
        began = time.perf_counter()
        stride = images.stride
        with images.quiet():
            known = images.known()
            share = 1.0 if stride == 1 else np.count_nonzero(known.numpy()) / known.numel()
            exact = len(images) > 1 and stride == 1 and not len(images.skipped())
        images.charge(time.perf_counter() - began)
        frames: list[Frame] = []
        for pane, image in zip(self.panes, images, strict=True):
            began = time.perf_counter()
            why_blank = image.source.why_blank(image.camera)
            # What costs nothing, such as a photograph, is whole at once.
            at_once = stride > 1 and image.source.speed is None and not why_blank
            with images.quiet():
                if at_once:
                    for _ in image.ask(image.unknown(torch.arange(image.known.numel()))):
                        pass
                # What was exact before another pane came to stand beside it stays so, but where
                # they are subtracted: coarse from exact is no difference of the sources.
                ahead = stride > 1 and image.stride == 1 and request.difference is None
                whole = at_once or ahead
                shown = image.shown(known, 1 if whole else stride)
                # numpy converts to bytes five times as fast as torch.
                pixels = to_uint8(shown.colors) if shown.image is None else shown.image
                pixels.flags.writeable = False
            if not frames:
                self._last = shown
            image.charge((time.perf_counter() - began) * 1e3)
            cost = image.take_cost()
            frames.append(
                Frame(
                    seq=request.seq,
                    epoch=self.epoch,
                    camera=request.camera,
                    image=pixels,
                    stride=stride,
                    network_rays=cost.network_rays,
                    timings=cost.timings,
                    elapsed_ms=image.spent_ms,
                    engine=image.source.info,
                    created_s=request.created_s,
                    interpolated_pixels=image.interpolated_pixels,
                    # A picture that is asked about nothing any more is not written to.
                    colors=image.colors.numpy() if exact else None,
                    why_blank=why_blank,
                    light_field=pane.light_field,
                    known_share=1.0 if whole else share,
                    whole=whole,
                    counted=image.source.counted(image.camera) if exact else None,
                    carried=shown.moved is not None,
                )
            )
        return tuple(frames)
