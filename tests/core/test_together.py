"""Several renderers in step: same camera, same pixels, same pass, nothing computed twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core import together as together_module
from r2l_core.camera import Orbit
from r2l_core.distill.teachers import supersampled_image
from r2l_core.engines import Shaded, build_engine
from r2l_core.renderer import Renderer, to_uint8
from r2l_core.together import Together
from r2l_core.truth import TruthRenderer
from r2l_core.types import EngineInfo, Precision, RenderRequest

INFO = EngineInfo("fake", Precision.FP32, "cpu", "float32", "float32", "none", 0)
SIZE = 64


class FakeEngine:
    """Colours computed from the ray by hand, times `gain`."""

    info = INFO
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
    return [Renderer(FakeEngine(1.0), scene, epoch=3), Renderer(FakeEngine(0.5), scene, epoch=3)]


def test_all_show_the_same_pass_of_the_same_camera(pair):
    seen = list(Together(pair).frames(request()))
    assert seen[-1][0].stride == 1
    for a, b in seen:
        assert (a.seq, a.epoch, a.stride) == (b.seq, b.epoch, b.stride) == (1, 3, a.stride)
        assert a.camera is b.camera
        # The second engine is half as bright, also where it is interpolated.
        np.testing.assert_allclose(a.image / 2, b.image, atol=1.01)
    assert sum(frames[0].network_rays for frames in seen) == SIZE * SIZE


def test_the_last_picture_is_what_each_renders_alone(pair, scene):
    *_, last = Together(pair).frames(request())
    for frame, gain in zip(last, (1.0, 0.5), strict=True):
        alone = Renderer(FakeEngine(gain), scene).render(request().camera)
        np.testing.assert_array_equal(frame.image, to_uint8(alone))


def test_who_is_ahead_waits_without_computing_again(pair):
    list(pair[0].frames(request()))
    tiles = pair[0].engine.tiles
    seen = list(Together(pair).frames(request()))
    assert pair[0].engine.tiles == tiles
    for a, b in seen:
        assert a.stride == b.stride
        np.testing.assert_allclose(a.image / 2, b.image, atol=1.01)
    # And what was made together is known alone.
    tiles = pair[1].engine.tiles
    frames = list(pair[1].frames(request()))
    assert [frame.stride for frame in frames] == [1]
    assert pair[1].engine.tiles == tiles


def test_after_a_coarse_picture_together_one_alone_starts_at_its_own_coarsest(pair):
    together = Together(pair)
    next(together.frames(request(), lambda: True))
    frames = list(pair[0].frames(request(seq=2)))
    assert frames[0].stride <= 8
    assert frames[-1].complete


@pytest.mark.parametrize("n_panes", [1, 2, 3, 4])
def test_the_more_panes_the_coarser_the_preview(scene, n_panes):
    renderers = [Renderer(FakeEngine(), scene) for _ in range(n_panes)]
    for renderer in renderers:
        renderer.tiles.rays_per_s = 64 / 0.010  # 64 rays: stride 8, padded to a tile of 10 ms
        renderer.asked_share = 1.0
    first = next(Together(renderers).frames(request(target_ms=26.0)))
    assert first[0].stride == (8 if n_panes <= 2 else 32)


def test_a_lock_holds_for_all(pair):
    first = next(Together(pair).frames(request(max_stride=2, target_ms=1.0)))
    assert [frame.stride for frame in first] == [2, 2]


def test_it_stops_between_tiles(pair):
    asked = iter([False] * 3 + [True] * 100)
    seen = list(Together(pair).frames(request(), lambda: next(asked)))
    assert seen
    assert seen[-1][0].stride > 1
    assert list(Together(pair).frames(request(99.0), abandoned=lambda: True)) == []


def test_nothing_is_prepared_while_something_else_waits(pair, monkeypatch):
    def refuse(*_arguments):
        raise AssertionError("this takes time that the next picture needs")

    monkeypatch.setattr(together_module, "by_contrast", refuse)
    (preview,) = Together(pair).frames(request(target_ms=0.0), cancelled=lambda: True)
    assert preview[0].stride == 32


def test_flat_areas_are_asked_for(pair):
    *_, last = Together(pair).frames(request(flat_tolerance=1.0))
    assert all(frame.interpolated_pixels == 0 for frame in last)


def test_the_truth_is_a_renderer_like_others(make_light_field, scene):
    def teacher(origins: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        return (origins + 2 * directions).sin().abs()

    light_field = make_light_field()
    engine = build_engine(light_field, Precision.FP32, "torch", "cpu")
    truth = TruthRenderer(replace(scene, teacher="demo"), teacher)
    truth.warm_up()
    assert truth.tiles.rays_per_s > 0
    *_, last = Together([Renderer(engine, scene, "canonical", True), truth]).frames(request())
    expected = to_uint8(supersampled_image(teacher, request().camera))
    np.testing.assert_array_equal(last[1].image, expected)
    assert last[1].engine.engine == "truth"
    assert last[1].network_rays == 0
