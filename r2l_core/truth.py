"""The ground truth as one more renderer, so that it can stand beside what it taught."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from r2l_core.canvas import Canvas
from r2l_core.distill.teachers import Teacher, supersampled_pixels
from r2l_core.engines.base import Shaded
from r2l_core.renderer import Batch, Renderer, Spent
from r2l_core.scene import SceneSpec
from r2l_core.types import EngineInfo, FrameTimings, Precision

TRUTH = "truth"
_TILE_RAYS = 2048


@dataclass(frozen=True)
class _Teaching:
    """What a renderer asks of its engine, for a renderer that has a teacher instead."""

    teacher: Teacher
    info: EngineInfo
    tile_rays: int = _TILE_RAYS
    small_tiles: tuple[int, ...] = ()
    quiet_torch: bool = False

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """One ray a pixel: what `warm_up` measures."""
        start = time.perf_counter()
        colors = self.teacher(origins, directions)
        return Shaded(colors, 0.0, (time.perf_counter() - start) * 1e3)


class TruthRenderer(Renderer):
    """Renders what a scene's teacher sees: its mean over 4x4 offsets around each pixel's ray."""

    def __init__(self, scene: SceneSpec, teacher: Teacher) -> None:
        info = EngineInfo(
            engine=TRUTH,
            precision=Precision.FP32,
            device="cpu",
            weight_type="none",
            arithmetic="float32",
            kernel=f"the scene's teacher ({scene.teacher}), 4x4 samples a pixel",
            weight_bytes=0,
        )
        super().__init__(_Teaching(teacher, info), scene)
        self._teacher = teacher

    def warm_up(self) -> None:
        """Measure how long a pixel takes, with all its samples."""
        camera = self.scene.home_camera()
        pixels = torch.arange(_TILE_RAYS) % (camera.width_px * camera.height_px)
        start = time.perf_counter()
        supersampled_pixels(self._teacher, camera, pixels)
        self.tiles.rays_per_s = _TILE_RAYS / max(time.perf_counter() - start, 1e-9)

    def _shade_batch(self, canvas: Canvas, batch: Batch) -> Iterator[Spent]:
        for start in range(0, len(batch), _TILE_RAYS):
            pixels = batch.pixels[start : start + _TILE_RAYS]
            began = time.perf_counter()
            canvas.put(pixels, supersampled_pixels(self._teacher, canvas.camera, pixels))
            seconds = time.perf_counter() - began
            # No network was asked.
            yield Spent(FrameTimings(network_ms=seconds * 1e3), 0, seconds)
