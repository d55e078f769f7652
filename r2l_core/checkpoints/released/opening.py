"""A released file to a light field or a NeRF teacher."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from r2l_core.checkpoints.opening import cannot_open
from r2l_core.checkpoints.released.archive import Archive, open_archive
from r2l_core.checkpoints.released.r2l import Options, build_light_field
from r2l_core.checkpoints.released.stand_ins import Record, Refused, StorageRef, TensorRef
from r2l_core.checkpoints.released.state_dict import StateDict, has_weights
from r2l_core.checkpoints.released.teacher import build_teacher, is_nerf
from r2l_core.checkpoints.safetensors_header import StoredTensor, read_header
from r2l_core.checkpoints.stored_tensors import stored_dtype
from r2l_core.errors import system_reason
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.nerf import NerfTeacher

_WEIGHTS = "network_fn_state_dict"
_FINE_WEIGHTS = "network_fine_state_dict"
_WRAPPED = ("state_dict", "model_state_dict", "model", "network", "net", "module")
"""Where other training programs keep the weights: Lightning under the first."""


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
        raise cannot_open(path, system_reason(error), "Choose a readable file.") from error


def _open(
    file: BinaryIO, path: Path, scene: SceneSpec | None, assumed: Mapping[str, Any]
) -> LightField | NerfTeacher:
    archive = open_archive(file)
    root, size = archive.root, path.stat().st_size
    if isinstance(root, Record):
        raise Refused(
            f"it is a whole pickled module of the class {root.kind}, and no dictionary of weights",
            "Save its weights, torch.save(model.state_dict(), ...), and open those.",
        )
    if not isinstance(root, dict):
        raise Refused("it holds no dictionary, as a checkpoint does")
    # R2L-quant saves the state dict itself, with the converted one inside it.
    converted = _WEIGHTS in root and "head.0.weight" in root
    weights, field = _weights(root)
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


def _weights(root: Mapping[Any, Any]) -> tuple[Any, str]:
    """The weights in a checkpoint, and what they are called there. Raises Refused."""
    if root.get(_WEIGHTS) is not None:
        return root[_WEIGHTS], _WEIGHTS
    if has_weights(root):
        return root, "state dict"
    for key in _WRAPPED:
        if has_weights(root.get(key)):
            return root[key], key
    others = {str(key): value for key, value in root.items() if has_weights(value)}
    for key, value in root.items():
        if isinstance(value, dict):
            inner = {f"{key}.{one}": deep for one, deep in value.items() if has_weights(deep)}
            others.update(inner)
    if len(others) == 1:
        ((field, weights),) = others.items()
        return weights, field[:80]
    if others:
        raise Refused(
            f"it holds weights several times: {', '.join(name[:40] for name in list(others)[:5])}",
            "Save those that you want alone, torch.save(weights, ...), and open that.",
        )
    listed = ", ".join(str(key)[:40] for key in list(root)[:5]) or "nothing"
    raise Refused(
        f"it has no {_WEIGHTS}, nor other weights of a light field or NeRF: it holds {listed}",
        "Choose an R2L or NeRF checkpoint.",
    )


def open_bare(
    path: Path, scene: SceneSpec | None, assumed: Mapping[str, Any]
) -> LightField | NerfTeacher:
    """Open a `.safetensors` file of weights alone, as a released file that says nothing else.

    Raises CheckpointError, also where no scene is given.
    """
    if scene is None:
        raise cannot_open(
            path,
            "it holds bare weights: nothing says of which scene they are",
            "Give the scene, such as --scene blender:lego.",
        )
    try:
        with path.open("rb") as file:
            header = read_header(file)
            references = {name: _reference(name, stored) for name, stored in header.tensors.items()}

            def read(storage: StorageRef) -> bytes:
                at = header.tensors[storage.key]
                file.seek(header.n_bytes + at.begin)
                return file.read(at.end - at.begin)

            size = path.stat().st_size
            archive = Archive(references, read, size)
            state = StateDict.of(archive, references, "file", size)
            opened = build_light_field(state, Options({}), path.stem, scene, assumed, False)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return replace(opened, sha256=sha256, provenance={"source": "bare weights"})
    except Refused as error:
        raise cannot_open(path, str(error), error.remedy) from error
    except OSError as error:
        raise cannot_open(path, system_reason(error), "Choose a readable file.") from error
    except ValueError as error:
        raise cannot_open(path, f"it is damaged ({error})", "Choose another file.") from error


def _reference(name: str, stored: StoredTensor) -> TensorRef:
    strides = tuple(prod(stored.shape[at + 1 :]) for at in range(len(stored.shape)))
    storage = StorageRef(stored_dtype(name, stored), name, stored.numel)
    return TensorRef(storage, 0, stored.shape, strides)
