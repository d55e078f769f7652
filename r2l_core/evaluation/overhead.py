"""Processor time of a whole picture beside its engine: what is left where a device answers at once.

The real path from a request to a frame is run, with everything but the device: what makes whole
pictures on a GPU is given a device that has finished before it begins.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from r2l_core.engines.base import Shaded
from r2l_core.engines.cuda.device import WARM_UPS, Mark, SceneOnDevice
from r2l_core.engines.cuda.pictures import CudaPictures
from r2l_core.engines.cuda.pixels import CudaPixels
from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.frames import RenderRequest
from r2l_core.render.panes import Pane
from r2l_core.render.renderer import Renderer
from r2l_core.render.sources import NetworkSource
from r2l_core.types import EngineInfo, Precision, RayMode

_PICTURES = 60
"""Of which the median counts."""


class _AtOnce:
    """A mark that has always been reached."""

    def record(self) -> None:
        """Nothing has to be waited for."""

    def synchronize(self) -> None:
        """It is there."""

    def elapsed_time(self, end: Mark) -> float:
        """No time."""
        return 0.0


class _InstantDevice:
    """A device that has everything done before it is asked. See Device."""

    torch_device = torch.device("cpu")
    name = "a device that answers at once"
    capability = (0, 0)

    def host_memory(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Ones: a picture of which one pixel was asked about, and which is finite."""
        return torch.ones(*shape, dtype=dtype)

    def mark(self) -> Mark:
        """See Device.mark."""
        return _AtOnce()

    def working(self) -> AbstractContextManager[object]:
        """See Device.working."""
        return nullcontext()

    def captured(self, run: Callable[[], None], warm_ups: int = WARM_UPS) -> Callable[[], None]:
        """What does nothing."""
        return lambda: None


@dataclass
class _InstantEngine:
    """An engine on such a device. See PictureEngine."""

    info: EngineInfo
    tile_rays: int = 16384
    small_tiles: tuple[int, ...] = ()
    any_rays: bool = False
    quiet_torch: bool = False

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade."""
        return Shaded(torch.zeros_like(origins), 0.0, 0.0)

    def whole_pictures(self, scene: SceneSpec, ray_mode: RayMode) -> CudaPictures:
        """See PictureEngine.whole_pictures."""
        return CudaPictures(self._shown(scene, ray_mode))

    def pixel_lists(self, scene: SceneSpec, ray_mode: RayMode) -> CudaPixels:
        """See PictureEngine.pixel_lists."""
        return CudaPixels(self._shown(scene, ray_mode), ())

    def _shown(self, scene: SceneSpec, ray_mode: RayMode) -> SceneOnDevice:
        def shade(origins: Tensor, directions: Tensor) -> Tensor:
            return origins

        return SceneOnDevice(
            _InstantDevice(), shade, self.tile_rays, self.info.precision, scene, ray_mode
        )


def overhead_ms(scene: SceneSpec, sizes_px: Sequence[int]) -> dict[str, float]:
    """Milliseconds of processor time, of all threads, for a whole square picture of each size:
    from the camera to the frame with the host's 8-bit image. Keys are the sizes."""
    info = EngineInfo("none", Precision.BF16, "none", "none", "none", "none", 0)
    source = NetworkSource(_InstantEngine(info), scene, scene.ray_mode("auto"), True)
    source.warm_up()
    renderer = Renderer([Pane(source)])
    return {str(size): _median_ms(renderer, scene, size) for size in sizes_px}


def _median_ms(renderer: Renderer, scene: SceneSpec, size_px: int) -> float:
    spent_ms = []
    orbit = scene.home()
    for seq in range(_PICTURES):
        orbit = orbit.orbited(1.0, 0.0)
        camera = orbit.camera(size_px, size_px, scene.focal_px(size_px))
        request = RenderRequest(seq, camera)
        began = time.process_time()
        (frames,) = renderer.frames(request)
        spent_ms.append((time.process_time() - began) * 1e3)
        assert frames[0].complete
    return statistics.median(spent_ms)
