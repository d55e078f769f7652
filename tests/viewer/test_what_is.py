"""Whatever is dropped on the window, or named to the program, opens as what it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.files import save_camera_path, save_nerfstudio
from r2l_core.geometry.orbit import Orbit
from r2l_core.types import Precision
from tests.viewer.find import drop
from viewer.__main__ import parser as viewer_parser
from viewer.run import run
from viewer.state.what_is import Kind, what_is

POSES = [Orbit(40.0 * k, 20.0, 4.0).T_world_camera() for k in range(3)]
PATH = CameraPath(tuple(Keyframe(pose, 40.0) for pose in POSES))


def put(path: Path, values: object) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_everything_is_told_apart(tmp_path, folder, write_light_field, write_released):
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    save_camera_path(PATH, ours)
    save_nerfstudio(PATH, theirs, 64, 48, 10.0)
    camera = {"R": [0, 0, 0, 1], "T": [0, 0, 0], "fov": 50}
    (tmp_path / "film.mp4").write_bytes(b"film")
    expected = {
        Path(write_light_field()): Kind.LIGHT_FIELD,
        Path(write_released("lego")): Kind.LIGHT_FIELD,
        tmp_path / "nothing": Kind.LIGHT_FIELD,
        folder: Kind.DATASET,
        folder / "transforms_test.json": Kind.DATASET,
        folder / "test" / "r_0.png": Kind.DATASET,
        ours: Kind.CAMERA_PATH,
        theirs: Kind.CAMERA_PATH,
        put(tmp_path / "base_cam.json", {"path": [camera]}): Kind.CAMERA_PATH,
        put(tmp_path / "session.json", {"format": "r2l-session"}): Kind.SESSION,
        put(tmp_path / "film.json", {"format": "r2l-recording"}): Kind.RECORDING,
        tmp_path / "film.mp4": Kind.RECORDING,
        put(tmp_path / "mix.json", {"body.0.body.0": "fp32"}): Kind.MIX,
        put(tmp_path / "scene.json", {"near": 2, "far": 6}): Kind.SCENE,
        put(tmp_path / "list.json", [1, 2]): Kind.LIGHT_FIELD,
        put(tmp_path / "odd.json", {"format": ["r2l-session"]}): Kind.LIGHT_FIELD,
    }
    assert {path: what_is(path)[0] for path in expected} == expected
    assert what_is(folder / "test" / "r_0.png")[1] == folder
    assert what_is(tmp_path / "film.mp4")[1] == tmp_path / "film.json"


@pytest.mark.parametrize("name", [".", "transforms_test.json", "test/r_1.png"])
def test_a_dropped_dataset_or_file_of_one(app, until, folder, name):
    drop(app, folder / name)
    until(lambda: app.dataset.dataset is not None)
    assert app.dataset.dataset.name == "toys"


def test_a_dropped_camera_path(app, until, tmp_path):
    save_camera_path(PATH, tmp_path / "path.json")
    drop(app, tmp_path / "path.json")
    until(lambda: app.camera_path.editor.path is not None)
    keys = app.camera_path.editor.path.keyframes
    np.testing.assert_allclose(keys[2].T_world_camera, POSES[2])


def test_a_dropped_session(app, until, tmp_path):
    session = tmp_path / "s.json"
    app.sessions.save(str(session))
    values = json.loads(session.read_text())
    put(session, {**values, "render_size_px": [20, 10]})
    drop(app, session)
    until(lambda: app.camera.camera().width_px == 20)


def test_a_dropped_scene(app, until, tmp_path):
    drop(app, put(tmp_path / "scene.json", {"near": 1.5, "far": 7.5}))
    until(lambda: app.rendering.running.scene.near == 1.5)


def test_a_dropped_mix(app, until, tmp_path, capsys):
    mix = put(tmp_path / "mix.json", {"body.0.body.0": "fp32", "body.0.body.2": "int8"})
    drop(app, mix)
    until(lambda: app.has_failed)
    assert "no pane runs its layers in eight bits" in capsys.readouterr().err
    app.compare.choose_precision(Precision.INT8)
    until(lambda: app.rendering.running.engine.precision is Precision.INT8)
    drop(app, mix)
    until(lambda: app.store.state.panes[0].layers_in_fp32 == {"body.0.body.0"})


def test_what_is_nothing_says_so(app, until, tmp_path, capsys):
    drop(app, put(tmp_path / "odd.json", {"a": 1}))
    until(lambda: app.has_failed)
    assert "a JSON text and holds no weights" in capsys.readouterr().err


def test_over_what_the_viewer_opens(write_light_field, capsys):
    """Asked before anything of Qt is made."""
    light_field_file = Path(write_light_field())
    before = light_field_file.read_bytes()
    options = viewer_parser("viewer").parse_args(
        [str(light_field_file), "--report", str(light_field_file)]
    )
    assert run(options) == 2
    assert "which --checkpoint reads" in capsys.readouterr().err
    assert light_field_file.read_bytes() == before


@pytest.mark.parametrize(
    ("named", "lost"),
    [
        ("session.json", "session.json"),
        ("session.json", "random.safetensors"),
        ("session.json", "other.safetensors"),
        ("session.json", "scene.json"),
        ("session.json", "toys/transforms_test.json"),
        ("path.json", "path.json"),
        ("toys/test/r_0.png", "toys/transforms_train.json"),
        ("toys", "toys/test/r_0.png"),
    ],
)
def test_a_report_replaces_nothing_that_is_opened(
    tmp_path, folder, write_light_field, capsys, named, lost
):
    checkpoint, other = Path(write_light_field()), tmp_path / "other.safetensors"
    shutil.copy(checkpoint, tmp_path / "random.safetensors")
    shutil.copy(checkpoint, other)
    put(tmp_path / "scene.json", {"near": 2, "far": 6})
    session = {
        "format": "r2l-session",
        "checkpoint": str(tmp_path / "random.safetensors"),
        "scene": str(tmp_path / "scene.json"),
        "dataset": {"path": str(tmp_path / "toys")},
        "panes": [{"checkpoint": None}, {"checkpoint": str(other)}],
    }
    put(tmp_path / "session.json", session)
    save_camera_path(PATH, tmp_path / "path.json")
    before = (tmp_path / lost).read_bytes()
    options = viewer_parser("viewer").parse_args(
        [str(tmp_path / named), "--report", str(tmp_path / lost)]
    )
    assert run(options) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert (tmp_path / lost).read_bytes() == before
