"""What the header of a native file says, checked; needs no torch. See `opening` for its entries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r2l_core.checkpoints.opening import FORMAT, VERSION, cannot_open
from r2l_core.checkpoints.safetensors_header import Header
from r2l_core.errors import CheckpointError, SceneError
from r2l_core.geometry.scene import SceneSpec
from r2l_core.json_fields import parse_json
from r2l_core.model.network import NetworkConfig


def check_promise(path: Path, header: Header) -> None:
    """Whether the file can hold the network it describes, and little more."""
    config, _, _ = describe(path, header.metadata)
    promised = sum(tensor.numel for tensor in header.tensors.values())
    # Before shapes: a forged depth must not make us build a billion names. Layers in eight bits
    # bring up to three tensors of scales along, and all of them one of signs.
    if not n_tensors(config) <= len(header.tensors) <= 5 * n_tensors(config) + 1:
        raise bad_count(path, config, len(header.tensors))
    shapes = config.tensor_shapes().values()
    if promised > sum(math.prod(shape) + 2 * sum(shape) + 2 for shape in shapes):
        raise cannot_open(
            path,
            f"it holds {promised} numbers, far more than a network {config.short_name}",
            "Make the file again, or choose another.",
        )


def n_tensors(config: NetworkConfig) -> int:
    """How many a state dict has."""
    return 4 + 2 * config.n_learnable * config.n_blocks


def bad_count(path: Path, config: NetworkConfig, count: int) -> CheckpointError:
    """The error for a file that holds another number of tensors."""
    return cannot_open(
        path,
        f"it holds {count} tensors, and a network of depth {config.depth} has {n_tensors(config)}",
        "Make the file again, or choose another.",
    )


def describe(
    path: Path, header: Mapping[str, Any]
) -> tuple[NetworkConfig, SceneSpec | None, dict[str, Any]]:
    """Network, scene and provenance in a file's metadata. Raises CheckpointError."""
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
        network = parse_json(header["network"])
        if not isinstance(network, dict):
            raise TypeError("the network is no JSON object")
        config = NetworkConfig.from_mapping(network)
        scene_values = parse_json(header["scene"]) if "scene" in header else None
        provenance = parse_json(header.get("provenance", "{}"), nan=True)
        has_scene = isinstance(scene_values, dict) or "scene" not in header
        if not has_scene or not isinstance(provenance, dict):
            raise TypeError("scene and provenance must be JSON objects")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise cannot_open(
            path,
            f"its header does not describe a network and a scene ({error!r})",
            "Make the file again, or choose another.",
        ) from error
    try:
        scene = None if scene_values is None else SceneSpec.from_mapping(scene_values)
        return config, scene, provenance
    except SceneError as error:
        raise cannot_open(path, f"its scene cannot be used: {error.why}", error.remedy) from error
