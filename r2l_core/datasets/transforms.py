"""`transforms.json` as nerfstudio and instant-ngp have it: captured scenes with their intrinsics.

Camera-to-world poses, OpenGL axes, as here; an `applied_transform` is already part of them, so they
are taken as they stand. `lenses` describes the lens.

`{train,val,test}_filenames` choose the splits where they are given; otherwise every eighth view in
the order of their names is held out, for `test` and `val` alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from r2l_core.datasets.base import WHITE, Dataset, Request, nearest_point_to_axes
from r2l_core.datasets.fields import DatasetFields
from r2l_core.datasets.frames import read_views
from r2l_core.datasets.images import SUFFIXES
from r2l_core.datasets.llff import HOLD_OUT_EVERY

FILE = "transforms.json"
SPLITS = ("train", "val", "test")


def recognises(request: Request) -> bool:
    """Whether the folder looks like such a scene."""
    return (request.root / FILE).is_file()


def load(request: Request) -> Dataset:
    """Open one split. Raises DatasetError."""
    shared = DatasetFields(request.root / FILE)
    frames = shared.frames()
    if "applied_transform" in shared:
        shared.pose("applied_transform")
    splits = _splits(shared, frames)
    request.choose(tuple(splits))
    chosen = splits[request.split]
    views, more = read_views(request, [shared], [frames[index] for index in chosen], centred=False)
    notes = ["near and far are estimates: the file gives no depths", *more]
    cameras = [view.camera for view in views]
    center = nearest_point_to_axes(cameras)
    distances = [float(np.linalg.norm(camera.position - center)) for camera in cameras]
    reach = float(np.mean(distances))
    reach = reach if reach > 1e-6 else 1.0  # all views from one place
    x, y, z = (float(value) for value in center)
    return request.dataset(
        "transforms",
        tuple(splits),
        views,
        WHITE,
        shared.file,
        notes=notes,
        near=0.1 * reach,
        far=2.0 * reach,
        background_rgb=WHITE,
        center=(x, y, z),
        bound_radius=reach,
        view_radius=reach,
    )


def _splits(shared: DatasetFields, frames: Sequence[DatasetFields]) -> dict[str, list[int]]:
    """Which frames belong to which split; only splits that have any."""
    keys = {split: f"{split}_filenames" for split in SPLITS}
    if any(key in shared for key in keys.values()):
        paths = [frame.text("file_path") for frame in frames]
        by_stem = {_stem(path): index for index, path in enumerate(paths)}
        by_name = {_bare(path): index for index, path in enumerate(paths)}
        chosen = {}
        for split, key in keys.items():
            names = shared.texts(key) if key in shared else []
            found = [by_name.get(_bare(name), by_stem.get(_stem(name))) for name in names]
            if None in found:
                missing = names[found.index(None)]
                shared.refuse(key, f"names {missing[:200]!r}, and no frame has that file_path")
            chosen[split] = [index for index in found if index is not None]
    else:
        # By name, as nerfstudio does: frames come in any order.
        everyone = sorted(range(len(frames)), key=lambda index: frames[index].text("file_path"))
        held_out = everyone[::HOLD_OUT_EVERY]
        training = [index for at, index in enumerate(everyone) if at % HOLD_OUT_EVERY]
        chosen = {"train": training, "val": held_out, "test": held_out}
    return {split: indices for split, indices in chosen.items() if indices}


def _bare(name: str) -> str:
    """The same of file names that are written with other separators, or begin with `./`."""
    return os.path.normpath(name.replace("\\", "/"))


def _stem(name: str) -> str:
    """The same of those that also differ in the case of letters, or in the ending of a picture."""
    stem, suffix = os.path.splitext(_bare(name).casefold())
    return stem if suffix in SUFFIXES else stem + suffix
