"""Trains the demo's light field on the GPU for some minutes, stores it in 16 bits and scores it.

Scored as `eval` does: eight cameras, 400x400, the teacher averaged over 4x4 offsets around each
pixel's ray, every pixel through the network; at radius 4 and, with other cameras, at radius 3.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.engines.cuda import engine as cuda_engine
from r2l_core.engines.cuda.engine import CudaFactory
from r2l_core.geometry.orbit import Orbit
from r2l_core.geometry.scene import load_scene
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.render.sources import NetworkSource
from r2l_core.training.distillation import DEFAULT_NETWORK, Trainer, TrainingConfig
from r2l_core.training.schedule import load_schedule
from r2l_core.training.steps import training_device
from r2l_core.training.teachers import supersampled_pixels, teacher_of
from r2l_core.types import Precision

SCHEDULE = Path(__file__).parent / "gpu-schedule.json"
ELEVATIONS_DEG = (8.0, 22.0, 38.0, 60.0)


def score(
    light_field: LightField, precision: Precision, radius: float, side_px: int, views: int
) -> dict[str, object]:
    """PSNR of each view against the teacher, whose rays run on the GPU as well."""
    scene, teacher = light_field.scene, teacher_of(light_field.scene)
    engine = CudaFactory(cuda_engine.cuda_device).build(light_field, precision, "cuda")
    source = NetworkSource(engine, scene, light_field.ray_mode())
    pixels = torch.arange(side_px * side_px, device=cuda_engine.cuda_device().torch_device)
    db = []
    for view in range(views):
        orbit = Orbit(45.0 * view + 7.0, ELEVATIONS_DEG[view % 4], radius, scene.center)
        camera = orbit.camera(side_px, side_px, scene.focal_px(side_px))
        truth = supersampled_pixels(teacher, camera, pixels).cpu()
        colors = source.whole_picture(camera, whole=True).colors().view(-1, 3)
        db.append(psnr_db(float((colors - truth).square().mean())))
    return {"psnr_db_mean": statistics.mean(db), "psnr_db_views": db, "kernel": engine.info.kernel}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.6)
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
    config = TrainingConfig(
        minutes=options.minutes, schedule=load_schedule(options.schedule), save_every_s=1e9
    )
    state = options.out.with_suffix(".state")
    trainer = Trainer(scene, teacher_of(scene), network, config, state, training_device("cuda"))
    curve: list[dict[str, float]] = []
    report: dict[str, object] = {"minutes": options.minutes, "curve": curve}
    said_s = -math.inf
    for progress in trainer.run():
        if progress.elapsed_s - said_s >= 5.0 or progress.share >= 1.0:
            said_s = progress.elapsed_s
            curve.append(
                {
                    "elapsed_s": progress.elapsed_s,
                    "mrays": progress.rays / 1e6,
                    "depth": progress.depth,
                    "train_psnr_db": progress.train_psnr_db,
                    "krays_per_s": progress.krays_per_s,
                }
            )
            print(json.dumps(curve[-1]))
            options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    state.unlink(missing_ok=True)
    trained = trainer.light_field(options.out.stem)
    halves = {name: tensor.half() for name, tensor in trained.tensors.items()}
    save_light_field(replace(trained, tensors=halves), options.out)
    report["mrays"] = trainer.rays / 1e6
    report["stored_bytes"] = options.out.stat().st_size
    stored = replace(load_light_field(str(options.out)), sha256="")
    report["scores"] = {}
    for precision, radius in (
        (Precision.FP16, 4.0),
        (Precision.FP16, 3.0),
        (Precision.FP32, 4.0),
        (Precision.BF16, 4.0),
        (Precision.INT8, 4.0),
        (Precision.FP16, 5.5),
        (Precision.FP16, 2.5),
    ):
        began = time.perf_counter()
        scored = score(stored, precision, radius, options.side, options.views)
        scored["seconds"] = time.perf_counter() - began
        report["scores"][f"{precision} radius {radius:g}"] = scored
        print(f"{precision} radius {radius:g}: {scored['psnr_db_mean']:.2f} dB")
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
