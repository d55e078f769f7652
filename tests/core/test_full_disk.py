"""Where no more can be written, there is an error of ours, and the old file is whole.

A limit on the size of files stands for a full disk: both end a write half way. It holds for a
process of its own, in which one thing after the other is written over an older one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no such limit here"),
]

ROOT = Path(__file__).parents[2]
_SCRIPT = """
import json, resource, sys
from pathlib import Path
import numpy as np
import torch
from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.files import save_camera_path
from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.commands.cli import main
from r2l_core.errors import R2LError
from r2l_core.files import save_image, save_video, write_json, write_text
from r2l_core.geometry.orbit import Orbit
from r2l_core.quantization.recipes import save_mix

folder, field = Path(sys.argv[1]), sys.argv[2]
noise = np.random.default_rng(0).random((96, 96, 3)).astype(np.float32)
frames = [(255 * noise).astype(np.uint8)] * 4
keys = tuple(Keyframe(Orbit(float(k), 20.0, 4.0).T_world_camera(), 40.0) for k in range(99))
light_field = load_light_field(field)
render = ["--azimuth", "1", "--elevation", "2", "--radius", "4", "--engine", "reference"]
render += ["--checkpoint", field, "--size", "48"]
film = ["record", "--checkpoint", field, "--seconds", "1", "--fps", "8", "--size", "96"]
film += ["--engine", "reference", "--precision", "fp32"]

def command(*words):
    def run(path):
        code = main([*map(str, words), str(path)])
        if code:
            raise R2LError("exit", str(code))
    return run

WRITERS = {
    "x.npy": lambda path: save_image(path, noise),
    "x.png": lambda path: save_image(path, noise),
    "x.json": lambda path: write_json(path, {"numbers": list(range(2000))}),
    "x.html": lambda path: write_text(path, "x" * 9000),
    "x.mp4": lambda path: save_video(path, frames, 8.0),
    "x.safetensors": lambda path: save_light_field(light_field, path),
    "path.json": lambda path: save_camera_path(CameraPath(keys), path),
    "mix.json": lambda path: save_mix(path, {f"body.{k}.body.0": "fp32" for k in range(400)}),
    "shot.npy": command("render", *render, "--out"),
    "shot.png": command("render", *render, "--out"),
    "quantized.safetensors": command(
        "quantize", "--checkpoint", field, "--recipe", "weights-bf16", "--out"
    ),
    "film.mp4": command(*film, "--out"),
    "film.gif": command(*film, "--out"),
    "film.webm": command(*film, "--out"),
    "made.safetensors": command(
        "distill", "--scene", "demo", "--minutes", "0.02", "--device", "cpu", "--depth", "4",
        "--width", "32", "--out",
    ),
}
found = {}
for name, write in WRITERS.items():
    path = folder / name
    path.write_bytes(b"old")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    try:
        write(path)
        said = "written"
    except R2LError:
        said = "refused"
    except BaseException as error:
        said = repr(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    left = [one.name for one in folder.iterdir() if ".tmp" in one.name]
    old = path.exists() and path.read_bytes() == b"old"
    found[name] = [said, old, left]
print("FOUND" + json.dumps(found))
"""


def test_the_old_file_is_whole(light_field_file, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, out, light_field_file],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert "FOUND" in done.stdout, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads(done.stdout.rpartition("FOUND")[2])
    assert len(found) > 10
    assert {name: one for name, one in found.items() if one != ["refused", True, []]} == {}
