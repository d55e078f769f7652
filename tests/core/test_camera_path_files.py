"""Camera paths on disk: ours, nerfstudio's two dialects, and files nobody should trust."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.files import load_camera_path, save_camera_path, save_nerfstudio
from r2l_core.camera_paths.presets import preset, turntable
from r2l_core.errors import CameraPathError
from r2l_core.geometry.orbit import Orbit
from r2l_core.types import Precision

POSES = [Orbit(40.0 * k, 10.0 * k, 4.0, (0.1, 0.2, 0.3)).T_world_camera() for k in range(3)]


def a_path(**options) -> CameraPath:
    return CameraPath(
        (
            Keyframe(POSES[0], 40.0, 1.5, wipe=0.25),
            Keyframe(POSES[1], 50.0, 0.5, Precision.FP32, Precision.INT8, gain=8.0),
            Keyframe(POSES[2], 45.0, 2.0),
        ),
        **options,
    )


def assert_same_cameras(a: CameraPath, b: CameraPath) -> None:
    assert a.seconds == pytest.approx(b.seconds)
    for second in np.linspace(0, a.seconds, 17):
        one, two = a.at(second), b.at(second)
        np.testing.assert_allclose(one.T_world_camera, two.T_world_camera, atol=1e-9)
        assert one.fov_y_deg == pytest.approx(two.fov_y_deg)


@pytest.fixture
def refused(tmp_path):
    """A function that writes a file, expects it to be refused, and returns what was said."""

    def check(content) -> str:
        file = tmp_path / "bad.json"
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(CameraPathError) as caught:
            load_camera_path(file)
        assert str(file) in str(caught.value)
        return str(caught.value)

    return check


def test_our_own_file_brings_everything_back(tmp_path):
    file = tmp_path / "new folder" / "path.json"
    path = a_path(loop=True, even_speed=True, tension=0.25)
    save_camera_path(path, file)
    back = load_camera_path(file)
    assert (back.loop, back.even_speed, back.tension) == (True, True, 0.25)
    for one, two in zip(path.keyframes, back.keyframes, strict=True):
        np.testing.assert_array_equal(one.T_world_camera, two.T_world_camera)
        for name in ("fov_y_deg", "transition_s", "precision_a", "precision_b", "wipe", "gain"):
            assert getattr(one, name) == getattr(two, name)
    assert [entry.name for entry in file.parent.iterdir()] == ["path.json"]  # no leftovers


def test_a_key_that_eases_comes_back(tmp_path):
    path = a_path()
    path = path.replaced(1, replace(path.keyframes[1], eases=True))
    save_camera_path(path, tmp_path / "p.json")
    assert [key.eases for key in load_camera_path(tmp_path / "p.json").keyframes] == [
        False,
        True,
        False,
    ]


def test_a_pivot_comes_back_and_files_without_one_go_along_the_spline(tmp_path):
    file = tmp_path / "p.json"
    path = turntable(Orbit(35.0, 30.0, 4.0, (0.1, -0.2, 0.3)), 40.0, 6.0)
    save_camera_path(path, file)
    assert load_camera_path(file).pivot == (0.1, -0.2, 0.3)
    assert_same_cameras(path, load_camera_path(file))
    values = json.loads(file.read_text())
    del values["pivot"]
    file.write_text(json.dumps(values))
    assert_same_cameras(replace(path, pivot=None), load_camera_path(file))


@pytest.mark.parametrize("tension", [0.0, 1.0])
def test_nerfstudio_gets_the_frames_of_a_path_about_a_pivot_as_they_are(tmp_path, tension):
    path = replace(turntable(Orbit(35.0, 30.0, 4.0), 40.0, 2.0), tension=tension)
    save_nerfstudio(path, tmp_path / "n.json", 64, 64, 10.0)
    frames = json.loads((tmp_path / "n.json").read_text())["camera_path"]
    for number, frame in enumerate(frames):
        found = np.reshape(frame["camera_to_world"], (4, 4))
        np.testing.assert_allclose(found, path.at(number / 10.0).T_world_camera, atol=1e-12)


@pytest.mark.parametrize("pivot", [[1, 2], [1, 2, "3"], [1, 2, 1e300], "0 0 0"])
def test_a_pivot_that_is_no_point_is_refused(refused, tmp_path, pivot):
    save_camera_path(a_path(), tmp_path / "p.json")
    assert "pivot" in refused({**json.loads((tmp_path / "p.json").read_text()), "pivot": pivot})


@pytest.mark.parametrize("dialect", ["list", "string"])
@pytest.mark.parametrize("name", ["turntable", "spiral"])
def test_nerfstudio_gets_keyframes_enough_for_its_spline(tmp_path, dialect, name):
    path = preset(name, Orbit(35.0, 30.0, 4.0, (0.1, -0.2, 0.3)), 40.0, 6.0, 1.0)
    save_nerfstudio(path, tmp_path / "n.json", 64, 48, 24.0, dialect)
    back = load_camera_path(tmp_path / "n.json")
    assert back.seconds == pytest.approx(6.0)
    for second in np.linspace(0, 6, 50):
        one, two = (p.at(second).T_world_camera for p in (path, back))
        np.testing.assert_allclose(one, two, atol=0.01)


def test_our_own_file_is_readable(tmp_path):
    file = tmp_path / "path.json"
    save_camera_path(a_path(), file)
    lines = file.read_text().splitlines()
    assert sum('"T_world_camera": [[' in line for line in lines) == 3
    assert json.loads(file.read_text())["format"] == "r2l-camera-path"


@pytest.mark.parametrize("dialect", ["list", "string"])
@pytest.mark.parametrize("loop", [False, True])
def test_nerfstudio_files_come_back_with_the_same_cameras(tmp_path, dialect, loop):
    path = a_path(tension=0.5)
    if loop:  # the older dialect has no times in a loop
        keys = tuple(Keyframe(key.T_world_camera, key.fov_y_deg, 1.0) for key in path.keyframes)
        path = CameraPath(keys, loop=True, tension=0.5)
    file = tmp_path / "path.json"
    save_nerfstudio(path, file, 64, 48, 24.0, dialect)
    assert_same_cameras(path, load_camera_path(file))


@pytest.mark.parametrize("dialect", ["list", "string"])
def test_nerfstudio_files_have_what_its_renderer_reads(tmp_path, dialect):
    file = tmp_path / "path.json"
    save_nerfstudio(a_path(), file, 64, 48, 24.0, dialect)
    values = json.loads(file.read_text())
    assert (values["render_width"], values["render_height"], values["fps"]) == (64, 48, 24.0)
    assert values["camera_type"] == "perspective"
    assert len(values["camera_path"]) == round(2.5 * 24)
    first = values["camera_path"][0]
    np.testing.assert_allclose(np.reshape(first["camera_to_world"], (4, 4)), POSES[0], atol=1e-9)
    assert first["fov"] == pytest.approx(40.0)
    matrix = values["keyframes"][1]["matrix"]
    if dialect == "list":
        np.testing.assert_allclose(np.reshape(matrix, (4, 4)), POSES[1])
    else:
        assert isinstance(matrix, str)
        np.testing.assert_allclose(np.reshape(json.loads(matrix), (4, 4)).T, POSES[1])


def test_a_newer_nerfstudio_file_as_its_viewer_writes_it(tmp_path):
    file = tmp_path / "viewer.json"
    entry = {"fov": 60.0, "aspect": 1.0}
    values = {
        "default_fov": 75.0,
        "default_transition_sec": 2.0,
        "keyframes": [
            {
                **entry,
                "matrix": POSES[0].reshape(-1).tolist(),
                "override_transition_enabled": False,
                "override_transition_sec": None,
            },
            {
                **entry,
                "matrix": POSES[1].reshape(-1).tolist(),
                "override_transition_enabled": True,
                "override_transition_sec": 0.5,
            },
        ],
        "camera_type": "perspective",
        "render_height": 1080,
        "render_width": 1920,
        "fps": 30.0,
        "seconds": 2.5,
        "is_cycle": True,
        "smoothness_value": 0.0,
        "camera_path": [],
    }
    file.write_text(json.dumps(values))
    path = load_camera_path(file)
    assert path.loop
    assert path.key_seconds == (0.0, 0.5)
    assert path.seconds == 2.5
    np.testing.assert_array_equal(path.at(0.5).T_world_camera.round(9), POSES[1].round(9))


def test_an_older_nerfstudio_file_without_times_is_spread_evenly(tmp_path):
    file = tmp_path / "old.json"
    keyframes = [
        {"matrix": json.dumps(pose.T.reshape(-1).tolist()), "fov": 50, "aspect": 1}
        for pose in POSES
    ]
    values = {"keyframes": keyframes, "camera_path": [], "seconds": 4, "smoothness_value": 0.5}
    file.write_text(json.dumps({**values, "is_cycle": False, "is_linear": True}))
    path = load_camera_path(file)
    assert path.key_seconds == (0.0, 2.0, 4.0)
    assert path.even_speed
    assert path.tension == 0.0
    np.testing.assert_array_equal(path.keyframes[2].T_world_camera, POSES[2])


def test_frames_serve_where_there_are_no_keyframes(tmp_path):
    file = tmp_path / "frames.json"
    frames = [{"camera_to_world": p.reshape(-1).tolist(), "fov": 50, "aspect": 1} for p in POSES]
    file.write_text(json.dumps({"camera_path": frames, "fps": 10, "keyframes": []}))
    path = load_camera_path(file)
    np.testing.assert_allclose(path.key_seconds, (0.0, 0.1, 0.2))


def own(**changes) -> dict:
    key = {"T_world_camera": POSES[0].tolist(), "fov_y_deg": 40.0}
    values = {"format": "r2l-camera-path", "version": 1, "keyframes": [key, dict(key)]}
    values["keyframes"][1].update(changes.pop("second", {}))
    return {**values, **changes}


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"\xff\xfe\x00", "not JSON"),
        ("", "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"keyframes": NaN}', "NaN"),
        ("{}", "no camera path"),
        ({"format": "something else"}, "no camera path"),
        (own(version=2), "version 2"),
        (own(keyframes=[]), "keyframes"),
        (own(keyframes=[5]), "keyframes[0]"),
        (own(keyframes={}), "keyframes is not a list"),
        (own(loop="yes"), "loop"),
        (own(tension=7), "tension"),
        (own(second={"fov_y_deg": 0}), "keyframes[1].fov_y_deg"),
        (own(second={"fov_y_deg": True}), "keyframes[1].fov_y_deg"),
        (own(second={"fov_y_deg": None}), "keyframes[1].fov_y_deg is missing"),
        (own(second={"transition_s": -1}), "keyframes[1].transition_s"),
        (own(second={"transition_s": 10**400}), "keyframes[1].transition_s"),
        (own(second={"precision_a": "int9"}), "keyframes[1].precision_a"),
        (own(second={"wipe": 2}), "keyframes[1].wipe"),
        (own(second={"T_world_camera": [1, 2]}), "keyframes[1].T_world_camera"),
        (own(second={"T_world_camera": [[0] * 4] * 4}), "keyframes[1].T_world_camera"),
        (own(second={"T_world_camera": [["a"] * 4] * 4}), "keyframes[1].T_world_camera"),
        ({"keyframes": [{"matrix": [1] * 15, "fov": 40}]}, "keyframes[0].matrix"),
        ({"keyframes": [{"matrix": "[1, 2", "fov": 40}]}, "keyframes[0].matrix"),
        ({"keyframes": [{"matrix": "5", "fov": 40}]}, "keyframes[0].matrix"),
        ({"keyframes": [{"fov": 40}]}, "keyframes[0].matrix is missing"),
        ({"keyframes": [{"matrix": POSES[0].reshape(-1).tolist()}]}, "keyframes[0].fov"),
        ({"keyframes": [], "camera_path": []}, "camera_path"),
        ({"camera_path": [{"camera_to_world": [0] * 16, "fov": 1}]}, "camera_to_world"),
        ({"camera_path": [], "camera_type": "fisheye"}, "camera_type"),
    ],
)
def test_a_bad_file_is_refused_by_the_field(refused, content, names):
    assert names in refused(content)


def test_times_of_an_older_file_must_rise(refused):
    keyframes = [
        {
            "matrix": json.dumps(pose.T.reshape(-1).tolist()),
            "fov": 50,
            "properties": json.dumps([["FOV", 50], ["NAME", "x"], ["TIME", time]]),
        }
        for pose, time in zip(POSES, (0.0, 0.6, 0.6), strict=True)
    ]
    assert "keyframes[2].properties" in refused({"keyframes": keyframes, "seconds": 4})
    keyframes[1]["properties"] = "[]"
    assert "keyframes[1].properties" in refused({"keyframes": keyframes, "seconds": 4})


def test_too_many_keyframes_are_refused(refused):
    assert "20000 entries" in refused(own(keyframes=[0] * 20_000))


def test_files_that_are_not_there_or_cannot_be_written(tmp_path):
    with pytest.raises(CameraPathError, match=r"none\.json"):
        load_camera_path(tmp_path / "none.json")
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CameraPathError, match=r"path\.json"):
        save_camera_path(a_path(), blocked / "path.json")


# --- as programs and people write them ----------------------------------------------------------


def shot(step: int, scale: float = 1.0) -> np.ndarray:
    pose = Orbit(20.0 * step, 25.0, 4.0).T_world_camera()
    pose[:3, :3] *= scale
    return pose


def addon(n: int, fps: float, scale: float = 1.0, first: int = 0) -> dict:
    """A keyframe for every frame, with its TIME in seconds, as the Blender add-on writes it."""
    keyframes = [
        {
            "matrix": str(shot(k, scale).T.reshape(-1).tolist()),
            "fov": 40,
            "aspect": 1,
            "properties": f'[["FOV",40],["NAME","Camera {k}"],["TIME",{(first + k) / fps}]]',
        }
        for k in range(n)
    ]
    return {"keyframes": keyframes, "fps": fps, "seconds": n / fps, "smoothness_value": 0}


def script(n: int, pose=lambda k: shot(k).reshape(-1).tolist(), **fields) -> dict:
    frames = [{"camera_to_world": pose(k), "fov": 50, "aspect": 1} for k in range(n)]
    return {"camera_type": "perspective", "camera_path": frames, **fields}


def opened(tmp_path, values):
    (tmp_path / "path.json").write_text(json.dumps(values))
    return load_camera_path(tmp_path / "path.json")


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        (addon(12, 24), 0.5),
        (addon(72, 24), 3.0),
        (addon(10, 30), 1 / 3),
        (addon(48, 24), 2.0),
        (addon(12, 24, first=10), 0.5),
        (script(8, seconds=8), 8.0),
        (script(8, seconds=8, fps=1), 7.0),
        (script(8), 7 / 30),
        (script(4, seconds=8, is_cycle=True), 8.0),
    ],
    ids=[
        "12",
        "72",
        "10 at 30",
        "48",
        "begins later",
        "script",
        "script at 1",
        "bare script",
        "cycle",
    ],
)
def test_times_of_other_programs(tmp_path, values, seconds):
    assert opened(tmp_path, values).seconds == pytest.approx(seconds, abs=2e-3)


def test_shares_of_the_older_viewer_stay_shares(tmp_path):
    values = addon(4, 1.0)
    for k, key in enumerate(values["keyframes"]):
        key["properties"] = json.dumps([["TIME", [0, 0.2, 0.5, 1][k]]])
    path = opened(tmp_path, {**values, "seconds": 4, "fps": 24})
    assert path.key_seconds == pytest.approx((0, 0.8, 2.0, 4.0))


@pytest.mark.parametrize("values", [addon(6, 24, 0.5), script(5, lambda k: shot(k, 3).tolist())])
def test_scaled_cameras_are_normalised(tmp_path, values):
    path = opened(tmp_path, values)
    np.testing.assert_allclose(path.keyframes[2].T_world_camera, shot(2), atol=1e-9)
    assert "have a scale" in path.notes[0]


@pytest.mark.parametrize(
    "pose", [lambda k: shot(k)[:3].tolist(), lambda k: shot(k)[:3].ravel().tolist()]
)
def test_three_rows_are_enough(tmp_path, pose):
    path = opened(tmp_path, script(3, pose))
    np.testing.assert_allclose(path.keyframes[1].T_world_camera, shot(1), atol=1e-12)


def test_radians_are_hinted_at(tmp_path):
    values = script(3)
    for frame in values["camera_path"]:
        frame["fov"] = 0.8727
    path = opened(tmp_path, values)
    assert path.keyframes[0].fov_y_deg == 0.8727
    assert "radians, such as 50.0° for the first" in path.notes[0]


def test_the_path_of_instant_ngp(tmp_path):
    """From its own coordinates back: x y z became y z x, scaled by 0.33 about 0.5."""
    pose = shot(3)
    turned = pose.copy()
    turned[:3, 1:3] *= -1
    turned[:3, 3] = turned[:3, 3] * 0.33 + 0.5
    turned[:3] = turned[[1, 2, 0]]
    x, y, z, w = Rotation.from_matrix(turned[:3, :3]).as_quat()
    key = {"R": [x, y, z, w], "T": turned[:3, 3].tolist(), "fov": 50.6, "slice": 0.0}
    path = opened(tmp_path, {"loop": True, "time": 0.0, "path": [key, key]})
    np.testing.assert_allclose(path.keyframes[0].T_world_camera, pose, atol=1e-9)
    assert (path.keyframes[0].fov_y_deg, path.loop) == (50.6, True)
    assert "instant-ngp" in path.notes[0]


@pytest.mark.parametrize(
    ("lens", "fov_y_deg"),
    [
        ({"camera_angle_x": math.radians(40)}, 40.0),
        ({"camera_angle_x": 0.7, "camera_angle_y": math.radians(30)}, 30.0),
        ({"fl_x": 100.0, "w": 50, "h": 200}, 90.0),
        ({"fl_x": 50.0, "fl_y": 100.0, "h": 200}, 90.0),
        ({"fx": 100.0, "width": 50, "height": 200}, 90.0),
        ({"fy": 100.0, "fx": 1.0, "height": 200}, 90.0),
        ({"x_fov": 40.0}, 40.0),
        ({"x_fov": 70.0, "y_fov": 30.0}, 30.0),
        ({"fl_y": 100.0, "camera_angle_y": 0.3, "h": 200}, 90.0),
        ({"K": [[50.0, 0, 9], [0, 100.0, 9], [0, 0, 1]], "h": 200}, 90.0),
        (
            {"camera_angle_x": math.radians(90), "w": 200, "h": 100},
            math.degrees(2 * math.atan(0.5)),
        ),
    ],
    ids=str,
)
def test_the_photographs_of_a_dataset_as_a_path(tmp_path, lens, fov_y_deg):
    frames = [{"file_path": "a", "transform_matrix": shot(k).tolist()} for k in range(3)]
    path = opened(tmp_path, {**lens, "frames": frames})
    assert len(path.keyframes) == 3
    assert path.keyframes[0].fov_y_deg == pytest.approx(fov_y_deg)
    np.testing.assert_allclose(path.keyframes[2].T_world_camera, shot(2), atol=1e-12)
    assert "dataset" in path.notes[0]


def test_a_frame_of_a_dataset_says_more_than_the_file(tmp_path):
    frame = {"file_path": "a", "transform_matrix": shot(0).tolist(), "camera_angle_x": 1.2}
    path = opened(tmp_path, {"fl_x": 30.0, "w": 40, "h": 40, "frames": [frame]})
    assert path.keyframes[0].fov_y_deg == pytest.approx(math.degrees(1.2))


def test_a_day_is_not_written_frame_by_frame(tmp_path):
    """Six hundred bytes would become gigabytes, on the window's thread."""
    path = CameraPath((Keyframe(shot(0), 40.0), Keyframe(shot(1), 40.0, 86_400.0)))
    with pytest.raises(CameraPathError, match="2592000 frames, and there may be 10000"):
        save_nerfstudio(path, tmp_path / "x.json", 64, 64, 30.0)
    assert list(tmp_path.iterdir()) == []
