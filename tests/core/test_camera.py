"""Cameras against plain trigonometry and projection, written here once more."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from r2l_core.errors import CameraError
from r2l_core.geometry.camera import BLENDER_CAMERA_ANGLE_X_RAD, Camera, focal_from_angle, load_pose
from r2l_core.geometry.orbit import Orbit, wrap_deg


def _between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False, allow_subnormal=False)


ORBITS = st.builds(
    Orbit,
    azimuth_deg=_between(-720, 720),
    elevation_deg=_between(-90, 90),
    radius=_between(0.1, 100),
    pivot=st.tuples(_between(-5, 5), _between(-5, 5), _between(-5, 5)),
)
PIXELS = _between(-500, 500)
FOCALS = _between(50, 3000)


def project(pose: np.ndarray, point: np.ndarray, focal_px: float) -> tuple[float, float]:
    """Where a world point appears: pixels right of and below the image centre."""
    x, y, z = pose[:3, :3].T @ (point - pose[:3, 3])
    assert z < 0, "the point is behind the camera"
    return focal_px * x / -z, -focal_px * y / -z


def in_pivot_plane(orbit: Orbit, x_px: float, y_px: float, focal_px: float) -> np.ndarray:
    """The point at the pivot's depth that appears at that pixel offset from the image centre."""
    pose = orbit.T_world_camera()
    return pose[:3, 3] + pose[:3, :3] @ (
        np.array([x_px / focal_px, -y_px / focal_px, -1.0]) * orbit.radius
    )


# --- orbit poses -------------------------------------------------------------------------------


@given(ORBITS)
def test_orbit_poses_are_rigid_and_right_handed(orbit):
    pose = orbit.T_world_camera()
    rotation = pose[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(rotation[:, 0], rotation[:, 1]), rotation[:, 2], atol=1e-12)
    assert pose[3].tolist() == [0, 0, 0, 1]


@given(ORBITS)
def test_orbit_looks_along_minus_z_at_its_pivot(orbit):
    pose = orbit.T_world_camera()
    looked_at = pose[:3, 3] - orbit.radius * pose[:3, 2]
    np.testing.assert_allclose(looked_at, orbit.pivot, atol=1e-10)


@given(ORBITS)
def test_orbit_is_upright(orbit):
    pose = orbit.T_world_camera()
    assert pose[2, 0] == 0, "the right axis is level"
    assert pose[2, 1] >= -1e-12, "up never points down"


@pytest.mark.parametrize(
    ("azimuth", "elevation", "position", "right", "up"),
    [
        (0, 0, (4, 0, 0), (0, 1, 0), (0, 0, 1)),
        (90, 0, (0, 4, 0), (-1, 0, 0), (0, 0, 1)),
        (-90, 0, (0, -4, 0), (1, 0, 0), (0, 0, 1)),
        (0, 90, (0, 0, 4), (0, 1, 0), (-1, 0, 0)),
        (0, -90, (0, 0, -4), (0, 1, 0), (1, 0, 0)),
        (180, 30, (-2 * math.sqrt(3), 0, 2), (0, -1, 0), (0.5, 0, math.sqrt(3) / 2)),
    ],
)
def test_orbit_angles_mean_what_the_conventions_say(azimuth, elevation, position, right, up):
    pose = Orbit(azimuth, elevation, 4.0).T_world_camera()
    np.testing.assert_allclose(pose[:3, 3], position, atol=1e-12)
    np.testing.assert_allclose(pose[:3, 0], right, atol=1e-12)
    np.testing.assert_allclose(pose[:3, 1], up, atol=1e-12)


@given(_between(-180, 180), st.sampled_from([-1.0, 1.0]))
def test_the_picture_does_not_flip_at_a_pole(azimuth, pole):
    at = Orbit(azimuth, 90.0 * pole, 1.0).T_world_camera()
    before = Orbit(azimuth, 89.9999 * pole, 1.0).T_world_camera()
    assert np.abs(at - before).max() < 3e-6


# --- orbiting ----------------------------------------------------------------------------------


@given(ORBITS, _between(-400, 400), _between(-400, 400), _between(-60, 60), _between(-60, 60))
def test_two_turns_are_one_turn(orbit, azimuth_1, azimuth_2, elevation_1, elevation_2):
    assume(abs(orbit.elevation_deg + elevation_1) <= 90)
    assume(abs(orbit.elevation_deg + elevation_1 + elevation_2) <= 90)
    twice = orbit.orbited(azimuth_1, elevation_1).orbited(azimuth_2, elevation_2)
    once = orbit.orbited(azimuth_1 + azimuth_2, elevation_1 + elevation_2)
    scale = 1e-9 * (1 + orbit.radius)
    np.testing.assert_allclose(twice.T_world_camera(), once.T_world_camera(), atol=scale)


@given(ORBITS, _between(-1000, 1000))
def test_wrapping_the_azimuth_does_not_move_the_camera(orbit, turn):
    wrapped = orbit.orbited(turn, 0.0)
    unwrapped = Orbit(
        orbit.azimuth_deg + turn, orbit.elevation_deg, orbit.radius, orbit.pivot
    ).T_world_camera()
    np.testing.assert_allclose(wrapped.T_world_camera(), unwrapped, atol=1e-9 * (1 + orbit.radius))


@given(ORBITS, _between(-1000, 1000))
def test_orbiting_stops_at_the_poles_and_keeps_the_rest(orbit, turn):
    turned = orbit.orbited(0.0, turn)
    wish = orbit.elevation_deg + turn
    assert turned.elevation_deg == (90 if wish > 90 else -90 if wish < -90 else wish)
    assert (turned.radius, turned.pivot) == (orbit.radius, orbit.pivot)


@given(_between(-1e6, 1e6))
@example(-180.0)
@example(180.0)
@example(540.0)
def test_wrapped_angles_are_the_same_angle(angle):
    wrapped = wrap_deg(angle)
    assert -180 <= wrapped <= 180
    turns = (angle - wrapped) / 360
    assert turns == pytest.approx(round(turns), abs=1e-9)


@pytest.mark.parametrize("angle", [180.0, -180.0, -540.0, math.nextafter(-180, -200), 1e17])
def test_wrapped_angles_stay_below_180(angle):
    assert -180 <= wrap_deg(angle) < 180


# --- panning and zooming -----------------------------------------------------------------------


@given(ORBITS, PIXELS, PIXELS, PIXELS, PIXELS, FOCALS)
def test_panning_drags_the_pivot_plane_by_exactly_the_pixels(orbit, x, y, dx, dy, focal):
    point = in_pivot_plane(orbit, x, y, focal)
    assert project(orbit.T_world_camera(), point, focal) == pytest.approx((x, y), abs=1e-6)
    moved = orbit.panned(dx, dy, focal)
    seen = project(moved.T_world_camera(), point, focal)
    assert seen == pytest.approx((x + dx, y + dy), abs=1e-6)


@given(ORBITS, PIXELS, PIXELS, FOCALS, st.floats(0.2, 5.0))
def test_aiming_brings_a_pixel_to_the_middle_at_any_distance(orbit, x, y, focal, share):
    pose = orbit.T_world_camera()
    point = pose[:3, 3] + share * (in_pivot_plane(orbit, x, y, focal) - pose[:3, 3])
    aimed = orbit.aimed(x, y, focal)
    np.testing.assert_allclose(aimed.T_world_camera()[:3, 3], pose[:3, 3], atol=1e-6)
    seen = project(aimed.T_world_camera(), point, focal)
    assert seen == pytest.approx((0.0, 0.0), abs=1e-4 * focal)


@given(ORBITS, PIXELS, PIXELS, FOCALS)
def test_panning_changes_nothing_but_the_pivot(orbit, dx, dy, focal):
    moved = orbit.panned(dx, dy, focal)
    assert (moved.azimuth_deg, moved.elevation_deg, moved.radius) == (
        orbit.azimuth_deg,
        orbit.elevation_deg,
        orbit.radius,
    )


@given(ORBITS, _between(0.2, 5), PIXELS, PIXELS, FOCALS)
def test_zooming_keeps_the_point_under_the_pointer(orbit, factor, x, y, focal):
    point = in_pivot_plane(orbit, x, y, focal)
    zoomed = orbit.zoomed(factor, (x, y), focal, radius_range=(1e-3, 1e4))
    assert zoomed.radius == pytest.approx(orbit.radius * factor)
    assert project(zoomed.T_world_camera(), point, focal) == pytest.approx((x, y), abs=1e-6)


@given(ORBITS, st.sampled_from([1e-9, 1e9]), PIXELS, PIXELS, FOCALS)
def test_zooming_stops_at_the_radius_range(orbit, factor, x, y, focal):
    low, high = orbit.radius / 2, orbit.radius * 3
    point = in_pivot_plane(orbit, x, y, focal)
    zoomed = orbit.zoomed(factor, (x, y), focal, radius_range=(low, high))
    assert zoomed.radius == (low if factor < 1 else high)
    assert project(zoomed.T_world_camera(), point, focal) == pytest.approx((x, y), abs=1e-6)


def test_zooming_at_the_centre_keeps_the_pivot():
    orbit = Orbit(10, 20, 4.0, (1.0, 2.0, 3.0))
    assert orbit.zoomed(0.5) == Orbit(10, 20, 2.0, (1.0, 2.0, 3.0))


# --- intrinsics --------------------------------------------------------------------------------


def test_blender_focal_length():
    assert BLENDER_CAMERA_ANGLE_X_RAD == 0.6911112
    assert focal_from_angle(800, 0.6911112) == pytest.approx(1111.111, abs=1e-3)
    assert focal_from_angle(400, 0.6911112) == pytest.approx(555.555, abs=1e-3)


@given(st.integers(1, 8000), _between(0.01, 3.1))
def test_the_focal_length_shows_the_angle_it_was_made_for(width, angle):
    focal = focal_from_angle(width, angle)
    assert 2 * math.atan2(width / 2, focal) == pytest.approx(angle)


def test_vertical_field_of_view():
    camera = Orbit(0, 0, 4).camera(800, 800, focal_from_angle(800, 0.6911112))
    assert camera.fov_y_deg == pytest.approx(math.degrees(0.6911112))
    assert Orbit(0, 0, 4).camera(640, 200, 100.0).fov_y_deg == pytest.approx(90.0)


# --- what is not a camera ----------------------------------------------------------------------


def _pose(rotation=None, translation=(0, 0, 0), last=(0, 0, 0, 1)) -> np.ndarray:
    pose = np.eye(4)
    if rotation is not None:
        pose[:3, :3] = rotation
    pose[:3, 3] = translation
    pose[3] = last
    return pose


@pytest.mark.parametrize(
    "pose",
    [
        np.eye(3),
        np.zeros((4, 4)),
        np.zeros((2, 4, 4)),
        _pose(np.eye(3) * 2),
        _pose(np.eye(3) * 0.99),
        _pose(np.diag([1, 1, -1])),
        _pose([[1, 0.5, 0], [0, 1, 0], [0, 0, 1]]),
        _pose(last=(0, 0, 0, 2)),
        _pose(translation=(1, 2, 3)).T,
        _pose(translation=(math.nan, 0, 0)),
        _pose(translation=(0, math.inf, 0)),
        _pose(np.diag([math.nan, 1, 1])),
    ],
)
def test_bad_poses_are_refused(pose):
    with pytest.raises(CameraError, match="pose cannot be used"):
        Camera(pose, 8, 8, 8.0)


def test_a_pose_of_astronomic_size_is_refused_without_a_warning():
    with pytest.raises(CameraError, match="not a rotation"):
        Camera(_pose(np.eye(3) * 1e200), 8, 8, 8.0)


@given(st_np.arrays(np.float64, (4, 4), elements=_between(-1e3, 1e3)))
def test_no_other_error_for_any_matrix(matrix):
    try:
        camera = Camera(matrix, 8, 8, 8.0)
    except CameraError:
        return
    rotation = camera.T_world_camera[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=2e-3)


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (-1, 8), (8, -3)])
def test_images_without_pixels_are_refused(size):
    with pytest.raises(CameraError, match="image size"):
        Camera(np.eye(4), *size, 8.0)


@pytest.mark.parametrize("focal", [0.0, -1.0, math.nan, math.inf])
def test_bad_focal_lengths_are_refused(focal):
    with pytest.raises(CameraError, match="focal length"):
        Camera(np.eye(4), 8, 8, focal)


def test_rounded_poses_are_accepted():
    pose = np.round(Orbit(33, 21, 4.03).T_world_camera(), 4).astype(np.float32)
    assert Camera(pose, 8, 8, 8.0).T_world_camera.dtype == np.float64


def test_a_camera_owns_its_pose():
    pose = Orbit(10, 20, 4).T_world_camera()
    camera = Camera(pose, 8, 8, 8.0)
    position = camera.position.copy()
    pose[:] = 7
    np.testing.assert_array_equal(camera.position, position)
    with pytest.raises(ValueError, match="read-only"):
        camera.T_world_camera[0, 0] = 3


# --- pose files --------------------------------------------------------------------------------


def test_a_pose_file_comes_back_exactly(tmp_path):
    pose = Orbit(33, 21, 4.03, (0.1, 0.2, 0.3)).T_world_camera()
    path = tmp_path / "pose.json"
    path.write_text(json.dumps(pose.tolist()))
    np.testing.assert_array_equal(load_pose(path), pose)


BAD_POSE_FILES = {
    "empty": "",
    "nonsense": "nonsense",
    "null": "null",
    "object": "{}",
    "number": "3",
    "empty-list": "[]",
    "ragged": "[[1, 2], [3]]",
    "3x3": "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
    "flat": json.dumps([1.0] * 16),
    "words": json.dumps([["a"] * 4] * 4),
    "objects-inside": json.dumps([[None] * 3 + [{}]] * 4),
    "huge-integers": json.dumps([[10**400] * 4] * 4),
    "deep-nesting": "[" * 100_000,
}


@pytest.mark.parametrize("text", BAD_POSE_FILES.values(), ids=BAD_POSE_FILES.keys())
def test_bad_pose_files_are_named(tmp_path, text):
    path = tmp_path / "my pose.json"
    path.write_text(text)
    with pytest.raises(CameraError) as caught:
        load_pose(path)
    assert str(path) in str(caught.value)


def test_unreadable_pose_files_are_named(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(CameraError) as caught:
            load_pose(path)
        assert str(path) in str(caught.value)


def test_pose_files_that_are_not_text_are_named(tmp_path):
    path = tmp_path / "pose.json"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(CameraError) as caught:
        load_pose(path)
    assert str(path) in str(caught.value)


# --- intrinsics of captured pictures -----------------------------------------------------------


def test_a_camera_is_centred_unless_it_says_otherwise():
    camera = Camera(np.eye(4), 40, 30, 50.0)
    assert (camera.fy_px, camera.center_px) == (50.0, (20.0, 15.0))
    captured = Camera(np.eye(4), 40, 30, 50.0, focal_y_px=60.0, principal_px=(19.0, 16.5))
    assert (captured.fy_px, captured.center_px) == (60.0, (19.0, 16.5))
    assert captured.fov_y_deg == pytest.approx(2 * math.degrees(math.atan(15 / 60)))


def test_the_same_view_has_the_same_rays():
    camera = Camera(np.eye(4), 40, 30, 50.0)
    spelled_out = Camera(np.eye(4), 40, 30, 50.0, 50.0, (20.0, 15.0))
    assert camera.same_view(spelled_out)
    moved = np.eye(4)
    moved[0, 3] = 1e-9
    for other in (
        Camera(moved, 40, 30, 50.0),
        Camera(np.eye(4), 41, 30, 50.0, principal_px=(20.0, 15.0)),
        Camera(np.eye(4), 40, 30, 51.0, focal_y_px=50.0),
        Camera(np.eye(4), 40, 30, 50.0, focal_y_px=51.0),
        Camera(np.eye(4), 40, 30, 50.0, principal_px=(20.0, 15.5)),
    ):
        assert not camera.same_view(other)


@pytest.mark.parametrize(
    "others",
    [
        {"focal_y_px": 0.0},
        {"focal_y_px": math.nan},
        {"principal_px": (math.nan, 1.0)},
        {"principal_px": (1.0, math.inf)},
    ],
    ids=str,
)
def test_impossible_intrinsics_are_refused(others):
    with pytest.raises(CameraError):
        Camera(np.eye(4), 40, 30, 50.0, **others)


def test_a_resized_camera_sees_the_same_edges():
    camera = Camera(np.eye(4), 40, 20, 30.0, 36.0, (18.0, 11.0))
    half = camera.resized(20, 10)
    assert (half.width_px, half.height_px) == (20, 10)
    assert (half.focal_px, half.fy_px, half.center_px) == (15.0, 18.0, (9.0, 5.5))
    assert camera.resized(40, 20) is camera
    centred = Camera(np.eye(4), 40, 20, 30.0).resized(80, 40)
    assert centred.center_px == (40.0, 20.0), "still centred"


@given(orbit=ORBITS)
def test_the_nearest_orbit_of_an_orbiting_camera_is_that_orbit(orbit):
    camera = orbit.camera(20, 10, 30.0)
    found = Orbit.nearest_to(camera, orbit.pivot, 1.0)
    np.testing.assert_allclose(found.T_world_camera(), camera.T_world_camera, atol=1e-5)
    assert found.radius == pytest.approx(orbit.radius)


@given(orbit=ORBITS, roll_deg=_between(-170, 170))
def test_the_nearest_orbit_stands_there_and_looks_the_same_way(orbit, roll_deg):
    assume(abs(orbit.elevation_deg) < 89)
    pose, roll = orbit.T_world_camera(), math.radians(roll_deg)
    right, up = pose[:3, 0].copy(), pose[:3, 1].copy()
    pose[:3, 0] = math.cos(roll) * right + math.sin(roll) * up
    pose[:3, 1] = math.cos(roll) * up - math.sin(roll) * right
    found = Orbit.nearest_to(Camera(pose, 20, 10, 30.0), (0.3, 0.2, 0.1), 2.0).T_world_camera()
    np.testing.assert_allclose(found[:3, 2:], pose[:3, 2:], atol=1e-5)
    assert found[2, 0] == pytest.approx(0.0, abs=1e-9), "upright"


def test_the_nearest_orbit_of_a_camera_that_looks_away_turns_about_a_point_ahead():
    camera = Orbit(0.0, 0.0, 4.0).camera(20, 10, 30.0)
    found = Orbit.nearest_to(camera, (9.0, 0.0, 0.0), 2.0)
    assert found.radius == 2.0
    np.testing.assert_allclose(found.T_world_camera(), camera.T_world_camera, atol=1e-12)
