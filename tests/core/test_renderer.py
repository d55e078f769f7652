"""Pictures in passes: the same rays as one shot, each of them once, and no longer than asked."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core.engines import tiles as tiles_module
from r2l_core.engines.backends import ENGINES, availability
from r2l_core.engines.base import Shaded
from r2l_core.engines.building import build_engine
from r2l_core.errors import EngineError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.rays import canonicalise, hits_bounds, image_rays
from r2l_core.render import progressive_image as image_module
from r2l_core.render import renderer as renderer_module
from r2l_core.render.frames import STRIDES, Frame, RenderRequest
from r2l_core.render.panes import Pane
from r2l_core.render.pixel_grids import grid_pixels
from r2l_core.render.progressive_image import never, render_image, timed_image
from r2l_core.render.renderer import Renderer
from r2l_core.render.sources import NetworkSource
from r2l_core.types import EngineInfo, Precision, to_uint8

INFO = EngineInfo("fake", Precision.FP32, "cpu", "float32", "float32", "none", 0)
WIDTH, HEIGHT = 50, 37
ANY_SIZE = tuple(range(1, 5000))


class FakeEngine:
    """Colours computed from the ray by hand; counts the rays that are not padding: a tile is filled
    up with its last ray.

    `clock` goes forward by `seconds_per_tile` with every tile.
    """

    info = INFO
    any_rays = False
    quiet_torch = False

    def __init__(
        self,
        tile_rays: int = 64,
        clock=None,
        seconds_per_tile: float = 0.0,
        small_tiles: tuple[int, ...] = (),
    ) -> None:
        self.tile_rays = tile_rays
        self.small_tiles = small_tiles
        self.tiles = 0
        self.asked: list[torch.Tensor] = []
        self._clock = clock
        self._seconds = seconds_per_tile

    def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
        assert origins.shape == directions.shape
        assert len(origins) in (*self.small_tiles, self.tile_rays)
        assert origins.dtype == directions.dtype == torch.float32
        self.tiles += 1
        self.asked.append(directions.unique_consecutive(dim=0))
        if self._clock is not None:
            self._clock.now += self._seconds
        return Shaded((directions * 3 + origins).sin() * 0.5 + 0.5, 0.0, 0.0)

    @property
    def rays(self) -> int:
        return sum(len(tile) for tile in self.asked)


class RecordingEngine:
    """A real engine, of which every ray and its colour are remembered, bit for bit."""

    def __init__(self, engine) -> None:
        self._engine = engine
        self.info = engine.info
        self.tile_rays, self.small_tiles = engine.tile_rays, engine.small_tiles
        self.any_rays, self.quiet_torch = engine.any_rays, engine.quiet_torch
        self.colors: dict[bytes, bytes] = {}

    def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
        shaded = self._engine.shade(origins, directions)
        rays = torch.cat([origins, directions], 1)
        n = len(rays.unique_consecutive(dim=0))  # the rest is padding
        for ray, color in zip(rays.numpy()[:n], shaded.colors.numpy()[:n], strict=True):
            # Tiles of a new shape are calculated twice, to compare them.
            assert self.colors.setdefault(ray.tobytes(), color.tobytes()) == color.tobytes()
        return shaded


class Cancel:
    """Says yes from the n-th question on."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


class Alone(Renderer):
    """One network and nothing beside it: its frames are no tuples."""

    def __init__(self, engine, scene, ray_mode="plain", skip_background=False, epoch=0) -> None:
        self.source = NetworkSource(engine, scene, ray_mode, skip_background)
        super().__init__([Pane(self.source)], epoch)
        self.tiles = self.source.tiles

    def frames(self, request, cancelled=never, abandoned=never):
        for (frame,) in super().frames(request, cancelled, abandoned):
            yield frame

    def render(self, camera, cancelled=never):
        return render_image(self.source, camera, cancelled)


def camera_at(azimuth: float = 20.0, width: int = WIDTH, height: int = HEIGHT, radius: float = 4.0):
    return Orbit(azimuth, 25.0, radius, (0.1, -0.2, 0.3)).camera(width, height, 1.4 * width)


def request(camera: Camera | None = None, **values) -> RenderRequest:
    return RenderRequest(**{"seq": 1, "camera": camera or camera_at(), **values})


# --- passes and the whole ----------------------------------------------------------------------


EXACT = [
    (engine, precision)
    for engine in ENGINES
    for precision in Precision
    if availability(precision, engine, "cpu").available
    # Its colours depend on the rays that are rendered together, and it says so.
    and precision is not Precision.DYNAMIC_INT8_FAKE
]
MODES = [("plain", False), ("plain", True), ("canonical", False), ("canonical", True)]


@pytest.mark.parametrize(
    ("engine_name", "precision", "ray_mode", "skip_background"),
    [
        *(("torch", Precision.FP32, *mode) for mode in MODES),
        *((*combination, "canonical", True) for combination in EXACT),
    ],
)
def test_the_passes_are_bit_for_bit_the_whole_picture(
    light_field, scene, engine_name, precision, ray_mode, skip_background
):
    engine = build_engine(light_field, precision, engine_name, "cpu")
    camera = camera_at(radius=3.5)
    at_once, in_passes = RecordingEngine(engine), RecordingEngine(engine)
    whole = Alone(at_once, scene, ray_mode, skip_background).render(camera)
    *_, last = Alone(in_passes, scene, ray_mode, skip_background).frames(request(camera))
    assert in_passes.colors == at_once.colors
    assert (len(at_once.colors) < WIDTH * HEIGHT) == skip_background
    assert last.complete
    np.testing.assert_array_equal(last.image, to_uint8(whole))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (3, 7), (17, 1), (50, 37), (64, 64)])
def test_nothing_is_computed_twice_and_nothing_is_left_out(scene, width, height):
    engine = FakeEngine()
    frames = list(Alone(engine, scene).frames(request(camera_at(0, width, height))))
    assert engine.rays == width * height
    assert len(torch.cat(engine.asked).unique(dim=0)) == width * height
    assert sum(frame.network_rays for frame in frames) == width * height
    assert frames[-1].complete


@pytest.mark.parametrize("chunk", [64, 100, 1000])
def test_large_images_are_made_in_chunks(scene, monkeypatch, chunk):
    camera = camera_at()
    expected = Alone(FakeEngine(), scene, skip_background=True).render(camera)
    monkeypatch.setattr(image_module, "_CHUNK_PIXELS", chunk)
    engine = FakeEngine()
    *_, last = Alone(engine, scene, skip_background=True).frames(request(camera))
    np.testing.assert_array_equal(last.image, to_uint8(expected))
    origins, directions = image_rays(camera)
    assert engine.rays == hits_bounds(origins, directions, scene).sum()


def test_one_shot_is_the_engine_asked_for_every_pixel(scene):
    engine = FakeEngine(tile_rays=WIDTH * HEIGHT)
    camera = camera_at(radius=2.5)
    rays = image_rays(camera)
    for ray_mode, expected in (("plain", rays), ("canonical", canonicalise(*rays, scene))):
        picture = Alone(engine, scene, ray_mode).render(camera)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        # The engine is elementwise, but its vector loops may round their tails differently.
        torch.testing.assert_close(
            picture.view(-1, 3), engine.shade(*expected).colors, atol=1e-6, rtol=0
        )


# --- frames ------------------------------------------------------------------------------------


def test_frames_come_coarse_to_fine(scene):
    frames = list(Alone(FakeEngine(), scene).frames(request()))
    strides = [frame.stride for frame in frames]
    # A machine that is busy elsewhere shows a pass before it is complete, too.
    assert list(dict.fromkeys(strides)) == list(STRIDES)
    assert strides == sorted(strides, reverse=True)
    elapsed = [frame.elapsed_ms for frame in frames]
    assert elapsed == sorted(elapsed)
    assert [frame.complete for frame in frames] == [False] * (len(frames) - 1) + [True]


def test_each_frame_shows_its_stride_exactly(scene):
    camera = camera_at()
    whole = to_uint8(Alone(FakeEngine(), scene).render(camera))
    for frame in Alone(FakeEngine(), scene).frames(request(camera)):
        grid = (slice(None, None, frame.stride), slice(None, None, frame.stride))
        np.testing.assert_array_equal(frame.image[grid], whole[grid])


def test_frames_are_read_only_owned_and_stamped(scene):
    camera = camera_at()
    renderer = Alone(FakeEngine(), scene, epoch=7)
    seen: list[tuple[Frame, np.ndarray]] = []
    for frame in renderer.frames(request(camera, seq=42, created_s=12.5)):
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert not frame.image.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            frame.image[0, 0] = 0
        assert (frame.seq, frame.epoch, frame.created_s) == (42, 7, 12.5)
        assert frame.camera is camera
        assert frame.engine is INFO
        seen.append((frame, frame.image.copy()))
    list(renderer.frames(request(camera_at(200))))
    for frame, image in seen:
        np.testing.assert_array_equal(frame.image, image, "later passes must not write to it")
        assert not any(np.shares_memory(frame.image, f.image) for f, _ in seen if f is not frame)


def test_a_changed_epoch_is_stamped(scene):
    renderer = Alone(FakeEngine(), scene, epoch=1)
    frames = renderer.frames(request())
    assert next(frames).epoch == 1
    renderer.epoch = 2
    assert next(frames).epoch == 2


def test_long_passes_show_what_they_have(scene, fake_clock):
    clock = fake_clock(renderer_module, image_module, tiles_module)
    engine = FakeEngine(tile_rays=64, clock=clock, seconds_per_tile=0.06)
    frames = list(Alone(engine, scene).frames(request()))
    strides = [frame.stride for frame in frames]
    assert strides == sorted(strides, reverse=True)
    assert strides.count(2) > 3, "the pass to stride 1 was shown as it grew"
    assert sum(frame.network_rays for frame in frames) == WIDTH * HEIGHT
    assert frames[-1].elapsed_ms == pytest.approx(60 * engine.tiles)
    growing = [f.image for f in frames if f.stride == 2]
    changed = [(a != b).any() for a, b in itertools.pairwise(growing)]
    assert np.mean(changed) > 0.7, "few tiles are as smooth as what was in their place"


def test_a_timed_picture_is_the_picture(scene, fake_clock):
    clock = fake_clock(renderer_module, image_module, tiles_module)
    camera = camera_at()
    engine = FakeEngine(tile_rays=64, clock=clock, seconds_per_tile=0.01)
    timed = timed_image(NetworkSource(engine, scene), camera)
    assert torch.equal(timed.colors, Alone(FakeEngine(), scene).render(camera))
    assert timed.seconds == pytest.approx(0.01 * engine.tiles)
    assert timed.timings.total_ms == pytest.approx(10 * engine.tiles)


def test_timings_account_for_the_time(scene, fake_clock):
    clock = fake_clock(renderer_module, image_module, tiles_module)
    engine = FakeEngine(tile_rays=64, clock=clock, seconds_per_tile=0.01)
    frames = list(Alone(engine, scene).frames(request()))
    assert sum(f.timings.total_ms for f in frames) == pytest.approx(10 * engine.tiles)


# --- cancelling and resuming -------------------------------------------------------------------


def test_cancelling_stops_between_tiles(scene):
    engine = FakeEngine(tile_rays=16)
    frames = list(Alone(engine, scene).frames(request(), Cancel(20)))
    assert frames
    assert not frames[-1].complete
    first = len(grid_pixels(WIDTH, HEIGHT, 8))
    assert first < engine.rays < WIDTH * HEIGHT
    assert engine.tiles <= -(-first // 16) + 20


def test_the_first_picture_comes_whatever_is_cancelled(scene):
    engine = FakeEngine()
    frames = list(Alone(engine, scene).frames(request(), lambda: True))
    assert [frame.stride for frame in frames] == [STRIDES[0]]
    assert engine.rays == len(grid_pixels(WIDTH, HEIGHT, STRIDES[0]))


@pytest.mark.parametrize("questions", [1, 5, 20, 60, 100])
def test_resuming_keeps_the_known_pixels(scene, questions):
    engine = FakeEngine(tile_rays=16)
    renderer = Alone(engine, scene)
    camera = camera_at()
    list(renderer.frames(request(camera), Cancel(questions)))
    cancelled_at = engine.rays
    assert cancelled_at < WIDTH * HEIGHT
    # The same view, but not the same object.
    again = Camera(camera.T_world_camera, WIDTH, HEIGHT, camera.focal_px)
    frames = list(renderer.frames(request(again, seq=2)))
    assert engine.rays == WIDTH * HEIGHT
    assert frames[0].network_rays == 0, "what is known is shown at once"
    assert frames[0].seq == 2
    assert sum(frame.network_rays for frame in frames) == WIDTH * HEIGHT - cancelled_at
    whole = to_uint8(Alone(FakeEngine(), scene).render(camera))
    np.testing.assert_array_equal(frames[-1].image, whole)
    assert frames[-1].complete


def test_a_finished_picture_is_only_shown_again(scene):
    engine = FakeEngine()
    renderer = Alone(engine, scene)
    *_, last = renderer.frames(request())
    tiles = engine.tiles
    frames = list(renderer.frames(request(seq=5)))
    assert engine.tiles == tiles
    assert [frame.stride for frame in frames] == [1]
    np.testing.assert_array_equal(frames[0].image, last.image)


@pytest.mark.parametrize(
    "other",
    [
        camera_at(21.0),
        camera_at(width=WIDTH + 1),
        replace(camera_at(), focal_px=camera_at().focal_px * 1.01),
        replace(camera_at(), focal_y_px=camera_at().focal_px * 1.01),
        replace(camera_at(), principal_px=(WIDTH / 2 + 0.5, HEIGHT / 2)),
    ],
    ids=["pose", "size", "focal", "focal-y", "principal"],
)
def test_another_camera_starts_afresh(scene, other):
    engine = FakeEngine()
    renderer = Alone(engine, scene)
    list(renderer.frames(request()))
    before = engine.rays
    *_, last = renderer.frames(request(other))
    assert engine.rays - before == other.width_px * other.height_px
    np.testing.assert_array_equal(last.image, to_uint8(Alone(FakeEngine(), scene).render(other)))


def test_a_cancelled_one_shot_is_nothing(scene):
    engine = FakeEngine(tile_rays=16)
    assert Alone(engine, scene).render(camera_at(), Cancel(3)) is None
    assert engine.tiles == 3


def test_a_picture_whose_first_pass_failed_starts_afresh(scene):
    class FailsOnce(FakeEngine):
        def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
            if not self.tiles:
                self.tiles += 1
                raise EngineError("The engine failed", "memory ran out")
            return super().shade(origins, directions)

    renderer = Alone(FailsOnce(), scene)
    with pytest.raises(EngineError):
        list(renderer.frames(request()))
    frames = list(renderer.frames(request()))
    expected = list(Alone(FakeEngine(), scene).frames(request()))
    # Where a pass takes long, it is shown more than once.
    passes = [list(dict.fromkeys(frame.stride for frame in made)) for made in (frames, expected)]
    assert passes[0] == passes[1]
    np.testing.assert_array_equal(frames[0].image, expected[0].image)


# --- the budget --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget_rays", "stride"),
    [(0, 32), (15, 32), (16, 16), (63, 16), (64, 8), (255, 8), (256, 4), (1024, 2), (4095, 2)],
)
def test_the_preview_is_the_finest_stride_that_fits(scene, budget_rays, stride):
    # 64x64 pixels: 4, 16, 64, 256 and 1024 rays at strides 32, 16, 8, 4 and 2; 5 ms are kept back.
    engine = FakeEngine(tile_rays=10_000, small_tiles=ANY_SIZE)
    renderer = Alone(engine, scene)
    renderer.tiles.rays_per_s = (budget_rays + 0.5) / 0.1
    camera = camera_at(width=64, height=64)
    first = next(renderer.frames(request(camera, target_ms=105.0)))
    assert first.stride == stride
    assert first.network_rays == (64 // stride) ** 2


def test_the_stride_does_not_flicker(scene):
    """Measured speeds scatter by some percent, and the threshold is in between."""
    renderer = Alone(FakeEngine(tile_rays=10_000, small_tiles=ANY_SIZE), scene)
    strides = []
    for number, budget_rays in enumerate([1024, 1000, 1040, 990, 1030, 900, 1030, 1000, 1150]):
        renderer.tiles.rays_per_s = (budget_rays + 0.5) / 0.1
        renderer.overhead_s = 0.005  # whatever the clock said of the picture before
        camera = camera_at(float(number), 64, 64)
        strides.append(next(renderer.frames(request(camera, target_ms=105.0))).stride)
    # Where stride 4 is the finest that fits, a coarser grid is completed, and pixels of choice.
    assert strides == [2, 2, 2, 2, 2, 16, 16, 16, 2]


def test_what_is_no_number_is_black_and_makes_no_noise():
    colors = torch.tensor([[[0.5, float("nan"), 1.5]]])
    assert to_uint8(colors).tolist() == [[[128, 0, 255]]]


def test_a_view_past_the_scene_does_not_make_the_next_one_free(scene):
    """Of which the network was asked nothing."""
    renderer = Alone(FakeEngine(small_tiles=ANY_SIZE), scene, skip_background=True)
    pose = camera_at().T_world_camera.copy()
    pose[:3, :3] = pose[:3, :3] @ np.diag([-1.0, 1.0, -1.0])
    away = replace(camera_at(), T_world_camera=pose)
    assert list(renderer.frames(request(away)))[-1].network_rays == 0
    renderer.tiles.rays_per_s = 1000.0
    assert next(renderer.frames(request(camera_at(), target_ms=33.0))).stride >= 4


class Edge(FakeEngine):
    """White to the right of a slanted edge, black elsewhere."""

    def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
        shaded = super().shade(origins, directions)
        return replace(shaded, colors=(directions[:, :1] > 0.5).float().expand(-1, 3).clone())


def edge_camera(forward: float = 0.0) -> Camera:
    # The edge falls on column 32 + 0.5 * 40 = 52: the last column of blocks.
    pose = np.eye(4)
    pose[:3, 3] = (0, 0, 4 - forward)
    return Camera(pose, 64, 64, 40.0)


@pytest.mark.parametrize(
    ("small_tiles", "left_over", "expected"),
    [(ANY_SIZE[:47], 45, 93), ((16, 32), 45, 96), ((16, 32), 38, 80)],
)
def test_what_is_left_of_the_budget_goes_to_the_highest_contrast(
    scene, small_tiles, left_over, expected, monkeypatch
):
    monkeypatch.setattr(renderer_module, "_WORTH_FILLING", 1)
    monkeypatch.setattr(renderer_module, "carried_along", lambda *_: None)
    engine = Edge(tile_rays=48, small_tiles=small_tiles)
    renderer = Alone(engine, scene)
    list(renderer.frames(request(edge_camera())))
    asked = len(engine.asked)
    renderer.tiles.rays_per_s = (64 + left_over + 0.5) / 0.1
    renderer.overhead_s = 0.005
    frames = renderer.frames(request(edge_camera(0.1), target_ms=105.0))
    first = next(frames)
    assert first.stride == 16, "half of what would have fit"
    n_extra = first.network_rays - 16
    assert n_extra == expected, "as many as make whole tiles, and about fit"
    extra = torch.cat(engine.asked[asked:]).unique(dim=0)
    columns = extra[:, 0] * 40 + 32
    rows = 32 - extra[:, 1] * 40
    extra_columns = columns[(columns.round() % 16 != 0) | (rows.round() % 16 != 0)]
    assert len(extra_columns) == n_extra
    at_edge = (extra_columns >= 44) & (extra_columns <= 60)
    # All that there are at the edge of these three grids, and a few elsewhere.
    assert at_edge.float().mean() > 0.8


def test_nothing_is_known_of_the_contrast_before_the_first_picture(scene):
    engine = FakeEngine(tile_rays=16)
    renderer = Alone(engine, scene)
    renderer.tiles.rays_per_s = (64 + 60 + 0.5) / 0.1
    first = next(renderer.frames(request(camera_at(width=64, height=64), target_ms=105.0)))
    assert (first.stride, first.network_rays) == (8, 64)


def test_a_preview_nobody_will_see_is_abandoned(scene):
    engine = FakeEngine(tile_rays=16)
    renderer = Alone(engine, scene)
    camera = camera_at(width=64, height=64)
    locked = request(camera, max_stride=1)
    assert list(renderer.frames(locked, abandoned=Cancel(3))) == []
    assert engine.tiles == 4
    # Nothing of it is mistaken for a picture.
    first = next(renderer.frames(locked))
    np.testing.assert_array_equal(first.image, to_uint8(Alone(FakeEngine(), scene).render(camera)))


def test_a_slow_engine_still_gets_its_coarsest_picture(scene):
    engine = FakeEngine(tile_rays=16)
    renderer = Alone(engine, scene)
    renderer.tiles.rays_per_s = 1.0
    first = next(renderer.frames(request(target_ms=1.0)))
    assert first.stride == STRIDES[0]
    assert first.network_rays == len(grid_pixels(WIDTH, HEIGHT, STRIDES[0]))


@pytest.mark.parametrize("max_stride", STRIDES)
def test_a_lock_counts_more_than_the_budget(scene, max_stride):
    engine = FakeEngine(tile_rays=16)
    renderer = Alone(engine, scene)
    renderer.tiles.rays_per_s = 1.0
    first = next(renderer.frames(request(target_ms=1.0, max_stride=max_stride)))
    assert first.stride == max_stride
    assert first.network_rays == engine.rays == len(grid_pixels(WIDTH, HEIGHT, max_stride))


def test_a_lock_does_not_keep_the_budget_from_more(scene):
    renderer = Alone(FakeEngine(tile_rays=10_000, small_tiles=ANY_SIZE), scene)
    renderer.tiles.rays_per_s = 1e9
    assert next(renderer.frames(request(max_stride=4))).stride == 1


def test_what_is_coarser_than_a_new_lock_is_not_shown(scene):
    renderer = Alone(FakeEngine(tile_rays=16), scene)
    renderer.tiles.rays_per_s = 1.0
    assert [frame.stride for frame in renderer.frames(request(), lambda: True)] == [STRIDES[0]]
    renderer.tiles.rays_per_s = 1.0  # by now it has measured how fast this machine is
    strides = [frame.stride for frame in renderer.frames(request(max_stride=2))]
    assert strides == [2, 1]


def test_warming_up_measures_the_speed(scene, fake_clock):
    clock = fake_clock(renderer_module, image_module, tiles_module)
    engine = FakeEngine(tile_rays=100, clock=clock, seconds_per_tile=0.02)
    renderer = Alone(engine, scene)
    renderer.source.warm_up()
    assert renderer.tiles.rays_per_s == pytest.approx(5000)
    assert engine.tiles >= 2


def test_the_measured_speed_follows_slowly(scene, fake_clock):
    clock = fake_clock(renderer_module, image_module, tiles_module)
    engine = FakeEngine(tile_rays=100, clock=clock, seconds_per_tile=0.02)
    renderer = Alone(engine, scene)
    renderer.tiles.rays_per_s = 10_000.0
    renderer.render(camera_at(width=10, height=10))
    assert renderer.tiles.rays_per_s == pytest.approx(0.9 * 10_000 + 0.1 * 5000)


def test_small_tiles_say_less_about_the_speed(scene, fake_clock):
    clock = fake_clock(renderer_module, image_module, tiles_module)
    engine = FakeEngine(tile_rays=100, clock=clock, seconds_per_tile=0.01, small_tiles=(50,))
    renderer = Alone(engine, scene)
    camera = camera_at(width=10, height=5)
    renderer.render(camera)  # proves the shape
    renderer.tiles.rays_per_s = 10_000.0
    renderer.render(camera)
    assert renderer.tiles.rays_per_s == pytest.approx(0.95 * 10_000 + 0.05 * 5000)


@pytest.mark.parametrize("elsewhere_s", [0.0, 0.004, 0.008])
def test_a_preview_takes_about_its_time(scene, fake_clock, monkeypatch, elsewhere_s):
    """Closed loop: measured speed and measured time for everything else in, time spent out."""
    clock = fake_clock(renderer_module, image_module, tiles_module)
    engine = FakeEngine(tile_rays=32, clock=clock, seconds_per_tile=0.001)
    renderer = Alone(engine, scene)
    renderer.source.warm_up()

    def slow_to_uint8(colors: torch.Tensor):
        clock.now += elsewhere_s
        return to_uint8(colors)

    monkeypatch.setattr(renderer_module, "to_uint8", slow_to_uint8)
    for number in range(30):
        target_ms = (15.0, 25.0, 45.0, 85.0)[number // 8]
        camera = camera_at(float(number), 128, 128)
        first, *_ = renderer.frames(request(camera, target_ms=target_ms), lambda: True)
        if number % 8 == 7:
            assert target_ms - 3 <= first.elapsed_ms <= target_ms + 1


# --- flat areas --------------------------------------------------------------------------------


class Slope(FakeEngine):
    """A flat half, and a half in which every ray has a colour of its own."""

    def shade(self, origins: torch.Tensor, directions: torch.Tensor) -> Shaded:
        shaded = super().shade(origins, directions)
        flat = directions[:, :1] < 0
        gentle = 0.5 + 0.01 * directions.sum(-1, keepdim=True).expand(-1, 3)
        return replace(shaded, colors=torch.where(flat, gentle, shaded.colors))


def test_flat_areas_are_interpolated_within_the_tolerance(scene):
    tolerance = 2 / 255
    exact_engine, engine = Slope(), Slope()
    camera = edge_camera()
    *_, exact = Alone(exact_engine, scene).frames(request(camera))
    renderer = Alone(engine, scene)
    *_, last = renderer.frames(request(camera, flat_tolerance=tolerance))
    assert last.complete
    assert exact.interpolated_pixels == 0
    assert engine.rays + last.interpolated_pixels == exact_engine.rays == 64 * 64
    assert last.interpolated_pixels > 64 * 64 // 4
    difference = np.abs(last.image.astype(int) - exact.image)
    assert difference.max() <= 2
    assert not difference[:, 33:].any(), "where neighbours differ, every pixel is asked for"


def test_another_tolerance_starts_afresh(scene):
    engine = Slope()
    renderer = Alone(engine, scene)
    list(renderer.frames(request(edge_camera(), flat_tolerance=2 / 255)))
    *_, last = renderer.frames(request(edge_camera(), seq=2))
    assert last.interpolated_pixels == 0
    np.testing.assert_array_equal(last.image, to_uint8(Alone(Slope(), scene).render(edge_camera())))


# --- background --------------------------------------------------------------------------------


@pytest.mark.parametrize("ray_mode", ["plain", "canonical"])
def test_only_rays_that_hit_the_bounds_are_asked(scene, ray_mode):
    camera = camera_at()
    full, skipping = FakeEngine(), FakeEngine()
    expected = Alone(full, scene, ray_mode).render(camera)
    picture = Alone(skipping, scene, ray_mode, skip_background=True).render(camera)
    hits = hits_bounds(*image_rays(camera), scene).view(HEIGHT, WIDTH)
    assert 0 < int(hits.sum()) < WIDTH * HEIGHT
    assert full.rays == WIDTH * HEIGHT
    assert skipping.rays == hits.sum()
    torch.testing.assert_close(picture[hits], expected[hits], atol=1e-6, rtol=0)
    assert torch.equal(
        picture[~hits], torch.tensor(scene.background_rgb).expand(len(picture[~hits]), 3)
    )


def test_a_picture_of_nothing_asks_nothing(scene):
    engine = FakeEngine()
    renderer = Alone(engine, scene, skip_background=True)
    pose = Orbit(0, 0, 50.0, (0.0, 0.0, 60.0)).T_world_camera()
    frames = list(renderer.frames(request(Camera(pose, WIDTH, HEIGHT, 70.0))))
    assert engine.tiles == 0
    assert frames[-1].complete
    assert all(frame.network_rays == 0 for frame in frames)
    assert (frames[-1].image == np.rint(np.array(scene.background_rgb) * 255)).all()


def test_skipped_rays_count_as_free_in_the_preview(scene):
    """Pixels of background cost nothing, so the tiles that fit hold asked rays only."""
    engine = FakeEngine(tile_rays=16)
    renderer = Alone(engine, scene, skip_background=True)
    renderer.tiles.rays_per_s = 300 / 0.1
    first = next(renderer.frames(request(camera_at(width=64, height=64), target_ms=105.0)))
    assert first.network_rays == engine.rays <= 300
    assert STRIDES[0] >= first.stride >= 2


# --- rounding ----------------------------------------------------------------------------------


def test_to_uint8_rounds_to_nearest():
    levels = torch.arange(256, dtype=torch.float32)
    for offset in (-0.49, 0.0, 0.49):
        colors = ((levels + offset) / 255)[:, None, None].expand(-1, 1, 3)
        assert (to_uint8(colors.clone())[:, 0, 0] == np.arange(256)).all()


def test_to_uint8_keeps_to_its_range_and_its_own_memory():
    colors = torch.tensor([-5.0, -0.001, 1.001, 300.0 / 255, 2.0, 0.5]).view(1, 2, 3)
    before = colors.clone()
    image = to_uint8(colors)
    assert image.reshape(-1).tolist() == [0, 0, 255, 255, 255, 128]
    assert torch.equal(colors, before)


def test_what_was_exact_stays_so_beside_a_new_pane(scene):
    first = Pane(NetworkSource(FakeEngine(), scene, "plain", False))
    renderer = Renderer([first])
    *_, (exact,) = renderer.frames(request())
    renderer.panes = (first, Pane(NetworkSource(FakeEngine(), scene, "plain", False)))
    kept, coarse = next(iter(renderer.frames(request(target_ms=0.001))))
    assert kept.stride == coarse.stride > 1, "they are in the same pass"
    assert (kept.whole, kept.known_share) == (True, 1.0)
    assert not coarse.whole
    np.testing.assert_array_equal(kept.image, exact.image)
    *_, (last, _) = renderer.frames(request())
    np.testing.assert_array_equal(last.image, exact.image)
