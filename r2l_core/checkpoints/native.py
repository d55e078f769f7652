"""Native files, opened: the header is checked before anything behind it is read.

What such a file holds is written down in `opening`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from r2l_core.checkpoints.native_header import bad_count, check_promise, describe, n_tensors
from r2l_core.checkpoints.opening import (
    NO_SCENE,
    cannot_open,
    reason_of,
)
from r2l_core.checkpoints.packing import unpacked
from r2l_core.checkpoints.released.opening import open_bare
from r2l_core.checkpoints.safetensors_header import read_header
from r2l_core.checkpoints.stored_tensors import read_tensor
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.nerf import NerfTeacher
from r2l_core.model.network import NetworkConfig
from r2l_core.torch_threads import one_torch_thread

_STORED_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def open_native(
    path: Path, scene: SceneSpec | None, assumed: Mapping[str, Any]
) -> LightField | NerfTeacher:
    """Open a native file; `scene` replaces its own. Raises CheckpointError.

    Bare weights under the released names, without our header, open like a released file that says
    nothing: where a scene is given. `assumed` is for those alone.
    """
    # Hundreds of small steps: a second thread would only wait for the first.
    with one_torch_thread():
        return _opened(path, scene, assumed)


def _opened(
    path: Path, scene: SceneSpec | None, assumed: Mapping[str, Any]
) -> LightField | NerfTeacher:
    if _is_bare(path):
        return open_bare(path, scene, assumed)
    if assumed:
        raise cannot_open(
            path, "--assume does not go with it: a native file says all", "Leave --assume out."
        )
    header, tensors, sha256 = _read(path)
    config, file_scene, provenance = describe(path, header)
    notes: tuple[str, ...] = ()
    if file_scene is None and scene is None:
        notes = (NO_SCENE.format(SceneSpec(path.stem)),)
    try:
        tensors, quantization = unpacked(config, tensors, header.get("quantization"))
    except ValueError as error:
        raise cannot_open(
            path, f"its quantised layers are damaged ({error})", "Quantise the original again."
        ) from error
    _check_tensors(path, config, tensors)
    stored = "int8" if quantization and quantization.layers else tensors["head.0.weight"].dtype
    return LightField(
        name=path.stem,
        network=config,
        scene=scene or file_scene or SceneSpec(path.stem),
        tensors={name: tensor.to(torch.float32) for name, tensor in tensors.items()},
        provenance=provenance,
        quantization=quantization,
        stored_dtype=str(stored).removeprefix("torch."),
        sha256=sha256,
        plain_rays=header.get("rays") == "plain",
        says_scene=file_scene is not None,
        notes=notes,
    )


def _is_bare(path: Path) -> bool:
    """Whether a file holds the weights of a light field and nothing that describes them."""
    try:
        with path.open("rb") as file:
            header = read_header(file)
    except (OSError, ValueError):
        return False  # whatever is wrong is said when it is read
    named = any(name.endswith("head.0.weight") for name in header.tensors)
    return named and header.metadata.get("format", "pt") == "pt"


def format_of(path: Path) -> Any:
    """What the header of a `.safetensors` file says that it is; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return read_header(file).metadata.get("format")
    except (OSError, ValueError):
        return None  # whoever opens it finds out why


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, Tensor], str]:
    """Metadata, tensors and SHA-256. No more is read than the header promises, and nothing of a
    header that promises something else than the network it describes."""
    try:
        with path.open("rb") as file:
            header = read_header(file)
            check_promise(path, header)
            tensors = {name: read_tensor(file, header, name) for name in header.tensors}
            file.seek(0)
            return header.metadata, tensors, hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise cannot_open(path, reason_of(error), "Choose a readable file.") from error
    except (ValueError, RuntimeError) as error:
        raise cannot_open(
            path,
            f"it is truncated, damaged or not a .safetensors file ({error})",
            "Download or copy it again, or choose another file.",
        ) from error


def _check_tensors(path: Path, config: NetworkConfig, tensors: Mapping[str, Tensor]) -> None:
    remedy = "Make the file again, or choose another."
    # The count comes first: a forged depth must not make us build a billion names.
    if len(tensors) != n_tensors(config):
        raise bad_count(path, config, len(tensors))
    for name, shape in config.tensor_shapes().items():
        tensor = tensors.get(name)
        if tensor is None:
            raise cannot_open(path, f"the tensor {name} is missing", remedy)
        if tuple(tensor.shape) != shape:
            raise cannot_open(
                path, f"{name} has the shape {tuple(tensor.shape)} instead of {shape}", remedy
            )
        if tensor.dtype not in _STORED_DTYPES:
            raise cannot_open(path, f"{name} is of type {tensor.dtype}, not floating", remedy)
        if not torch.isfinite(tensor).all():
            raise cannot_open(path, f"{name} holds NaN or infinite values", remedy)
