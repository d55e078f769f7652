"""Carrying the last picture along: better previews of as many rays, and nothing that stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines.base import Shaded
from r2l_core.engines.building import build_engine
from r2l_core.engines.fused.library import level_of, levels_for, library_path, load
from r2l_core.engines.processor import this_processor
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import image_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.render import carrying
from r2l_core.render import renderer as renderer_module
from r2l_core.render.carrying import Shown, carried_along
from r2l_core.render.frames import Frame, RenderRequest
from r2l_core.render.panes import Pane
from r2l_core.render.pixel_grids import interpolated
from r2l_core.render.progressive_image import render_image
from r2l_core.render.renderer import Renderer
from r2l_core.render.sources import NetworkSource
from r2l_core.types import EngineInfo, Precision, to_uint8

SCENE = SceneSpec("ball", bound_radius=1.4, background_rgb=(0.5, 0.25, 1.0))
SIDE_PX = 100
TURN_DEG = 2.8
N_RAYS = 300


class Ball:
    """A patterned ball of radius 1 around the origin: exactly what a ray sees of it."""

    info = EngineInfo("fake", Precision.FP32, "cpu", "float32", "float32", "none", 0)
    any_rays, quiet_torch = True, False
    tile_rays, small_tiles = 4096, ()

    def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
        unit = directions / directions.norm(dim=-1, keepdim=True)
        along = -(origins * unit).sum(-1, keepdim=True)
        miss = (origins * origins).sum(-1, keepdim=True) - along * along
        point = origins + (along - (1 - miss).clamp_min(0).sqrt()) * unit
        colors = 0.5 + 0.5 * torch.sin(9 * point + torch.tensor([0.0, 1.0, 2.0]))
        return Shaded(torch.where(miss < 1, colors, torch.tensor(SCENE.background_rgb)), 0.0, 0.0)


def camera_at(azimuth_deg: float, side_px: int = SIDE_PX, scene: SceneSpec = SCENE) -> Camera:
    orbit = replace(scene.home(), azimuth_deg=azimuth_deg)
    return orbit.camera(side_px, side_px, scene.focal_px(side_px))


def ball_source() -> NetworkSource:
    return NetworkSource(Ball(), SCENE, "plain", True)


def exact(source: NetworkSource, camera: Camera) -> torch.Tensor:
    colors = render_image(source, camera)
    assert colors is not None
    return colors


def dragged(source: NetworkSource, cameras: list[Camera], n_rays: int) -> list[Frame]:
    """First pictures of a drag in which about `n_rays` fit the time, whatever the clock says."""
    renderer = Renderer([Pane(source)])
    frames = []
    for number, camera in enumerate(cameras):
        source.tiles.rays_per_s, renderer.overhead_s = n_rays / 0.1, 0.005
        request = RenderRequest(number, camera, target_ms=105.0)
        frames.append(next(iter(renderer.frames(request)))[0])
    return frames


def mean_db(frames: list[Frame], wanted: list[torch.Tensor]) -> float:
    shown = [np.float32(1 / 255) * frame.image for frame in frames]
    every = [psnr_db(mse(a, b.numpy())) for a, b in zip(shown, wanted, strict=True)]
    return sum(every) / len(every)


def without_carrying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer_module, "carried_along", lambda *_: None)


@pytest.mark.slow
def test_the_demo_gains_in_a_drag_at_equal_ray_counts(monkeypatch):
    light_field = load_light_field("demo")
    engine = build_engine(light_field, Precision.INT8, "fused", "cpu")
    source = NetworkSource(engine, light_field.scene, light_field.scene.ray_mode(), True)
    cameras = [camera_at(35.0 - TURN_DEG * n, 160, light_field.scene) for n in range(9)]
    carried = dragged(source, cameras, 500)
    with monkeypatch.context() as patch:
        without_carrying(patch)
        plain = dragged(source, cameras, 500)
    assert [frame.carried for frame in carried[1:]] == [True] * 8
    assert not any(frame.carried for frame in plain)
    rays = [sum(frame.network_rays for frame in frames[1:]) for frames in (carried, plain)]
    assert rays[0] == pytest.approx(rays[1], rel=0.02)
    # The first few have little to carry.
    wanted = [exact(source, camera) for camera in cameras[4:]]
    assert mean_db(carried[4:], wanted) - mean_db(plain[4:], wanted) >= 0.8


def test_a_picture_at_rest_is_exact_to_the_last_pixel():
    source = ball_source()
    renderer = Renderer([Pane(source)])
    source.tiles.rays_per_s = N_RAYS / 0.1
    list(renderer.frames(RenderRequest(1, camera_at(0.0))))
    source.tiles.rays_per_s = N_RAYS / 0.1
    frames = [one for (one,) in renderer.frames(RenderRequest(2, camera_at(TURN_DEG)))]
    assert frames[0].carried
    last = frames[-1]
    assert last.complete
    assert not last.carried
    assert np.array_equal(last.image, to_uint8(exact(source, camera_at(TURN_DEG))))


def test_computed_pixels_are_shown_as_they_are():
    source = ball_source()
    renderer = Renderer([Pane(source)])
    for number, azimuth_deg in enumerate((0.0, TURN_DEG, 2 * TURN_DEG)):
        source.tiles.rays_per_s = N_RAYS / 0.1
        (frame,) = next(iter(renderer.frames(RenderRequest(number, camera_at(azimuth_deg)))))
        image = renderer.panes[0].image(frame.camera, 0.0)
        assert frame.carried == (number > 0)
        assert image.known.any()
        shown = frame.image[image.known.numpy()]
        assert np.array_equal(shown, to_uint8(exact(source, frame.camera))[image.known.numpy()])


def test_pictures_that_are_compared_carry_nothing():
    sources = [ball_source(), ball_source()]
    renderer = Renderer([Pane(source) for source in sources])
    for number, azimuth_deg in enumerate((0.0, TURN_DEG)):
        for source in sources:
            source.tiles.rays_per_s = N_RAYS / 0.1
        frames = next(iter(renderer.frames(RenderRequest(number, camera_at(azimuth_deg)))))
        assert not any(frame.carried for frame in frames)


def test_what_was_carried_alone_is_not_compared(monkeypatch):
    source, other = ball_source(), ball_source()
    monkeypatch.setattr(renderer_module, "finest_stride", lambda *_: 8)
    renderer = Renderer([Pane(source)])
    for number, azimuth_deg in enumerate((0.0, 1.0)):
        preview = next(renderer.frames(RenderRequest(number, camera_at(azimuth_deg))))[0]
    assert preview.carried
    renderer.panes = (*renderer.panes, Pane(other))
    first, second = next(renderer.frames(RenderRequest(2, camera_at(1.0))))
    assert not first.carried
    assert (first.image == second.image).all()


def shown_exactly(source: NetworkSource, camera: Camera) -> Shown:
    known = torch.ones(camera.height_px, camera.width_px, dtype=torch.bool)
    return Shown(source, camera, exact(source, camera), known)


@pytest.mark.parametrize(
    "camera",
    [camera_at(25.0), camera_at(1.0, SIDE_PX + 1), Orbit(0.0, 30.0, 8.0).camera(100, 100, 100.0)],
    ids=["turned far", "another size", "moved far"],
)
def test_nothing_is_carried_into_a_picture_of_something_else(camera):
    source = ball_source()
    last = shown_exactly(source, camera_at(0.0))
    assert carried_along(last, source, camera_at(1.0)) is not None
    assert carried_along(last, source, camera) is None
    assert carried_along(last, ball_source(), camera_at(1.0)) is None
    assert carried_along(None, source, camera_at(1.0)) is None


@pytest.mark.parametrize("name", levels_for(this_processor()))
@pytest.mark.parametrize("side_px", [SIDE_PX, 33])
def test_every_level_finds_the_last_picture_again(name, side_px, monkeypatch):
    level = level_of(load(library_path()), name)
    monkeypatch.setattr(carrying, "level_for", lambda _: level)
    source = ball_source()
    last, camera = shown_exactly(source, camera_at(0.0, side_px)), camera_at(TURN_DEG, side_px)
    colors = exact(source, camera)
    known = torch.zeros(side_px, side_px, dtype=torch.bool)
    known[::8, ::8] = True
    carried = carried_along(last, source, camera)
    assert carried is not None
    shown = carried.blended(colors, known, 8)
    plain = interpolated(colors, known, 8)
    gain = mse(plain.numpy(), colors.numpy()) / mse(shown.colors.numpy(), colors.numpy())
    assert gain > 3
    assert torch.equal(shown.colors[known], colors[known])
    assert shown.moved is not None
    assert torch.equal(shown.moved[..., :3], shown.colors)
    assert shown.image is not None
    assert (shown.image == renderer_module.to_uint8(shown.colors)).all()
    assert ((shown.moved[..., 3] >= 0) & (shown.moved[..., 3] <= 1)).all()
    # What misses the scene needs nobody to be asked.
    plan = source.plan(camera, torch.arange(side_px * side_px))
    background = shown.colors.view(-1, 3)[plan.background]
    assert torch.equal(background, torch.tensor(SCENE.background_rgb).expand_as(background))


def test_what_the_last_picture_did_not_reach_is_interpolated():
    """Of one colour everywhere: a hole would be seen."""
    source = NetworkSource(Ball(), SCENE)
    camera = camera_at(0.0)
    aside = Orbit(0.0, 30.0, 4.0, (0.0, 1.3, 0.0)).camera(SIDE_PX, SIDE_PX, camera.focal_px)
    grey, known = torch.full((SIDE_PX, SIDE_PX, 3), 0.25), torch.ones(SIDE_PX, SIDE_PX) > 0
    carried = carried_along(Shown(source, camera, grey, known), source, aside)
    assert carried is not None
    some = torch.zeros_like(known)
    some[::32, ::32] = True
    shown = carried.blended(grey, some, 32).colors
    assert torch.allclose(shown, grey, atol=1e-6)


def test_a_camera_amid_its_scene_carries_too():
    scene = SceneSpec("around", near=0.5, far=5.0, bound_radius=1e4, view_radius=1.0)
    source = NetworkSource(Ball(), scene)
    cameras = [Orbit(azimuth, 0.0, 1.0).camera(64, 64, 60.0) for azimuth in (0.0, 0.5)]
    last = shown_exactly(source, cameras[0])
    carried = carried_along(last, source, cameras[1])
    assert carried is not None
    origins, directions = image_rays(cameras[1])
    colors = Ball().shade(origins, directions).colors.view(64, 64, 3)
    known = torch.zeros(64, 64, dtype=torch.bool)
    known[::8, ::8] = True
    assert carried.blended(colors, known, 8).colors.isfinite().all()
