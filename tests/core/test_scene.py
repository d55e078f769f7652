"""Scenes: what is written comes back, what cannot be is named, and what cameras may see."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from r2l_core.errors import SceneError
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import PRESETS, SceneSpec, load_scene

FULL = SceneSpec(
    name="räumlich",
    near=0.5,
    far=9.0,
    background_rgb=(0.1, 0.2, 0.3),
    center=(1.0, -2.0, 0.5),
    bound_radius=1.5,
    origin_radius=4.031,
    min_elevation_deg=-10.0,
    camera_angle_x_rad=0.9,
    width_px=640,
    height_px=480,
    view_radius=3.5,
    home_azimuth_deg=-90.0,
    home_elevation_deg=12.0,
    nerf_ndc=True,
    teacher="demo",
)


def view_of(scene: SceneSpec, elevation_deg: float, distance: float) -> np.ndarray:
    return Orbit(30.0, elevation_deg, distance, scene.center).T_world_camera()[:3, 3]


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", [FULL, PRESETS["demo"], SceneSpec(name="plain")])
def test_json_round_trip(scene, tmp_path):
    assert SceneSpec.from_mapping(json.loads(scene.to_json())) == scene
    path = tmp_path / "scene.json"
    path.write_text(scene.to_json(), encoding="utf-8")
    assert load_scene(str(path)) == scene


def test_left_out_values_are_those_of_the_blender_scenes():
    assert SceneSpec.from_mapping({"name": "short"}) == SceneSpec(name="short")
    short = SceneSpec(name="short")
    assert (short.near, short.far, short.background_rgb) == (2.0, 6.0, (1.0, 1.0, 1.0))
    assert short.focal_px(800) == pytest.approx(1111.111, abs=1e-3)


def test_presets_open_by_name():
    demo = load_scene("demo")
    assert demo is PRESETS["demo"]
    assert demo.teacher == "demo"
    assert demo.origin_radius == 4.0


@pytest.mark.parametrize("name", ["", "nosuch", "blender:nosuch", "/", "x" * 5000, "\0"])
def test_unknown_scenes_list_the_presets(name):
    with pytest.raises(SceneError, match=r"was not found.*Presets: .*demo"):
        load_scene(name)


BAD_FILES = {
    "empty": b"",
    "nonsense": b"nonsense",
    "list": b"[]",
    "null": b"null",
    "binary": b"\xff\xfe\x00",
    "deep-nesting": b'{"a":' * 50_000,
    "bad-value": b'{"name": "s", "near": 9, "far": 1}',
    "unknown-entry": b'{"name": "s", "nears": 9}',
}


@pytest.mark.parametrize("data", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_scene_files_are_named(tmp_path, data):
    path = tmp_path / "my scene.json"
    path.write_bytes(data)
    with pytest.raises(SceneError) as caught:
        load_scene(str(path))
    assert str(path) in str(caught.value)


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"near": 6.0, "far": 2.0},
        {"near": 2.0, "far": 2.0},
        {"near": -1.0},
        {"far": math.inf},
        {"near": math.nan},
        {"background_rgb": (1.0, math.nan, 1.0)},
        {"center": (0.0, math.inf, 0.0)},
        {"center": (0.0, 0.0)},
        {"background_rgb": (1.0, 1.0, 1.0, 1.0)},
        {"bound_radius": 0.0},
        {"bound_radius": -1.0},
        {"view_radius": 0.0},
        {"origin_radius": 2.0},
        {"origin_radius": -4.0},
        {"origin_radius": math.nan},
        {"origin_radius": math.inf},
        {"camera_angle_x_rad": 0.0},
        {"camera_angle_x_rad": math.pi},
        {"min_elevation_deg": math.nan},
        {"width_px": 0},
        {"height_px": 65537},
    ],
    ids=str,
)
def test_impossible_values_name_the_scene(values):
    with pytest.raises(SceneError, match="'villa'"):
        replace(SceneSpec(name="villa"), **values)
    with pytest.raises(SceneError, match="'villa'"):
        SceneSpec.from_mapping({"name": "villa", **values})


@pytest.mark.parametrize(
    "values",
    [
        {"near": "close"},
        {"far": None},
        {"far": [6]},
        {"center": 0},
        {"center": None},
        {"center": ["a", "b", "c"]},
        {"background_rgb": {}},
        {"origin_radius": "4 m"},
        {"width_px": math.inf},
        {"width_px": "wide"},
        {"bound_radius": 10**400},
        {"unknown": 1},
    ],
    ids=lambda values: str(values)[:40],
)
def test_wrong_types_name_the_scene(values):
    with pytest.raises(SceneError, match="'villa'"):
        SceneSpec.from_mapping({"name": "villa", **values})


def test_unknown_entries_are_named():
    with pytest.raises(SceneError, match="'nears'"):
        SceneSpec.from_mapping({"name": "villa", "nears": 2})


# --- cameras -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "with_sphere", "without"),
    [
        ("auto", "canonical", "plain"),
        ("plain", "plain", "plain"),
    ],
)
def test_ray_modes(wish, with_sphere, without):
    assert FULL.ray_mode(wish) == with_sphere
    assert replace(FULL, origin_radius=None).ray_mode(wish) == without


def test_canonical_rays_need_an_origin_sphere():
    assert FULL.ray_mode("canonical") == "canonical"
    with pytest.raises(SceneError, match=r"Canonical rays.*räumlich.*sphere"):
        replace(FULL, origin_radius=None).ray_mode("canonical")


def test_presets_of_the_released_networks():
    lego = load_scene("blender:lego")
    assert (lego.near, lego.far, lego.background_rgb) == (2.0, 6.0, (1.0, 1.0, 1.0))
    assert (lego.origin_radius, lego.view_radius, lego.width_px) == (4.031, 4.031, 400)
    assert lego.focal_px(400) == pytest.approx(555.5555, abs=1e-3)
    fern = load_scene("llff:fern")
    assert (fern.near, fern.far, fern.nerf_ndc) == (0.0, 1.0, True)
    forest = load_scene("donerf:forest")
    assert (forest.near, forest.far, forest.background_rgb) == (20.0, 40.0, (0.0, 0.0, 0.0))
    assert len(PRESETS) == 1 + 8 + 8 + 6


def test_forward_facing_scenes_are_first_seen_by_their_mean_camera():
    camera = load_scene("llff:room").home_camera()
    np.testing.assert_allclose(camera.T_world_camera, np.eye(4), atol=1e-12)


def test_the_first_view_looks_at_the_centre():
    orbit = FULL.home()
    assert (orbit.pivot, orbit.radius) == (FULL.center, 3.5)
    camera = FULL.home_camera()
    assert (camera.width_px, camera.height_px) == (640, 480)
    assert 2 * math.atan2(320, camera.focal_px) == pytest.approx(0.9)
    assert np.linalg.norm(camera.position - np.asarray(FULL.center)) == pytest.approx(3.5)


@pytest.mark.parametrize(
    ("distance", "plain", "canonical"),
    [
        (1.0, "inside the scene", "inside the scene"),
        (1.5, "inside the scene", "inside the scene"),
        (1.6, "off the trained sphere", None),
        (3.9, "off the trained sphere", None),
        (4.0, None, None),
        (4.031, None, None),
        (4.2, "off the trained sphere", None),
        (40.0, "off the trained sphere", None),
    ],
)
def test_distances_outside_the_trained_views(distance, plain, canonical):
    position = view_of(FULL, 20.0, distance)
    for mode, expected in (("plain", plain), ("canonical", canonical)):
        why = FULL.outside_trained_views(position, mode)
        assert why == (expected and f"{expected}: outside trained views")


@pytest.mark.parametrize("mode", ["plain", "canonical"])
def test_elevations_outside_the_trained_views(mode):
    assert FULL.outside_trained_views(view_of(FULL, -9.0, 4.031), mode) is None
    assert FULL.outside_trained_views(view_of(FULL, 90.0, 4.031), mode) is None
    below = FULL.outside_trained_views(view_of(FULL, -11.0, 4.031), mode)
    assert below == "below the horizon: outside trained views"
    straight_down = FULL.outside_trained_views(view_of(FULL, -90.0, 4.031), mode)
    assert straight_down == below


def test_the_horizon_itself_is_a_trained_view():
    demo = PRESETS["demo"]
    assert demo.outside_trained_views(view_of(demo, 0.0, 4.0), "canonical") is None


def test_nothing_is_said_where_the_training_cameras_are_unknown():
    released = replace(FULL, origin_radius=None)
    assert released.outside_trained_views(np.asarray(FULL.center), "plain") is None
