"""The contract every engine keeps: rays in, colours out, and an honest account of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from r2l_core.errors import EngineError, first_line
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.images.difference import DifferenceKind, Map
from r2l_core.model.light_field import LightField
from r2l_core.types import Availability, EngineInfo, Precision, RayMode


@dataclass(frozen=True, eq=False)
class Shaded:
    """colors: float32 (n, 3) on the CPU, not rounded to 8 bits. Times are measured."""

    colors: Tensor
    encode_ms: float
    network_ms: float


@contextmanager
def failures_of(info: EngineInfo) -> Iterator[None]:
    """Turn what a backend raises while it renders into an EngineError of one paragraph."""
    try:
        yield
    except RuntimeError as error:
        raise EngineError(
            f"The {info.engine} engine failed in {info.precision}",
            first_line(error),
            "Choose another engine or precision; if memory ran out, close other programs.",
        ) from error


def require_finite(finite: bool, engine: str, precision: Precision) -> None:
    """Raise EngineError where colours are not finite, which in fp16 has one cause."""
    if finite:
        return
    why, remedy = "its colours are not numbers", "Choose another precision."
    if precision is Precision.FP16:
        why = "activations of this light field exceed 65,504, the largest float16"
        remedy = "Choose bf16, which is as fast and has no such limit."
    raise EngineError(f"The {engine} engine failed in {precision}", why, remedy)


class Shader(Protocol):
    """Answers calls of few shapes: an engine, or its lists of pixels. Used by one thread at a time.

    A ray's colour must depend on the ray alone, bit for bit. The result of a library's matrix
    product may depend on its shape, so calls have few shapes: `tile_rays` rows, or one of
    `small_tiles` if that was found to give the same bits (see `tiles.Tiles`, which also pads). What
    takes `any_rays` needs none of this.
    The reference engine, which is no fast path, keeps this only to rounding.
    """

    @property
    def tile_rays(self) -> int:
        """Most rays in one call of `shade`."""

    @property
    def small_tiles(self) -> tuple[int, ...]:
        """Fewer rays that a call may have, ascending. Libraries keep code for every shape they have
        seen (oneDNN 2.6 MB), so these are few."""

    @property
    def any_rays(self) -> bool:
        """Whether calls may have any number of rays up to `tile_rays`, and give the same bits."""

    def shade(self, *rows: Any, **same: Any) -> Shaded:
        """Colours of what is asked, row by row. Raises EngineError where the backend fails."""


class Engine(Shader, Protocol):
    """Renders rays of one light field in one precision."""

    info: EngineInfo
    """What really runs."""

    @property
    def quiet_torch(self) -> bool:
        """Whether torch should use one thread between calls: its idle ones go on spinning for a
        while, and slow down a backend with threads of its own."""

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """Colours of `tile_rays` rays, of as many as a small tile has, or with `any_rays` of fewer.

        origins, directions and colours: float32 (n, 3), on the CPU.

        Raises EngineError where the backend fails.
        """


@dataclass(frozen=True, eq=False)
class WholePicture:
    """A picture made in one piece on an engine's device.

    image: uint8 (H, W, 3), rounded to nearest, read-only, owned. network_rays: pixels that the
    network was asked about. device_ms: the device's time for all of it, measured there. colors:
    gives the picture before rounding, float32 (H, W, 3) on the CPU; it stays on the device until
    asked for, and is gone with the next picture of the same size. device_image, device_colors: both
    as they lie on the device, for as long.
    """

    image: NDArray[np.uint8]
    network_rays: int
    device_ms: float
    colors: Callable[[], Tensor]
    device_image: Tensor
    device_colors: Tensor


class WholePictures(Protocol):
    """Makes whole pictures, from the camera to 8 bits, on an engine's device."""

    def seconds(self, n_pixels: int) -> float:
        """How long a picture is going to take, from those before; infinite before the first."""

    def render(self, camera: Camera, skip_background: bool) -> WholePicture:
        """The picture of a camera.

        `skip_background`: rays that miss the scene's bounding sphere become background without
        asking the network. Raises EngineError where the engine fails.
        """

    def difference(
        self, kind: DifferenceKind, a: WholePicture, b: WholePicture, exact: bool
    ) -> Map:
        """The difference map of two pictures of this device, computed there: float32 (H, W), the
        same bits as `images.difference.difference_map` of a quick kind gives.

        exact: of the colours before rounding. Raises EngineError where the device fails.
        """


class PixelLists(Shader, Protocol):
    """Answers for pixels of a camera on an engine's device: their rays are made there."""

    def asked(self, camera: Camera, pixels: Tensor, skip_background: bool) -> Tensor | None:
        """About which pixels the network has to be asked: bool (n,) on the CPU; None: all.

        pixels: flat indices (row * width + column), int64 (n,). The others are background; see
        `geometry.rays.network_rays`.
        """

    def shade(self, pixels: Tensor, camera: Camera) -> Shaded:
        """The network's colours of as many pixels as a tile has. Raises EngineError where the
        engine fails."""


@runtime_checkable
class PictureEngine(Engine, Protocol):
    """An engine that makes pictures from the camera on, on its device."""

    def whole_pictures(self, scene: SceneSpec, ray_mode: RayMode) -> WholePictures:
        """What makes whole pictures of a scene."""

    def pixel_lists(self, scene: SceneSpec, ray_mode: RayMode) -> PixelLists:
        """What answers for some pixels of a picture."""


class EngineFactory(Protocol):
    """How a backend is asked what it can do, and built."""

    def available(self, precision: Precision, device: str) -> Availability:
        """Whether this backend can run `precision` on `device` ("cpu" or "cuda") here."""

    def build(self, light_field: LightField, precision: Precision, device: str) -> Engine:
        """A ready engine. Raises EngineUnavailable or EngineError."""
