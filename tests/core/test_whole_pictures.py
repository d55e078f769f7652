"""Whole pictures in one piece, with a processor in the place of the GPU."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core.commands.cli import main
from r2l_core.engines.cuda.engine import CudaEngine
from r2l_core.errors import EngineError
from r2l_core.evaluation.overhead import overhead_ms
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import load_scene
from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.images.metrics import psnr_db
from r2l_core.render.frames import DifferenceWish, RenderRequest
from r2l_core.render.panes import Pane
from r2l_core.render.progressive_image import render_image, timed_image
from r2l_core.render.renderer import Renderer
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision, to_uint8
from tests.cuda_cases import RaysOnly, rays_of_torch
from tests.small_light_fields import SCENE
from tests.stand_in_device import StandInDevice

pytestmark = pytest.mark.slow

WIDTH_PX, HEIGHT_PX = 37, 23


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    rays_of_torch(monkeypatch)
    monkeypatch.setattr(CudaEngine, "tile_rays", 64)


@pytest.fixture
def device():
    return StandInDevice()


@pytest.fixture
def source_of(light_field, device):
    """A function (ray_mode, skips_background, in_pieces) that makes sources of one light field."""

    def make(
        ray_mode="plain", skips=False, in_pieces=False, precision=Precision.FP32
    ) -> NetworkSource:
        engine = CudaEngine(light_field, precision, device, None)
        engine = RaysOnly(engine) if in_pieces else engine
        return NetworkSource(engine, light_field.scene, ray_mode, skips)

    return make


def camera_at(radius: float, azimuth_deg: float = 20.0, **pivot):
    orbit = Orbit(azimuth_deg, 30.0, radius, pivot.get("pivot", SCENE.center))
    return orbit.camera(WIDTH_PX, HEIGHT_PX, SCENE.focal_px(WIDTH_PX))


CAMERAS = {
    "home": camera_at(4.0),
    "far": camera_at(9.0),
    "near": camera_at(2.0),
    "within": camera_at(0.7),
    "aside": camera_at(4.0, pivot=(2.0, 1.0, 0.0)),
    "away": camera_at(4.0, pivot=(40.0, 0.0, 0.0)),
}


# --- the same picture as in pieces -------------------------------------------------------------


@pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())
@pytest.mark.parametrize("whole", [False, True], ids=["may-skip", "whole"])
@pytest.mark.parametrize("skips", [False, True], ids=["all", "skips"])
@pytest.mark.parametrize("ray_mode", ["plain", "canonical"])
def test_a_whole_picture_is_that_of_its_pieces(source_of, camera, ray_mode, skips, whole):
    at_once = source_of(ray_mode, skips)
    picture = at_once.whole_picture(camera, whole)
    in_pieces = render_image(source_of(ray_mode, skips, in_pieces=True), camera, whole=whole)
    colors = picture.colors()
    assert colors.shape == (HEIGHT_PX, WIDTH_PX, 3)
    # Matrix products may round otherwise in another place of their tile.
    torch.testing.assert_close(colors, in_pieces, atol=2e-6, rtol=0)
    assert np.array_equal(picture.image, to_uint8(colors))
    assert not picture.image.flags.writeable
    pixels = torch.arange(WIDTH_PX * HEIGHT_PX)
    plan = source_of(ray_mode, skips, in_pieces=True).plan(camera, pixels, whole)
    assert picture.network_rays == len(plan.batch)


def test_cameras_differ_in_what_they_ask_for(source_of):
    """Otherwise the test above says little."""
    source = source_of("canonical", True)
    asked = {name: source.whole_picture(camera).network_rays for name, camera in CAMERAS.items()}
    assert asked["away"] == 0
    assert 0 < asked["far"] < asked["home"] < WIDTH_PX * HEIGHT_PX
    assert asked["near"] == WIDTH_PX * HEIGHT_PX


def test_pixels_with_a_background_of_their_own(source_of):
    """A picture of nothing is background, and not what was there before."""
    source = source_of("canonical", True)
    source.whole_picture(CAMERAS["near"])
    picture = source.whole_picture(CAMERAS["away"])
    expected = torch.tensor(SCENE.background_rgb).expand(HEIGHT_PX, WIDTH_PX, 3)
    assert torch.equal(picture.colors(), expected)


def test_every_precision(source_of):
    camera = CAMERAS["home"]
    exact = source_of().whole_picture(camera).colors()
    for precision, least_db in ((Precision.BF16, 32), (Precision.FP16, 50), (Precision.INT8, 30)):
        colors = source_of(precision=precision).whole_picture(camera).colors()
        assert psnr_db(float((colors - exact).square().mean())) > least_db


# --- graphs ------------------------------------------------------------------------------------


def test_one_replay_a_picture(source_of, device):
    source = source_of("canonical", True)
    source.whole_picture(CAMERAS["home"])
    source.whole_picture(CAMERAS["home"])
    graphs, replays = device.graphs, device.replays
    for azimuth_deg in range(10):
        source.whole_picture(camera_at(4.0, azimuth_deg))
    assert device.graphs == graphs, "nothing is captured again"
    assert device.replays == replays + 10


def test_what_comes_into_sight_is_not_missed(source_of):
    source = source_of("canonical", True)
    for _ in range(3):
        few = source.whole_picture(CAMERAS["away"])
    assert few.network_rays == 0
    picture = source.whole_picture(CAMERAS["near"])
    assert picture.network_rays == WIDTH_PX * HEIGHT_PX
    expected = render_image(source_of("canonical", True, in_pieces=True), CAMERAS["near"])
    torch.testing.assert_close(picture.colors(), expected, atol=2e-6, rtol=0)


def test_few_graphs_are_kept(source_of, device):
    source = source_of()
    camera = CAMERAS["home"]
    sizes = [(8 + k, 8) for k in range(10)]
    for size in sizes:
        source.whole_picture(camera.resized(*size))
    graphs = device.graphs
    source.whole_picture(camera.resized(*sizes[-1]))
    assert device.graphs == graphs, "the latest is kept"
    source.whole_picture(camera.resized(*sizes[0]))
    assert device.graphs == graphs + 1, "the oldest is not"


def test_pictures_are_owned(source_of):
    source = source_of()
    first = source.whole_picture(CAMERAS["home"])
    image, colors = first.image.copy(), first.colors()
    kept = colors.clone()
    source.whole_picture(CAMERAS["far"])
    assert np.array_equal(first.image, image)
    assert torch.equal(colors, kept)


def test_overflow_is_noticed(make_light_field, device):
    light_field = make_light_field()
    tensors = {**light_field.tensors, "head.0.bias": light_field.tensors["head.0.bias"] + 1e5}
    engine = CudaEngine(replace(light_field, tensors=tensors), Precision.FP16, device, None)
    with pytest.raises(EngineError, match="exceed 65,504"):
        NetworkSource(engine, light_field.scene).whole_picture(CAMERAS["home"])


def test_a_lost_device_is_one_error(source_of, device, monkeypatch):
    source = source_of()

    def lost():
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nDetails")

    monkeypatch.setattr(device, "working", lost)
    with pytest.raises(EngineError, match="no longer answers") as caught:
        source.whole_picture(CAMERAS["home"])
    assert "\n" not in str(caught.value)


# --- frames ------------------------------------------------------------------------------------


def request(seq: int = 1, camera=CAMERAS["home"], target_ms: float = 1e6) -> RenderRequest:
    return RenderRequest(seq, camera, target_ms)


@pytest.fixture
def warm(source_of):
    """`source_of`, whose sources know their speed."""

    def make(*arguments, **named) -> NetworkSource:
        source = source_of(*arguments, **named)
        source.warm_up()
        return source

    return make


def test_what_fits_the_time_is_one_complete_frame(warm, device):
    source = warm("canonical", True)
    replays = device.replays
    (frames,) = Renderer([Pane(source)]).frames(request(seq=7))
    (frame,) = frames
    assert device.replays == replays + 1
    assert (frame.seq, frame.stride, frame.complete, frame.colors) == (7, 1, True, None)
    assert frame.network_rays == source.whole_picture(CAMERAS["home"]).network_rays
    assert frame.timings.total_ms == pytest.approx(frame.elapsed_ms)
    assert np.array_equal(frame.image, source.whole_picture(CAMERAS["home"]).image)


def test_what_does_not_fit_comes_pass_by_pass(warm):
    frames = list(Renderer([Pane(warm())]).frames(request(target_ms=1e-6)))
    assert len(frames) > 1
    assert frames[0][0].stride > 1
    assert frames[-1][0].complete


def test_an_unmeasured_source_promises_nothing(source_of):
    source = source_of()
    assert source.pictures.seconds(1) == math.inf
    (first, *_), *_ = Renderer([Pane(source)]).frames(request(target_ms=1.0))
    assert first.stride > 1


def test_compared_pictures_are_exact_once_nothing_newer_is_asked_for(warm):
    sources = [warm("canonical", True), warm("canonical", True, precision=Precision.BF16)]
    renderer = Renderer([Pane(source) for source in sources])
    (shown,) = renderer.frames(request(), cancelled=lambda: True)
    assert all(frame.complete and frame.colors is None for frame in shown)
    shown, exact = renderer.frames(request())
    for source, frame in zip(sources, exact, strict=True):
        expected = source.whole_picture(CAMERAS["home"], whole=True)
        assert np.array_equal(frame.image, expected.image)
        assert np.array_equal(frame.colors, expected.colors().numpy())
        assert frame.network_rays == WIDTH_PX * HEIGHT_PX
    assert not np.array_equal(exact[0].colors, exact[1].colors)


@pytest.mark.parametrize("kind", [kind for kind in DifferenceKind if kind.quick])
def test_a_difference_that_is_looked_at_is_made_on_the_device(warm, kind):
    panes = [
        Pane(warm("canonical", True, precision=one)) for one in (Precision.FP32, Precision.INT8)
    ]
    wish = DifferenceWish(kind, (1, 0))
    shown, exact = Renderer(panes).frames(replace(request(), difference=wish))
    for frames in (shown, exact):
        assert frames[0].difference is None
        made = frames[1].difference
        assert (made.kind, made.against) == (kind, 0)
        b, a = ((one.image if one.colors is None else one.colors) for one in frames)
        expected = difference_map(kind, a, b)
        assert made.values.dtype == np.float32
        assert np.array_equal(made.values.view(np.int32), expected.view(np.int32))
        assert made.values.any()
        assert frames[1].elapsed_ms == pytest.approx(frames[1].timings.total_ms)
    assert not np.array_equal(shown[1].difference.values, exact[1].difference.values)


def test_differences_are_owned_and_of_any_size(warm):
    panes = [Pane(warm(precision=one)) for one in (Precision.FP32, Precision.INT8)]
    renderer = Renderer(panes)
    maps = []
    for camera in (CAMERAS["home"], CAMERAS["far"], CAMERAS["home"].resized(20, 11)):
        wish = DifferenceWish(DifferenceKind.ABSOLUTE, (0, 1))
        (frames,) = renderer.frames(
            replace(request(camera=camera), difference=wish), cancelled=lambda: True
        )
        maps.append((frames, frames[0].difference.values))
    for (a, b), values in maps:
        assert np.array_equal(values, difference_map(DifferenceKind.ABSOLUTE, a.image, b.image))


def test_nobody_asked_for_a_difference(warm, source_of):
    wish = DifferenceWish(DifferenceKind.ABSOLUTE, (0, 1))
    alone = Renderer([Pane(warm())]).frames(replace(request(), difference=wish))
    assert all(frame.difference is None for frames in alone for frame in frames)
    pair = [Pane(warm()), Pane(warm(precision=Precision.BF16))]
    assert all(
        frame.difference is None for frames in Renderer(pair).frames(request()) for frame in frames
    )


def test_a_pane_does_not_differ_from_itself(warm):
    source = warm()
    wish = DifferenceWish(DifferenceKind.SIGNED, (0, 1))
    shown, *_ = Renderer([Pane(source), Pane(source)]).frames(replace(request(), difference=wish))
    assert not shown[0].difference.values.any()


def test_a_device_that_is_lost_while_it_compares(source_of, device, monkeypatch):
    source = source_of()
    picture = source.whole_picture(CAMERAS["home"])

    def lost():
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nDetails")

    monkeypatch.setattr(device, "working", lost)
    with pytest.raises(EngineError, match="no longer answers"):
        source.pictures.difference(DifferenceKind.ABSOLUTE, picture, picture, exact=True)


def test_panes_of_one_source_share_a_picture(warm, device):
    source = warm()
    replays = device.replays
    panes = [Pane(source), Pane(source)]
    for pane, name in zip(panes, "ab", strict=True):
        pane.light_field = name
    (frames,) = Renderer(panes).frames(request(), cancelled=lambda: True)
    assert device.replays == replays + 1
    assert [frame.light_field for frame in frames] == ["a", "b"]
    assert frames[0].image is frames[1].image


def test_beside_a_source_without_pictures_all_go_pass_by_pass(warm, source_of):
    other = source_of(in_pieces=True)
    other.warm_up()
    *_, last = Renderer([Pane(warm()), Pane(other)]).frames(request())
    assert len(last) == 2
    assert all(frame.complete for frame in last)


def test_images_of_other_commands_are_whole_pictures(warm, device):
    source = warm()
    expected = source.whole_picture(CAMERAS["home"]).colors()
    replays = device.replays
    assert torch.equal(render_image(source, CAMERAS["home"]), expected)
    timed = timed_image(source, CAMERAS["home"])
    assert torch.equal(timed.colors, expected)
    assert timed.timings.total_ms == pytest.approx(timed.seconds * 1e3)
    assert device.replays == replays + 2


# --- the processor's share ---------------------------------------------------------------------


def test_the_overhead_is_of_real_frames(monkeypatch):
    sizes = []
    original = Renderer.frames

    def recording(self, request, *rest):
        for frames in original(self, request, *rest):
            sizes.append(frames[0].image.shape)
            yield frames

    monkeypatch.setattr(Renderer, "frames", recording)
    measured = overhead_ms(load_scene("demo"), (8, 16))
    assert set(measured) == {"8", "16"}
    assert all(ms >= 0 for ms in measured.values())
    assert set(sizes) == {(8, 8, 3), (16, 16, 3)}


def test_bench_of_the_overhead(tmp_path, capsys):
    out = tmp_path / "overhead.json"
    assert main(["bench", "--overhead", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert set(report["overhead_ms"]) == {"400", "800"}
    assert report["processor"]
    assert "800x800" in capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--checkpoint", "--precision"])
def test_bench_says_what_it_needs(capsys, flag):
    arguments = {"--checkpoint": "demo", "--precision": "fp32"}
    del arguments[flag]
    (given,) = arguments.items()
    assert main(["bench", *given]) == 2
    assert f"bench needs {flag}" in capsys.readouterr().err
