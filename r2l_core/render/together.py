"""Several renderers, one camera: every pass is made by all of them before the next one begins.

What is shown together always has the same camera, the same pixels and the same pass, so that a
difference is a difference of the engines. Previews may be coarser than those of one renderer
alone, as all share its time.

A picture that is measured has to be the one that `eval` measures: once all are complete, the
networks are asked about what was skipped, and only then the frames carry exact colours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import torch
from torch import Tensor

from r2l_core.render.canvas import Canvas
from r2l_core.render.frames import STRIDES, Frame, FrameTimings, RenderRequest
from r2l_core.render.progressive import by_contrast, grid_pixels, interpolated
from r2l_core.render.renderer import HYSTERESIS, SHOW_EVERY_S, Renderer, Spent, never, to_uint8
from r2l_core.torch_threads import one_torch_thread

_CHUNK_S = 0.35
"""Time all renderers together may take until they are in step again."""


@dataclass
class _Pane:
    """One renderer at work on one request."""

    renderer: Renderer
    canvas: Canvas
    spent: Spent = field(default_factory=Spent)


class Together:
    """Renders requests with all `renderers` in step. Used by one thread."""

    def __init__(self, renderers: Sequence[Renderer]) -> None:
        self._renderers = tuple(renderers)
        self._last_stride: int | None = None
        self._overhead_s = 0.005
        """Smoothed time of a preview outside the engines."""

    def frames(
        self,
        request: RenderRequest,
        cancelled: Callable[[], bool] = never,
        abandoned: Callable[[], bool] = never,
    ) -> Iterator[tuple[Frame, ...]]:
        """One frame of each renderer, again and again, coarse to fine; see Renderer.frames.

        Every pixel is asked for: flat areas are not interpolated, as their difference would be
        that of their surroundings.
        """
        start = time.perf_counter()
        request = replace(request, flat_tolerance=0.0)
        width, height = request.camera.width_px, request.camera.height_px
        panes = [_Pane(renderer, renderer.canvas(request)) for renderer in self._renderers]
        stride = self._affordable(request, panes)
        if request.max_stride < STRIDES[0]:  # a lock
            stride = min(stride, request.max_stride)
        self._last_stride = stride
        if not self._complete(panes, grid_pixels(width, height, stride), abandoned):
            return
        tiles_s = sum(pane.spent.tiles_s for pane in panes)
        frames = self._shown(panes, request, stride)
        if tiles_s > 0:
            outside_s = time.perf_counter() - start - tiles_s
            self._overhead_s += 0.2 * (outside_s - self._overhead_s)
        yield frames
        for finer in STRIDES:
            if finer >= stride:
                continue
            # Finding out which pixels are to come next takes as long as some tiles do.
            if cancelled():
                return
            pixels = self._unknown(panes, grid_pixels(width, height, finer), stride)
            if len(pixels) == 0 and finer > 1:
                stride = finer
                continue
            if not (yield from self._refine(panes, pixels, request, stride, cancelled)):
                return
            stride = finer
            yield self._shown(panes, request, stride)
        if (
            len(skipped := _skipped(panes))
            and not cancelled()
            and (yield from self._refine(panes, skipped, request, stride, cancelled, True))
        ):
            yield self._shown(panes, request, stride)

    def _refine(
        self,
        panes: Sequence[_Pane],
        pixels: Tensor,
        request: RenderRequest,
        stride: int,
        cancelled: Callable[[], bool],
        whole: bool = False,
    ) -> Generator[tuple[Frame, ...], None, bool]:
        """Complete `pixels`, showing now and then what there is; False where cancelled."""
        shown_s = time.perf_counter()
        for chunk in torch.split(pixels, self._chunk_pixels(panes)) if len(pixels) else ():
            if not self._complete(panes, chunk, cancelled, whole):
                return False
            if time.perf_counter() - shown_s > SHOW_EVERY_S:
                yield self._shown(panes, request, stride)
                shown_s = time.perf_counter()
        return True

    def _complete(
        self,
        panes: Sequence[_Pane],
        pixels: Tensor,
        stopped: Callable[[], bool],
        whole: bool = False,
    ) -> bool:
        """Have every renderer know `pixels`, with `whole` those of them that it has skipped; False
        where stopped on the way."""
        for pane in panes:
            wanted = pane.canvas.among_skipped(pixels) if whole else pane.canvas.unknown(pixels)
            for spent in pane.renderer.shade(pane.canvas, wanted, whole):
                pane.spent.add(spent)
                if stopped():
                    return False
        return True

    @staticmethod
    def _unknown(panes: Sequence[_Pane], pixels: Tensor, stride: int) -> Tensor:
        """Those of `pixels` that not all know, the highest contrast first; all know `stride`."""
        with one_torch_thread():
            known = _common(panes)
            pixels = pixels[~known.view(-1)[pixels]]
            if len(pixels) == 0:
                return pixels
            return by_contrast(pixels, interpolated(panes[0].canvas.colors, known, stride))

    def _shown(
        self, panes: Sequence[_Pane], request: RenderRequest, stride: int
    ) -> tuple[Frame, ...]:
        with one_torch_thread():
            known = _common(panes)
            asked = stride == 1 and not len(_skipped(panes))
        frames = []
        for pane in panes:
            began = time.perf_counter()
            canvas = pane.canvas
            # torch's workers would still be spinning while the next engine wants the processors.
            with one_torch_thread():
                picture = (
                    canvas.colors if stride == 1 else interpolated(canvas.colors, known, stride)
                )
                image = to_uint8(picture)
            canvas.stride = min(canvas.stride, stride)
            pane.spent.timings += FrameTimings(copy_ms=(time.perf_counter() - began) * 1e3)
            # Of the whole picture: one pane may have known most of it before there were others.
            elapsed_ms = canvas.spent_ms + pane.spent.timings.total_ms
            frame = pane.renderer.frame(canvas, request, image, stride, elapsed_ms, pane.spent)
            # A picture that is asked about nothing any more is not written to.
            frames.append(replace(frame, colors=canvas.colors.numpy()) if asked else frame)
            pane.spent = Spent()
        return tuple(frames)

    def _affordable(self, request: RenderRequest, panes: Sequence[_Pane]) -> int:
        """The finest stride that all can complete in time."""
        width, height = request.camera.width_px, request.camera.height_px
        target_s = request.target_ms / 1e3
        finest = STRIDES[0]
        for stride in STRIDES:
            seconds = self._overhead_s
            for pane in panes:
                n_pixels = len(pane.canvas.unknown(grid_pixels(width, height, stride)))
                n_rays = pane.renderer.tiles.calculated(round(n_pixels * pane.renderer.asked_share))
                seconds += n_rays / max(pane.renderer.tiles.rays_per_s, 1e-9)
            margin = 1.0
            if self._last_stride is not None:
                margin += HYSTERESIS if stride >= self._last_stride else -HYSTERESIS
            if seconds > margin * target_s:
                break
            finest = stride
        return finest

    def _chunk_pixels(self, panes: Sequence[_Pane]) -> int:
        seconds_per_ray = sum(1 / max(pane.renderer.tiles.rays_per_s, 1e-9) for pane in panes)
        largest = max(pane.renderer.tiles.size for pane in panes)
        return max(largest, round(_CHUNK_S / seconds_per_ray) // largest * largest)


def _common(panes: Sequence[_Pane]) -> Tensor:
    """The pixels that all know: bool (H, W)."""
    return reduce(torch.logical_and, (pane.canvas.known for pane in panes))


def _skipped(panes: Sequence[_Pane]) -> Tensor:
    """Flat indices of the pixels that any has skipped: int64 (n,), row by row."""
    skipped = reduce(torch.logical_or, (pane.canvas.skipped for pane in panes))
    return skipped.view(-1).nonzero().view(-1)
