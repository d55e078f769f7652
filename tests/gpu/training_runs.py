"""What trainings on a GPU share: a curve that is kept as it grows, and light fields in 16 bits."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.engines.cuda import engine as cuda_engine
from r2l_core.engines.cuda.engine import CudaFactory
from r2l_core.model.light_field import LightField
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision


class Report:
    """A JSON file that holds at every moment what has been found out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, Any] = {}

    def write(self) -> None:
        self.path.write_text(json.dumps(self.values, indent=1), encoding="utf-8")

    def say(self, name: str, value: object) -> None:
        self.values[name] = value
        print(f"{name}: {json.dumps(value)[:300]}", flush=True)
        self.write()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measured; what goes wrong is told, and what comes after still done."""
        began = time.perf_counter()
        try:
            yield
        except Exception:
            self.say(f"{name}_failed", traceback.format_exc())
        self.say(f"{name}_s", round(time.perf_counter() - began, 2))


def follow(
    training: Any,
    report: Report,
    curve: str,
    every_s: float,
    measured: Callable[[], dict[str, float]] = dict,
) -> None:
    """Train to the end. Of every `every_s` seconds one point is kept, with what `measured` says."""
    points: list[dict[str, float]] = []
    report.values[curve] = points
    said_s = -math.inf
    for progress in training.run():
        if progress.elapsed_s - said_s >= every_s or progress.share >= 1.0:
            said_s = progress.elapsed_s
            points.append(
                {
                    "elapsed_s": round(progress.elapsed_s, 2),
                    "mrays": progress.rays / 1e6,
                    "train_psnr_db": progress.train_psnr_db,
                    "krays_per_s": progress.krays_per_s,
                    **measured(),
                }
            )
            print(json.dumps(points[-1]), flush=True)
            report.write()


def save_halves(light_field: LightField, path: Path) -> LightField:
    """Store it in 16 bits; what is stored."""
    halves = {name: tensor.half() for name, tensor in light_field.tensors.items()}
    save_light_field(replace(light_field, tensors=halves), path)
    return replace(load_light_field(str(path)), sha256="")


def source_of(light_field: LightField, precision: Precision) -> NetworkSource:
    """Whole pictures of a light field on the GPU."""
    engine = CudaFactory(cuda_engine.cuda_device).build(light_field, precision, "cuda")
    return NetworkSource(engine, light_field.scene, light_field.ray_mode())
