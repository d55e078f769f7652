"""Camera paths of others that are no nerfstudio ones: instant-ngp's own, and `transforms.json`.

instant-ngp's `base_cam.json` holds `path`, a list of cameras: `R`, a quaternion x y z w, `T`, a
position, and `fov`, vertical in degrees, all in the coordinates it calculates in. Those follow
from a scene's by a turn of the axes (x y z become y z x), the factor `scale` and the step `offset`,
which the file does not hold: 0.33 and 0.5 unless a scene's `transforms.json` says otherwise
(include/neural-graphics-primitives/nerf_loader.h, `nerf_matrix_to_ngp`).

A dataset's `transforms.json` is a path along its photographs, a second from each to the next.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.camera_paths.camera_path import FOV_Y_RANGE_DEG, CameraPath, Keyframe
from r2l_core.errors import CameraError
from r2l_core.geometry.camera import without_scale
from r2l_core.json_fields import Fields

_SCALE, _OFFSET = 0.33, 0.5
_STEP_S = 1.0


def is_instant_ngp(fields: Fields) -> bool:
    """Whether an object is a path that instant-ngp has saved."""
    path = fields.mapping.get("path")
    return isinstance(path, list) and all(isinstance(one, dict) and "R" in one for one in path)


def read_instant_ngp(fields: Fields) -> CameraPath:
    """Its cameras as keyframes. Raises the error of `fields`."""
    entries = fields.objects("path", limits.KEYFRAMES)
    if not entries:
        fields.refuse("path", "is empty")
    keys = []
    for entry in entries:
        pose = np.eye(4)
        pose[:3, :3] = _rotation(entry)
        pose[:3, 3] = entry.vector("T", 3)
        fov_y_deg = entry.number("fov", None, *FOV_Y_RANGE_DEG)
        keys.append(_key(entry, "R", _in_scene(pose), fov_y_deg))
    note = (
        f"instant-ngp's file does not say how its scene was scaled: {_SCALE:g} and a step of "
        f"{_OFFSET:g} are taken, and {_STEP_S:g} s from each camera to the next"
    )
    return CameraPath(tuple(keys), loop=fields.boolean("loop", False), notes=(note,))


def is_transforms(fields: Fields) -> bool:
    """Whether an object describes the photographs of a dataset."""
    return isinstance(fields.mapping.get("frames"), list)


def read_transforms(fields: Fields) -> CameraPath:
    """A dataset's cameras as keyframes, in the file's order. Raises the error of `fields`."""
    entries = fields.objects("frames", limits.KEYFRAMES)
    if not entries:
        fields.refuse("frames", "is empty")
    keys = []
    for entry in entries:
        pose = entry.matrix("transform_matrix")
        keys.append(_key(entry, "transform_matrix", pose, _fov_y_deg(entry, fields)))
    note = f"this is a dataset: its cameras became keyframes, {_STEP_S:g} s from each to the next"
    return CameraPath(tuple(keys), notes=(note,))


def _rotation(entry: Fields) -> NDArray[np.float64]:
    x, y, z, w = entry.vector("R", 4)
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not 1e-6 < length < 1e6:
        entry.refuse("R", "is no rotation")
    x, y, z, w = (value / length for value in (x, y, z, w))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _in_scene(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """A camera of instant-ngp's coordinates in the scene's, OpenGL axes."""
    turned = pose.copy()
    turned[:3] = pose[[2, 0, 1]]
    turned[:3, 1:3] *= -1
    turned[:3, 3] = (turned[:3, 3] - _OFFSET) / _SCALE
    return turned


def _fov_y_deg(entry: Fields, fields: Fields) -> float:
    """Vertical field of view of a photograph; that of its width where its shape is unknown."""

    # With Pillow, which a start of the window does not need.
    from r2l_core.datasets.lenses import fields_of_view, lens_field, lens_levels

    levels = lens_levels((entry, fields), [])
    sources = [one for level in levels for one in level]

    def side_px(key: str) -> float | None:
        field, name = lens_field(sources, key)
        return field.optional_number(name, 1, 65_536)

    width, height = side_px("w"), side_px("h")
    for x, y in fields_of_view(levels, []):
        if y is not None and y.focal_px is None:
            return math.degrees(y.angle_rad)
        focal_px = next((one.focal_px for one in (y, x) if one and one.focal_px), None)
        if focal_px is not None and height is not None:
            return math.degrees(2 * math.atan(height / 2 / focal_px))
        if x is not None and x.focal_px is None:
            shape = 1.0 if width is None or height is None else height / width
            return math.degrees(2 * math.atan(math.tan(x.angle_rad / 2) * shape))
    return fields.refuse(
        "camera_angle_x", "is missing, and so is all else that says how far is seen"
    )


def _key(entry: Fields, name: str, pose: NDArray[np.float64], fov_y_deg: float) -> Keyframe:
    try:
        return Keyframe(without_scale(pose)[0], fov_y_deg, _STEP_S)
    except CameraError as error:
        entry.refuse(name, f"is no camera pose: {error.why}")
