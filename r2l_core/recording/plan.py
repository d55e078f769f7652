"""What a recording shows, frame by frame, decided before the first one is rendered."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.camera_paths.camera_path import GAIN_RANGE, CameraPath
from r2l_core.errors import RecordingError
from r2l_core.geometry.camera import Camera
from r2l_core.types import Precision

Mode = Literal["single", "side", "wipe", "difference"]
"""One pane; two next to each other; two with a dividing line that moves; how they differ."""

Labels = Literal["off", "names", "live"]
"""`names`: precision and engine. `live`: also milliseconds and dB. A clock makes the milliseconds,
so that they alone differ when the same recording is made again."""

FPS_RANGE = (0.1, 240.0)
MAX_SECONDS = 86_400.0
TITLE_SECONDS = 2.0
DEFAULT_GAIN = 8.0

_WIPE_SWING = 0.45
"""How far the wipe moves either way of the middle, as a share of the width."""


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame. seconds: on the path. camera: None on the title card. precisions: one a pane.
    wipe: share of the width that shows the first pane. gain: of the difference."""

    frame: int
    seconds: float | None
    camera: Camera | None
    precisions: tuple[Precision, ...]
    wipe: float
    gain: float


@dataclass(frozen=True, eq=False)
class RecordingPlan:
    """A recording before it is made.

    seconds, fps: of the video; frame k shows the path at k / fps. width_px, height_px: of one
    pane, which is always rendered whole. precisions: of the panes, where the path's keyframes do
    not say otherwise; one for `single`, else two. title: text of a card of TITLE_SECONDS before
    the path, or empty. Raises RecordingError.
    """

    path: CameraPath
    seconds: float
    fps: float
    width_px: int
    height_px: int
    precisions: tuple[Precision, ...]
    mode: Mode = "single"
    labels: Labels = "off"
    gain: float = DEFAULT_GAIN
    title: str = ""

    def __post_init__(self) -> None:
        _require("frame rate", self.fps, *FPS_RANGE, "frames a second")
        _require("length", self.seconds, 0.0, MAX_SECONDS, "seconds")
        _require("gain", self.gain, *GAIN_RANGE, "")
        width_px, height_px = self.picture_size
        if width_px * height_px > limits.PICTURE_PX:
            raise RecordingError(
                "The size of the recording cannot be used",
                f"{width_px}×{height_px} are more than {limits.PICTURE_PX >> 20} million pixels",
                "Choose a smaller one.",
            )
        if self.mode not in get_args(Mode) or self.labels not in get_args(Labels):
            raise ValueError(f"mode {self.mode} or labels {self.labels} are not known")
        if len(self.precisions) != (1 if self.mode == "single" else 2):
            raise ValueError(f"{self.mode} with {len(self.precisions)} precisions")

    @property
    def exact_fps(self) -> Fraction:
        """The frame rate that is written, such as 30/1."""
        return Fraction(self.fps).limit_denominator(1001)

    @property
    def n_title_frames(self) -> int:
        """Frames of the title card."""
        return max(1, round(TITLE_SECONDS * self.exact_fps)) if self.title else 0

    @property
    def n_frames(self) -> int:
        """Frames in all; at least one of the path."""
        return self.n_title_frames + max(1, round(Fraction(self.seconds) * self.exact_fps))

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the composed picture in pixels."""
        return self.width_px * (2 if self.mode == "side" else 1), self.height_px

    def used_precisions(self) -> tuple[tuple[Precision, ...], ...]:
        """For each pane every precision that some frame needs, in the path's order."""
        keys = self.path.keyframes
        said = ([key.precision_a for key in keys], [key.precision_b for key in keys])
        return tuple(
            # The plan's own is only seen before a keyframe says another.
            tuple(dict.fromkeys(one or own for at, one in enumerate(ones) if one or at == 0))
            for own, ones in zip(self.precisions, said, strict=False)
        )

    def shot(self, frame: int) -> Shot:
        """What frame number `frame` shows, from 0."""
        number = frame - self.n_title_frames
        if number < 0:
            return Shot(frame, None, None, self.precisions, 0.5, self.gain)
        seconds = float(number / self.exact_fps)
        view = self.path.at(seconds)
        said = (view.precision_a, view.precision_b)
        # Away from the middle and back within the recording, so that it also loops.
        turn = number / (self.n_frames - self.n_title_frames)
        swept = 0.5 + _WIPE_SWING * math.sin(2 * math.pi * turn)
        return Shot(
            frame=frame,
            seconds=seconds,
            camera=view.camera(self.width_px, self.height_px),
            precisions=tuple(
                own if other is None else other
                for own, other in zip(self.precisions, said, strict=False)
            ),
            wipe=swept if view.wipe is None else view.wipe,
            gain=self.gain if view.gain is None else view.gain,
        )


def _require(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high or not np.isfinite(value):
        raise RecordingError(
            f"The {name} of the recording cannot be used",
            f"{value:g} is not {low:g} to {high:g} {unit}".rstrip(),
            "Choose another.",
        )


@dataclass(frozen=True, eq=False)
class RecordingProgress:
    """One frame more. frames_done counts those rendered, from the recording's first; picture: the
    composed frame with its labels, uint8 (H, W, 3), read-only, as it is encoded. eta_s: seconds to
    go at the pace so far, without pauses."""

    frames_done: int
    frames_total: int
    eta_s: float
    picture: NDArray[np.uint8]
