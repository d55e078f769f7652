"""Every format that is opened: a sound file of it, how it is damaged, and what opens it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.files import load_camera_path, save_camera_path, save_nerfstudio
from r2l_core.checkpoints.opening import load_checkpoint, save_light_field
from r2l_core.checkpoints.unpacking import unpack
from r2l_core.datasets import open_dataset
from r2l_core.errors import R2LError
from r2l_core.geometry.camera import load_pose
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import SceneSpec, load_scene
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig
from r2l_core.quantization.recipes import load_mix, load_ranges
from r2l_core.recording.loading import load_sidecar
from tests.core.released_files import arguments, checkpoint, file_bytes, student
from tests.fuzz.mutations import (
    Mutation,
    damaged,
    json_file,
    npy_file,
    safetensors_file,
    zip_file,
)
from viewer.state.session import load_session

MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class Format:
    """`name`: of the damaged file, in a folder that `write` has filled."""

    name: str
    write: Callable[[Path], None]
    mutation: Mutation
    opened: Callable[[Path], object]


def pose(step: int) -> np.ndarray:
    return Orbit(40.0 * step, 20.0, 4.0).T_world_camera()


def _light_field() -> LightField:
    config = NetworkConfig(depth=4, width=8, n_sample=4, n_frequencies=2)
    torch.manual_seed(3)
    tensors = {name: torch.randn(shape) for name, shape in config.tensor_shapes().items()}
    return LightField("sound", config, SceneSpec("sound", width_px=16, height_px=12), tensors)


def _native(folder: Path) -> None:
    save_light_field(_light_field(), folder / "x.safetensors")


def _quantised(folder: Path) -> None:
    from r2l_core.quantization.recipes import quantized

    save_light_field(quantized(_light_field(), "int8"), folder / "x.safetensors")


@cache
def _torch_bytes(legacy: bool) -> bytes:
    return file_bytes(checkpoint(student(arguments())), legacy=legacy)


def _torch(legacy: bool) -> Callable[[Path], None]:
    return lambda folder: _put(folder / "x.tar", _torch_bytes(legacy))


def _put(path: Path, content: bytes | str | object) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _path() -> CameraPath:
    return CameraPath(tuple(Keyframe(pose(k), 40.0 + k, 1.0 + k, wipe=0.5) for k in range(3)))


def _pictures(folder: Path, names: list[str]) -> None:
    for at, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((12, 16, 3), 20 * at, np.uint8)).save(path)


def _transforms(folder: Path) -> None:
    names = [f"images/{k}.png" for k in range(9)]
    _pictures(folder, names)
    Image.fromarray(np.eye(12, 16, dtype=np.uint8) * 255).save(folder / "m.png")
    frames = [
        {"file_path": name, "transform_matrix": pose(k).tolist(), "mask_path": "m.png", "w": 16}
        for k, name in enumerate(names)
    ]
    lens = {"fl_x": 20.0, "fl_y": 22.0, "cx": 8.5, "cy": 6.0, "h": 12, "k1": 0.1, "p1": 0.01}
    shared = {**lens, "camera_model": "OPENCV", "train_filenames": names, "test_filenames": names}
    _put(folder / "transforms.json", {**shared, "frames": frames})


def _blender(folder: Path) -> None:
    _pictures(folder, [f"test/{k}.png" for k in range(3)])
    frames = [{"file_path": f"./test/{k}", "transform_matrix": pose(k).tolist()} for k in range(3)]
    _put(folder / "transforms_test.json", {"camera_angle_x": 0.7, "frames": frames})


def _llff(folder: Path) -> None:
    _pictures(folder, [f"images_8/{k}.png" for k in range(9)])
    rows = []
    for k in range(9):
        at = np.array([0.2 * np.cos(k), 0.2 * np.sin(k), 0.0])
        matrix = np.stack([(0, -1, 0), (1, 0, 0), (0, 0, 1), at, (96, 128, 160.0)], 1)
        rows.append([*matrix.reshape(-1), 2.0 + 0.1 * k, 9.0])
    np.save(folder / "poses_bounds.npy", np.array(rows, dtype=np.float64))


def _deepvoxels(folder: Path) -> None:
    _pictures(folder, ["rgb/000.png"])
    _put(folder / "intrinsics.txt", b"60 8 6 0.\n0 0 0\n1.\n1.\n12 16\n0\n")
    _put(folder / "pose/000.txt", " ".join(map(str, pose(1).reshape(-1))).encode())


def _picture(folder: Path) -> None:
    _blender(folder)


def _sidecar(folder: Path) -> None:
    values = {
        "format": "r2l-recording", "version": 1, "video": "x.mp4", "state": "aborted",
        "frames_done": 1, "frames_total": 10, "mode": "side", "precisions": ["fp32", "int8"],
        "pane_px": [16, 12], "path_s": 1.0, "fps": 10.0, "labels": "live", "gain": 8.0,
        "title": "A", "rays": "plain", "checkpoint": {"path": "demo", "sha256": "0" * 64},
        "scene": json.loads(SceneSpec("s").to_json()), "engines": [], "layers": {},
        "camera_path": _own_path(), "assumed": {"n_sample": 16}, "rest_starts_at": 1,
    }  # fmt: skip
    _put(folder / "x.json", values)


def _own_path() -> object:
    from r2l_core.camera_paths.files import camera_path_values

    return camera_path_values(_path())


def _session(folder: Path) -> None:
    view = {"azimuth_deg": 35.0, "elevation_deg": 30.0, "radius": 4.0, "pivot": [0.0, 0.0, 0.0],
            "fov_x_deg": 39.6}  # fmt: skip
    values = {
        "format": "r2l-session", "version": 1, "checkpoint": "demo", "sha256": "0" * 64,
        "scene": json.loads(SceneSpec("s").to_json()), "assumed": ["n_sample=16"],
        "precision": "int8", "engine": "auto", "device": "auto", "rays": "auto",
        "layers_in_fp32": ["body.0.body.0"], "render_size_px": [40, 30], "camera": view,
        "bookmarks": {"1": view}, "camera_path": _own_path(),
        "panes": [{"source": "bf16", "engine": "auto", "checkpoint": None, "sha256": None}],
        "active_pane": 0, "mode": "Wipe", "dataset": {"path": "chair", "split": "test"},
        "difference": {"kind": "absolute", "gain": 16.0, "locked": False},
    }  # fmt: skip
    _put(folder / "x.json", values)


def _json(values: object) -> Callable[[Path], None]:
    return lambda folder: _put(folder / "x.json", values)


def _archive(folder: Path) -> None:
    import zipfile

    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("Models/lego.tar", b"weights" * 100)
        archive.writestr("Models/sub/ship.tar", b"more")


def _blend(path: Path) -> object:
    dataset = open_dataset(path.parent)
    return [(dataset.image(at), dataset.counted(at)) for at in range(len(dataset))][:1]


def _voxels(path: Path) -> object:
    return open_dataset(path.parent, "train").image(0)


def _picture_of(path: Path) -> object:
    dataset = open_dataset(path.parent.parent)
    return dataset.image(0), dataset.thumbnail(0, 8)


INSTANT_NGP = {
    "loop": True,
    "time": 0.0,
    "path": [{"R": [0, 0, 0, 1], "T": [0.5, 0.5, 0.5], "fov": 50.6, "scale": 1.5}] * 3,
}
OLD = {
    "keyframes": [
        {
            "matrix": json.dumps(pose(k).T.reshape(-1).tolist()),
            "fov": 50,
            "properties": json.dumps([["FOV", 50], ["TIME", k / 2]]),
        }
        for k in range(3)
    ],
    "camera_type": "perspective",
    "fps": 24,
    "seconds": 4,
    "smoothness_value": 0.5,
}
RANGES = {
    f"body.{k}.body.0.{kind}_quantizer._amax": torch.tensor([1.0] * (1 if kind == "input" else 8))
    for k in range(2)
    for kind in ("input", "weight")
}

FORMATS = {
    "native": Format("x.safetensors", _native, safetensors_file, lambda p: load_checkpoint(str(p))),
    "quantised": Format(
        "x.safetensors", _quantised, safetensors_file, lambda p: load_checkpoint(str(p))
    ),
    "released": Format("x.tar", _torch(False), zip_file, lambda p: load_checkpoint(str(p))),
    "legacy": Format("x.tar", _torch(True), damaged, lambda p: load_checkpoint(str(p))),
    "ranges": Format(
        "x.safetensors", lambda f: _put(f / "x.safetensors", save(RANGES)), safetensors_file,
        load_ranges,
    ),
    "scene": Format(
        "x.json", _json(json.loads(SceneSpec("s").to_json())), json_file,
        lambda p: load_scene(str(p)),
    ),
    "pose": Format("x.json", _json(pose(1).tolist()), json_file, load_pose),
    "path": Format(
        "x.json", lambda f: save_camera_path(_path(), f / "x.json"), json_file, load_camera_path
    ),
    "nerfstudio": Format(
        "x.json", lambda f: save_nerfstudio(_path(), f / "x.json", 16, 12, 2.0), json_file,
        load_camera_path,
    ),
    "nerfstudio-old": Format("x.json", _json(OLD), json_file, load_camera_path),
    "instant-ngp": Format("x.json", _json(INSTANT_NGP), json_file, load_camera_path),
    "mix": Format("x.json", _json({"body.0.body.0": "fp32"}), json_file, load_mix),
    "sidecar": Format("x.json", _sidecar, json_file, load_sidecar),
    "session": Format("x.json", _session, json_file, load_session),
    "transforms": Format("transforms.json", _transforms, json_file, _blend),
    "blender": Format("transforms_test.json", _blender, json_file, _blend),
    "llff": Format("poses_bounds.npy", _llff, npy_file, _blend),
    "deepvoxels": Format("intrinsics.txt", _deepvoxels, damaged, _voxels),
    "picture": Format("test/0.png", _picture, damaged, _picture_of),
    "mask": Format("m.png", _transforms, damaged, _blend),
    "archive": Format("x.zip", _archive, zip_file, lambda p: unpack(p, p.with_name("to"))),
}  # fmt: skip


def try_one(format_name: str, random: Random) -> bool:
    """Damage a sound file and open it: whether it opened. Anything but an error of ours, in one
    clean paragraph, raises."""
    form = FORMATS[format_name]
    with TemporaryDirectory() as name:
        folder = Path(name) / "f"
        folder.mkdir()
        form.write(folder)
        file = folder / form.name
        # Archives with doubled names warn while they are written.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            file.write_bytes(form.mutation(file.read_bytes(), random))
        try:
            form.opened(file)
        except R2LError as error:
            said = str(error)
            assert said.isprintable(), said
            assert len(said) <= MOST_CHARACTERS, said[:500]
            return False
        return True
