"""Camera paths: operations, curves, timing, and cases that could divide by zero."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.presets import PRESETS, preset, turntable
from r2l_core.errors import CameraPathError
from r2l_core.geometry.orbit import Orbit
from r2l_core.types import Precision

START = Orbit(35.0, 30.0, 4.0, (0.1, -0.2, 0.3))


def key(azimuth_deg=0.0, elevation_deg=20.0, radius=4.0, fov_y_deg=40.0, **options) -> Keyframe:
    return Keyframe(
        Orbit(azimuth_deg, elevation_deg, radius).T_world_camera(), fov_y_deg, **options
    )


def path_of(*azimuths_deg: float, **options) -> CameraPath:
    return CameraPath(tuple(key(azimuth) for azimuth in azimuths_deg), **options)


def positions(path: CameraPath, seconds) -> np.ndarray:
    return np.array([path.at(second).T_world_camera[:3, 3] for second in seconds])


def assert_usable(path: CameraPath, seconds) -> None:
    for second in seconds:
        camera = path.at(second).camera(40, 30)  # refuses what is not a finite rigid pose
        assert 0 < camera.fov_y_deg < 180


# --- keyframes and operations ------------------------------------------------------------------


def test_operations_return_new_paths_and_leave_the_old_one_alone():
    path = path_of(0, 10, 20)
    before = path.keyframes
    extra = key(99)
    assert path.added(extra).keyframes == (*before, extra)
    assert path.removed(1).keyframes == (before[0], before[2])
    assert path.removed(-1).keyframes == before[:2]
    assert path.replaced(2, extra).keyframes == (*before[:2], extra)
    assert path.moved(0, 2).keyframes == (before[1], before[2], before[0])
    assert path.retimed(1, 3.0).key_seconds == (0.0, 3.0, 4.0)
    assert path.keyframes == before
    assert path.key_seconds == (0.0, 1.0, 2.0)


def test_operations_keep_the_options_of_a_path():
    path = path_of(0, 10, 20, loop=True, even_speed=True, tension=0.5)
    for changed in (path.added(key()), path.removed(0), path.moved(0, 1), path.lasting(9.0)):
        assert (changed.loop, changed.even_speed, changed.tension) == (True, True, 0.5)


def test_operations_outside_the_path_are_programming_mistakes():
    path = path_of(0, 10)
    for call in (
        lambda: path.removed(2),
        lambda: path.replaced(2, key()),
        lambda: path.moved(5, 0),
    ):
        with pytest.raises(IndexError):
            call()


def test_the_last_keyframe_cannot_be_removed():
    with pytest.raises(CameraPathError, match="0 keyframes"):
        path_of(0).removed(0)


def test_lasting_keeps_the_proportions():
    path = CameraPath((key(0), key(10, transition_s=1.0), key(20, transition_s=3.0)))
    assert path.lasting(8.0).key_seconds == (0.0, 2.0, 8.0)
    looped = replace(path, loop=True).lasting(10.0)
    assert looped.seconds == pytest.approx(10.0)
    assert looped.key_seconds[-1] == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"fov_y_deg": 0.0}, "fov_y_deg"),
        ({"fov_y_deg": math.nan}, "fov_y_deg"),
        ({"transition_s": 0.0}, "transition_s"),
        ({"transition_s": math.inf}, "transition_s"),
        ({"wipe": 1.5}, "wipe"),
        ({"gain": 0.0}, "gain"),
    ],
)
def test_a_keyframe_that_makes_no_sense_is_refused(options, names):
    with pytest.raises(CameraPathError, match=names):
        key(**options)


def test_a_keyframe_needs_a_rigid_pose_and_owns_it():
    pose = START.T_world_camera()
    kept = Keyframe(pose, 40.0)
    pose[0, 3] = 99.0
    assert kept.T_world_camera[0, 3] != 99.0
    assert not kept.T_world_camera.flags.writeable
    with pytest.raises(CameraPathError, match="rotation"):
        Keyframe(np.diag([2.0, 1.0, 1.0, 1.0]), 40.0)


# --- the curve ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("tension", [-1.0, 0.0, 0.7, 1.0])
def test_a_path_passes_its_keyframes_at_their_times(loop, tension):
    keys = (key(0, fov_y_deg=30), key(80, 40, transition_s=0.5), key(100, 10, 6, transition_s=2.0))
    path = CameraPath(keys, loop=loop, tension=tension)
    for wanted, second in zip(keys, path.key_seconds, strict=True):
        view = path.at(second)
        np.testing.assert_allclose(view.T_world_camera, wanted.T_world_camera, atol=1e-9)
        assert view.fov_y_deg == pytest.approx(wanted.fov_y_deg)


def test_uniform_keys_are_a_catmull_rom_curve():
    """Its middle is (9 (P1 + P2) - (P0 + P3)) / 16."""
    points = [np.array(p, dtype=float) for p in ((0, 0, 0), (1, 2, 0), (3, 1, 1), (4, 4, 2))]
    pose = np.eye(4)
    keys = []
    for point in points:
        pose[:3, 3] = point
        keys.append(Keyframe(pose, 40.0))
    middle = CameraPath(tuple(keys)).at(1.5).T_world_camera[:3, 3]
    expected = (9 * (points[1] + points[2]) - (points[0] + points[3])) / 16
    np.testing.assert_allclose(middle, expected, atol=1e-12)


def test_two_keys_are_joined_by_a_straight_even_line():
    path = CameraPath((key(0, radius=4.0), key(0, radius=2.0)))
    radii = np.linalg.norm(positions(path, np.linspace(0, 1, 5)), axis=1)
    np.testing.assert_allclose(radii, [4.0, 3.5, 3.0, 2.5, 2.0], atol=1e-12)


def test_speed_and_turning_have_no_jump_at_a_key():
    path = CameraPath((key(0), key(20, 50), key(70, 10), key(90)))
    step = 1e-4
    for second in path.key_seconds[1:-1]:
        before, at, after = (
            path.at(second + offset).T_world_camera for offset in (-step, 0.0, step)
        )
        moves = (at - before)[:3, 3] / step, (after - at)[:3, 3] / step
        np.testing.assert_allclose(*moves, atol=0.02)
        turns = [
            Rotation.from_matrix(a[:3, :3].T @ b[:3, :3]).as_rotvec() / step
            for a, b in ((before, at), (at, after))
        ]
        np.testing.assert_allclose(*turns, atol=0.02)


def test_the_camera_rests_at_a_key_that_eases_and_nowhere_else():
    keys = [key(0), key(20, 50), key(70, 10), key(90)]
    plain = CameraPath(tuple(keys))
    keys[1] = replace(keys[1], eases=True)
    path = CameraPath(tuple(keys))
    step = 1e-4

    def speed(one: CameraPath, second: float) -> float:
        a, b = positions(one, (second - step, second + step))
        return float(np.linalg.norm(b - a)) / (2 * step)

    assert speed(path, 1.0) < 1e-3 < speed(plain, 1.0)
    assert speed(path, 2.0) == pytest.approx(speed(plain, 2.0), rel=1e-3)
    for second in path.key_seconds:
        same = [one.at(second).T_world_camera for one in (path, plain)]
        np.testing.assert_allclose(*same, atol=1e-9)


@settings(max_examples=20)
@given(st.lists(st.booleans(), min_size=3, max_size=5), st.booleans())
def test_easing_never_turns_back(eases, loop):
    keys = tuple(key(radius=2.0 + at, eases=one) for at, one in enumerate(eases))
    path = CameraPath(keys, loop=loop)
    last = path.key_seconds[-1]
    radii = np.linalg.norm(positions(path, np.linspace(0, last, 60)), axis=1)
    assert (np.diff(radii) > -1e-9).all() or loop
    assert radii[-1] == pytest.approx(2.0 + len(eases) - 1)
    assert_usable(path, np.linspace(-1, 2 * path.seconds, 40))


def test_a_loop_closes_smoothly_and_goes_on_for_ever():
    path = path_of(0, 90, 180, 270, loop=True)
    assert path.seconds == 4.0
    np.testing.assert_allclose(
        positions(path, [0.3, -0.5, 3.999999]), positions(path, [8.3, 3.5, -1e-6]), atol=1e-9
    )
    middles = np.linalg.norm(positions(path, [0.5, 1.5, 2.5, 3.5])[:, :2], axis=1)
    np.testing.assert_allclose(middles, middles[0])  # no step is special


def test_an_open_path_waits_at_its_ends():
    path = path_of(0, 90)
    np.testing.assert_allclose(positions(path, [-5, 99]), positions(path, [0, 1]))


def test_retiming_changes_when_and_not_where():
    path = path_of(0, 30, 90, 120)
    slower = path.retimed(2, 7.0)
    np.testing.assert_allclose(
        positions(path, path.key_seconds), positions(slower, slower.key_seconds), atol=1e-12
    )
    radii = np.linalg.norm(positions(path, np.linspace(0, 3, 200)), axis=1)
    slow_radii = np.linalg.norm(positions(slower, np.linspace(0, 9, 600)), axis=1)
    assert slow_radii.min() == pytest.approx(radii.min(), abs=1e-3)


@settings(max_examples=25)
@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=6), st.booleans())
def test_a_path_never_turns_back_whatever_the_times(transitions_s, even_speed):
    keys = [key(0.0, radius=1.0)]
    keys += [key(0.0, radius=2.0 + i, transition_s=t) for i, t in enumerate(transitions_s)]
    path = CameraPath(tuple(keys), even_speed=even_speed)
    radii = np.linalg.norm(positions(path, np.linspace(0, path.seconds, 30)), axis=1)
    assert (np.diff(radii) > 0).all()
    assert (radii[0], radii[-1]) == (pytest.approx(1.0), pytest.approx(len(keys)))


def test_even_speed_covers_equal_lengths_in_equal_times():
    keys = (key(0), key(5, transition_s=2.0), key(120, 60, transition_s=0.3), key(150, 10))
    path = CameraPath(keys, even_speed=True)
    steps = np.linalg.norm(
        np.diff(positions(path, np.linspace(0, path.seconds, 1500)), axis=0), axis=1
    )
    assert steps.max() / steps.min() < 1.02
    assert path.seconds == pytest.approx(3.3)
    np.testing.assert_allclose(
        path.at(path.seconds).T_world_camera, keys[-1].T_world_camera, atol=1e-9
    )


def test_even_speed_turns_where_the_camera_only_turns():
    here = START.T_world_camera()
    turned = here.copy()
    turned[:3, :3] = here[:3, :3] @ Rotation.from_rotvec([0, 1.0, 0]).as_matrix()
    path = CameraPath((Keyframe(here, 40.0), Keyframe(turned, 40.0)), even_speed=True)
    angles = [
        Rotation.from_matrix(here[:3, :3].T @ path.at(t).T_world_camera[:3, :3]).magnitude()
        for t in (0.25, 0.5, 0.75)
    ]
    np.testing.assert_allclose(angles, [0.25, 0.5, 0.75], atol=1e-3)


# --- what could divide by zero -----------------------------------------------------------------


def test_one_keyframe_is_a_camera_that_stays():
    for path in (path_of(40), path_of(40, loop=True, even_speed=True)):
        assert path.seconds == 0.0
        assert path.lasting(5.0).seconds == 0.0
        for second in (-1.0, 0.0, 7.0):
            np.testing.assert_array_equal(
                path.at(second).T_world_camera, path.keyframes[0].T_world_camera
            )


@pytest.mark.parametrize("even_speed", [False, True])
@pytest.mark.parametrize("loop", [False, True])
def test_equal_keyframes_hold_still(loop, even_speed):
    assert_usable(path_of(30, 30, loop=loop, even_speed=even_speed), np.linspace(0, 2, 9))
    path = path_of(0, 40, 40, 80, loop=loop)
    np.testing.assert_allclose(
        positions(path, [1.0, 1.2, 1.5, 1.9]), positions(path, [1.0] * 4), atol=1e-9
    )
    held = [path.at(t).T_world_camera[:3, :3] for t in (1.0, 1.5)]
    np.testing.assert_allclose(*held, atol=1e-9)


@pytest.mark.parametrize("even_speed", [False, True])
def test_a_path_through_the_pole_is_finite(even_speed):
    path = CameraPath((key(0, 70), key(0, 90), key(180, 70)), even_speed=even_speed)
    assert_usable(path, np.linspace(0, 2, 41))
    assert path.at(1.0).T_world_camera[2, 3] == pytest.approx(4.0, abs=0.1)


def test_half_turns_are_finite():
    flipped = START.T_world_camera()
    flipped[:3, :3] = flipped[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    assert_usable(
        CameraPath((Keyframe(START.T_world_camera(), 40), Keyframe(flipped, 40))),
        np.linspace(0, 1, 11),
    )


def test_fields_of_view_do_not_overshoot():
    path = CameraPath(tuple(key(10 * i, fov_y_deg=f) for i, f in enumerate((1, 1, 170, 170, 1))))
    fovs = [path.at(t).fov_y_deg for t in np.linspace(0, 4, 200)]
    assert min(fovs) >= 1 - 1e-9
    assert max(fovs) <= 170 + 1e-9


def test_the_sign_of_a_quaternion_does_not_matter():
    """A whole turn in steps of 100 degrees goes on, never back the long way."""
    path = path_of(*(100.0 * k for k in range(8)))
    azimuths = np.unwrap([math.atan2(p[1], p[0]) for p in positions(path, np.linspace(0, 7, 300))])
    assert azimuths[-1] == pytest.approx(math.radians(700), abs=1e-6)
    right = np.array([path.at(t).T_world_camera[:3, 0] for t in np.linspace(0, 7, 300)])
    assert (np.abs(right[:, 2]) < 1e-9).all()  # turning about Z alone never rolls


# --- what rides along --------------------------------------------------------------------------


def test_precisions_last_until_changed_and_wipes_and_gains_are_in_between():
    path = CameraPath(
        (
            key(0, wipe=0.2),
            key(10, precision_a=Precision.INT8, gain=4.0),
            key(20, precision_b=Precision.BF16, wipe=0.8),
        )
    )
    first, second, last = path.at(0.5), path.at(1.0), path.at(2.0)
    assert (first.precision_a, first.precision_b) == (None, None)
    assert (second.precision_a, second.precision_b) == (Precision.INT8, None)
    assert (last.precision_a, last.precision_b) == (Precision.INT8, Precision.BF16)
    assert second.wipe == pytest.approx(0.5)
    assert [view.gain for view in (first, second, last)] == [4.0, 4.0, 4.0]
    assert path_of(0, 10).at(0.5).wipe is None


# --- presets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_presets_last_as_long_as_asked_and_look_at_the_pivot(name):
    path = preset(name, START, 38.0, 6.0, bound_radius=1.4)
    assert path.seconds == pytest.approx(6.0)
    for second in np.linspace(0, 6, 50):
        view = path.at(second)
        to_pivot = np.array(START.pivot) - view.T_world_camera[:3, 3]
        distance = np.linalg.norm(to_pivot)
        assert 1.4 < distance < 4.001
        ahead = -view.T_world_camera[:3, 2]
        assert np.linalg.norm(np.cross(ahead, to_pivot / distance)) < 2e-3
        assert view.fov_y_deg == pytest.approx(38.0)


def test_a_turntable_of_four_keys_is_a_circle_at_one_speed():
    path = turntable(START, 38.0, 6.0)
    assert len(path.keyframes) == 4
    for second in np.linspace(0, 12, 49):
        there = START.orbited(60.0 * second, 0.0).T_world_camera()
        np.testing.assert_allclose(path.at(second).T_world_camera, there, atol=1e-9)


def test_a_spiral_climbs_at_one_speed_and_looks_at_its_pivot():
    path = preset("spiral", START, 38.0, 8.0, bound_radius=1.4)
    assert len(path.keyframes) == 9
    for share in np.linspace(0, 1, 33):
        there = replace(START, azimuth_deg=35 + 720 * share, elevation_deg=5 + 70 * share)
        pose = path.at(8 * share).T_world_camera
        np.testing.assert_allclose(pose, there.T_world_camera(), atol=1e-9)


# --- about a pivot -----------------------------------------------------------------------------

ABOUT = (0.1, -0.2, 0.3)


def about(*orbits: tuple[float, float, float], **options) -> CameraPath:
    keys = (Keyframe(Orbit(*orbit, ABOUT).T_world_camera(), 40.0) for orbit in orbits)
    return CameraPath(tuple(keys), pivot=ABOUT, **options)


def test_keys_that_look_at_a_pivot_are_joined_around_it():
    path = about((170, 10, 4), (-170, 30, 2))
    middle = path.at(0.5).T_world_camera
    # The shorter way round, and half the way nearer by factors.
    there = Orbit(180.0, 20.0, math.sqrt(8.0), ABOUT).T_world_camera()
    np.testing.assert_allclose(middle, there, atol=1e-9)


@pytest.mark.parametrize("even_speed", [False, True])
@pytest.mark.parametrize("loop", [False, True])
@settings(max_examples=15)
@given(
    orbits=st.lists(
        st.tuples(st.floats(-180, 179), st.floats(-90, 90), st.floats(0.1, 50)),
        min_size=2,
        max_size=5,
    )
)
def test_a_camera_about_a_pivot_passes_its_keys_and_never_looks_away(orbits, loop, even_speed):
    path = about(*orbits, loop=loop, even_speed=even_speed)
    if not even_speed:
        for wanted, second in zip(path.keyframes, path.key_seconds, strict=True):
            got = path.at(second).T_world_camera
            np.testing.assert_allclose(got, wanted.T_world_camera, atol=1e-6)
    assert_usable(path, np.linspace(0, path.seconds, 20))
    for second in np.linspace(0, path.seconds, 20):
        pose = path.at(second).T_world_camera
        seen = np.linalg.inv(pose) @ (*ABOUT, 1.0)
        assert seen[2] < 0
        np.testing.assert_allclose(seen[:2], 0, atol=1e-6 * -seen[2])
        assert pose[2, 0] == pytest.approx(0.0, abs=1e-9)  # upright


def test_a_key_that_looks_elsewhere_leaves_the_pivot_to_the_spline():
    free = path_of(0, 90, 180)
    elsewhere = free.replaced(1, Keyframe(Orbit(90, 20, 4, (1, 0, 0)).T_world_camera(), 40.0))
    pivoted = replace(elsewhere, pivot=(0.0, 0.0, 0.0))
    for second in np.linspace(0, 2, 9):
        views = [path.at(second).T_world_camera for path in (elsewhere, pivoted)]
        np.testing.assert_array_equal(*views)
    round_it = replace(free, pivot=(0.0, 0.0, 0.0))
    radii = [np.linalg.norm(positions(path, [0.5])) for path in (round_it, free)]
    assert radii[0] == pytest.approx(4.0)
    assert radii[1] < 3.7


def test_an_unknown_preset_is_a_programming_mistake():
    with pytest.raises(ValueError, match="figure-eight"):
        preset("figure-eight", START, 38.0, 6.0, 1.4)
