"""Does the picture shimmer? How it changes from frame to frame of a turntable, against the truth.

A picture can be near the truth and still flicker, or far from it and calm. So what is compared here
is the change between two neighbouring frames, image(k + 1) - image(k): the light field's and the
ground truth's own.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from r2l_core.camera import Camera
from r2l_core.metrics import psnr_db
from r2l_core.references import TeacherReference
from r2l_core.renderer import Renderer
from r2l_core.scene import SceneSpec

TURNTABLE_STEP_DEG = 1.0
"""A turn of six seconds at 60 frames a second."""


@dataclass(frozen=True)
class TemporalScores:
    """psnr_db_of_change: of the light field's changes against the truth's, which lie in [-1, 1],
    peak 1, mean over pairs of frames. mean_abs_change, mean_abs_change_truth: over pixels, channels
    and pairs, sRGB in [0, 1]; a light field whose own is the larger one shimmers."""

    psnr_db_of_change: float
    mean_abs_change: float
    mean_abs_change_truth: float


def turntable_cameras(scene: SceneSpec, n_frames: int) -> list[Camera]:
    """`n_frames` of the scene's own cameras in steps of TURNTABLE_STEP_DEG, from its first view."""
    home, width, height = scene.home(), scene.width_px, scene.height_px
    return [
        replace(home, azimuth_deg=home.azimuth_deg + k * TURNTABLE_STEP_DEG).camera(
            width, height, scene.focal_px(width)
        )
        for k in range(n_frames)
    ]


def temporal_scores(
    images: Sequence[NDArray[np.float32]], truths: Sequence[NDArray[np.float32]]
) -> TemporalScores:
    """Of neighbouring frames, float32 (H, W, 3) each; at least two, equally many of both."""
    own, true = (
        [after - before for before, after in itertools.pairwise(frames)]
        for frames in (images, truths)
    )
    return TemporalScores(
        statistics.fmean(
            psnr_db(float(np.square(a - b, dtype=np.float64).mean()))
            for a, b in zip(own, true, strict=True)
        ),
        statistics.fmean(float(np.abs(change).mean()) for change in own),
        statistics.fmean(float(np.abs(change).mean()) for change in true),
    )


def measure_turntable(
    renderers: Mapping[str, Renderer],
    scene: SceneSpec,
    n_frames: int,
    progress: Callable[[int, int], None],
) -> dict[str, TemporalScores]:
    """Scores of each renderer, every pixel through the network. `progress`: pictures done, of all.

    Raises SceneError where the scene has no teacher.
    """
    reference = TeacherReference(scene, turntable_cameras(scene, n_frames))
    images: dict[str, list[NDArray[np.float32]]] = {name: [] for name in renderers}
    truths, done = [], 0
    for index, camera in enumerate(reference.cameras):
        truths.append(reference.image(index))
        for name, renderer in renderers.items():
            images[name].append(renderer.render_timed(camera).colors.numpy())
            done += 1
            progress(done, n_frames * len(renderers))
    return {name: temporal_scores(images[name], truths) for name in renderers}
