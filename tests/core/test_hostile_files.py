"""Whatever file is opened: pipes, folders, loops, endless and enormous files end in an error that
names the file, at once and without much memory; damaged ones are refused or sound."""

from __future__ import annotations

import json
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.files import load_camera_path, save_camera_path
from r2l_core.checkpoints.opening import load_checkpoint
from r2l_core.datasets import open_dataset
from r2l_core.errors import R2LError, SceneError
from r2l_core.geometry.camera import load_pose
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS, SceneSpec, load_scene
from r2l_core.quantization.recipes import load_mix, load_ranges
from r2l_core.recording.loading import load_sidecar
from tests.core.released_files import arguments, checkpoint, file_bytes, student
from tests.fuzz.mutations import damaged_json

pytestmark = pytest.mark.slow

POSE = Orbit(30.0, 20.0, 4.0).T_world_camera().tolist()
RANGES = {"body.0.body.0.input_quantizer._amax": torch.tensor(1.0)}
OPENERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "native": ("x.safetensors", lambda path: load_checkpoint(str(path))),
    "released": ("x.tar", lambda path: load_checkpoint(str(path))),
    "scene": ("x.json", lambda path: load_scene(str(path))),
    "pose": ("x.json", load_pose),
    "path": ("x.json", load_camera_path),
    "sidecar": ("x.json", load_sidecar),
    "mix": ("x.json", load_mix),
    "ranges": ("x.safetensors", load_ranges),
    "torch-ranges": ("x.pth", load_ranges),
    "dataset": ("scene", open_dataset),
}
FUZZ = settings(
    max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def refusal(opened: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(R2LError) as caught:
        opened(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert len(text) < 2000
    return text


def opened_or_refused(opened: Callable[[Path], object], path: Path) -> object:
    """What it holds; None where an error says what is wrong with it."""
    text = str(path)
    try:
        found = opened(path)
    except R2LError as error:
        found, text = None, str(error)
    assert str(path) in text
    assert "\n" not in text
    return found


@contextmanager
def little_memory(most_mb: int = 300) -> Iterator[None]:
    """No more than that is added to what was there before, at any time."""
    if not sys.platform.startswith("linux"):
        yield
        return

    def field(name: str) -> int:
        status = Path("/proc/self/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status)[1]) // 1024

    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the peak of memory cannot be set back here")
    before = field("VmRSS")
    yield
    assert field("VmHWM") - before < most_mb


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize(("name", "opened"), OPENERS.values(), ids=OPENERS)
def test_pipes_do_not_make_it_wait(tmp_path, name, opened):
    os.mkfifo(tmp_path / name)
    refusal(opened, tmp_path / name)


@pytest.mark.parametrize(("name", "opened"), OPENERS.values(), ids=OPENERS)
def test_folders_loops_and_nothing_at_all(tmp_path, name, opened):
    refusal(opened, tmp_path / name)
    (tmp_path / name).symlink_to(tmp_path / name)
    refusal(opened, tmp_path / name)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    refusal(opened, tmp_path / name)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no endless file here")
@pytest.mark.parametrize(("name", "opened"), OPENERS.values(), ids=OPENERS)
def test_endless_files(tmp_path, name, opened):
    (tmp_path / name).symlink_to("/dev/zero")
    with little_memory():
        refusal(opened, tmp_path / name)


def enormous(path: Path, begins: bytes, size: int = 1_000_000_000) -> Path:
    """A file that takes no space on disk."""
    with path.open("wb") as file:
        file.write(begins)
        file.truncate(size)
    return path


def framed(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


def promising(entries: dict, **metadata: str) -> bytes:
    return framed(json.dumps({"__metadata__": metadata, **entries}).encode())


def entry(numel: int) -> dict:
    return {"dtype": "F32", "shape": [numel], "data_offsets": [0, 4 * numel]}


NETWORK = (
    '{"depth": 4, "width": 4, "n_sample": 2, "n_frequencies": 1, "res_scale": 1.0, '
    '"use_residual": true}'
)
A_LIGHT_FIELD = {"format": "r2l-light-field", "version": "1", "network": NETWORK, "scene": "{}"}
LARGE = 240_000_000
ENORMOUS = {
    "spaces": (framed(b"{" + b" " * 100), "native"),
    "a-header-of-all": (struct.pack("<Q", 900_000_000) + b"{", "native"),
    "something-else": (promising({"w": entry(LARGE)}), "native"),
    "far-too-many-numbers": (
        promising({str(k): entry(LARGE if k == 7 else 1) for k in range(8)}, **A_LIGHT_FIELD),
        "native",
    ),
    "too-many-tensors": (
        promising({str(k): entry(LARGE) for k in range(60)}, **A_LIGHT_FIELD),
        "native",
    ),
    "a-range": (promising({"a.input_quantizer._amax": entry(LARGE)}), "ranges"),
    "pickle": (b"\x80\x02", "released"),
    "torch": (
        # Only when it is asked for: an optimiser's first step takes a second.
        lambda: file_bytes(checkpoint(student(arguments(netwidth=4, netdepth=4))), legacy=True),
        "released",
    ),
    "json": (b'{"near": [', "scene"),
    "path": (b'{"keyframes": ', "path"),
}


@pytest.mark.parametrize(("begins", "kind"), ENORMOUS.values(), ids=ENORMOUS)
def test_enormous_files(tmp_path, begins, kind):
    name, opened = OPENERS[kind]
    path = enormous(tmp_path / name, begins() if callable(begins) else begins)
    with little_memory():
        refusal(opened, path)


@pytest.mark.parametrize("shape", [(10_000, 12_000), (1, 120_000_000), (7_000_000, 17)])
def test_enormous_tables_of_poses(tmp_path, shape):
    (tmp_path / "images").mkdir()
    path = tmp_path / "poses_bounds.npy"
    np.save(path, np.zeros((1, 17)))
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(1_000_000_000)
    with little_memory(100):
        text = refusal(lambda path: open_dataset(path.parent), path)
    assert f"it is {shape[0]}x{shape[1]}" in text


def test_a_range_for_every_ray_is_none(tmp_path):
    path = tmp_path / "r.pth"
    torch.save({"body.0.body.0.input_quantizer._amax": torch.zeros(70_000)}, path)
    assert "70000 values" in refusal(load_ranges, path)


@pytest.mark.parametrize("mix", [{"body.0": "int9"}, {"b" * 9000: 3}, {"body.0": ["fp32"]}])
def test_entries_of_a_mix_are_named(tmp_path, mix):
    path = tmp_path / "mix.json"
    path.write_text(json.dumps(mix))
    assert f"entry '{next(iter(mix))[:80]}' is not int8 or fp32" in refusal(load_mix, path)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"near": "2"}, "near is not a number"),
        ({"near": True}, "near is not a number"),
        ({"far": 1e300}, "far holds 1e+300"),
        ({"bound_radius": 10**400}, "bound_radius"),
        ({"center": [0, 0]}, "center is not three numbers"),
        ({"center": [0, 0, None]}, "center is not a number"),
        ({"background_rgb": "white"}, "background_rgb is not three numbers"),
        ({"width_px": 400.5}, "width_px is not a whole number"),
        ({"nerf_ndc": 1}, "nerf_ndc is neither true nor false"),
        ({"teacher": 1}, "teacher is not a text"),
        ({"name": [[]]}, "name is not a text"),
        ({"name": "x" * 2000}, "name is not a text of up to"),
        ({"origin_radius": 1}, "origin_radius 1 is not beyond bound_radius 2"),
        ({"x" * 5000: 1}, "unknown entry 'xxx"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_entries_of_a_scene_are_named(tmp_path, changed, named):
    path = tmp_path / "scene.json"
    path.write_text(json.dumps(changed))
    assert named in refusal(lambda path: load_scene(str(path)), path)


def test_numbers_of_a_pose_are_named(tmp_path):
    path = tmp_path / "pose.json"
    for value, named in (("1", "is not a number"), (1e10, "is beyond"), (True, "is not a number")):
        rows = [list(row) for row in POSE]
        rows[1][3] = value
        path.write_text(json.dumps(rows))
        assert f"row 1, column 3 {named}" in refusal(load_pose, path)


# --- anything in the place of anything -----------------------------------------------------------

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**330), 10**330)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.sampled_from(["", "x", "\0", "\n", "int8", "fp32", "../x", 1e-300, 1e38, -1, 0, 1])
)
anything = leaves | st.lists(leaves, max_size=4) | st.dictionaries(st.text(max_size=4), leaves)


@pytest.mark.parametrize("kind", ["scene", "pose", "path", "mix"])
def test_any_damaged_json_is_refused_or_sound(tmp_path, kind):
    path = tmp_path / "x.json"
    if kind == "scene":
        whole = json.loads(PRESETS["llff:fern"].to_json())
    elif kind == "path":
        keys = tuple(Keyframe(np.array(POSE), 40.0) for _ in range(2))
        save_camera_path(CameraPath(keys), path)
        whole = json.loads(path.read_text())
    else:
        whole = POSE if kind == "pose" else {"body.0.body.0": "fp32", "body.1.body.2": "int8"}

    @FUZZ
    @given(st.data())
    def check(data):
        path.write_text(json.dumps(damaged_json(whole, data.draw, anything)))
        found = opened_or_refused(OPENERS[kind][1], path)
        if isinstance(found, SceneSpec):
            assert 0 <= found.near < found.far <= 1e9
            assert np.isfinite(found.home_camera().T_world_camera).all()
        elif isinstance(found, CameraPath):
            assert np.isfinite(found.at(0.5).T_world_camera).all()
        elif isinstance(found, np.ndarray):
            assert np.isfinite(found).all()
        elif isinstance(found, dict):
            assert set(found.values()) <= {"int8", "fp32"}

    check()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_any_damaged_ranges_are_refused_or_sound(tmp_path, suffix):
    path = tmp_path / f"r{suffix}"
    path.write_bytes(save(RANGES))
    if suffix == ".pth":
        torch.save(RANGES, path)
    whole = path.read_bytes()

    @FUZZ
    @given(
        place=st.integers(0, len(whole) - 1),
        bytes_=st.binary(min_size=1, max_size=9),
        length=st.none() | st.integers(0, len(whole)),
    )
    def check(place, bytes_, length):
        data = bytearray(whole)
        data[place : place + len(bytes_)] = bytes_
        path.write_bytes(bytes(data[:length]))
        found = opened_or_refused(load_ranges, path) or {}
        assert all(np.isfinite(one.input_amax) for one in found.values())

    check()


def test_scenes_of_headers_may_hold_what_json_files_may_not():
    """Such texts are read by another reader, which knows NaN."""
    for name in ("near", "width_px", "origin_radius"):
        with pytest.raises(SceneError, match=name):
            SceneSpec.from_mapping({name: float("nan")})
