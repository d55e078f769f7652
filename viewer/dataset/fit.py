"""Whether a dataset belongs to the open light field, as far as their numbers tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from viewer.rendering.running import Running

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

_NEAR_FAR_SHARE = 0.02
_WIDER = 2.0
"""How much longer than a light field's own stretch of depths a dataset's may be: what is learned
from photographs keeps to what they can see."""
_OUTSIDE_SHARE = 0.25
"""A few photographs from where nobody could learn enough are in many a dataset."""
_LEAST_UP = 0.3
"""Mean share of +Z in the cameras' up directions, below which +Z is hardly up."""


def misfit(dataset: Dataset, running: Running | None) -> str:
    """What of the dataset does not go with the light field, a sentence; empty where all does."""
    if running is None:
        return ""
    scene, own = running.scene, dataset.scene
    found = []
    reach = _NEAR_FAR_SHARE * max(scene.far, own.far)
    covered = own.near <= scene.near + reach and scene.far <= own.far + reach
    if not covered or own.far - own.near > _WIDER * (scene.far - scene.near) + reach:
        found.append(
            f"its near and far are {own.near:.4g} and {own.far:.4g}, not "
            f"{scene.near:.4g} and {scene.far:.4g}"
        )
    poses = np.stack([camera.T_world_camera for camera in dataset.cameras])
    if float(poses[:, 2, 1].mean()) < _LEAST_UP:
        found.append("+Z is not up in it")
    outside = sum(
        scene.outside_trained_views(camera.position, running.ray_mode) is not None
        for camera in dataset.cameras
    )
    if outside > _OUTSIDE_SHARE * len(poses):
        found.append(f"{outside} of its {len(poses)} cameras are outside the trained views")
    if not found:
        return ""
    return "It may not belong to this light field: " + "; ".join(found) + "."
