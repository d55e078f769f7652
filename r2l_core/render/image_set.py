"""The pictures of all panes that answer one request, in step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from functools import reduce

import torch
from torch import Tensor

from r2l_core.render.progressive_image import ProgressiveImage
from r2l_core.torch_threads import one_torch_thread

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
