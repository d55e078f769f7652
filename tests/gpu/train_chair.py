"""Photographs to a light field on the GPU, within seconds: `teach` and `distill --finetune`.

What has been reached is kept when a phase ends, and the light field every half minute as well. A
phase that fails is told in the report, and the next still done.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from r2l_core.checkpoints.opening import load_checkpoint, load_light_field
from r2l_core.checkpoints.radiance import save_radiance
from r2l_core.commands.distill import distilled, new_distillation
from r2l_core.datasets import Dataset, open_dataset
from r2l_core.engines.teacher_engines import teacher_engine
from r2l_core.geometry.rays import canonicalise, hits_bounds, image_rays
from r2l_core.geometry.scene import SceneSpec
from r2l_core.images.metrics import psnr_db
from r2l_core.model.encoding import RayCoordinates, encode
from r2l_core.model.module import R2LNetwork
from r2l_core.model.radiance.field import RadianceTeacher
from r2l_core.training.distillation import DEFAULT_NETWORK
from r2l_core.training.radiance.config import TeachConfig
from r2l_core.training.radiance.fitting import taught
from r2l_core.training.radiance.trainer import TeachTrainer
from r2l_core.training.runs import tell_nobody
from r2l_core.training.steps import training_device
from r2l_core.training.teachers import Teacher
from r2l_core.types import Precision
from tests.gpu.training_runs import Report, follow, save_halves, source_of

SCHEDULE = Path(__file__).parent / "chair-schedule.json"
_CURVE_S = 8.0
_KEPT_EVERY_S = 30.0
_VALIDATION_VIEWS = 5
_VALIDATION_STRIDE = 11
_CHUNK_RAYS = 2**16

Rays = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Origins, directions and true colours, float32 (N, 3) each."""


def view_rays(dataset: Dataset, index: int, stride: int, place: torch.device) -> Rays:
    truth = torch.from_numpy(dataset.image(index)).view(-1, 3)
    origins, directions = image_rays(dataset.cameras[index])
    return tuple(part[::stride].to(place) for part in (origins, directions, truth))


def views_db(answers: Teacher, views: list[Rays]) -> list[float]:
    """PSNR of each view."""
    found = []
    for origins, directions, truth in views:
        parts = (torch.split(part, _CHUNK_RAYS) for part in (origins, directions))
        colors = torch.cat([answers(o, d) for o, d in zip(*parts, strict=True)])
        found.append(psnr_db(float((colors - truth).square().mean())))
    return found


def network_answers(network: R2LNetwork, scene: SceneSpec, place: torch.device) -> Teacher:
    """What a network answers to any rays, in its own precision."""
    coordinates = RayCoordinates(network.config, scene, place)
    background = torch.tensor(scene.background_rgb, device=place)
    dtype = next(network.parameters()).dtype

    @torch.no_grad()
    def answers(origins: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        hit = hits_bounds(origins, directions, scene)
        rays = canonicalise(origins, directions, scene) if scene.origin_radius else None
        features = encode(
            coordinates(*(rays or (origins, directions))), network.config.n_frequencies
        )
        colors = network(features.to(dtype)).float()
        return torch.where(hit[:, None], colors, background) if rays else colors

    return answers


def new_teacher(options: argparse.Namespace, place: torch.device, report: Report) -> None:
    """Learns it and keeps it, as far as it comes."""
    dataset = open_dataset(options.dataset, "train")
    held_out = open_dataset(options.dataset, "val")
    config = TeachConfig(minutes=options.teach_seconds / 60.0, save_every_s=1e9)
    state = options.work / "teacher.pt"
    trainer = TeachTrainer(dataset, held_out, config, state, place)

    def measured() -> dict[str, float]:
        trainer.measure()
        return {"held_out_psnr_db": trainer.held_out_psnr_db or 0.0}

    with report.phase("teaching"):
        follow(trainer, report, "teacher_curve", _CURVE_S, measured)
    state.unlink(missing_ok=True)
    report.say("teacher_mrays", trainer.rays / 1e6)
    report.say("teacher_rows", trainer.field.grid.n_rows)
    save_radiance(taught(trainer, "teacher"), options.teacher)


def opened_teacher(options: argparse.Namespace) -> RadianceTeacher:
    teacher = load_checkpoint(str(options.teacher), None)
    assert isinstance(teacher, RadianceTeacher)
    return teacher


def score_teacher(options: argparse.Namespace, place: torch.device, report: Report) -> None:
    test = open_dataset(options.dataset, "test")
    engine = teacher_engine(opened_teacher(options), str(place))
    views = [view_rays(test, i, options.stride, place) for i in range(0, len(test), options.every)]
    began = time.perf_counter()
    db = views_db(engine.colors, views)
    n_rays = sum(len(view[0]) for view in views)
    report.say("teacher_answers_mrays_per_s", n_rays / (time.perf_counter() - began) / 1e6)
    report.say("teacher_psnr_db", {"mean": statistics.mean(db), "views": db})


def distil(options: argparse.Namespace, place: torch.device, report: Report) -> None:
    """Learns the light field and keeps it, as far as it comes."""
    as_command = argparse.Namespace(
        teacher=str(options.teacher),
        finetune=options.dataset,
        half_res=False,
        scene=None,
        minutes=options.distill_seconds / 60.0,
        schedule=options.schedule,
        depth=options.depth,
        width=options.width,
        frequencies=DEFAULT_NETWORK.n_frequencies,
        device="cuda",
        out=options.out,
    )
    state = options.work / "light-field.pt"
    trainer = new_distillation(as_command, state, tell_nobody)
    trainer.config = replace(trainer.config, save_every_s=1e9)
    validation = open_dataset(options.dataset, "val")
    views = [
        view_rays(validation, index, _VALIDATION_STRIDE, place)
        for index in range(min(_VALIDATION_VIEWS, len(validation)))
    ]
    kept_s = 0.0

    def measured() -> dict[str, float]:
        nonlocal kept_s
        if trainer.elapsed_s - kept_s > _KEPT_EVERY_S:
            kept_s = trainer.elapsed_s
            save_halves(distilled(trainer, as_command), options.out)
        db = views_db(network_answers(trainer.network, trainer.scene, place), views)
        depth = trainer.network.config.depth
        return {"held_out_psnr_db": statistics.mean(db), "depth": depth}

    with report.phase("distilling"):
        follow(trainer, report, "curve", _CURVE_S, measured)
    state.unlink(missing_ok=True)
    report.say("mrays", trainer.rays / 1e6)
    save_halves(distilled(trainer, as_command), options.out)
    report.say("stored_bytes", options.out.stat().st_size)


def score(options: argparse.Namespace, place: torch.device, report: Report) -> None:
    """Of what is stored, against the test views: plain torch first, then the engine."""
    stored = replace(load_light_field(str(options.out)), sha256="")
    test = open_dataset(options.dataset, "test")
    indices = range(0, len(test), options.every)
    with report.phase("plain_score"):
        network = stored.module().to(place)
        answers = network_answers(network, stored.scene, place)
        views = [view_rays(test, index, options.stride, place) for index in indices]
        db = views_db(answers, views)
        report.say("psnr_db_fp32", {"mean": statistics.mean(db), "views": db})
    with report.phase("engine_score"):
        source = source_of(stored, Precision.FP16)
        db = []
        for index in indices:
            truth = torch.from_numpy(test.image(index)).view(-1, 3)
            colors = source.whole_picture(test.cameras[index], whole=True).colors().view(-1, 3)
            db.append(psnr_db(float((colors - truth).square().mean())))
        report.say("psnr_db_fp16", {"mean": statistics.mean(db), "views": db})
        report.say("kernel", source.info.kernel)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="a Blender dataset's folder")
    parser.add_argument("--teach-seconds", type=float, default=70.0)
    parser.add_argument("--distill-seconds", type=float, default=200.0)
    parser.add_argument("--teacher", type=Path, help="of an earlier run, instead of teaching")
    parser.add_argument("--schedule", type=Path, default=SCHEDULE)
    parser.add_argument("--depth", type=int, default=DEFAULT_NETWORK.depth)
    parser.add_argument("--width", type=int, default=DEFAULT_NETWORK.width)
    parser.add_argument("--every", type=int, default=1, help="of the test views that are scored")
    parser.add_argument("--stride", type=int, default=1, help="of their pixels that are scored")
    parser.add_argument("--work", type=Path, default=Path("/tmp/r2l-chair"), help="teacher, states")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    began = time.perf_counter()
    options.work.mkdir(parents=True, exist_ok=True)
    device = training_device("cuda")
    assert device is not None
    place, report = device.torch_device, Report(options.json)
    if options.teacher is None:
        options.teacher = options.work / "teacher.safetensors"
        with report.phase("teacher"):
            new_teacher(options, place, report)
    with report.phase("teacher_score"):
        score_teacher(options, place, report)
    with report.phase("light_field"):
        distil(options, place, report)
    with report.phase("score"):
        score(options, place, report)
    report.say("all_s", round(time.perf_counter() - began, 1))


if __name__ == "__main__":
    main()
