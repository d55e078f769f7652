"""What a file or folder is, so that whatever is dropped or named opens as that."""

from __future__ import annotations

from enum import Enum, auto
from pathlib import Path
from typing import Any

from r2l_core.camera_paths.files import FORMAT as CAMERA_PATH_FORMAT
from r2l_core.errors import R2LError
from r2l_core.geometry.scene_entries import READ as SCENE_ENTRIES
from r2l_core.json_fields import read_json
from r2l_core.recording.sidecar import FORMAT as RECORDING_FORMAT
from viewer.state.session import FORMAT as SESSION_FORMAT

_FILMS = (".mp4", ".webm", ".gif")


class Kind(Enum):
    """What can be opened."""

    LIGHT_FIELD = auto()
    DATASET = auto()
    CAMERA_PATH = auto()
    SESSION = auto()
    RECORDING = auto()
    MIX = auto()
    SCENE = auto()


_FORMATS = {
    SESSION_FORMAT: Kind.SESSION,
    RECORDING_FORMAT: Kind.RECORDING,
    CAMERA_PATH_FORMAT: Kind.CAMERA_PATH,
}


def what_is(path: Path) -> tuple[Kind, Path]:
    """What `path` is, and the file or folder to open as that: a dataset's folder for a file in it,
    a film's sidecar for the film. What is nothing else counts as a light field, whose errors say
    what it is."""
    try:
        if path.suffix.lower() in _FILMS and path.with_suffix(".json").is_file():
            return Kind.RECORDING, path.with_suffix(".json")
        if path.suffix.lower() == ".json" and path.is_file():
            kind = _described(path)
            if kind is not None:
                return kind, path
        if path.is_dir():
            return Kind.DATASET, path
        from r2l_core.datasets import dataset_around  # takes a moment to load

        folder = dataset_around(path)
        if folder is not None and path.suffix.lower() not in (".safetensors", ".tar"):
            return Kind.DATASET, folder
    except (OSError, ValueError):  # names no file system takes
        pass
    return Kind.LIGHT_FIELD, path


def _described(path: Path) -> Kind | None:
    """What a JSON text says it is; None for what a dataset's folder says better."""
    try:
        values: Any = read_json(path, "", R2LError, "")
    except R2LError:
        return None
    if not isinstance(values, dict):
        return None
    said = values.get("format")
    if isinstance(said, str) and said in _FORMATS:
        return _FORMATS[said]
    path_of_cameras = isinstance(values.get("path"), list)
    if "keyframes" in values or "camera_path" in values or path_of_cameras:
        return Kind.CAMERA_PATH
    if values and all(isinstance(one, str) and one in ("int8", "fp32") for one in values.values()):
        return Kind.MIX
    if values and set(values) <= set(SCENE_ENTRIES):
        return Kind.SCENE
    return None
