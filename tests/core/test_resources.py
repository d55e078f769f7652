"""Opening the worst file of each kind, up to 16 MB, takes less than a gibibyte.

Each is opened in a process of its own, with all that is loaded for it, as the window or a command
would: decoded, its engine chosen, its path sampled. Its time is that of the processor, with much
room: what used to be wrong took minutes.
"""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from r2l_core import limits
from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.files import save_camera_path
from r2l_core.checkpoints.opening import save_light_field
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig
from tests.core.test_limits import legacy

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LARGEST_BYTES = 16 * 10**6
MOST_MB = 1024
MOST_SECONDS = 30
SIDE = 4096
POSE = Orbit(30.0, 20.0, 4.0).T_world_camera().tolist()

_BEGIN = """
import re, sys, time, torch
torch.set_num_threads(1)
from r2l_core.errors import R2LError
def opened(path):
"""
_END = """
try:
    opened(sys.argv[1])
except R2LError as error:
    print(error, file=sys.stderr)
# Not the peak of getrusage, which begins with that of the process that has started this one.
peak_kb = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(int(peak_kb) / 1024, time.process_time())
"""
IMAGE = """
    from r2l_core.datasets import open_dataset
    dataset = open_dataset(path, "train")
    dataset.image(0), dataset.counted(0), dataset.thumbnail(0, 128)
"""
DATASET = """
    from r2l_core.datasets import open_dataset
    open_dataset(path, "train")
"""
LIGHT_FIELD = """
    from r2l_core.checkpoints.opening import load_light_field
    from r2l_core.engines.building import build_engine
    from r2l_core.engines.faithful import default_precision
    from r2l_core.render.sources import NetworkSource
    light_field = load_light_field(path)
    engine = build_engine(light_field, default_precision(light_field))
    NetworkSource(engine, light_field.scene, light_field.ray_mode(), True).warm_up()
"""
PATH = """
    from pathlib import Path
    from r2l_core.camera_paths.files import load_camera_path
    found = load_camera_path(Path(path))
    [found.at(found.seconds * k / 100) for k in range(100)]
"""
JSON = """
    from pathlib import Path
    from r2l_core.geometry.camera import load_pose
    from r2l_core.geometry.scene import load_scene
    from r2l_core.quantization.recipes import load_mix
    from r2l_core.recording.loading import load_sidecar
    from viewer.state.session import load_session
    for read in (lambda one: load_scene(str(one)), load_pose, load_mix, load_sidecar, load_session):
        try:
            read(Path(path))
        except R2LError:
            pass
"""


def photograph(folder: Path, mode: str, ending: str, **lens: float) -> Path:
    """As many pixels as are opened, of a picture with something in it."""
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    (folder / "train").mkdir(parents=True)
    options = {"compress_level": 1} if ending == "png" else {"quality": 60}
    picture.convert("RGB").convert(mode).save(folder / f"train/0.{ending}", **options)
    frame = {"file_path": f"train/0.{ending}", "transform_matrix": POSE}
    if lens:
        picture.convert("L").save(folder / "train/mask.png", compress_level=1)
        frame["mask_path"] = "train/mask.png"
    text = json.dumps({"camera_angle_x": 0.7, **lens, "frames": [frame]})
    (folder / "transforms_train.json").write_text(text)
    return folder


def poses(folder: Path) -> Path:
    folder.mkdir()
    frame = {"file_path": "train/there_is_no_such_picture_0", "transform_matrix": POSE}
    values = {"camera_angle_x": 0.7, "w": SIDE, "h": SIDE, "frames": [frame] * limits.VIEWS}
    (folder / "transforms_train.json").write_text(json.dumps(values))
    return folder


def table(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    np.save(folder / "poses_bounds.npy", np.tile(np.arange(1.0, 18.0), (limits.VIEWS, 1)))
    return folder


def network(path: Path, **config: int) -> Path:
    """A light field of a scene as large as may be."""
    described = NetworkConfig(**config, res_scale=1.0, use_residual=True)
    tensors = {name: torch.randn(shape) * 0.02 for name, shape in described.tensor_shapes().items()}
    scene = SceneSpec("worst", width_px=SIDE, height_px=SIDE)
    save_light_field(LightField("worst", described, scene, tensors), path)
    return path


def many_names(path: Path) -> Path:
    """A header of as many tensors as are read, and as long as may be."""
    n = limits.TENSORS
    name = "x" * (limits.HEADER_BYTES // n - 80)
    entries = {
        f"{name}{k}": {"dtype": "U8", "shape": [1], "data_offsets": [k, k + 1]} for k in range(n)
    }
    text = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(n))
    return path


def many_values(path: Path) -> Path:
    """A pickle of as many opcodes as are read, each of which makes a container."""
    body = b"\x80\x02](" + b"]" * (limits.PICKLE_OPCODES - 1000) + b"e."
    path.write_bytes(legacy(body, pickle.dumps([], 2)) + bytes(15 * 10**6))
    return path


def keyframes(path: Path) -> Path:
    keys = tuple(
        Keyframe(Orbit(float(k % 360), 20.0, 4.0).T_world_camera(), 40.0)
        for k in range(limits.KEYFRAMES)
    )
    save_camera_path(CameraPath(keys), path)
    return path


def small_lists(path: Path) -> Path:
    """What takes the most memory for its length."""
    path.write_text("[" + "[]," * (limits.JSON_BYTES // 3 - 2) + "0]")
    return path


def unlike_keys(path: Path) -> Path:
    keys = ",".join(f'"{k}":{{}}' for k in range(limits.JSON_BYTES // 13))
    path.write_text("{" + keys + "}")
    return path


KINDS: dict[str, tuple[str, str, Callable[[Path], Path]]] = {
    "webp": ("set", IMAGE, lambda path: photograph(path, "RGBA", "webp")),
    "lens and mask": ("set", IMAGE, lambda path: photograph(path, "RGB", "jpg", k1=-0.1, p1=0.01)),
    "poses": ("set", DATASET, poses),
    "table": ("set", DATASET, table),
    "wide": (
        "x.safetensors",
        LIGHT_FIELD,
        lambda path: network(path, depth=2, width=limits.WIDTH, n_sample=15, n_frequencies=10),
    ),
    "features": (
        "x.safetensors",
        LIGHT_FIELD,
        lambda path: network(
            path, depth=limits.DEPTH, width=1, n_sample=limits.RAY_FEATURES // 3, n_frequencies=0
        ),
    ),
    "header": ("x.safetensors", LIGHT_FIELD, many_names),
    "pickle": ("x.tar", LIGHT_FIELD, many_values),
    "keyframes": ("x.json", PATH, keyframes),
    "lists": ("x.json", JSON, small_lists),
    "keys": ("x.json", JSON, unlike_keys),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is counted otherwise here")
@pytest.mark.parametrize(("name", "opening", "make"), KINDS.values(), ids=KINDS)
def test_the_worst_of_a_kind(tmp_path, monkeypatch, name, opening, make):
    torch.manual_seed(0)
    path = make(tmp_path / name)
    files = [one for one in (path, *path.rglob("*")) if one.is_file()]
    assert max(one.stat().st_size for one in files) <= LARGEST_BYTES
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + opening + _END, path],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    peak_mb, seconds = map(float, done.stdout.split())
    assert peak_mb < MOST_MB, done.stderr
    assert seconds < MOST_SECONDS, done.stderr
