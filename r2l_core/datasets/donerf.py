"""DONeRF scenes (Neff et al., 2021): like Blender scenes, with `dataset_info.json` beside them.

That file holds what all splits share: `camera_angle_x` and `depth_range`. The cameras stand inside
the scene, so pictures have a background of their own, which is kept: transparency is ignored.
"""

from __future__ import annotations

import numpy as np

from r2l_core.datasets import blender
from r2l_core.datasets.base import Dataset, Request
from r2l_core.datasets.fields import MAX_COORDINATE, DatasetFields
from r2l_core.datasets.frames import read_views

_INFO = "dataset_info.json"


def recognises(request: Request) -> bool:
    """Whether the folder looks like such a scene."""
    return (request.root / _INFO).is_file()


def load(request: Request) -> Dataset:
    """Open one split. Raises DatasetError."""
    splits = blender.existing_splits(request)
    request.choose(splits)
    info = DatasetFields(request.root / _INFO)
    near, far = info.numbers("depth_range", 2, 0.0, MAX_COORDINATE)
    file = blender.read_frames(request)
    views, notes = read_views(request, [info, file], file.frames(), centred=True)
    positions = np.array([view.camera.position for view in views])
    x, y, z = (float(value) for value in positions.mean(0))
    return request.dataset(
        "donerf",
        splits,
        views,
        None,
        info.file,
        notes=notes,
        near=near,
        far=far,
        center=(x, y, z),
        bound_radius=far,
        view_radius=near if near > 0 else far,
    )
