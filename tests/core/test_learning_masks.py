"""What a mask leaves out of a photograph is learned of by nobody.

The photographs are of the demo scene; under their masks lies a colour that the scene has nowhere.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from r2l_core.commands.cli import main
from r2l_core.datasets import open_dataset
from r2l_core.geometry.rays import image_rays
from r2l_core.training.photograph_rays import MixedRays
from r2l_core.training.radiance import trainer as trainer_module
from r2l_core.training.radiance.config import TeachConfig
from r2l_core.training.radiance.fitting import taught as taught_by
from r2l_core.training.radiance.growth import Hull, full_grid
from r2l_core.training.radiance.photographs import Photographs
from r2l_core.training.radiance.spaces import extent_of
from r2l_core.training.radiance.trainer import TeachTrainer
from r2l_core.training.sampling import RayBatch, SamplingConfig
from tests.photographs import SIZE_PX, write_photographs

NONSENSE = np.array([255, 0, 255], np.uint8)


def kept_somewhere(draw: np.random.Generator) -> NDArray[np.bool_]:
    """A mask: a few discs and bands, anywhere, are left out."""
    row, column = np.mgrid[:SIZE_PX, :SIZE_PX]
    kept = np.ones((SIZE_PX, SIZE_PX), bool)
    for _ in range(draw.integers(1, 4)):
        y, x = draw.uniform(0, SIZE_PX, 2)
        if draw.random() < 0.5:
            kept &= np.hypot(row - y, column - x) > draw.uniform(3, 8)
        else:
            along = draw.choice([row, column])
            kept &= np.abs(along - y) > draw.uniform(1, 4)
    return kept


def mask_views(folder: Path, split: str, seed: int, opacity: int | None = None) -> None:
    """Give every view of a split a mask, and spoil what it leaves out."""
    file, draw = folder / f"transforms_{split}.json", np.random.default_rng(seed)
    description = json.loads(file.read_text())
    for index, frame in enumerate(description["frames"]):
        picture = folder / f"{frame['file_path']}.png"
        pixels, kept = iio.imread(picture), kept_somewhere(draw)
        pixels[~kept] = NONSENSE
        if opacity is not None:
            alpha = np.where(kept, 255, opacity).astype(np.uint8)
            pixels = np.dstack([pixels, alpha])
        iio.imwrite(picture, pixels)
        frame["mask_path"] = f"{split}/mask_{index}.png"
        iio.imwrite(folder / frame["mask_path"], kept.astype(np.uint8) * 255)
    file.write_text(json.dumps(description))


def magenta(colors: torch.Tensor) -> torch.Tensor:
    """How much more of it than of anything the scene shows."""
    red, green, blue = colors.unbind(-1)
    return torch.minimum(red, blue) - green


@pytest.fixture(scope="module")
def masked(tmp_path_factory) -> Path:
    folder = write_photographs(tmp_path_factory.mktemp("masked"))
    mask_views(folder, "train", 1)
    mask_views(folder, "val", 2)
    return folder


@pytest.fixture(scope="module")
def trainer(masked, tmp_path_factory) -> TeachTrainer:
    """It has learned for 120 steps, as measured by a clock of its own."""
    clock, worked = itertools.count(0.0, 0.5), itertools.count(0.0, 0.5)
    config = TeachConfig(minutes=1.0, batch_rays=256, growths=(), save_every_s=15.0)
    state = tmp_path_factory.mktemp("teacher") / "state.pt"
    with pytest.MonkeyPatch.context() as patch:
        time = SimpleNamespace(perf_counter=lambda: next(clock), process_time=lambda: next(worked))
        patch.setattr(trainer_module, "time", time)
        trainer = TeachTrainer(
            open_dataset(masked, "train"), open_dataset(masked, "val"), config, state
        )
        for _ in trainer.run():
            pass
    return trainer


@pytest.mark.slow
def test_a_teacher_learns_nothing_of_what_masks_leave_out(trainer):
    trainer.field.eval()
    seen = torch.cat([trainer.colors(*image_rays(c)) for c in trainer.dataset.cameras])
    spoiled = np.mean([~trainer.dataset.counted(i) for i in range(len(trainer.dataset))])
    assert spoiled > 0.2, "masks leave out much"
    assert magenta(seen).max() < 0.2


@pytest.mark.slow
def test_held_out_views_are_measured_where_they_count(trainer):
    """A third of the pixels that are wrong by more than half would allow 10 dB at most."""
    assert trainer.curve[-1][1] > 14.0


@pytest.mark.slow
@pytest.mark.parametrize("background_keep", [0.0, 1.0])
def test_no_ray_of_a_photograph_starts_under_a_mask(trainer, background_keep):
    scene = taught_by(trainer, "teacher").scene
    sampling = SamplingConfig(background_keep=background_keep, photographs=1.0)
    grey = SimpleNamespace(
        config=sampling,
        batch=lambda n: RayBatch(torch.zeros(n, 3), torch.ones(n, 3), torch.full((n, 3), 0.5)),
    )
    rays = MixedRays(grey, Photographs(trainer.dataset), scene, seed=1)
    colors = rays.batch(200_000).colors
    assert int((colors != 0.5).any(-1).sum()) > 500, "some are of photographs"
    assert magenta(colors).max() < 0.2


def test_what_is_transparent_under_a_mask_empties_no_cell(tmp_path):
    def cells(folder: Path) -> int:
        dataset = open_dataset(folder, "train")
        return len(
            Hull(dataset).carved(full_grid(extent_of(dataset), 2.0, torch.device("cpu"))).cells
        )

    folder = write_photographs(tmp_path / "whole", ("train",))
    whole = cells(folder)
    mask_views(folder, "train", 3, opacity=0)
    assert cells(folder) == whole
    for mask in (folder / "train").glob("mask_*.png"):
        mask.unlink()
    assert cells(folder) < whole, "without masks the same pictures say that nothing is there"


@pytest.mark.parametrize("command", ["teach", "learn"])
def test_masks_that_leave_out_everything_are_one_clear_error(tmp_path, capsys, command):
    folder = write_photographs(tmp_path / "photographs")
    mask_views(folder, "train", 4)
    for mask in (folder / "train").glob("mask_*.png"):
        iio.imwrite(mask, np.zeros((SIZE_PX, SIZE_PX), np.uint8))
    arguments = [command, "--dataset", str(folder), "--out", str(tmp_path / "out.safetensors")]
    assert main([*arguments, "--state", str(tmp_path / "state")]) == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "leave out every pixel" in said
