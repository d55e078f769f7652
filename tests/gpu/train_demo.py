"""Trains the demo's light field on the GPU for some seconds, stores it in 16 bits and scores it.

Scored as `eval` does: eight cameras, 400x400, the teacher averaged over 4x4 offsets around each
pixel's ray, every pixel through the network; at radius 4 and, with other cameras, at radius 3.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import torch

from r2l_core.engines.cuda import engine as cuda_engine
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import load_scene
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.training.distillation import DEFAULT_NETWORK, Trainer, TrainingConfig
from r2l_core.training.schedule import load_schedule
from r2l_core.training.steps import training_device
from r2l_core.training.teachers import supersampled_pixels, teacher_of
from r2l_core.types import Precision
from tests.gpu.training_runs import Report, follow, save_halves, source_of

SCHEDULE = Path(__file__).parent / "gpu-schedule.json"
_KEPT_EVERY_S = 30.0
ELEVATIONS_DEG = (8.0, 22.0, 38.0, 60.0)


def score(
    light_field: LightField, precision: Precision, radius: float, side_px: int, views: int
) -> dict[str, object]:
    """PSNR of each view against the teacher, whose rays run on the GPU as well."""
    scene, teacher = light_field.scene, teacher_of(light_field.scene)
    source = source_of(light_field, precision)
    pixels = torch.arange(side_px * side_px, device=cuda_engine.cuda_device().torch_device)
    db = []
    for view in range(views):
        orbit = Orbit(45.0 * view + 7.0, ELEVATIONS_DEG[view % 4], radius, scene.center)
        camera = orbit.camera(side_px, side_px, scene.focal_px(side_px))
        truth = supersampled_pixels(teacher, camera, pixels).cpu()
        colors = source.whole_picture(camera, whole=True).colors().view(-1, 3)
        db.append(psnr_db(float((colors - truth).square().mean())))
    return {"psnr_db_mean": statistics.mean(db), "psnr_db_views": db, "kernel": source.info.kernel}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=250.0, help="the schedule's, in all")
    parser.add_argument("--schedule", type=Path, default=SCHEDULE)
    parser.add_argument("--depth", type=int, default=DEFAULT_NETWORK.depth)
    parser.add_argument("--width", type=int, default=DEFAULT_NETWORK.width)
    parser.add_argument("--side", type=int, default=400)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    scene = load_scene("demo")
    network = replace(DEFAULT_NETWORK, depth=options.depth, width=options.width)
    schedule = load_schedule(options.schedule)
    config = TrainingConfig(minutes=options.seconds / 60.0, schedule=schedule, save_every_s=1e9)
    state = options.out.with_suffix(".state")
    trainer = Trainer(scene, teacher_of(scene), network, config, state, training_device("cuda"))
    report = Report(options.json)
    report.say("seconds", options.seconds)
    kept_s = 0.0

    def measured() -> dict[str, float]:
        nonlocal kept_s
        if trainer.elapsed_s - kept_s > _KEPT_EVERY_S:
            kept_s = trainer.elapsed_s
            save_halves(trainer.light_field(options.out.stem), options.out)
        return {"depth": trainer.network.config.depth}

    with report.phase("training"):
        follow(trainer, report, "curve", 5.0, measured)
    state.unlink(missing_ok=True)
    stored = save_halves(trainer.light_field(options.out.stem), options.out)
    report.say("mrays", trainer.rays / 1e6)
    report.say("stored_bytes", options.out.stat().st_size)
    scores = report.values["scores"] = {}
    for precision, radius in (
        (Precision.FP16, 4.0),
        (Precision.FP16, 3.0),
        (Precision.FP32, 4.0),
        (Precision.BF16, 4.0),
        (Precision.INT8, 4.0),
        (Precision.FP16, 5.5),
        (Precision.FP16, 2.5),
    ):
        name = f"{precision} radius {radius:g}"
        with report.phase(name):
            scores[name] = score(stored, precision, radius, options.side, options.views)
            print(f"{name}: {scores[name]['psnr_db_mean']:.2f} dB", flush=True)


if __name__ == "__main__":
    main()
