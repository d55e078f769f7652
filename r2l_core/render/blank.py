"""A renderer in the place of one that there is not: it says why, and the others go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from r2l_core.engines.base import Shaded
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.canvas import Canvas
from r2l_core.render.frames import Frame, FrameTimings, RenderRequest
from r2l_core.render.renderer import Batch, Renderer, Spent
from r2l_core.types import EngineInfo

_BLANK = 0.5
"""Grey in the place of a picture that there is not."""
_AT_ONCE_RAYS_PER_S = 1e12


@dataclass
class _Idle:
    """What a renderer asks of its engine, for a renderer that never calculates."""

    info: EngineInfo
    tile_rays: int = 1
    small_tiles: tuple[int, ...] = ()
    quiet_torch: bool = False

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """A picture has no rays."""
        raise NotImplementedError


class BlankRenderer(Renderer):
    """Frames of one grey, whose `why_blank` says why there is nothing to see: a clause."""

    def __init__(self, scene: SceneSpec, info: EngineInfo, why: str = "") -> None:
        super().__init__(_Idle(info), scene)
        self._why = why
        self.warm_up()

    def warm_up(self) -> None:
        """Nothing is calculated, so the finest picture is always affordable."""
        self.tiles.rays_per_s = _AT_ONCE_RAYS_PER_S

    def why_blank(self, camera: Camera) -> str:
        """Why there is no picture from there, a clause; empty where there is one."""
        return self._why

    def colors_of(self, camera: Camera) -> Tensor | None:
        """The picture from there, float32 (H * W, 3), row by row; None where there is none."""
        return None

    def shade(self, canvas: Canvas, pixels: Tensor, whole: bool = False) -> Iterator[Spent]:
        """Look `pixels` up."""
        began = time.perf_counter()
        colors = self.colors_of(canvas.camera)
        if colors is None:
            canvas.set_background(pixels, (_BLANK, _BLANK, _BLANK))
        else:
            canvas.put(pixels, colors[pixels])
        seconds = time.perf_counter() - began
        yield Spent(FrameTimings(copy_ms=seconds * 1e3), 0, seconds)

    def frame(
        self,
        canvas: Canvas,
        request: RenderRequest,
        image: NDArray[np.uint8],
        stride: int,
        elapsed_ms: float,
        spent: Spent,
    ) -> Frame:
        """See Renderer.frame."""
        frame = super().frame(canvas, request, image, stride, elapsed_ms, spent)
        return replace(frame, why_blank=self.why_blank(canvas.camera))

    def _shade_batch(self, canvas: Canvas, batch: Batch) -> Iterator[Spent]:
        yield from self.shade(canvas, batch.pixels)
