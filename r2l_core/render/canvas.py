"""The picture of one camera while it grows."""

from __future__ import annotations

import torch
from torch import Tensor

from r2l_core.geometry.camera import Camera
from r2l_core.render.frames import STRIDES
from r2l_core.render.progressive import flat_cells, interpolated


class Canvas:
    """Colours of one camera's pixels, and which of them are known.

    `flat_tolerance`: see RenderRequest. Its picture has to start afresh when that changes.
    """

    def __init__(self, camera: Camera, flat_tolerance: float = 0.0) -> None:
        self.camera = camera
        self.flat_tolerance = flat_tolerance
        self.colors = torch.empty(camera.height_px, camera.width_px, 3)
        """Of known pixels. The others hold anything: filling them would take a millisecond from
        every preview."""
        self.known = torch.zeros(camera.height_px, camera.width_px, dtype=torch.bool)
        self.skipped = torch.zeros_like(self.known)
        """Which of the known pixels are background without anybody having been asked."""
        self.stride = 2 * STRIDES[0]
        """Finest stride that is complete."""
        self.spent_ms = 0.0
        """What its frames have cost until now, whichever requests they answered."""
        self.interpolated_pixels = 0
        """How many of the known pixels were taken from their surroundings."""

    def shows(self, camera: Camera, flat_tolerance: float) -> bool:
        """Whether this is the picture of exactly that camera, made in that way."""
        return self.flat_tolerance == flat_tolerance and self.camera.same_view(camera)

    def unknown(self, pixels: Tensor) -> Tensor:
        """Those of the flat indices `pixels` that are not known yet, in their order."""
        return pixels[~self.known.view(-1)[pixels]]

    def among_skipped(self, pixels: Tensor) -> Tensor:
        """Those of the flat indices `pixels` that were skipped, in their order."""
        return pixels[self.skipped.view(-1)[pixels]]

    def put(self, pixels: Tensor, colors: Tensor) -> None:
        """Colours, float32 (n, 3), of pixels at flat indices (n,)."""
        self.colors.view(-1, 3).index_copy_(0, pixels, colors)
        self.known.view(-1).index_fill_(0, pixels, True)
        self.skipped.view(-1).index_fill_(0, pixels, False)

    def set_background(self, pixels: Tensor, rgb: tuple[float, float, float]) -> None:
        """Pixels whose rays meet nothing."""
        self.put(pixels, torch.tensor(rgb).expand(len(pixels), 3))

    def skip(self, pixels: Tensor, rgb: tuple[float, float, float]) -> None:
        """Pixels that are background unless somebody asks."""
        self.set_background(pixels, rgb)
        self.skipped.view(-1).index_fill_(0, pixels, True)

    def picture(self) -> Tensor:
        """The picture as far as it is known: float32 (H, W, 3)."""
        if self.stride == 1:
            return self.colors
        return interpolated(self.colors, self.known, self.stride)

    def fill_flat(self, pixels: Tensor) -> None:
        """Know those of `pixels`, all between points of the finest complete grid, whose
        surroundings are flat, from these."""
        stride, width_px = self.stride, self.camera.width_px
        flat = flat_cells(self.colors[::stride, ::stride], self.flat_tolerance)
        chosen = pixels[flat[pixels // width_px // stride, pixels % width_px // stride]]
        self.put(chosen, interpolated(self.colors, self.known, stride).view(-1, 3)[chosen])
        self.interpolated_pixels += len(chosen)
