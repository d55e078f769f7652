"""What pictures are made of: sources that answer for the colours of pixels of a camera.

A network on an engine and nothing at all are here; a scene's teacher and a dataset's photographs,
which need other rooms, are in `evaluation.ground_truth`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from r2l_core.engines.base import (
    Engine,
    PictureEngine,
    PixelLists,
    WholePicture,
    WholePictures,
)
from r2l_core.engines.fused.library import Level, level_for
from r2l_core.engines.fused.rays import pixel_rays
from r2l_core.engines.processor import this_processor
from r2l_core.engines.tiles import Tiles
from r2l_core.errors import EngineUnavailable
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.rays import camera_values, flat_pixel_rays, network_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.render.budget import Speed
from r2l_core.render.frames import FrameTimings
from r2l_core.types import EngineInfo, RayMode

_BLANK = 0.5
"""Grey in the place of a picture that there is not."""

_NO_PIXELS = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True, eq=False)
class Batch:
    """Pixels that a source is asked about.

    pixels: flat indices (row * width + column), int64 (n,). rays: origins and directions, float32
    (n, 3) each; empty where the source needs none.
    """

    pixels: Tensor
    rays: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    def rows(self, part: slice) -> Batch:
        """Those in `part`, in their order."""
        return Batch(self.pixels[part], tuple(one[part] for one in self.rays))

    def with_more(self, other: Batch) -> Batch:
        """These, and then those of `other`, which is of the same source."""
        rays = zip(self.rays, other.rays, strict=True)
        return Batch(torch.cat([self.pixels, other.pixels]), tuple(map(torch.cat, rays)))


@dataclass(frozen=True, eq=False)
class Plan:
    """How a source is going to answer for some pixels.

    batch: what it has to be asked about. background: the others, flat indices (m,), which are known
    to be of `background_rgb`. skipped: the background is taken for granted, although the source
    would have an answer of its own if it was asked about the whole picture.
    """

    batch: Batch
    background: Tensor = _NO_PIXELS
    background_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    skipped: bool = False


@dataclass(frozen=True)
class RenderCost:
    """Measured. network_rays: rays that went through a network. source_s: time inside the source,
    which its speed foretells."""

    timings: FrameTimings = field(default_factory=FrameTimings)
    network_rays: int = 0
    source_s: float = 0.0

    def __add__(self, other: RenderCost) -> RenderCost:
        return RenderCost(
            self.timings + other.timings,
            self.network_rays + other.network_rays,
            self.source_s + other.source_s,
        )


class PixelSource(Protocol):
    """Colours of any pixels of any camera. Used by one thread at a time.

    A pixel's colour must depend on the camera and the pixel alone, bit for bit, not on what else is
    asked at the same time: pictures are made in passes, and nothing is asked twice.
    """

    @property
    def info(self) -> EngineInfo:
        """What really runs."""

    @property
    def speed(self) -> Speed | None:
        """As measured until now; None where nothing is computed, so that pixels cost no time."""

    @property
    def quiet_torch(self) -> bool:
        """See Engine.quiet_torch."""

    def warm_up(self) -> None:
        """Pay first-call costs, and measure the speed."""

    def plan(self, camera: Camera, pixels: Tensor, whole: bool = False) -> Plan:
        """Which of `pixels`, flat indices (n,), have to be asked about.

        `whole`: none of them may be skipped.
        """

    def shade(self, camera: Camera, batch: Batch) -> Iterator[tuple[Tensor, RenderCost]]:
        """Colours of a planned batch part by part, in its order: float32 (k, 3) on the CPU, valid
        until the next part.

        A caller that has to stop does so between parts. Raises R2LError where the source fails.
        """

    def why_blank(self, camera: Camera) -> str:
        """Why there is no picture from there, a clause; empty where there is one."""

    def counted(self, camera: Camera) -> NDArray[np.bool_] | None:
        """Which pixels count in errors against this source's picture: (H, W); None: all."""


class NetworkSource:
    """A light field's network on an engine.

    `ray_mode`: see RayMode. `skip_background`: rays that miss the scene's bounding sphere become
    background without asking the network, unless the whole picture is asked for.
    """

    def __init__(
        self,
        engine: Engine,
        scene: SceneSpec,
        ray_mode: RayMode = "plain",
        skip_background: bool = False,
    ) -> None:
        self.engine = engine
        self.scene = scene
        self.ray_mode: RayMode = ray_mode
        self.skip_background = skip_background
        self.pictures: WholePictures | None = None
        """What makes whole pictures faster than tile by tile, if anything does."""
        self._lists: PixelLists | None = None
        if isinstance(engine, PictureEngine):
            self.pictures = engine.whole_pictures(scene, ray_mode)
            self._lists = engine.pixel_lists(scene, ray_mode)
        self.tiles = Tiles(engine if self._lists is None else self._lists)
        self._native: Level | None = None
        """What makes rays on the processor faster than torch, if there is anything."""
        if self._lists is None:
            with contextlib.suppress(EngineUnavailable):
                self._native = level_for(this_processor())

    @property
    def info(self) -> EngineInfo:
        """See PixelSource.info."""
        return self.engine.info

    @property
    def speed(self) -> Speed:
        """See PixelSource.speed."""
        return Speed(self.tiles.rays_per_s, self.tiles.sizes)

    @property
    def quiet_torch(self) -> bool:
        """See Engine.quiet_torch."""
        return self.engine.quiet_torch

    def warm_up(self) -> None:
        """Run the engine until its first-call costs are paid, and measure its speed."""
        camera = self.scene.home_camera()
        pixels = torch.arange(self.tiles.size) % (camera.width_px * camera.height_px)
        if self._lists is not None:
            self.tiles.warm_up(pixels, camera=camera)
        else:
            self.tiles.warm_up(*self._rays(camera, pixels, skips=False)[:2])
        if self.pictures is not None:
            for _ in range(2):
                self.whole_picture(camera)

    def whole_picture(self, camera: Camera, whole: bool = False) -> WholePicture:
        """A picture in one piece, of a source that has `pictures`.

        `whole`: no pixel may be skipped. Raises R2LError where the engine fails.
        """
        assert self.pictures is not None
        return self.pictures.render(camera, self.skip_background and not whole)

    def plan(self, camera: Camera, pixels: Tensor, whole: bool = False) -> Plan:
        """See PixelSource.plan."""
        skips = self.skip_background and not whole
        if self._native is not None:
            found = pixel_rays(self._native, camera, pixels, self.scene, self.ray_mode, skips)
            batch = Batch(found.asked, (found.origins, found.directions))
            return Plan(batch, found.others, self.scene.background_rgb, skips)
        rays: tuple[Tensor, ...] = ()
        if self._lists is not None:
            asked = self._lists.asked(camera, pixels, skips)
        else:
            *both, asked = self._rays(camera, pixels, skips)
            rays = tuple(both)
        if asked is None:
            return Plan(Batch(pixels, rays))
        batch = Batch(pixels[asked], tuple(one[asked] for one in rays))
        return Plan(batch, pixels[~asked], self.scene.background_rgb, skips)

    def shade(self, camera: Camera, batch: Batch) -> Iterator[tuple[Tensor, RenderCost]]:
        """See PixelSource.shade."""
        for start in range(0, len(batch), self.tiles.size):
            part = batch.rows(slice(start, start + self.tiles.size))
            if self._lists is not None:
                tile = self.tiles.shade(part.pixels, camera=camera)
            else:
                tile = self.tiles.shade(*part.rays)
            copy_ms = max(tile.seconds * 1e3 - tile.encode_ms - tile.network_ms, 0.0)
            timings = FrameTimings(0.0, tile.encode_ms, tile.network_ms, copy_ms)
            yield tile.colors, RenderCost(timings, len(part), tile.seconds)

    def why_blank(self, camera: Camera) -> str:
        """A network has a picture from everywhere."""
        return ""

    def counted(self, camera: Camera) -> NDArray[np.bool_] | None:
        """See PixelSource.counted."""
        return None

    def _rays(
        self, camera: Camera, pixels: Tensor, skips: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        rays = flat_pixel_rays(camera_values(camera), pixels, camera.width_px)
        return network_rays(*rays, self.scene, self.ray_mode, skips)


class BlankSource:
    """Grey in the place of a picture that cannot be made; `why` says why, a clause."""

    speed = None
    quiet_torch = False

    def __init__(self, info: EngineInfo, why: str) -> None:
        self.info = info
        self._why = why

    def warm_up(self) -> None:
        """Nothing is computed."""

    def plan(self, camera: Camera, pixels: Tensor, whole: bool = False) -> Plan:
        """See PixelSource.plan."""
        return Plan(Batch(pixels))

    def shade(self, camera: Camera, batch: Batch) -> Iterator[tuple[Tensor, RenderCost]]:
        """See PixelSource.shade."""
        yield blank(len(batch)), RenderCost()

    def why_blank(self, camera: Camera) -> str:
        """See PixelSource.why_blank."""
        return self._why

    def counted(self, camera: Camera) -> NDArray[np.bool_] | None:
        """See PixelSource.counted."""
        return None


def blank(n_pixels: int) -> Tensor:
    """Colours of pixels that there is no picture of: float32 (n_pixels, 3)."""
    return torch.full((n_pixels, 3), _BLANK)


def looked_up(colors: Tensor, batch: Batch) -> Iterator[tuple[Tensor, RenderCost]]:
    """The answer of a source that has the whole picture, float32 (H * W, 3), row by row."""
    began = time.perf_counter()
    found = colors[batch.pixels]
    seconds = time.perf_counter() - began
    yield found, RenderCost(FrameTimings(copy_ms=seconds * 1e3), 0, seconds)
