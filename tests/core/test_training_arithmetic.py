"""In which numbers networks learn, and that they learn alike in either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from r2l_core.geometry.scene import load_scene
from r2l_core.model.network import NetworkConfig
from r2l_core.model.radiance.field import RadianceField
from r2l_core.model.radiance.grid import Grid
from r2l_core.model.radiance.space import Space
from r2l_core.training.arithmetic import DTYPES, faster, training_arithmetic
from r2l_core.training.demo_scene import render_rays
from r2l_core.training.distillation import Trainer, TrainingConfig
from r2l_core.training.sampling import SamplingConfig
from r2l_core.training.schedule import GROWING, Schedule

TINY = NetworkConfig(depth=10, width=32, n_sample=4, n_frequencies=2)
N_STEPS, BATCH_RAYS = 80, 128


def new_trainer(state: Path, arithmetic: str) -> Trainer:
    sampling = SamplingConfig(footprint_px=0.0)
    mrays = N_STEPS * BATCH_RAYS / 1e6
    stage = replace(GROWING.stages[0], batch_rays=BATCH_RAYS, mrays=mrays, sampling=sampling)
    config = TrainingConfig(minutes=None, schedule=Schedule((stage,)))
    return Trainer(load_scene("demo"), render_rays, TINY, config, state, arithmetic=arithmetic)


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> dict[str, float]:
    """The dB that each arithmetic ends with."""
    folder = tmp_path_factory.mktemp("states")
    return {
        name: list(new_trainer(folder / f"{name}.pt", name).run())[-1].train_psnr_db
        for name in DTYPES
    }


def test_the_arithmetic_is_the_one_whose_best_trial_is_faster():
    def trials(bf16: list[float], fp32: list[float]) -> str:
        taken = {torch.bfloat16: iter(bf16), torch.float32: iter(fp32)}
        return faster(lambda dtype: next(taken[dtype]))

    assert trials([9, 1, 1, 1, 1], [3, 3, 3, 3, 3]) == "bf16"
    assert trials([5, 5, 5, 5, 5], [9, 3, 3, 3, 3]) == "fp32"
    assert trials([1, 5, 5, 5, 5], [3, 3, 3, 3, 3]) == "fp32", "the first only warms up"
    assert trials([9, 9, 1, 9, 9], [3, 3, 3, 3, 3]) == "bf16", "others were interrupted"


def test_every_device_has_an_arithmetic():
    assert training_arithmetic("cuda") == "bf16"
    assert training_arithmetic("cpu") in DTYPES


@pytest.mark.slow
def test_either_learns_as_much_of_as_many_rays(learned):
    assert learned["fp32"] > 11.0
    assert learned["bf16"] == pytest.approx(learned["fp32"], abs=0.3)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [("bf16", "fp32"), ("fp32", "bf16")])
def test_a_run_goes_on_in_the_other_and_says_so(learned, tmp_path, first, then):
    begun = new_trainer(tmp_path / "state.pt", first)
    for progress in begun.run():
        assert f" {first} " in progress.words()
        if progress.share > 0.5:
            begun.save()
            break
    resumed = new_trainer(tmp_path / "state.pt", then)
    resumed.resume()
    last = list(resumed.run())[-1]
    assert f" {then} " in last.words()
    assert last.train_psnr_db > learned[then] - 0.5
    assert resumed.light_field("x").provenance["arithmetic"] == then


@pytest.mark.parametrize("name", DTYPES)
def test_samples_are_coloured_in_it_whatever_their_number(name):
    torch.manual_seed(0)
    space = Space("box", 2.0, 6.0)
    grid = Grid(space, (-1.0,) * 3, (1.0,) * 3, (8,) * 3, torch.arange(8**3))
    field = RadianceField(grid, (1.0, 1.0, 1.0))
    field.training_dtype = DTYPES[name]
    torch.nn.init.constant_(field.density, 8.0)
    torch.nn.init.normal_(field.features)
    origins = torch.tensor([[0.0, 0.0, 4.0]]).expand(70, 3)
    directions = torch.randn(70, 3) * 0.1 - torch.tensor([0.0, 0.0, 1.0])
    trained = field(origins, directions)
    assert len(trained.sample_rgb) % 1024
    trained.colors.sum().backward()
    assert all(bool(p.grad.abs().sum() > 0) for p in field.parameters())
    seen = field.eval()(origins, directions).colors
    off = (trained.colors - seen).abs().max()
    assert off < (2e-2 if name == "bf16" else 1e-5)
    assert bool(off > 1e-5) == (name == "bf16")
