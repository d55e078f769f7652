"""Lists of pixels on the device, with a processor in its place: previews, refinement, and the
self-check of what an engine makes of cameras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core.engines import choice
from r2l_core.engines.base import Shaded
from r2l_core.engines.cuda import pictures, pixels
from r2l_core.engines.cuda.engine import CudaEngine
from r2l_core.errors import EngineError
from r2l_core.geometry import rays
from r2l_core.geometry.orbit import Orbit
from r2l_core.render import sources
from r2l_core.render.frames import RenderRequest
from r2l_core.render.panes import Pane
from r2l_core.render.renderer import Renderer
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision
from tests.cuda_cases import RaysOnly, rays_of_torch
from tests.small_light_fields import SCENE
from tests.stand_in_device import StandInDevice

pytestmark = pytest.mark.slow

WIDTH_PX, HEIGHT_PX = 37, 23
TILE_RAYS = 512


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    rays_of_torch(monkeypatch)
    monkeypatch.setattr(CudaEngine, "tile_rays", TILE_RAYS)
    monkeypatch.setattr(pixels, "_TESTED_AT_ONCE", 400)


@pytest.fixture
def device():
    return StandInDevice()


@pytest.fixture
def source_of(light_field, device):
    """A function (ray_mode, skips_background, rays_only) that makes sources of one light field."""

    def make(ray_mode="canonical", skips=True, rays_only=False) -> NetworkSource:
        engine = CudaEngine(light_field, Precision.FP32, device, None)
        engine = RaysOnly(engine) if rays_only else engine
        return NetworkSource(engine, light_field.scene, ray_mode, skips)

    return make


def camera_at(radius: float, pivot=SCENE.center):
    orbit = Orbit(20.0, 30.0, radius, pivot)
    return orbit.camera(WIDTH_PX, HEIGHT_PX, SCENE.focal_px(WIDTH_PX))


CAMERAS = {
    "home": camera_at(4.0),
    "far": camera_at(9.0),
    "within": camera_at(0.7),
    "away": camera_at(4.0, pivot=(40.0, 0.0, 0.0)),
}

SOME = torch.randperm(WIDTH_PX * HEIGHT_PX, generator=torch.Generator().manual_seed(0))[:700]
"""More than a tile, in no order."""


def answer(source: NetworkSource, camera, wanted, whole=False):
    """Planned and shaded: flat indices, and their colours, float32 (n, 3)."""
    plan = source.plan(camera, wanted, whole)
    parts = [colors.clone() for colors, _ in source.shade(camera, plan.batch)]
    return plan, torch.cat([torch.empty(0, 3), *parts])


# --- the same as of rays that the processor makes ----------------------------------------------


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())
@pytest.mark.parametrize("whole", [False, True], ids=["may-skip", "whole"])
@pytest.mark.parametrize("skips", [False, True], ids=["all", "skips"])
@pytest.mark.parametrize("ray_mode", ["plain", "canonical"])
def test_pixels_are_those_of_their_rays(source_of, camera, ray_mode, skips, whole):
    plan, colors = answer(source_of(ray_mode, skips), camera, SOME, whole)
    expected_plan, expected = answer(
        source_of(ray_mode, skips, rays_only=True), camera, SOME, whole
    )
    assert torch.equal(plan.batch.pixels, expected_plan.batch.pixels)
    assert torch.equal(plan.background, expected_plan.background)
    assert plan.skipped == expected_plan.skipped
    assert plan.background_rgb == expected_plan.background_rgb or not len(plan.background)
    # Matrix products may round otherwise in a tile of another size.
    torch.testing.assert_close(colors, expected, atol=2e-6, rtol=0)


def test_the_cameras_differ_in_what_they_ask_for(source_of):
    """Otherwise the test above says little."""
    asked = {name: len(source_of().plan(camera, SOME).batch) for name, camera in CAMERAS.items()}
    assert asked["away"] == 0
    assert 0 < asked["far"] < asked["home"] < asked["within"] == len(SOME)


def test_previews_and_refinement_are_the_same_picture(source_of):
    def frames(source: NetworkSource):
        source.warm_up()
        return list(Renderer([Pane(source)]).frames(RenderRequest(1, CAMERAS["home"], 1e-6)))

    mine, expected = frames(source_of()), frames(source_of(rays_only=True))
    assert [frame.stride for (frame,) in mine] == [frame.stride for (frame,) in expected]
    assert len(mine) > 2
    for (one,), (other,) in zip(mine, expected, strict=True):
        assert one.network_rays == other.network_rays
        # A colour on the edge between two of 256 levels may come out on either side.
        assert np.abs(one.image.astype(int) - other.image).max() <= 1


# --- on the device -----------------------------------------------------------------------------


def test_the_processor_makes_no_rays(source_of, monkeypatch):
    def never(*arguments):
        raise AssertionError("a ray was made on the processor")

    source = source_of()
    monkeypatch.setattr(sources, "flat_pixel_rays", never)
    monkeypatch.setattr(sources, "network_rays", never)
    plan, colors = answer(source, CAMERAS["home"], SOME)
    assert plan.batch.rays == ()
    assert len(colors) == len(plan.batch) > 0


def test_one_replay_a_tile_and_one_a_test(source_of, device):
    source = source_of()
    for _ in range(2):
        answer(source, CAMERAS["within"], SOME)
    graphs, replays = device.graphs, device.replays
    answer(source, CAMERAS["within"], SOME)
    assert device.graphs == graphs, "nothing is captured again"
    # 700 pixels are tested by 400 at once, and shaded in tiles of 512 and 188, filled up to 256.
    assert device.replays == replays + 2 + 2


def test_all_pixels_need_no_test(source_of, device):
    source = source_of("plain", skips=False)
    source.plan(CAMERAS["home"], SOME)
    assert device.replays == 0


def test_few_pixels_take_a_small_tile(source_of):
    source = source_of()
    assert source.speed.call_rays == (64, 128, 256, 512)
    assert source.speed.computed(100) == 128
    few = SOME[:100]
    for _ in range(2):
        _, colors = answer(source, CAMERAS["within"], few)
        assert len(colors) == 100
    assert 128 in source.speed.call_rays, "its bits are those of a full tile"


def test_two_cameras_at_once(source_of):
    """Parts of one picture may be asked for between those of another, of another size."""
    source = source_of()
    one, other = CAMERAS["home"], CAMERAS["within"].resized(50, 31)
    expected = [answer(source, camera, SOME)[1] for camera in (one, other)]
    plans = [source.plan(camera, SOME) for camera in (one, other)]
    mixed = [
        source.shade(camera, plan.batch) for camera, plan in zip((one, other), plans, strict=True)
    ]
    parts: list[list[torch.Tensor]] = [[], []]
    for _ in range(2):
        for mine, shaded in zip(parts, mixed, strict=True):
            mine += [colors.clone() for colors, _ in [next(shaded, (torch.empty(0, 3), None))]]
    for mine, colors in zip(parts, expected, strict=True):
        assert torch.equal(torch.cat(mine), colors)


def test_overflow_and_a_lost_device_are_errors(source_of, device, monkeypatch, make_light_field):
    light_field = make_light_field()
    tensors = {**light_field.tensors, "head.0.bias": light_field.tensors["head.0.bias"] + 1e5}
    engine = CudaEngine(replace(light_field, tensors=tensors), Precision.FP16, device, None)
    with pytest.raises(EngineError, match="exceed 65,504"):
        answer(NetworkSource(engine, light_field.scene), CAMERAS["home"], SOME)

    source = source_of()
    plan = source.plan(CAMERAS["home"], SOME)

    def lost():
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nDetails")

    monkeypatch.setattr(device, "working", lost)
    for ask in (
        lambda: source.plan(CAMERAS["home"], SOME),
        lambda: next(source.shade(CAMERAS["home"], plan.batch)),
    ):
        with pytest.raises(EngineError, match="no longer answers") as caught:
            ask()
        assert "\n" not in str(caught.value)


# --- the self-check ----------------------------------------------------------------------------


def spoiled_rays(camera, flat, width_px):
    """Rays of the mirrored picture, as of a wrong sign on the device."""
    origins, directions = rays.flat_pixel_rays(camera, flat, width_px)
    return origins, directions.flip(0)


def test_a_right_engine_passes(source_of, light_field):
    choice.check(source_of().engine, light_field)


@pytest.mark.parametrize(
    ("module", "what"), [(pictures, "whole pictures"), (pixels, "lists of pixels")]
)
def test_wrong_pictures_are_refused(source_of, light_field, monkeypatch, module, what):
    """Rays alone come out right: what makes them on the device is not what the reference checks."""
    monkeypatch.setattr(module, "flat_pixel_rays", spoiled_rays)
    with pytest.raises(EngineError, match=f"refused.*{what} are only .* dB from its rays"):
        choice.check(source_of().engine, light_field)


def test_a_wrong_test_of_the_background_is_refused(source_of, light_field, monkeypatch):
    engine = source_of().engine
    monkeypatch.setattr(
        pixels.CudaPixels,
        "asked",
        lambda self, camera, flat, skip_background: torch.zeros(len(flat)) > 0,
    )
    with pytest.raises(EngineError, match="lists of pixels are only"):
        choice.check(engine, light_field)


def test_engines_without_pictures_are_checked_by_rays_alone(source_of, light_field):
    engine = source_of(rays_only=True).engine
    choice.check(engine, light_field)
    shade = engine.shade

    def wrong(origins, directions) -> Shaded:
        shaded = shade(origins, directions)
        return Shaded(shaded.colors + 0.5, shaded.encode_ms, shaded.network_ms)

    engine.shade = wrong
    with pytest.raises(EngineError, match="from the reference"):
        choice.check(engine, light_field)
