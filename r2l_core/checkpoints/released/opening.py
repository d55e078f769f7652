"""A released file to a light field or a NeRF teacher."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from r2l_core.checkpoints.opening import cannot_open
from r2l_core.checkpoints.released.archive import open_archive
from r2l_core.checkpoints.released.r2l import Options, build_light_field
from r2l_core.checkpoints.released.stand_ins import Refused
from r2l_core.checkpoints.released.state_dict import StateDict
from r2l_core.checkpoints.released.teacher import build_teacher, is_nerf
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.nerf import NerfTeacher

_WEIGHTS = "network_fn_state_dict"
_FINE_WEIGHTS = "network_fine_state_dict"


def open_released(
    path: Path, scene: SceneSpec | None, assumed: Mapping[str, Any]
) -> LightField | NerfTeacher:
    """Open what `torch.save` has written, zip or legacy, without running anything in it.

    `assumed`: what the file does not say, by name; see `r2l.ASSUMED` and `teacher.ASSUMED`.
    Raises CheckpointError that names the file and what is wrong in it.
    """
    try:
        with path.open("rb") as file:
            opened = _open(file, path, scene, assumed)
            file.seek(0)
            return replace(opened, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    except Refused as error:
        raise cannot_open(path, str(error), error.remedy) from error
    except OSError as error:
        raise cannot_open(path, error.strerror or str(error), "Choose a readable file.") from error


def _open(
    file: BinaryIO, path: Path, scene: SceneSpec | None, assumed: Mapping[str, Any]
) -> LightField | NerfTeacher:
    archive = open_archive(file)
    root, size = archive.root, path.stat().st_size
    if not isinstance(root, dict):
        raise Refused("it holds no dictionary, as a checkpoint does")
    weights, field = root.get(_WEIGHTS), _WEIGHTS
    # R2L-quant saves the state dict itself, with the converted one inside it.
    converted = weights is not None and "head.0.weight" in root
    if weights is None:
        if not any(isinstance(key, str) and key.endswith("0.weight") for key in root):
            raise Refused(f"it has no {_WEIGHTS}", "Choose an R2L or NeRF checkpoint.")
        weights, field = root, "state dict"
    state = StateDict.of(archive, weights, field, size)
    if is_nerf(state):
        fine = root.get(_FINE_WEIGHTS)
        return build_teacher(
            state,
            None if fine is None else StateDict.of(archive, fine, _FINE_WEIGHTS, size),
            path.stem,
            scene,
            assumed,
        )
    light_field = build_light_field(state, Options.of(root), path.stem, scene, assumed, converted)
    facts = {
        name: root[name]
        for name in ("global_step", "best_psnr", "best_psnr_step")
        if isinstance(root.get(name), int | float) and abs(root[name]) < 2**53
    }
    return replace(light_field, provenance={"source": "released checkpoint", **facts})
