"""Rays against numpy loops in float64, and canonical rays against geometry and a ray tracer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2l_core.errors import CameraError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import (
    canonicalise,
    hits_bounds,
    image_rays,
    pixel_rays,
    projected,
    require_in_reach,
    sample_depths,
    sample_points,
)
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.training.demo_scene import render_rays

DEMO = PRESETS["demo"]
# Not at the origin, and with a sphere of another size than the demo's.
ELSEWHERE = SceneSpec(
    name="elsewhere", near=3.0, far=7.0, center=(1.0, -2.0, 0.5), bound_radius=1.5, origin_radius=5
)


def loop_rays(camera: Camera, pixels: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """((i - W/2)/f, -(j - H/2)/f, -1) turned into the world, pixel by pixel."""
    pose, focal = camera.T_world_camera, camera.focal_px
    directions = []
    for i, j in pixels:
        x = (i - camera.width_px / 2) / focal
        y = -(j - camera.height_px / 2) / focal
        directions.append([pose[k, 0] * x + pose[k, 1] * y - pose[k, 2] for k in range(3)])
    return np.tile(pose[:3, 3], (len(pixels), 1)), np.array(directions)


def cameras(scene: SceneSpec, radius_low: float, radius_high: float) -> st.SearchStrategy[Camera]:
    """8 x 6 cameras at those distances from the centre, aimed at a point near it, with a wide
    view; from everywhere."""

    def aimed(azimuth: float, elevation: float, radius: float, aim: tuple, focal: float) -> Camera:
        at_centre = Orbit(azimuth, elevation, radius, scene.center).T_world_camera()
        backward = at_centre[:3, 3] - (np.asarray(scene.center) + aim)
        backward /= np.linalg.norm(backward)
        right = np.cross(at_centre[:3, 1], backward)
        right /= np.linalg.norm(right)
        pose = at_centre.copy()
        pose[:3, :3] = np.stack([right, np.cross(backward, right), backward], axis=1)
        return Camera(pose, 8, 6, focal)

    aim = st.floats(-0.4, 0.4)
    return st.builds(
        aimed,
        azimuth=st.floats(0, 360),
        elevation=st.floats(-89, 89),
        radius=st.floats(radius_low, radius_high),
        aim=st.tuples(aim, aim, aim),
        focal=st.floats(5.0, 20.0),
    )


OUTSIDE = [
    pytest.param(DEMO, id="demo"),
    pytest.param(ELSEWHERE, id="elsewhere"),
]


def away_from(scene: SceneSpec, distance: float) -> Camera:
    """A camera at that distance from the scene's centre which has it exactly behind it."""
    pose = Orbit(20.0, 15.0, distance, scene.center).T_world_camera()
    pose[:3, 0] *= -1
    pose[:3, 2] *= -1
    return Camera(pose, 8, 6, 10.0)


# --- pixels to rays ----------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height", "focal"), [(7, 5, 9.3), (1, 1, 1.0), (16, 4, 22.0)])
def test_image_rays_row_by_row(width, height, focal):
    camera = Orbit(37, 21, 4.2, (0.3, -0.1, 0.2)).camera(width, height, focal)
    pixels = [(i, j) for j in range(height) for i in range(width)]
    expected_origins, expected_directions = loop_rays(camera, pixels)
    origins, directions = image_rays(camera)
    assert origins.dtype == directions.dtype == torch.float32
    np.testing.assert_allclose(origins.numpy(), expected_origins, atol=1e-6)
    np.testing.assert_allclose(directions.numpy(), expected_directions, atol=1e-6)


def test_corner_pixels_have_no_half_pixel_offset():
    camera = Camera(np.eye(4), 400, 300, 500.0)
    columns, rows = torch.tensor([0, 399, 0, 399, 200]), torch.tensor([0, 0, 299, 299, 150])
    _, directions = pixel_rays(camera, columns, rows)
    expected = [
        (-0.4, 0.3, -1),
        (199 / 500, 0.3, -1),
        (-0.4, -149 / 500, -1),
        (199 / 500, -149 / 500, -1),
        (0, 0, -1),
    ]
    np.testing.assert_allclose(directions.numpy(), expected, atol=1e-7)


@given(
    st.floats(-180, 180),
    st.floats(-90, 90),
    st.lists(st.tuples(st.floats(-20, 60), st.floats(-20, 60)), min_size=1, max_size=8),
)
def test_fractional_pixels(azimuth, elevation, pixels):
    camera = Orbit(azimuth, elevation, 4.0).camera(40, 30, 55.5)
    columns, rows = torch.tensor(pixels, dtype=torch.float32).T
    origins, directions = pixel_rays(camera, columns, rows)
    expected_origins, expected_directions = loop_rays(camera, pixels)
    np.testing.assert_allclose(origins.numpy(), expected_origins, atol=1e-5)
    np.testing.assert_allclose(directions.numpy(), expected_directions, atol=1e-5)


@given(cameras(DEMO, 1.5, 10))
def test_the_forward_component_of_a_direction_is_one(camera):
    _, directions = image_rays(camera)
    forward = -camera.T_world_camera[:3, 2]
    np.testing.assert_allclose(directions.double().numpy() @ forward, 1.0, atol=1e-6)


@given(cameras(DEMO, 1.5, 10), st.integers(1, 40))
def test_a_point_on_a_ray_is_seen_at_the_rays_pixel(camera, depth):
    origins, directions = image_rays(camera)
    points = origins + depth * directions
    row, column, depths = projected(camera, points)
    expected = torch.cartesian_prod(torch.arange(6.0), torch.arange(8.0))
    torch.testing.assert_close(torch.stack([row, column], 1), expected, atol=1e-2, rtol=0)
    torch.testing.assert_close(depths, torch.full((48,), float(depth)), atol=1e-4, rtol=1e-4)
    pixels, in_float64 = camera.projected(points.double().numpy())
    np.testing.assert_allclose(torch.stack([column, row], 1).numpy(), pixels, atol=1e-2)
    np.testing.assert_allclose(depths.numpy(), in_float64, rtol=1e-4)


# --- points on rays ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_sample", [2, 5, 16])
def test_sample_depths(n_sample):
    depths = sample_depths(ELSEWHERE, n_sample)
    expected = [3.0 * (1 - k / (n_sample - 1)) + 7.0 * k / (n_sample - 1) for k in range(n_sample)]
    np.testing.assert_allclose(depths.numpy(), expected, rtol=1e-6)
    assert depths.dtype == torch.float32
    assert (depths[0].item(), depths[-1].item()) == (3.0, 7.0)


def test_sample_points_are_sample_major():
    generator = torch.Generator().manual_seed(1)
    origins, directions = torch.randn(2, 5, 3, generator=generator)
    depths = torch.tensor([2.0, 3.5, 6.0, 7.0])
    points = sample_points(origins, directions, depths)
    assert points.shape == (5, 12)
    for ray in range(5):
        for sample in range(4):
            for axis in range(3):
                expected = origins[ray, axis] + directions[ray, axis] * depths[sample]
                assert points[ray, 3 * sample + axis].item() == pytest.approx(expected.item())


# --- canonical rays ----------------------------------------------------------------------------


def _geometry(camera: Camera, scene: SceneSpec):
    """Rays before and after, in float64 and relative to the scene's centre, and which of them have
    the origin sphere's inner part ahead: beyond that the direction's scale is bounded, and the rays
    are background anyway."""
    origins, directions = image_rays(camera)
    moved, turned = canonicalise(origins, directions, scene)
    assert moved.dtype == turned.dtype == torch.float32
    center = np.asarray(scene.center)
    o, d, m, t = (x.double().numpy() for x in (origins, directions, moved, turned))
    unit = d / np.linalg.norm(d, axis=1, keepdims=True)
    distance = np.linalg.norm(np.cross(o - center, unit), axis=1)
    inner = (distance < 0.9 * scene.origin_radius) & (((o - center) * unit).sum(1) < 0)
    return o - center, unit, m - center, t, inner


@pytest.mark.parametrize("scene", OUTSIDE)
@given(data=st.data())
def test_canonical_origins_lie_on_the_sphere_and_on_the_same_line(scene, data):
    camera = data.draw(cameras(scene, scene.bound_radius * 1.01, 4 * scene.origin_radius))
    origins, unit, moved, turned, inner = _geometry(camera, scene)
    assert inner.any()
    radius = np.linalg.norm(moved, axis=1)
    np.testing.assert_allclose(radius[inner], scene.origin_radius, rtol=1e-4)
    off_line = np.linalg.norm(np.cross(moved - origins, unit), axis=1)
    assert off_line.max() < 2e-4
    np.testing.assert_allclose(
        turned / np.linalg.norm(turned, axis=1, keepdims=True), unit, atol=1e-5
    )


@pytest.mark.parametrize("scene", OUTSIDE)
@given(data=st.data())
def test_canonical_directions_go_one_unit_towards_the_centre(scene, data):
    camera = data.draw(cameras(scene, scene.bound_radius * 1.01, 4 * scene.origin_radius))
    _, _, moved, turned, inner = _geometry(camera, scene)
    towards = -(turned * moved).sum(1) / np.linalg.norm(moved, axis=1)
    np.testing.assert_allclose(towards[inner], 1.0, atol=1e-3)


@pytest.mark.parametrize("scene", OUTSIDE)
@given(azimuth=st.floats(0, 360), elevation=st.floats(-90, 90))
def test_canonicalising_changes_nothing_for_the_training_cameras(scene, azimuth, elevation):
    orbit = Orbit(azimuth, elevation, scene.origin_radius, scene.center)
    origins, directions = image_rays(orbit.camera(16, 16, scene.focal_px(16)))
    moved, turned = canonicalise(origins, directions, scene)
    assert (moved - origins).abs().max() <= 1e-4
    assert (turned - directions).abs().max() <= 1e-4


@pytest.mark.parametrize("scene", OUTSIDE)
@given(data=st.data())
def test_rays_past_the_sphere_stay_finite_background(scene, data):
    camera = data.draw(cameras(scene, 1.5 * scene.origin_radius, 4 * scene.origin_radius))
    wide = Camera(camera.T_world_camera, 8, 6, 1.5)
    origins, directions = image_rays(wide)
    moved, turned = canonicalise(origins, directions, scene)
    assert torch.isfinite(moved).all()
    assert torch.isfinite(turned).all()
    unit = directions / directions.norm(dim=1, keepdim=True)
    distance = torch.linalg.cross(origins - torch.tensor(scene.center), unit).norm(dim=1)
    missed = distance > scene.origin_radius
    assert missed.any()
    assert not hits_bounds(moved, turned, scene)[missed].any()


def test_scenes_without_an_origin_sphere_keep_their_rays():
    scene = SceneSpec(name="released")
    origins, directions = image_rays(Orbit(10, 20, 3).camera(4, 4, 5.0))
    moved, turned = canonicalise(origins, directions, scene)
    assert torch.equal(moved, origins)
    assert torch.equal(turned, directions)


@pytest.mark.parametrize("distance", [1.5, 2.5, 4.0, 9.0])
def test_canonical_rays_see_the_same_colours(distance):
    """In empty space a ray's colour does not depend on where along it the origin lies."""
    camera = Orbit(70, 25, distance, (0.1, 0.0, -0.1)).camera(24, 24, 20.0)
    origins, directions = image_rays(camera)
    before = render_rays(origins, directions)
    after = render_rays(*canonicalise(origins, directions, DEMO))
    assert (before != 1).any()
    # Rays that graze an edge may fall on its other side; hardly any do.
    assert ((before - after).abs().amax(1) > 0.01).float().mean() < 0.01


@pytest.mark.parametrize("distance", [1.5, 2.5, 3.9, 4.0, 6.0])
def test_what_lies_behind_the_camera_is_not_seen(distance):
    """A camera outside the scene with its back to it sees background, canonical rays or not."""
    origins, directions = image_rays(away_from(DEMO, distance))
    assert (render_rays(origins, directions) == 1).all()
    moved, turned = canonicalise(origins, directions, DEMO)
    assert (render_rays(moved, turned) == 1).all()
    assert not hits_bounds(moved, turned, DEMO).any()


# --- bounds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", OUTSIDE)
def test_hits_bounds_against_walking_along_the_ray(scene):
    generator = torch.Generator().manual_seed(3)
    n = 600
    origins = torch.randn(n, 3, generator=generator) * 3 + torch.tensor(scene.center)
    directions = torch.randn(n, 3, generator=generator) * torch.rand(n, 1, generator=generator) * 3
    steps = np.linspace(0.0, 20.0, 4001)
    relative = origins.double().numpy() - np.asarray(scene.center)
    unit = directions.double().numpy()
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    nearest = np.array(
        [
            np.linalg.norm(r + steps[:, None] * u, axis=1).min()
            for r, u in zip(relative, unit, strict=True)
        ]
    )
    clear = np.abs(nearest - scene.bound_radius) > 2e-3
    expected = nearest < scene.bound_radius
    hits = hits_bounds(origins, directions, scene).numpy()
    np.testing.assert_array_equal(hits[clear], expected[clear])
    inside = np.linalg.norm(relative, axis=1) < scene.bound_radius
    behind = ~expected & (np.linalg.norm(np.cross(relative, unit), axis=1) < scene.bound_radius)
    assert inside.any()
    assert behind.any()
    assert hits[inside].all()


def test_hits_bounds_does_not_depend_on_the_length_of_a_direction():
    camera = Orbit(10, 20, 5).camera(16, 16, math.pi)
    origins, directions = image_rays(camera)
    hits = hits_bounds(origins, directions, DEMO)
    assert hits.any()
    assert not hits.all()
    assert torch.equal(hits_bounds(origins, directions * 7.0, DEMO), hits)


@pytest.mark.parametrize("radius", [0.05, 4.0, 1e4])
def test_cameras_in_reach(scene, radius):
    require_in_reach(Orbit(10.0, 20.0, radius, scene.center).camera(40, 30, 50.0), scene)


@pytest.mark.parametrize("radius", [1e5, 1e20, 1e300])
def test_cameras_beyond_float32(scene, radius):
    """Rays from 10,000 radii of the scene are off by about a thousandth of it."""
    with pytest.raises(CameraError, match="too far"):
        require_in_reach(Orbit(10.0, 20.0, radius, scene.center).camera(40, 30, 50.0), scene)


def test_views_as_wide_as_half_the_world(scene):
    with pytest.raises(CameraError, match="too wide"):
        require_in_reach(Orbit(10.0, 20.0, 4.0, scene.center).camera(40, 30, 1e-300), scene)
