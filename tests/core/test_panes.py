"""Several panes in step: same camera, same pixels, same pass, nothing computed twice."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from r2l_core.engines.base import Shaded
from r2l_core.engines.building import build_engine
from r2l_core.evaluation.evaluation import Evaluation
from r2l_core.evaluation.ground_truth import TeacherReference, TeacherSource
from r2l_core.geometry.orbit import Orbit
from r2l_core.images.difference import DifferenceKind
from r2l_core.images.metrics import compare, pixel_errors
from r2l_core.render import renderer as renderer_module
from r2l_core.render.frames import DifferenceWish, Frame, RenderRequest
from r2l_core.render.panes import Pane
from r2l_core.render.progressive_image import render_image
from r2l_core.render.renderer import Renderer
from r2l_core.render.sources import NetworkSource
from r2l_core.training.teachers import supersampled_image, teacher_of
from r2l_core.types import EngineInfo, Precision, to_uint8

INFO = EngineInfo("fake", Precision.FP32, "cpu", "float32", "float32", "none", 0)
SIZE = 64


class FakeEngine:
    """Colours computed from the ray by hand, times `gain`."""

    info = INFO
    any_rays = False
    quiet_torch = False
    small_tiles = ()
    tile_rays = 64

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain
        self.tiles = 0

    def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
        self.tiles += 1
        return Shaded(((directions * 3 + origins).sin() * 0.5 + 0.5) * self.gain, 0.0, 0.0)


def request(azimuth: float = 20.0, **values) -> RenderRequest:
    camera = Orbit(azimuth, 25.0, 4.0, (0.1, -0.2, 0.3)).camera(SIZE, SIZE, 80.0)
    return RenderRequest(**{"seq": 1, "camera": camera, **values})


@pytest.fixture
def pair(scene):
    return [pane(FakeEngine(1.0), scene), pane(FakeEngine(0.5), scene)]


def pane(*arguments) -> Pane:
    return Pane(NetworkSource(*arguments))


def frames_alone(one: Pane, asked: RenderRequest) -> list[Frame]:
    return [frame for (frame,) in Renderer([one], epoch=3).frames(asked)]


def test_all_show_the_same_pass_of_the_same_camera(pair):
    seen = list(Renderer(pair, epoch=3).frames(request()))
    assert seen[-1][0].stride == 1
    for a, b in seen:
        assert (a.seq, a.epoch, a.stride) == (b.seq, b.epoch, b.stride) == (1, 3, a.stride)
        assert a.camera is b.camera
        # The second engine is half as bright, also where it is interpolated.
        np.testing.assert_allclose(a.image / 2, b.image, atol=1.01)
    assert sum(frames[0].network_rays for frames in seen) == SIZE * SIZE


def test_the_last_picture_is_what_each_renders_alone(pair, scene):
    *_, last = Renderer(pair, epoch=3).frames(request())
    for frame, gain in zip(last, (1.0, 0.5), strict=True):
        alone = render_image(NetworkSource(FakeEngine(gain), scene), request().camera)
        np.testing.assert_array_equal(frame.image, to_uint8(alone))


def test_who_is_ahead_waits_without_computing_again(pair):
    frames_alone(pair[0], request())
    tiles = pair[0].source.engine.tiles
    subtracted = request(difference=DifferenceWish(DifferenceKind.ABSOLUTE, (0, 1)))
    seen = list(Renderer(pair, epoch=3).frames(subtracted))
    assert pair[0].source.engine.tiles == tiles
    for a, b in seen:
        assert a.stride == b.stride
        np.testing.assert_allclose(a.image / 2, b.image, atol=1.01)
    # And what was made together is known alone.
    tiles = pair[1].source.engine.tiles
    frames = frames_alone(pair[1], request())
    assert [frame.stride for frame in frames] == [1]
    assert pair[1].source.engine.tiles == tiles


def test_one_alone_goes_on_where_a_picture_together_stopped(pair):
    next(Renderer(pair, epoch=3).frames(request(), lambda: True))
    frames = frames_alone(pair[0], request(seq=2))
    assert frames[0].network_rays == 0, "what is known is shown at once"
    assert frames[-1].complete


@pytest.mark.parametrize("n_panes", [1, 2, 3, 4])
def test_the_more_panes_the_coarser_the_preview(scene, n_panes):
    panes = [pane(FakeEngine(), scene) for _ in range(n_panes)]
    for one in panes:
        one.source.tiles.rays_per_s = 256 / 0.010  # 256 rays: stride 4, in 10 ms
    first = next(Renderer(panes).frames(request(target_ms=25.5)))
    assert first[0].stride == (4 if n_panes <= 2 else 8)


def test_a_lock_holds_for_all(pair):
    first = next(Renderer(pair, epoch=3).frames(request(max_stride=2, target_ms=1.0)))
    assert [frame.stride for frame in first] == [2, 2]


def test_it_stops_between_tiles(pair):
    asked = iter([False] * 3 + [True] * 100)
    seen = list(Renderer(pair, epoch=3).frames(request(), lambda: next(asked)))
    assert seen
    assert seen[-1][0].stride > 1
    assert list(Renderer(pair, epoch=3).frames(request(99.0), abandoned=lambda: True)) == []


def test_nothing_is_prepared_while_something_else_waits(pair, monkeypatch):
    def refuse(*_arguments):
        raise AssertionError("this takes time that the next picture needs")

    monkeypatch.setattr(renderer_module, "by_contrast", refuse)
    (preview,) = Renderer(pair, epoch=3).frames(request(target_ms=0.0), cancelled=lambda: True)
    assert preview[0].stride == 32


def test_flat_areas_are_asked_for(pair):
    *_, last = Renderer(pair, epoch=3).frames(request(flat_tolerance=1.0))
    assert all(frame.interpolated_pixels == 0 for frame in last)


def test_the_truth_is_a_source_like_others(make_light_field, scene):
    def teacher(origins: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        return (origins + 2 * directions).sin().abs()

    light_field = make_light_field()
    engine = build_engine(light_field, Precision.FP32, "torch", "cpu")
    truth = TeacherSource(replace(scene, teacher="demo"), teacher)
    truth.warm_up()
    assert truth.speed.rays_per_s > 0
    panes = [pane(engine, scene, "canonical", True), Pane(truth)]
    *_, last = Renderer(panes).frames(request())
    expected = to_uint8(supersampled_image(teacher, request().camera))
    np.testing.assert_array_equal(last[1].image, expected)
    assert last[1].engine.engine == "truth"
    assert last[1].network_rays == 0


class Skipping:
    """Two panes that skip what misses the bounds, in a picture where half of the rays do."""

    def __init__(self, scene, ray_mode="canonical") -> None:
        self.scene = replace(scene, bound_radius=1.0)
        self.ray_mode = ray_mode
        self.panes = [Pane(self.source(gain, True)) for gain in (1.0, 0.5)]
        self.together = Renderer(self.panes, epoch=3)

    def source(self, gain: float, skips: bool) -> NetworkSource:
        return NetworkSource(FakeEngine(gain), self.scene, self.ray_mode, skips)

    def whole(self, camera) -> list[torch.Tensor]:
        return [render_image(self.source(gain, False), camera) for gain in (1.0, 0.5)]


@pytest.mark.parametrize("ray_mode", ["plain", "canonical"])
@pytest.mark.parametrize("target_ms", [1e-3, 1e6])
def test_what_was_skipped_is_asked_for_once_the_picture_is_complete(
    scene, ray_mode, target_ms, monkeypatch
):
    # A busy machine takes long enough between two tiles to show what it has.
    monkeypatch.setattr(renderer_module, "SHOW_EVERY_S", math.inf)
    skipping = Skipping(scene, ray_mode)
    seen = list(skipping.together.frames(request(target_ms=target_ms)))
    n_pixels = SIZE * SIZE
    assert seen[0][0].network_rays < 0.7 * len(range(0, SIZE, seen[0][0].stride)) ** 2 * 4
    for at, expected in enumerate(skipping.whole(request().camera)):
        np.testing.assert_array_equal(seen[-1][at].colors, expected.numpy())
        # Nothing is asked twice.
        assert sum(frames[at].network_rays for frames in seen) == n_pixels
    complete = [frames for frames in seen if frames[0].complete]
    assert [frames[0].colors is None for frames in complete] == [True] * (len(complete) - 1) + [
        False
    ]
    first = seen.index(complete[0]) + 1
    assert sum(frames[0].network_rays for frames in seen[:first]) < 0.7 * n_pixels


def test_a_stop_among_the_skipped_pixels_loses_none(scene):
    skipping = Skipping(scene)
    canvas, most = skipping.panes[0].image(request().camera, 0.0), [0]

    def cancelled() -> bool:
        left = int(canvas.skipped.sum())
        most[0] = max(most[0], left)
        return 0 < left < most[0]

    seen = list(skipping.together.frames(request(), cancelled))
    assert bool(canvas.known.all())
    assert bool(canvas.skipped.any())
    assert seen[-1][0].complete
    assert seen[-1][0].colors is None
    *_, last = skipping.together.frames(request(seq=2))
    assert last[0].complete
    for frame, expected in zip(last, skipping.whole(request().camera), strict=True):
        np.testing.assert_array_equal(frame.colors, expected.numpy())


def test_what_one_alone_has_skipped_is_asked_for_together(scene):
    skipping = Skipping(scene)
    *_, alone = frames_alone(skipping.panes[0], request())
    assert alone.complete
    *_, last = skipping.together.frames(request(seq=2))
    expected = skipping.whole(request().camera)[0].numpy()
    np.testing.assert_array_equal(last[0].colors, expected)
    assert (to_uint8(torch.from_numpy(expected)) != alone.image).any()


def test_the_numbers_are_those_of_an_evaluation(make_light_field):
    light_field = make_light_field()
    light_field = replace(
        light_field, scene=replace(light_field.scene, teacher="demo", bound_radius=1.0)
    )
    scene, camera, mode = light_field.scene, request().camera, light_field.ray_mode()
    precisions = (Precision.FP32, Precision.INT8_SIM)
    evaluation = Evaluation(
        light_field, precisions, mode, TeacherReference(scene, [camera]), device="cpu"
    )
    list(evaluation.run())
    panes = [
        pane(build_engine(light_field, precision, "auto", "cpu"), scene, mode, True)
        for precision in precisions
    ]
    truth = Pane(TeacherSource(scene, teacher_of(scene)))
    *_, last = Renderer([*panes, truth]).frames(request())
    fp32, int8, truth = (frame.colors for frame in last)
    for precision, image in zip(precisions, (fp32, int8), strict=True):
        expected = evaluation.scores[precision].views[0]
        for measured, evaluated in (
            (compare(image, truth), expected.to_truth),
            (pixel_errors(image, fp32), expected.to_fp32),
        ):
            for name, value in asdict(evaluated).items():
                number = isinstance(value, float)
                wanted = pytest.approx(value, rel=1e-6, abs=1e-6) if number else value
                assert getattr(measured, name) == wanted, name


def test_a_pane_is_charged_for_what_it_had_rendered_alone(pair):
    *_, alone = frames_alone(pair[0], request())
    *_, last = Renderer(pair, epoch=3).frames(request(seq=2))
    cost_alone_ms = pair[0].image(request().camera, 0.0).spent_ms
    assert last[0].elapsed_ms == pytest.approx(cost_alone_ms)
    assert last[0].elapsed_ms > last[0].timings.total_ms
    assert alone.complete
