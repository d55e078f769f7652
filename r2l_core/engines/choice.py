"""Which engine `auto` takes: a self-check, a stopwatch, and a memory of earlier choices."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs
import torch
from torch import Tensor

from r2l_core.engines.base import Engine
from r2l_core.engines.processor import this_processor
from r2l_core.engines.tiles import Tiles
from r2l_core.errors import EngineError
from r2l_core.geometry.rays import image_rays
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.types import Precision

CHECK_FLOOR_DB = {Precision.FP32: 70.0, Precision.FP16: 40.0, Precision.BF16: 30.0}
"""Least agreement with the reference that passes the self-check. Far below what a working engine
reaches: it is there to catch a broken one, not to judge a precision."""

_FLOOR_DB = 20.0
_TURNS = 3

PREVIEW_RAYS = 2080
"""Rays of a picture during a drag: a 400x400 image has about so many at every eighth pixel. Engines
that are equally fast on a whole image differ here, by how well their tiles fit."""


def check(engine: Engine, reference: Engine, light_field: LightField) -> None:
    """Raise EngineError where `engine` disagrees with the reference on real rays."""
    origins, directions = check_rays(light_field, engine.tile_rays)
    colors = shade_all(engine, origins, directions)
    truth = shade_all(reference, origins, directions)
    agreement_db = psnr_db(float((colors - truth).square().mean()))
    floor_db = CHECK_FLOOR_DB.get(engine.info.precision, _FLOOR_DB)
    if not agreement_db >= floor_db:
        raise EngineError(
            f"The {engine.info.engine} engine was refused for {engine.info.precision}",
            f"its picture is only {agreement_db:.1f} dB from the reference, {floor_db:g} needed",
            "Choose another engine or precision.",
        )


def shade_all(engine: Engine, origins: Tensor, directions: Tensor) -> Tensor:
    """Colours of any number of rays, float32 (N, 3), tile by tile; the last tile is filled up."""
    colors = []
    for start in range(0, len(origins), engine.tile_rays):
        rows = torch.arange(start, start + engine.tile_rays).clamp_max(len(origins) - 1)
        colors.append(engine.shade(origins[rows], directions[rows]).colors)
    return torch.cat(colors)[: len(origins)]


def check_rays(light_field: LightField, n_rays: int) -> tuple[Tensor, Tensor]:
    """Rays spread over the first view of the scene, float32 (n_rays, 3) each."""
    origins, directions = image_rays(light_field.scene.home_camera())
    rows = torch.linspace(0, len(origins) - 1, n_rays).round().to(torch.int64)
    return origins[rows], directions[rows]


def fastest(engines: Mapping[str, Engine], light_field: LightField) -> str:
    """The name of the engine that is the first to have a preview, at its best of a few times."""
    origins, directions = check_rays(light_field, PREVIEW_RAYS)
    tiles = {name: Tiles(engine) for name, engine in engines.items()}
    best = dict.fromkeys(engines, float("inf"))
    # In turn, so that a moment in which the machine is busy is nobody's alone; twice each, because
    # the threads of the engine before may still be spinning.
    for name in [*tiles] * _TURNS:
        for _ in range(2):
            best[name] = min(best[name], _preview_seconds(tiles[name], origins, directions))
    return min(best, key=lambda name: best[name])


def _preview_seconds(tiles: Tiles, origins: Tensor, directions: Tensor) -> float:
    start = time.perf_counter()
    for part in zip(
        *(torch.split(rays, tiles.size) for rays in (origins, directions)), strict=True
    ):
        tiles.shade(*part)
    return time.perf_counter() - start


def recall(
    light_field: LightField, precision: Precision, device: str, names: list[str]
) -> str | None:
    """The engine chosen before for this machine and model, if it is still a candidate.

    Models that were never on disk have no name to be remembered by.
    """
    if not light_field.sha256:
        return None
    name = _memory().get(_key(light_field, precision, device))
    return name if name in names else None


def remember(light_field: LightField, precision: Precision, device: str, name: str) -> None:
    """Keep a choice; a cache that cannot be written is no reason to fail."""
    if not light_field.sha256:
        return
    choices = {**_memory(), _key(light_field, precision, device): name}
    path = _path()
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(choices, indent=1), encoding="utf-8")
        os.replace(temporary, path)
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _path() -> Path:
    return platformdirs.user_cache_path("r2l-viewer") / "engine-choices.json"


def _memory() -> dict[str, str]:
    try:
        choices = json.loads(_path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return choices if isinstance(choices, dict) else {}


def _key(light_field: LightField, precision: Precision, device: str) -> str:
    """Everything the choice depends on: processor, libraries, the network, and how it is made."""
    processor = this_processor().name
    gpu = torch.cuda.get_device_name() if device == "cuda" else ""
    try:
        openvino = version("openvino")
    except PackageNotFoundError:
        openvino = "none"
    network = light_field.network
    return (
        f"{processor} {gpu} x{torch.get_num_threads()}, torch {torch.__version__}, "
        f"openvino {openvino}, {network.short_name} in{network.input_size}, "
        f"{light_field.sha256[:12]}, {precision}, by {PREVIEW_RAYS} rays"
    )
