"""From photographs to a light field: teachers that learn from pictures, and what learns from them.

The photographs are pictures of the demo scene, so that the truth is known.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from torch.nn import functional

from r2l_core.checkpoints.opening import load_checkpoint
from r2l_core.checkpoints.radiance import save_radiance
from r2l_core.commands.cli import main
from r2l_core.datasets import Dataset, open_dataset
from r2l_core.engines.teacher_engines import RadianceEngine
from r2l_core.errors import CheckpointError
from r2l_core.geometry.rays import image_rays
from r2l_core.geometry.scene import PRESETS
from r2l_core.model.radiance.field import RadianceTeacher
from r2l_core.model.radiance.grid import Grid
from r2l_core.training import distillation
from r2l_core.training.demo_scene import render_rays
from r2l_core.training.distillation import DEFAULT_NETWORK, Trainer, TrainingConfig
from r2l_core.training.photograph_rays import MixedRays, fine_tuning_rays
from r2l_core.training.radiance import trainer as trainer_module
from r2l_core.training.radiance.config import Growth, TeachConfig
from r2l_core.training.radiance.fitting import taught as taught_by
from r2l_core.training.radiance.growth import Hull, full_grid
from r2l_core.training.radiance.photographs import Photographs, live_pixels, near_marked
from r2l_core.training.radiance.spaces import extent_of
from r2l_core.training.radiance.trainer import TeachTrainer
from r2l_core.training.sampling import SamplingConfig
from r2l_core.training.schedule import FINE_TUNED, Schedule
from tests.photographs import SIZE_PX, VIEWS, cameras, write_photographs

STEP_S = 0.5
BEATEN_DB = 20.0
"""Against test pictures that are 20 degrees from the nearest of eight; white ones have 10.5 dB."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="module")
def learned(dataset, tmp_path_factory):
    """A teacher that has learned for 120 steps, as measured by a clock of its own, and its file."""
    folder = tmp_path_factory.mktemp("teacher")
    clock, worked = itertools.count(0.0, STEP_S), itertools.count(0.0, STEP_S)
    with pytest.MonkeyPatch.context() as patch:
        time = SimpleNamespace(perf_counter=lambda: next(clock), process_time=lambda: next(worked))
        patch.setattr(trainer_module, "time", time)
        trainer = new_trainer(dataset, folder / "teacher.pt")
        for _ in trainer.run():
            pass
    path = folder / "teacher.safetensors"
    save_radiance(taught_by(trainer, "teacher"), path)
    return trainer, path


@pytest.fixture
def taught(learned, tmp_path):
    """The same, with a file that may be spoiled."""
    return learned[0], Path(shutil.copy(learned[1], tmp_path / "teacher.safetensors"))


def new_trainer(dataset: Path, state: Path, minutes: float = 1.0) -> TeachTrainer:
    config = TeachConfig(minutes=minutes, batch_rays=256, growths=(), save_every_s=15.0)
    return TeachTrainer(open_dataset(dataset, "train"), open_dataset(dataset, "val"), config, state)


def rays(count: int = 5000) -> tuple[torch.Tensor, torch.Tensor]:
    """Through and past the scene, from where cameras stand."""
    parts = [image_rays(camera) for camera in cameras("val")]
    origins, directions = (torch.cat(both)[:count] for both in zip(*parts, strict=True))
    return origins, directions


@pytest.mark.slow
def test_a_teacher_learns_what_the_photographs_show(taught):
    trainer, _ = taught
    first, last = trainer.curve[0][1], trainer.curve[-1][1]
    assert last > first + 1.0
    assert last > 14.0  # a white picture has 10.5


@pytest.mark.slow
def test_a_teacher_is_the_same_from_its_file(taught):
    trainer, path = taught
    opened = load_checkpoint(str(path))
    assert isinstance(opened, RadianceTeacher)
    trainer.field.eval()
    ours, theirs = trainer.colors(*rays()), RadianceEngine(opened).colors(*rays())
    assert (ours - theirs).abs().max() < 5e-3  # tables are kept in 16 bits
    assert opened.provenance["views"] == VIEWS
    before = path.read_bytes()
    save_radiance(opened, path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_ray_does_not_depend_on_the_rays_beside_it(taught):
    engine = RadianceEngine(load_checkpoint(str(taught[1])))
    origins, directions = rays(2048)
    together = engine.shade(origins, directions).colors
    order = torch.randperm(2048)[:100]
    alone = engine.shade(origins[order], directions[order]).colors
    assert torch.equal(together[order], alone)


@pytest.mark.slow
def test_the_scene_is_fitted_to_what_the_field_holds(taught):
    scene = load_checkpoint(str(taught[1])).scene
    assert scene.origin_radius == pytest.approx(4.0, abs=1e-3)
    # Within what cameras with this lens see; the scene itself reaches to 1.38.
    assert 1.3 < scene.bound_radius < 1.9
    assert scene.near == pytest.approx(4.0 - scene.bound_radius, abs=1e-3)
    assert scene.background_rgb == (1.0, 1.0, 1.0)
    assert (scene.width_px, scene.height_px) == (SIZE_PX, SIZE_PX)


@pytest.mark.slow
def test_rays_of_photographs_leave_out_most_of_the_background(taught):
    trainer, path = taught
    scene = load_checkpoint(str(path)).scene
    pool = Photographs(trainer.dataset)

    def white_share(background_keep: float) -> float:
        sampling = SamplingConfig(background_keep=background_keep, photographs=1.0)
        asked = SimpleNamespace(config=sampling, batch=None)
        rays = MixedRays(asked, pool, scene, seed=1)
        colors = rays._of_photographs(2000).colors
        assert len(colors) == 2000
        return float((colors > 0.999).all(-1).float().mean())

    assert white_share(1.0) > white_share(0.0) + 0.05
    assert white_share(0.0) > 0.02  # what is next to the scene tells where it ends


def test_small_photographs_are_learned_in_small_batches(dataset, tmp_path):
    trainer = new_trainer(dataset, tmp_path / "state.pt")
    trainer.config = replace(trainer.config, batch_rays=10**6)
    progress = next(iter(trainer.run()))
    assert progress.rays == VIEWS * SIZE_PX**2 // 32


@pytest.mark.slow
def test_teaching_goes_on_where_it_was_stopped(dataset, tmp_path, fake_clock):
    fake_clock(trainer_module, seconds_per_look=STEP_S)
    state = tmp_path / "state.pt"
    stopped = new_trainer(dataset, state)
    for progress in stopped.run():
        if progress.share > 0.5:
            stopped.save()
            break
    resumed = new_trainer(dataset, state)
    resumed.resume()
    assert resumed.elapsed_s == stopped.elapsed_s
    assert torch.equal(resumed.field.density, stopped.field.density)
    for _ in resumed.run():
        pass
    whole = new_trainer(dataset, tmp_path / "whole.pt")
    for _ in whole.run():
        pass
    assert resumed.held_out_psnr_db == pytest.approx(whole.held_out_psnr_db, abs=0.5)


@pytest.mark.slow
def test_who_is_stopped_while_the_grid_grows_goes_on_before(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module, "_SETTLING_STEPS", 0)

    def tell(what: str, done: int, _total: int) -> None:
        if done == until.get(what):
            raise KeyboardInterrupt

    until: dict[str, int] = {}
    state, growths = tmp_path / "state.pt", (Growth(0.0, 0.5, 0.0, 256),)
    views, config = open_dataset(dataset, "train"), TeachConfig(batch_rays=256, growths=growths)
    stopped = TeachTrainer(views, None, config, state, tell=tell)
    rows = stopped.field.grid.n_rows
    until["looking for what shows something"] = 3
    with pytest.raises(KeyboardInterrupt):
        for _ in stopped.run():
            pass
    stopped.save()
    resumed = TeachTrainer(views, None, config, state)
    resumed.resume()
    assert resumed.field.grid.n_rows == rows
    next(resumed.run())
    assert resumed.field.grid.n_rows != rows, "it has grown at the next step"


@pytest.mark.slow
@pytest.mark.parametrize("doing", ["looking for empty cells", "carving"])
def test_a_pause_while_the_grid_grows_is_no_training_time(
    dataset, tmp_path, monkeypatch, fake_clock, doing
):
    monkeypatch.setattr(trainer_module, "_SETTLING_STEPS", 0)
    clock = fake_clock(trainer_module, seconds_per_look=STEP_S)

    def tell(what: str, done: int, _total: int) -> None:
        if what == doing and done == 3:
            clock.now += 1000.0

    config = TeachConfig(batch_rays=256, growths=(Growth(0.0, 0.5, 0.0, 256),))
    views = open_dataset(dataset, "train")
    trainer = TeachTrainer(views, None, config, tmp_path / "state.pt", tell=tell)
    progress = next(trainer.run())
    assert progress.elapsed_s == pytest.approx(STEP_S)


def test_what_is_done_before_the_first_step_is_told(dataset, tmp_path):
    said: list[tuple[str, int, int]] = []
    views, config = open_dataset(dataset, "train"), TeachConfig(batch_rays=256)
    TeachTrainer(views, None, config, tmp_path / "s.pt", tell=lambda *what: said.append(what))
    stages = [
        "reading photographs",
        "reading outlines",
        "carving",
        "looking for what shows something",
    ]
    assert list(dict.fromkeys(what for what, _, _ in said)) == stages
    for stage in stages:
        done = [(done, total) for what, done, total in said if what == stage]
        assert done == [(at, VIEWS) for at in range(VIEWS + 1)]


def test_what_is_asked_before_the_first_step_is_no_training_time(dataset, tmp_path, fake_clock):
    clock, said = fake_clock(distillation, seconds_per_look=STEP_S), []

    def tell(what: str, _done: int, _total: int) -> None:
        said.append(what)
        clock.now += 100.0

    views, scene = open_dataset(dataset, "train"), PRESETS["demo"]
    new_rays = fine_tuning_rays(views, scene, render_rays, "cpu", tell)
    schedule = Schedule((replace(FINE_TUNED.stages[0], batch_rays=512),))
    config, network = TrainingConfig(schedule=schedule), replace(DEFAULT_NETWORK, width=16)

    def new() -> Trainer:
        return Trainer(
            scene, render_rays, network, config, tmp_path / "state.pt", new_rays=new_rays
        )

    first, resumed = new(), new()
    next(first.run())
    first.save()
    said.clear()
    resumed.resume()
    progress = next(resumed.run())
    assert said == (VIEWS + 1) * ["looking for outlines"] + 17 * ["asking the teacher"]
    assert progress.elapsed_s == pytest.approx(2 * STEP_S)
    assert progress.krays_per_s == pytest.approx(0.512 / STEP_S)


def test_pixels_that_may_show_something_are_those_whose_rays_meet_cells(dataset):
    views = open_dataset(dataset, "train")
    pool, extent = Photographs(views), extent_of(views)
    grid = Hull(views).carved(full_grid(extent, 1.0, torch.device("cpu")))
    # A corner of what is carved, so that much of the pictures is empty.
    some = Grid(grid.space, grid.low, grid.high, grid.shape, grid.cells[:400])
    every = torch.arange(len(pool))
    met = torch.bincount(some.samples(*pool.rays(every)).ray, minlength=len(pool)) > 0
    live = torch.zeros(len(pool), dtype=torch.bool)
    live[live_pixels(pool, some).long()] = True
    assert not (met & ~live).any()
    assert live.sum() < 3 * met.sum()


@pytest.mark.parametrize("reach", [0, 1, 4, 40])
def test_pixels_near_marked_ones(reach):
    marked = torch.rand(37, 53, generator=torch.Generator().manual_seed(reach)) < 0.01
    near = functional.max_pool2d(marked[None].float(), 2 * reach + 1, 1, reach)[0] > 0
    assert torch.equal(near_marked(marked, reach), near)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "foreign", "nan", "cells"])
def test_damaged_teachers_are_one_clear_error(taught, tmp_path, damage):
    path = taught[1]
    data = path.read_bytes()
    opened = load_checkpoint(str(path))
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "foreign":
        path.write_bytes(data.replace(b'"version":"1"', b'"version":"7"'))
    elif damage == "nan":
        opened.field.density.data[3] = math.nan
        save_radiance(opened, path)
    else:
        opened.field.grid.cells = opened.field.grid.cells.flip(0)
        save_radiance(opened, path)
    with pytest.raises(CheckpointError, match="cannot be opened"):
        load_checkpoint(str(path))


@pytest.mark.slow
def test_teachers_can_be_rendered_and_timed(taught, tmp_path):
    path, out = str(taught[1]), tmp_path / "x.npy"
    view = ["--azimuth", "20", "--elevation", "20", "--radius", "4", "--size", "32"]
    assert main(["render", "--checkpoint", path, *view, "--out", str(out)]) == 0
    truth = np.array(iio.imread(dataset_of(taught) / "val" / "0.png")) / 255
    mse = float(np.square(np.load(out) - truth).mean())
    assert -10 * math.log10(mse) > 14.0
    report = tmp_path / "bench.json"
    bench = ["bench", "--checkpoint", "demo", "--size", "16", "--precision", "fp32"]
    bench += ["--engine", "torch", "--rounds", "1", "--teacher", path, "--json", str(report)]
    assert main(bench) == 0
    assert json.loads(report.read_text())["teacher"]["engine_info"]["engine"] == "radiance"


def dataset_of(taught) -> Path:
    return taught[0].dataset.views[0].path.parent.parent


@pytest.mark.slow
def test_a_teacher_is_no_light_field(taught, capsys):
    assert main(["eval", "--checkpoint", str(taught[1]), "--precision", "fp32"]) == 2
    assert "it is a radiance grid" in capsys.readouterr().err


def without_views(folder: Path, count: int) -> None:
    file = folder / "transforms_train.json"
    values = json.loads(file.read_text())
    values["frames"] = values["frames"][:count]
    file.write_text(json.dumps(values))


def three_views(folder: Path) -> None:
    without_views(folder, 3)


def one_view(folder: Path) -> None:
    without_views(folder, 1)


def undefined_pose(folder: Path) -> None:
    file = folder / "transforms_train.json"
    values = json.loads(file.read_text())
    values["frames"][2]["transform_matrix"][0][0] = math.nan
    file.write_text(json.dumps(values))


def another_size(folder: Path) -> None:
    iio.imwrite(folder / "train" / "3.png", np.zeros((20, 31, 3), np.uint8))


def no_picture(folder: Path) -> None:
    (folder / "train" / "3.png").write_bytes(b"no picture")


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def half_a_held_out_picture(folder: Path) -> None:
    cut_short(folder / "val" / "1.png")


def all_transparent(folder: Path) -> None:
    for file in (folder / "train").iterdir():
        iio.imwrite(file, np.zeros((SIZE_PX, SIZE_PX, 4), np.uint8))


def no_training_views(folder: Path) -> None:
    (folder / "transforms_train.json").unlink()


def half_a_test_picture(folder: Path) -> None:
    cut_short(folder / "test" / "1.png")


def no_test_pictures(folder: Path) -> None:
    shutil.rmtree(folder / "test")


def undefined_test_pose(folder: Path) -> None:
    file = folder / "transforms_test.json"
    values = json.loads(file.read_text())
    values["frames"][1]["transform_matrix"] = np.zeros((4, 4)).tolist()
    file.write_text(json.dumps(values))


def no_poses(folder: Path) -> None:
    for file in folder.glob("*.json"):
        file.unlink()
    iio.imwrite(folder / "one.png", np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("command", ["teach", "learn"])
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (three_views, "3 training views"),
        (one_view, "1 training view,"),
        (undefined_pose, "transform_matrix"),
        (another_size, "31x20"),
        (no_picture, "is no picture"),
        (no_poses, "COLMAP"),
        (half_a_held_out_picture, "val/1.png cannot be read: it is damaged"),
        (all_transparent, "no place shows something in every photograph"),
        (no_training_views, "Give a complete dataset."),
    ],
)
def test_bad_datasets_are_one_clear_error(tmp_path, capsys, command, damage, says):
    refused(tmp_path, capsys, command, damage, says)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (half_a_test_picture, "test/1.png cannot be read: it is damaged"),
        (no_test_pictures, "Give a complete dataset."),
        (undefined_test_pose, "is not a rotation"),
    ],
)
def test_what_the_end_would_fail_of_is_said_before_anything_is_learned(
    tmp_path, capsys, damage, says
):
    refused(tmp_path, capsys, "learn", damage, says)
    assert not list((tmp_path / "state").glob("*.pt"))


def refused(tmp_path: Path, capsys, command: str, damage: Callable[[Path], None], says: str):
    folder = write_photographs(tmp_path / "photographs")
    damage(folder)
    out = tmp_path / "out.safetensors"
    arguments = [command, "--dataset", str(folder), "--out", str(out), "--state"]
    assert main([*arguments, str(tmp_path / "state")]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("error:") == 1
    assert "Traceback" not in error
    assert not out.exists()


@pytest.mark.parametrize("command", ["teach", "learn"])
def test_notes_are_lines_of_their_own(tmp_path, capsys, command, monkeypatch):
    def stop(_self) -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(TeachTrainer, "run", stop)
    folder = write_photographs(tmp_path / "photographs")
    (folder / "train" / "3.png").unlink()
    out = tmp_path / "out.safetensors"
    arguments = [command, "--dataset", str(folder), "--out", str(out), "--state"]
    assert main([*arguments, str(tmp_path / "state")]) == 130
    lines = re.split(r"[\r\n]", capsys.readouterr().err)
    assert "note: 1 of 8 pictures are missing, such as './train/3'; the rest is opened" in lines


@pytest.mark.parametrize("command", ["teach", "learn"])
def test_a_state_is_not_resumed_with_other_photographs(tmp_path, capsys, command, monkeypatch):
    def run(dataset: Path, *more: str) -> int:
        arguments = [command, "--dataset", str(dataset), "--out", str(tmp_path / "o.safetensors")]
        return main([*arguments, "--state", str(tmp_path / "state"), "--device", "cpu", *more])

    def stop(_self) -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(TeachTrainer, "run", stop)
    folder = write_photographs(tmp_path / "photographs")
    assert run(folder) == 130
    moved = folder.rename(tmp_path / "elsewhere")
    assert run(moved, "--resume") == 130
    without_views(moved, VIEWS - 1)
    assert run(moved, "--resume") == 2
    assert "another set of photographs" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["distill", "learn"])
def test_a_wrong_network_is_refused_before_anything_is_read(tmp_path, capsys, command):
    place = ["--finetune" if command == "distill" else "--dataset", str(tmp_path / "nothing")]
    out = ["--out", str(tmp_path / "out.safetensors"), "--state", str(tmp_path / "state")]
    assert main([command, *place, *out, "--depth", "3"]) == 2
    assert "depth 3" in capsys.readouterr().err


def test_ctrl_c_while_photographs_are_read_ends_with_what_to_do(dataset, tmp_path, capsys):
    def stopped(_self, _index: int) -> None:
        raise KeyboardInterrupt

    arguments = ["learn", "--dataset", str(dataset), "--out", str(tmp_path / "out.safetensors")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dataset, "image", stopped)
        assert main([*arguments, "--state", str(tmp_path / "state")]) == 130
    said = capsys.readouterr()
    assert "Go on with --resume" in said.out
    assert f"reading photographs, 0 of {VIEWS}" in said.err


class Killed(BaseException):
    """The process ends here, and nothing more is done."""


class Clock:
    """Goes on with every look; Ctrl+C is pressed after so many, or the process is killed."""

    def __init__(self, seconds_per_look: float) -> None:
        self.seconds_per_look = seconds_per_look
        self.looks, self.stop_after = 0, math.inf
        self.end: type[BaseException] = KeyboardInterrupt

    def perf_counter(self) -> float:
        self.looks += 1
        if self.looks > self.stop_after:
            self.stop_after = math.inf
            raise self.end
        return self.looks * self.seconds_per_look

    def process_time(self) -> float:
        return self.looks * self.seconds_per_look


@pytest.fixture(scope="module")
def learn(dataset, tmp_path_factory):
    """A function that learns a small light field, whose runs are measured in steps; gives the exit
    code, and what `eval` says."""
    with pytest.MonkeyPatch.context() as patch:
        teaching, distilling = Clock(0.35), Clock(0.45)
        patch.setattr(trainer_module, "time", teaching)
        patch.setattr(distillation, "time", distilling)

        def run(
            out: Path,
            *more: str,
            stop_teaching: float = math.inf,
            stop_distilling: float = math.inf,
            end: type[BaseException] = KeyboardInterrupt,
        ) -> tuple[int, dict]:
            teaching.end = distilling.end = end
            teaching.stop_after = teaching.looks + stop_teaching
            distilling.stop_after = distilling.looks + stop_distilling
            report = out.with_suffix(".json")
            arguments = ["learn", "--dataset", str(dataset), "--out", str(out), "--minutes", "8"]
            arguments += ["--width", "96", "--depth", "10", "--frequencies", "4", "--device", "cpu"]
            arguments += ["--state", str(out.with_suffix("")), "--json", str(report)]
            code = main([*arguments, *more])
            return code, json.loads(report.read_text()) if report.exists() else {}

        yield run


@pytest.fixture(scope="module")
def whole(learn, tmp_path_factory):
    """A light field learned without a stop, and what `eval` says."""
    out = tmp_path_factory.mktemp("learned") / "whole.safetensors"
    code, report = learn(out)
    assert code == 0
    return out, report


def psnr_db(report: dict) -> float:
    return report["precisions"]["fp32"]["psnr_db_mean"]


@pytest.mark.slow
def test_photographs_become_a_light_field(whole):
    out, report = whole
    assert report["dataset"]["split"] == "test"
    assert psnr_db(report) > BEATEN_DB
    light_field = load_checkpoint(str(out))
    assert "fine-tuned on photographs" in light_field.provenance["method"]
    assert light_field.scene.origin_radius == pytest.approx(4.0, abs=1e-3)
    assert light_field.stored_dtype == "float16"


@pytest.mark.slow
def test_what_was_stopped_goes_on_and_ends_alike(learn, whole, tmp_path):
    out = tmp_path / "stopped.safetensors"
    code, report = learn(out, stop_teaching=301)
    assert code == 130
    assert not out.exists()
    code, report = learn(out, "--resume", stop_distilling=200)
    assert code == 130
    assert not report
    assert not out.exists()
    code, report = learn(out, "--resume")
    assert code == 0
    assert psnr_db(report) == pytest.approx(psnr_db(whole[1]), abs=0.3)


@pytest.mark.slow
def test_what_was_killed_at_any_moment_goes_on_and_ends_alike(
    learn, whole, tmp_path, monkeypatch, capsys
):
    out, moments = tmp_path / "killed.safetensors", random.Random(7)
    save = torch.save
    saves_left = math.inf

    def save_half(state, path: Path) -> None:
        nonlocal saves_left
        saves_left -= 1
        save(state, path)
        if saves_left < 0:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            shutil.copy(path, path.with_name("teacher.1-0.tmp.pt"))  # which nobody takes away
            raise Killed

    def killed(**moment: float) -> None:
        with pytest.raises(Killed):
            learn(out, "--resume", end=Killed, **moment)
        assert not out.exists()

    monkeypatch.setattr(torch, "save", save_half)
    killed(stop_teaching=0)  # before anything was saved but the beginning
    assert "nothing to go on from" in capsys.readouterr().err
    killed(stop_teaching=moments.randint(400, 700))
    killed(stop_teaching=moments.randint(2, 30))  # again, soon
    saves_left = 1
    killed()
    saves_left = math.inf
    assert list((tmp_path / "killed").glob("*.tmp.*"))
    killed(stop_distilling=0)  # between the stages
    assert not list((tmp_path / "killed").glob("*.tmp.*"))
    killed(stop_distilling=moments.randint(500, 900))
    killed(stop_distilling=moments.randint(2, 30))
    code, report = learn(out, "--resume")
    assert code == 0
    assert psnr_db(report) == pytest.approx(psnr_db(whole[1]), abs=0.3)
    # One that is done only compares again.
    code, again = learn(out, "--resume", stop_distilling=0)
    assert code == 0
    assert psnr_db(again) == psnr_db(report)
