"""nerfstudio's camera-path JSON, in and out, in both of its dialects.

    dialect  keyframes[].matrix                     times                    smoothness_value
    list     16 numbers, row-major                  override_transition_sec  tension, 0 to 1
    string   JSON text, 16 numbers, column-major    TIME in `properties`     (1 - tension) / 2

The first is that of the viewer since 1.0, the second that of its predecessor. In both,
`camera_path[].camera_to_world` holds 16 numbers, row-major, `fov` is vertical in degrees, and poses
are OpenGL camera-to-world. Fields as written by nerfstudio/viewer/render_panel.py and, before,
viewer/app/src/modules/SidePanel/CameraPanel/CameraPanel.jsx.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from r2l_core import limits
from r2l_core.camera_paths.camera_path import (
    FOV_Y_RANGE_DEG,
    MAX_TRANSITION_S,
    CameraPath,
    Keyframe,
)
from r2l_core.errors import CameraError, CameraPathError
from r2l_core.geometry.camera import without_scale
from r2l_core.json_fields import Fields, parse_json

Dialect = Literal["list", "string"]

_DEFAULT_TRANSITION_S = 2.0
_DEFAULT_SECONDS = 4.0
_DEFAULT_FPS = 30.0
_SHORTEST_S = 1e-3
_RADIANS = 3.2
"""Fields of view that are all below this may be radians: telescopes have them in degrees."""
_PARTS_OF_TURN = 6
"""Between two keyframes. Of a quarter turn, 15 degrees each, where a spline leaves the circle by a
ten-thousandth."""


def is_nerfstudio(fields: Fields) -> bool:
    """Whether an object has what nerfstudio's files have, and not a format of its own."""
    return "format" not in fields and ("keyframes" in fields or "camera_path" in fields)


def read_nerfstudio(fields: Fields) -> CameraPath:
    """The keyframes of a file, or where it has none its frames. Raises the error of `fields`.

    Its size and frame rate are left to the recording.
    """
    if "camera_type" in fields and fields.text("camera_type").lower() != "perspective":
        fields.refuse("camera_type", f"is '{fields.text('camera_type')}', not perspective")
    loop = fields.boolean("is_cycle", False)
    entries = fields.objects("keyframes", limits.KEYFRAMES) if "keyframes" in fields else []
    if not entries:
        return _from_frames(fields, loop)
    keys = [_keyframe(entry, fields) for entry in entries]
    if "matrix" in entries[0] and entries[0].is_text("matrix"):
        smoothness = fields.number("smoothness_value", 0.5, 0.0, 1.0)
        timed = _with_times(keys, _times_s(fields, entries, loop))
        linear = fields.boolean("is_linear", False)
        return CameraPath(timed, loop, linear, 1 - 2 * smoothness, _notes(entries, "matrix", keys))
    tension = fields.number("smoothness_value", 0.0, 0.0, 1.0)
    transition_s = fields.number(
        "default_transition_sec", _DEFAULT_TRANSITION_S, _SHORTEST_S, MAX_TRANSITION_S
    )
    transitions_s = [
        entry.number("override_transition_sec", transition_s, _SHORTEST_S, MAX_TRANSITION_S)
        if entry.boolean("override_transition_enabled", False)
        else transition_s
        for entry in entries
    ]
    notes = _notes(entries, "matrix", keys)
    return CameraPath(_with_times(keys, transitions_s), loop, tension=tension, notes=notes)


def _from_frames(fields: Fields, loop: bool) -> CameraPath:
    if "camera_path" not in fields:
        fields.refuse("keyframes", "is empty, and there is no camera_path")
    frames = fields.objects("camera_path", limits.KEYFRAMES)
    if not frames:
        fields.refuse("camera_path", "is empty")
    frame_s = 1 / fields.number("fps", _DEFAULT_FPS, 0.1, 1 / _SHORTEST_S)
    if "fps" not in fields and "seconds" in fields and len(frames) > 1:
        # Scripts that say how long it takes, and leave the rate to whoever renders.
        steps = len(frames) if loop else len(frames) - 1
        seconds = fields.number("seconds", None, _SHORTEST_S, MAX_TRANSITION_S)
        frame_s = max(seconds / steps, _SHORTEST_S)
    keys = [
        _posed(frame, "camera_to_world", frame.matrix("camera_to_world"), fields)
        for frame in frames
    ]
    notes = _notes(frames, "camera_to_world", keys)
    return CameraPath(_with_times(keys, [frame_s] * len(keys)), loop, notes=notes)


def _notes(entries: list[Fields], name: str, keys: list[Keyframe]) -> tuple[str, ...]:
    """What people should know of a file that was understood."""
    notes = []
    if all(key.fov_y_deg < _RADIANS for key in keys):
        degrees = math.degrees(keys[0].fov_y_deg)
        notes.append(
            f"all fields of view are below {_RADIANS:g}: if they are radians, such as "
            f"{degrees:.1f}° for the first, the file has to say degrees"
        )
    scaled = sum(without_scale(_matrix(entry, name))[1] != 1.0 for entry in entries)
    if scaled:
        notes.append(f"the rotations of {scaled} cameras have a scale, which was taken off")
    return tuple(notes)


def _keyframe(entry: Fields, fields: Fields) -> Keyframe:
    return _posed(entry, "matrix", _matrix(entry, "matrix"), fields)


def _matrix(entry: Fields, name: str) -> NDArray[np.float64]:
    """The pose in a field; the older dialect's texts hold it column by column."""
    if entry.is_text(name):
        return entry.matrix(name, _parsed(entry, name)).T
    return entry.matrix(name)


def _posed(entry: Fields, name: str, pose: NDArray[np.float64], fields: Fields) -> Keyframe:
    # Only files with a default leave it out.
    source = entry if "fov" in entry or "default_fov" not in fields else fields
    fov_name = "fov" if source is entry else "default_fov"
    fov_y_deg = source.number(fov_name, None, *FOV_Y_RANGE_DEG)
    try:
        return Keyframe(without_scale(pose)[0], fov_y_deg)
    except CameraError as error:
        entry.refuse(name, f"is no camera pose: {error.why}")


def _times_s(fields: Fields, entries: list[Fields], loop: bool) -> list[float]:
    """Transitions of the older dialect: from the TIMEs of the keyframes where all have one;
    otherwise all alike.

    The viewer writes shares of `seconds`, of which the last is 1; its Blender add-on writes seconds
    themselves, for every frame: they end one before `seconds`, or later where the animation begins
    later.
    """
    seconds = fields.number("seconds", _DEFAULT_SECONDS, _SHORTEST_S, MAX_TRANSITION_S)
    if len(entries) == 1:
        return [seconds]
    steps = len(entries) if loop else len(entries) - 1
    if loop or not all("properties" in entry for entry in entries):
        return [max(seconds / steps, _SHORTEST_S)] * len(entries)
    times = [_time(entry) for entry in entries]
    for entry, (before, after) in zip(entries[1:], pairwise(times), strict=True):
        if not after > before:
            entry.refuse("properties", "has a TIME that is not later than the one before")
    frame_s = 1 / fields.number("fps", _DEFAULT_FPS, 0.1, 1 / _SHORTEST_S)
    ends_with_film = -1e-3 <= seconds - times[-1] <= 1.001 * frame_s or (
        all(math.isclose(b - a, frame_s, rel_tol=1e-3) for a, b in pairwise(times))
        and math.isclose(len(times) * frame_s, seconds, rel_tol=1e-3)
    )
    if times[-1] > 1 or (ends_with_film and not math.isclose(times[-1], 1.0)):
        # Stretched to the film's length, so that all of it is filmed.
        length = times[-1] - times[0]
        factor = seconds / length if ends_with_film else 1.0
    else:
        factor = seconds
    return [seconds, *(max((b - a) * factor, _SHORTEST_S) for a, b in pairwise(times))]


def _time(entry: Fields) -> float:
    properties = _parsed(entry, "properties") if entry.is_text("properties") else None
    pairs = properties if isinstance(properties, list) else []
    times = [
        pair[1] for pair in pairs if isinstance(pair, list) and pair[:1] == ["TIME"] and pair[1:]
    ]
    if not (times and type(times[0]) in (int, float) and 0 <= times[0] <= MAX_TRANSITION_S):
        entry.refuse("properties", f"names no TIME from 0 to {MAX_TRANSITION_S:g}")
    return float(times[0])


def _parsed(entry: Fields, name: str) -> Any:
    try:
        return parse_json(entry.text(name), nan=True)
    except ValueError:
        entry.refuse(name, "is a text that is not JSON")


def _with_times(keys: list[Keyframe], transitions_s: list[float]) -> tuple[Keyframe, ...]:
    return tuple(
        Keyframe(key.T_world_camera, key.fov_y_deg, seconds)
        for key, seconds in zip(keys, transitions_s, strict=True)
    )


def nerfstudio_values(
    path: CameraPath, width_px: int, height_px: int, fps: float, dialect: Dialect = "list"
) -> dict[str, Any]:
    """The path as nerfstudio's JSON object, with its frames at `fps`.

    nerfstudio knows neither precisions, wipes and gains nor (in the newer dialect) one speed along
    the path, and keeps smoothness from 0 to 1: its frames are exact, its keyframes come close.
    Nor does it turn about a pivot, so that such a path has more keyframes there.
    """
    aspect = width_px / height_px
    n_frames = max(1, round(path.seconds * fps))
    if n_frames > limits.KEYFRAMES:
        raise CameraPathError(
            "The camera path cannot be written for nerfstudio",
            f"its {path.seconds:g} s at {fps:g} frames a second are {n_frames} frames, and there "
            f"may be {limits.KEYFRAMES}",
            "Make the path shorter.",
        )
    views = [path.at(frame / fps) for frame in range(n_frames)]
    dense = _in_small_steps(path)
    keys = dense.keyframes
    entries: list[dict[str, Any]]
    if dialect == "list":
        entries = [
            {
                "matrix": key.T_world_camera.reshape(-1).tolist(),
                "fov": key.fov_y_deg,
                "aspect": aspect,
                "override_transition_enabled": True,
                "override_transition_sec": key.transition_s,
            }
            for key in keys
        ]
        options = {
            "default_fov": keys[0].fov_y_deg,
            "default_transition_sec": keys[0].transition_s,
            "smoothness_value": max(dense.tension, 0.0),
        }
    else:
        times = [second / path.seconds if path.seconds else 0.0 for second in dense.key_seconds]
        entries = [
            {
                "matrix": json.dumps(key.T_world_camera.T.reshape(-1).tolist()),
                "fov": key.fov_y_deg,
                "aspect": aspect,
                "properties": json.dumps(
                    [["FOV", key.fov_y_deg], ["NAME", f"Camera {number}"], ["TIME", time]]
                ),
            }
            for number, (key, time) in enumerate(zip(keys, times, strict=True))
        ]
        options = {
            "is_linear": path.even_speed,
            "smoothness_value": (1 - dense.tension) / 2,
        }
    return {
        **options,
        "keyframes": entries,
        "camera_type": "perspective",
        "render_height": height_px,
        "render_width": width_px,
        "fps": fps,
        "seconds": path.seconds,
        "is_cycle": path.loop,
        "camera_path": [
            {
                "camera_to_world": view.T_world_camera.reshape(-1).tolist(),
                "fov": view.fov_y_deg,
                "aspect": aspect,
            }
            for view in views
        ],
    }


def _in_small_steps(path: CameraPath) -> CameraPath:
    """With keyframes in between where the camera turns about a pivot, which a spline through few
    of them would not do."""
    if path.pivot is None or len(path.keyframes) == 1:
        return path
    parts = min(_PARTS_OF_TURN, limits.KEYFRAMES // len(path.keyframes))
    ends = [*path.key_seconds, path.seconds] if path.loop else [*path.key_seconds]
    steps = [np.linspace(start, end, parts, endpoint=False) for start, end in pairwise(ends)]
    times = np.concatenate([*steps, [] if path.loop else ends[-1:]])
    transitions_s = [path.keyframes[0].transition_s / parts, *np.diff(times)]
    views = [path.at(float(second)) for second in times]
    keys = [
        Keyframe(view.T_world_camera, view.fov_y_deg, float(seconds))
        for view, seconds in zip(views, transitions_s, strict=True)
    ]
    # Smooth: a path that stops at its keyframes would stop at these as well.
    return replace(path, keyframes=tuple(keys), pivot=None, tension=0.0)
