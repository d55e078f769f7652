"""What a native file consists of: a header and tensors, checked; no light field is made here.

See `checkpoint` for what is in the header. Everything that a stranger's file may get wrong ends in
a CheckpointError that names it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from r2l_core.errors import CheckpointError, SceneError
from r2l_core.network import NetworkConfig
from r2l_core.scene import SceneSpec

FORMAT = "r2l-light-field"
VERSION = "1"
MAX_DEPTH = 10_000
_ALIGNMENT = 8
_STORED_DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def reason(error: Exception) -> str:
    """Why something failed, as a clause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error)


def cannot_open(path: Path, why: str, remedy: str) -> CheckpointError:
    """The error for a file that cannot be opened: a clause and an imperative sentence."""
    return CheckpointError(f"The light field {path} cannot be opened", why, remedy)


def serialised(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A `.safetensors` file; the same tensors and metadata give the same bytes."""
    data = safetensors.torch.save(dict(tensors), dict(metadata))
    size = int.from_bytes(data[:8], "little")
    # The library writes its metadata in another order every time.
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def read(path: Path) -> bytes:
    """The whole file. Raises CheckpointError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise cannot_open(path, reason(error), "Choose a readable file.") from error


def parse(path: Path, data: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors as stored. Raises CheckpointError."""
    try:
        tensors = safetensors.torch.load(data)
        header_size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + header_size]).get("__metadata__") or {}
    except (SafetensorError, ValueError, RecursionError, KeyError, RuntimeError) as error:
        raise cannot_open(
            path,
            f"it is truncated, damaged or not a .safetensors file ({error})",
            "Download or copy it again, or choose another file.",
        ) from error
    return header, tensors


def describe(
    path: Path, header: Mapping[str, str]
) -> tuple[NetworkConfig, SceneSpec, dict[str, Any]]:
    """Network, scene and provenance of the metadata. Raises CheckpointError."""
    if header.get("format") != FORMAT:
        raise cannot_open(
            path,
            "it is a .safetensors file of something else: its header does not say "
            f'format "{FORMAT}"',
            "Choose a light field made by this project's distill or convert command.",
        )
    if header.get("version") != VERSION:
        raise cannot_open(
            path,
            f"it has format version {header.get('version')}, and this program reads {VERSION}",
            "Update the viewer.",
        )
    try:
        network = json.loads(header["network"])
        if not isinstance(network, dict):
            raise TypeError("the network is no JSON object")
        config = NetworkConfig.from_mapping(network)
        if config.depth > MAX_DEPTH:
            raise ValueError(f"no network is more than {MAX_DEPTH} layers deep")
        scene_values = json.loads(header["scene"])
        provenance = json.loads(header.get("provenance", "{}"))
        if not isinstance(scene_values, dict) or not isinstance(provenance, dict):
            raise TypeError("scene and provenance must be JSON objects")
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise cannot_open(
            path,
            f"its header does not describe a network and a scene ({error!r})",
            "Make the file again, or choose another.",
        ) from error
    try:
        return config, SceneSpec.from_mapping(scene_values), provenance
    except SceneError as error:
        raise cannot_open(path, f"its scene cannot be used: {error.why}", error.remedy) from error


def check_tensors(path: Path, config: NetworkConfig, tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless these are the network's tensors, floating and finite."""
    remedy = "Make the file again, or choose another."
    # The count comes first: a forged depth must not make us build a billion names.
    n_tensors = 4 + 2 * config.n_learnable * config.n_blocks
    if len(tensors) != n_tensors:
        raise cannot_open(
            path,
            f"it holds {len(tensors)} tensors, and a network of depth {config.depth} has "
            f"{n_tensors}",
            remedy,
        )
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
