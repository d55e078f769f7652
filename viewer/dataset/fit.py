"""Whether a dataset belongs to the open light field, as far as their numbers tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from viewer.rendering.running import Running

if TYPE_CHECKING:
    from r2l_core.datasets import Dataset

_NEAR_FAR_SHARE = 0.02
_LEAST_UP = 0.3
"""Mean share of +Z in the cameras' up directions, below which +Z is hardly up."""


def misfit(dataset: Dataset, running: Running | None) -> str:
    """What of the dataset does not go with the light field, a sentence; empty where all does."""
    if running is None:
        return ""
    scene, own = running.scene, dataset.scene
    found = []
    reach = _NEAR_FAR_SHARE * max(scene.far, own.far)
    if abs(scene.near - own.near) > reach or abs(scene.far - own.far) > reach:
        found.append(
            f"its near and far are {own.near:g} and {own.far:g}, not "
            f"{scene.near:g} and {scene.far:g}"
        )
    poses = np.stack([camera.T_world_camera for camera in dataset.cameras])
    if float(poses[:, 2, 1].mean()) < _LEAST_UP:
        found.append("+Z is not up in it")
    outside = sum(
        scene.outside_trained_views(camera.position, running.ray_mode) is not None
        for camera in dataset.cameras
    )
    if outside:
        found.append(f"{outside} of its {len(poses)} cameras are outside the trained views")
    if not found:
        return ""
    return "It may not belong to this light field: " + "; ".join(found) + "."
