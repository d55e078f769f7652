"""Camera paths: keyframes, and the camera at any second between them.

A path is a value. Its operations return new paths, so that undoing one is keeping the old one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.errors import CameraError, CameraPathError
from r2l_core.geometry.camera import Camera
from r2l_core.types import Precision

if TYPE_CHECKING:
    from r2l_core.camera_paths.path_curves import PathCurves

MAX_TRANSITION_S = 86_400.0
FOV_Y_RANGE_DEG = (0.1, 175.0)
GAIN_RANGE = (0.01, 10_000.0)

_AT_KEY = 1e-6
"""A keyframe counts as reached this much of a step before it: times such as 0.1 + 0.2 s must not
miss the one at 0.3 s."""

_Said = tuple[NDArray[np.float64], NDArray[np.float64]] | None
"""Numbers of the keyframes that say something, and what they say; None where none does."""


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A camera the path passes, and what is shown from there on.

    T_world_camera: float64 (4, 4), rigid, OpenGL axes. fov_y_deg: vertical field of view.
    transition_s: seconds it takes to get here from the keyframe before; the first one's counts
    only where the path loops. precision_a, precision_b: of each pane, from this keyframe on.
    wipe: share of the picture's width that shows pane A. gain: of the difference picture. None
    leaves it as it is. eases: whether the camera slows down to a stop here and starts gently
    again; of no meaning on a path of even speed.
    """

    T_world_camera: NDArray[np.float64]
    fov_y_deg: float
    transition_s: float = 1.0
    precision_a: Precision | None = None
    precision_b: Precision | None = None
    wipe: float | None = None
    gain: float | None = None
    eases: bool = False

    def __post_init__(self) -> None:
        try:
            checked = Camera(self.T_world_camera, 1, 1, 1.0)
        except CameraError as error:
            raise CameraPathError("The keyframe cannot be used", error.why, error.remedy) from error
        object.__setattr__(self, "T_world_camera", checked.T_world_camera)
        _require("fov_y_deg", self.fov_y_deg, *FOV_Y_RANGE_DEG)
        _require("transition_s", self.transition_s, 0.0, MAX_TRANSITION_S)
        if self.transition_s == 0:
            raise CameraPathError(
                "The keyframe cannot be used",
                "its transition takes no time",
                "Give a transition_s above 0.",
            )
        if self.wipe is not None:
            _require("wipe", self.wipe, 0.0, 1.0)
        if self.gain is not None:
            _require("gain", self.gain, *GAIN_RANGE)


@dataclass(frozen=True, eq=False)
class PathView:
    """What a path asks for at one moment; see Keyframe. None: nothing in particular."""

    T_world_camera: NDArray[np.float64]
    fov_y_deg: float
    precision_a: Precision | None
    precision_b: Precision | None
    wipe: float | None
    gain: float | None

    def camera(self, width_px: int, height_px: int) -> Camera:
        """The pinhole camera that sees `fov_y_deg` over `height_px`."""
        focal_px = height_px / 2 / math.tan(math.radians(self.fov_y_deg) / 2)
        return Camera(self.T_world_camera, width_px, height_px, focal_px)


@dataclass(frozen=True, eq=False)
class CameraPath:
    """One or more keyframes in order, and how to get from each to the next.

    notes: sentences on what a file left open or had otherwise, for people.
    loop: whether the last leads back to the first. even_speed: the path is passed at one speed in
    the same time in all, so that the times of its keyframes, and pauses, no longer count. tension:
    of Kochanek-Bartels splines, -1 to 1; 0 is Catmull-Rom, 1 stops at every keyframe. pivot: world
    point about which the camera turns from keyframe to keyframe, so that few of them make a
    circle, as long as all of them look at it, upright; otherwise, and where it is None, the
    camera goes along a spline through their positions.
    """

    keyframes: tuple[Keyframe, ...]
    loop: bool = False
    even_speed: bool = False
    tension: float = 0.0
    notes: tuple[str, ...] = ()
    pivot: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.keyframes) <= limits.KEYFRAMES:
            raise CameraPathError(
                "The camera path cannot be used",
                f"it has {len(self.keyframes)} keyframes, not 1 to {limits.KEYFRAMES}",
                "Add or remove keyframes.",
            )
        _require("tension", self.tension, -1.0, 1.0, "The camera path cannot be used")

    # Changes; an index outside the path is an IndexError

    def added(self, keyframe: Keyframe) -> CameraPath:
        """With one more keyframe at the end."""
        return replace(self, keyframes=(*self.keyframes, keyframe))

    def removed(self, index: int) -> CameraPath:
        """Without the keyframe at `index`. The last one stays: CameraPathError."""
        self.keyframes[index]
        kept = [key for i, key in enumerate(self.keyframes) if i != index % len(self.keyframes)]
        return replace(self, keyframes=tuple(kept))

    def replaced(self, index: int, keyframe: Keyframe) -> CameraPath:
        """With another keyframe at `index`."""
        keys = list(self.keyframes)
        keys[index] = keyframe
        return replace(self, keyframes=tuple(keys))

    def moved(self, index: int, to: int) -> CameraPath:
        """With the keyframe at `index` at the place `to`; each keeps its own transition."""
        keys = list(self.keyframes)
        keys.insert(to, keys.pop(index))
        return replace(self, keyframes=tuple(keys))

    def retimed(self, index: int, transition_s: float) -> CameraPath:
        """With `transition_s` seconds on the way to the keyframe at `index`."""
        return self.replaced(index, replace(self.keyframes[index], transition_s=transition_s))

    def without(self, *settings: str) -> CameraPath:
        """With keyframes that say nothing about `settings`, such as "precision_a" or "gain"."""
        unsaid: dict[str, Any] = dict.fromkeys(settings)
        return replace(self, keyframes=tuple(replace(key, **unsaid) for key in self.keyframes))

    def lasting(self, seconds: float) -> CameraPath:
        """With all transitions made longer or shorter alike, so that it takes `seconds`.

        A path of one keyframe has no time to change and stays as it is.
        """
        if len(self.keyframes) == 1:
            return self
        factor = seconds / self.seconds
        keys = tuple(replace(k, transition_s=k.transition_s * factor) for k in self.keyframes)
        return replace(self, keyframes=keys)

    # Times

    @cached_property
    def key_seconds(self) -> tuple[float, ...]:
        """When each keyframe is reached (unless `even_speed`), from 0."""
        seconds = np.cumsum([0.0] + [key.transition_s for key in self.keyframes[1:]])
        return tuple(float(second) for second in seconds)

    @property
    def seconds(self) -> float:
        """How long the path takes, with the way back where it loops; 0 for one keyframe."""
        if len(self.keyframes) == 1:
            return 0.0
        return self.key_seconds[-1] + (self.keyframes[0].transition_s if self.loop else 0.0)

    # Evaluation

    def at(self, seconds: float) -> PathView:
        """What the path asks for at `seconds`: a loop goes on for ever, others wait at their ends.

        Always defined and finite, also for one keyframe, equal ones and half turns.
        """
        if not math.isfinite(seconds):
            raise ValueError("seconds must be finite")
        if len(self.keyframes) == 1:
            key = self.keyframes[0]
            return PathView(
                key.T_world_camera,
                key.fov_y_deg,
                key.precision_a,
                key.precision_b,
                key.wipe,
                key.gain,
            )
        total_s = self.seconds
        within_s = seconds % total_s if self.loop else min(max(seconds, 0.0), total_s)
        u = self._curves.key_number(np.array([within_s]))
        pose = np.eye(4)
        positions, rotations = self._curves.poses.at(u)
        pose[:3, :3] = rotations.as_matrix()[0]
        pose[:3, 3] = positions[0]
        pose.flags.writeable = False
        last = min(math.floor(float(u[0]) + _AT_KEY), len(self.keyframes) - 1)
        precision_a, precision_b = self._latest_precisions[last]
        return PathView(
            T_world_camera=pose,
            fov_y_deg=float(self._curves.fov_y_deg(u)[0]),
            precision_a=precision_a,
            precision_b=precision_b,
            wipe=self._between(self._said_wipes, float(u[0])),
            gain=self._between(self._said_gains, float(u[0])),
        )

    # Each made once: a path has thousands of keyframes, and is asked at thousands of moments.

    @cached_property
    def _latest_precisions(self) -> tuple[tuple[Precision | None, Precision | None], ...]:
        """Of panes A and B, from each keyframe on."""
        latest: list[tuple[Precision | None, Precision | None]] = []
        a: Precision | None = None
        b: Precision | None = None
        for key in self.keyframes:
            a, b = key.precision_a or a, key.precision_b or b
            latest.append((a, b))
        return tuple(latest)

    @cached_property
    def _said_wipes(self) -> _Said:
        return _said([key.wipe for key in self.keyframes])

    @cached_property
    def _said_gains(self) -> _Said:
        return _said([key.gain for key in self.keyframes])

    def _between(self, said: _Said, u: float) -> float | None:
        """Linear between the keyframes that say something; None where none does."""
        if said is None:
            return None
        period = float(len(self.keyframes)) if self.loop else None
        return float(np.interp(u, *said, period=period))

    @cached_property
    def _curves(self) -> PathCurves:
        # Imported here: SciPy takes longer to load than the window to open.
        from r2l_core.camera_paths.path_curves import PathCurves

        return PathCurves(self)


def _said(values: list[float | None]) -> _Said:
    known = [(float(i), value) for i, value in enumerate(values) if value is not None]
    if not known:
        return None
    at, numbers = zip(*known, strict=True)
    return np.array(at), np.array(numbers)


def _require(
    name: str, value: float, low: float, high: float, what: str = "The keyframe cannot be used"
) -> None:
    if not low <= value <= high:  # not a number is refused too
        raise CameraPathError(
            what, f"its {name} is {value:g}, not {low:g} to {high:g}", f"Correct {name}."
        )
