"""Distillation: rays to learn from, growing without forgetting, and runs that can be resumed.

Training time is measured, so runs here go by a clock that advances the same amount with every step.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.engines.building import build_engine
from r2l_core.errors import CheckpointError, R2LError, SceneError
from r2l_core.geometry.rays import hits_bounds, sample_depths, sample_points
from r2l_core.geometry.scene import PRESETS, SceneSpec
from r2l_core.model.encoding import encode
from r2l_core.model.network import NetworkConfig
from r2l_core.render.progressive_image import render_image
from r2l_core.render.sources import NetworkSource
from r2l_core.training import distillation as training
from r2l_core.training.demo_scene import render_rays
from r2l_core.training.distillation import DEFAULT_NETWORK, Trainer, TrainingConfig
from r2l_core.training.growing import grown
from r2l_core.training.sampling import RayBatch, RaySampler, SamplingConfig
from r2l_core.training.schedule import GROWING, Schedule, Stage, load_schedule
from r2l_core.types import Precision

pytestmark = pytest.mark.slow

DEMO = PRESETS["demo"]
TINY = NetworkConfig(depth=10, width=16, n_sample=4, n_frequencies=2)
SCHEDULE = Schedule((replace(GROWING.stages[0], batch_rays=256),))
CONFIG = TrainingConfig(minutes=1.0, schedule=SCHEDULE, save_every_s=20.0)
STEP_S = 2.0  # so that a whole run is 30 steps


@pytest.fixture
def state_path(tmp_path) -> Path:
    return tmp_path / "folder" / "state.pt"


@pytest.fixture
def trainer(state_path, fake_clock):
    """A function that makes trainers of a tiny network on the demo scene."""

    def make(
        scene: SceneSpec = DEMO,
        network: NetworkConfig = TINY,
        config: TrainingConfig = CONFIG,
        path: Path = state_path,
        step_s: float = STEP_S,
    ) -> Trainer:
        fake_clock(training, seconds_per_look=step_s)
        return Trainer(scene, render_rays, network, config, path)

    return make


def run_steps(trainer: Trainer, n: int) -> list[training.DistillProgress]:
    return list(itertools.islice(trainer.run(), n))


def same(a: object, b: object) -> bool:
    """Whether two training states hold the same, bit for bit."""
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return (
            isinstance(b, dict)
            and a.keys() == b.keys()
            and all(same(v, b[k]) for k, v in a.items())
        )
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


# --- growing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 4), (3, 5), (1, 7), (11, 22), (4, 4)])
@pytest.mark.parametrize("network", [{}, {"res_scale": 0.3, "use_residual": False}], ids=str)
def test_growing_keeps_the_function(make_light_field, before, after, network):
    old = make_light_field(depth=2 * before + 2, **network).module()
    features = torch.randn(64, old.config.input_size, generator=torch.Generator().manual_seed(1))
    expected = old(features).clone()
    new = grown(old, after)
    assert new.config == replace(old.config, depth=2 * after + 2)
    assert len(new.body) == after
    assert torch.equal(new(features), expected)


def test_growing_keeps_every_parameter_in_order(make_light_field):
    old = make_light_field(depth=8).module()
    blocks = list(old.body)
    parameters = {id(p) for p in old.parameters()}
    new = grown(old, 7)
    assert parameters <= {id(p) for p in new.parameters()}
    assert [block for block in new.body if any(block is b for b in blocks)] == blocks
    assert new.body[0] is blocks[0], "what follows the head stays there"


def test_new_blocks_can_learn(make_light_field):
    new = grown(make_light_field(depth=4).module(), 3)
    new.requires_grad_(True)
    features = torch.randn(16, new.config.input_size, generator=torch.Generator().manual_seed(2))
    new(features).square().sum().backward()
    for block in new.body:
        assert block.body[2].weight.grad.abs().max() > 0


# --- the schedule ------------------------------------------------------------------------------


def test_the_learning_rate_starts_low_peaks_and_ends_at_zero():
    rate = GROWING.rate
    assert 0 < rate(0.0) < 0.05
    assert rate(0.006) == pytest.approx(1.0, abs=1e-3)
    assert rate(0.5) == pytest.approx(0.5, abs=1e-6)
    assert rate(1.0) == 0.0
    assert rate(1.5) == 0.0
    scales = [rate(0.005 + 0.995 * k / 200) for k in range(201)]
    assert scales == sorted(scales, reverse=True)
    warm_up = [rate(0.005 * k / 20) for k in range(20)]
    assert warm_up == sorted(warm_up)


def test_a_schedule_keeps_to_a_largest_batch():
    smaller = Schedule((Stage(mrays=1.0, batch_rays=4096), Stage(mrays=2.0, batch_rays=100)))
    assert [stage.batch_rays for stage in smaller.within(256).stages] == [256, 100]
    assert smaller.within(4096) == smaller


def test_the_network_grows_at_its_times():
    stage = Stage(mrays=1.0, growth=((0.0, 0.25), (0.2, 0.5), (0.5, 1.0)))
    places = (0.0, 0.19, 0.2, 0.49, 0.5, 1.0)
    assert [stage.blocks(at, 43) for at in places] == [11, 11, 22, 22, 43, 43]
    assert [stage.blocks(at, 1) for at in places] == [1] * 6, "never fewer than one"


STAGES = Schedule(
    (
        Stage(mrays=0.002, batch_rays=200, growth=((0.0, 0.5), (0.5, 1.0))),
        Stage(mrays=0.001, rate_start=0.4, rate_end=0.4, cosine=False, batch_rays=500),
        Stage(
            mrays=0.001,
            rate_start=0.4,
            cosine=False,
            batch_rays=250,
            sampling=SamplingConfig(footprint_px=0.5),
        ),
    )
)


def test_stages_follow_each_other():
    first, second, third = STAGES.stages
    assert STAGES.at(0.0) == (first, 0.0)
    assert STAGES.at(0.25) == (first, pytest.approx(0.5))
    assert STAGES.at(0.5) == (second, pytest.approx(0.0))
    assert STAGES.at(0.875) == (third, pytest.approx(0.5))
    assert STAGES.at(1.0) == STAGES.at(7.0) == (third, pytest.approx(1.0))
    rates = [STAGES.rate(at) for at in (0.25, 0.6, 0.74, 0.875, 1.0)]
    assert rates == pytest.approx([0.5, 0.4, 0.4, 0.2, 0.0])


def test_a_schedule_without_minutes_trains_its_rays(trainer, monkeypatch):
    seen: list[tuple[int, SamplingConfig]] = []
    original = RaySampler.batch

    def batch(self, n_rays: int) -> RayBatch:
        seen.append((n_rays, self.config))
        return original(self, n_rays)

    monkeypatch.setattr(RaySampler, "batch", batch)
    run = trainer(config=TrainingConfig(minutes=None, schedule=STAGES))
    progress = list(run.run())
    assert [n for n, _ in seen] == [200] * 10 + [500] * 2 + [250] * 4
    assert [config.footprint_px for _, config in seen] == [1.0] * 12 + [0.5] * 4
    assert progress[-1].rays == 4000
    assert progress[-1].share == 1.0
    assert [p.depth for p in progress] == [6] * 5 + [10] * 11
    assert run.light_field("tiny").provenance["config"]["schedule"] == STAGES.to_dict()


def test_a_schedule_comes_back_from_its_file(tmp_path):
    path = tmp_path / "schedule.json"
    path.write_text(json.dumps(STAGES.to_dict()))
    assert load_schedule(path) == STAGES
    path.write_text('{"stages": [{"mrays": 2}]}')
    assert load_schedule(path) == Schedule((Stage(mrays=2.0),))


def test_the_demos_schedule_can_be_read():
    path = Path(__file__).parents[2] / "checkpoints" / "demo-schedule.json"
    assert load_schedule(path).stages[-1].rate_end == 0.0


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", "not a JSON object"),
        ("{}", "stages is missing"),
        ('{"stages": []}', "stages is empty"),
        ('{"stages": [{}]}', "stages[0].mrays is missing"),
        ('{"stages": [{"mrays": 0}]}', "stages[0].mrays"),
        ('{"stages": [{"mrays": 1, "batch_rays": 1e300}]}', "stages[0].batch_rays"),
        ('{"stages": [{"mrays": 1, "growth": [[0.5, 1]]}]}', "stages[0].growth"),
        ('{"stages": [{"mrays": 1, "growth": [[0, 2]]}]}', "stages[0].growth[0]"),
        ('{"stages": [{"mrays": 1, "growth": [0]}]}', "stages[0].growth[0]"),
        ('{"stages": [{"mrays": 1, "sampling": {"pixels": 1}}]}', "stages[0].sampling.pixels"),
        ('{"stages": [{"mrays": 1, "sampling": {"outer_share": 2}}]}', "sampling.outer_share"),
    ],
)
def test_a_bad_schedule_is_refused_by_its_field(tmp_path, text, field):
    path = tmp_path / "schedule.json"
    path.write_text(text)
    with pytest.raises(R2LError) as caught:
        load_schedule(path)
    assert str(path) in str(caught.value)
    assert field in str(caught.value)


def test_the_demo_is_the_released_architecture():
    assert (DEFAULT_NETWORK.width, DEFAULT_NETWORK.depth) == (256, 88)


# --- rays to learn from ------------------------------------------------------------------------

ELSEWHERE = SceneSpec(
    name="elsewhere",
    near=3.0,
    far=7.0,
    center=(1.0, -2.0, 0.5),
    bound_radius=1.5,
    origin_radius=5.0,
    min_elevation_deg=30.0,
    background_rgb=(0.25, 0.5, 0.75),
)
SCENES = [
    pytest.param(DEMO, id="from-above"),
    pytest.param(ELSEWHERE, id="from-high-above"),
    pytest.param(replace(ELSEWHERE, min_elevation_deg=-90.0), id="from-all-around"),
]


def smooth_teacher(origins: Tensor, directions: Tensor) -> Tensor:
    """A colour that changes slowly, and that is nowhere background."""
    return 0.4 + 0.1 * torch.sin(directions + 0.3 * origins)


@pytest.mark.parametrize("scene", SCENES)
def test_training_rays_are_those_of_cameras_on_the_sphere(scene):
    batch = RaySampler(scene, smooth_teacher, SamplingConfig(), seed=0).batch(3000)
    for rays in (batch.origins, batch.directions, batch.colors):
        assert rays.shape == (3000, 3)
        assert rays.dtype == torch.float32
        assert torch.isfinite(rays).all()
    relative = batch.origins - torch.tensor(scene.center)
    torch.testing.assert_close(
        relative.norm(dim=1), torch.full((3000,), scene.origin_radius), atol=1e-4, rtol=0
    )
    towards = -(relative * batch.directions).sum(1) / scene.origin_radius
    torch.testing.assert_close(towards, torch.ones(3000), atol=1e-5, rtol=0)
    lowest = math.sin(math.radians(scene.min_elevation_deg)) - SamplingConfig().below_horizon
    sines = relative[:, 2] / scene.origin_radius
    assert sines.min() >= max(lowest, -1.0) - 1e-5
    # Uniform on the sphere: sines of elevation are uniform, and azimuths.
    middle = (max(lowest, -1.0) + 1) / 2
    assert float((sines > middle).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert float((relative[:, 0] > 0).float().mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("outer_share", [0.0, 1.0])
def test_training_rays_meet_the_bounds_or_pass_them_as_asked(outer_share):
    config = SamplingConfig(outer_share=outer_share)
    batch = RaySampler(DEMO, smooth_teacher, config, seed=1).batch(2000)
    grown_scene = replace(DEMO, bound_radius=1.4001 if outer_share == 0 else 1.3999)
    hits = hits_bounds(batch.origins, batch.directions, grown_scene)
    assert bool(hits.all()) == (outer_share == 0)
    assert bool(hits.any()) == (outer_share == 0)


def image_coordinates(origins: Tensor, directions: Tensor) -> Tensor:
    """A teacher whose colours say where on its camera's image plane a ray lies: right, up, 0."""
    backward = torch.nn.functional.normalize(origins, dim=1)
    right = torch.nn.functional.normalize(
        torch.stack([-backward[:, 1], backward[:, 0], torch.zeros(len(origins))], 1), dim=1
    )
    up = torch.linalg.cross(backward, right)
    u, v = (directions * right).sum(1), (directions * up).sum(1)
    return torch.stack([u, v, torch.zeros_like(u)], 1)


@pytest.mark.parametrize(("per_axis", "side_px"), [(1, 1.0), (2, 1.0), (3, 1.0), (2, 0.5)])
def test_a_footprint_is_centred_on_its_ray(per_axis, side_px):
    config = SamplingConfig(footprint_samples=per_axis, footprint_px=side_px)
    batch = RaySampler(DEMO, image_coordinates, config, seed=2).batch(6000)
    centre = image_coordinates(batch.origins, batch.directions)
    offset_px = (batch.colors - centre)[:, :2] * DEMO.focal_px(DEMO.width_px)
    assert offset_px.abs().max() < side_px * 0.5 / per_axis + 0.01
    assert offset_px.mean(0).abs().max() < 0.02
    # The mean of per_axis^2 stratified uniform samples, each in a cell of 1/per_axis.
    expected = side_px * math.sqrt(1 / 12) / per_axis / per_axis
    assert offset_px.std(0).tolist() == pytest.approx([expected] * 2, rel=0.05)


def test_no_footprint_means_the_ray_itself():
    asked = []

    def teacher(origins: Tensor, directions: Tensor) -> Tensor:
        asked.append(len(origins))
        return image_coordinates(origins, directions)

    batch = RaySampler(DEMO, teacher, SamplingConfig(footprint_px=0.0), seed=2).batch(500)
    assert torch.equal(batch.colors, image_coordinates(batch.origins, batch.directions))
    assert len(asked) == 1, "every ray is asked about once"


def test_colours_average_what_is_within_the_pixel():
    """Stripes much finer than a pixel become their mean."""

    def stripes(_origins: Tensor, directions: Tensor) -> Tensor:
        bright = (directions * 40_000).sin() > 0
        return bright.float() * 0.5

    one = RaySampler(DEMO, stripes, SamplingConfig(footprint_samples=1), seed=3).batch(2000)
    many = RaySampler(DEMO, stripes, SamplingConfig(footprint_samples=6), seed=3).batch(2000)
    assert set(one.colors.unique().tolist()) == {0.0, 0.5}
    assert many.colors.std() < 0.3 * one.colors.std()
    assert many.colors.mean() == pytest.approx(0.25, abs=0.02)


def test_background_is_dropped_as_asked():
    for keep, expected in ((0.0, 0.0), (1.0, None)):
        config = SamplingConfig(background_keep=keep, footprint_samples=1)
        batch = RaySampler(DEMO, render_rays, config, seed=4).batch(1000)
        centre = render_rays(batch.origins, batch.directions)
        share = float((centre == 1).all(1).float().mean())
        if expected is None:
            assert share > 0.15
        else:
            assert share <= 0.005  # a ray on an edge may fall on its other side


def test_demo_colours_are_srgb():
    batch = RaySampler(DEMO, render_rays, SamplingConfig(), seed=5).batch(500)
    assert batch.colors.min() >= 0
    assert batch.colors.max() <= 1
    assert batch.colors.std() > 0.1


def test_seeds_decide_the_rays():
    def batches(seed: int) -> list[RayBatch]:
        sampler = RaySampler(DEMO, smooth_teacher, SamplingConfig(), seed)
        return [sampler.batch(50), sampler.batch(50)]

    (first, second), (again, _), (other, _) = batches(7), batches(7), batches(8)
    assert torch.equal(first.origins, again.origins)
    assert torch.equal(first.colors, again.colors)
    assert not torch.equal(first.origins, second.origins)
    assert not torch.equal(first.origins, other.origins)


def test_a_scene_without_an_origin_sphere_cannot_be_distilled():
    with pytest.raises(SceneError, match="'villa' cannot be distilled"):
        RaySampler(SceneSpec(name="villa"), smooth_teacher, SamplingConfig(), 0)


# --- a run -------------------------------------------------------------------------------------


def held_out_mse(trainer: Trainer) -> float:
    batch = RaySampler(DEMO, render_rays, SamplingConfig(), seed=12345).batch(2000)
    network = trainer.network
    depths = sample_depths(DEMO, network.config.n_sample)
    points = sample_points(batch.origins, batch.directions, depths)
    with torch.no_grad():
        colors = network(encode(points, network.config.n_frequencies))
    return float((colors - batch.colors).square().mean())


def test_a_short_run_learns_grows_and_makes_a_light_field(trainer, tmp_path):
    run = trainer(step_s=0.5)
    before = held_out_mse(run)
    progress = list(run.run())
    after = held_out_mse(run)
    assert after < 0.6 * before
    assert progress[-1].train_psnr_db > progress[0].train_psnr_db + 2

    assert len(progress) == 120
    assert progress[-1].elapsed_s == pytest.approx(60.0)
    assert progress[-1].rays == run.rays == 256 * len(progress)
    assert [p.share for p in progress] == pytest.approx([(k + 1) / 120 for k in range(120)])
    assert list(dict.fromkeys(p.depth for p in progress)) == [4, 6, 10]
    assert progress[0].krays_per_s == pytest.approx(0.256 / 0.5)

    path = tmp_path / "tiny.safetensors"
    save_light_field(run.light_field("tiny"), path)
    loaded = load_light_field(str(path))
    assert loaded.network == TINY
    assert loaded.scene == DEMO
    assert loaded.provenance["rays"] == run.rays
    assert loaded.provenance["teacher"] == "demo"
    state = run.network.state_dict()
    assert all(torch.equal(loaded.tensors[name], state[name]) for name in state)


def test_a_light_field_of_a_run_is_not_changed_by_going_on(trainer):
    run = trainer()
    steps = run.run()
    next(steps)
    light_field = run.light_field("early")
    kept = {name: tensor.clone() for name, tensor in light_field.tensors.items()}
    next(steps)
    assert all(torch.equal(light_field.tensors[name], kept[name]) for name in kept)


def test_equal_seeds_train_equally(trainer, tmp_path):
    one, two = trainer(), trainer(path=tmp_path / "other.pt")
    run_steps(one, 3)
    weights = {k: v.clone() for k, v in one.network.state_dict().items()}
    run_steps(two, 3)
    assert same(two.network.state_dict(), weights)


def test_the_state_is_kept_as_the_run_goes(trainer, state_path):
    run = trainer()
    saved = []
    for progress in run.run():
        if state_path.exists():
            saved.append((progress.elapsed_s, torch.load(state_path)["elapsed_s"]))
    assert saved[0] == (20.0, 20.0)
    assert {kept for _, kept in saved} == {20.0, 40.0, 60.0}
    assert torch.load(state_path)["elapsed_s"] == 60.0
    assert [p.name for p in state_path.parent.iterdir()] == ["state.pt"]


@pytest.mark.parametrize("slept_after", [0, 5])
def test_a_machine_that_slept_has_not_trained(fake_clock, state_path, slept_after):
    clock = fake_clock(training, seconds_per_look=STEP_S)
    night_s = 0.0

    def teacher(origins: Tensor, directions: Tensor) -> Tensor:
        clock.now += night_s
        return render_rays(origins, directions)

    run = Trainer(DEMO, teacher, TINY, CONFIG, state_path)
    steps = run.run()
    for _ in range(slept_after):
        next(steps)
    night_s = 3600.0
    next(steps)
    assert run.elapsed_s == pytest.approx((slept_after + 1) * STEP_S)


# --- resuming ----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [3, 9, 20], ids=["small", "medium", "whole"])
def test_a_resumed_run_goes_on_where_it_was(trainer, state_path, tmp_path, steps):
    first = trainer()
    run_steps(first, steps)
    first.save()
    second = trainer()
    second.resume()
    assert second.elapsed_s == first.elapsed_s == steps * STEP_S
    assert second.progress == first.progress
    assert second.rays == first.rays
    assert second.network.config == first.network.config
    assert same(second.network.state_dict(), first.network.state_dict())

    second.state_path = tmp_path / "again.pt"
    second.save()
    kept = torch.load(state_path)
    assert same(torch.load(second.state_path), kept)
    muon, adam = (optimizer["state"] for optimizer in kept["optimizers"])
    assert max(float(entry["step"]) for entry in adam.values()) == steps
    assert all(entry["momentum_buffer"].any() for entry in muon.values())

    *_, last = second.run()
    assert last.elapsed_s == pytest.approx(60.0)
    assert last.rays == 256 * 60 / STEP_S
    assert last.depth == 10


def test_a_resumed_run_keeps_its_place_in_the_schedule(trainer, monkeypatch):
    first = trainer()
    run_steps(first, 21)
    first.save()
    second = trainer()
    second.resume()
    asked: list[float] = []
    original = Schedule.rate

    def recording(self, progress: float) -> float:
        asked.append(progress)
        return original(self, progress)

    monkeypatch.setattr(Schedule, "rate", recording)
    run_steps(second, 1)
    assert asked == [pytest.approx(21 / 30)]


def test_a_resumed_run_learns_from_other_rays(trainer, monkeypatch):
    seeds: list[int] = []

    class Recording(RaySampler):
        def __init__(self, scene, teacher, config, seed, *rest) -> None:
            seeds.append(seed)
            super().__init__(scene, teacher, config, seed, *rest)

    monkeypatch.setattr(training, "RaySampler", Recording)
    first = trainer()
    run_steps(first, 4)
    first.save()
    second = trainer()
    second.resume()
    run_steps(second, 1)
    assert len(set(seeds)) == 2


def test_more_time_may_be_given(trainer):
    first = trainer()
    list(first.run())
    second = trainer(config=replace(CONFIG, minutes=1.1))
    second.resume()
    assert second.progress == pytest.approx(1 / 1.1)
    *_, last = second.run()
    assert last.elapsed_s == pytest.approx(66.0)


def test_a_finished_run_has_nothing_to_do(trainer):
    list(trainer().run())
    second = trainer()
    second.resume()
    assert list(second.run()) == []


def _assert_refused(trainer: Trainer, why: str = "") -> None:
    with pytest.raises(CheckpointError, match="cannot be resumed") as caught:
        trainer.resume()
    assert str(trainer.state_path) in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("scene", "network"),
    [
        (replace(DEMO, near=2.0), TINY),
        (replace(DEMO, min_elevation_deg=10.0), TINY),
        (DEMO, replace(TINY, width=24)),
        (DEMO, replace(TINY, depth=12)),
        (DEMO, replace(TINY, n_frequencies=3)),
        (DEMO, replace(TINY, res_scale=0.5)),
    ],
    ids=["near", "elevation", "width", "depth", "frequencies", "res-scale"],
)
def test_another_scene_or_network_is_refused(trainer, scene, network):
    first = trainer()
    run_steps(first, 1)
    first.save()
    _assert_refused(trainer(scene, network), "another scene, network or set of photographs")


def test_a_missing_state_is_refused(trainer):
    _assert_refused(trainer())


class Malicious:
    """Unpickling this makes a file."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self):
        return (os.open, (str(self.sentinel), os.O_CREAT | os.O_WRONLY))


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b"PK\x03\x04nonsense", {"hello": 1}, [1, 2], None],
    ids=["empty", "nonsense", "zip", "other-dict", "list", "none"],
)
def test_foreign_states_are_refused(trainer, state_path, content):
    state_path.parent.mkdir(parents=True)
    if isinstance(content, bytes):
        state_path.write_bytes(content)
    else:
        torch.save(content, state_path)
    _assert_refused(trainer())


def test_states_with_wrong_weights_are_refused(trainer, state_path):
    run = trainer()
    run_steps(run, 1)
    run.save()
    state = torch.load(state_path)
    state["weights"].pop("tail.0.bias")
    torch.save(state, state_path)
    _assert_refused(trainer())


def test_truncated_states_are_refused(trainer, state_path):
    run = trainer()
    run_steps(run, 1)
    run.save()
    data = state_path.read_bytes()
    for share in (0.1, 0.5, 0.99):
        state_path.write_bytes(data[: int(share * len(data))])
        _assert_refused(trainer())


def test_states_that_would_run_code_are_refused(trainer, state_path, tmp_path):
    sentinel = tmp_path / "sentinel"
    state_path.parent.mkdir(parents=True)
    torch.save({"scene": Malicious(sentinel)}, state_path)
    _assert_refused(trainer())
    assert not sentinel.exists()


def test_a_refused_state_leaves_the_run_as_it_was(trainer, state_path):
    state_path.parent.mkdir(parents=True)
    state_path.write_bytes(b"nonsense")
    run = trainer()
    _assert_refused(run)
    assert (run.elapsed_s, run.rays) == (0.0, 0)
    assert len(run_steps(run, 1)) == 1


def test_the_light_field_of_a_run_can_be_rendered(trainer):
    run = trainer()
    run_steps(run, 1)
    light_field = run.light_field("early")
    engine = build_engine(light_field, Precision.FP32, "torch", "cpu")
    picture = render_image(
        NetworkSource(engine, DEMO, "canonical"), DEMO.home().camera(16, 12, 20.0)
    )
    assert torch.isfinite(picture).all()
