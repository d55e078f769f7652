"""Requests and the frames that answer them: frozen values that cross threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r2l_core.geometry.camera import Camera
from r2l_core.images.difference import DifferenceKind, Map
from r2l_core.types import EngineInfo

STRIDES = (32, 16, 8, 4, 2, 1)
"""Pixel strides of the progressive passes, coarse to fine."""


@dataclass(frozen=True)
class DifferenceWish:
    """Which difference is looked at: a quick kind, of one pane against another, by position."""

    kind: DifferenceKind
    pair: tuple[int, int]


@dataclass(frozen=True, eq=False)
class FrameDifference:
    """How a frame differs from that of the pane at position `against`: float32 (H, W), of exact
    colours where both frames have them, as `images.difference.difference_map` gives it."""

    kind: DifferenceKind
    against: int
    values: Map


@dataclass(frozen=True)
class RenderRequest:
    """One wish for a picture. Later wishes (greater `seq`) replace earlier ones.

    `target_ms`: time the first, coarse picture may take. `created_s`: `time.perf_counter` at the
    input that caused it. `max_stride`: the first picture is never coarser than this, however long
    it takes; one of STRIDES, of which the coarsest leaves the choice to `target_ms`.
    `flat_tolerance`: pixels whose surroundings differ by no more than this (0 to 1, of full scale)
    are taken from these instead of the network; 0 asks the network for every one.
    `difference`: set where a difference is looked at; devices that make whole pictures compute it.
    """

    seq: int
    camera: Camera
    target_ms: float = 33.0
    created_s: float = 0.0
    max_stride: int = STRIDES[0]
    flat_tolerance: float = 0.0
    difference: DifferenceWish | None = None


@dataclass(frozen=True)
class FrameTimings:
    """Milliseconds spent on one pass, measured on the render thread. What a device makes from the
    camera on is all network, but for what the thread spends beside it, which is copy."""

    rays_ms: float = 0.0
    encode_ms: float = 0.0
    network_ms: float = 0.0
    copy_ms: float = 0.0

    @property
    def total_ms(self) -> float:
        return self.rays_ms + self.encode_ms + self.network_ms + self.copy_ms

    def __add__(self, other: FrameTimings) -> FrameTimings:
        return FrameTimings(
            self.rays_ms + other.rays_ms,
            self.encode_ms + other.encode_ms,
            self.network_ms + other.network_ms,
            self.copy_ms + other.copy_ms,
        )


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture and everything needed to label it truthfully.

    `image`: uint8 (height_px, width_px, 3), sRGB as the network gives it, owned by the frame and
    read-only. `epoch` counts checkpoint and precision changes: a frame of an older epoch must not
    be shown. `stride`: the finest pixel grid that is complete; 1 means every pixel is exact.
    `network_rays`: rays this pass sent through the network (not skipped, not interpolated).
    `elapsed_ms`: wall time from the start of this request's first pass to this frame.
    `interpolated_pixels`: how many pixels that count as complete were taken from flat surroundings.
    `colors`: the same picture before rounding to 8 bits, float32 (height_px, width_px, 3), where
    somebody will compare it. `why_blank`: why there is nothing to see, a clause; `image` is then of
    one colour and must not be compared. Empty where there is a picture. `light_field`: its name,
    where panes show more than one; else empty. `known_share`: of the pixels that are exact, 0 to 1.
    `whole`: it has every pixel of the picture, though those beside it are only at `stride`.
    `difference`: where it was asked for and a device has computed it; see RenderRequest.
    `counted`: which pixels count in errors against this one, (height_px, width_px); None: all.
    `carried`: between the pixels of `stride`, the last picture was moved along with the camera.
    """

    seq: int
    epoch: int
    camera: Camera
    image: NDArray[np.uint8]
    stride: int
    network_rays: int
    timings: FrameTimings
    elapsed_ms: float
    engine: EngineInfo
    created_s: float = 0.0
    interpolated_pixels: int = 0
    colors: NDArray[np.float32] | None = None
    why_blank: str = ""
    light_field: str = ""
    known_share: float = 1.0
    whole: bool = False
    carried: bool = False
    difference: FrameDifference | None = None
    counted: NDArray[np.bool_] | None = None

    @property
    def complete(self) -> bool:
        return self.stride == 1
