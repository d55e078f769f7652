"""Does a moving picture shimmer? Changes from frame to frame, beside those of the ground truth.

A light field may be close to the truth in every picture and still flicker along edges, because its
errors differ from view to view. So the camera goes along a piece of the turntable in small steps,
and what is compared is not the frames, but how each differs from the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.evaluation.evaluation import EVALUATION_SIZE_PX
from r2l_core.geometry.camera import Camera, focal_from_angle
from r2l_core.geometry.scene import SceneSpec
from r2l_core.images.metrics import psnr_db

STEP_DEG = 1.0
"""Between two frames: a turn in twelve seconds, at 30 frames a second."""

Images = Callable[[Camera], NDArray[np.float32]]
"""A camera to what is seen through it: float32 (H, W, 3) in [0, 1]."""


def turntable_cameras(
    scene: SceneSpec,
    n_frames: int,
    radius: float | None = None,
    pivot: tuple[float, float, float] | None = None,
) -> list[Camera]:
    """Cameras `STEP_DEG` of azimuth apart, from the scene's first view on, at its elevation."""
    home = scene.home()
    home = replace(home, radius=radius or home.radius, pivot=pivot or home.pivot)
    focal_px = focal_from_angle(EVALUATION_SIZE_PX, scene.camera_angle_x_rad)
    return [
        home.orbited(k * STEP_DEG, 0.0).camera(EVALUATION_SIZE_PX, EVALUATION_SIZE_PX, focal_px)
        for k in range(n_frames)
    ]


@dataclass
class Changes:
    """Sums over every channel of every pixel of every pair of neighbouring frames.

    With frames x of a light field and t of the truth, all in [0, 1]: squared sums
    `((x[k+1] - x[k]) - (t[k+1] - t[k]))^2`, absolute sums `|x[k+1] - x[k]|`.
    """

    squared: float = 0.0
    absolute: float = 0.0
    n_values: int = 0

    def add(self, change: NDArray[np.float64], true_change: NDArray[np.float64]) -> None:
        """One pair's change and that of the truth, (H, W, 3) each."""
        self.squared += float(np.square(change - true_change).sum())
        self.absolute += float(np.abs(change).sum())
        self.n_values += change.size

    def mean_abs(self) -> float:
        """Mean absolute change, in [0, 1]."""
        return self.absolute / self.n_values

    def psnr_db(self) -> float:
        """PSNR of the changes to those of the truth, for a peak of 1; infinite where they agree."""
        return psnr_db(self.squared / self.n_values)


class Shimmer:
    """Measures light fields, by name, against the truth along one row of cameras, at least two."""

    def __init__(
        self, truth: Images, light_fields: Mapping[str, Images], cameras: Sequence[Camera]
    ) -> None:
        if len(cameras) < 2:
            raise ValueError("a change takes two frames")
        self._images: dict[str | None, Images] = {None: truth}
        self._images.update(light_fields)
        self._cameras = cameras
        self._changes: dict[str | None, Changes] = {name: Changes() for name in self._images}

    def run(self) -> Iterator[None]:
        """Render frame by frame, yielding after each."""
        before: dict[str | None, NDArray[np.float64]] = {}
        for camera in self._cameras:
            now = {name: see(camera).astype(np.float64) for name, see in self._images.items()}
            for name in before:
                self._changes[name].add(now[name] - before[name], now[None] - before[None])
            before = now
            yield

    def report(self) -> dict[str, Any]:
        """JSON values: the row itself, and what was measured of each name."""
        true_change = self._changes[None].mean_abs()
        return {
            "frames": len(self._cameras),
            "step_deg": STEP_DEG,
            "truth_change_mean_abs": true_change,
            "precisions": {
                name: {
                    "change_psnr_db": changes.psnr_db(),
                    "change_mean_abs": changes.mean_abs(),
                    "change_ratio_to_truth": changes.mean_abs() / true_change
                    if true_change
                    else None,
                }
                for name, changes in self._changes.items()
                if name is not None
            },
        }
