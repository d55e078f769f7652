"""The demo's ray tracer against a scalar one written here in plain Python, ray by ray."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from r2l_core.errors import SceneError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import hits_bounds, image_rays
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.training.demo_scene import SPHERES, TABLE_RADIUS, TABLE_Z, Sphere, render_rays
from r2l_core.training.teachers import TEACHERS, supersampled_image, teacher_of

pytestmark = pytest.mark.slow

DEMO = PRESETS["demo"]
Vector = tuple[float, float, float]

# --- the scalar tracer -------------------------------------------------------------------------


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def along(origin: Vector, direction: Vector, distance: float) -> Vector:
    x, y, z = (o + distance * d for o, d in zip(origin, direction, strict=True))
    return x, y, z


def unit(a: Vector) -> Vector:
    return along((0, 0, 0), a, 1 / math.sqrt(dot(a, a)))


SUN: Vector = unit((0.42, -0.36, 0.83))


def nearest(origin: Vector, direction: Vector) -> tuple[float, Sphere | str] | None:
    """Distance along a unit direction to the first sphere or the table, and which."""
    hits: list[tuple[float, Sphere | str]] = []
    for sphere in SPHERES:
        to_center = along(sphere.center, origin, -1.0)
        middle = dot(to_center, direction)
        off_axis = dot(to_center, to_center) - middle * middle
        if off_axis < sphere.radius**2:
            entry = middle - math.sqrt(sphere.radius**2 - off_axis)
            if entry > 0:
                hits.append((entry, sphere))
    if direction[2] != 0:
        distance = (TABLE_Z - origin[2]) / direction[2]
        x, y, _ = along(origin, direction, distance)
        if distance > 0 and math.hypot(x, y) < TABLE_RADIUS:
            hits.append((distance, "table"))
    return min(hits, key=lambda hit: hit[0], default=None)


def smooth(t: float) -> float:
    t = min(max(t, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def sky(direction: Vector) -> Vector:
    height = smooth((direction[2] + 0.25) / 1.1)
    glow = smooth((dot(direction, (-0.70, 0.45, 0.55)) - 0.62) / 0.12)
    low, high, window = (0.10, 0.13, 0.19), (0.58, 0.65, 0.74), (0.40, 0.34, 0.24)
    r, g, b = (
        dark + (light - dark) * height + glow * extra
        for dark, light, extra in zip(low, high, window, strict=True)
    )
    return r, g, b


def table_color(point: Vector, from_below: bool) -> Vector:
    if from_below:
        return 0.25, 0.22, 0.20
    radius = math.hypot(point[0], point[1])
    if radius > 0.95 * TABLE_RADIUS:
        return 0.16, 0.05, 0.03
    angle = math.atan2(point[1], point[0])
    ring = math.floor(radius / TABLE_RADIUS * 5)
    sector = math.floor((angle / math.pi + 1) * 8 + 0.5 * ring)
    wood = (0.80, 0.70, 0.54) if (ring + sector) % 2 else (0.09, 0.22, 0.26)
    return along((0, 0, 0), wood, 0.86 + 0.14 * math.sin(14 * radius + 3 * angle))


def sphere_color(sphere: Sphere, normal: Vector) -> Vector:
    in_band = (dot(normal, (0.36, 0.22, 0.90)) * 3.2 + 0.3) % 2 < 0.8
    return sphere.band_color if sphere.band_color and in_band else sphere.color


def seen_color(origin: Vector, direction: Vector, bounces: int) -> Vector | None:
    """Linear colour along a unit direction, or None where nothing is hit."""
    hit = nearest(origin, direction)
    if hit is None:
        return None
    distance, thing = hit
    point = along(origin, direction, distance)
    if isinstance(thing, Sphere):
        normal = along((0, 0, 0), along(point, thing.center, -1.0), 1 / thing.radius)
        color, mirror, highlight = sphere_color(thing, normal), thing.mirror, thing.highlight
    else:
        normal = (0.0, 0.0, 1.0 if direction[2] < 0 else -1.0)
        color, mirror, highlight = table_color(point, direction[2] > 0), 0.04, 0.0

    start = along(point, normal, 1e-3)
    facing = max(dot(normal, SUN), 0.0)
    lit = facing if nearest(start, SUN) is None else 0.0
    cosine = -dot(direction, normal)
    reflected = along(direction, normal, 2 * cosine)
    mirrored = seen_color(start, reflected, bounces - 1) if bounces else None
    if mirrored is None:
        mirrored = sky(reflected)

    reflectance = mirror + 0.7 * (1 - mirror) * (1 - min(max(cosine, 0), 1)) ** 5
    metal = mirror > 0.5
    glint = highlight * max(dot(reflected, SUN), 0) ** 180 if lit else 0.0
    light = 0.38 * (0.6 + 0.4 * normal[2]) + 0.95 * lit
    r, g, b = (
        (0.12 if metal else 1 - reflectance) * c * light
        + reflectance * m * (c if metal else 1)
        + glint
        for c, m in zip(color, mirrored, strict=True)
    )
    return r, g, b


def traced(origin: Tensor, direction: Tensor) -> list[float]:
    color = seen_color(tuple(origin.tolist()), unit(tuple(direction.tolist())), bounces=2)
    return [1.0] * 3 if color is None else [min(max(c, 0), 1) ** (1 / 2.2) for c in color]


def rays_of_all_views(per_view: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random pixels of cameras all around, above and below the table."""
    generator = torch.Generator().manual_seed(seed)
    origins, directions = [], []
    for elevation in (-30, 5, 30, 60, 88):
        for azimuth in (0, 120, 240):
            orbit = Orbit(azimuth + elevation, elevation, 4.0)
            rays = image_rays(orbit.camera(64, 64, 90.0))
            rows = torch.randint(64 * 64, (per_view,), generator=generator)
            origins.append(rays[0][rows])
            directions.append(rays[1][rows])
    return torch.cat(origins), torch.cat(directions)


def towards(origin: Vector, target: Vector) -> tuple[Tensor, Tensor]:
    """The one ray from a point to another."""
    return torch.tensor([origin]), torch.tensor([target]) - torch.tensor([origin])


# --- colours -----------------------------------------------------------------------------------


def test_every_colour_against_the_scalar_tracer():
    origins, directions = rays_of_all_views()
    colors = render_rays(origins, directions)
    expected = torch.tensor(
        [traced(o, d) for o, d in zip(origins, directions, strict=True)], dtype=torch.float32
    )
    hit = (expected != 1).any(1)
    assert 0.3 < hit.float().mean() < 0.95
    wrong = (colors - expected).abs().amax(1) > 2e-3
    # A ray within rounding of an edge or a shadow's border may fall on its other side.
    assert wrong.sum() <= 0.01 * len(wrong)


def test_a_sphere_is_hit_where_geometry_says():
    """Rays that pass just inside and just outside of a silhouette, nothing else near."""
    sphere = SPHERES[0]
    eye = (0.0, 0.0, 4.0)
    half_angle = math.asin(sphere.radius / (4.0 - sphere.center[2]))
    # Away from the table's sectors, whose edges lie at multiples of 11.25 degrees.
    for degrees in range(5, 360, 45):
        side = (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
        for share, expected in ((0.999, sphere), (1.001, "table")):
            slope = math.tan(half_angle * share)
            direction = (slope * side[0], slope * side[1], -1.0)
            hit = nearest(eye, unit(direction))
            assert hit is not None
            if isinstance(expected, Sphere):
                assert hit[1] is sphere
            else:
                assert hit[1] is not sphere
            color = render_rays(torch.tensor([eye]), torch.tensor([direction]))[0]
            scalar = traced(torch.tensor(eye), torch.tensor(direction))
            assert color.tolist() == pytest.approx(scalar, abs=5e-3)


def test_the_table_is_round_and_solid_from_both_sides():
    for degrees in range(0, 360, 20):
        x, y = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        for z in (3.0, -3.0):
            inside = (0.999 * TABLE_RADIUS * x, 0.999 * TABLE_RADIUS * y)
            outside = (1.001 * TABLE_RADIUS * x, 1.001 * TABLE_RADIUS * y)
            down = torch.tensor([[0.0, 0.0, -z]])
            assert (render_rays(torch.tensor([[*inside, z]]), down) < 1).all()
            assert (render_rays(torch.tensor([[*outside, z]]), down) == 1).all()


def test_shadows_fall_where_the_sun_is_hidden():
    """Table points seen from above: those in shadow get a third of the light."""
    lit, unlit = [], []
    for i in range(-24, 25):
        for j in range(-24, 25):
            point = (i * 0.05, j * 0.05, TABLE_Z)
            hit = nearest((point[0], point[1], 4.0), (0.0, 0.0, -1.0))
            if hit is None or hit[1] != "table" or math.hypot(*point[:2]) > 0.9 * TABLE_RADIUS:
                continue
            start = (point[0], point[1], TABLE_Z + 1e-3)
            color = render_rays(*towards((point[0], point[1], 4.0), point))[0]
            albedo = table_color(point, from_below=False)
            if albedo[0] > 0.5:  # on the dark wood, what it mirrors counts as much
                share = float(color[0]) ** 2.2 / albedo[0]
                (lit if nearest(start, SUN) is None else unlit).append(share)
    assert len(lit) > 50
    assert len(unlit) > 20
    # What the table mirrors comes on top.
    for shares, light in ((lit, 0.38 + 0.95 * SUN[2]), (unlit, 0.38)):
        assert min(shares) > 0.96 * light - 0.01
        assert max(shares) < 0.96 * light + 0.1


# --- background and bounds ---------------------------------------------------------------------


def test_what_misses_everything_is_exactly_white():
    origins, directions = rays_of_all_views(seed=1)
    missed = torch.tensor(
        [
            nearest(tuple(o.tolist()), unit(tuple(d.tolist()))) is None
            for o, d in zip(origins, directions, strict=True)
        ]
    )
    assert missed.any()
    assert (render_rays(origins, directions)[missed] == 1).all()


def test_everything_visible_lies_within_the_bounding_sphere():
    generator = torch.Generator().manual_seed(2)
    n = 200_000
    axis = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=1)
    side = torch.nn.functional.normalize(
        torch.linalg.cross(axis, torch.randn(n, 3, generator=generator)), dim=1
    )
    # Lines past the sphere, many of them close.
    distance = DEMO.bound_radius * (1.0005 + 0.3 * torch.rand(n, 1, generator=generator) ** 2)
    origins = side * distance - 5 * axis
    assert not hits_bounds(origins, axis, DEMO).any()
    assert (render_rays(origins, axis) == 1).all()


def test_the_bounding_sphere_holds_the_geometry_without_much_room():
    reach = [math.sqrt(dot(s.center, s.center)) + s.radius for s in SPHERES]
    reach.append(math.hypot(TABLE_RADIUS, TABLE_Z))
    assert max(reach) <= DEMO.bound_radius
    assert max(reach) > 0.9 * DEMO.bound_radius


def test_the_depth_range_covers_the_bounding_sphere_from_the_origin_sphere():
    assert DEMO.near <= DEMO.origin_radius - DEMO.bound_radius
    assert DEMO.far >= DEMO.origin_radius + DEMO.bound_radius


def test_spheres_do_not_touch_each_other_or_the_table():
    for k, one in enumerate(SPHERES):
        assert one.center[2] - one.radius >= TABLE_Z - 1e-6
        for other in SPHERES[:k]:
            apart = along(one.center, other.center, -1.0)
            assert math.sqrt(dot(apart, apart)) > one.radius + other.radius


# --- properties --------------------------------------------------------------------------------


def test_colours_are_finite_srgb():
    origins, directions = rays_of_all_views(per_view=400, seed=3)
    colors = render_rays(origins, directions)
    assert colors.dtype == torch.float32
    assert torch.isfinite(colors).all()
    assert colors.min() >= 0
    assert colors.max() <= 1
    assert colors.std() > 0.1


def test_rays_from_within_stay_finite():
    generator = torch.Generator().manual_seed(4)
    origins = torch.randn(2000, 3, generator=generator)
    directions = torch.randn(2000, 3, generator=generator)
    directions[:200, 2] = 0.0
    colors = render_rays(origins, directions)
    assert torch.isfinite(colors).all()


def test_colours_are_deterministic_and_each_ray_is_on_its_own():
    origins, directions = rays_of_all_views(seed=5)
    colors = render_rays(origins, directions)
    assert torch.equal(render_rays(origins, directions), colors)
    order = torch.randperm(len(origins), generator=torch.Generator().manual_seed(6))
    shuffled = render_rays(origins[order], directions[order])
    differs = (shuffled - colors[order]).abs().amax(1) > 1e-3
    assert differs.sum() <= 0.005 * len(order)


def test_the_length_of_a_direction_does_not_matter():
    origins, directions = rays_of_all_views(seed=7)
    longer = render_rays(origins, directions * 3.7)
    differs = (longer - render_rays(origins, directions)).abs().amax(1) > 1e-3
    assert differs.sum() <= 0.01 * len(origins)


def test_no_rays_no_colours():
    assert render_rays(torch.empty(0, 3), torch.empty(0, 3)).shape == (0, 3)


def _seen_from_around(target: Vector, elevation: float) -> Tensor:
    """Colours of one point from cameras 30 degrees to either side that see it, (N, 3)."""
    colors = []
    for azimuth in range(0, 61, 5):
        eye = Orbit(azimuth, elevation, 4.0, target).T_world_camera()[:3, 3]
        eye_vector = (float(eye[0]), float(eye[1]), float(eye[2]))
        hit = nearest(eye_vector, unit(along(target, eye_vector, -1.0)))
        assert hit is not None
        assert hit[0] == pytest.approx(4.0, abs=1e-4), "something hides the point"
        colors.append(render_rays(*towards(eye_vector, target))[0])
    return torch.stack(colors)


def test_a_mirror_changes_with_the_view_and_the_table_does_not():
    sphere = SPHERES[0]
    # On its side, where it mirrors the table's inlays.
    facing = (math.cos(math.radians(30)), math.sin(math.radians(30)), 0.0)
    on_mirror = _seen_from_around(along(sphere.center, facing, sphere.radius), 55.0)
    on_table = _seen_from_around((1.05, 0.1, TABLE_Z), 60.0)

    def change(colors: Tensor) -> float:
        return float((colors.amax(0) - colors.amin(0)).max())

    assert change(on_mirror) > 0.25
    assert change(on_table) < 0.05


# --- teachers ----------------------------------------------------------------------------------


def test_the_demo_names_its_teacher():
    assert teacher_of(DEMO) is render_rays
    assert DEMO.teacher in TEACHERS


def test_scenes_without_a_teacher_are_named():
    with pytest.raises(SceneError, match=r"'villa'.*names no teacher.*demo"):
        teacher_of(SceneSpec(name="villa"))
    with pytest.raises(SceneError, match="'oracle' is unknown"):
        teacher_of(replace(DEMO, teacher="oracle"))


def test_supersampling_is_centred_on_the_pixels_own_ray():
    camera = Camera(torch.eye(4).numpy(), 5, 3, 7.0)
    offsets: list[tuple[float, float]] = []
    _, own = image_rays(camera)

    def recording(origins: Tensor, directions: Tensor) -> Tensor:
        assert (origins == 0).all()
        moved = (directions - own) * 7.0
        assert (moved - moved[0]).abs().max() < 1e-5, "every pixel is moved alike"
        offsets.append((round(float(moved[0, 0]), 4), round(-float(moved[0, 1]), 4)))
        return torch.zeros(len(origins), 3)

    supersampled_image(recording, camera)
    steps = (-0.375, -0.125, 0.125, 0.375)
    assert sorted(offsets) == sorted((x, y) for x in steps for y in steps)


def test_the_mean_of_a_linear_teacher_is_its_value_at_the_pixel():
    camera = Orbit(10, 20, 4.0).camera(9, 7, 11.0)

    def linear(_origins: Tensor, directions: Tensor) -> Tensor:
        return directions * torch.tensor([0.1, 0.2, 0.3])

    _, directions = image_rays(camera)
    expected = (directions * torch.tensor([0.1, 0.2, 0.3])).view(7, 9, 3)
    for samples in (1, 2, 4):
        image = supersampled_image(linear, camera, samples)
        torch.testing.assert_close(image, expected, atol=1e-6, rtol=0)


def test_large_truths_are_made_in_chunks():
    camera = Orbit(30, 30, 4.0).camera(130, 70, 150.0)  # more than one chunk of 8,192
    image = supersampled_image(render_rays, camera, 2)
    total = torch.zeros(130 * 70, 3)
    for dy in (-0.25, 0.25):
        for dx in (-0.25, 0.25):
            # A camera whose centre is moved the other way sees the same.
            pose = torch.tensor(camera.T_world_camera)
            rows, columns = torch.meshgrid(torch.arange(70), torch.arange(130), indexing="ij")
            x = (columns.reshape(-1) + dx - 65) / 150
            y = -(rows.reshape(-1) + dy - 35) / 150
            local = torch.stack([x, y, -torch.ones_like(x)], 1).double()
            directions = (local @ pose[:3, :3].T).float()
            origins = pose[:3, 3].float().expand_as(directions)
            total += render_rays(origins, directions)
    differs = (image.view(-1, 3) - total / 4).abs().amax(1) > 2e-3
    assert differs.float().mean() < 0.005
