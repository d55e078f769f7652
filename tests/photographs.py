"""Photographs to learn from: pictures of the demo scene, so that the truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from r2l_core.geometry.camera import Camera, focal_from_angle
from r2l_core.geometry.orbit import Orbit
from r2l_core.training.demo_scene import render_rays
from r2l_core.training.teachers import supersampled_image

ANGLE_X_RAD = 0.6911112
SIZE_PX = 32
VIEWS = 8


def cameras(split: str) -> list[Camera]:
    """Eight to learn from around the scene; two between them to be measured against."""
    focal_px = focal_from_angle(SIZE_PX, ANGLE_X_RAD)
    count, turned = (VIEWS, 0.0) if split == "train" else (2, 20.0)
    return [
        Orbit(360.0 * k / count + turned, 20.0 + 25.0 * (k % 2), 4.0).camera(
            SIZE_PX, SIZE_PX, focal_px
        )
        for k in range(count)
    ]


def write_photographs(folder: Path, splits: tuple[str, ...] = ("train", "val", "test")) -> Path:
    """A Blender dataset with 8-bit pictures."""
    for split in splits:
        frames = []
        (folder / split).mkdir(parents=True)
        for index, camera in enumerate(cameras(split)):
            image = supersampled_image(render_rays, camera, 2).numpy()
            iio.imwrite(folder / split / f"{index}.png", np.rint(255 * image).astype(np.uint8))
            pose = camera.T_world_camera.tolist()
            frames.append({"file_path": f"./{split}/{index}", "transform_matrix": pose})
        description = {"camera_angle_x": ANGLE_X_RAD, "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(description))
    return folder
