"""Training on a GPU, with a processor in its place: the same steps, captured."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.commands.cli import main
from r2l_core.geometry.scene import load_scene
from r2l_core.model.encoding import RayCoordinates
from r2l_core.model.module import R2LNetwork
from r2l_core.model.network import NetworkConfig
from r2l_core.training import distillation, steps
from r2l_core.training.demo_scene import render_rays
from r2l_core.training.distillation import Trainer, TrainingConfig
from r2l_core.training.muon import BatchedMuon
from r2l_core.training.sampling import DrawnAhead, RaySampler, SamplingConfig
from r2l_core.training.schedule import Schedule, Stage
from r2l_core.training.steps import Optimizers, TrainingSteps
from tests.stand_in_device import StandInDevice

pytestmark = pytest.mark.slow

DEMO = load_scene("demo")
TINY = NetworkConfig(depth=10, width=16, n_sample=4, n_frequencies=2)
GROWTH = ((0.0, 0.25), (0.3, 0.5), (0.6, 1.0))


def config(n_steps: int) -> TrainingConfig:
    """So many steps of 64 rays."""
    stage = Stage(mrays=n_steps * 64e-6, batch_rays=64, growth=GROWTH)
    return TrainingConfig(minutes=None, schedule=Schedule((stage,)))


@pytest.fixture(autouse=True)
def _small_draws(monkeypatch):
    """A processor would take half a minute for the real ones."""
    monkeypatch.setattr(distillation, "_RAYS_AT_ONCE", 2**12)


@pytest.fixture
def step_by_step(monkeypatch):
    """Have a GPU draw the rays that a processor draws, and set its rates as often."""
    monkeypatch.setattr(distillation, "DrawnAhead", lambda source, rays_at_once, seed: source)
    monkeypatch.setattr(distillation, "_STEPS_AT_ONCE", 1)


def train(tmp_path, n_steps: int, device=None, resume_at: int = 0) -> Trainer:
    trainer = Trainer(DEMO, render_rays, TINY, config(n_steps), tmp_path / "state.pt", device)
    list(trainer.run())
    return trainer


# --- Muon --------------------------------------------------------------------------------------


def test_batched_muon_is_torchs_muon():
    """To the rounding of bfloat16, in which both iterate."""
    random = torch.Generator().manual_seed(0)
    start = [torch.randn(24, 24, generator=random) for _ in range(5)]
    mine = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    theirs = [torch.nn.Parameter(matrix.clone()) for matrix in start]
    batched = BatchedMuon(mine, lr=0.02, weight_decay=0.1)
    plain = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1)
    for step in range(4):
        rate = 0.02 / (step + 1)
        batched.param_groups[0]["lr"] = torch.tensor(rate)
        plain.param_groups[0]["lr"] = rate
        for a, b in zip(mine, theirs, strict=True):
            a.grad = torch.randn(24, 24, generator=random)
            b.grad = a.grad.clone()
        batched.step()
        plain.step()
    for a, b, begun in zip(mine, theirs, start, strict=True):
        moved = (b - begun).norm()
        assert moved > 0.1
        assert (a - b).norm() < 0.01 * moved
    momenta = [
        [optimizer.state[p]["momentum_buffer"] for p in parameters]
        for optimizer, parameters in ((batched, mine), (plain, theirs))
    ]
    for a, b in zip(*momenta, strict=True):
        torch.testing.assert_close(a, b)


# --- the same results on either ----------------------------------------------------------------


def test_either_device_trains_the_same_network(tmp_path, step_by_step):
    device = StandInDevice()
    on_cpu = train(tmp_path / "cpu", 40)
    on_gpu = train(tmp_path / "gpu", 40, device)
    assert on_gpu.rays == on_cpu.rays == 40 * 64
    assert on_gpu.network.config == on_cpu.network.config
    expected = on_cpu.network.state_dict()
    for name, weights in on_gpu.network.state_dict().items():
        assert torch.equal(weights, expected[name]), name
    assert device.graphs == len(GROWTH), "captured once for each depth"
    assert device.replays == 40 - 3 * len(GROWTH), "all but the warm-ups"


def test_a_gpu_learns_with_its_own_draws(tmp_path):
    trainer = Trainer(DEMO, render_rays, TINY, config(200), tmp_path / "s.pt", StandInDevice())
    progress = list(trainer.run())
    assert trainer.rays == 200 * 64
    assert 90 <= len(progress) <= 110, "the loss is looked at now and then"
    assert progress[-1].train_psnr_db > progress[0].train_psnr_db + 2
    assert progress[-1].depth == TINY.depth


@pytest.mark.parametrize("first", ["cpu", "gpu"])
def test_a_state_of_one_device_goes_on_on_the_other(tmp_path, step_by_step, first):
    path, devices = tmp_path / "state.pt", {"cpu": None, "gpu": StandInDevice()}

    def trainer(place: str) -> Trainer:
        return Trainer(DEMO, render_rays, TINY, config(40), path, devices[place])

    begun = trainer(first)
    for _, _ in zip(range(25), begun.run(), strict=False):
        pass
    begun.save()
    going_on = [trainer("cpu"), trainer("gpu")]
    for each in going_on:
        each.resume()
        list(each.run())
        assert each.rays == 40 * 64
    one, other = (each.network.state_dict() for each in going_on)
    assert all(torch.equal(one[name], other[name]) for name in one)


# --- placement ---------------------------------------------------------------------------------


@pytest.fixture
def nothing_by_default():
    """Whatever does not say where it wants to be is nowhere, and fails when it is used."""
    with torch.device("meta"):
        yield


def test_rays_are_drawn_where_they_are_wanted(nothing_by_default):
    sampler = RaySampler(DEMO, render_rays, SamplingConfig(), 0, "cpu")
    batch = sampler.batch(500)
    for part in (batch.origins, batch.directions, batch.colors):
        assert part.device.type == "cpu"
        assert part.isfinite().all()


def test_steps_stay_on_their_device():
    network = R2LNetwork(TINY)
    coordinates = RayCoordinates(TINY, DEMO)
    batch = RaySampler(DEMO, render_rays, SamplingConfig(), 0).batch(64)
    device = StandInDevice()
    with torch.device("meta"):
        optimizers = Optimizers(network, 0.02, 1e-3, 0.1)
        optimizers.set_rate(0.5)
        learning = TrainingSteps(network, optimizers, coordinates, TINY.n_frequencies, device)
        losses = []
        for _ in range(30):
            learning.step(batch)
            losses.append(learning.mean_loss())
    assert losses[-1] < 0.7 * losses[0]
    assert device.graphs == 1


# --- drawing many at once ----------------------------------------------------------------------


def test_batches_of_one_draw_are_different_rays():
    calls = []

    def teacher(origins, directions):
        calls.append(len(origins))
        return render_rays(origins, directions)

    sampler = RaySampler(DEMO, teacher, SamplingConfig(footprint_samples=1), 0)
    ahead = DrawnAhead(sampler, 400, 0)
    batches = [ahead.batch(100) for _ in range(4)]
    n_calls = len(calls)
    assert calls[0] == 800
    rays = torch.cat([batch.directions for batch in batches])
    assert len(rays.unique(dim=0)) == 400
    ahead.batch(100)
    assert len(calls) > n_calls, "used up"


def test_rays_drawn_ahead_keep_their_colours_and_come_in_another_order():
    """So that rays of several kinds, drawn one kind after the other, meet in every batch."""
    direct = RaySampler(DEMO, render_rays, SamplingConfig(), 0).batch(400)
    ahead = DrawnAhead(RaySampler(DEMO, render_rays, SamplingConfig(), 0), 400, 0)
    batches = [ahead.batch(100) for _ in range(4)]

    def rows(*parts):
        return torch.cat([torch.cat([b.origins, b.directions, b.colors], 1) for b in parts])

    found, expected = rows(*batches), rows(direct)
    assert not torch.equal(found, expected)
    assert torch.equal(found.unique(dim=0), expected.unique(dim=0))


def test_a_source_that_finds_fewer_rays_gives_what_it_has():
    """As photographs do of which a mask leaves little."""

    class Few(RaySampler):
        def batch(self, n_rays):
            return super().batch(n_rays // 2)

    ahead = DrawnAhead(Few(DEMO, render_rays, SamplingConfig(), 0), 400, 0)
    assert [len(ahead.batch(100).colors) for _ in range(4)] == [100] * 4


def test_another_sampling_is_drawn_at_once():
    ahead = DrawnAhead(RaySampler(DEMO, render_rays, SamplingConfig(), 0), 10_000, 0)
    ahead.batch(100)
    ahead.config = replace(ahead.config, outer_share=1.0)
    batch = ahead.batch(100)
    centre = torch.tensor(DEMO.center)
    towards = torch.nn.functional.normalize(centre - batch.origins, dim=-1)
    cosine = (torch.nn.functional.normalize(batch.directions, dim=-1) * towards).sum(-1)
    inner = (1 - (DEMO.bound_radius / DEMO.origin_radius) ** 2) ** 0.5
    assert (cosine < inner + 1e-5).all()


# --- the command -------------------------------------------------------------------------------


def distill(tmp_path, *more: str) -> int:
    schedule = tmp_path / "schedule.json"
    schedule.write_text(json.dumps({"stages": [{"mrays": 0.002, "batch_rays": 64}]}))
    arguments = ["distill", "--scene", "demo", "--out", str(tmp_path / "out.safetensors")]
    arguments += ["--schedule", str(schedule), "--state", str(tmp_path / "state.pt")]
    arguments += ["--width", "16", "--depth", "6", "--frequencies", "2", *more]
    return main(arguments)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_distill_without_a_gpu(tmp_path, monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert distill(tmp_path, "--device", device) == 0
    assert load_light_field(str(tmp_path / "out.safetensors")).provenance["device"] == "cpu"


def test_distill_says_that_there_is_no_gpu(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert distill(tmp_path, "--device", "cuda") == 2
    said = capsys.readouterr().err
    assert "--device cuda cannot be used: torch finds no CUDA device" in said
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_distill_on_a_gpu(tmp_path, monkeypatch, device):
    stand_in = StandInDevice()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(steps, "cuda_device", lambda: stand_in)
    assert distill(tmp_path, "--device", device) == 0
    assert stand_in.replays > 10
    made = load_light_field(str(tmp_path / "out.safetensors"))
    assert made.provenance["device"] == "stand-in"
    assert all(tensor.device.type == "cpu" for tensor in made.tensors.values())
