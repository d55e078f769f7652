"""Which engine `auto` takes: a self-check, a stopwatch, and a memory of earlier choices."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from r2l_core.engines.base import Engine, PictureEngine
from r2l_core.engines.processor import this_processor
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.engines.tiles import Tiles
from r2l_core.errors import EngineError
from r2l_core.files import replacing
from r2l_core.geometry.rays import camera_values, flat_pixel_rays, image_rays, network_rays
from r2l_core.images.metrics import psnr_db
from r2l_core.json_fields import stored_object
from r2l_core.model.light_field import LightField
from r2l_core.types import EngineInfo, Precision

CHECK_FLOOR_DB = {Precision.FP32: 70.0, Precision.FP16: 40.0, Precision.BF16: 30.0}
"""Least agreement with the reference that passes the self-check. Far below what a working engine
reaches: it is there to catch a broken one, not to judge a precision."""

_FLOOR_DB = 20.0

_PICTURE_FLOOR_DB = 30.0
"""Least agreement of an engine's pictures with its rays. A pixel at the edge of the scene's bounds
may be background in one and not in the other, which costs a small picture more than rounding."""

_PICTURE_PX = 64
"""Side of the picture whose making is checked; smaller where tiles have fewer rays than pixels."""

CLAIMS = (Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8)
"""Precisions that stand for the light field, so that even a lone engine of one is checked. The
others show what a rounding does to it, however bad that is."""

CHECK_RAYS = 2048
"""Most rays the reference is asked about in a self-check: about 0.2 s for the published network on
two processor cores."""

TURNS = 3
"""How often each engine is timed."""

PREVIEW_RAYS = 2080
"""Rays of a picture during a drag: a 400x400 image has about so many at every eighth pixel. Engines
that are equally fast on a whole image differ here, by how well their tiles fit."""


def check(engine: Engine, light_field: LightField) -> None:
    """Raise EngineError where `engine` disagrees with the reference on real rays.

    The rays fill one tile of the engine; the reference is asked about some of all of it. What the
    engine makes from a camera on is compared with what it makes of the camera's rays.
    """
    info = engine.info
    origins, directions = check_rays(light_field, engine.tile_rays)
    colors = shade_all(engine, origins, directions)
    n_rays = min(len(colors), CHECK_RAYS)
    rows = torch.linspace(0, len(colors) - 1, n_rays).round().to(torch.int64)
    colors, truth = colors[rows], _truth(light_field, origins[rows], directions[rows])
    # Of a network whose colours are no numbers, no engine can give better ones.
    sound = truth.isfinite().all(-1)
    if not bool(sound.any()):
        return
    colors, truth = colors[sound], truth[sound]
    floor_db = CHECK_FLOOR_DB.get(info.precision, _FLOOR_DB)
    _require_agreement(info, "its picture is", colors, truth, "the reference", floor_db)
    if isinstance(engine, PictureEngine):
        _check_pictures(engine, light_field)


def _require_agreement(
    info: EngineInfo, what: str, colors: Tensor, truth: Tensor, of: str, floor_db: float
) -> None:
    """Raise EngineError where colours, float32 (n, 3) each, differ by more than they may."""
    agreement_db = psnr_db(float((colors - truth).square().mean()))
    if agreement_db >= floor_db:
        return
    why = f"{what} only {agreement_db:.1f} dB from {of}, {floor_db:g} needed"
    if not bool(colors.isfinite().all()):
        why = "its colours are not numbers"
    raise EngineError(
        f"The {info.engine} engine was refused for {info.precision}",
        why,
        "Choose another engine or precision.",
    )


def _check_pictures(engine: PictureEngine, light_field: LightField) -> None:
    """Raise EngineError where whole pictures or lists of pixels are not those of their rays."""
    scene, ray_mode, info = light_field.scene, light_field.ray_mode(), engine.info
    side_px = math.isqrt(min(_PICTURE_PX**2, engine.tile_rays))
    camera = scene.home().camera(side_px, side_px, scene.focal_px(side_px))
    *rays, asked = network_rays(*image_rays(camera), scene, ray_mode, skip_background=True)
    assert asked is not None
    background = torch.tensor(scene.background_rgb)
    expected = torch.where(asked[:, None], shade_all(engine, *rays), background)

    def require(what: str, colors: Tensor) -> None:
        _require_agreement(info, what, colors, expected, "its rays", _PICTURE_FLOOR_DB)

    picture = engine.whole_pictures(scene, ray_mode).render(camera, skip_background=True)
    require("whole pictures are", picture.colors().view(-1, 3))
    lists, pixels = engine.pixel_lists(scene, ray_mode), torch.arange(side_px**2)
    asked = lists.asked(camera, pixels, skip_background=True)
    assert asked is not None
    colors = Tiles(lists).shade(pixels, camera=camera).colors
    require("lists of pixels are", torch.where(asked[:, None], colors, background))


_truths: WeakKeyDictionary[LightField, tuple[Tensor, Tensor]] = WeakKeyDictionary()


def _truth(light_field: LightField, origins: Tensor, directions: Tensor) -> Tensor:
    """What the reference says of these rays; the last answer for each light field is kept, as
    engines of one device are asked about the same rays. Rays: float32 (n, 3)."""
    asked = torch.cat([origins, directions], 1)
    known = _truths.get(light_field)
    if known is None or not torch.equal(known[0], asked):
        colors = shade_all(ReferenceEngine(light_field), origins, directions)
        known = _truths[light_field] = (asked, colors)
    return known[1]


def shade_all(engine: Engine, origins: Tensor, directions: Tensor) -> Tensor:
    """Colours of any number of rays, float32 (N, 3), tile by tile; the last tile is filled up."""
    colors = []
    for start in range(0, len(origins), engine.tile_rays):
        rows = torch.arange(start, start + engine.tile_rays).clamp_max(len(origins) - 1)
        colors.append(engine.shade(origins[rows], directions[rows]).colors)
    return torch.cat(colors)[: len(origins)]


def check_rays(light_field: LightField, n_rays: int) -> tuple[Tensor, Tensor]:
    """Rays spread over the first view of the scene, float32 (n_rays, 3) each."""
    camera = light_field.scene.home_camera()
    last = camera.width_px * camera.height_px - 1
    # Only these: all rays of the largest pictures take a gigabyte and ten seconds.
    pixels = torch.linspace(0, last, n_rays, dtype=torch.float64).round().to(torch.int64)
    return flat_pixel_rays(camera_values(camera), pixels, camera.width_px)


class Stopwatch:
    """Times previews of a light field's first view on an engine."""

    def __init__(self, engine: Engine, light_field: LightField) -> None:
        self._tiles = Tiles(engine)
        self._rays = check_rays(light_field, PREVIEW_RAYS)

    def seconds(self) -> float:
        """How long a preview takes: the better of two, because the threads of the engine before
        may still be spinning."""
        return min(self._preview_seconds() for _ in range(2))

    def _preview_seconds(self) -> float:
        start = time.perf_counter()
        parts = (torch.split(rays, self._tiles.size) for rays in self._rays)
        for part in zip(*parts, strict=True):
            self._tiles.shade(*part)
        return time.perf_counter() - start


def fastest(engines: Mapping[str, Engine], light_field: LightField) -> str:
    """The name of the engine that is the first to have a preview, at its best of a few times."""
    watches = {name: Stopwatch(engine, light_field) for name, engine in engines.items()}
    best = dict.fromkeys(engines, float("inf"))
    # In turn, so that a moment in which the machine is busy is nobody's alone.
    for name in [*watches] * TURNS:
        best[name] = min(best[name], watches[name].seconds())
    return min(best, key=lambda name: best[name])


def recall(
    light_field: LightField, precision: Precision, device: str, names: list[str]
) -> str | None:
    """The engine chosen before for this machine and model, if it is still a candidate.

    Models that were never on disk have no name to be remembered by.
    """
    if not light_field.sha256:
        return None
    name = _memory().get(_key(light_field, precision, device, names))
    return name if name in names else None


def remember(
    light_field: LightField, precision: Precision, device: str, names: list[str], name: str
) -> None:
    """Keep the choice of `name` among `names`; a cache that cannot be written is no reason to
    fail."""
    if not light_field.sha256:
        return
    _keep(_key(light_field, precision, device, names), name)


def recall_fidelity(light_field: LightField, precision: Precision) -> float | None:
    """The agreement with fp32 that was measured before on this machine, in dB."""
    if not light_field.sha256:
        return None
    found = _memory().get(_fidelity_key(light_field, precision))
    return found if isinstance(found, float) else None


def remember_fidelity(light_field: LightField, precision: Precision, agreement_db: float) -> None:
    """Keep a measured agreement with fp32, in dB."""
    if light_field.sha256:
        _keep(_fidelity_key(light_field, precision), agreement_db)


def _fidelity_key(light_field: LightField, precision: Precision) -> str:
    return f"{this_processor().name}, {light_field.sha256[:12]}, {precision} to fp32, dB"


def _keep(key: str, value: str | float) -> None:
    what = "The choice of an engine could not be kept"
    kept = {**_memory(), key: value}
    with contextlib.suppress(EngineError), replacing(_path(), EngineError, what) as new:
        new.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _path() -> Path:
    # Imported here: engines also run where nothing is remembered.
    import platformdirs

    return platformdirs.user_cache_path("r2l-viewer") / "engine-choices.json"


def _memory() -> dict[str, Any]:
    try:
        return stored_object(_path().read_bytes())
    except OSError:
        return {}


def _key(light_field: LightField, precision: Precision, device: str, names: list[str]) -> str:
    """Everything the choice depends on: processor, libraries, the network, the candidates, and how
    it is made."""
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
        f"{light_field.sha256[:12]}, {precision}, "
        f"{' or '.join(names)} by {PREVIEW_RAYS} rays"
    )
