"""`transforms.json` as nerfstudio and instant-ngp have it: captured scenes with their intrinsics.

Camera-to-world poses, OpenGL axes, as here; an `applied_transform` is already part of them, so they
are taken as they stand. Intrinsics (`fl_x fl_y cx cy w h`, or `camera_angle_x`) may be given for
all views or frame by frame. There, pixel (i, j) is the square from (i, j) to (i + 1, j + 1) and its
ray goes through the middle, so our principal point lies half a pixel before theirs.

`{train,val,test}_filenames` choose the splits where they are given; otherwise every eighth view is
held out, for `test` and `val` alike. Lens distortion is not undone: `notes` say how far off that
is. Fisheye and panoramic cameras are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from r2l_core.datasets.base import (
    WHITE,
    Dataset,
    Request,
    View,
    camera_of,
    nearest_point_to_axes,
)
from r2l_core.datasets.fields import DatasetFields
from r2l_core.datasets.llff import HOLD_OUT_EVERY
from r2l_core.geometry.camera import Camera, focal_from_angle

FILE = "transforms.json"
SPLITS = ("train", "val", "test")
MAX_FOCAL_PX = 1e6
MAX_SIZE_PX = 65536
_PINHOLE_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
_DISTORTION = ("k1", "k2", "k3", "p1", "p2")


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
    views, distorted_px = [], 0.0
    for done, index in enumerate(chosen):
        frame = frames[index]
        path = request.picture_of(frame)
        camera, off_px = _camera(shared, frame, request, request.output_size(path))
        views.append(View(frame.text("file_path").removeprefix("./"), path, camera))
        distorted_px = max(distorted_px, off_px)
        request.tell(done + 1, len(chosen))
    notes = ["near and far are estimates: the file gives no depths"]
    if distorted_px > 0:
        notes.append(f"lens distortion is not undone: up to {distorted_px:.1f} pixels in a corner")
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
        by_name = {frame.text("file_path"): index for index, frame in enumerate(frames)}
        chosen = {}
        for split, key in keys.items():
            names = shared.texts(key) if key in shared else []
            if missing := [name for name in names if name not in by_name]:
                shared.refuse(key, f"names {missing[0][:200]!r}, and no frame has that file_path")
            chosen[split] = [by_name[name] for name in names]
    else:
        everyone = range(len(frames))
        held_out = list(everyone[::HOLD_OUT_EVERY])
        training = [index for index in everyone if index % HOLD_OUT_EVERY]
        chosen = {"train": training, "val": held_out, "test": held_out}
    return {split: indices for split, indices in chosen.items() if indices}


def _camera(
    shared: DatasetFields, frame: DatasetFields, request: Request, size_px: tuple[int, int]
) -> tuple[Camera, float]:
    """The camera of one frame, and how far off its distortion is in the worst corner, in pixels."""

    def source(key: str) -> DatasetFields:
        return frame if key in frame else shared

    def number(key: str, low: float, high: float) -> float | None:
        return source(key).optional_number(key, low, high)

    _refuse_other_lenses(source)
    scale = 2 if request.half else 1
    width = number("w", 1, MAX_SIZE_PX) or float(size_px[0] * scale)
    height = number("h", 1, MAX_SIZE_PX) or float(size_px[1] * scale)
    for key, stated, actual in (("w", width, size_px[0]), ("h", height, size_px[1])):
        if max(int(stated) // scale, 1) != actual:
            source(key).refuse(key, f"is {stated:g}, and the picture is of another size")
    fl_x = number("fl_x", 1e-3, MAX_FOCAL_PX)
    if fl_x is None:
        angle = source("camera_angle_x").number("camera_angle_x", low=1e-3, high=math.pi - 1e-3)
        fl_x = focal_from_angle(int(width), angle)
    fl_y = number("fl_y", 1e-3, MAX_FOCAL_PX) or fl_x
    if "fl_y" not in source("fl_y") and "camera_angle_y" in source("camera_angle_y"):
        angle = source("camera_angle_y").number("camera_angle_y", low=1e-3, high=math.pi - 1e-3)
        fl_y = focal_from_angle(int(height), angle)
    cx, cy = number("cx", -MAX_FOCAL_PX, MAX_FOCAL_PX), number("cy", -MAX_FOCAL_PX, MAX_FOCAL_PX)
    cx, cy = width / 2 if cx is None else cx, height / 2 if cy is None else cy
    lens = [number(key, -1e3, 1e3) or 0.0 for key in _DISTORTION]
    across, down = size_px[0] / width, size_px[1] / height
    camera = camera_of(
        shared.file,
        f"{frame.prefix}transform_matrix",
        frame.pose("transform_matrix"),
        size_px,
        fl_x * across,
        focal_y_px=fl_y * down,
        principal_px=(cx * across - 0.5, cy * down - 0.5),
    )
    return camera, _distorted_px(camera, lens) if any(lens) else 0.0


def _refuse_other_lenses(source: Callable[[str], DatasetFields]) -> None:
    fields = source("camera_model")
    model = fields.text("camera_model") if "camera_model" in fields else "PINHOLE"
    if model not in _PINHOLE_MODELS:
        fields.refuse("camera_model", f"is {model[:40]!r}, not a pinhole camera")
    fields = source("is_fisheye")
    if fields.mapping.get("is_fisheye"):
        fields.refuse("is_fisheye", "is set, and only pinhole cameras can be opened")


def _distorted_px(camera: Camera, lens: Sequence[float]) -> float:
    """The largest shift of a corner by OpenCV's radial (k1 k2 k3) and tangential (p1 p2) terms."""
    k1, k2, k3, p1, p2 = lens
    worst = 0.0
    for column in (0.0, camera.width_px):
        for row in (0.0, camera.height_px):
            x = (column - camera.center_px[0]) / camera.focal_px
            y = (row - camera.center_px[1]) / camera.fy_px
            r2 = x * x + y * y
            radial = r2 * (k1 + r2 * (k2 + r2 * k3))
            dx = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
            dy = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
            worst = max(worst, math.hypot(dx * camera.focal_px, dy * camera.fy_px))
    return worst
