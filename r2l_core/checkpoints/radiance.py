"""Radiance fields on disk: native `.safetensors` files with their scene and where they came from.

The metadata holds `format` = "r2l-radiance-grid", `version` = "1" and JSON texts: `space` (Space),
`box` (low, high, shape), `scene` (SceneSpec) and `provenance`. Tensors: `cells` (int32, ascending
numbers of the occupied cells), `density` and `features` (float16, a row for every vertex of those
cells, in ascending order of the vertices), and the colour network's `color.*` (float32).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from r2l_core import limits
from r2l_core.checkpoints.opening import cannot_open, reason_of, serialised
from r2l_core.checkpoints.safetensors_header import Header, read_header
from r2l_core.checkpoints.stored_tensors import read_tensor
from r2l_core.errors import CheckpointError, SceneError, first_line
from r2l_core.files import replacing
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.radiance.field import N_FEATURES, RadianceField, RadianceTeacher
from r2l_core.model.radiance.grid import Grid
from r2l_core.model.radiance.space import Space

FORMAT = "r2l-radiance-grid"
VERSION = "1"

_REMEDY = "Make it again with `teach`, or choose another file."


def save_radiance(teacher: RadianceTeacher, path: Path) -> None:
    """Write a file, whole or not at all; the same field gives the same bytes.

    Raises CheckpointError.
    """
    field, grid = teacher.field, teacher.field.grid
    tensors = {
        "cells": grid.cells.to("cpu", torch.int32),
        "density": field.density.detach().to("cpu", torch.float16),
        "features": field.features.detach().to("cpu", torch.float16),
    }
    for name, tensor in field.color.state_dict().items():
        tensors[f"color.{name}"] = tensor.detach().cpu()
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "space": json.dumps(grid.space.to_dict()),
        "box": json.dumps([grid.low, grid.high, grid.shape]),
        "scene": teacher.scene.to_json(),
        "provenance": json.dumps(dict(teacher.provenance)),
    }
    what = f"The radiance field could not be written to {path}"
    with replacing(path, CheckpointError, what) as new:
        new.write_bytes(serialised(tensors, metadata))


def open_radiance(path: Path, scene: SceneSpec | None) -> RadianceTeacher:
    """Open such a file; `scene` replaces its own. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            header = read_header(file)
            space, box, own_scene, provenance = _described(header.metadata)
            _check_promise(header, box[2])
            tensors = {name: read_tensor(file, header, name) for name in header.tensors}
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        field = _field(space, box, tensors, own_scene.background_rgb)
    except OSError as error:
        raise cannot_open(path, reason_of(error), "Choose a readable file.") from error
    except SceneError as error:
        raise cannot_open(path, f"its scene cannot be used: {error.why}", error.remedy) from error
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise cannot_open(path, f"it is damaged ({first_line(error)})", _REMEDY) from error
    return RadianceTeacher(path.stem, scene or own_scene, field, provenance, sha256)


_Box = tuple[tuple[float, float, float], tuple[float, float, float], tuple[int, int, int]]


def _described(metadata: Mapping[str, Any]) -> tuple[Space, _Box, SceneSpec, dict[str, Any]]:
    if metadata.get("version") != VERSION:
        raise ValueError(f"its version is {metadata.get('version')}, and this program reads 1")
    try:
        space = Space.from_mapping(json.loads(metadata["space"]))
        low, high, shape = json.loads(metadata["box"])
        scene = SceneSpec.from_mapping(json.loads(metadata["scene"]))
        provenance = json.loads(metadata["provenance"])
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(provenance, dict):
        raise TypeError("its provenance is no JSON object")
    box: _Box = (_three(low), _three(high), tuple(map(int, _three(shape))))  # type: ignore
    if not all(a < b for a, b in zip(box[0], box[1], strict=True)):
        raise ValueError("its box is empty")
    if min(box[2]) < 1 or math.prod(box[2]) > limits.GRID_CELLS:
        raise ValueError(f"its grid has the shape {box[2]}")
    return space, box, scene, provenance


def _three(values: Any) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    if not all(math.isfinite(value) and abs(value) < 1e9 for value in (x, y, z)):
        raise ValueError("its box holds numbers that are none")
    return x, y, z


def _check_promise(header: Header, shape: tuple[int, int, int]) -> None:
    """Whether the tensors are those of such a grid, before they are read."""
    cells = header.tensors["cells"].numel
    if not 1 <= cells <= math.prod(shape):
        raise ValueError(f"it holds {cells} cells of a grid of {math.prod(shape)}")
    rows = header.tensors["density"].numel
    if rows > 8 * cells or header.tensors["features"].shape != (rows, N_FEATURES):
        raise ValueError("its tables do not fit its cells")


def _field(
    space: Space, box: _Box, tensors: dict[str, Tensor], background: tuple[float, float, float]
) -> RadianceField:
    cells = tensors.pop("cells").long()
    ascending = bool((cells[1:] > cells[:-1]).all())
    if not ascending or int(cells[0]) < 0 or int(cells[-1]) >= math.prod(box[2]):
        raise ValueError("its cells are not ascending numbers of its grid")
    field = RadianceField(Grid(space, *box, cells), background)
    field.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    if not all(torch.isfinite(tensor).all() for tensor in field.state_dict().values()):
        raise ValueError("it holds NaN or infinite values")
    return field.eval().requires_grad_(False)
