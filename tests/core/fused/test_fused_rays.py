"""Rays of pixels in native code are those of torch, on every level of instruction sets."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from r2l_core.engines.backends import ENGINES
from r2l_core.engines.fused import library
from r2l_core.engines.fused.rays import pixel_rays
from r2l_core.engines.processor import this_processor
from r2l_core.geometry.rays import camera_values, flat_pixel_rays, network_rays
from r2l_core.model.light_field import LightField
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision
from tests.cuda_cases import rays_of_torch

pytestmark = pytest.mark.slow

LEVELS = [
    library.level_of(library.load(library.library_path()), name)
    for name in library.levels_for(this_processor())
]
each_level = pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)


def orbits(scene):
    """From where all is seen, from within the spheres, beside the scene, and with it behind."""
    home = scene.home()
    return {
        "home": home,
        "near": replace(home, radius=0.3 * home.radius),
        "inside": replace(home, radius=0.05),
        "beside": replace(home, pivot=(2.0, 1.0, 0.5)),
        "far": replace(home, radius=40.0, elevation_deg=-60.0),
    }


@pytest.fixture
def scene(light_field: LightField):
    return replace(light_field.scene, origin_radius=3.7)


@each_level
@pytest.mark.parametrize("ray_mode", ["plain", "canonical"])
@pytest.mark.parametrize("skips", [True, False], ids=["skips", "asks"])
@pytest.mark.parametrize("place", ["home", "near", "inside", "beside", "far"])
def test_they_are_those_of_torch(level, scene, ray_mode, skips, place):
    camera = orbits(scene)[place].camera(61, 47, 50.0)
    random = torch.Generator().manual_seed(1)
    pixels = torch.randperm(61 * 47, generator=random)[:2000]
    found = pixel_rays(level, camera, pixels, scene, ray_mode, skips)
    rays = flat_pixel_rays(camera_values(camera), pixels, camera.width_px)
    origins, directions, asked = network_rays(*rays, scene, ray_mode, skips)
    asked = torch.ones(len(pixels), dtype=torch.bool) if asked is None else asked
    # Torch's lengths and roots are off by a last bit here and there.
    close = {"rtol": 0, "atol": 0} if ray_mode == "plain" else {"rtol": 2e-5, "atol": 2e-5}
    assert torch.equal(found.asked, pixels[asked])
    assert torch.equal(found.others, pixels[~asked])
    torch.testing.assert_close(found.origins, origins[asked], **close)
    torch.testing.assert_close(found.directions, directions[asked], **close)


@each_level
@pytest.mark.parametrize("n", [0, 1])
def test_few_pixels(level, scene, n):
    camera = scene.home_camera()
    found = pixel_rays(level, camera, torch.arange(n), scene, "plain", False)
    assert [len(part) for part in found] == [n, n, n, 0]


def test_a_list_with_gaps_in_memory_is_read_as_it_is(scene):
    camera = scene.home_camera()
    pixels = torch.arange(0, 3000)
    whole = pixel_rays(LEVELS[-1], camera, pixels[::3].clone(), scene, "plain", False)
    gaps = pixel_rays(LEVELS[-1], camera, pixels[::3], scene, "plain", False)
    assert all(torch.equal(one, other) for one, other in zip(whole, gaps, strict=True))


@pytest.mark.parametrize(
    "pixels", [torch.zeros(3, dtype=torch.int32), torch.zeros(3), torch.zeros(2, 3).long()], ids=str
)
def test_other_pixels_are_refused(scene, pixels):
    with pytest.raises(ValueError, match="int64"):
        pixel_rays(LEVELS[-1], scene.home_camera(), pixels, scene, "plain", False)


def test_without_the_library_torch_makes_them(light_field, monkeypatch):
    engine = ENGINES["reference"].build(light_field, Precision.FP32, "cpu")
    camera, pixels = light_field.scene.home_camera(), torch.arange(0, 900, 7)
    native = NetworkSource(engine, light_field.scene).plan(camera, pixels)

    rays_of_torch(monkeypatch)
    torch_made = NetworkSource(engine, light_field.scene).plan(camera, pixels)
    assert torch.equal(native.batch.pixels, torch_made.batch.pixels)
    for one, other in zip(native.batch.rays, torch_made.batch.rays, strict=True):
        assert torch.equal(one, other)
