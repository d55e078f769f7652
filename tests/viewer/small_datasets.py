"""Datasets of a few small pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from r2l_core.geometry.orbit import Orbit

WIDTH_PX, HEIGHT_PX = 32, 24
VIEWS = 4


def write_views(folder: Path, splits: tuple[str, ...] = ("train", "test")) -> Path:
    """A scene in the Blender format, whose every picture has a colour of its own."""
    for at, split in enumerate(splits):
        (folder / split).mkdir(parents=True)
        frames = []
        for view in range(VIEWS):
            azimuth_deg = 80.0 * view + 10.0 * at
            pose = Orbit(azimuth_deg, 20.0, 4.0, (0.1, 0.0, 0.2)).T_world_camera()
            frames.append({"file_path": f"./{split}/r_{view}", "transform_matrix": pose.tolist()})
            picture = np.full((HEIGHT_PX, WIDTH_PX, 3), 40 * view + 20 * at, np.uint8)
            picture[:5] = 255
            Image.fromarray(picture).save(folder / split / f"r_{view}.png")
        content = {"camera_angle_x": 0.7, "frames": frames}
        (folder / f"transforms_{split}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
