"""Camera paths on disk: our own JSON, and whichever dialect of nerfstudio's a file is in.

    {"format": "r2l-camera-path", "version": 1, "loop": false, "even_speed": false, "tension": 0.0,
     "pivot": [0, 0, 0],
     "keyframes": [{"T_world_camera": [[...], [...], [...], [...]], "fov_y_deg": 39.6,
                    "transition_s": 1.0, "precision_a": "int8", "wipe": 0.5}, ...]}

The fields are those of `CameraPath` and `Keyframe`; a path may leave out the pivot, as older files
do, and a keyframe what it does not change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r2l_core import limits
from r2l_core.camera_paths.camera_path import (
    FOV_Y_RANGE_DEG,
    GAIN_RANGE,
    MAX_TRANSITION_S,
    CameraPath,
    Keyframe,
)
from r2l_core.camera_paths.instant_ngp import (
    is_instant_ngp,
    is_transforms,
    read_instant_ngp,
    read_transforms,
)
from r2l_core.camera_paths.nerfstudio import (
    Dialect,
    is_nerfstudio,
    nerfstudio_values,
    read_nerfstudio,
)
from r2l_core.errors import CameraError, CameraPathError
from r2l_core.files import replacing
from r2l_core.json_fields import Fields
from r2l_core.types import Precision

FORMAT = "r2l-camera-path"
VERSION = 1


def load_camera_path(file: Path) -> CameraPath:
    """Read our own JSON, nerfstudio's, instant-ngp's or a dataset's `transforms.json`. Raises
    CameraPathError naming the file and the field."""
    fields = Fields.of_file(file, f"The camera path {file} cannot be used", CameraPathError)
    if is_nerfstudio(fields):
        return read_nerfstudio(fields)
    if "format" not in fields and is_instant_ngp(fields):
        return read_instant_ngp(fields)
    if "format" not in fields and is_transforms(fields):
        return read_transforms(fields)
    return read_camera_path(fields)


def save_camera_path(path: CameraPath, file: Path) -> None:
    """Write our own JSON, one keyframe a line, whole or not at all. Raises CameraPathError."""
    values = camera_path_values(path)
    keyframes = ",\n  ".join(json.dumps(key) for key in values.pop("keyframes"))
    head = json.dumps(values)[:-1]
    _write_whole(file, f'{head},\n "keyframes": [\n  {keyframes}\n ]\n}}\n')


def save_nerfstudio(
    path: CameraPath,
    file: Path,
    width_px: int,
    height_px: int,
    fps: float,
    dialect: Dialect = "list",
) -> None:
    """Write nerfstudio's JSON (see `nerfstudio_values`), whole or not at all. Raises
    CameraPathError."""
    values = nerfstudio_values(path, width_px, height_px, fps, dialect)
    _write_whole(file, json.dumps(values, indent=1) + "\n")


def camera_path_values(path: CameraPath) -> dict[str, Any]:
    """The path as the JSON object that `read_camera_path` takes."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "loop": path.loop,
        "even_speed": path.even_speed,
        "tension": path.tension,
        **({} if path.pivot is None else {"pivot": list(path.pivot)}),
        "keyframes": [_keyframe_values(key) for key in path.keyframes],
    }


def _keyframe_values(key: Keyframe) -> dict[str, Any]:
    options: Mapping[str, Any] = {
        "precision_a": key.precision_a,
        "precision_b": key.precision_b,
        "wipe": key.wipe,
        "gain": key.gain,
    }
    return {
        "T_world_camera": key.T_world_camera.tolist(),
        "fov_y_deg": key.fov_y_deg,
        "transition_s": key.transition_s,
        **{name: value for name, value in options.items() if value is not None},
        **({"eases": True} if key.eases else {}),
    }


def read_camera_path(fields: Fields) -> CameraPath:
    """A path from its JSON object. Raises the error of `fields`."""
    if "format" not in fields or fields.text("format") != FORMAT:
        fields.unusable(
            "it is no camera path: it has neither the format of this program nor nerfstudio's",
            "Choose another file.",
        )
    version = fields.number("version")
    if version != VERSION:
        fields.unusable(
            f"it has format version {version:g}, and this program reads {VERSION}",
            "Update the program.",
        )
    keys = tuple(_keyframe(entry) for entry in fields.objects("keyframes", limits.KEYFRAMES))
    if not keys:
        fields.refuse("keyframes", "is empty")
    return CameraPath(
        keys,
        loop=fields.boolean("loop", False),
        even_speed=fields.boolean("even_speed", False),
        tension=fields.number("tension", 0.0, -1.0, 1.0),
        pivot=_pivot(fields) if "pivot" in fields else None,
    )


def _pivot(fields: Fields) -> tuple[float, float, float]:
    x, y, z = fields.vector("pivot", 3)
    return x, y, z


def _keyframe(fields: Fields) -> Keyframe:
    pose = fields.matrix("T_world_camera")
    fov_y_deg = fields.number("fov_y_deg", None, *FOV_Y_RANGE_DEG)
    transition_s = fields.number("transition_s", 1.0, 1e-6, MAX_TRANSITION_S)
    wipe = fields.optional_number("wipe", 0.0, 1.0)
    gain = fields.optional_number("gain", *GAIN_RANGE)
    precision_a, precision_b = (
        fields.member(name, Precision) if name in fields else None
        for name in ("precision_a", "precision_b")
    )
    try:
        eases = fields.boolean("eases", False)
        return Keyframe(pose, fov_y_deg, transition_s, precision_a, precision_b, wipe, gain, eases)
    except CameraError as error:
        fields.refuse("T_world_camera", f"is no camera pose: {error.why}")


def _write_whole(file: Path, text: str) -> None:
    with replacing(file, CameraPathError, f"The camera path {file} could not be written") as new:
        new.write_text(text, encoding="utf-8")
