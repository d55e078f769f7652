"""`quantize`: a light field and a recipe to a quantised light field, ready to save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, get_args

import torch
from torch import Tensor

from r2l_core.checkpoints.kinds import HEAD_BYTES, is_torch_file
from r2l_core.checkpoints.released.archive import open_archive
from r2l_core.checkpoints.released.stand_ins import TensorRef
from r2l_core.checkpoints.safetensors_header import read_header
from r2l_core.checkpoints.stored_tensors import read_tensor
from r2l_core.errors import QuantizationError, first_line
from r2l_core.files import write_json
from r2l_core.json_fields import read_json
from r2l_core.model.light_field import LightField
from r2l_core.model.quantized import (
    LayerPrecision,
    Quantization,
    Recipe,
    chosen_layers,
    stood_for,
)
from r2l_core.quantization.calibration import CalibrationConfig, ImportedRange, calibrated
from r2l_core.quantization.dynamic import ROUNDING_RAYS, quantize_dynamic, turn_signs
from r2l_core.quantization.simulation import rounded_tensors
from r2l_core.types import Precision

_SMOOTHING = "_quantizer._pre_quant_scale"
_ENTRIES = ("_quantizer._amax", _SMOOTHING)
_MOST_ROWS = 65_536


def quantized(
    light_field: LightField,
    recipe: Recipe,
    config: CalibrationConfig | None = None,
    mix: Mapping[str, LayerPrecision] | None = None,
    imported: Mapping[str, ImportedRange] | None = None,
) -> LightField:
    """The light field in `recipe`. `config`, `imported`: for `int8-static` alone; `mix`: for it
    and `int8`. Raises QuantizationError where they do not fit."""
    if light_field.quantization is not None:
        raise QuantizationError(
            f"The light field {light_field.name} is quantised already",
            f"it holds the recipe {light_field.quantization.recipe}",
            "Quantise the original.",
        )
    tensors = light_field.tensors
    if recipe == "int8":
        layers = quantize_dynamic(light_field, chosen_layers(light_field.network, mix))
        signs = turn_signs(light_field.network) if layers else None
        quantization = Quantization(recipe, layers, {"rounding_rays": ROUNDING_RAYS}, signs)
    elif recipe == "int8-static":
        quantization = calibrated(light_field, config, mix, imported)
    else:
        # dynamic-int8-fake rounds while it runs; its file says so and keeps the weights.
        if recipe != "dynamic-int8-fake":
            tensors = rounded_tensors(Precision(recipe), tensors)
        quantization = Quantization(recipe, {})
    # As after reopening the file: `tensors` holds what the integers stand for.
    tensors = stood_for(light_field.network, tensors, quantization)
    provenance = {
        **light_field.provenance,
        "quantized_from_sha256": light_field.sha256,
    }
    return replace(
        light_field,
        tensors=tensors,
        quantization=quantization,
        provenance=provenance,
        sha256="",  # of the original's file, and this is another light field
    )


def load_mix(path: Path) -> dict[str, LayerPrecision]:
    """A layer mix: JSON object of layer name to "int8" or "fp32". Raises QuantizationError."""
    what = f"The layer mix {path} cannot be read"
    remedy = 'Write a JSON object such as {"body.0.body.0": "fp32"}.'
    mix = read_json(path, what, QuantizationError, remedy)
    if not isinstance(mix, dict):
        raise QuantizationError(what, "it is not a JSON object", remedy)
    for name, precision in mix.items():
        if precision not in get_args(LayerPrecision):
            known = " or ".join(get_args(LayerPrecision))
            raise QuantizationError(what, f"its entry {name[:80]!r} is not {known}", remedy)
    return mix


def save_mix(path: Path, mix: Mapping[str, LayerPrecision]) -> None:
    """Write what `load_mix` reads. Raises RecordingError."""
    write_json(path, dict(mix))


def load_ranges(path: Path) -> dict[str, ImportedRange]:
    """Ranges saved by pytorch-quantization or nvidia-modelopt.

    Reads the `_amax` entries, and nothing else, of a state dict (`.safetensors`, or what
    `torch.save` has written, through the reader of released files, which runs no code). Their names
    end in `input_quantizer._amax` and `weight_quantizer._amax`, with or without a leading
    underscore. Raises QuantizationError.
    """
    entries = _entries(path)
    for key in entries:
        if key.endswith(_SMOOTHING):
            raise _bad_ranges(
                path,
                f"{key} smooths its layer's inputs, so the ranges do not fit this light field",
                "Calibrate without smoothing and import again; --smooth-alpha smooths here.",
            )
    inputs: dict[str, float] = {}
    weights: dict[str, Tensor] = {}
    for key, stored in entries.items():
        owner, _, quantizer = key.removesuffix("._amax").rpartition(".")
        name = owner.removeprefix("module.")
        if not stored.is_floating_point():
            raise _bad_ranges(path, f"{key} is of type {stored.dtype}, not floating")
        # Converted first: what float32 cannot hold is no range here.
        value = stored.to(torch.float32)
        if not torch.isfinite(value).all() or (value < 0).any():
            raise _bad_ranges(path, f"{key} is not a range: {value.flatten()[:3].tolist()}")
        if quantizer.lstrip("_") == "input_quantizer":
            if value.numel() != 1:
                raise _bad_ranges(path, f"{key} has {value.numel()} values; one per layer is read")
            inputs[name] = float(value)
        elif quantizer.lstrip("_") == "weight_quantizer":
            weights[name] = value
    if not inputs:
        raise _bad_ranges(path, "it holds no entry that ends in input_quantizer._amax")
    return {name: ImportedRange(amax, weights.get(name)) for name, amax in inputs.items()}


def _entries(path: Path) -> dict[str, Tensor]:
    """The entries of a state dict that speak of quantisers."""
    read = _safetensors_entries if path.suffix == ".safetensors" else _torch_entries
    try:
        # Asked first: opening a pipe would wait for ever.
        if path.exists() and not path.is_file():
            raise OSError(22, "it is no regular file")
        with path.open("rb") as file:
            return read(path, file)
    except (OSError, ValueError) as error:
        raise _bad_ranges(path, f"it cannot be read ({first_line(error)[:200]})") from error


def _safetensors_entries(path: Path, file: BinaryIO) -> dict[str, Tensor]:
    header = read_header(file)
    stored = header.tensors
    wanted = {name: stored[name].numel for name in stored if name.endswith(_ENTRIES)}
    _check_sizes(path, wanted)
    return {name: read_tensor(file, header, name) for name in wanted}


def _torch_entries(path: Path, file: BinaryIO) -> dict[str, Tensor]:
    if not is_torch_file(file.read(HEAD_BYTES)):
        raise _bad_ranges(path, "it is neither a torch file nor called .safetensors")
    file.seek(0)
    archive = open_archive(file)
    root = archive.root
    if isinstance(root, dict) and isinstance(root.get("state_dict"), dict):
        root = root["state_dict"]
    if not isinstance(root, dict):
        raise _bad_ranges(path, "it is not a state dict")
    wanted = {
        name: value
        for name, value in root.items()
        if isinstance(name, str) and name.endswith(_ENTRIES) and isinstance(value, TensorRef)
    }
    _check_sizes(path, {name: reference.numel for name, reference in wanted.items()})
    return archive.tensors(wanted)


def _check_sizes(path: Path, numels: Mapping[str, int]) -> None:
    for name, numel in numels.items():
        if numel > _MOST_ROWS:
            raise _bad_ranges(path, f"{name} has {numel} values; no layer has so many rows")


def _bad_ranges(
    path: Path,
    why: str,
    remedy: str = "Save the calibrated model's state_dict() with torch.save.",
) -> QuantizationError:
    return QuantizationError(f"The ranges {path} cannot be imported", why, remedy)
